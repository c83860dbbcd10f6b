//! `ExtractTopic`: the topic is named in the key, the value or a header.

use crate::config::Parsed;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Value};
use crate::plugin::Transform;
use crate::record::Record;
use crate::transforms::confluent::json_path::JsonPath;
use crate::transforms::plugin::{Plugin, Side};

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &[
            "io.confluent.connect.transforms.ExtractTopic$Key",
            "io.confluent.connect.transforms.ExtractTopic$Value",
            "io.confluent.connect.transforms.ExtractTopic$Header",
        ],
        def: ConfigDef::new(vec![
            ConfigKey::with_default(
                "field",
                ConfigType::String,
                "",
                Importance::High,
                "The field, or the header, with the name; empty when the whole key or value is the name.",
            ),
            ConfigKey::with_default(
                "field.format",
                ConfigType::String,
                "PLAIN",
                Importance::Medium,
                "PLAIN: the field is a name; JSON_PATH: it is a path such as $[\"a\"][\"b\"].",
            )
            .checked(Rule::OneOfIgnoringCase(&["PLAIN", "JSON_PATH"])),
            ConfigKey::with_default(
                "skip.missing.or.null",
                ConfigType::Boolean,
                "false",
                Importance::Low,
                "Whether a record without the name keeps its topic; otherwise it is an error.",
            ),
        ]),
        create: |parsed, side| Ok(Box::new(ExtractTopic::new(parsed, side)?)),
    }
}

struct ExtractTopic {
    side: Side,
    field: String,
    path: Option<JsonPath>,
    skips: bool,
}

impl ExtractTopic {
    fn new(parsed: &Parsed, side: Side) -> Result<ExtractTopic, DataError> {
        let field = parsed.get_text("field").to_owned();
        if side == Side::Header && field.is_empty() {
            return Err(DataError::new("ExtractTopic$Header needs the name of a header in field"));
        }
        let is_path = parsed.get_text("field.format").eq_ignore_ascii_case("JSON_PATH");
        let path = (is_path && side != Side::Header).then(|| JsonPath::new(&field)).transpose()?;
        Ok(ExtractTopic { side, field, path, skips: parsed.get_bool("skip.missing.or.null") })
    }

    fn find<'a>(&self, record: &'a Record) -> Option<&'a Value> {
        let whole = match self.side {
            Side::Key => &record.key.value,
            Side::Value => &record.value.value,
            Side::Header => {
                let header = record.headers.iter().rev().find(|header| header.key == self.field);
                return header.map(|header| &header.value.value);
            }
        };
        match &self.path {
            Some(path) => path.select(whole).found.into_iter().next(),
            None if self.field.is_empty() => Some(whole),
            None => whole.get(&self.field),
        }
    }
}

impl Transform for ExtractTopic {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        let topic = match self.find(&record) {
            Some(Value::String(topic)) if !topic.is_empty() => topic.as_str().into(),
            None | Some(Value::Null) if self.skips => return Ok(Some(record)),
            Some(Value::String(_)) if self.skips => return Ok(Some(record)),
            None | Some(Value::Null | Value::String(_)) => {
                let text = format!("ExtractTopic: field '{}' is missing, null or empty", self.field);
                return Err(DataError::new(text));
            }
            Some(other) => {
                let class = other.java_class();
                let text = format!("ExtractTopic: field '{}' is no text but of class {class}", self.field);
                return Err(DataError::new(text));
            }
        };
        record.topic = topic;
        Ok(Some(record))
    }
}
