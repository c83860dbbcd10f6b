//! `SHOW PROPERTIES`: what is in force, for the server and for the session.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Call;
use crate::config::SQL_CONFIGS;
use crate::config::overrides::{Override, level};
use crate::session::Session;

/// The answer's members.
pub fn shown(call: &Call<'_>, session: &Session) -> Value {
    let config = &call.server.config;
    let mut names: BTreeMap<&str, &str> = config.settings.entries().collect();
    names.extend(session.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let row = |name: &str, value: &str| {
        let editable = Override::find(name).is_some_and(Override::is_editable);
        json!({ "name": name, "scope": "KSQL", "value": value, "editable": editable, "level": level(name) })
    };
    let is_default = |name: &str, value: &str| SQL_CONFIGS.get(name).and_then(|def| def.default) == Some(value);
    let is_overwritten = |name: &str, value: &str| config.settings.get(name) != Some(value);
    let chosen = |wanted: &dyn Fn(&str, &str) -> bool| -> Vec<&str> {
        names.iter().filter(|(name, value)| wanted(name, value)).map(|(name, _)| *name).collect()
    };
    json!({
        "properties": names.iter().map(|(name, value)| row(name, value)).collect::<Vec<_>>(),
        "overwrittenProperties": chosen(&is_overwritten),
        "defaultProperties": chosen(&is_default),
    })
}
