//! One session: its partitions in fetch order, and what the client was last told about each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milena_protocol::messages::fetch_response::Partition as PartitionResponse;
use milena_protocol::{ErrorCode, Uuid};

/// A topic as the client names it: by name up to version 12, by id afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

/// A partition as the client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PartitionKey {
    pub(crate) topic: TopicKey,
    pub(crate) index: i32,
}

/// What a client wants of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionFetch {
    pub(crate) key: PartitionKey,
    pub(crate) fetch_offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What the client was last told about a partition; starts with values no partition has.
struct Told {
    high_watermark: i64,
    log_start_offset: i64,
}

struct Entry {
    position: u64,
    told: Told,
}

/// The state behind a session id.
pub(super) struct Session {
    pub(super) id: i32,
    pub(super) uses_topic_ids: bool,
    /// The epoch the next incremental request must carry.
    pub(super) next_epoch: i32,
    pub(super) last_used_ms: i64,
    order: BTreeMap<u64, PartitionFetch>,
    entries: HashMap<PartitionKey, Entry>,
    next_position: u64,
}

impl Session {
    pub(super) fn new(id: i32, uses_topic_ids: bool, now_ms: i64, partitions: Vec<PartitionFetch>) -> Session {
        let mut session = Session {
            id,
            uses_topic_ids,
            next_epoch: 1,
            last_used_ms: now_ms,
            order: BTreeMap::new(),
            entries: HashMap::new(),
            next_position: 0,
        };
        partitions.into_iter().for_each(|fetch| session.upsert(fetch));
        session
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The partitions to fetch, in order.
    pub(super) fn partitions(&self) -> Vec<PartitionFetch> {
        self.order.values().cloned().collect()
    }

    pub(super) fn upsert(&mut self, fetch: PartitionFetch) {
        match self.entries.get(&fetch.key) {
            Some(entry) => {
                self.order.insert(entry.position, fetch);
            }
            None => {
                let position = self.take_position();
                let told = Told { high_watermark: -1, log_start_offset: -1 };
                self.entries.insert(fetch.key.clone(), Entry { position, told });
                self.order.insert(position, fetch);
            }
        }
    }

    pub(super) fn forget(&mut self, key: &PartitionKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.position);
        }
    }

    pub(super) fn advance_epoch(&mut self, now_ms: i64) {
        self.next_epoch = if self.next_epoch == i32::MAX { 1 } else { self.next_epoch + 1 };
        self.last_used_ms = now_ms;
    }

    /// Notes the answer for one partition and says whether an incremental response must carry it.
    pub(super) fn note(&mut self, key: &PartitionKey, response: &PartitionResponse) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return true };
        let has_records = response.records.as_ref().is_some_and(|records| !records.is_empty());
        let has_error = response.error_code != ErrorCode::None.code();
        let changed = has_records
            || has_error
            || response.diverging_epoch.end_offset >= 0
            || response.preferred_read_replica >= 0
            || response.high_watermark != entry.told.high_watermark
            || response.log_start_offset != entry.told.log_start_offset;
        // After an error nothing counts as told, so that the partition is sent again once it is cured.
        entry.told = Told {
            high_watermark: if has_error { -1 } else { response.high_watermark },
            log_start_offset: response.log_start_offset,
        };
        if has_records {
            self.move_to_end(key);
        }
        changed
    }

    fn move_to_end(&mut self, key: &PartitionKey) {
        let position = self.take_position();
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(fetch) = self.order.remove(&entry.position) {
            entry.position = position;
            self.order.insert(position, fetch);
        }
    }

    fn take_position(&mut self) -> u64 {
        self.next_position += 1;
        self.next_position
    }
}
