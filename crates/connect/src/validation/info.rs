//! Settings with their descriptions and what is wrong about them, as the API shows them.

use serde::Serialize;

use crate::config::def::{ConfigKey, ConfigType, ConfigValue, Importance, Width};

/// The description of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it must be set.
    pub required: bool,
    /// What holds when it is not.
    pub default_value: Option<String>,
    /// How much it matters.
    pub importance: &'static str,
    /// What it does.
    pub documentation: String,
    /// The heading under which it is shown.
    pub group: Option<String>,
    /// Its place there.
    #[serde(rename = "order_in_group")]
    pub order: i32,
    /// How wide its field is.
    pub width: &'static str,
    /// Its name for people.
    pub display_name: String,
    /// What changes with it.
    pub dependents: Vec<String>,
}

impl KeyInfo {
    /// The description of `key` with `prefix` in front of its name.
    pub fn new(key: &ConfigKey, prefix: &str) -> KeyInfo {
        KeyInfo {
            name: format!("{prefix}{}", key.name),
            kind: kind_name(key.kind),
            required: key.default.is_none() && !key.nullable,
            default_value: key.default.map(str::to_owned),
            importance: match key.importance {
                Importance::High => "HIGH",
                Importance::Medium => "MEDIUM",
                Importance::Low => "LOW",
            },
            documentation: key.documentation.to_owned(),
            group: key.group.map(str::to_owned),
            order: key.order,
            width: match key.width {
                Width::None => "NONE",
                Width::Short => "SHORT",
                Width::Medium => "MEDIUM",
                Width::Long => "LONG",
            },
            display_name: key.display_name.to_owned(),
            dependents: key.dependents.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

fn kind_name(kind: ConfigType) -> &'static str {
    match kind {
        ConfigType::Boolean => "BOOLEAN",
        ConfigType::String => "STRING",
        ConfigType::Int => "INT",
        ConfigType::Short => "SHORT",
        ConfigType::Long => "LONG",
        ConfigType::Double => "DOUBLE",
        ConfigType::List => "LIST",
        ConfigType::Class => "CLASS",
        ConfigType::Password => "PASSWORD",
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueInfo {
    /// The setting.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Values to choose from.
    pub recommended_values: Vec<String>,
    /// What is wrong, in sentences.
    pub errors: Vec<String>,
    /// Whether it matters with the other settings as they are.
    pub visible: bool,
}

impl ValueInfo {
    /// `value` with `prefix` in front of its name.
    pub fn new(value: ConfigValue, prefix: &str) -> ValueInfo {
        ValueInfo {
            name: format!("{prefix}{}", value.name),
            value: value.value,
            recommended_values: value.recommended_values,
            errors: value.errors,
            visible: value.visible,
        }
    }
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigInfo {
    /// Its description, if it has one.
    pub definition: Option<KeyInfo>,
    /// Its value.
    pub value: ValueInfo,
}

/// All settings of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigInfos {
    /// The class as the user has written it.
    pub name: String,
    /// How many sentences say that something is wrong.
    pub error_count: usize,
    /// The headings.
    pub groups: Vec<String>,
    /// The settings.
    pub configs: Vec<ConfigInfo>,
}

impl ConfigInfos {
    /// The settings of a connector of the class `name`.
    pub fn new(name: String, configs: Vec<ConfigInfo>) -> ConfigInfos {
        let mut groups: Vec<String> = Vec::new();
        for group in configs.iter().filter_map(|config| config.definition.as_ref()?.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        let error_count = configs.iter().map(|config| config.value.errors.len()).sum();
        ConfigInfos { name, error_count, groups, configs }
    }

    /// What is wrong, in the order of the settings.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.configs.iter().flat_map(|config| config.value.errors.iter().map(String::as_str))
    }
}
