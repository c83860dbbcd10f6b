//! The compaction thread: finds the dirtiest log and compacts it, again and again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::compaction::{CompactionStats, Dirtiness};
use crate::error::{StorageError, StorageErrorKind};
use crate::log::Log;
use crate::manager::{CleanerOptions, LogManager};

impl LogManager {
    /// Compacts logs until the manager stops. A log whose bytes are damaged is left alone from then on.
    pub(crate) fn clean_until_stopped(&self) {
        let mut uncleanable = HashSet::new();
        loop {
            let cleaned = self.clean_dirtiest(&mut uncleanable);
            let pause = if cleaned { Duration::ZERO } else { self.cleaner.lock().backoff };
            if !self.pause(pause) {
                return;
            }
        }
    }

    /// Has compaction go by other settings from its next round on. Whether it runs at all is decided at the start.
    pub fn set_cleaner(&self, options: CleanerOptions) {
        *self.cleaner.lock() = options;
        self.wake.notify_all();
    }

    /// Compacts every log that is dirty enough, now; for tests and tools. Returns how many logs were compacted.
    pub fn clean_now(&self) -> usize {
        let mut uncleanable = HashSet::new();
        let mut count = 0;
        while count < 10_000 && self.clean_dirtiest(&mut uncleanable) {
            count += 1;
        }
        count
    }

    fn clean_dirtiest(&self, uncleanable: &mut HashSet<(String, i32)>) -> bool {
        let Some((log, dirty)) = self.dirtiest(uncleanable) else { return false };
        let key = (log.topic().to_string(), log.partition());
        match self.clean(&log, &dirty) {
            Ok(stats) => {
                tracing::debug!(topic = %key.0, partition = key.1, ?stats, "compacted");
                stats.clean_offset > dirty.first_dirty_offset
            }
            Err(error) => {
                let judged = log.dir().judge(error);
                tracing::warn!(topic = %key.0, partition = key.1, error = %judged, "compaction failed");
                if judged.kind != StorageErrorKind::DiskFull {
                    uncleanable.insert(key);
                }
                false
            }
        }
    }

    fn dirtiest(&self, uncleanable: &HashSet<(String, i32)>) -> Option<(Arc<Log>, Dirtiness)> {
        let mut best: Option<(Arc<Log>, Dirtiness)> = None;
        for log in self
            .logs()
            .into_iter()
            .filter(|log| log.config().cleanup_policy.compact && log.is_online() && !log.rewriting.is_locked())
        {
            let key = (log.topic().to_string(), log.partition());
            if uncleanable.contains(&key) {
                continue;
            }
            let clean_offset = self.cleaned.lock().get(&key).copied().unwrap_or(0);
            let Ok(Some(dirty)) = log.dirtiness(clean_offset) else { continue };
            let due = dirty.overdue || dirty.ratio > log.config().min_cleanable_dirty_ratio;
            if due && best.as_ref().is_none_or(|(_, found)| (dirty.overdue, dirty.ratio) > (found.overdue, found.ratio))
            {
                best = Some((log, dirty));
            }
        }
        best
    }

    fn clean(&self, log: &Arc<Log>, dirty: &Dirtiness) -> Result<CompactionStats, StorageError> {
        let _rewriting = log.rewriting.lock();
        let options = self.cleaner.lock().clone();
        let stats = log.compact(dirty, &options, &mut |budget| self.pause(budget))?;
        self.cleaned.lock().insert((log.topic().to_string(), log.partition()), stats.clean_offset);
        self.write_cleaner_checkpoint(&log.dir())?;
        Ok(stats)
    }
}
