//! Checking the settings of a connector before anything is started: those of every connector, its own, and those of the
//! converters, transforms, predicates and clients that it asks for.

mod client_overrides;
mod info;
mod parts;
mod rules;

use crate::config::connector::{SINK, SOURCE};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Importance};
use crate::config::worker::WorkerConfig;
use crate::herder::{GivenSettings, Herder, HerderError};
use crate::plugin::{ConnectorKind, ConnectorPlugin, Plugins, Settings};

pub use info::{ConfigInfo, ConfigInfos, KeyInfo, ValueInfo};

/// Settings under way: everything that was found out about them so far.
struct Checking<'a> {
    config: &'a WorkerConfig,
    plugins: &'a Plugins,
    plugin: &'a dyn ConnectorPlugin,
    settings: &'a Settings,
    found: Vec<ConfigInfo>,
}

impl Herder {
    /// Checks settings.
    ///
    /// # Errors
    /// 400 without a class that is known; a config provider that fails.
    pub async fn validate(&self, given: &GivenSettings) -> Result<ConfigInfos, HerderError> {
        let settings: Settings = given.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
        let settings = self.config.providers.resolve(&settings)?;
        let Some(class) = settings.get("connector.class") else {
            let name = settings.get("name").map(|name| format!("name={name}")).unwrap_or_default();
            return Err(HerderError::BadRequest(format!("Connector config {{{name}}} contains no connector type")));
        };
        let plugin = self.plugins.connector(class)?;
        let mut checking = Checking {
            config: &self.config,
            plugins: &self.plugins,
            plugin: plugin.as_ref(),
            settings: &settings,
            found: Vec::new(),
        };
        checking.refuse_nulls(given);
        checking.common();
        checking.transforms();
        checking.predicates();
        checking.own().await;
        checking.client_overrides();
        checking.converters();
        checking.rules();
        Ok(ConfigInfos::new(class.clone(), checking.found))
    }

    /// The settings that a plugin has.
    ///
    /// # Errors
    /// 404
    pub fn plugin_config(&self, name: &str) -> Result<Vec<KeyInfo>, HerderError> {
        if let Ok(plugin) = self.plugins.connector(name) {
            let own = plugin.config_def().keys.iter();
            let common = common_of(plugin.kind()).keys.iter().filter(|key| plugin.config_def().key(key.name).is_none());
            return Ok(own.chain(common).map(|key| KeyInfo::new(key, "")).collect());
        }
        let def = self.plugins.config_def(name);
        let def = def.ok_or_else(|| HerderError::NotFound(format!("Unknown plugin {name}.")))?;
        Ok(def.keys.iter().map(|key| KeyInfo::new(key, "")).collect())
    }
}

/// Refuses settings with errors, in the words of the original.
///
/// # Errors
/// 400
pub fn refuse_errors(infos: &ConfigInfos) -> Result<(), HerderError> {
    if infos.error_count == 0 {
        return Ok(());
    }
    let mut message =
        format!("Connector configuration is invalid and contains the following {} error(s):", infos.error_count);
    for error in infos.errors() {
        message.push('\n');
        message.push_str(error);
    }
    message.push_str(
        "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
    );
    Err(HerderError::BadRequest(message))
}

fn common_of(kind: ConnectorKind) -> &'static ConfigDef {
    match kind {
        ConnectorKind::Source => &SOURCE,
        ConnectorKind::Sink => &SINK,
    }
}

impl Checking<'_> {
    /// Settings whose value is null are none, and are told without a description.
    fn refuse_nulls(&mut self, given: &GivenSettings) {
        for name in given.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key) {
            let value = ValueInfo {
                name: name.clone(),
                value: None,
                recommended_values: Vec::new(),
                errors: vec!["Null value can not be supplied as the configuration value.".to_owned()],
                visible: true,
            };
            self.found.push(ConfigInfo { definition: None, value });
        }
    }

    fn common(&mut self) {
        let def = common_of(self.plugin.kind());
        for value in def.validate(self.settings) {
            let Some(key) = def.key(&value.name) else { continue };
            let mut info = info_of(key, value, "");
            if let Some((converter, kind)) = converter_kind(key.name) {
                let worker = self.config.properties.get(converter).cloned();
                let worker = worker.or_else(|| {
                    (converter == "header.converter")
                        .then(|| "org.apache.kafka.connect.storage.SimpleHeaderConverter".to_owned())
                });
                info.value.value = info.value.value.or_else(|| worker.clone());
                if let Some(definition) = info.definition.as_mut() {
                    definition.default_value = worker;
                }
                info.value.recommended_values = self.plugins.classes(kind).into_iter().map(str::to_owned).collect();
            }
            self.found.push(info);
        }
    }

    async fn own(&mut self) {
        let def = self.plugin.config_def();
        let mut values = def.validate(self.settings);
        self.plugin.validate(self.settings, &mut values).await;
        for value in values {
            let definition = def.key(&value.name).map(|key| KeyInfo::new(key, ""));
            self.found.retain(|known| known.value.name != value.name || !known.value.errors.is_empty());
            self.found.push(ConfigInfo { definition, value: ValueInfo::new(value, "") });
        }
    }

    /// Notes that something is wrong about a setting, which is added when it has no row yet.
    fn error(&mut self, name: &str, error: String) {
        if let Some(known) = self.found.iter_mut().find(|known| known.value.name == name) {
            known.value.errors.push(error);
            return;
        }
        let value = ValueInfo {
            name: name.to_owned(),
            value: self.settings.get(name).cloned(),
            recommended_values: Vec::new(),
            errors: vec![error],
            visible: true,
        };
        self.found.push(ConfigInfo { definition: None, value });
    }

    /// Whether nothing is wrong about a setting so far.
    fn is_fine(&self, name: &str) -> bool {
        !self.found.iter().any(|known| known.value.name == name && !known.value.errors.is_empty())
    }

    fn text(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", |value| value.trim())
    }

    /// The items of a list.
    fn list(&self, name: &str) -> Vec<String> {
        self.text(name).split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }
}

fn converter_kind(key: &'static str) -> Option<(&'static str, &'static str)> {
    match key {
        "key.converter" | "value.converter" => Some((key, "converter")),
        "header.converter" => Some((key, "header_converter")),
        _ => None,
    }
}

fn info_of(key: &ConfigKey, value: ConfigValue, prefix: &str) -> ConfigInfo {
    ConfigInfo { definition: Some(KeyInfo::new(key, prefix)), value: ValueInfo::new(value, prefix) }
}

/// A setting that is described here and has no table of its own.
fn plain_key(kind: ConfigType, name: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::nullable(name, kind, Importance::Medium, documentation)
}
