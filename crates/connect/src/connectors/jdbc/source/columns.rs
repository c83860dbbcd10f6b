//! Which columns tell what is new in a table (`incrementing.column.*`, `timestamp.column*`).

use regex::Regex;

use super::config::{list, pattern};
use crate::connectors::jdbc::database::TableId;
use crate::plugin::{Settings, TaskError};

/// The settings.
#[derive(Debug, Clone)]
pub(super) struct ColumnRules {
    incrementing: String,
    incrementing_by_table: Vec<(Regex, String)>,
    timestamps: Vec<String>,
    timestamps_by_table: Vec<(Regex, Vec<String>)>,
}

impl ColumnRules {
    /// Reads the settings.
    ///
    /// # Errors
    /// A mapping that is not `regex:column`.
    pub fn new(settings: &Settings) -> Result<ColumnRules, TaskError> {
        let text = |key: &str| settings.get(key).map(|value| value.trim()).unwrap_or_default();
        let incrementing_by_table = pairs("incrementing.column.mapping", text("incrementing.column.mapping"))?;
        let timestamps_by_table = pairs("timestamp.columns.mapping", text("timestamp.columns.mapping"))?;
        let several = |columns: String| {
            let inner = columns.trim_start_matches('[').trim_end_matches(']');
            inner.split('|').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        Ok(ColumnRules {
            incrementing: text("incrementing.column.name").to_owned(),
            incrementing_by_table,
            timestamps: list(text("timestamp.column.name")),
            timestamps_by_table: timestamps_by_table
                .into_iter()
                .map(|(table, columns)| (table, several(columns)))
                .collect(),
        })
    }

    /// The column that grows; empty: find out.
    ///
    /// # Errors
    /// Not exactly one mapping for this table.
    pub fn incrementing(&self, table: &TableId) -> Result<String, TaskError> {
        if self.incrementing_by_table.is_empty() {
            return Ok(self.incrementing.clone());
        }
        one("incrementing.column.mapping", &self.incrementing_by_table, table)
    }

    /// The columns with times.
    ///
    /// # Errors
    /// Not exactly one mapping for this table.
    pub fn timestamps(&self, table: &TableId) -> Result<Vec<String>, TaskError> {
        if self.timestamps_by_table.is_empty() {
            return Ok(self.timestamps.clone());
        }
        one("timestamp.columns.mapping", &self.timestamps_by_table, table)
    }
}

fn pairs(key: &str, text: &str) -> Result<Vec<(Regex, String)>, TaskError> {
    let wrong = |why: &str| TaskError::fatal(format!("Invalid value {text} for configuration {key}: {why}"));
    let pair = |item: String| {
        let (table, column) = item.rsplit_once(':').ok_or_else(|| wrong("each part must be regex:column"))?;
        Ok((pattern(table.trim()).map_err(|why| wrong(&why))?, column.trim().to_owned()))
    };
    list(text).into_iter().map(pair).collect()
}

fn one<T: Clone>(key: &str, rules: &[(Regex, T)], table: &TableId) -> Result<T, TaskError> {
    let full = table.to_string();
    let mut matching = rules.iter().filter(|(pattern, _)| pattern.is_match(&full));
    match (matching.next(), matching.next()) {
        (Some((_, value)), None) => Ok(value.clone()),
        (None, _) => Err(TaskError::fatal(format!("No pattern of {key} matches table {full}"))),
        (Some(_), Some(_)) => Err(TaskError::fatal(format!("More than one pattern of {key} matches table {full}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_one_rule() {
        let settings: Settings = [
            ("timestamp.columns.mapping", ".*users:[changed|created], .*orders:at"),
            ("incrementing.column.mapping", ".*:id,.*orders:nr"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        let rules = ColumnRules::new(&settings).expect("rules");
        let table = |name: &str| TableId { catalog: Some("db".to_owned()), schema: None, name: name.to_owned() };
        assert_eq!(rules.timestamps(&table("users")).expect("columns"), ["changed", "created"]);
        assert_eq!(rules.timestamps(&table("orders")).expect("columns"), ["at"]);
        assert_eq!(rules.incrementing(&table("users")).expect("a column"), "id");
        assert!(rules.incrementing(&table("orders")).is_err());
        assert!(rules.timestamps(&table("none")).is_err());
    }
}
