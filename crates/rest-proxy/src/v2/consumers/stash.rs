//! What was fetched and not yet handed out.
//!
//! Records are *taken* for an answer and *delivered* when the answer was handed over; what was taken for an answer that
//! nobody got is taken again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use milena_client::TopicPartition;
use milena_client::consumer::Fetched;
use milena_protocol::record::Header;

/// A record for an answer.
#[derive(Debug, Clone)]
pub struct TakenRecord {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<Header>,
    /// The fetch that it came with.
    pub(super) of: u64,
}

/// Records that were taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// In the order of their partitions.
    pub records: Vec<TakenRecord>,
    /// Bytes of keys and values.
    pub bytes: usize,
    /// The next record would be too much.
    pub is_full: bool,
}

impl Taken {
    /// Forgets records of partitions that are others' now.
    pub fn forget(&mut self, gone: &[TopicPartition]) {
        self.records
            .retain(|record| !gone.iter().any(|tp| tp.partition == record.partition && *tp.topic == *record.topic));
    }
}

/// One fetch.
#[derive(Debug)]
struct Part {
    number: u64,
    topic: Arc<str>,
    fetched: Fetched,
    /// The first offset that was not delivered.
    delivered: i64,
    /// The first offset that was not taken.
    taken: i64,
}

/// See the module's words.
#[derive(Debug, Default)]
pub struct Stash {
    parts: VecDeque<Part>,
    parts_count: u64,
}

impl Stash {
    /// Adds a fetch and returns the first offset of its partition that was not delivered.
    pub fn add(&mut self, fetched: Fetched) -> i64 {
        let earlier = self.parts.iter().find(|part| part.fetched.tp == fetched.tp);
        let undelivered = earlier.map_or(fetched.fetch_offset, |part| part.delivered);
        self.parts_count += 1;
        let (number, topic) = (self.parts_count, Arc::from(fetched.tp.topic.as_str()));
        let start = fetched.fetch_offset;
        self.parts.push_back(Part { number, topic, fetched, delivered: start, taken: start });
        undelivered
    }

    /// Takes records until `taken` holds `bytes_max`, but at least one.
    ///
    /// # Errors
    /// Records that cannot be read.
    pub fn take(&mut self, taken: &mut Taken, bytes_max: usize) -> milena_client::Result<()> {
        for part in &mut self.parts {
            if taken.is_full {
                return Ok(());
            }
            part.take(taken, bytes_max)?;
        }
        Ok(())
    }

    /// What was taken was delivered, except from record `undelivered` on. Returns how far each partition was read.
    pub fn deliver(&mut self, taken: &Taken, undelivered: Option<usize>) -> Vec<(TopicPartition, i64)> {
        if let Some(count) = undelivered {
            self.give_back();
            for record in taken.records.iter().take(count) {
                if let Some(part) = self.parts.iter_mut().find(|part| part.number == record.of) {
                    part.taken = record.offset + 1;
                }
            }
        }
        let mut read = Vec::new();
        for part in &mut self.parts {
            if part.taken > part.delivered {
                part.delivered = part.taken;
                read.push((part.fetched.tp.clone(), part.taken));
            }
        }
        self.parts.retain(|part| part.delivered < part.fetched.next_offset());
        read
    }

    /// What was taken is taken again.
    pub fn give_back(&mut self) {
        self.parts.iter_mut().for_each(|part| part.taken = part.delivered);
    }

    /// Forgets partitions: they are others' now, or are read from elsewhere.
    pub fn forget(&mut self, gone: impl Fn(&TopicPartition) -> bool) {
        self.parts.retain(|part| !gone(&part.fetched.tp));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.parts.clear();
    }
}

impl Part {
    fn take(&mut self, taken: &mut Taken, bytes_max: usize) -> milena_client::Result<()> {
        if self.taken >= self.fetched.next_offset() {
            return Ok(());
        }
        let (first, mut next) = (self.taken, self.taken);
        self.fetched.for_each::<milena_client::Error>(|read| {
            let record = read.record;
            if record.offset < first {
                return Ok(true);
            }
            let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if !taken.records.is_empty() && taken.bytes.saturating_add(size) > bytes_max {
                taken.is_full = true;
                return Ok(false);
            }
            taken.bytes += size;
            taken.records.push(TakenRecord {
                topic: Arc::clone(&self.topic),
                partition: self.fetched.tp.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers().map(header).collect(),
                of: self.number,
            });
            next = record.offset + 1;
            Ok(true)
        })?;
        // Behind the last record there may be others that readers do not see.
        self.taken = if taken.is_full { next } else { self.fetched.next_offset() };
        taken.is_full |= taken.bytes >= bytes_max;
        Ok(())
    }
}

fn header((key, value): (&[u8], Option<&[u8]>)) -> Header {
    Header { key: Bytes::copy_from_slice(key), value: value.map(Bytes::copy_from_slice) }
}
