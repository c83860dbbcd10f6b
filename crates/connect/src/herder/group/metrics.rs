//! What is counted of a worker in its group, under the names that Prometheus' JMX exporter gives Kafka Connect's.

use std::time::Duration;

use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Rebalances as this worker has seen them.
#[derive(Default)]
pub(crate) struct Rebalances(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    began: Option<std::time::Instant>,
    ended: Option<std::time::Instant>,
    completed: u64,
    total: Duration,
    longest: Duration,
    generation: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLeader {
    leader_name: String,
}

impl Rebalances {
    /// The work is being shared out; said again, nothing changes.
    pub fn began(&self) {
        self.0.lock().began.get_or_insert_with(|| SystemClock.monotonic());
    }

    /// Everybody has a share again.
    pub fn ended(&self, generation: i32) {
        let mut counted = self.0.lock();
        let Some(began) = counted.began.take() else { return };
        let took = began.elapsed();
        counted.ended = Some(SystemClock.monotonic());
        counted.completed += 1;
        counted.total += took;
        counted.longest = counted.longest.max(took);
        counted.generation = generation;
    }

    /// Lines for the page of `/metrics`, with the end of the page.
    pub fn encode(&self, leader_url: Option<&str>, connectors: usize) -> String {
        let counted = self.0.lock();
        let mut registry = Registry::default();
        let gauge = |value: i64| -> Gauge {
            let gauge = Gauge::default();
            gauge.set(value);
            gauge
        };
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let own = registry.sub_registry_with_prefix("kafka_connect_connect_worker_metrics");
        let connectors = i64::try_from(connectors).unwrap_or(i64::MAX);
        own.register("connector_count", "Connectors of this worker", gauge(connectors));
        let group = registry.sub_registry_with_prefix("kafka_connect_connect_worker_rebalance_metrics");
        let completed: Counter = Counter::default();
        completed.inc_by(counted.completed);
        let average = counted.total.checked_div(u32::try_from(counted.completed).unwrap_or(u32::MAX));
        let since = counted.ended.map_or(-1, |ended| millis(ended.elapsed()));
        group.register("completed_rebalances", "Rebalances that this worker has completed", completed);
        group.register("epoch", "Generation of the group", gauge(i64::from(counted.generation)));
        group.register(
            "rebalancing",
            "1 while the work is being shared out",
            gauge(i64::from(counted.began.is_some())),
        );
        group.register("rebalance_avg_time_ms", "Time of a rebalance", gauge(millis(average.unwrap_or_default())));
        group.register("rebalance_max_time_ms", "Time of the longest rebalance", gauge(millis(counted.longest)));
        group.register(
            "time_since_last_rebalance_ms",
            "Time since the last rebalance; -1: there was none",
            gauge(since),
        );
        let leader = Family::<OfLeader, Gauge>::default();
        if let Some(leader_name) = leader_url {
            leader.get_or_create(&OfLeader { leader_name: leader_name.to_owned() }).set(1);
        }
        group.register("leader_name", "Which worker leads", leader);
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebalance_counts_when_it_has_ended() {
        let rebalances = Rebalances::default();
        let name = |word: &str| format!("kafka_connect_connect_worker_rebalance_metrics_{word}");
        rebalances.began();
        rebalances.began();
        let page = rebalances.encode(None, 0);
        assert!(
            page.contains(&name("rebalancing 1")) && page.contains(&name("completed_rebalances_total 0")),
            "{page}"
        );
        assert!(page.contains(&name("time_since_last_rebalance_ms -1")), "{page}");
        rebalances.ended(7);
        rebalances.ended(8);
        let page = rebalances.encode(Some("http://a:1/"), 3);
        for line in
            ["rebalancing 0", "completed_rebalances_total 1", "epoch 7", "leader_name{leader_name=\"http://a:1/\"} 1"]
        {
            assert!(page.contains(&name(line)), "{line} is not in\n{page}");
        }
        assert!(page.contains("kafka_connect_connect_worker_metrics_connector_count 3") && page.ends_with("# EOF\n"));
    }
}
