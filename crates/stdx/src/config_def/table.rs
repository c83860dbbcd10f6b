//! A set of configuration keys with a quick look-up.

use std::collections::BTreeMap;

use super::ConfigDef;

/// Rows sorted by name.
pub struct ConfigTable {
    rows: BTreeMap<&'static str, ConfigDef>,
}

impl ConfigTable {
    /// The rows of all `areas`.
    pub fn new(areas: &[&'static [ConfigDef]]) -> ConfigTable {
        ConfigTable { rows: areas.iter().flat_map(|area| area.iter()).map(|def| (def.name, *def)).collect() }
    }

    /// The row of `name`.
    pub fn get(&self, name: &str) -> Option<&ConfigDef> {
        self.rows.get(name)
    }

    /// Every row, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigDef> {
        self.rows.values()
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rows.keys().copied()
    }
}
