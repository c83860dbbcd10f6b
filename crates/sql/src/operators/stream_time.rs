//! How far the time of an operator's records has come: the latest of their times. It decides what is too late, so it is
//! left in the state with every commit and taken up again after a restart.

use super::OperatorError;
use crate::state::{StateStore, codec};

/// The key under which it is in a store. Other keys of the same store begin with a number of columns or with a time.
const KEY: [u8; 1] = [2];

/// See the module's words.
pub(super) struct StreamTime {
    now: i64,
    /// What the store knows.
    kept: i64,
}

impl StreamTime {
    /// Before the first record.
    pub(super) fn new() -> StreamTime {
        StreamTime { now: i64::MIN, kept: i64::MIN }
    }

    /// The latest time of a record, in milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// A record has come.
    pub(super) fn advance(&mut self, timestamp: i64) {
        self.now = self.now.max(timestamp);
    }

    /// Takes up what a store was left.
    pub(super) fn restore(&mut self, store: &dyn StateStore) -> Result<(), OperatorError> {
        if let Some(bytes) = store.get(&KEY)? {
            self.kept = codec::read_time(&mut &bytes[..]).ok_or(OperatorError::Corrupt("stream time"))?;
            self.advance(self.kept);
        }
        Ok(())
    }

    /// Leaves it in a store, unless that knows it.
    pub(super) fn leave(&mut self, store: &mut dyn StateStore) -> Result<(), OperatorError> {
        if self.now > self.kept {
            store.put(&KEY, &codec::time_bytes(self.now))?;
            self.kept = self.now;
        }
        Ok(())
    }
}
