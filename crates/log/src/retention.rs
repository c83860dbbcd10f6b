//! Deleting old data: by age, by size, below the log start offset.

use crate::error::{IoContext, StorageError};
use crate::log::{AppendState, Log};

impl Log {
    /// Deletes the segments that the topic's retention no longer covers. Returns how many.
    ///
    /// The active segment is rolled first if it is due itself, so an idle topic empties too.
    ///
    /// # Errors
    /// When files cannot be read or renamed.
    pub fn apply_retention(&self) -> Result<usize, StorageError> {
        let config = self.config();
        let mut state = self.state.lock();
        self.check_usable(&state)?;
        let mut deleted = self.delete_below_start(&mut state)?;
        if !config.cleanup_policy.delete {
            return Ok(deleted);
        }
        if config.retention_ms >= 0 {
            let oldest_kept_ms = self.context.now_ms().saturating_sub(config.retention_ms);
            deleted += self.delete_while(&mut state, |newest_ms, _| newest_ms < oldest_kept_ms)?;
        }
        if config.retention_bytes >= 0 {
            let mut excess = self.size_in_bytes() as i64 - config.retention_bytes;
            deleted += self.delete_while(&mut state, |_, size| {
                let fits = excess - size as i64 >= 0;
                excess -= size as i64;
                fits
            })?;
        }
        Ok(deleted)
    }

    /// Deletes the oldest segments as long as `due(newest timestamp, size)` holds.
    fn delete_while(
        &self,
        state: &mut AppendState,
        mut due: impl FnMut(i64, u64) -> bool,
    ) -> Result<usize, StorageError> {
        let frontiers = self.frontiers();
        let mut count = 0;
        for (index, segment) in frontiers.segments.iter().enumerate() {
            let size = frontiers.size_of(index);
            let empty_active = size == 0 && index + 1 == frontiers.segments.len();
            if empty_active {
                break;
            }
            // What compaction emptied holds nothing worth keeping.
            let newest_ms = if size == 0 { Ok(i64::MIN) } else { segment.newest_ms() };
            let newest_ms = newest_ms.at("read", segment.data_path()).map_err(|error| self.dir().judge(error))?;
            if !due(newest_ms, size) {
                break;
            }
            count += 1;
        }
        if count == frontiers.segments.len() {
            self.roll_locked(state)?;
        }
        self.delete_oldest(state, count)?;
        Ok(count)
    }
}
