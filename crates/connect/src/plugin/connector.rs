//! Connectors and their tasks.
//!
//! ```text
//!   ConnectorPlugin ── create ──► Connector (one per name: watches, plans task configurations)
//!          └─────── source / sink task ──► SourceTask | SinkTask (the work)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_client::TopicPartition;
use tokio::sync::Notify;

use super::{Settings, TaskError, Waiting};
use crate::config::def::{ConfigDef, ConfigValue};
use crate::record::{Record, SourceMap};

/// Which way data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// Into topics.
    Source,
    /// Out of topics.
    Sink,
}

/// What a source promises of exactly-once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// Every record is read again from its offset, and only from there.
    Supported,
    /// It may not be.
    Unsupported,
}

/// Who says where a transaction of a source ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionBoundary {
    /// After each batch of poll.
    Poll,
    /// After a time.
    Interval,
    /// The connector itself.
    Connector,
}

/// A kind of connector.
pub trait ConnectorPlugin: Send + Sync {
    /// Full class names, the one that is shown first. Simple names follow from them.
    fn classes(&self) -> &'static [&'static str];
    /// Version that is shown.
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
    /// Which way.
    fn kind(&self) -> ConnectorKind;
    /// Its own settings, without those that every connector has.
    fn config_def(&self) -> &ConfigDef;
    /// What the table of settings cannot check: settings that exclude each other, recommended values of a database.
    /// `values` holds the own settings, already checked by the table; errors are added to them.
    fn validate<'a>(&'a self, settings: &'a Settings, values: &'a mut Vec<ConfigValue>) -> Waiting<'a, ()>;
    /// A connector with these settings.
    ///
    /// # Errors
    /// A setting that is wrong.
    fn create(&self, settings: &Settings, context: ConnectorContext) -> Result<Box<dyn Connector>, TaskError>;
    /// A task of a source; `None` for a sink.
    fn source(&self) -> Option<&dyn Source> {
        None
    }
    /// A task of a sink; `None` for a source.
    fn sink(&self) -> Option<&dyn Sink> {
        None
    }
}

/// What only sources have.
pub trait Source: Send + Sync {
    /// A task that is not started yet.
    fn task(&self) -> Box<dyn SourceTask>;
    /// Whether its records can be had exactly once with these settings.
    fn exactly_once(&self, settings: &Settings) -> ExactlyOnceSupport;
    /// Whether it ends transactions itself.
    fn can_define_transaction_boundaries(&self, _settings: &Settings) -> bool {
        false
    }
    /// Checks offsets that a user wants to write; `None` deletes one. `Ok(false)`: it cannot tell.
    ///
    /// # Errors
    /// Offsets that the source would not understand; the text goes to the user.
    fn alter_offsets(&self, settings: &Settings, offsets: &[(SourceMap, Option<SourceMap>)])
    -> Result<bool, TaskError>;
}

/// What only sinks have.
pub trait Sink: Send + Sync {
    /// A task that is not started yet.
    fn task(&self) -> Box<dyn SinkTask>;
}

/// What a running connector may ask of its worker.
#[derive(Clone)]
pub struct ConnectorContext {
    /// Name of the connector.
    pub name: Arc<str>,
    /// Notify it when tasks should be planned anew.
    pub reconfigure: Arc<Notify>,
}

/// One connector: plans tasks, and watches whether the plan must change.
pub trait Connector: Send {
    /// Starts to watch.
    fn start(&mut self) -> Waiting<'_, Result<(), TaskError>>;
    /// Settings of at most `max_tasks` tasks.
    fn task_configs(&mut self, max_tasks: usize) -> Waiting<'_, Result<Vec<Settings>, TaskError>>;
    /// Stops to watch.
    fn stop(&mut self) -> Waiting<'_, ()>;
}

/// A connector that watches nothing, and whose tasks all have its settings.
pub struct SameTasks {
    settings: Settings,
    tasks_max: usize,
}

impl SameTasks {
    /// One task, however many may be.
    pub fn one(settings: &Settings) -> Box<dyn Connector> {
        Box::new(SameTasks { settings: settings.clone(), tasks_max: 1 })
    }

    /// As many tasks as may be: who gets which partitions is the consumer group's matter.
    pub fn as_many_as_wanted(settings: &Settings) -> Box<dyn Connector> {
        Box::new(SameTasks { settings: settings.clone(), tasks_max: usize::MAX })
    }
}

impl Connector for SameTasks {
    fn start(&mut self) -> Waiting<'_, Result<(), TaskError>> {
        Box::pin(async { Ok(()) })
    }

    fn task_configs(&mut self, max_tasks: usize) -> Waiting<'_, Result<Vec<Settings>, TaskError>> {
        let settings = vec![self.settings.clone(); max_tasks.min(self.tasks_max)];
        Box::pin(async { Ok(settings) })
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        Box::pin(async {})
    }
}

/// What a source task may ask of its worker.
pub trait SourceTaskContext: Send + Sync {
    /// Name of the connector.
    fn connector(&self) -> &str;
    /// Number of the task.
    fn task(&self) -> usize;
    /// Offsets that were committed for these partitions; partitions without one are left out.
    fn offsets<'a>(&'a self, partitions: Vec<SourceMap>)
    -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, TaskError>>;
    /// How to end transactions; `None` unless `transaction.boundary=connector`.
    fn transactions(&self) -> Option<&dyn TransactionContext> {
        None
    }
}

/// How a source ends its transactions itself.
pub trait TransactionContext: Send + Sync {
    /// Commits after the batch that poll returns next.
    fn commit(&self);
    /// Gives up the transaction after the batch that poll returns next, with its records; their offsets are passed over.
    fn abort(&self);
}

/// The work of a source.
pub trait SourceTask: Send {
    /// Opens what it reads from.
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        context: Arc<dyn SourceTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>>;
    /// The next records; may wait, and is dropped while it waits when the task stops or pauses, so it must not lose
    /// what it has read (cancel safety). Empty when there is nothing.
    fn poll(&mut self) -> Waiting<'_, Result<Vec<Record>, TaskError>>;
    /// All records up to here are in their topics and their offsets are committed.
    fn commit(&mut self) -> Waiting<'_, Result<(), TaskError>> {
        Box::pin(async { Ok(()) })
    }
    /// Closes what it reads from.
    fn stop(&mut self) -> Waiting<'_, ()>;
}

/// What a sink task may ask of its worker.
pub trait SinkTaskContext: Send + Sync {
    /// Name of the connector.
    fn connector(&self) -> &str;
    /// Number of the task.
    fn task(&self) -> usize;
    /// Whether bad records can be handed over with [`report`](Self::report) (a dead letter queue or tolerance is set).
    fn can_report(&self) -> bool;
    /// Hands over a record that cannot be written (stage TASK_PUT): tolerated, logged, written to the dead letter queue.
    ///
    /// # Errors
    /// When errors are not tolerated.
    fn report<'a>(&'a self, record: &'a Record, error: TaskError) -> Waiting<'a, Result<(), TaskError>>;
}

/// The work of a sink.
pub trait SinkTask: Send {
    /// Opens what it writes to.
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        context: Arc<dyn SinkTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>>;
    /// Partitions that this task now has.
    fn open<'a>(&'a mut self, _partitions: &'a [TopicPartition]) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async { Ok(()) })
    }
    /// Partitions that it has no longer.
    fn close<'a>(&'a mut self, _partitions: &'a [TopicPartition]) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async { Ok(()) })
    }
    /// Writes records, in order. [`TaskError::Retriable`]: the same records come again after
    /// [`retry_after`](Self::retry_after).
    fn put<'a>(&'a mut self, records: &'a [Record]) -> Waiting<'a, Result<(), TaskError>>;
    /// Pause before records come again.
    fn retry_after(&self) -> Option<std::time::Duration> {
        None
    }
    /// Makes what was put durable and says which offsets may be committed; `offsets` are those of all records that were
    /// put.
    fn pre_commit<'a>(
        &'a mut self,
        offsets: BTreeMap<TopicPartition, i64>,
    ) -> Waiting<'a, Result<BTreeMap<TopicPartition, i64>, TaskError>> {
        Box::pin(async { Ok(offsets) })
    }
    /// Closes what it writes to.
    fn stop(&mut self) -> Waiting<'_, ()>;
}
