//! What the table of settings cannot check: settings that exclude each other, and whether the database answers.

use std::time::Duration;

use super::config::{SourceConfig, list};
use super::tables;
use crate::config::def::ConfigValue;
use crate::connectors::jdbc::database::{Database, DatabaseError, TableId};
use crate::connectors::jdbc::dialect::Dialect;
use crate::connectors::jdbc::url::JdbcUrl;
use crate::plugin::Settings;

/// How long a user waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Adds errors and recommended values.
pub(super) async fn validate(settings: &Settings, values: &mut Vec<ConfigValue>) {
    exclusive(settings, values);
    columns_of_mode(settings, values);
    recommend(
        values,
        "mode",
        ["bulk", "incrementing", "timestamp", "timestamp+incrementing"].map(str::to_owned).into(),
    );
    recommend(values, "dialect.name", Dialect::CLASSES.iter().map(|name| (*name).to_owned()).collect());
    if values.iter().any(|value| !value.errors.is_empty()) {
        return;
    }
    let url = match JdbcUrl::from_settings(settings) {
        Ok(url) => url,
        Err(error) => return refuse(values, "connection.url", &error.to_string()),
    };
    let config = match SourceConfig::new(settings) {
        Ok(config) => config,
        Err(error) => return refuse(values, "mode", &error.to_string()),
    };
    let answer = tokio::time::timeout(PATIENCE, tables_of(&url, &config)).await;
    match answer {
        Ok(Ok(tables)) => {
            let names: Vec<String> = tables.into_iter().map(|table| table.name).collect();
            recommend(values, "table.whitelist", names.clone());
            recommend(values, "table.blacklist", names);
        }
        Ok(Err(error)) => refuse(values, "connection.url", &format!("{url}: {error}")),
        Err(_) => refuse(values, "connection.url", &format!("{url}: the database does not answer within {PATIENCE:?}")),
    }
}

async fn tables_of(url: &JdbcUrl, config: &SourceConfig) -> Result<Vec<TableId>, DatabaseError> {
    let database = Database::connect(url).await?;
    let tables = if config.query.is_some() { Ok(Vec::new()) } else { tables::all(&database, config).await };
    database.close().await;
    tables
}

fn exclusive(settings: &Settings, values: &mut Vec<ConfigValue>) {
    let is_set = |key: &str| settings.get(key).is_some_and(|value| !value.trim().is_empty());
    let mut refuse_pair = |one: &str, other: &str| {
        if is_set(one) && is_set(other) {
            refuse(values, one, &format!("{one} and {other} exclude each other"));
            refuse(values, other, &format!("{one} and {other} exclude each other"));
        }
    };
    refuse_pair("table.whitelist", "table.blacklist");
    for newer in ["table.include.list", "table.exclude.list"] {
        for older in ["table.whitelist", "table.blacklist"] {
            refuse_pair(newer, older);
        }
    }
    refuse_pair("query", "query.masked");
    for query in ["query", "query.masked"] {
        for choice in ["table.whitelist", "table.blacklist", "table.include.list", "table.exclude.list"] {
            refuse_pair(query, choice);
        }
    }
    refuse_pair("incrementing.column.name", "incrementing.column.mapping");
    refuse_pair("timestamp.column.name", "timestamp.columns.mapping");
}

fn columns_of_mode(settings: &Settings, values: &mut Vec<ConfigValue>) {
    let text = |key: &str| settings.get(key).map(|value| value.trim()).unwrap_or_default();
    let has_query = !text("query").is_empty() || !text("query.masked").is_empty();
    let mode = text("mode");
    let has_times = !list(text("timestamp.column.name")).is_empty() || !text("timestamp.columns.mapping").is_empty();
    if mode.starts_with("timestamp") && !has_times {
        refuse(
            values,
            "timestamp.column.name",
            &format!("mode={mode} needs timestamp.column.name or timestamp.columns.mapping"),
        );
    }
    if mode.ends_with("incrementing")
        && has_query
        && text("incrementing.column.name").is_empty()
        && text("incrementing.column.mapping").is_empty()
    {
        refuse(values, "incrementing.column.name", "a query needs the name of its incrementing column");
    }
    if text("key.mode").eq_ignore_ascii_case("columns") && list(text("key.columns")).is_empty() {
        refuse(values, "key.columns", "key.mode=columns needs names of columns");
    }
}

fn refuse(values: &mut Vec<ConfigValue>, key: &str, text: &str) {
    match values.iter_mut().find(|value| value.name == key) {
        Some(value) if value.errors.iter().any(|error| error == text) => {}
        Some(value) => value.errors.push(text.to_owned()),
        None => values.push(ConfigValue {
            name: key.to_owned(),
            value: None,
            recommended_values: Vec::new(),
            errors: vec![text.to_owned()],
            visible: true,
        }),
    }
}

fn recommend(values: &mut [ConfigValue], key: &str, recommended: Vec<String>) {
    if let Some(value) = values.iter_mut().find(|value| value.name == key) {
        value.recommended_values = recommended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn errors(settings: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let settings: Settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut values = Vec::new();
        validate(&settings, &mut values).await;
        values.into_iter().filter(|value| !value.errors.is_empty()).map(|value| (value.name, value.errors)).collect()
    }

    #[tokio::test]
    async fn settings_that_exclude_each_other_are_both_named() {
        let found = errors(&[("mode", "bulk"), ("query", "SELECT 1"), ("table.whitelist", "a")]).await;
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["query", "table.whitelist"]);
    }

    #[tokio::test]
    async fn modes_need_their_columns() {
        let found = errors(&[("mode", "timestamp+incrementing"), ("query", "SELECT 1")]).await;
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["timestamp.column.name", "incrementing.column.name"]);
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_is_told_without_the_password() {
        let found = errors(&[
            ("mode", "bulk"),
            ("connection.url", "jdbc:mysql://127.0.0.1:1/d"),
            ("connection.password", "geheim"),
        ])
        .await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "connection.url");
        assert!(found[0].1[0].contains("jdbc:mysql://127.0.0.1:1/d") && !found[0].1[0].contains("geheim"), "{found:?}");
    }
}
