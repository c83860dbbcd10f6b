//! One table, or the query, as a task reads it: what was read, what is asked next, rows that become records.
//!
//! In mode `timestamp` an offset says that *all* rows of that time were delivered. So the last row of a batch is held
//! back until the next one shows whether the time goes on, and rows within one time carry the offset of the time before.

use std::sync::Arc;

use super::clock::{Clock, Moment};
use super::config::SourceConfig;
use super::mapping::{self, RowMapping};
use super::offset::{self, Offset};
use super::statement::{NewsColumns, Origin};
use crate::connectors::jdbc::database::{Column, Database, Row, SqlValue, TableId};
use crate::connectors::jdbc::dialect::Dialect;
use crate::connectors::jdbc::url::JdbcUrl;
use crate::data::DataError;
use crate::plugin::TaskError;
use crate::record::{Origin as RecordOrigin, Record, SourceMap};

/// A table or query with its state.
pub(super) struct Reading {
    /// What is read.
    pub origin: Origin,
    /// How far; the next query starts behind it.
    pub offset: Offset,
    /// Partitions under which an offset may have been committed.
    pub partitions: Vec<SourceMap>,
    partition: Arc<SourceMap>,
    topic: Arc<str>,
    columns: NewsColumns,
    /// Whether the columns were found and checked.
    is_prepared: bool,
    result: Option<ResultState>,
}

/// What belongs to one result.
struct ResultState {
    columns: Arc<[Column]>,
    mapping: RowMapping,
    incrementing: Option<usize>,
    timestamps: Vec<usize>,
    held: Option<(Row, Offset)>,
}

impl Reading {
    /// A table.
    pub fn of_table(table: TableId, url: &JdbcUrl, config: &SourceConfig) -> Reading {
        let topic = format!("{}{}", config.topic_prefix, table.name);
        Reading::new(offset::of_table(&table, url), topic, Origin::Table(table))
    }

    /// The query of the settings.
    pub fn of_query(query: &str, config: &SourceConfig) -> Reading {
        Reading::new(offset::of_query(), config.topic_prefix.clone(), Origin::Query(query.to_owned()))
    }

    fn new(partitions: Vec<SourceMap>, topic: String, origin: Origin) -> Reading {
        Reading {
            origin,
            offset: Offset::default(),
            partition: offset::shared(&partitions),
            partitions,
            topic: topic.into(),
            columns: NewsColumns::default(),
            is_prepared: false,
            result: None,
        }
    }

    /// How it is called in logs and errors.
    pub fn name(&self) -> String {
        match &self.origin {
            Origin::Table(table) => format!("table {table}"),
            Origin::Query(_) => "the query".to_owned(),
        }
    }

    /// The columns that say what is new.
    pub fn news_columns(&self) -> &NewsColumns {
        &self.columns
    }

    /// Finds the columns of the mode, once.
    ///
    /// # Errors
    /// A table without such columns, or one where they may be null.
    pub async fn prepare(&mut self, database: &Database, config: &SourceConfig) -> Result<(), TaskError> {
        if self.is_prepared || config.mode.is_bulk() {
            return Ok(());
        }
        let columns = match &self.origin {
            Origin::Table(table) => {
                if config.mode.timestamp {
                    self.columns.timestamps = config.columns.timestamps(table)?;
                }
                if config.mode.incrementing {
                    self.columns.incrementing = Some(config.columns.incrementing(table)?);
                }
                let described = database.columns(table).await.map_err(|error| failure(&self.name(), &error))?;
                if described.is_empty() {
                    return Err(TaskError::retriable(format!("{} is gone", self.name())));
                }
                described
            }
            Origin::Query(_) => {
                let table = TableId::named("query");
                if config.mode.timestamp {
                    self.columns.timestamps = config.columns.timestamps(&table)?;
                }
                if config.mode.incrementing {
                    self.columns.incrementing = Some(config.columns.incrementing(&table)?);
                }
                Vec::new()
            }
        };
        if self.columns.incrementing.as_ref().is_some_and(String::is_empty) {
            self.columns.incrementing = Some(counted(&columns, &self.name())?);
        }
        if config.validate_non_null && !columns.is_empty() {
            self.check_nulls(&columns)?;
        }
        self.is_prepared = true;
        Ok(())
    }

    fn check_nulls(&self, columns: &[Column]) -> Result<(), TaskError> {
        let may_be_null = |name: &String| {
            let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            column.is_none_or(|column| column.nullable)
        };
        let refuse = |what: &str, names: &str| {
            Err(TaskError::fatal(format!(
                "Cannot make incremental queries of {}: {what} column {names} may be null. Rows where it is null would \
                 never be read; declare it NOT NULL, or set validate.non.null=false",
                self.name()
            )))
        };
        if let Some(name) = self.columns.incrementing.as_ref().filter(|name| may_be_null(name)) {
            return refuse("incrementing", name);
        }
        let times = &self.columns.timestamps;
        if !times.is_empty() && times.iter().all(may_be_null) {
            return refuse("timestamp", &times.join(", "));
        }
        Ok(())
    }

    /// A query has been answered with these columns.
    ///
    /// # Errors
    /// Columns of the settings that are not among them.
    pub fn begin(&mut self, columns: &Arc<[Column]>, dialect: Dialect, config: &SourceConfig) -> Result<(), TaskError> {
        if let Some(state) = &mut self.result {
            state.held = None;
            if state.columns == *columns {
                return Ok(());
            }
            tracing::info!("{}: its columns have changed", self.name());
        }
        let position = |name: &String| {
            let found = columns.iter().position(|column| column.name == *name);
            let found = found.or_else(|| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)));
            found.ok_or_else(|| TaskError::fatal(format!("{} has no column {name}", self.name())))
        };
        let incrementing = self.columns.incrementing.as_ref().map(position).transpose()?;
        let timestamps: Result<Vec<usize>, TaskError> = self.columns.timestamps.iter().map(position).collect();
        let name = match &self.origin {
            Origin::Table(table) => Some(table.name.as_str()),
            Origin::Query(_) => None,
        };
        let mapping = RowMapping::new(columns, name, dialect, config)?;
        let timestamps = timestamps?;
        self.result = Some(ResultState { columns: Arc::clone(columns), mapping, incrementing, timestamps, held: None });
        Ok(())
    }

    /// The records of some rows; the last row may wait for the next ones.
    ///
    /// # Errors
    /// A value that is not what its column is for.
    pub fn records(&mut self, rows: Vec<Row>, clock: &Clock) -> Result<Vec<Record>, DataError> {
        let Some(state) = &mut self.result else { return Ok(Vec::new()) };
        let mut records = Vec::with_capacity(rows.len() + 1);
        let holds_back = state.incrementing.is_none() && !state.timestamps.is_empty();
        for row in rows {
            let at = state.position(&row, clock)?;
            if !holds_back {
                self.offset = at;
                records.push(record(&state.mapping, row, at, &self.topic, &self.partition)?);
                continue;
            }
            if let Some((held, held_at)) = state.held.replace((row, at)) {
                if held_at != at {
                    self.offset = held_at;
                }
                records.push(record(&state.mapping, held, self.offset, &self.topic, &self.partition)?);
            }
        }
        Ok(records)
    }

    /// The record of the row that was held back: nothing follows it.
    ///
    /// # Errors
    /// A value that is not what its column is for.
    pub fn end(&mut self) -> Result<Vec<Record>, DataError> {
        let Some(state) = &mut self.result else { return Ok(Vec::new()) };
        let Some((held, at)) = state.held.take() else { return Ok(Vec::new()) };
        self.offset = at;
        Ok(vec![record(&state.mapping, held, at, &self.topic, &self.partition)?])
    }
}

impl ResultState {
    /// The offset of a row.
    fn position(&self, row: &Row, clock: &Clock) -> Result<Offset, DataError> {
        let column = |index: usize| self.columns.get(index).map_or("", |column| &column.name);
        let mut offset = Offset::default();
        if let Some(index) = self.incrementing {
            let value = row.get(index).unwrap_or(&SqlValue::Null);
            let number = whole_number(value).ok_or_else(|| {
                DataError::new(format!(
                    "The incrementing column {} holds {value:?}, which is no integer of 64 bits",
                    column(index)
                ))
            })?;
            offset.incrementing = Some(number);
        }
        let times = self.timestamps.iter().filter_map(|index| row.get(*index).map(|value| (*index, value)));
        if let Some((index, value)) = times.into_iter().find(|(_, value)| !value.is_null()) {
            let moment = mapping::moment(value, clock);
            offset.timestamp =
                Some(moment.map_err(|why| DataError::new(format!("Timestamp column {}: {why}", column(index))))?);
        }
        Ok(offset)
    }
}

fn record(
    mapping: &RowMapping,
    row: Row,
    offset: Offset,
    topic: &Arc<str>,
    partition: &Arc<SourceMap>,
) -> Result<Record, DataError> {
    let (key, value) = mapping.read(row)?;
    Ok(Record {
        topic: Arc::clone(topic),
        partition: None,
        key,
        value,
        timestamp: None,
        headers: Vec::new(),
        origin: RecordOrigin::Source { partition: Arc::clone(partition), offset: offset.to_map() },
    })
}

fn whole_number(value: &SqlValue) -> Option<i64> {
    use bigdecimal::ToPrimitive;
    match value {
        SqlValue::Decimal(number) if number.is_integer() => number.to_i64(),
        SqlValue::Text(text) => text.trim().parse().ok(),
        value => value.as_i64(),
    }
}

/// The column that the database counts up.
fn counted(columns: &[Column], name: &str) -> Result<String, TaskError> {
    let mut counted = columns.iter().filter(|column| column.auto_increment);
    match (counted.next(), counted.next()) {
        (Some(column), None) => Ok(column.name.clone()),
        _ => Err(TaskError::fatal(format!(
            "{name}: there is not exactly one column that the database counts up; name one in incrementing.column.name"
        ))),
    }
}

/// Why a task cannot go on, or can when it tries again.
pub(super) fn failure(name: &str, error: &crate::connectors::jdbc::database::DatabaseError) -> TaskError {
    let text = format!("{name}: {error}");
    if error.is_transient() { TaskError::Retriable(text) } else { TaskError::Fatal(text) }
}

/// Where a reading starts that has no offset yet.
pub(super) fn initial(config: &SourceConfig, now: Moment) -> Offset {
    let timestamp = config.timestamp_initial.filter(|_| config.mode.timestamp).map(|initial| match initial {
        -1 => now,
        millis => Moment::from_millis(millis),
    });
    Offset { incrementing: None, timestamp }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::jdbc::database::SqlType;
    use crate::data::Value;
    use crate::plugin::Settings;
    use jiff::tz::TimeZone;

    fn reading(mode: &str) -> (Reading, SourceConfig) {
        let settings: Settings = [
            ("mode", mode),
            ("topic.prefix", "p_"),
            ("timestamp.column.name", "at"),
            ("incrementing.column.name", "id"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        let config = SourceConfig::new(&settings).expect("settings");
        let url = JdbcUrl::parse("jdbc:mysql://h/d").expect("a URL");
        let table = TableId { catalog: Some("d".to_owned()), schema: None, name: "users".to_owned() };
        let mut reading = Reading::of_table(table, &url, &config);
        if config.mode.timestamp {
            reading.columns.timestamps = vec!["at".to_owned()];
        }
        if config.mode.incrementing {
            reading.columns.incrementing = Some("id".to_owned());
        }
        let mut id = Column::new("id", SqlType::Integer, "int");
        id.nullable = false;
        let columns: Arc<[Column]> = vec![id, Column::new("at", SqlType::DateTime, "datetime")].into();
        reading.begin(&columns, Dialect::MySql, &config).expect("columns");
        (reading, config)
    }

    fn row(id: i64, second: i64) -> Row {
        let at = format!("1970-01-01T00:00:{second:02}").parse().expect("a date");
        vec![SqlValue::Int(id), SqlValue::DateTime(at)]
    }

    fn offsets(records: &[Record]) -> Vec<(Option<i64>, Option<i64>)> {
        let of = |record: &Record| match &record.origin {
            RecordOrigin::Source { offset, .. } => Offset::from_map(offset),
            RecordOrigin::Sink { .. } => Offset::default(),
        };
        records.iter().map(of).map(|offset| (offset.incrementing, offset.timestamp.map(|at| at.seconds))).collect()
    }

    fn clock() -> Clock {
        Clock::new(TimeZone::UTC, true)
    }

    #[test]
    fn numbers_go_on_with_each_row() {
        let (mut reading, _) = reading("incrementing");
        let records = reading.records(vec![row(1, 1), row(5, 1)], &clock()).expect("records");
        assert_eq!(offsets(&records), [(Some(1), None), (Some(5), None)]);
        assert_eq!(&*records[0].topic, "p_users");
        assert_eq!(records[0].value.schema.as_ref().and_then(|schema| schema.name.as_deref()), Some("users"));
        assert_eq!(records[1].value.value.get("id"), Some(&Value::Int32(5)));
        assert_eq!(reading.end().expect("nothing"), []);
    }

    #[test]
    fn a_time_is_committed_when_all_its_rows_were_read() {
        let (mut reading, _) = reading("timestamp");
        let first = reading.records(vec![row(1, 1), row(2, 2), row(3, 2)], &clock()).expect("records");
        assert_eq!(offsets(&first), [(None, Some(1)), (None, Some(1))]);
        let second = reading.records(vec![row(4, 2), row(5, 3)], &clock()).expect("records");
        assert_eq!(offsets(&second), [(None, Some(1)), (None, Some(2))]);
        assert_eq!(offsets(&reading.end().expect("the last")), [(None, Some(3))]);
        assert_eq!(reading.offset.timestamp.map(|at| at.seconds), Some(3));
    }

    #[test]
    fn time_and_number_go_on_together() {
        let (mut reading, _) = reading("timestamp+incrementing");
        let records = reading.records(vec![row(1, 1), row(2, 1)], &clock()).expect("records");
        assert_eq!(offsets(&records), [(Some(1), Some(1)), (Some(2), Some(1))]);
    }

    #[test]
    fn a_query_that_starts_again_forgets_what_it_held_back() {
        let (mut reading, config) = reading("timestamp");
        reading.records(vec![row(1, 1)], &clock()).expect("records");
        let columns = Arc::clone(&reading.result.as_ref().expect("a result").columns);
        reading.begin(&columns, Dialect::MySql, &config).expect("columns");
        assert_eq!(reading.end().expect("nothing"), []);
        assert_eq!(reading.offset, Offset::default());
    }

    #[test]
    fn columns_that_may_be_null_are_refused() {
        let (reading, _) = reading("timestamp+incrementing");
        let mut id = Column::new("id", SqlType::Integer, "int");
        let mut at = Column::new("at", SqlType::DateTime, "datetime");
        at.nullable = false;
        let error = reading.check_nulls(&[id.clone(), at.clone()]).expect_err("null").to_string();
        assert!(error.contains("incrementing column id may be null"), "{error}");
        id.nullable = false;
        assert!(reading.check_nulls(&[id.clone(), at.clone()]).is_ok());
        at.nullable = true;
        assert!(reading.check_nulls(&[id, at]).is_err());
    }
}
