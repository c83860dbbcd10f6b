//! What a source task may ask of its worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::transaction::Boundary;
use crate::plugin::{SourceTaskContext, TaskError, TransactionBoundary, TransactionContext, Waiting};
use crate::record::SourceMap;
use crate::worker::TaskId;
use crate::worker::offsets::OffsetStore;

/// See the module's words.
pub(super) struct Context {
    store: Arc<dyn OffsetStore>,
    id: TaskId,
    transactions: Option<Requests>,
}

#[derive(Default)]
struct Requests {
    commit: AtomicBool,
    abort: AtomicBool,
}

impl Context {
    pub fn new(store: Arc<dyn OffsetStore>, id: TaskId, boundary: Option<&Boundary>) -> Context {
        let own = boundary.is_some_and(|boundary| boundary.kind() == TransactionBoundary::Connector);
        Context { store, id, transactions: own.then(Requests::default) }
    }

    /// Whether the source says where transactions end.
    pub fn ends_transactions(&self) -> bool {
        self.transactions.is_some()
    }

    /// Whether a commit was asked for since the last time.
    pub fn takes_commit(&self) -> bool {
        self.transactions.as_ref().is_some_and(|requests| requests.commit.swap(false, Ordering::AcqRel))
    }

    /// Whether an abort was asked for since the last time.
    pub fn takes_abort(&self) -> bool {
        self.transactions.as_ref().is_some_and(|requests| requests.abort.swap(false, Ordering::AcqRel))
    }
}

impl TransactionContext for Requests {
    fn commit(&self) {
        self.commit.store(true, Ordering::Release);
    }

    fn abort(&self) {
        self.abort.store(true, Ordering::Release);
    }
}

impl SourceTaskContext for Context {
    fn connector(&self) -> &str {
        &self.id.connector
    }

    fn task(&self) -> usize {
        self.id.task as usize
    }

    fn offsets<'a>(
        &'a self,
        partitions: Vec<SourceMap>,
    ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, TaskError>> {
        Box::pin(async move {
            let read = self.store.read(&self.id.connector, &partitions).await;
            read.map_err(|error| TaskError::fatal(format!("Offsets could not be read: {error}")))
        })
    }

    fn transactions(&self) -> Option<&dyn TransactionContext> {
        self.transactions.as_ref().map(|requests| requests as &dyn TransactionContext)
    }
}
