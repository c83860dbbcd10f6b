//! `TombstoneHandler`: what becomes of records without a value.

use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::DataError;
use crate::plugin::Transform;
use crate::record::Record;
use crate::transforms::plugin::Plugin;

pub(super) fn plugin() -> Plugin {
    let behavior = ConfigKey::with_default(
        "behavior",
        ConfigType::String,
        "drop_silent",
        Importance::High,
        "drop_silent, drop_warn (dropped and logged), ignore (kept), warn (kept and logged) or fail.",
    );
    Plugin {
        classes: &["io.confluent.connect.transforms.TombstoneHandler"],
        def: ConfigDef::new(vec![behavior.checked(Rule::OneOf(&[
            "drop_silent",
            "drop_warn",
            "ignore",
            "warn",
            "fail",
        ]))]),
        create: |parsed, _| Ok(Box::new(TombstoneHandler(parsed.get_text("behavior").to_owned()))),
    }
}

struct TombstoneHandler(String);

impl Transform for TombstoneHandler {
    fn apply(&mut self, record: Record) -> Result<Option<Record>, DataError> {
        if !record.value.value.is_null() {
            return Ok(Some(record));
        }
        if self.0.ends_with("warn") {
            tracing::warn!(topic = %record.topic, partition = record.partition, "tombstone");
        }
        match self.0.as_str() {
            "fail" => Err(DataError::new(format!("Tombstone record of topic {}", record.topic))),
            "ignore" | "warn" => Ok(Some(record)),
            _ => Ok(None),
        }
    }
}
