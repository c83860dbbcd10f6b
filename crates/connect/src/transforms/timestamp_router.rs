//! `TimestampRouter`: a topic whose name holds the time of the record.

use super::plugin::Plugin;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::DataError;
use crate::data::date_format::DateFormat;
use crate::plugin::Transform;
use crate::record::Record;

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.TimestampRouter"],
        def: ConfigDef::new(vec![
            topic_format(),
            ConfigKey::with_default(
                "timestamp.format",
                ConfigType::String,
                "yyyyMMdd",
                Importance::High,
                "Pattern of java.text.SimpleDateFormat, in UTC.",
            ),
        ]),
        create: |parsed, _| {
            Ok(Box::new(TimestampRouter {
                topic_format: parsed.get_text("topic.format").to_owned(),
                format: date_format(parsed.get_text("timestamp.format"))?,
            }))
        },
    }
}

/// The setting `topic.format`.
pub(super) fn topic_format() -> ConfigKey {
    ConfigKey::with_default(
        "topic.format",
        ConfigType::String,
        "${topic}-${timestamp}",
        Importance::High,
        "The new name, with ${topic} and ${timestamp} for the old one and the time.",
    )
}

/// A pattern as a setting has it.
pub(super) fn date_format(pattern: &str) -> Result<DateFormat, DataError> {
    DateFormat::new(pattern).map_err(|error| DataError::new(error.to_string()))
}

/// The name of the topic by its format.
pub(super) fn topic_name(format: &str, topic: &str, timestamp: &str) -> String {
    format.replace("${topic}", topic).replace("${timestamp}", timestamp)
}

struct TimestampRouter {
    topic_format: String,
    format: DateFormat,
}

impl Transform for TimestampRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        let missing = || DataError::new(format!("Timestamp missing on record: of topic '{}'", record.topic));
        let timestamp = self.format.format(record.timestamp.ok_or_else(missing)?);
        record.topic = topic_name(&self.topic_format, &record.topic, &timestamp).into();
        Ok(Some(record))
    }
}
