//! What a query has done, topic by topic, since the server started: counts, and how fast they have grown of late.
//!
//! Rates are those of Kafka's metrics: over the last 30 to 60 seconds, and as if 30 had gone by for what has just begun.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_client::TopicPartition;
use milena_stdx::{Clock as _, SystemClock};
use parking_lot::{Mutex, RwLock};

/// A sample of a rate.
const WINDOW: Duration = Duration::from_secs(30);

/// A number that grows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// All of it.
    pub total: u64,
    /// When the sample of the moment began; `None` before the first.
    began: Option<Instant>,
    current: u64,
    before: u64,
}

impl Count {
    fn add(&mut self, number: u64, now: Instant) {
        self.turn(now);
        self.total += number;
        self.current += number;
    }

    /// Begins a new sample when the last one is over.
    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let windows = now.saturating_duration_since(began).as_secs() / WINDOW.as_secs();
        if windows > 0 {
            self.before = if windows == 1 { self.current } else { 0 };
            self.current = 0;
            let passed = u32::try_from(windows).unwrap_or(u32::MAX);
            self.began = Some(WINDOW.checked_mul(passed).and_then(|passed| began.checked_add(passed)).unwrap_or(now));
        }
    }

    /// How much a second.
    #[expect(clippy::cast_precision_loss, reason = "rates are read by people and drawn as curves")]
    pub fn per_second(mut self, now: Instant) -> f64 {
        self.turn(now);
        let elapsed = self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        (self.before + self.current) as f64 / (elapsed + WINDOW).as_secs_f64()
    }
}

/// What a query has done with a topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct TopicStatistics {
    /// Records read.
    pub read: Count,
    /// Bytes of them as they were fetched.
    pub read_bytes: u64,
    /// Records written.
    pub written: Count,
    /// Records that could not be read and were skipped.
    pub failed: Count,
    /// When something was read or written last, in milliseconds since the epoch.
    pub last_message_ms: Option<i64>,
    /// When something failed last.
    pub last_failed_ms: Option<i64>,
}

impl TopicStatistics {
    /// The same and what another query has done.
    #[must_use]
    pub fn with(mut self, other: &TopicStatistics, now: Instant) -> TopicStatistics {
        for (own, others) in
            [(&mut self.read, other.read), (&mut self.written, other.written), (&mut self.failed, other.failed)]
        {
            own.turn(now);
            let mut others = others;
            others.turn(now);
            // The longer of the times counts for both.
            own.began = own.began.min(others.began);
            own.total += others.total;
            own.current += others.current;
            own.before += others.before;
        }
        self.read_bytes += other.read_bytes;
        self.last_message_ms = self.last_message_ms.max(other.last_message_ms);
        self.last_failed_ms = self.last_failed_ms.max(other.last_failed_ms);
        self
    }
}

/// What a query has done, and how far it has to go.
#[derive(Debug, Default)]
pub struct Statistics {
    topics: RwLock<BTreeMap<String, Arc<Mutex<TopicStatistics>>>>,
    lags: Mutex<BTreeMap<TopicPartition, i64>>,
    /// Expressions that could not be computed, and records that could not be written.
    unprocessed: Mutex<Count>,
}

impl Statistics {
    fn change(&self, topic: &str, change: impl FnOnce(&mut TopicStatistics)) {
        let known = self.topics.read().get(topic).cloned();
        let statistics = known.unwrap_or_else(|| self.topics.write().entry(topic.to_owned()).or_default().clone());
        change(&mut statistics.lock());
    }

    /// Counts records that were read.
    pub fn read(&self, topic: &str, records: u64, bytes: u64) {
        self.change(topic, |topic| {
            topic.read.add(records, Instant::now());
            topic.read_bytes += bytes;
            topic.last_message_ms = Some(SystemClock.now_ms());
        });
    }

    /// Counts records that were written.
    pub fn wrote(&self, topic: &str, records: u64) {
        self.change(topic, |topic| {
            topic.written.add(records, Instant::now());
            topic.last_message_ms = Some(SystemClock.now_ms());
        });
    }

    /// Counts a record that could not be read.
    pub fn failed(&self, topic: &str) {
        self.change(topic, |topic| {
            topic.failed.add(1, Instant::now());
            topic.last_failed_ms = Some(SystemClock.now_ms());
        });
    }

    /// Counts an expression that could not be computed, or a record that could not be written.
    pub fn unprocessed(&self) {
        self.unprocessed.lock().add(1, Instant::now());
    }

    /// How many there were of those.
    pub fn unprocessed_count(&self) -> Count {
        *self.unprocessed.lock()
    }

    /// How many records are still to be read of each partition that is read here.
    pub fn set_lags(&self, lags: BTreeMap<TopicPartition, i64>) {
        *self.lags.lock() = lags;
    }

    /// As [`Statistics::set_lags`] was told last.
    pub fn lags(&self) -> BTreeMap<TopicPartition, i64> {
        self.lags.lock().clone()
    }

    /// By topic.
    pub fn topics(&self) -> BTreeMap<String, TopicStatistics> {
        self.topics.read().iter().map(|(topic, statistics)| (topic.clone(), *statistics.lock())).collect()
    }

    /// Of one topic.
    pub fn topic(&self, topic: &str) -> Option<TopicStatistics> {
        self.topics.read().get(topic).map(|statistics| *statistics.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_half_minute_or_two() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut count = Count::default();
        count.add(60, start);
        assert_eq!(count.per_second(start), 2.0);
        assert_eq!(count.per_second(at(30)), 2.0);
        count.add(30, at(45));
        assert_eq!((count.total, count.per_second(at(45))), (90, 2.0));
        assert_eq!(count.per_second(at(60)), 1.0);
        assert_eq!(count.per_second(at(1000)), 0.0);
    }

    #[test]
    fn queries_of_a_topic_are_counted_together() {
        let (first, second) = (Statistics::default(), Statistics::default());
        first.read("t", 2, 20);
        second.read("t", 3, 30);
        second.wrote("t", 1);
        second.failed("t");
        let now = Instant::now();
        let both = first.topic("t").unwrap().with(&second.topic("t").unwrap(), now);
        assert_eq!((both.read.total, both.read_bytes, both.written.total, both.failed.total), (5, 50, 1, 1));
        assert!(both.last_message_ms.is_some() && both.last_failed_ms.is_some());
        assert!((both.read.per_second(now) - 5.0 / 30.0).abs() < 0.01);
        assert!(first.topic("u").is_none());
    }
}
