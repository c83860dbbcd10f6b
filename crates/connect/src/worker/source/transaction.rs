//! Where the transactions of a source end, and who is fenced before it starts.

use std::time::Duration;

use milena_stdx::{Clock as _, SystemClock};

use super::context::Context;
use crate::plugin::{ExactlyOnceSupport, Settings, Source, TaskError, TransactionBoundary};
use crate::worker::settings::number;
use crate::worker::supervisor::Job;
use crate::worker::{TaskId, WorkerSettings};

/// Where transactions end.
pub(super) struct Boundary {
    kind: TransactionBoundary,
    interval: Duration,
    last: std::time::Instant,
}

impl Boundary {
    /// How the task ends its transactions; `None` when the worker runs without them.
    ///
    /// # Errors
    /// A setting that is wrong, a source that cannot do what is required of it.
    pub fn new(job: &Job, source: &dyn Source) -> Result<Option<Boundary>, TaskError> {
        let (worker, settings) = (&job.shared.settings, &job.connector_settings);
        let supports = source.exactly_once(settings) == ExactlyOnceSupport::Supported;
        let is_required =
            settings.get("exactly.once.support").is_some_and(|value| value.trim().eq_ignore_ascii_case("required"));
        if is_required && !(supports && worker.exactly_once_source) {
            return Err(TaskError::fatal(
                "exactly.once.support=required, but the worker runs without exactly.once.source.support=enabled or the \
                 connector does not support it with these settings",
            ));
        }
        if !worker.exactly_once_source {
            return Ok(None);
        }
        let kind = kind(settings)?;
        if kind == TransactionBoundary::Connector && !source.can_define_transaction_boundaries(settings) {
            return Err(TaskError::fatal(
                "transaction.boundary=connector, but the connector does not define transaction boundaries",
            ));
        }
        let interval = number(
            settings,
            "transaction.boundary.interval.ms",
            u64::try_from(worker.offset_flush_interval.as_millis()).unwrap_or(u64::MAX),
        )?;
        Ok(Some(Boundary { kind, interval: Duration::from_millis(interval), last: SystemClock.monotonic() }))
    }

    pub fn kind(&self) -> TransactionBoundary {
        self.kind
    }

    /// Whether the transaction ends now, after a batch or in between.
    pub fn is_due(&self, context: &Context, after_batch: bool) -> bool {
        match self.kind {
            TransactionBoundary::Poll => after_batch,
            TransactionBoundary::Interval => self.last.elapsed() >= self.interval,
            TransactionBoundary::Connector => context.takes_commit(),
        }
    }

    /// How often it must be asked while nothing is polled: a transaction does not stay open until the next record.
    pub fn looked_at_each(&self, flush_interval: Duration) -> Duration {
        match self.kind {
            TransactionBoundary::Interval => self.interval.min(flush_interval),
            TransactionBoundary::Poll | TransactionBoundary::Connector => flush_interval,
        }
    }

    /// A transaction has ended.
    pub fn committed(&mut self) {
        self.last = SystemClock.monotonic();
    }
}

fn kind(settings: &Settings) -> Result<TransactionBoundary, TaskError> {
    let value = settings.get("transaction.boundary").map_or("poll", String::as_str);
    match value.trim().to_ascii_lowercase().as_str() {
        "poll" => Ok(TransactionBoundary::Poll),
        "interval" => Ok(TransactionBoundary::Interval),
        "connector" => Ok(TransactionBoundary::Connector),
        _ => Err(TaskError::fatal(format!(
            "Invalid value {value} for configuration transaction.boundary: must be one of poll, interval, connector"
        ))),
    }
}

/// The transactional id of a task: the same on whichever worker it runs, so that it fences itself.
pub(in crate::worker) fn transactional_id(worker: &WorkerSettings, id: &TaskId) -> String {
    format!("{}-{id}", worker.group_id.as_deref().unwrap_or("connect"))
}

/// Why a worker that keeps offsets in a file cannot write exactly once.
pub(super) fn needs_topic() -> TaskError {
    TaskError::fatal(
        "exactly.once.source.support=enabled needs a worker in distributed mode: offsets are in a file here",
    )
}
