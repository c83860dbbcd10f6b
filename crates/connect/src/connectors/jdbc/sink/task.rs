//! The task: each `put` is one transaction.
//!
//! ```text
//! put ── records to changes ── tables and columns made ── BEGIN ── all together ──────────────► COMMIT
//!                                                          │ a record is at fault                 ▲
//!                                                          └► ROLLBACK, BEGIN, one by one ── report ──┘
//! ```
//!
//! What the worker commits in Kafka comes after the database's commit, so records may come again after a crash. With
//! `upsert`, `update` and deletes that changes nothing. With `insert` a row that is refused because its key is there is
//! compared with what is there: the same row is the same record again and is left as it is; with `pk.mode=kafka` the
//! coordinates alone say it. Without any key `offsets.table` tells them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_client::TopicPartition;

use super::super::database::DatabaseError;
use super::config::{InsertMode, SinkConfig};
use super::convert;
use super::error::{Remedy, SinkError, explain, is_duplicate, is_wrong_login, remedy};
use super::layout::{Layouts, coordinates, place};
use super::offsets::{Offsets, Partition};
use super::plan::{self, Change};
use super::writer::Writer;
use crate::data::{DataError, Kind, Typed, Value};
use crate::plugin::{Settings, SinkTask, SinkTaskContext, TaskError, Waiting};
use crate::record::Record;

/// A task of the sink. Empty until it is started.
#[derive(Default)]
pub struct JdbcSinkTask {
    running: Option<Running>,
}

struct Running {
    config: SinkConfig,
    context: Arc<dyn SinkTaskContext>,
    layouts: Layouts,
    writer: Option<Writer>,
    offsets: Option<Offsets>,
    retries_left: u32,
    connection_attempts_left: u32,
    retry_after: Option<Duration>,
}

impl SinkTask for JdbcSinkTask {
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        context: Arc<dyn SinkTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            let config = SinkConfig::parse(settings)?;
            let mut running = Running {
                layouts: Layouts::default(),
                writer: None,
                offsets: Offsets::new(&config, context.connector()),
                retries_left: config.max_retries,
                connection_attempts_left: config.connection_attempts,
                retry_after: None,
                config,
                context,
            };
            // A wrong login is told at once; a database that is away may come back by the first record.
            match Writer::connect(&running.config).await {
                Ok(writer) => running.writer = Some(writer),
                Err(error) if is_wrong_login(&error) => return Err(running.fatal(&error.into(), None)),
                Err(error) => tracing::warn!("{}: {error}; connecting again with the first records", running.name()),
            }
            self.running = Some(running);
            Ok(())
        })
    }

    fn open<'a>(&'a mut self, _partitions: &'a [TopicPartition]) -> Waiting<'a, Result<(), TaskError>> {
        self.forget_offsets()
    }

    fn close<'a>(&'a mut self, _partitions: &'a [TopicPartition]) -> Waiting<'a, Result<(), TaskError>> {
        self.forget_offsets()
    }

    fn put<'a>(&'a mut self, records: &'a [Record]) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            match &mut self.running {
                Some(running) if !records.is_empty() => running.put(records).await,
                _ => Ok(()),
            }
        })
    }

    fn retry_after(&self) -> Option<Duration> {
        self.running.as_ref().and_then(|running| running.retry_after)
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        let writer = self.running.take().and_then(|running| running.writer);
        Box::pin(async move {
            if let Some(writer) = writer {
                writer.close().await;
            }
        })
    }
}

impl JdbcSinkTask {
    fn forget_offsets(&mut self) -> Waiting<'_, Result<(), TaskError>> {
        if let Some(offsets) = self.running.as_mut().and_then(|running| running.offsets.as_mut()) {
            offsets.forget();
        }
        Box::pin(async { Ok(()) })
    }
}

/// A record that cannot be written, with the reason.
type Bad = (usize, TaskError);

impl Running {
    fn name(&self) -> String {
        format!("{}-{}", self.context.connector(), self.context.task())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), TaskError> {
        match self.try_put(records).await {
            Ok(()) => {
                self.retries_left = self.config.max_retries;
                self.connection_attempts_left = self.config.connection_attempts;
                self.retry_after = None;
                Ok(())
            }
            Err(PutError::Sink(error)) => {
                self.abandon(&error).await;
                self.give_up_or_retry(error)
            }
            Err(PutError::Task(error)) => {
                self.abandon(&SinkError::Settings(String::new())).await;
                Err(error)
            }
        }
    }

    async fn try_put(&mut self, records: &[Record]) -> Result<(), PutError> {
        self.connect().await?;
        let fresh = self.fresh(records).await?;
        let result = match self.write_together(records, &fresh).await {
            Err(PutError::Sink(SinkError::Database(error))) if remedy(&error) == Remedy::LookAgain => {
                self.roll_back().await?;
                if let Some(writer) = &mut self.writer {
                    writer.look_again();
                }
                self.write_together(records, &fresh).await
            }
            result => result,
        };
        match result {
            Err(PutError::Sink(SinkError::Database(error))) if self.one_by_one_helps(&error) => {
                tracing::info!("{}: writing {} records one by one: {}", self.name(), fresh.len(), self.text(&error));
                self.roll_back().await?;
                self.write_one_by_one(records, &fresh, &error).await
            }
            result => result,
        }
    }

    fn one_by_one_helps(&self, error: &DatabaseError) -> bool {
        match remedy(error) {
            Remedy::OneByOne => true,
            // No more tries: whoever takes bad records may take these.
            Remedy::Later => self.retries_left == 0 && self.context.can_report() && !error.is_transient(),
            Remedy::LookAgain | Remedy::None => false,
        }
    }

    async fn connect(&mut self) -> Result<(), SinkError> {
        if self.writer.as_ref().is_some_and(|writer| writer.database().is_closed()) {
            self.writer = None;
        }
        if self.writer.is_none() {
            self.writer = Some(Writer::connect(&self.config).await?);
            if let Some(offsets) = &mut self.offsets {
                offsets.forget();
            }
        }
        Ok(())
    }

    /// Positions of the records that were not written before, as far as that is known.
    async fn fresh(&mut self, records: &[Record]) -> Result<Vec<usize>, SinkError> {
        let (Some(offsets), Some(writer)) = (&mut self.offsets, &self.writer) else {
            return Ok((0..records.len()).collect());
        };
        let partitions: BTreeMap<Partition, ()> = records
            .iter()
            .map(|record| {
                let (topic, partition, _) = coordinates(record);
                ((topic.clone(), partition), ())
            })
            .collect();
        offsets.load(writer.database(), partitions.into_keys()).await?;
        let is_fresh = |index: &usize| {
            let (topic, partition, offset) = coordinates(&records[*index]);
            !offsets.is_written(topic, partition, offset)
        };
        Ok((0..records.len()).filter(is_fresh).collect())
    }

    async fn write_together(&mut self, records: &[Record], fresh: &[usize]) -> Result<(), PutError> {
        let (changes, bad) = self.changes(records, fresh)?;
        let mut groups = plan::plan(self.config.insert_mode, changes);
        let writer = self.writer.as_mut().ok_or_else(no_connection)?;
        writer.prepare(&self.config, &mut groups).await?;
        writer.begin().await?;
        writer.write(&self.config, groups).await?;
        self.finish(records, fresh, bad).await
    }

    /// The changes of records; those that cannot be written apart, if somebody takes them.
    fn changes(&mut self, records: &[Record], fresh: &[usize]) -> Result<(Vec<Change>, Vec<Bad>), PutError> {
        let mut changes = Vec::with_capacity(fresh.len());
        let mut bad = Vec::new();
        for index in fresh {
            match self.change(&records[*index]) {
                Ok(change) => changes.push(change),
                Err(error) => self.bad(&mut bad, records, *index, error.to_string())?,
            }
        }
        Ok((changes, bad))
    }

    fn bad(&self, bad: &mut Vec<Bad>, records: &[Record], index: usize, text: String) -> Result<(), PutError> {
        let record = &records[index];
        let error = TaskError::fatal(format!(
            "Sink connector '{}' cannot write the {}: {text}",
            self.context.connector(),
            place(record)
        ));
        if !self.context.can_report() {
            return Err(PutError::Task(error));
        }
        bad.push((index, error));
        Ok(())
    }

    fn change(&mut self, record: &Record) -> Result<Change, DataError> {
        let inferred;
        let value = if self.config.infer_schemaless && record.value.schema.is_none() && !record.value.value.is_null() {
            inferred = convert::infer(&record.value.value)?;
            &inferred
        } else {
            &record.value
        };
        check_value(&self.config, value)?;
        let layout = self.layouts.get(&self.config, record, value)?;
        let row = layout.row(&self.config, record, value)?;
        Ok(Change { layout, deletes: value.value.is_null(), row })
    }

    async fn write_one_by_one(
        &mut self,
        records: &[Record],
        fresh: &[usize],
        reason: &DatabaseError,
    ) -> Result<(), PutError> {
        let may_be_there = self.config.insert_mode == InsertMode::Insert && is_duplicate(reason);
        self.writer.as_mut().ok_or_else(no_connection)?.begin().await?;
        let mut bad = Vec::new();
        for index in fresh {
            let change = match self.change(&records[*index]) {
                Ok(change) => change,
                Err(error) => {
                    self.bad(&mut bad, records, *index, error.to_string())?;
                    continue;
                }
            };
            let may_be_there = may_be_there && !change.deletes;
            let writer = self.writer.as_mut().ok_or_else(no_connection)?;
            match writer.write_one(&self.config, change, may_be_there).await {
                Ok(()) => {}
                Err(SinkError::Database(error)) if !error.is_transient() => {
                    self.bad(&mut bad, records, *index, self.text(&error))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.finish(records, fresh, bad).await
    }

    /// Moves the offsets, hands over the bad records, and makes the transaction last.
    async fn finish(&mut self, records: &[Record], fresh: &[usize], bad: Vec<Bad>) -> Result<(), PutError> {
        let mut next: BTreeMap<Partition, i64> = BTreeMap::new();
        if let (Some(offsets), Some(writer)) = (&self.offsets, &self.writer) {
            for index in fresh {
                let (topic, partition, offset) = coordinates(&records[*index]);
                next.insert((topic.clone(), partition), offset + 1);
            }
            offsets.advance(writer.database(), &next).await?;
        }
        // Before the commit: a record that nobody has taken comes again together with the others.
        for (index, error) in bad {
            self.context.report(&records[index], error).await.map_err(PutError::Task)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.commit().await?;
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.advanced(next);
        }
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), SinkError> {
        match &mut self.writer {
            Some(writer) => writer.roll_back().await,
            None => Ok(()),
        }
    }

    /// Leaves the transaction; a connection that does not even do that is closed.
    async fn abandon(&mut self, error: &SinkError) {
        let is_lost = matches!(error, SinkError::Database(DatabaseError::Connection(_)));
        if is_lost || self.roll_back().await.is_err() {
            self.writer = None;
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.forget();
        }
    }

    fn give_up_or_retry(&mut self, error: SinkError) -> Result<(), TaskError> {
        let may_pass = match &error {
            SinkError::Database(error) => remedy(error) == Remedy::Later,
            SinkError::Overtaken(_) => true,
            SinkError::Settings(_) => false,
        };
        if !may_pass {
            return Err(self.fatal(&error, None));
        }
        let is_connection = matches!(error, SinkError::Database(DatabaseError::Connection(_))) && self.writer.is_none();
        let pause = if is_connection && self.connection_attempts_left > 1 {
            self.connection_attempts_left -= 1;
            self.config.connection_backoff
        } else if self.retries_left > 0 {
            self.retries_left -= 1;
            self.connection_attempts_left = self.config.connection_attempts;
            self.config.retry_backoff
        } else {
            let tries = format!("No success in {} retries (max.retries)", self.config.max_retries);
            return Err(self.fatal(&error, Some(&tries)));
        };
        self.retry_after = Some(pause);
        let (text, left, pause) = (self.sink_text(&error), self.retries_left, pause.as_millis());
        Err(TaskError::retriable(format!("{text} (in {pause} ms, {left} retries left)")))
    }

    fn fatal(&self, error: &SinkError, before: Option<&str>) -> TaskError {
        let text = self.sink_text(error);
        match before {
            Some(before) => TaskError::fatal(format!("{before}: {text}")),
            None => TaskError::fatal(text),
        }
    }

    fn sink_text(&self, error: &SinkError) -> String {
        match error {
            SinkError::Database(error) => format!("{}: {}", self.config.url, self.text(error)),
            error => error.to_string(),
        }
    }

    fn text(&self, error: &DatabaseError) -> String {
        explain(error, self.config.trim_sensitive_log)
    }
}

/// Why a batch was not put: an error that is still to be judged, or one that was.
#[derive(Debug)]
enum PutError {
    Sink(SinkError),
    Task(TaskError),
}

impl From<SinkError> for PutError {
    fn from(error: SinkError) -> PutError {
        PutError::Sink(error)
    }
}

fn no_connection() -> SinkError {
    SinkError::Database(DatabaseError::Connection("There is no connection".to_owned()))
}

/// The value is one that can be written, or asks for a delete that the settings allow.
fn check_value(config: &SinkConfig, value: &Typed) -> Result<(), DataError> {
    if value.value.is_null() {
        return if config.delete_enabled {
            Ok(())
        } else {
            Err(DataError::new(
                "its value is null, and delete.enabled=false. To delete the row with its key set delete.enabled=true and \
                 pk.mode=record_key; to leave such records out use the transform \
                 org.apache.kafka.connect.transforms.Filter with the predicate RecordIsTombstone",
            ))
        };
    }
    match &value.schema {
        Some(schema) if matches!(schema.kind, Kind::Struct(_) | Kind::String) => Ok(()),
        Some(schema) => Err(DataError::new(format!(
            "its value has the schema {}, but a row needs a struct: use a value.converter that gives structs (JsonConverter \
             with value.converter.schemas.enable=true, AvroConverter, ProtobufConverter, JsonSchemaConverter), or wrap the \
             value with the transform org.apache.kafka.connect.transforms.HoistField$Value",
            schema.type_name()
        ))),
        None => Err(DataError::new(format!(
            "its value is {} without a schema, but columns need one (with delete.enabled={} and pk.mode as set, a struct). \
             Set value.converter.schemas.enable=true and send {{\"schema\":..,\"payload\":..}}, or use a value.converter \
             with the schema registry such as AvroConverter, or set schemaless.values=infer",
            kind_of(&value.value),
            config.delete_enabled
        ))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Map(_) => "a JSON object",
        Value::Array(_) => "a JSON array",
        Value::String(_) => "text",
        Value::Bytes(_) => "bytes",
        _ => "a single value",
    }
}
