//! Queries of clients that read their results: push queries, and pull queries over streams.
//!
//! ```text
//!   all partitions of the sources ──► inputs, in order ──► operators with their state ──► channel ──► the client
//! ```
//!
//! A client that stops reading fills its channel, and its query stops reading Kafka: what waits then is bounded in bytes.

use std::sync::Arc;

use fjall::Database;
use milena_client::ConsumerConfig;
use milena_sql::ast::{Query, SourceKind};
use milena_sql::catalog::schema::{Column, Namespace};
use milena_sql::catalog::{Catalog, Settings, Source};
use milena_sql::formats::registry::SchemaRegistry;
use milena_sql::operators::{Change, Context};
use milena_sql::planner::build::{Task, build};
use milena_sql::planner::{self, PlannedQuery, pull};
use milena_sql::runtime::RawRecord;
use milena_sql::runtime::reader::SourceReader;
use milena_sql::value::Value;
use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use tokio::sync::mpsc;

use super::inputs::{Input, Inputs};
use super::limits::PullPlace;
use super::processing_log::{LogTopic, QueryLog};
use super::push::{Listed, Place, PushQueries};
use super::rows::ResultRow;
use super::scalable::{self, writer_of};
use super::spill::SpillingStores;
use crate::cluster::remote_rows::Covered;
use crate::error::{Failure, Result};
use crate::kafka::Kafka;
use crate::session::stream_property;

/// Batches of rows that a client has not read yet.
const UNREAD_BATCHES: usize = 2;
/// Last words of a query that has given as many rows as were wanted.
const LIMIT_REACHED: &str = "Limit Reached";
/// Last words of a query that was closed, or that has read everything.
const COMPLETED: &str = "Query Completed";

/// What a running query sends.
#[derive(Debug)]
pub enum Event {
    /// Rows.
    Rows(Vec<ResultRow>),
    /// The end, with the last words.
    End(&'static str),
    /// The query has failed.
    Failed(Failure),
}

/// A query at work; it ends when this is dropped.
pub struct Transient {
    /// Its id.
    pub id: String,
    /// The columns of its rows.
    pub schema: Vec<Column>,
    /// Its rows and its end.
    pub events: mpsc::Receiver<Event>,
    /// Whether it pulls from a table: such results have no last words.
    pub is_table: bool,
    /// Which partitions of a table the rows are from, if another server has asked for them.
    pub covered: Option<Covered>,
    _limited: Option<PullPlace>,
    _place: Option<Place>,
}

impl Transient {
    /// The query with what it takes of the server's limits, until it ends.
    #[must_use]
    pub fn within(self, limited: Option<PullPlace>) -> Transient {
        Transient { _limited: limited, ..self }
    }

    /// A pull query over a table, which has no place among the running queries.
    pub fn pulled(id: String, schema: Vec<Column>, events: mpsc::Receiver<Event>) -> Transient {
        Transient { id, schema, events, is_table: true, covered: None, _limited: None, _place: None }
    }
}

/// What it takes to run a query.
pub struct Environment {
    /// Kafka.
    pub kafka: Kafka,
    /// The schemas.
    pub registry: Arc<dyn SchemaRegistry>,
    /// Properties of the server with those of the session over them.
    pub settings: Settings,
    /// What consumers begin with.
    pub consumer: ConsumerConfig,
    /// Where state goes that is too much for memory.
    pub state: Database,
    /// What the groups of persistent queries begin with.
    pub group_prefix: String,
    /// What could not be processed.
    pub processing_log: Arc<LogTopic>,
}

/// Starts a query: with `EMIT` it goes on until it is closed, without it to the present end of a stream. What is written
/// after this has returned is part of the result.
///
/// # Errors
/// A query that means nothing, a table that cannot be pulled from, too many push queries.
pub async fn start(
    query: &Query,
    text: &str,
    catalog: &Arc<Catalog>,
    environment: Environment,
    queries: &PushQueries,
) -> Result<Transient> {
    let is_push = query.emit.is_some();
    if !is_push {
        pull::check_clauses(query, &environment.settings)?;
        if let Some(source) = query.from.sources().first().and_then(|source| catalog.source(&source.name)) {
            pull::check_columns(query, source)?;
        }
    }
    let planned = planner::plan(query, None, catalog, &environment.settings)?;
    if !is_push {
        check_pulled(&environment.settings)?;
    }
    let writer = writer_of(query, catalog, &environment.settings);
    if writer.is_some() {
        pull::check_scalable(query, catalog, &environment.settings)?;
    }
    let id = id_of(&planned, writer.is_some());
    let place = queries.take(Listed { id: id.clone(), statement: text.to_owned(), is_push })?;
    if let Some(writer) = writer {
        scalable::wait_for(writer, catalog, &environment).await?;
    }
    let run = Run::prepare(&id, &planned, query, environment).await?;
    let (sender, events) = mpsc::channel(UNREAD_BATCHES);
    // Results have no key.
    let schema = planned.selected.iter().map(|column| Column::value(column.name.clone(), column.column_type.clone()));
    let schema = schema.collect();
    tokio::spawn(run.until_the_end(sender, place.stop()));
    Ok(Transient { id, schema, events, is_table: false, covered: None, _limited: None, _place: Some(place) })
}

/// A new id for a query of a client.
pub fn id_of(planned: &PlannedQuery, is_scalable: bool) -> String {
    let number = rand::random::<u64>() >> 1;
    if is_scalable {
        return format!("SCALABLE_PUSH_QUERY_{number}");
    }
    let first = planned.scope.sources.first().map_or_else(String::new, |source| source.source.name.to_string());
    format!("transient_{first}_{number}")
}

/// Streams are read from their topics, unless that is not wanted; tables are not read here.
fn check_pulled(settings: &Settings) -> Result<()> {
    const STREAMS: &str = "ksql.query.pull.stream.enabled";
    if !settings.is_true(STREAMS, true) {
        return Err(Failure::new(
            Failure::BAD_STATEMENT,
            format!(
                "Pull queries on streams are disabled. To create a push query on the stream, add EMIT CHANGES to the end. To enable pull queries on streams, set the {STREAMS} config to 'true'."
            ),
        ));
    }
    Ok(())
}

/// A query with everything that it needs.
struct Run {
    inputs: Inputs,
    engine: Engine,
}

impl Run {
    async fn prepare(id: &str, planned: &PlannedQuery, query: &Query, environment: Environment) -> Result<Run> {
        let Environment { kafka, registry, settings, consumer, state, group_prefix: _, processing_log } = environment;
        let log = QueryLog { query: id.to_owned(), status: Arc::default(), topic: processing_log };
        let (step, with, id) = (planned.step.clone(), settings.clone(), id.to_owned());
        // The registry may be asked, which blocks.
        let building = tokio::task::spawn_blocking(move || {
            let failed = |message: String| Failure::new(Failure::SERVER, message);
            let mut stores = SpillingStores::new(state, &id);
            let task = build(&step, &with, &mut stores).map_err(|error| failed(error.to_string()))?;
            let reader = |source: &Source| SourceReader::new(source, &with, &registry).map_err(|error| failed(error.0));
            let readers: Vec<SourceReader> =
                task.entries.iter().map(|entry| reader(&entry.source)).collect::<Result<_>>()?;
            let timed = task.entries.iter().map(|entry| &entry.source).filter(|source| source.timestamp.is_some());
            let times: Vec<(String, Arc<SourceReader>)> =
                timed.map(|source| Ok((source.topic.clone(), Arc::new(reader(source)?)))).collect::<Result<_>>()?;
            Ok::<_, Failure>((task, readers, times))
        });
        let (task, readers, times) =
            building.await.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))??;
        let is_pull = query.emit.is_none();
        let mut inputs: Vec<Input> = Vec::new();
        for entry in &task.entries {
            let topic = entry.source.topic.clone();
            let is_table = entry.source.kind == SourceKind::Table;
            // Tables are read as a whole unless new rows are asked for: any row may be needed whenever it was written.
            let from_start = match stream_property(&settings, "auto.offset.reset") {
                _ if is_pull => true,
                Some(reset) => reset.eq_ignore_ascii_case("earliest"),
                None => is_table,
            };
            let times = times.iter().find(|(timed, _)| *timed == topic).map(|(_, reader)| reader.clone());
            // A row of a table is there for the records of its time.
            inputs.push(Input { topic, from_start, rank: if is_table { 0 } else { 1 }, times });
        }
        let inputs = Inputs::open(&kafka, consumer, inputs, is_pull).await?;
        let left = query.limit.map(|limit| usize::try_from(limit).unwrap_or(0));
        Ok(Run { inputs, engine: Engine { task, readers, columns: tombstone_columns(planned), left, log } })
    }

    async fn until_the_end(self, events: mpsc::Sender<Event>, stop: ShutdownToken) {
        let last = tokio::select! {
            ended = self.work(&events) => ended.map_or_else(Event::Failed, Event::End),
            () = stop.cancelled() => Event::End(COMPLETED),
        };
        // The client may have gone.
        let _ = events.send(last).await;
    }

    /// Works until the query is complete.
    async fn work(self, events: &mpsc::Sender<Event>) -> Result<&'static str> {
        let Run { mut inputs, mut engine } = self;
        while engine.left != Some(0) {
            let Some(records) = inputs.next().await? else { return Ok(COMPLETED) };
            // Formats may ask the registry, which blocks; and expressions and state may take their time.
            let working = tokio::task::spawn_blocking(move || {
                let worked = engine.work(&records);
                (engine, worked)
            });
            let (back, rows) = working.await.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))?;
            engine = back;
            let rows = rows?;
            if !rows.is_empty() && events.send(Event::Rows(rows)).await.is_err() {
                return Ok(COMPLETED);
            }
        }
        Ok(LIMIT_REACHED)
    }
}

/// From records to rows of the result.
struct Engine {
    task: Task,
    readers: Vec<SourceReader>,
    columns: Vec<TombstoneColumn>,
    /// Rows until the limit.
    left: Option<usize>,
    log: QueryLog,
}

/// What a column shows of a row that is gone.
enum TombstoneColumn {
    /// The column of the key at this place.
    Key(usize),
    WindowStart,
    WindowEnd,
    Nothing,
}

fn tombstone_columns(planned: &PlannedQuery) -> Vec<TombstoneColumn> {
    let keys: Vec<_> = planned.schema.keys().iter().map(|column| column.name.clone()).collect();
    // Keys that are not selected are missing there.
    let complete = keys.len() == planned.step.schema.key.len();
    let place_of = |column: &Column| match complete {
        true => keys.iter().position(|name| *name == column.name),
        false => planned.step.schema.key.iter().position(|key| key.names.contains(&column.name)),
    };
    let shown = |column: &Column| match &*column.name {
        "WINDOWSTART" => TombstoneColumn::WindowStart,
        "WINDOWEND" => TombstoneColumn::WindowEnd,
        _ if column.namespace == Namespace::Key => {
            place_of(column).map_or(TombstoneColumn::Nothing, TombstoneColumn::Key)
        }
        _ => TombstoneColumn::Nothing,
    };
    planned.selected.iter().map(shown).collect()
}

impl Engine {
    /// What records change of the result, as far as it is wanted.
    fn work(&mut self, records: &[(Arc<str>, RawRecord)]) -> Result<Vec<ResultRow>> {
        let failed = |message: String| Failure::new(Failure::SERVER, message);
        let mut context = Context { log: &self.log, wall_clock_ms: SystemClock.now_ms() };
        let mut rows = Vec::new();
        for (topic, record) in records {
            let mut changes = Vec::new();
            for (entry, reader) in self.task.entries.iter().zip(&self.readers) {
                if *entry.source.topic != **topic {
                    continue;
                }
                let Some(change) = reader.read(record, &self.log).map_err(|error| failed(error.0))? else { continue };
                let processed = self.task.graph.process(entry.edge, change, &mut context, &mut changes);
                processed.map_err(|error| failed(error.to_string()))?;
            }
            for change in &changes {
                if self.left == Some(0) {
                    return Ok(rows);
                }
                self.left = self.left.map(|left| left - 1);
                rows.push(self.row(change));
            }
        }
        Ok(rows)
    }

    fn row(&self, change: &Change) -> ResultRow {
        if let Some(row) = &change.new {
            return ResultRow { columns: row.to_vec(), tombstone: false };
        }
        let key = change.key.columns.as_deref().unwrap_or_default();
        let window = change.key.window;
        let value = |column: &TombstoneColumn| match column {
            TombstoneColumn::Key(place) => key.get(*place).cloned().unwrap_or_default(),
            TombstoneColumn::WindowStart => window.map_or(Value::Null, |window| Value::Bigint(window.start)),
            TombstoneColumn::WindowEnd => window.map_or(Value::Null, |window| Value::Bigint(window.end)),
            TombstoneColumn::Nothing => Value::Null,
        };
        ResultRow { columns: self.columns.iter().map(value).collect(), tombstone: true }
    }
}
