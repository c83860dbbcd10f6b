//! What a producer counts, under the names that Kafka's producer gives its metrics.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::lock;

/// One metric with its value at the moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Group, such as `producer-metrics`.
    pub group: &'static str,
    /// Name within the group.
    pub name: &'static str,
    /// The topic it is about, if about one.
    pub topic: Option<String>,
    /// Totals are counts since the start, averages and maxima are of the whole time; NaN when nothing happened.
    pub value: f64,
}

/// The counters; updated once a batch or request.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    requests: Spread,
    request_latency_ms: Spread,
    batch_size: Spread,
    records_per_request: Spread,
    queue_time_ms: Spread,
    topics: BTreeMap<String, OfTopic>,
}

#[derive(Debug, Default)]
struct OfTopic {
    bytes: u64,
    sent: u64,
    retries: u64,
    errors: u64,
}

/// Count, sum and maximum.
#[derive(Debug, Default)]
struct Spread {
    count: u64,
    sum: f64,
    max: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.max = self.max.max(value);
    }

    fn average(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum / self.count as f64 }
    }

    fn maximum(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.max }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl Metrics {
    /// A batch of `records` leaves, for the first time or again.
    pub fn batch(&self, topic: &str, bytes: usize, records: usize, waited: Duration, again: bool) {
        let mut counters = lock(&self.0);
        counters.batch_size.add(bytes as f64);
        if !again {
            counters.queue_time_ms.add(ms(waited));
        }
        if !counters.topics.contains_key(topic) {
            counters.topics.insert(topic.to_owned(), OfTopic::default());
        }
        if let Some(of_topic) = counters.topics.get_mut(topic) {
            of_topic.bytes += bytes as u64;
            of_topic.sent += records as u64;
            of_topic.retries += if again { records as u64 } else { 0 };
        }
    }

    /// A request of `records` leaves.
    pub fn request(&self, bytes: usize, records: usize) {
        let mut counters = lock(&self.0);
        counters.requests.add(bytes as f64);
        counters.records_per_request.add(records as f64);
    }

    /// A request was answered.
    pub fn answered(&self, after: Duration) {
        lock(&self.0).request_latency_ms.add(ms(after));
    }

    /// A batch was given up.
    pub fn failed(&self, topic: &str, records: usize) {
        if let Some(of_topic) = lock(&self.0).topics.get_mut(topic) {
            of_topic.errors += records as u64;
        }
    }

    /// All metrics; `memory` is `buffer.memory` and what of it is free.
    pub fn all(&self, memory: (usize, usize)) -> Vec<Metric> {
        let counters = lock(&self.0);
        let sum = |of: fn(&OfTopic) -> u64| counters.topics.values().map(of).sum::<u64>() as f64;
        let of_producer = [
            ("batch-size-avg", counters.batch_size.average()),
            ("batch-size-max", counters.batch_size.maximum()),
            ("buffer-available-bytes", memory.1 as f64),
            ("buffer-total-bytes", memory.0 as f64),
            ("outgoing-byte-total", counters.requests.sum),
            ("record-error-total", sum(|topic| topic.errors)),
            ("record-queue-time-avg", counters.queue_time_ms.average()),
            ("record-queue-time-max", counters.queue_time_ms.maximum()),
            ("record-retry-total", sum(|topic| topic.retries)),
            ("record-send-total", sum(|topic| topic.sent)),
            ("records-per-request-avg", counters.records_per_request.average()),
            ("request-latency-avg", counters.request_latency_ms.average()),
            ("request-latency-max", counters.request_latency_ms.maximum()),
            ("request-size-avg", counters.requests.average()),
            ("request-size-max", counters.requests.maximum()),
            ("request-total", counters.requests.count as f64),
            ("response-total", counters.request_latency_ms.count as f64),
        ];
        let metrics =
            of_producer.into_iter().map(|(name, value)| Metric { group: "producer-metrics", name, topic: None, value });
        let of_topics = counters.topics.iter().flat_map(|(topic, counts)| {
            [
                ("byte-total", counts.bytes),
                ("record-error-total", counts.errors),
                ("record-retry-total", counts.retries),
                ("record-send-total", counts.sent),
            ]
            .map(|(name, value)| Metric {
                group: "producer-topic-metrics",
                name,
                topic: Some(topic.clone()),
                value: value as f64,
            })
        });
        metrics.chain(of_topics).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_and_errors_are_counted_by_topic_and_in_all() {
        let metrics = Metrics::default();
        metrics.batch("a", 100, 10, Duration::from_millis(4), false);
        metrics.batch("a", 100, 10, Duration::from_millis(50), true);
        metrics.batch("b", 300, 1, Duration::from_millis(8), false);
        metrics.request(400, 11);
        metrics.failed("a", 10);
        let all = metrics.all((64, 32));
        let value = |name: &str, topic: Option<&str>| {
            all.iter().find(|metric| metric.name == name && metric.topic.as_deref() == topic).unwrap().value
        };
        assert_eq!(value("record-send-total", None), 21.0);
        assert_eq!(value("record-retry-total", Some("a")), 10.0);
        assert_eq!(value("record-error-total", None), 10.0);
        assert_eq!(value("record-queue-time-avg", None), 6.0);
        assert_eq!(value("batch-size-max", None), 300.0);
        assert!(value("request-latency-avg", None).is_nan());
    }
}
