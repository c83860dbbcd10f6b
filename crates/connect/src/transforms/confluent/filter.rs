//! `Filter`: keeps or drops the records that a JSON Path selects something of.

use super::json_path::JsonPath;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::DataError;
use crate::plugin::Transform;
use crate::record::Record;
use crate::transforms::plugin::{Plugin, Side};

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["io.confluent.connect.transforms.Filter$Key", "io.confluent.connect.transforms.Filter$Value"],
        def: ConfigDef::new(vec![
            ConfigKey::required(
                "filter.condition",
                ConfigType::String,
                Importance::High,
                "JSON Path with a predicate, such as $[?(@.amount > 10 && @.country == 'NL')].",
            )
            .checked(Rule::Custom(|_, value| JsonPath::new(value).map(|_| ()).map_err(|error| error.0))),
            ConfigKey::required(
                "filter.type",
                ConfigType::String,
                Importance::High,
                "include: records that match are kept; exclude: they are dropped.",
            )
            .checked(Rule::OneOf(&["include", "exclude"])),
            ConfigKey::with_default(
                "missing.or.null.behavior",
                ConfigType::String,
                "fail",
                Importance::Medium,
                "What becomes of records without the field that the condition is about: fail, include or exclude.",
            )
            .checked(Rule::OneOf(&["fail", "include", "exclude"])),
        ]),
        create: |parsed, side| {
            Ok(Box::new(Filter {
                side,
                condition: JsonPath::new(parsed.get_text("filter.condition"))?,
                includes: parsed.get_text("filter.type") == "include",
                missing: parsed.get_text("missing.or.null.behavior").to_owned(),
            }))
        },
    }
}

struct Filter {
    side: Side,
    condition: JsonPath,
    includes: bool,
    missing: String,
}

impl Transform for Filter {
    fn apply(&mut self, record: Record) -> Result<Option<Record>, DataError> {
        let value = if self.side == Side::Key { &record.key.value } else { &record.value.value };
        let selection = self.condition.select(value);
        let keeps = match (selection.found.is_empty(), selection.misses, self.missing.as_str()) {
            (false, ..) => self.includes,
            (true, false, _) => !self.includes,
            (true, true, "include") => true,
            (true, true, "exclude") => false,
            _ => {
                let text = "Filter: a field of filter.condition is missing or null; missing.or.null.behavior says what \
                            becomes of such records";
                return Err(DataError::new(text));
            }
        };
        Ok(keeps.then_some(record))
    }
}
