//! What is older than its retention leaves the state.
//!
//! The entries of one owner (a group, a key) that are near in time are listed together, by the span of time that they are in:
//!
//! ```text
//!   index:  span 0, owner A ─┬─► store:  A at 0:01   A at 0:07
//!           span 0, owner B ─┴─►         B at 0:03
//!           span 1, owner A ───►         A at 1:02
//! ```
//!
//! So a span costs one write for each of its owners, however many entries they have. When all of it has expired, what is
//! listed is deleted, a little with every record, so that no record waits for much. Until then the [`Horizon`] tells readers
//! what is there no more.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::state::{StateError, StateStore, codec, prefix_end};

/// What keys of the index begin with. Other keys of the same store begin with a number of columns or with a time.
const INDEX: u8 = 1;
/// Spans in a retention: what has expired stays for one of them at most.
const SPANS: i64 = 8;
/// Entries of the index that are read at once.
const READ_TOGETHER: usize = 64;
/// Owners that are remembered to be listed.
const KNOWN_MAX: usize = 1 << 16;
/// Entries that are deleted with one record.
pub(super) const DELETED_TOGETHER: usize = 16;

/// Up to which time the state of a task has expired, for those who read it beside the task.
#[derive(Debug, Clone)]
pub struct Horizon(Arc<AtomicI64>);

impl Horizon {
    /// Whether what is of that time is there no more.
    pub fn is_past(&self, time: i64) -> bool {
        time <= self.0.load(Ordering::Relaxed)
    }
}

/// Entries of one owner in a span that has expired.
pub struct Due {
    /// Whose.
    pub owner: Vec<u8>,
    from: i64,
    until: i64,
}

impl Due {
    /// The keys of the entries, where those are made of the owner and the time: the first, and the one after the last.
    pub fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        let at = |time: i64| [&self.owner[..], &codec::time_bytes(time)].concat();
        (at(self.from), at(self.until))
    }
}

/// What is kept of a store, by time.
pub struct Retention {
    retention_ms: i64,
    span_ms: i64,
    /// The latest time of an entry.
    latest: i64,
    horizon: Horizon,
    /// Hashes of entries that the index has: most entries of an owner come soon after others.
    known: HashSet<u64>,
    /// Whether the index has entries whose hashes there was no room for.
    is_more_listed: bool,
    /// Entries of the index that are due.
    found: VecDeque<Vec<u8>>,
    /// The index has nothing that is due before.
    from: Vec<u8>,
    /// The start of the last span of which nothing is left.
    swept: i64,
}

impl Retention {
    /// Entries expire when others are `retention_ms` later.
    pub fn new(retention_ms: i64) -> Retention {
        let horizon = Horizon(Arc::new(AtomicI64::new(i64::MIN)));
        let span_ms = (retention_ms / SPANS).clamp(1, i64::MAX / SPANS);
        let (latest, swept) = (i64::MIN, i64::MIN);
        let (known, found) = (HashSet::new(), VecDeque::new());
        Retention {
            retention_ms,
            span_ms,
            latest,
            horizon,
            known,
            is_more_listed: false,
            found,
            from: vec![INDEX],
            swept,
        }
    }

    /// What readers may see.
    pub fn horizon(&self) -> Horizon {
        self.horizon.clone()
    }

    /// The latest time that has come.
    pub fn latest(&self) -> i64 {
        self.latest
    }

    /// The latest time that has expired.
    pub fn expired(&self) -> i64 {
        self.latest.saturating_sub(self.retention_ms)
    }

    /// There is something of `time`.
    pub fn advance(&mut self, time: i64) {
        if time > self.latest {
            self.latest = time;
            self.horizon.0.store(self.expired(), Ordering::Relaxed);
        }
    }

    /// Lists the owner of an entry of `time`.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn list(&mut self, index: &mut dyn StateStore, time: i64, owner: &[u8]) -> Result<(), StateError> {
        let span = self.span(time);
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
            self.is_more_listed = true;
        }
        if !self.known.insert(fingerprint(span, owner)) {
            return Ok(());
        }
        let key = [&[INDEX][..], &codec::time_bytes(span), owner].concat();
        // To list again what was listed before a restart costs no more than to ask.
        if self.is_more_listed && index.get(&key)?.is_some() {
            return Ok(());
        }
        index.put(&key, &[])?;
        // What comes on the last moment may be behind what was looked at.
        self.swept = self.swept.min(span.saturating_sub(self.span_ms));
        if key < self.from {
            self.from = key;
        }
        Ok(())
    }

    /// Whose entries are to be deleted next, of those that have expired and are not later than `most`. The same again
    /// until it is [`done`](Retention::done).
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn due(&mut self, index: &dyn StateStore, most: i64) -> Result<Option<Due>, StateError> {
        if self.found.is_empty() {
            let end = self.expired().min(most).saturating_add(1);
            if end < self.swept.saturating_add(2 * self.span_ms) {
                return Ok(None);
            }
            let last = self.span(end).saturating_sub(self.span_ms);
            let end = prefix_end(&[&[INDEX][..], &codec::time_bytes(last)].concat());
            let found = &mut self.found;
            index.scan(&self.from, &end, &mut |key, _| {
                found.push_back(key.to_vec());
                if found.len() < READ_TOGETHER { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            match found.back() {
                Some(read) => self.from = [&read[..], &[0]].concat(),
                None => self.swept = last,
            }
        }
        Ok(self.found.front().map(|entry| {
            let (from, owner) = read_entry(entry);
            Due { owner: owner.to_vec(), from, until: from.saturating_add(self.span_ms) }
        }))
    }

    /// The entries that were due are deleted.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn done(&mut self, index: &mut dyn StateStore) -> Result<(), StateError> {
        let Some(entry) = self.found.pop_front() else { return Ok(()) };
        let (span, owner) = read_entry(&entry);
        self.known.remove(&fingerprint(span, owner));
        index.delete(&entry)
    }

    fn span(&self, time: i64) -> i64 {
        time.div_euclid(self.span_ms).saturating_mul(self.span_ms)
    }
}

/// The span and the owner that an entry of the index names.
fn read_entry(entry: &[u8]) -> (i64, &[u8]) {
    let mut rest = entry.get(1..).unwrap_or_default();
    let span = codec::read_time(&mut rest).unwrap_or(i64::MIN);
    (span, rest)
}

fn fingerprint(span: i64, owner: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (span, owner).hash(&mut hasher);
    hasher.finish()
}

/// Deletes at most `most` of the entries between two keys and returns how many.
///
/// # Errors
/// A store that cannot be used.
pub(super) fn delete_range(
    store: &mut dyn StateStore,
    (from, to): &(Vec<u8>, Vec<u8>),
    most: usize,
) -> Result<usize, StateError> {
    let mut keys = Vec::new();
    store.scan(from, to, &mut |key, _| {
        keys.push(key.to_vec());
        if keys.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    keys.iter().try_for_each(|key| store.delete(key))?;
    Ok(keys.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{MemoryStateStore, entries};

    /// What is left of the entries of owners at times, after all that is due was deleted with steps of one entry.
    fn left(retention: &mut Retention, index: &mut MemoryStateStore, store: &mut MemoryStateStore) -> usize {
        while let Some(due) = retention.due(index, i64::MAX).unwrap() {
            if delete_range(store, &due.keys(), 1).unwrap() == 0 {
                retention.done(index).unwrap();
            }
        }
        entries(store, b"", b"\xff").unwrap().len()
    }

    fn put(retention: &mut Retention, index: &mut MemoryStateStore, store: &mut MemoryStateStore, time: i64) {
        store.put(&[b"owner".as_slice(), &codec::time_bytes(time)].concat(), b"").unwrap();
        retention.list(index, time, b"owner").unwrap();
        retention.advance(time);
    }

    #[test]
    fn spans_that_have_expired_are_deleted_with_what_lists_them() {
        let (mut retention, mut index, mut store) =
            (Retention::new(800), MemoryStateStore::default(), MemoryStateStore::default());
        for time in 0..800 {
            put(&mut retention, &mut index, &mut store, time);
        }
        assert_eq!(entries(&index, b"", b"\xff").unwrap().len(), 8, "one for each span");
        assert_eq!(left(&mut retention, &mut index, &mut store), 800);
        put(&mut retention, &mut index, &mut store, 899);
        assert_eq!(left(&mut retention, &mut index, &mut store), 701, "the first span was from 0 to 99");
        put(&mut retention, &mut index, &mut store, 998);
        assert_eq!(left(&mut retention, &mut index, &mut store), 702, "198 has expired, 199 has not");
        put(&mut retention, &mut index, &mut store, 10_000);
        assert_eq!(left(&mut retention, &mut index, &mut store), 1);
        assert_eq!(entries(&index, b"", b"\xff").unwrap().len(), 1);
    }

    #[test]
    fn what_was_listed_before_a_restart_is_found_after_it() {
        let (mut index, mut store) = (MemoryStateStore::default(), MemoryStateStore::default());
        put(&mut Retention::new(80), &mut index, &mut store, 5);
        let mut later = Retention::new(80);
        put(&mut later, &mut index, &mut store, 200);
        assert_eq!(left(&mut later, &mut index, &mut store), 1);
        // What is listed late is not forgotten.
        put(&mut later, &mut index, &mut store, 100);
        assert_eq!(left(&mut later, &mut index, &mut store), 1);
    }

    #[test]
    fn readers_see_nothing_behind_the_horizon() {
        let mut retention = Retention::new(10);
        let horizon = retention.horizon();
        assert!(!horizon.is_past(i64::MIN + 1));
        retention.advance(100);
        retention.advance(50);
        assert!(horizon.is_past(90) && !horizon.is_past(91));
    }

    #[test]
    fn nothing_is_due_that_is_still_wanted() {
        let (mut retention, mut index, mut store) =
            (Retention::new(8), MemoryStateStore::default(), MemoryStateStore::default());
        put(&mut retention, &mut index, &mut store, 3);
        put(&mut retention, &mut index, &mut store, 100);
        assert!(retention.due(&index, 2).unwrap().is_none());
        assert!(retention.due(&index, 3).unwrap().is_some());
    }
}
