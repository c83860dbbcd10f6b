//! The SQL that finds what is new, with its parameters.

use super::clock::{Clock, Moment};
use super::config::{Mode, SourceConfig};
use super::offset::Offset;
use crate::connectors::jdbc::database::{SqlValue, TableId};
use crate::connectors::jdbc::dialect::{Dialect, Quoting};

/// What rows are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A table.
    Table(TableId),
    /// The result of a query.
    Query(String),
}

/// The columns that say what is new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NewsColumns {
    /// The number that grows.
    pub incrementing: Option<String>,
    /// Times; the first that is not null counts.
    pub timestamps: Vec<String>,
}

/// The query of everything behind `offset` and before `until`.
pub(super) fn select(
    origin: &Origin,
    columns: &NewsColumns,
    offset: Offset,
    until: Option<Moment>,
    dialect: Dialect,
    config: &SourceConfig,
    clock: &Clock,
) -> (String, Vec<SqlValue>) {
    let mut statement = Statement { sql: String::new(), params: Vec::new(), dialect };
    match origin {
        Origin::Table(table) => {
            statement.sql.push_str("SELECT * FROM ");
            statement.sql.push_str(&dialect.quote_table(table, config.quoting));
        }
        Origin::Query(query) => statement.sql.push_str(query),
    }
    statement.filter(columns, offset, until, config, clock);
    if !config.query_suffix.is_empty() {
        statement.sql.push(' ');
        statement.sql.push_str(&config.query_suffix);
    }
    (statement.sql, statement.params)
}

struct Statement {
    sql: String,
    params: Vec<SqlValue>,
    dialect: Dialect,
}

impl Statement {
    fn filter(
        &mut self,
        columns: &NewsColumns,
        offset: Offset,
        until: Option<Moment>,
        config: &SourceConfig,
        clock: &Clock,
    ) {
        let number =
            columns.incrementing.as_ref().map(|name| self.dialect.quote(name, config.quoting)).unwrap_or_default();
        let last = offset.incrementing.unwrap_or(-1);
        let time = time_expression(&columns.timestamps, self.dialect, config.quoting);
        let from = bound(offset.timestamp.unwrap_or(Moment::EPOCH), self.dialect, clock);
        let until = until.map_or(SqlValue::Null, |until| bound(until, self.dialect, clock));
        match config.mode {
            Mode { incrementing: false, timestamp: false } => {}
            Mode { incrementing: true, timestamp: false } => {
                let id = self.param(SqlValue::Int(last));
                self.sql.push_str(&format!(" WHERE {number} > {id} ORDER BY {number} ASC"));
            }
            Mode { incrementing: false, timestamp: true } => {
                let (from, until) = (self.param(from), self.param(until));
                self.sql.push_str(&format!(" WHERE {time} > {from} AND {time} < {until} ORDER BY {time} ASC"));
            }
            Mode { incrementing: true, timestamp: true } => {
                let until = self.param(until);
                let (same, id, from) = (self.param(from.clone()), self.param(SqlValue::Int(last)), self.param(from));
                self.sql.push_str(&format!(
                    " WHERE {time} < {until} AND (({time} = {same} AND {number} > {id}) OR {time} > {from}) \
                     ORDER BY {time}, {number} ASC"
                ));
            }
        }
    }

    fn param(&mut self, value: SqlValue) -> String {
        self.params.push(value);
        self.dialect.placeholder(self.params.len())
    }
}

fn time_expression(columns: &[String], dialect: Dialect, quoting: Quoting) -> String {
    let names: Vec<String> = columns.iter().map(|name| dialect.quote(name, quoting)).collect();
    let time = match names.as_slice() {
        [one] => one.clone(),
        several => format!("COALESCE({})", several.join(",")),
    };
    if dialect != Dialect::Sqlite {
        return time;
    }
    // Times are text or numbers there, and neither is less than the other in a way that helps.
    format!(
        "CASE typeof({time}) WHEN 'integer' THEN strftime('%Y-%m-%d %H:%M:%f', {time} / 1000.0, 'unixepoch') \
         ELSE strftime('%Y-%m-%d %H:%M:%f', {time}) END"
    )
}

/// A moment as the database compares it with a column.
fn bound(moment: Moment, dialect: Dialect, clock: &Clock) -> SqlValue {
    let (shown, ahead) = clock.shows(moment);
    match dialect {
        Dialect::MySql => SqlValue::DateTime(shown),
        Dialect::Postgres => SqlValue::Moment { clock: shown, ahead },
        Dialect::Sqlite => SqlValue::Text(shown.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Settings;

    fn sql(mode: &str, dialect: Dialect, origin: &Origin, more: &[(&str, &str)]) -> (String, Vec<SqlValue>) {
        let base = [("mode", mode), ("topic.prefix", "")];
        let settings: Settings =
            base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = SourceConfig::new(&settings).expect("settings");
        let clock = Clock::new(config.zone.clone(), true);
        let columns = NewsColumns {
            incrementing: Some("id".to_owned()),
            timestamps: vec!["changed".to_owned(), "created".to_owned()],
        };
        let offset = Offset { incrementing: Some(5), timestamp: Some(Moment { seconds: 1, nanos: 500_000_000 }) };
        select(origin, &columns, offset, Some(Moment { seconds: 60, nanos: 0 }), dialect, &config, &clock)
    }

    fn table() -> Origin {
        Origin::Table(TableId { catalog: Some("mydb".to_owned()), schema: None, name: "users".to_owned() })
    }

    fn shown(text: &str) -> SqlValue {
        SqlValue::DateTime(text.parse().expect("a date"))
    }

    #[test]
    fn bulk_reads_everything() {
        assert_eq!(sql("bulk", Dialect::MySql, &table(), &[]), ("SELECT * FROM `mydb`.`users`".to_owned(), Vec::new()));
        let query = Origin::Query("SELECT 1".to_owned());
        let (sql, _) = sql("bulk", Dialect::MySql, &query, &[("query.suffix", "LIMIT 5")]);
        assert_eq!(sql, "SELECT 1 LIMIT 5");
    }

    #[test]
    fn incrementing_asks_for_greater_numbers() {
        let (sql, params) = sql("incrementing", Dialect::Postgres, &table(), &[("quote.sql.identifiers", "never")]);
        assert_eq!(sql, "SELECT * FROM mydb.users WHERE id > $1 ORDER BY id ASC");
        assert_eq!(params, [SqlValue::Int(5)]);
    }

    #[test]
    fn timestamp_asks_for_a_range() {
        let (sql, params) = sql("timestamp", Dialect::MySql, &table(), &[("db.timezone", "+01:00")]);
        assert_eq!(
            sql,
            "SELECT * FROM `mydb`.`users` WHERE COALESCE(`changed`,`created`) > ? AND COALESCE(`changed`,`created`) < ? \
             ORDER BY COALESCE(`changed`,`created`) ASC"
        );
        assert_eq!(params, [shown("1970-01-01T01:00:01.5"), shown("1970-01-01T01:01:00")]);
    }

    #[test]
    fn both_together_break_ties_by_the_number() {
        let (sql, params) = sql("timestamp+incrementing", Dialect::MySql, &table(), &[]);
        let time = "COALESCE(`changed`,`created`)";
        assert_eq!(
            sql,
            format!(
                "SELECT * FROM `mydb`.`users` WHERE {time} < ? AND (({time} = ? AND `id` > ?) OR {time} > ?) \
                 ORDER BY {time}, `id` ASC"
            )
        );
        let from = shown("1970-01-01T00:00:01.5");
        assert_eq!(params, [shown("1970-01-01T00:01:00"), from.clone(), SqlValue::Int(5), from]);
    }
}
