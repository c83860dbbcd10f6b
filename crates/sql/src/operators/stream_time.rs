//! How far the time of an operator's records has come: the latest of their times. It decides what is too late, so it is
//! left in the state with every commit and taken up again after a restart.

use super::OperatorError;
use crate::state::{StateStore, codec};

/// The keys under which it is in a store, of one input and of several together. Other keys of the same store begin with a
/// number of columns or with a time.
const KEY: [u8; 1] = [2];
const SHARED_KEY: [u8; 1] = [3];

/// See the module's words.
pub(super) struct StreamTime {
    now: i64,
    /// What the store knows.
    kept: i64,
    key: [u8; 1],
}

impl StreamTime {
    /// Before the first record.
    pub(super) fn new() -> StreamTime {
        StreamTime { now: i64::MIN, kept: i64::MIN, key: KEY }
    }

    /// The same for a time that several inputs share, beside that of one of them.
    pub(super) fn shared() -> StreamTime {
        StreamTime { key: SHARED_KEY, ..StreamTime::new() }
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
        if let Some(bytes) = store.get(&self.key)? {
            self.kept = codec::read_time(&mut &bytes[..]).ok_or(OperatorError::Corrupt("stream time"))?;
            self.advance(self.kept);
        }
        Ok(())
    }

    /// Leaves it in a store, unless that knows it.
    pub(super) fn leave(&mut self, store: &mut dyn StateStore) -> Result<(), OperatorError> {
        if self.now > self.kept {
            store.put(&self.key, &codec::time_bytes(self.now))?;
            self.kept = self.now;
        }
        Ok(())
    }
}
