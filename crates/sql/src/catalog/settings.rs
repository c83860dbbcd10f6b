//! Properties of the server and of the session that decide what statements mean.

use std::collections::BTreeMap;

/// Properties by name. Those of the session are put over those of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    properties: BTreeMap<String, String>,
}

impl Settings {
    /// Sets a property.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.properties.insert(name.into(), value.into());
    }

    /// Takes a property back.
    pub fn unset(&mut self, name: &str) {
        self.properties.remove(name);
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// All properties by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a property is `true`; `default` when it is not set.
    pub fn is_true(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// A whole number; `None` when it is not set or is none.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    /// The default format of keys.
    pub fn default_key_format(&self) -> &str {
        self.get("ksql.persistence.default.format.key").unwrap_or("KAFKA")
    }

    /// The default format of values; none unless configured.
    pub fn default_value_format(&self) -> Option<&str> {
        self.get("ksql.persistence.default.format.value")
    }

    /// Whether a single value column is wrapped where nothing is said; `None` leaves it to the format.
    pub fn wrap_single_values(&self) -> Option<bool> {
        self.get("ksql.persistence.wrap.single.values").map(|value| value.eq_ignore_ascii_case("true"))
    }

    /// What precedes the names of sink topics.
    pub fn topic_prefix(&self) -> &str {
        self.get("ksql.output.topic.name.prefix").unwrap_or("")
    }
}
