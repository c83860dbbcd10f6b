//! Appending: validate without a lock, then under one short lock decide, write and publish.
//!
//! A batch reaches the file with one `pwritev` of its patched header and the payload slice of the request it came in, so the payload is
//! never copied in user space. Readers see it only after the write; a write that fails is cut off again before the lock is released.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::config::LogConfig;
use crate::error::{AppendError, StorageError, StorageErrorKind};
use crate::log::{AppendState, Frontiers, Log};
use crate::producer_state::{BatchMetadata, EndTxnMarker, Verdict};
use crate::segment::{Segment, write_all_vectored_at};
use crate::validate::{PreparedBatch, prepare};

/// Segments smaller than this get no reserved space: most partitions stay small.
const RESERVE_FROM_BYTES: u64 = 1024 * 1024;

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A produce request: everything is checked.
    Client,
    /// A coordinator of this process: several batches and control batches are fine, sequences are not checked.
    Coordinator,
}

/// How to append.
#[derive(Debug, Clone, Copy)]
pub struct AppendOptions {
    /// Who appends.
    pub origin: AppendOrigin,
    /// Epoch of the leader that appends; written into every batch.
    pub leader_epoch: i32,
    /// Version of the produce request: decides which record formats and codecs are allowed.
    pub produce_version: i16,
    /// Whether a transactional batch of a client may begin its producer's transaction on this partition. Without it, only
    /// an open one is continued ([`AppendError::TransactionNotOpen`]), which is decided together with the append, so
    /// that no batch slips in behind a marker.
    pub may_begin_transaction: bool,
    /// The producer's epoch grows with every transaction (KIP-890): a producer without state here starts at sequence 0, and
    /// a marker's epoch is above that of the records it ends.
    pub transactions_v2: bool,
}

impl Default for AppendOptions {
    fn default() -> Self {
        AppendOptions {
            origin: AppendOrigin::Client,
            leader_epoch: 0,
            produce_version: i16::MAX,
            may_begin_transaction: true,
            transactions_v2: false,
        }
    }
}

/// Where the records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The timestamp all records got, -1 if they keep their own.
    pub log_append_time: i64,
    /// First offset of the log.
    pub log_start_offset: i64,
    /// The batch was in the log already, at these offsets; nothing was appended.
    pub duplicate: bool,
}

impl Log {
    /// Appends the batch (or, for a coordinator, the batches) in `records` at the end of the log.
    ///
    /// Offsets and leader epoch are written over those in the batch; the CRC does not cover them. Visible to readers when this
    /// returns, **durable** only once [`Log::on_durable`] says so for the next offset.
    ///
    /// # Errors
    /// See [`AppendError`]. Nothing was appended, except when the fsync that `flush.messages` asks for fails: then the
    /// records are written, not durable, and the log directory is offline. A full disk is [`StorageErrorKind::DiskFull`]: appends work
    /// again when space returns. Any other I/O error takes the log directory offline.
    pub fn append(&self, records: Bytes, options: &AppendOptions) -> Result<AppendInfo, AppendError> {
        let config = self.config();
        let now_ms = self.context.now_ms();
        let mut batches = prepare(records, options, &config, now_ms)?;
        let info = {
            let mut state = self.state.lock();
            self.check_usable(&state)?;
            if let Some(duplicate) = check_producers(&state, &batches, options)? {
                return Ok(self.duplicate_info(&duplicate));
            }
            let frontiers = self.frontiers_with_room(&mut state, &batches, &config, now_ms)?;
            assign_offsets(&mut batches, frontiers.log_end_offset, options.leader_epoch);
            self.write(&mut state, &frontiers, &batches, &config)?;
            self.take_note(&mut state, &frontiers, &batches, options.leader_epoch)
        };
        self.after_append(&batches, &config, now_ms, info.last_offset)?;
        let log_append_time = batches.first().filter(|batch| batch.header.is_log_append_time());
        Ok(AppendInfo { log_append_time: log_append_time.map_or(-1, |batch| batch.header.max_timestamp()), ..info })
    }

    fn duplicate_info(&self, batch: &BatchMetadata) -> AppendInfo {
        AppendInfo {
            base_offset: batch.first_offset(),
            last_offset: batch.last_offset,
            log_append_time: -1,
            log_start_offset: self.log_start_offset(),
            duplicate: true,
        }
    }

    /// The frontiers after rolling the active segment, if these batches must go to a new one.
    fn frontiers_with_room(
        &self,
        state: &mut AppendState,
        batches: &[PreparedBatch],
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Frontiers, StorageError> {
        let frontiers = self.frontiers();
        let active = frontiers.active();
        if active.size() == 0 {
            return Ok(frontiers);
        }
        let bytes: u64 = batches.iter().map(|batch| batch.header.size_in_bytes() as u64).sum();
        let timestamp = batches.iter().map(|batch| batch.header.max_timestamp()).max().unwrap_or(-1);
        let records: i64 = batches.iter().map(|batch| i64::from(batch.header.last_offset_delta()) + 1).sum();
        let last_offset = frontiers.log_end_offset.saturating_add(records - 1);
        let age_max = config.segment_age_ms_max().saturating_sub(self.jitter_ms(active.base_offset(), config));
        let check = || -> std::io::Result<bool> {
            Ok(frontiers.active_size + bytes > config.segment_bytes.max(0) as u64
                || last_offset - active.base_offset() > i64::from(i32::MAX)
                || active.age_ms(timestamp, now_ms)? > age_max
                || active.index_full(config.segment_index_bytes)?)
        };
        let must_roll =
            check().map_err(|error| self.dir().judge(StorageError::new("read", active.data_path(), error)))?;
        if must_roll {
            self.roll_locked(state)?;
            return Ok(self.frontiers());
        }
        Ok(frontiers)
    }

    /// A fixed share of `segment.jitter.ms` per partition and segment, so that segments of many partitions do not roll together.
    fn jitter_ms(&self, base_offset: i64, config: &LogConfig) -> i64 {
        if config.segment_jitter_ms <= 0 {
            return 0;
        }
        let mut hash = base_offset.unsigned_abs() ^ u64::from(self.partition().unsigned_abs()) << 32;
        for byte in self.topic().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        (hash % config.segment_jitter_ms.min(config.segment_ms).max(1).unsigned_abs()) as i64
    }

    /// Writes the batches behind the active segment's data; on failure the file is as before.
    fn write(
        &self,
        state: &mut AppendState,
        frontiers: &Frontiers,
        batches: &[PreparedBatch],
        config: &LogConfig,
    ) -> Result<(), StorageError> {
        let active = frontiers.active();
        let position = frontiers.active_size;
        let written: std::io::Result<()> = self.write_batches(active, position, batches, config).and_then(|()| {
            let aborted = batches
                .iter()
                .filter(|batch| batch.header.is_control())
                .filter_map(|batch| state.producers.preview_abort(&batch.header, &batch.payload));
            aborted.into_iter().try_for_each(|entry| active.txn_index.append(&entry))
        });
        let Err(error) = written else { return Ok(()) };
        let error = StorageError::new("append", active.data_path(), error);
        let undone = active
            .truncate_data(position, frontiers.log_end_offset)
            .and_then(|()| active.txn_index.truncate_to(frontiers.log_end_offset));
        if let Err(undo_error) = undone
            && (position > 0 || error.kind != StorageErrorKind::DiskFull)
        {
            return Err(self.dir().judge(StorageError {
                kind: StorageErrorKind::Io,
                ..StorageError::new("truncate", active.data_path(), undo_error)
            }));
        }
        Err(self.dir().judge(error))
    }

    fn write_batches(
        &self,
        active: &Segment,
        position: u64,
        batches: &[PreparedBatch],
        config: &LogConfig,
    ) -> std::io::Result<()> {
        let (file, created) = active.file_for_append()?;
        if created {
            self.names_dirty.store(true, Ordering::Release);
        }
        let bytes: u64 = batches.iter().map(|batch| batch.header.size_in_bytes() as u64).sum();
        if config.preallocate {
            active.reserve(&file, position + bytes, config.segment_bytes.max(0) as u64);
        } else if position + bytes >= RESERVE_FROM_BYTES {
            active.reserve(&file, position + bytes, self.context.tuning.preallocate_bytes);
        }
        if let [batch] = batches {
            return write_all_vectored_at(
                &file,
                &mut [IoSlice::new(&batch.header.0), IoSlice::new(&batch.payload)],
                position,
            );
        }
        let mut parts: Vec<IoSlice<'_>> =
            batches.iter().flat_map(|batch| [IoSlice::new(&batch.header.0), IoSlice::new(&batch.payload)]).collect();
        write_all_vectored_at(&file, &mut parts, position)
    }

    /// The bytes are in the file: indexes, producers and epochs learn of them, then readers.
    fn take_note(
        &self,
        state: &mut AppendState,
        frontiers: &Frontiers,
        batches: &[PreparedBatch],
        leader_epoch: i32,
    ) -> AppendInfo {
        let active = frontiers.active();
        let interval = self.config().index_interval_bytes.max(0) as u64;
        let mut position = frontiers.active_size;
        let mut next_offset = frontiers.log_end_offset;
        for batch in batches {
            if let Err(error) = active.note_batch(&batch.header, position, interval) {
                // The entry stays in memory and is written with the next group; recovery rebuilds the index in any case.
                tracing::debug!(topic = self.topic(), partition = self.partition(), %error, "index entry not written yet");
            }
            state.producers.apply(&batch.header, &batch.payload);
            position += batch.header.size_in_bytes() as u64;
            next_offset = batch.header.next_offset();
        }
        active.set_end(position, next_offset);
        if state.epochs.assign(leader_epoch, frontiers.log_end_offset) {
            self.publish_leader_epoch(&state.epochs);
        }
        self.persist_epochs(state);
        let mut current = self.frontiers.write();
        current.log_end_offset = next_offset;
        current.active_size = position;
        let stable = state.producers.first_open_offset().unwrap_or(next_offset);
        current.last_stable_offset = stable.max(current.log_start_offset);
        AppendInfo {
            base_offset: frontiers.log_end_offset,
            last_offset: next_offset - 1,
            log_append_time: -1,
            log_start_offset: current.log_start_offset,
            duplicate: false,
        }
    }

    /// What an append may set off once the lock is released.
    fn after_append(
        &self,
        batches: &[PreparedBatch],
        config: &LogConfig,
        now_ms: i64,
        last_offset: i64,
    ) -> Result<(), StorageError> {
        let bytes: u64 = batches.iter().map(|batch| batch.header.size_in_bytes() as u64).sum();
        self.changed.store(true, Ordering::Release);
        let unsynced = self.unsynced_bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let _ = self.unsynced_since_ms.compare_exchange(i64::MAX, now_ms, Ordering::AcqRel, Ordering::Relaxed);
        if config.flush_messages < i64::MAX && last_offset + 1 - self.durable_offset() >= config.flush_messages {
            return self.flush();
        }
        let early = self.context.tuning.early_writeback_bytes;
        if early > 0 && unsynced >= early {
            self.request_flush();
        }
        Ok(())
    }
}

fn check_producers(
    state: &AppendState,
    batches: &[PreparedBatch],
    options: &AppendOptions,
) -> Result<Option<BatchMetadata>, AppendError> {
    let client = options.origin == AppendOrigin::Client;
    for batch in batches.iter().filter(|batch| batch.header.has_producer_id()) {
        if batch.header.is_control() {
            let marker = EndTxnMarker::parse(&batch.payload)
                .ok_or_else(|| AppendError::invalid_record("control batch is no transaction marker"))?;
            state.producers.check_marker(&batch.header, &marker, options.transactions_v2)?;
            continue;
        }
        match state.producers.check(&batch.header, options.transactions_v2)? {
            Verdict::Duplicate(found) if client => return Ok(Some(found)),
            _ if client && !options.may_begin_transaction => state.producers.check_continues(&batch.header)?,
            _ => {}
        }
    }
    Ok(None)
}

fn assign_offsets(batches: &mut [PreparedBatch], log_end_offset: i64, leader_epoch: i32) {
    let mut next_offset = log_end_offset;
    for batch in batches {
        batch.header.set_base_offset(next_offset);
        batch.header.set_leader_epoch(leader_epoch);
        next_offset = batch.header.next_offset();
    }
}
