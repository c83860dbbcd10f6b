//! `MessageTimestampRouter`: a topic whose name holds the time that a field of the value tells.

use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::date_format::DateFormat;
use crate::data::{DataError, Value};
use crate::plugin::Transform;
use crate::record::Record;
use crate::transforms::plugin::Plugin;
use crate::transforms::timestamp_router::{date_format, topic_format, topic_name};

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["io.confluent.connect.transforms.MessageTimestampRouter"],
        def: ConfigDef::new(vec![
            topic_format(),
            ConfigKey::with_default(
                "topic.timestamp.format",
                ConfigType::String,
                "yyyyMMdd",
                Importance::High,
                "Pattern of java.text.SimpleDateFormat, in UTC, for the name of the topic.",
            ),
            ConfigKey::required(
                "message.timestamp.keys",
                ConfigType::List,
                Importance::High,
                "Fields of the value that may hold the time; the first that is there counts.",
            )
            .checked(Rule::SomeElements),
            ConfigKey::with_default(
                "message.timestamp.format",
                ConfigType::String,
                "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
                Importance::High,
                "Pattern of text in those fields; numbers are milliseconds since 1970.",
            ),
        ]),
        create: |parsed, _| {
            Ok(Box::new(MessageTimestampRouter {
                topic_format: parsed.get_text("topic.format").to_owned(),
                output: date_format(parsed.get_text("topic.timestamp.format"))?,
                keys: parsed.get_list("message.timestamp.keys").to_vec(),
                input: date_format(parsed.get_text("message.timestamp.format"))?,
            }))
        },
    }
}

struct MessageTimestampRouter {
    topic_format: String,
    output: DateFormat,
    keys: Vec<String>,
    input: DateFormat,
}

impl Transform for MessageTimestampRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        let fields = self.keys.iter().filter_map(|key| record.value.value.get(key));
        let Some(found) = fields.into_iter().find(|value| !value.is_null()) else {
            let keys = self.keys.join(", ");
            return Err(DataError::new(format!("MessageTimestampRouter: none of the fields {keys} is there")));
        };
        let millis = match found {
            Value::String(text) => self.input.parse(text).map_err(|error| DataError::new(error.to_string()))?,
            Value::Int64(millis) => *millis,
            value => value.epoch_millis().ok_or_else(|| {
                let class = value.java_class();
                DataError::new(format!("MessageTimestampRouter: a value of class {class} tells no time"))
            })?,
        };
        record.topic = topic_name(&self.topic_format, &record.topic, &self.output.format(millis)).into();
        Ok(Some(record))
    }
}
