//! One partition of `__transaction_state` in memory.

use std::collections::HashMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::metadata::TransactionMetadata;

/// The transactional ids of one shard.
#[derive(Debug, Default)]
pub(super) struct Shard {
    loaded: bool,
    transactions: HashMap<Arc<str>, TransactionMetadata>,
}

impl Shard {
    /// A shard whose log has been read.
    pub(super) fn loaded(transactions: HashMap<Arc<str>, TransactionMetadata>) -> Shard {
        Shard { loaded: true, transactions }
    }

    /// Every transactional id.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS until the log has been read.
    pub(super) fn all(&self) -> Result<impl Iterator<Item = &TransactionMetadata>, ErrorCode> {
        self.check_loaded()?;
        Ok(self.transactions.values())
    }

    /// The state of `transactional_id`, if it is known.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub(super) fn get(&self, transactional_id: &str) -> Result<Option<&TransactionMetadata>, ErrorCode> {
        self.check_loaded()?;
        Ok(self.transactions.get(transactional_id))
    }

    /// Replaces the state of its transactional id.
    pub(super) fn put(&mut self, transaction: TransactionMetadata) {
        self.transactions.insert(transaction.transactional_id.clone(), transaction);
    }

    /// Forgets a transactional id.
    pub(super) fn remove(&mut self, transactional_id: &str) {
        self.transactions.remove(transactional_id);
    }

    fn check_loaded(&self) -> Result<(), ErrorCode> {
        if self.loaded { Ok(()) } else { Err(ErrorCode::CoordinatorLoadInProgress) }
    }
}
