//! Transforms, predicates and converters: their classes and their own settings.

use super::{Checking, ConfigInfo, KeyInfo, ValueInfo, info_of, plain_key};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::plugin::Settings;

impl Checking<'_> {
    /// `transforms.<alias>.*`
    pub(super) fn transforms(&mut self) {
        for alias in self.aliases("transforms") {
            let prefix = format!("transforms.{alias}.");
            let Some(class) = self.class_of(&prefix, "Transformation", "transformation") else { continue };
            let Some(found) = self.plugins.transform(&class) else {
                self.not_found(&format!("{prefix}type"), &class);
                continue;
            };
            let own = self.settings_under(&prefix);
            let is_fine = self.table(found.plugin.config_def(), &own, &prefix, &format!("Transforms: {alias}"));
            if is_fine && let Err(error) = found.plugin.create(found.class, &own) {
                self.error(&format!("{prefix}type"), error.to_string());
            }
            let further = [
                ConfigKey::with_default(
                    "negate",
                    ConfigType::Boolean,
                    "false",
                    Importance::Medium,
                    "Whether the transform applies to the records that its predicate does not hold for.",
                ),
                plain_key(ConfigType::String, "predicate", "The name of the predicate that decides for each record."),
            ];
            self.table(&ConfigDef::new(further.to_vec()), &own, &prefix, &format!("Transforms: {alias}"));
            let predicate = own.get("predicate").map(|name| name.trim().to_owned()).unwrap_or_default();
            if !predicate.is_empty() && !self.list("predicates").contains(&predicate) {
                let key = format!("{prefix}predicate");
                let error = format!("Invalid value {predicate} for configuration {key}: predicates has no such alias.");
                self.error(&key, error);
            }
        }
    }

    /// `predicates.<alias>.*`
    pub(super) fn predicates(&mut self) {
        for alias in self.aliases("predicates") {
            let prefix = format!("predicates.{alias}.");
            let Some(class) = self.class_of(&prefix, "Predicate", "predicate") else { continue };
            let Some(plugin) = self.plugins.predicate(&class) else {
                self.not_found(&format!("{prefix}type"), &class);
                continue;
            };
            let own = self.settings_under(&prefix);
            let is_fine = self.table(plugin.config_def(), &own, &prefix, &format!("Predicates: {alias}"));
            if is_fine && let Err(error) = plugin.create(&own) {
                self.error(&format!("{prefix}type"), error.to_string());
            }
        }
    }

    /// `key.converter` and the others, with their settings.
    pub(super) fn converters(&mut self) {
        for key in ["header.converter", "key.converter", "value.converter"] {
            let Some(class) = self.settings.get(key).map(|class| class.trim().to_owned()) else { continue };
            let prefix = format!("{key}.");
            let own = self.settings_under(&prefix);
            let created = if key == "header.converter" {
                self.plugins.header_converter(&class).map(|plugin| {
                    let def = plugin.config_def();
                    (def, plugin.create(&own).err())
                })
            } else {
                self.plugins.converter(&class).map(|plugin| {
                    let def = plugin.config_def();
                    (def, plugin.create(&own, key == "key.converter").err())
                })
            };
            match created {
                None => self.not_found(key, &class),
                Some((def, error)) => {
                    let values = def.validate(&own);
                    let is_fine = values.iter().all(|value| value.errors.is_empty());
                    for value in values {
                        if let Some(definition) = def.key(&value.name) {
                            let info = info_of(definition, value, &prefix);
                            self.found.push(info);
                        }
                    }
                    if let Some(error) = error.filter(|_| is_fine) {
                        self.error(key, error.to_string());
                    }
                }
            }
        }
    }

    /// The aliases of a list, each once.
    fn aliases(&mut self, list: &'static str) -> Vec<String> {
        let all = self.list(list);
        let mut once: Vec<String> = Vec::with_capacity(all.len());
        for alias in &all {
            if !once.contains(alias) {
                once.push(alias.clone());
            }
        }
        if once.len() < all.len() {
            let error =
                format!("Invalid value [{}] for configuration {list}: Duplicate alias provided.", all.join(", "));
            self.error(list, error);
        }
        once
    }

    /// The row of `<prefix>type`, and its value if there is one.
    fn class_of(&mut self, prefix: &str, word: &str, kind: &str) -> Option<String> {
        let name = format!("{prefix}type");
        let class = self.settings.get(&name).map(|class| class.trim().to_owned());
        let alias = prefix.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let group = format!("{}: {alias}", if kind == "predicate" { "Predicates" } else { "Transforms" });
        let key = ConfigKey::required("type", ConfigType::Class, Importance::High, "Which class.");
        let definition = KeyInfo {
            group: Some(group),
            order: 0,
            width: "LONG",
            display_name: format!("{word} type for {alias}"),
            ..KeyInfo::new(&key, prefix)
        };
        let missing = format!("Missing required configuration \"{name}\" which has no default value.");
        let value = ValueInfo {
            errors: if class.is_none() { vec![missing] } else { Vec::new() },
            value: class.clone(),
            recommended_values: self.plugins.classes(kind).into_iter().map(str::to_owned).collect(),
            visible: true,
            name,
        };
        self.found.push(ConfigInfo { definition: Some(definition), value });
        class
    }

    fn not_found(&mut self, key: &str, class: &str) {
        let error = format!("Invalid value {class} for configuration {key}: Class {class} could not be found.");
        self.error(key, error);
    }

    /// The rows of a table under a prefix; whether nothing is wrong with them.
    fn table(&mut self, def: &ConfigDef, own: &Settings, prefix: &str, group: &str) -> bool {
        let mut is_fine = true;
        for mut value in def.validate(own) {
            let Some(key) = def.key(&value.name) else { continue };
            is_fine &= value.errors.is_empty();
            for error in &mut value.errors {
                *error = with_prefix(error, key.name, prefix);
            }
            let mut info = info_of(key, value, prefix);
            if let Some(definition) = info.definition.as_mut() {
                definition.group = Some(group.to_owned());
                let order = self.found.iter().filter(|known| is_of_group(known, group)).count();
                definition.order = i32::try_from(order).unwrap_or(i32::MAX);
            }
            self.found.push(info);
        }
        is_fine
    }

    fn settings_under(&self, prefix: &str) -> Settings {
        let under = self.settings.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
        under.map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }
}

fn is_of_group(info: &ConfigInfo, group: &str) -> bool {
    info.definition.as_ref().is_some_and(|definition| definition.group.as_deref() == Some(group))
}

/// The sentence with the full name of the setting.
fn with_prefix(error: &str, name: &str, prefix: &str) -> String {
    error.replacen(&format!("\"{name}\""), &format!("\"{prefix}{name}\""), 1).replacen(
        &format!(" configuration {name}:"),
        &format!(" configuration {prefix}{name}:"),
        1,
    )
}
