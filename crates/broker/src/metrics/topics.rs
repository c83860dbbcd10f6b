//! Records and bytes in and out, by topic.
//!
//! A partition holds the meter of its topic, so counting is a relaxed addition a batch. A deleted topic's counts stay in the
//! totals of the broker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// Counters of one topic.
#[derive(Default)]
pub(crate) struct TopicMeter {
    pub(crate) messages_in: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) produce_requests: AtomicU64,
    pub(crate) failed_produce_requests: AtomicU64,
    pub(crate) fetch_requests: AtomicU64,
    pub(crate) failed_fetch_requests: AtomicU64,
    /// Bytes of batches that were refused, for example because they were too large.
    pub(crate) bytes_rejected: AtomicU64,
}

/// The values of a [`TopicMeter`] at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicCounts {
    pub(crate) messages_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) produce_requests: u64,
    pub(crate) failed_produce_requests: u64,
    pub(crate) fetch_requests: u64,
    pub(crate) failed_fetch_requests: u64,
    pub(crate) bytes_rejected: u64,
}

impl TopicMeter {
    pub(crate) fn appended(&self, records: u64, bytes: usize) {
        self.produce_requests.fetch_add(1, Relaxed);
        self.messages_in.fetch_add(records, Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn append_refused(&self, bytes: usize) {
        self.failed_produce_requests.fetch_add(1, Relaxed);
        self.bytes_rejected.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn fetched(&self, bytes: usize) {
        self.fetch_requests.fetch_add(1, Relaxed);
        if bytes > 0 {
            self.bytes_out.fetch_add(bytes as u64, Relaxed);
        }
    }

    pub(crate) fn fetch_refused(&self) {
        self.failed_fetch_requests.fetch_add(1, Relaxed);
    }

    fn counts(&self) -> TopicCounts {
        TopicCounts {
            messages_in: self.messages_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            produce_requests: self.produce_requests.load(Relaxed),
            failed_produce_requests: self.failed_produce_requests.load(Relaxed),
            fetch_requests: self.fetch_requests.load(Relaxed),
            failed_fetch_requests: self.failed_fetch_requests.load(Relaxed),
            bytes_rejected: self.bytes_rejected.load(Relaxed),
        }
    }
}

impl TopicCounts {
    fn add(&mut self, other: &TopicCounts) {
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.produce_requests += other.produce_requests;
        self.failed_produce_requests += other.failed_produce_requests;
        self.fetch_requests += other.fetch_requests;
        self.failed_fetch_requests += other.failed_fetch_requests;
        self.bytes_rejected += other.bytes_rejected;
    }
}

/// The meters of all topics.
#[derive(Default)]
pub(crate) struct TopicMeters {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    topics: HashMap<String, Arc<TopicMeter>>,
    deleted: TopicCounts,
}

impl TopicMeters {
    /// The meter of a topic; one of the same name is shared, whoever asks.
    pub(crate) fn topic(&self, name: &str) -> Arc<TopicMeter> {
        let mut inner = self.inner.lock();
        if let Some(meter) = inner.topics.get(name) {
            return meter.clone();
        }
        inner.topics.entry(name.to_owned()).or_default().clone()
    }

    /// The topic is gone: its counts go on only in the totals.
    pub(crate) fn topic_deleted(&self, name: &str) {
        let mut inner = self.inner.lock();
        if let Some(meter) = inner.topics.remove(name) {
            inner.deleted.add(&meter.counts());
        }
    }

    /// The totals of the broker, and the counts of each topic in the order of names.
    pub(crate) fn counts(&self) -> (TopicCounts, Vec<(String, TopicCounts)>) {
        let inner = self.inner.lock();
        let mut topics: Vec<_> = inner.topics.iter().map(|(name, meter)| (name.clone(), meter.counts())).collect();
        let mut all = inner.deleted;
        drop(inner);
        topics.iter().for_each(|(_, counts)| all.add(counts));
        topics.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        (all, topics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_do_not_go_back_when_a_topic_is_deleted() {
        let meters = TopicMeters::default();
        meters.topic("a").appended(3, 300);
        meters.topic("b").appended(1, 50);
        meters.topic("b").fetched(70);
        meters.topic_deleted("a");
        let (all, topics) = meters.counts();
        assert_eq!((all.messages_in, all.bytes_in, all.bytes_out), (4, 350, 70));
        assert_eq!(topics.len(), 1);
        assert_eq!(meters.topic("a").counts(), TopicCounts::default(), "a new topic of the name starts from nothing");
    }
}
