//! The task: its tables in turn, over one connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::clock::{Clock, Moment};
use super::config::SourceConfig;
use super::mapping;
use super::reading::{self, Reading};
use super::statement::{self, Origin};
use super::{offset, tables};
use crate::connectors::jdbc::database::{Database, DatabaseError, RowStream};
use crate::connectors::jdbc::dialect::Dialect;
use crate::connectors::jdbc::url::JdbcUrl;
use crate::plugin::{Settings, SourceTask, SourceTaskContext, TaskError, Waiting};
use crate::record::Record;

/// The first pause after a failure; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// A task.
#[derive(Default)]
pub(super) struct JdbcSourceTask {
    work: Option<Work>,
}

/// What a started task has.
struct Work {
    name: String,
    url: JdbcUrl,
    config: SourceConfig,
    clock: Clock,
    database: Option<Database>,
    /// Whether there was a connection ever.
    was_connected: bool,
    /// Failures since the last rows.
    failures: u32,
    not_before: Instant,
    tables: Vec<Slot>,
    /// The table whose rows are coming.
    current: Option<(usize, RowStream)>,
}

struct Slot {
    reading: Reading,
    next_query: Instant,
    has_offset: bool,
}

impl SourceTask for JdbcSourceTask {
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        context: Arc<dyn SourceTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            self.work = Some(Work::new(settings, context.as_ref()).await?);
            Ok(())
        })
    }

    fn poll(&mut self) -> Waiting<'_, Result<Vec<Record>, TaskError>> {
        Box::pin(async move {
            match &mut self.work {
                Some(work) => work.poll().await,
                None => Err(TaskError::fatal("The task was not started")),
            }
        })
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return };
            // Rows that nobody takes any more would keep the connection from hearing the farewell.
            drop(work.current);
            if let Some(database) = work.database {
                database.close().await;
            }
        })
    }
}

impl Work {
    async fn new(settings: &Settings, context: &dyn SourceTaskContext) -> Result<Work, TaskError> {
        let config = SourceConfig::new(settings)?;
        let url = JdbcUrl::from_settings(settings).map_err(|error| TaskError::fatal(error.to_string()))?;
        let readings: Vec<Reading> = match &config.query {
            Some(query) => vec![Reading::of_query(query, &config)],
            None => {
                let tables = settings.get("tables").map(String::as_str).unwrap_or_default();
                let tables = tables::read_list(tables, url.dialect);
                tables.into_iter().map(|table| Reading::of_table(table, &url, &config)).collect()
            }
        };
        if readings.is_empty() {
            return Err(TaskError::fatal("The task has neither a query nor tables to read"));
        }
        let partitions = readings.iter().flat_map(|reading| reading.partitions.iter().cloned()).collect();
        let found = if config.mode.is_bulk() { Vec::new() } else { context.offsets(partitions).await? };
        let now = Instant::now();
        let slot = |mut reading: Reading| {
            let offset = offset::newest(&reading.partitions, &found);
            reading.offset = offset.unwrap_or_default();
            Slot { reading, next_query: now, has_offset: offset.is_some() }
        };
        Ok(Work {
            name: format!("{}-{}", context.connector(), context.task()),
            clock: Clock::new(config.zone.clone(), config.julian),
            url,
            config,
            database: None,
            was_connected: false,
            failures: 0,
            not_before: now,
            tables: readings.into_iter().map(slot).collect(),
            current: None,
        })
    }

    /// Everything that this must remember is in `self` before it waits.
    async fn poll(&mut self) -> Result<Vec<Record>, TaskError> {
        loop {
            let Some((index, stream)) = &mut self.current else {
                self.start_query().await?;
                continue;
            };
            let index = *index;
            let records = match stream.next().await {
                Ok(Some(rows)) => {
                    self.failures = 0;
                    self.tables[index].reading.records(rows, &self.clock)?
                }
                Ok(None) => {
                    self.current = None;
                    let slot = &mut self.tables[index];
                    slot.next_query = Instant::now() + self.config.poll_interval;
                    self.failures = 0;
                    slot.reading.end()?
                }
                Err(error) => {
                    self.current = None;
                    self.failed(index, &error)?;
                    continue;
                }
            };
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// Waits for the table whose turn is next, and asks for its rows.
    async fn start_query(&mut self) -> Result<(), TaskError> {
        let turns = self.tables.iter().enumerate();
        let Some((index, turn)) = turns.map(|(index, slot)| (index, slot.next_query)).min_by_key(|(_, turn)| *turn)
        else {
            return std::future::pending().await;
        };
        sleep_until(turn.max(self.not_before)).await;
        let Some(database) = self.connected().await? else { return Ok(()) };
        let slot = &mut self.tables[index];
        match slot.reading.prepare(&database, &self.config).await {
            Err(TaskError::Retriable(text)) => return self.retry(&text),
            prepared => prepared?,
        }
        match ask(slot, &database, &self.config, &self.clock).await {
            Ok(stream) => {
                slot.reading.begin(stream.columns(), database.dialect(), &self.config)?;
                self.current = Some((index, stream));
                Ok(())
            }
            Err(error) => self.failed(index, &error),
        }
    }

    /// The connection; `None`: there is none, and the next attempt has its time.
    async fn connected(&mut self) -> Result<Option<Database>, TaskError> {
        if let Some(database) = self.database.as_ref().filter(|database| !database.is_closed()) {
            return Ok(Some(database.clone()));
        }
        self.database = None;
        match connect(&self.url, &self.config).await {
            Ok(database) => {
                if self.was_connected {
                    tracing::info!("task {}: connected to {} again", self.name, self.url);
                }
                self.was_connected = true;
                self.database = Some(database.clone());
                Ok(Some(database))
            }
            Err(error) if !error.is_transient() => Err(TaskError::fatal(format!("{}: {error}", self.url))),
            Err(error) if self.was_connected => self.retry(&format!("{}: {error}", self.url)).map(|()| None),
            Err(error) => {
                self.failures += 1;
                let attempts = self.config.connection.attempts;
                if self.failures >= attempts {
                    return Err(TaskError::fatal(format!(
                        "{}: {error}; tried {attempts} times (connection.attempts)",
                        self.url
                    )));
                }
                tracing::warn!("task {}: {}: {error}", self.name, self.url);
                self.not_before = Instant::now() + self.config.connection.backoff;
                Ok(None)
            }
        }
    }

    /// A query has failed: it is asked again from the last offset, unless that cannot help.
    fn failed(&mut self, index: usize, error: &DatabaseError) -> Result<(), TaskError> {
        let slot = &mut self.tables[index];
        let name = slot.reading.name();
        if error.is_transient() {
            return self.retry(&format!("{name}: {error}"));
        }
        if error.is_missing_table() && matches!(slot.reading.origin, Origin::Table(_)) {
            // The connector will notice too, and plan without it.
            tracing::warn!("task {}: {name} is gone: {error}", self.name);
            slot.next_query = Instant::now() + self.config.poll_interval.max(Duration::from_secs(1));
            return Ok(());
        }
        Err(TaskError::fatal(format!("{name}: {error}")))
    }

    fn retry(&mut self, text: &str) -> Result<(), TaskError> {
        self.failures += 1;
        if self.config.query_attempts.is_some_and(|attempts| self.failures > attempts) {
            return Err(TaskError::fatal(format!(
                "{text}; given up after {} attempts (query.retry.attempts)",
                self.failures
            )));
        }
        let limit = self.config.connection.backoff.max(FIRST_BACKOFF);
        let pause = FIRST_BACKOFF.saturating_mul(1 << (self.failures - 1).min(10)).min(limit);
        tracing::warn!("task {}: {text}; again in {pause:?}", self.name);
        self.not_before = Instant::now() + pause;
        Ok(())
    }
}

async fn connect(url: &JdbcUrl, config: &SourceConfig) -> Result<Database, DatabaseError> {
    let database = Database::connect(url).await?;
    if let Some(level) = &config.isolation {
        let sql = match url.dialect {
            Dialect::MySql => format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"),
            Dialect::Postgres => format!("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}"),
            Dialect::Sqlite => format!("PRAGMA read_uncommitted = {}", u8::from(level == "READ UNCOMMITTED")),
        };
        database.run(&sql).await?;
    }
    Ok(database)
}

/// Asks for everything that is new in a table.
async fn ask(
    slot: &mut Slot,
    database: &Database,
    config: &SourceConfig,
    clock: &Clock,
) -> Result<RowStream, DatabaseError> {
    let until = match config.mode.timestamp {
        true => Some(now(database, clock).await?),
        false => None,
    };
    if !slot.has_offset {
        slot.reading.offset = reading::initial(config, until.unwrap_or(Moment::EPOCH));
        slot.has_offset = true;
    }
    let until = until.map(|now| now.minus(config.timestamp_delay));
    let reading = &slot.reading;
    let (sql, params) = statement::select(
        &reading.origin,
        reading.news_columns(),
        reading.offset,
        until,
        database.dialect(),
        config,
        clock,
    );
    if let Some(until) = until {
        let from = reading.offset.timestamp.unwrap_or(Moment::EPOCH);
        tracing::debug!(
            "{}: rows after {} and before {} in db.timezone",
            reading.name(),
            clock.shows(from).0,
            clock.shows(until).0
        );
    }
    database.query(&sql, params, config.batch_rows).await
}

/// What time it is for the database. Where it does not say its zone, its columns do not either: `db.timezone` is the zone
/// of both. SQLite's clock is always in UTC.
async fn now(database: &Database, clock: &Clock) -> Result<Moment, DatabaseError> {
    let value = database.current_time().await?;
    let moment = match database.dialect() {
        Dialect::Sqlite => mapping::moment(&value, &Clock::new(jiff::tz::TimeZone::UTC, false)),
        Dialect::MySql | Dialect::Postgres => mapping::moment(&value, clock),
    };
    moment.map_err(DatabaseError::Unusable)
}
