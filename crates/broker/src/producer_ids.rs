//! Producer ids for idempotent producers, handed out from blocks that the controller has set aside for this broker.
//!
//! A block is persisted before its first id is used; what is left of it at a restart is lost, so no id is given twice.

use std::ops::Range;
use std::sync::Arc;

use milena_metadata::{Controller, ControllerError};
use milena_protocol::ErrorCode;
use parking_lot::Mutex;

use crate::transaction::coordinator::ProducerIdSource;
use crate::transaction::partitions::BoxFuture;

/// The ids that are left in the current block.
#[derive(Default)]
pub struct ProducerIds {
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// The next unused producer id.
    ///
    /// # Errors
    /// When a new block is needed and the metadata store cannot set one aside.
    pub async fn next(&self, controller: &Arc<Controller>) -> Result<i64, ControllerError> {
        loop {
            if let Some(id) = self.block.lock().next() {
                return Ok(id);
            }
            let fresh = controller.allocate_producer_ids().await?;
            // Another request may have fetched a block meanwhile; then this one is simply used next, or lost.
            let mut block = self.block.lock();
            if block.is_empty() {
                *block = fresh;
            }
        }
    }
}

/// The same ids for transactional producers.
pub(crate) struct AllocatedIds {
    pub(crate) ids: Arc<ProducerIds>,
    pub(crate) controller: Arc<Controller>,
}

impl ProducerIdSource for AllocatedIds {
    fn next(&self) -> BoxFuture<'_, Result<i64, ErrorCode>> {
        Box::pin(async {
            self.ids.next(&self.controller).await.map_err(|error| {
                tracing::warn!(%error, "no producer id could be allotted");
                ErrorCode::CoordinatorNotAvailable
            })
        })
    }
}
