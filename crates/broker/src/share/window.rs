//! The records in flight of one share partition: from its start offset (SPSO) to its end offset (SPEO).
//!
//! ```text
//!   Available ──acquire──► Acquired ──accept──► Acknowledged
//!       ▲                     │ ├────reject, gap──► Archived
//!       └──release, timeout───┘ └──release or timeout after too many deliveries──► Archived
//! ```
//!
//! Always true:
//!   runs are contiguous and cover exactly `start_offset..=end_offset` (nothing when the window is empty)
//!   the first run is neither acknowledged nor archived: the start offset moves past those
//!   a run has a lock exactly when it is acquired
//!
//! Pure: no log, no clock, no coordinator. Changes that must survive a restart are answered as [`StateBatch`]es.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::coordinator::StateBatch;

/// Where a record is on its way. The numbers are those of the stored state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum RecordState {
    /// Waits for somebody to fetch it.
    Available = 0,
    /// A member has it, until its lock runs out.
    Acquired = 1,
    /// It was accepted.
    Acknowledged = 2,
    /// Nobody will get it any more.
    Archived = 4,
}

impl RecordState {
    fn from_stored(state: i8) -> RecordState {
        match state {
            2 => RecordState::Acknowledged,
            4 => RecordState::Archived,
            _ => RecordState::Available,
        }
    }

    fn is_final(self) -> bool {
        matches!(self, RecordState::Acknowledged | RecordState::Archived)
    }
}

/// What a member says about a record it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckType {
    /// There is no record at this offset.
    Gap,
    /// Done.
    Accept,
    /// Somebody is to try again.
    Release,
    /// Nobody is to try again.
    Reject,
    /// Still busy: the lock begins anew.
    Renew,
}

impl AckType {
    /// The type of a wire number.
    pub fn from_code(code: i8) -> Option<AckType> {
        Some(match code {
            0 => AckType::Gap,
            1 => AckType::Accept,
            2 => AckType::Release,
            3 => AckType::Reject,
            4 => AckType::Renew,
            _ => return None,
        })
    }
}

/// Acknowledgements of `first_offset..=last_offset`: one type for all, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckBatch {
    /// The first offset.
    pub first_offset: i64,
    /// The last offset.
    pub last_offset: i64,
    /// The types.
    pub types: Vec<AckType>,
}

/// One batch of the log as the window needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// No consumer may see it: a control batch, or one of an aborted transaction.
    pub hidden: bool,
}

/// Offsets that a member has just acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquiredRange {
    /// The first offset.
    pub first_offset: i64,
    /// The last offset.
    pub last_offset: i64,
    /// Which delivery of the records this is, from 1.
    pub delivery_count: i16,
}

/// What a member asks for.
#[derive(Clone, Debug)]
pub struct Acquisition<'a> {
    /// The member.
    pub member: &'a Arc<str>,
    /// The offset the log was read from.
    pub fetch_offset: i64,
    /// How many records it wants; a batch is not cut for this unless `strict`.
    pub max_records: i64,
    /// Records of small batches are put into ranges of this size.
    pub batch_size: i64,
    /// Never more than `max_records` (KIP-1206).
    pub strict: bool,
    /// Most records in flight (`share.partition.max.record.locks`).
    pub max_in_flight: i64,
    /// When the locks run out, in monotonic ms.
    pub lock_until_ms: i64,
}

/// What came of an acquisition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acquired {
    /// What the member has now.
    pub ranges: Vec<AcquiredRange>,
    /// Offsets found to be of no use to anybody.
    pub archived: Vec<StateBatch>,
}

#[derive(Clone, Debug)]
struct Lock {
    member: Arc<str>,
    until_ms: i64,
}

#[derive(Clone, Debug)]
struct Run {
    last_offset: i64,
    state: RecordState,
    delivery_count: i16,
    lock: Option<Lock>,
}

impl Run {
    fn stored(&self, first_offset: i64) -> StateBatch {
        StateBatch {
            first_offset,
            last_offset: self.last_offset,
            delivery_state: self.state as i8,
            delivery_count: self.delivery_count,
        }
    }
}

/// The records in flight.
#[derive(Debug)]
pub struct Window {
    start_offset: i64,
    /// The first offset behind the window.
    next_offset: i64,
    runs: BTreeMap<i64, Run>,
}

impl Window {
    /// The window that stored state describes; offsets it does not speak of are available.
    pub fn new(start_offset: i64, stored: &[StateBatch]) -> Window {
        let mut window = Window { start_offset, next_offset: start_offset, runs: BTreeMap::new() };
        for batch in stored {
            if batch.last_offset < window.next_offset {
                continue;
            }
            let first_offset = batch.first_offset.max(window.next_offset);
            if first_offset > window.next_offset {
                window.push(first_offset - 1, RecordState::Available, 0, None);
            }
            let state = RecordState::from_stored(batch.delivery_state);
            window.push(batch.last_offset, state, batch.delivery_count, None);
        }
        window.advance_start();
        window
    }

    /// The share partition's start offset.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Records at or above the start offset that nobody needs any more.
    pub fn delivery_complete_count(&self) -> i64 {
        self.runs
            .iter()
            .filter(|(_, run)| run.state.is_final())
            .map(|(first_offset, run)| run.last_offset - first_offset + 1)
            .sum()
    }

    /// Where the log is to be read next: the first available record, else what lies behind the window. `None` while the
    /// window is full.
    pub fn next_fetch_offset(&self, max_in_flight: i64) -> Option<i64> {
        let available = self.runs.iter().find(|(_, run)| run.state == RecordState::Available);
        match available {
            Some((first_offset, _)) => Some(*first_offset),
            None => (self.in_flight() < max_in_flight).then_some(self.next_offset),
        }
    }

    /// When the first lock runs out, in monotonic ms.
    pub fn next_deadline(&self) -> Option<i64> {
        self.runs.values().filter_map(|run| run.lock.as_ref()).map(|lock| lock.until_ms).min()
    }

    fn in_flight(&self) -> i64 {
        self.next_offset - self.start_offset
    }

    /// Records below `log_start_offset` are gone from the log, whoever has them. Says whether the window moved.
    pub fn follow_log_start(&mut self, log_start_offset: i64) -> bool {
        if log_start_offset <= self.start_offset {
            return false;
        }
        self.split_at(log_start_offset);
        self.runs = self.runs.split_off(&log_start_offset);
        self.start_offset = log_start_offset;
        self.next_offset = self.next_offset.max(log_start_offset);
        self.advance_start();
        true
    }

    /// Gives the member available records of `batches`, which were read from the log.
    pub fn acquire(&mut self, wanted: &Acquisition<'_>, batches: &[LogBatch]) -> Acquired {
        let mut acquired = Acquired::default();
        // Compaction may have removed what was available before.
        let mut covered = wanted.fetch_offset;
        let mut left = wanted.max_records;
        for batch in batches {
            if left <= 0 {
                break;
            }
            self.archive_available(covered, batch.base_offset - 1, &mut acquired);
            covered = batch.last_offset + 1;
            let first_offset = batch.base_offset.max(wanted.fetch_offset).max(self.start_offset);
            if batch.hidden {
                self.hide(first_offset, batch.last_offset, &mut acquired);
                continue;
            }
            self.acquire_available(wanted, first_offset, batch.last_offset, &mut left, &mut acquired);
            if !self.acquire_new(wanted, first_offset, batch.last_offset, &mut left, &mut acquired) {
                break;
            }
        }
        self.advance_start();
        acquired
    }

    /// Records within the window.
    fn acquire_available(
        &mut self,
        wanted: &Acquisition<'_>,
        first_offset: i64,
        last_offset: i64,
        left: &mut i64,
        acquired: &mut Acquired,
    ) {
        let mut offset = first_offset;
        while *left > 0 && offset <= last_offset.min(self.next_offset - 1) {
            let Some((run_first, run)) = self.run_at(offset) else { return };
            let run_last = run.last_offset.min(last_offset);
            if run.state != RecordState::Available {
                offset = run_last + 1;
                continue;
            }
            let from = run_first.max(offset);
            let to = if wanted.strict { run_last.min(from + *left - 1) } else { run_last };
            let count = run.delivery_count.saturating_add(1);
            let lock = Lock { member: wanted.member.clone(), until_ms: wanted.lock_until_ms };
            self.set(from, to, RecordState::Acquired, count, Some(lock));
            acquired.add(from, to, count, wanted.batch_size);
            *left -= to - from + 1;
            offset = to + 1;
        }
    }

    /// Records behind the window. Says whether there may be more of them.
    fn acquire_new(
        &mut self,
        wanted: &Acquisition<'_>,
        first_offset: i64,
        last_offset: i64,
        left: &mut i64,
        acquired: &mut Acquired,
    ) -> bool {
        if last_offset < self.next_offset || *left <= 0 {
            return *left > 0;
        }
        let room = wanted.max_in_flight - self.in_flight();
        if room <= 0 {
            return false;
        }
        let first_offset = first_offset.max(self.next_offset);
        if first_offset > self.next_offset {
            let gap = self.push(first_offset - 1, RecordState::Archived, 0, None);
            acquired.archived.push(gap);
        }
        let last = if wanted.strict { last_offset.min(first_offset + (*left).min(room) - 1) } else { last_offset };
        let lock = Lock { member: wanted.member.clone(), until_ms: wanted.lock_until_ms };
        self.push(last, RecordState::Acquired, 1, Some(lock));
        acquired.add(first_offset, last, 1, wanted.batch_size);
        *left -= last - first_offset + 1;
        last == last_offset
    }

    /// No consumer is to see these offsets.
    fn hide(&mut self, first_offset: i64, last_offset: i64, acquired: &mut Acquired) {
        self.archive_available(first_offset, last_offset, acquired);
        if last_offset >= self.next_offset {
            let archived = self.push(last_offset, RecordState::Archived, 0, None);
            acquired.archived.push(archived);
        }
    }

    fn archive_available(&mut self, first_offset: i64, last_offset: i64, acquired: &mut Acquired) {
        let mut offset = first_offset.max(self.start_offset);
        while offset <= last_offset.min(self.next_offset - 1) {
            let Some((_, run)) = self.run_at(offset) else { return };
            let to = run.last_offset.min(last_offset);
            if run.state == RecordState::Available {
                let count = run.delivery_count;
                acquired.archived.push(self.set(offset, to, RecordState::Archived, count, None));
            }
            offset = to + 1;
        }
    }

    /// Takes acknowledgements of `member`; all or none. What lies below the start offset is passed over: the log has
    /// lost it.
    ///
    /// # Errors
    /// INVALID_RECORD_STATE when the member does not have one of the records.
    pub fn acknowledge(
        &mut self,
        member: &str,
        batches: &[AckBatch],
        deliveries_max: i16,
        lock_until_ms: i64,
    ) -> Result<Vec<StateBatch>, ErrorCode> {
        for batch in batches {
            self.check_acquired(member, batch.first_offset.max(self.start_offset), batch.last_offset)?;
        }
        let mut changes = Vec::new();
        for batch in batches {
            for (first_offset, last_offset, ack) in same_types(batch) {
                let from = first_offset.max(self.start_offset);
                self.acknowledge_range(from, last_offset, ack, deliveries_max, lock_until_ms, &mut changes);
            }
        }
        self.advance_start();
        Ok(changes)
    }

    fn check_acquired(&self, member: &str, first_offset: i64, last_offset: i64) -> Result<(), ErrorCode> {
        let mut offset = first_offset;
        while offset <= last_offset {
            let (_, run) = self.run_at(offset).ok_or(ErrorCode::InvalidRecordState)?;
            if run.lock.as_ref().is_none_or(|lock| lock.member.as_ref() != member) {
                return Err(ErrorCode::InvalidRecordState);
            }
            offset = run.last_offset + 1;
        }
        Ok(())
    }

    fn acknowledge_range(
        &mut self,
        first_offset: i64,
        last_offset: i64,
        ack: AckType,
        deliveries_max: i16,
        lock_until_ms: i64,
        changes: &mut Vec<StateBatch>,
    ) {
        let mut offset = first_offset;
        while offset <= last_offset {
            let Some((_, run)) = self.run_at(offset) else { return };
            let (to, count) = (run.last_offset.min(last_offset), run.delivery_count);
            let state = match ack {
                AckType::Accept => RecordState::Acknowledged,
                AckType::Release if count < deliveries_max => RecordState::Available,
                AckType::Release | AckType::Reject | AckType::Gap => RecordState::Archived,
                AckType::Renew => {
                    let lock = run.lock.clone().map(|lock| Lock { until_ms: lock_until_ms, ..lock });
                    self.set(offset, to, RecordState::Acquired, count, lock);
                    offset = to + 1;
                    continue;
                }
            };
            changes.push(self.set(offset, to, state, count, None));
            offset = to + 1;
        }
    }

    /// Everything that `member` has is released: it is gone, and nobody knows how far it came.
    pub fn release_member(&mut self, member: &str, deliveries_max: i16) -> Vec<StateBatch> {
        self.unlock(|lock| lock.member.as_ref() == member, deliveries_max)
    }

    /// Locks that have run out are taken away.
    pub fn expire_locks(&mut self, now_ms: i64, deliveries_max: i16) -> Vec<StateBatch> {
        self.unlock(|lock| lock.until_ms <= now_ms, deliveries_max)
    }

    fn unlock(&mut self, picks: impl Fn(&Lock) -> bool, deliveries_max: i16) -> Vec<StateBatch> {
        let mut changes = Vec::new();
        for (first_offset, run) in &mut self.runs {
            if run.lock.as_ref().is_some_and(&picks) {
                run.lock = None;
                run.state =
                    if run.delivery_count < deliveries_max { RecordState::Available } else { RecordState::Archived };
                changes.push(run.stored(*first_offset));
            }
        }
        self.advance_start();
        changes
    }

    /// Drops what is finished at the beginning of the window.
    fn advance_start(&mut self) {
        while let Some(first) = self.runs.first_entry() {
            if !first.get().state.is_final() {
                return;
            }
            self.start_offset = first.remove().last_offset + 1;
        }
        self.start_offset = self.next_offset;
    }

    fn run_at(&self, offset: i64) -> Option<(i64, &Run)> {
        let (first_offset, run) = self.runs.range(..=offset).next_back()?;
        (offset <= run.last_offset).then_some((*first_offset, run))
    }

    /// Makes `offset` the first of a run, if it is inside one.
    fn split_at(&mut self, offset: i64) {
        let Some((first_offset, run)) = self.run_at(offset) else { return };
        if first_offset == offset {
            return;
        }
        let tail = run.clone();
        if let Some(head) = self.runs.get_mut(&first_offset) {
            head.last_offset = offset - 1;
        }
        self.runs.insert(offset, tail);
    }

    /// Sets a range that lies inside one run.
    fn set(
        &mut self,
        first_offset: i64,
        last_offset: i64,
        state: RecordState,
        delivery_count: i16,
        lock: Option<Lock>,
    ) -> StateBatch {
        self.split_at(first_offset);
        self.split_at(last_offset + 1);
        let run = Run { last_offset, state, delivery_count, lock };
        let stored = run.stored(first_offset);
        self.runs.insert(first_offset, run);
        stored
    }

    /// Adds a run at the end of the window.
    fn push(&mut self, last_offset: i64, state: RecordState, delivery_count: i16, lock: Option<Lock>) -> StateBatch {
        let first_offset = self.next_offset;
        let run = Run { last_offset, state, delivery_count, lock };
        let stored = run.stored(first_offset);
        self.runs.insert(first_offset, run);
        self.next_offset = last_offset + 1;
        stored
    }
}

impl Acquired {
    /// Adds a range; small neighbours of the same delivery are put together.
    fn add(&mut self, first_offset: i64, last_offset: i64, delivery_count: i16, batch_size: i64) {
        if let Some(last) = self.ranges.last_mut()
            && last.last_offset + 1 == first_offset
            && last.delivery_count == delivery_count
            && last.last_offset - last.first_offset + 1 < batch_size
        {
            last.last_offset = last_offset;
            return;
        }
        self.ranges.push(AcquiredRange { first_offset, last_offset, delivery_count });
    }
}

/// Neighbouring offsets of `batch` with the same type.
fn same_types(batch: &AckBatch) -> Vec<(i64, i64, AckType)> {
    if let [ack] = batch.types[..] {
        return vec![(batch.first_offset, batch.last_offset, ack)];
    }
    let mut ranges: Vec<(i64, i64, AckType)> = Vec::new();
    for (offset, ack) in (batch.first_offset..=batch.last_offset).zip(&batch.types) {
        match ranges.last_mut() {
            Some((_, last_offset, last)) if last == ack => *last_offset = offset,
            _ => ranges.push((offset, offset, *ack)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests;
