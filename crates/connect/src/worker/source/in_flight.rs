//! Records of a source between poll and acknowledgement, in the order they were polled.
//!
//! An offset may be committed once its record and all before it are acknowledged or dropped: what comes after a crash is
//! read again, and nothing is ever passed over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::record::SourceMap;
use crate::worker::Exception;
use crate::worker::offsets::identity;

/// Records under way at once. Each keeps its offset until it is acknowledged, some 150 to 350 bytes, which are more than a
/// small record has in the producer's `buffer.memory`; and records whose partition waits for a leader hold up the offsets of
/// all that came after them. It is many times what can be on the wire at once.
pub(super) const RECORDS_MAX: usize = 1 << 16;

/// Offsets of a source's partitions, the last of each.
pub(super) type Offsets = HashMap<String, (Arc<SourceMap>, SourceMap)>;

/// See the module's words.
#[derive(Default)]
pub(super) struct InFlight {
    inner: Mutex<Inner>,
    failed: Notify,
    progressed: Notify,
}

#[derive(Default)]
struct Inner {
    /// Ticket of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    failure: Option<Exception>,
}

struct Slot {
    is_done: bool,
    partition: Arc<SourceMap>,
    offset: SourceMap,
}

impl InFlight {
    /// Takes a record in, and gives the ticket it goes by. One that was dropped is done at once.
    pub fn submit(&self, partition: Arc<SourceMap>, offset: SourceMap, is_done: bool) -> u64 {
        let mut inner = self.inner.lock();
        inner.slots.push_back(Slot { is_done, partition, offset });
        inner.first + inner.slots.len() as u64 - 1
    }

    /// The records of `tickets` need nothing more.
    pub fn done(&self, tickets: &[u64]) {
        let mut inner = self.inner.lock();
        let first = inner.first;
        for ticket in tickets {
            let index = ticket.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            if let Some(slot) = index.and_then(|index| inner.slots.get_mut(index)) {
                slot.is_done = true;
            }
        }
        drop(inner);
        self.progressed.notify_one();
    }

    /// Whether so many are under way that no more should come; see [`progressed`](Self::progressed).
    pub fn is_full(&self) -> bool {
        self.inner.lock().slots.len() >= RECORDS_MAX
    }

    /// Returns when records were acknowledged, or one was given up, since it was last awaited.
    pub async fn progressed(&self) {
        self.progressed.notified().await;
    }

    /// Forgets all records: their transaction was aborted.
    pub fn discard(&self) {
        let mut inner = self.inner.lock();
        inner.first += inner.slots.len() as u64;
        inner.slots.clear();
    }

    /// A record was given up, and with it the task. The first reason counts.
    pub fn fail(&self, error: Exception) {
        self.inner.lock().failure.get_or_insert(error);
        self.failed.notify_one();
        self.progressed.notify_one();
    }

    /// Returns when a record was given up.
    pub async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Why the task cannot go on.
    pub fn failure(&self) -> Option<Exception> {
        self.inner.lock().failure.clone()
    }

    /// Moves the offsets that may be committed to `offsets`.
    pub fn take_committable(&self, offsets: &mut Offsets) {
        let mut inner = self.inner.lock();
        let done = inner.slots.iter().take_while(|slot| slot.is_done).count();
        // The maps of one partition are mostly one allocation: only its last slot matters.
        let mut last: HashMap<*const SourceMap, Slot> = HashMap::new();
        let mut order = Vec::new();
        for slot in inner.slots.drain(..done) {
            let key = Arc::as_ptr(&slot.partition);
            if last.insert(key, slot).is_none() {
                order.push(key);
            }
        }
        inner.first += done as u64;
        drop(inner);
        let mut slots: Vec<Slot> = order.into_iter().filter_map(|key| last.remove(&key)).collect();
        for slot in slots.drain(..) {
            offsets.insert(identity("", &slot.partition), (slot.partition, slot.offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::offsets::decode_map;

    fn partition(name: &str) -> Arc<SourceMap> {
        Arc::new(decode_map(format!("{{\"file\":\"{name}\"}}").as_bytes()).unwrap())
    }

    fn offset(position: u64) -> SourceMap {
        decode_map(format!("{{\"position\":{position}}}").as_bytes()).unwrap()
    }

    fn committable(in_flight: &InFlight) -> Vec<(String, u64)> {
        let mut offsets = Offsets::new();
        in_flight.take_committable(&mut offsets);
        let mut all: Vec<(String, u64)> = offsets
            .into_values()
            .map(|(partition, offset)| {
                (partition["file"].as_str().unwrap().to_owned(), offset["position"].as_u64().unwrap())
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn an_offset_waits_for_every_record_before_it() {
        let (in_flight, a) = (InFlight::default(), partition("a"));
        let tickets: Vec<u64> = (1..=3).map(|n| in_flight.submit(a.clone(), offset(n), false)).collect();
        in_flight.done(&tickets[1..]);
        assert!(committable(&in_flight).is_empty());
        in_flight.done(&tickets[..1]);
        assert_eq!(committable(&in_flight), [("a".to_owned(), 3)]);
        assert!(committable(&in_flight).is_empty(), "committed once");
        let next = in_flight.submit(a, offset(4), false);
        in_flight.done(&[next]);
        assert_eq!(committable(&in_flight), [("a".to_owned(), 4)]);
    }

    #[test]
    fn what_was_discarded_is_never_committed() {
        let (in_flight, a) = (InFlight::default(), partition("a"));
        let aborted: Vec<u64> = (1..=3).map(|n| in_flight.submit(a.clone(), offset(n), false)).collect();
        in_flight.done(&aborted[..1]);
        in_flight.discard();
        let next = in_flight.submit(a, offset(1), false);
        in_flight.done(&aborted);
        assert!(committable(&in_flight).is_empty(), "late acknowledgements are for nobody");
        in_flight.done(&[next]);
        assert_eq!(committable(&in_flight), [("a".to_owned(), 1)]);
    }

    #[test]
    fn it_is_full_until_the_first_records_are_done() {
        let (in_flight, a) = (InFlight::default(), partition("a"));
        let tickets: Vec<u64> =
            (0..RECORDS_MAX as u64).map(|n| in_flight.submit(a.clone(), offset(n), false)).collect();
        in_flight.done(&tickets[1..]);
        in_flight.take_committable(&mut Offsets::new());
        assert!(in_flight.is_full());
        in_flight.done(&tickets[..1]);
        in_flight.take_committable(&mut Offsets::new());
        assert!(!in_flight.is_full());
    }

    #[test]
    fn dropped_records_move_the_offset_too() {
        let in_flight = InFlight::default();
        in_flight.submit(partition("a"), offset(1), true);
        in_flight.submit(partition("b"), offset(5), true);
        in_flight.submit(partition("a"), offset(2), true);
        assert_eq!(committable(&in_flight), [("a".to_owned(), 2), ("b".to_owned(), 5)]);
    }
}
