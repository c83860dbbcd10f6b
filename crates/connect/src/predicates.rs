//! Predicates: whether a transform applies to a record. `HasHeaderKey`, `RecordIsTombstone`, `TopicNameMatches`.

use std::sync::Arc;

use crate::config::Parsed;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::DataError;
use crate::plugin::{Predicate, PredicatePlugin, Settings};
use crate::record::Record;
use crate::transforms::JavaRegex;

/// All predicates.
pub fn plugins() -> Vec<Arc<dyn PredicatePlugin>> {
    let name = ConfigKey::required("name", ConfigType::String, Importance::Medium, "Name of the header.");
    let pattern =
        ConfigKey::required("pattern", ConfigType::String, Importance::Medium, "Regular expression for whole names.");
    vec![
        Arc::new(Plugin {
            classes: &["org.apache.kafka.connect.transforms.predicates.HasHeaderKey"],
            def: ConfigDef::new(vec![name.checked(Rule::NonEmpty)]),
            create: |parsed| Ok(Box::new(HasHeaderKey(parsed.get_text("name").to_owned()))),
        }),
        Arc::new(Plugin {
            classes: &["org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"],
            def: ConfigDef::default(),
            create: |_| Ok(Box::new(RecordIsTombstone)),
        }),
        Arc::new(Plugin {
            classes: &["org.apache.kafka.connect.transforms.predicates.TopicNameMatches"],
            def: ConfigDef::new(vec![pattern.checked(Rule::All(&[Rule::NonEmpty, Rule::Regex]))]),
            create: |parsed| Ok(Box::new(TopicNameMatches(JavaRegex::new(parsed.get_text("pattern"))?))),
        }),
    ]
}

struct Plugin {
    classes: &'static [&'static str],
    def: ConfigDef,
    create: fn(&Parsed) -> Result<Box<dyn Predicate>, DataError>,
}

impl PredicatePlugin for Plugin {
    fn classes(&self) -> &'static [&'static str] {
        self.classes
    }

    fn config_def(&self) -> &ConfigDef {
        &self.def
    }

    fn create(&self, settings: &Settings) -> Result<Box<dyn Predicate>, DataError> {
        (self.create)(&self.def.parse(settings)?)
    }
}

struct HasHeaderKey(String);

impl Predicate for HasHeaderKey {
    fn test(&self, record: &Record) -> bool {
        record.headers.iter().any(|header| header.key == self.0)
    }
}

struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&self, record: &Record) -> bool {
        record.value.value.is_null()
    }
}

struct TopicNameMatches(JavaRegex);

impl Predicate for TopicNameMatches {
    fn test(&self, record: &Record) -> bool {
        self.0.matches(&record.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Typed, Value};
    use crate::record::{Header, Origin};

    fn test(class: &str, settings: &[(&str, &str)], record: &Record) -> bool {
        let plugins = plugins();
        let plugin = plugins.iter().find(|plugin| plugin.classes()[0].ends_with(class)).unwrap();
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        plugin.create(&settings).unwrap().test(record)
    }

    #[test]
    fn predicates_tell_records_apart() {
        let mut record = Record {
            topic: "my-orders".into(),
            partition: None,
            key: Typed::null(),
            value: Typed::null(),
            timestamp: None,
            headers: vec![Header { key: "h".to_owned(), value: Typed::null() }],
            origin: Origin::Sink { topic: "my-orders".into(), partition: 0, offset: 0, log_append_time: false },
        };
        assert!(test("HasHeaderKey", &[("name", "h")], &record));
        assert!(!test("HasHeaderKey", &[("name", "i")], &record));
        assert!(test("TopicNameMatches", &[("pattern", "my-.*")], &record));
        assert!(!test("TopicNameMatches", &[("pattern", "my-")], &record));
        assert!(test("TopicNameMatches", &[("pattern", "(?!your).*")], &record));
        assert!(test("RecordIsTombstone", &[], &record));
        record.value = Typed::schemaless(Value::Boolean(true));
        assert!(!test("RecordIsTombstone", &[], &record));
    }
}
