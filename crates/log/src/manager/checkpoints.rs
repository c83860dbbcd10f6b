//! The checkpoint files of the log directories, and making durable what they then speak of.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{LogManager, SYNC_WHOLE_FILE_SYSTEM_FROM};
use crate::checkpoint::{self, Offsets};
use crate::error::{IoContext, StorageError};
use crate::log::Log;
use crate::log_dir::LogDir;

impl LogManager {
    /// Makes everything durable that was appended up to now, so that recovery after a crash reads no more than what came after the last
    /// checkpoint. Most of it has been written back by then; appends go on meanwhile.
    pub(super) fn advance_recovery_points(&self) {
        let logs = self.logs();
        for dir in self.dirs.iter().filter(|dir| dir.failure().is_none()) {
            let behind = |log: &&Arc<Log>| Arc::ptr_eq(&log.dir(), dir) && log.durable_offset() < log.log_end_offset();
            // The ends before the sync: what is appended meanwhile may miss it.
            let unsynced: Vec<(&Arc<Log>, i64)> =
                logs.iter().filter(behind).map(|log| (log, log.log_end_offset())).collect();
            if unsynced.len() <= SYNC_WHOLE_FILE_SYSTEM_FROM {
                // A failure has been logged and the directory is offline.
                unsynced.iter().for_each(|(log, _)| drop(log.flush()));
                continue;
            }
            match sync_file_system(dir.path()) {
                Ok(()) => unsynced.iter().for_each(|(log, log_end_offset)| log.synced_up_to(*log_end_offset)),
                Err(error) => {
                    dir.judge(StorageError { kind: crate::StorageErrorKind::Io, ..error });
                }
            }
        }
    }

    /// Writes the offset checkpoints of every online log directory.
    ///
    /// # Errors
    /// The last failure; the other directories are written all the same.
    pub fn write_checkpoints(&self) -> Result<(), StorageError> {
        let logs = self.logs();
        let mut outcome = Ok(());
        for dir in self.dirs.iter().filter(|dir| dir.failure().is_none()) {
            let own: Vec<&Arc<Log>> = logs.iter().filter(|log| Arc::ptr_eq(&log.dir(), dir)).collect();
            if let Err(error) = self.write_checkpoints_of(dir.path(), &own) {
                outcome = Err(dir.judge(error));
            }
        }
        outcome
    }

    pub(super) fn write_checkpoints_of(&self, dir: &Path, logs: &[&Arc<Log>]) -> Result<(), StorageError> {
        let key = |log: &Arc<Log>| (log.topic().to_string(), log.partition());
        let recovery: Offsets = logs.iter().map(|log| (key(log), log.durable_offset())).collect();
        let watermarks: Offsets = logs.iter().map(|log| (key(log), log.high_watermark())).collect();
        let starts: Offsets = logs
            .iter()
            .filter(|log| log.log_start_offset() > log.segments().first().map_or(0, |(base_offset, _)| *base_offset))
            .map(|log| (key(log), log.log_start_offset()))
            .collect();
        let cleaned = self.cleaned_of(logs);
        checkpoint::write_offsets(&dir.join(checkpoint::RECOVERY_POINT_FILE), &recovery)?;
        checkpoint::write_offsets(&dir.join(checkpoint::HIGH_WATERMARK_FILE), &watermarks)?;
        checkpoint::write_offsets(&dir.join(checkpoint::LOG_START_FILE), &starts)?;
        checkpoint::write_offsets(&dir.join(checkpoint::CLEANER_FILE), &cleaned)
    }

    fn cleaned_of(&self, logs: &[&Arc<Log>]) -> Offsets {
        let cleaned = self.cleaned.lock();
        let offset_of = |log: &&Arc<Log>| {
            let key = (log.topic().to_string(), log.partition());
            cleaned.get(&key).map(|offset| (key, *offset))
        };
        logs.iter().filter_map(offset_of).collect()
    }

    /// Writes how far the logs in `dir` are compacted.
    pub(crate) fn write_cleaner_checkpoint(&self, dir: &Arc<LogDir>) -> Result<(), StorageError> {
        let logs = self.logs();
        let own: Vec<&Arc<Log>> = logs.iter().filter(|log| Arc::ptr_eq(&log.dir(), dir)).collect();
        checkpoint::write_offsets(&dir.path().join(checkpoint::CLEANER_FILE), &self.cleaned_of(&own))
    }
}

/// Writes everything that the file system of `path` holds in memory, names included.
pub(super) fn sync_file_system(path: &Path) -> Result<(), StorageError> {
    let file = fs::File::open(path).at("open", path)?;
    rustix::fs::syncfs(&file).at("syncfs", path)
}
