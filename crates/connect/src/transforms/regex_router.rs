//! `RegexRouter`: another topic, by a regular expression over its name.

use super::java_regex::{JavaRegex, Replacement};
use super::plugin::Plugin;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::DataError;
use crate::plugin::Transform;
use crate::record::Record;

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.RegexRouter"],
        def: ConfigDef::new(vec![
            ConfigKey::required(
                "regex",
                ConfigType::String,
                Importance::High,
                "Regular expression for whole topic names.",
            )
            .checked(Rule::Regex),
            ConfigKey::required(
                "replacement",
                ConfigType::String,
                Importance::High,
                "The new name, with $1 or ${name} for groups.",
            ),
        ]),
        create: |parsed, _| {
            let regex = JavaRegex::new(parsed.get_text("regex"))?;
            let replacement = regex.replacement(parsed.get_text("replacement"))?;
            Ok(Box::new(RegexRouter { regex, replacement }))
        },
    }
}

struct RegexRouter {
    regex: JavaRegex,
    replacement: Replacement,
}

impl Transform for RegexRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        if self.regex.matches(&record.topic) {
            record.topic = self.regex.replace_first(&record.topic, &self.replacement).into();
        }
        Ok(Some(record))
    }
}
