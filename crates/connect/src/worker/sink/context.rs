//! What a sink task may ask of its worker.

use std::sync::Arc;

use parking_lot::Mutex;

use super::raw::RawRecord;
use crate::plugin::{SinkTaskContext, TaskError, Waiting};
use crate::record::{Origin, Record};
use crate::worker::TaskId;
use crate::worker::errors::{ErrorOperator, Failed, Failure, Stage};

/// See the module's words.
pub(super) struct Context {
    id: TaskId,
    /// Class of the task, for those who report.
    class: String,
    pub errors: Arc<ErrorOperator>,
    /// The records of the current `put` as they are in their topics, for those that are reported.
    current: Mutex<Arc<Vec<RawRecord>>>,
}

impl Context {
    pub fn new(id: TaskId, class: String, errors: Arc<ErrorOperator>) -> Context {
        Context { id, class, errors, current: Mutex::default() }
    }

    /// The records of the `put` that follows.
    pub fn set_current(&self, records: Arc<Vec<RawRecord>>) {
        *self.current.lock() = records;
    }

    fn raw_of(&self, record: &Record) -> Option<RawRecord> {
        let Origin::Sink { topic, partition, offset, .. } = &record.origin else { return None };
        let current = self.current.lock().clone();
        let found =
            current.iter().find(|raw| raw.offset == *offset && raw.partition == *partition && raw.topic == *topic);
        found.cloned()
    }
}

impl SinkTaskContext for Context {
    fn connector(&self) -> &str {
        &self.id.connector
    }

    fn task(&self) -> usize {
        self.id.task as usize
    }

    fn can_report(&self) -> bool {
        self.errors.can_report()
    }

    fn report<'a>(&'a self, record: &'a Record, error: TaskError) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            self.errors.metrics.failed();
            self.errors.metrics.errors.inc();
            let failure = Failure { stage: Stage::TaskPut, class: self.class.clone(), error: error.into() };
            let settled = match self.raw_of(record) {
                Some(raw) => self.errors.settle(failure, Failed::Sink(&raw)).await,
                None => self.errors.settle(failure, Failed::Source("a record of an earlier put")).await,
            };
            settled.map_err(|error| TaskError::fatal(error.to_string()))
        })
    }
}
