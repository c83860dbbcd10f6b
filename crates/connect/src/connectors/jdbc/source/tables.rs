//! Which tables of a database are read.

use std::collections::HashMap;

use super::config::{SourceConfig, TableChoice};
use crate::connectors::jdbc::database::{Database, DatabaseError, TableFilter, TableId};
use crate::connectors::jdbc::dialect::Dialect;
use crate::connectors::jdbc::url::JdbcUrl;
use crate::plugin::TaskError;

/// All tables that the patterns of catalogs and schemas let through.
///
/// # Errors
/// A database that does not answer.
pub(super) async fn all(database: &Database, config: &SourceConfig) -> Result<Vec<TableId>, DatabaseError> {
    let choice = &config.tables;
    let filter =
        TableFilter { catalog: choice.catalog.clone(), schema: choice.schema.clone(), types: choice.types.clone() };
    database.tables(filter).await
}

/// The tables that the settings choose, by a connection of its own.
///
/// # Errors
/// A database that does not answer, or that refuses.
pub(super) async fn chosen(url: &JdbcUrl, config: &SourceConfig) -> Result<Vec<TableId>, DatabaseError> {
    let database = Database::connect(url).await?;
    let tables = all(&database, config).await;
    database.close().await;
    Ok(tables?.into_iter().filter(|table| is_chosen(table, &config.tables, url)).collect())
}

fn is_chosen(table: &TableId, choice: &TableChoice, url: &JdbcUrl) -> bool {
    let names = names(table, url);
    let is_listed = |list: &[String]| {
        list.iter().any(|listed| {
            let listed = url.dialect.parse_table(listed).to_string();
            names.contains(&listed)
        })
    };
    let full = &names[1..];
    if !choice.whitelist.is_empty() && !is_listed(&choice.whitelist) || is_listed(&choice.blacklist) {
        return false;
    }
    let matches = |pattern: &regex::Regex| full.iter().any(|name| pattern.is_match(name));
    (choice.include.is_empty() || choice.include.iter().any(matches)) && !choice.exclude.iter().any(matches)
}

/// Names by which a user may mean a table, the shortest first.
fn names(table: &TableId, url: &JdbcUrl) -> Vec<String> {
    let mut names = vec![table.name.clone(), table.to_string()];
    if url.dialect == Dialect::Postgres && table.catalog.is_none() {
        names.extend(url.database.as_ref().map(|database| format!("{database}.{table}")));
    }
    names
}

/// Two tables of one name would be mixed in one topic.
///
/// # Errors
/// There are such tables.
pub(super) fn check_names(tables: &[TableId]) -> Result<(), TaskError> {
    let mut by_name: HashMap<&str, &TableId> = HashMap::new();
    for table in tables {
        if let Some(other) = by_name.insert(&table.name, table) {
            return Err(TaskError::fatal(format!(
                "Tables {other} and {table} would share one topic, which is named after the table alone. Name the tables \
                 in table.whitelist with catalog and schema, or use catalog.pattern or schema.pattern"
            )));
        }
    }
    Ok(())
}

/// Spreads tables over at most `groups` groups, in order, as evenly as it goes.
pub(super) fn groups(tables: &[TableId], groups: usize) -> Vec<&[TableId]> {
    let groups = groups.min(tables.len()).max(1);
    let (each, larger) = (tables.len() / groups, tables.len() % groups);
    let mut rest = tables;
    let mut spread = Vec::with_capacity(groups);
    for index in 0..groups {
        let (group, after) = rest.split_at(each + usize::from(index < larger));
        spread.push(group);
        rest = after;
    }
    spread
}

/// Quoted names with commas between them, as the setting `tables` of a task has them.
pub(super) fn write_list(tables: &[TableId], dialect: Dialect) -> String {
    let quoted = |table: &TableId| dialect.quote_table(table, crate::connectors::jdbc::dialect::Quoting::Always);
    tables.iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// The tables of a task.
pub(super) fn read_list(text: &str, dialect: Dialect) -> Vec<TableId> {
    let mark = dialect.quote_mark();
    let mut is_quoted = false;
    text.split(|letter| {
        // A doubled mark turns it off and on again.
        is_quoted ^= letter == mark;
        letter == ',' && !is_quoted
    })
    .filter(|name| !name.trim().is_empty())
    .map(|name| dialect.parse_table(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Settings;

    fn table(catalog: &str, name: &str) -> TableId {
        TableId { catalog: Some(catalog.to_owned()), schema: None, name: name.to_owned() }
    }

    fn chosen(settings: &[(&str, &str)], tables: &[TableId]) -> Vec<String> {
        let base = [("mode", "bulk"), ("connection.url", "jdbc:mysql://h/d")];
        let settings: Settings =
            base.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = SourceConfig::new(&settings).expect("settings");
        let url = JdbcUrl::from_settings(&settings).expect("a URL");
        tables.iter().filter(|table| is_chosen(table, &config.tables, &url)).map(ToString::to_string).collect()
    }

    #[test]
    fn lists_and_patterns_choose_tables() {
        let tables = [table("d", "users"), table("d", "orders"), table("e", "users")];
        assert_eq!(chosen(&[], &tables).len(), 3);
        assert_eq!(chosen(&[("table.whitelist", "users, x")], &tables), ["d.users", "e.users"]);
        assert_eq!(chosen(&[("table.whitelist", "d.users")], &tables), ["d.users"]);
        assert_eq!(chosen(&[("table.whitelist", "`d`.`users`")], &tables), ["d.users"]);
        assert_eq!(chosen(&[("table.blacklist", "users")], &tables), ["d.orders"]);
        assert_eq!(chosen(&[("table.include.list", "d[.].*,x")], &tables), ["d.users", "d.orders"]);
        assert_eq!(chosen(&[("table.exclude.list", ".*users")], &tables), ["d.orders"]);
    }

    #[test]
    fn tables_of_one_name_do_not_share_a_topic() {
        assert!(check_names(&[table("d", "a"), table("d", "b")]).is_ok());
        assert!(check_names(&[table("d", "a"), table("e", "a")]).is_err());
    }

    #[test]
    fn tasks_get_tables_evenly_and_read_them_back() {
        let tables: Vec<TableId> = (0..5).map(|n| table("d", &format!("t`,{n}"))).collect();
        let spread = groups(&tables, 3);
        assert_eq!(spread.iter().map(|group| group.len()).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(groups(&tables, 9).len(), 5);
        for group in spread {
            assert_eq!(read_list(&write_list(group, Dialect::MySql), Dialect::MySql), group);
        }
    }
}
