//! What is counted per connector and task, under the names that Prometheus' JMX exporter gives Kafka Connect's.
//!
//! Rates are left to whoever reads the totals. Texts such as a task's status are labels of a gauge that is 1.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::AtomicU64;

use milena_stdx::{Clock as _, SystemClock};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{State, TaskId};
use crate::plugin::TaskError;

/// Labels of a task, in the order of the original's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTask {
    connector: String,
    task: u32,
}

impl From<&TaskId> for OfTask {
    fn from(id: &TaskId) -> Self {
        OfTask { connector: id.connector.to_string(), task: id.task }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusOfTask {
    connector: String,
    task: u32,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfConnector {
    connector: String,
}

type Counters = Family<OfTask, Counter>;
type Gauges = Family<OfTask, Gauge>;
type Seconds = Family<OfTask, Counter<f64, AtomicU64>>;

/// Everything a worker counts.
pub(super) struct Metrics {
    registry: Registry,
    source_polled: Counters,
    source_written: Counters,
    source_active: Gauges,
    sink_read: Counters,
    sink_sent: Counters,
    sink_partitions: Gauges,
    sink_commits: Counters,
    sink_commits_skipped: Counters,
    work_seconds: Seconds,
    record_failures: Gauges,
    record_errors: Gauges,
    records_skipped: Gauges,
    retries: Gauges,
    errors_logged: Gauges,
    dead_letters: Gauges,
    dead_letter_failures: Gauges,
    last_error_ms: Gauges,
    connector_startup: [Counter; 3],
    task_startup: [Counter; 3],
}

const ATTEMPTS: usize = 0;
const SUCCESSES: usize = 1;
const FAILURES: usize = 2;

impl Metrics {
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            source_polled: Family::default(),
            source_written: Family::default(),
            source_active: Family::default(),
            sink_read: Family::default(),
            sink_sent: Family::default(),
            sink_partitions: Family::default(),
            sink_commits: Family::default(),
            sink_commits_skipped: Family::default(),
            work_seconds: Family::default(),
            record_failures: Family::default(),
            record_errors: Family::default(),
            records_skipped: Family::default(),
            retries: Family::default(),
            errors_logged: Family::default(),
            dead_letters: Family::default(),
            dead_letter_failures: Family::default(),
            last_error_ms: Family::default(),
            connector_startup: Default::default(),
            task_startup: Default::default(),
        };
        metrics.register_tasks();
        metrics.register_errors();
        metrics.register_startups();
        metrics
    }

    fn register_tasks(&mut self) {
        let source = self.registry.sub_registry_with_prefix("kafka_connect_source_task_metrics");
        source.register(
            "source_record_poll",
            "Records that the task has polled, before transforms",
            self.source_polled.clone(),
        );
        source.register(
            "source_record_write",
            "Records that are acknowledged in their topics",
            self.source_written.clone(),
        );
        source.register(
            "source_record_active_count",
            "Records that are polled and not yet in their topics",
            self.source_active.clone(),
        );
        let sink = self.registry.sub_registry_with_prefix("kafka_connect_sink_task_metrics");
        sink.register("sink_record_read", "Records that were read, before transforms", self.sink_read.clone());
        sink.register(
            "sink_record_send",
            "Records that were put to the task, after transforms",
            self.sink_sent.clone(),
        );
        sink.register("partition_count", "Partitions that the task reads", self.sink_partitions.clone());
        sink.register("offset_commit_completion", "Commits of offsets that were completed", self.sink_commits.clone());
        sink.register(
            "offset_commit_skip",
            "Commits of offsets that failed or were skipped",
            self.sink_commits_skipped.clone(),
        );
        let task = self.registry.sub_registry_with_prefix("kafka_connect_connector_task_metrics");
        task.register("work_time_seconds", "Time in poll of a source or put of a sink", self.work_seconds.clone());
    }

    fn register_errors(&mut self) {
        let errors = self.registry.sub_registry_with_prefix("kafka_connect_task_error_metrics");
        errors.register("total_record_failures", "Attempts at records that failed", self.record_failures.clone());
        errors.register("total_record_errors", "Records that failed for good", self.record_errors.clone());
        errors.register(
            "total_records_skipped",
            "Records that were skipped because errors are tolerated",
            self.records_skipped.clone(),
        );
        errors.register("total_retries", "Operations that were tried again", self.retries.clone());
        errors.register("total_errors_logged", "Errors that were logged", self.errors_logged.clone());
        errors.register(
            "deadletterqueue_produce_requests",
            "Records for the dead letter queue",
            self.dead_letters.clone(),
        );
        errors.register(
            "deadletterqueue_produce_failures",
            "Records that did not reach the dead letter queue",
            self.dead_letter_failures.clone(),
        );
        errors.register(
            "last_error_timestamp",
            "When the task last met an error, in milliseconds since 1970",
            self.last_error_ms.clone(),
        );
    }

    fn register_startups(&mut self) {
        let worker = self.registry.sub_registry_with_prefix("kafka_connect_connect_worker_metrics");
        for (what, counters) in [("connector", &self.connector_startup), ("task", &self.task_startup)] {
            for (end, counter) in ["attempts", "success", "failure"].into_iter().zip(counters) {
                worker.register(format!("{what}_startup_{end}"), format!("Starts of a {what}: {end}"), counter.clone());
            }
            for (end, number) in [("success", SUCCESSES), ("failure", FAILURES)] {
                let share = Share { part: counters[number].clone(), whole: counters[ATTEMPTS].clone() };
                worker.register(
                    format!("{what}_startup_{end}_percentage"),
                    format!("Starts of a {what}: {end}, as a share from 0 to 1"),
                    share,
                );
            }
        }
    }

    /// Counts the start of a connector.
    ///
    /// # Errors
    /// Those of `start`.
    pub async fn connector_startup<T, F: Future<Output = Result<T, TaskError>>>(
        &self,
        start: impl FnOnce() -> F,
    ) -> Result<T, TaskError> {
        let started = start().await;
        count_startup(&self.connector_startup, started.is_ok());
        started
    }

    /// Counts the start of a task.
    pub fn task_startup(&self, succeeded: bool) {
        count_startup(&self.task_startup, succeeded);
    }

    pub fn source(&self, id: &TaskId) -> SourceMetrics {
        let labels = OfTask::from(id);
        SourceMetrics {
            polled: self.source_polled.get_or_create_owned(&labels),
            written: self.source_written.get_or_create_owned(&labels),
            active: self.source_active.get_or_create_owned(&labels),
            poll_seconds: self.work_seconds.get_or_create_owned(&labels),
        }
    }

    pub fn sink(&self, id: &TaskId) -> SinkMetrics {
        let labels = OfTask::from(id);
        SinkMetrics {
            read: self.sink_read.get_or_create_owned(&labels),
            sent: self.sink_sent.get_or_create_owned(&labels),
            partitions: self.sink_partitions.get_or_create_owned(&labels),
            commits: self.sink_commits.get_or_create_owned(&labels),
            commits_skipped: self.sink_commits_skipped.get_or_create_owned(&labels),
            put_seconds: self.work_seconds.get_or_create_owned(&labels),
        }
    }

    pub fn errors(&self, id: &TaskId) -> ErrorMetrics {
        let labels = OfTask::from(id);
        ErrorMetrics {
            failures: self.record_failures.get_or_create_owned(&labels),
            errors: self.record_errors.get_or_create_owned(&labels),
            skipped: self.records_skipped.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            logged: self.errors_logged.get_or_create_owned(&labels),
            dead_letters: self.dead_letters.get_or_create_owned(&labels),
            dead_letter_failures: self.dead_letter_failures.get_or_create_owned(&labels),
            last_error_ms: self.last_error_ms.get_or_create_owned(&labels),
        }
    }

    /// Forgets a task that has ended.
    pub fn remove_task(&self, id: &TaskId) {
        let labels = OfTask::from(id);
        for family in [&self.source_polled, &self.source_written, &self.sink_read, &self.sink_sent] {
            family.remove(&labels);
        }
        for family in [&self.sink_commits, &self.sink_commits_skipped] {
            family.remove(&labels);
        }
        for family in [&self.source_active, &self.sink_partitions, &self.last_error_ms, &self.record_failures] {
            family.remove(&labels);
        }
        for family in [&self.record_errors, &self.records_skipped, &self.retries, &self.errors_logged] {
            family.remove(&labels);
        }
        for family in [&self.dead_letters, &self.dead_letter_failures] {
            family.remove(&labels);
        }
        self.work_seconds.remove(&labels);
    }

    /// The page of `/metrics`: what was counted, and what the tasks of the worker are at the moment.
    pub fn encode(&self, states: &BTreeMap<TaskId, State>) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        let now = encode_states(states);
        match text.strip_suffix("# EOF\n") {
            Some(counted) => format!("{counted}{now}"),
            None => now,
        }
    }
}

/// Gauges of what is, made when somebody asks.
fn encode_states(states: &BTreeMap<TaskId, State>) -> String {
    let mut registry = Registry::default();
    let (status, of_connectors) =
        (Family::<StatusOfTask, Gauge>::default(), [(); 4].map(|()| Family::<OfConnector, Gauge>::default()));
    let tasks: Gauge = Gauge::default();
    registry.register("kafka_connect_connect_worker_metrics_task_count", "Tasks of this worker", tasks.clone());
    registry.register("kafka_connect_connector_task_metrics_status", "State of a task of this worker", status.clone());
    for (word, family) in ["total", "running", "paused", "failed"].into_iter().zip(&of_connectors) {
        let name = format!("kafka_connect_connect_worker_metrics_connector_{word}_task_count");
        registry.register(name, format!("Tasks of a connector on this worker: {word}"), family.clone());
    }
    for (id, state) in states {
        let connector = id.connector.to_string();
        tasks.inc();
        let word = match state {
            State::Running => "running",
            State::Paused => "paused",
            State::Failed => "failed",
            State::Restarting => "restarting",
            State::Unassigned | State::Stopped | State::Destroyed => "unassigned",
        };
        status.get_or_create(&StatusOfTask { connector: connector.clone(), task: id.task, status: word }).set(1);
        let labels = OfConnector { connector };
        let is = [true, *state == State::Running, *state == State::Paused, *state == State::Failed];
        for (family, is) in of_connectors.iter().zip(is) {
            family.get_or_create(&labels).inc_by(i64::from(is));
        }
    }
    let mut text = String::new();
    let _ = encode(&mut text, &registry);
    text
}

/// How much of one counter another is, when somebody asks.
#[derive(Debug)]
struct Share {
    part: Counter,
    whole: Counter,
}

impl EncodeMetric for Share {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let whole = self.whole.get();
        #[expect(clippy::cast_precision_loss, reason = "nobody starts so many tasks")]
        let share = if whole == 0 { 0.0 } else { self.part.get() as f64 / whole as f64 };
        encoder.encode_gauge(&share)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

fn count_startup(counters: &[Counter; 3], succeeded: bool) {
    counters[ATTEMPTS].inc();
    counters[if succeeded { SUCCESSES } else { FAILURES }].inc();
}

/// Of one source task.
pub(super) struct SourceMetrics {
    pub polled: Counter,
    pub written: Counter,
    pub active: Gauge,
    pub poll_seconds: Counter<f64, AtomicU64>,
}

/// Of one sink task.
pub(super) struct SinkMetrics {
    pub read: Counter,
    pub sent: Counter,
    pub partitions: Gauge,
    pub commits: Counter,
    pub commits_skipped: Counter,
    pub put_seconds: Counter<f64, AtomicU64>,
}

/// Of the errors of one task.
pub(super) struct ErrorMetrics {
    pub failures: Gauge,
    pub errors: Gauge,
    pub skipped: Gauge,
    pub retries: Gauge,
    pub logged: Gauge,
    pub dead_letters: Gauge,
    pub dead_letter_failures: Gauge,
    last_error_ms: Gauge,
}

impl ErrorMetrics {
    /// An attempt has failed now.
    pub fn failed(&self) {
        self.failures.inc();
        self.last_error_ms.set(SystemClock.now_ms());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_operators_have_on_their_dashboards() {
        let metrics = Metrics::new();
        let id = TaskId::new("orders", 0);
        metrics.source(&id).polled.inc_by(3);
        metrics.errors(&id).skipped.inc();
        metrics.task_startup(true);
        let states = BTreeMap::from([(id.clone(), State::Running), (TaskId::new("orders", 1), State::Failed)]);
        let page = metrics.encode(&states);
        for line in [
            "kafka_connect_source_task_metrics_source_record_poll_total{connector=\"orders\",task=\"0\"} 3",
            "kafka_connect_task_error_metrics_total_records_skipped{connector=\"orders\",task=\"0\"} 1",
            "kafka_connect_connect_worker_metrics_task_startup_success_total 1",
            "kafka_connect_connect_worker_metrics_task_startup_success_percentage 1.0",
            "kafka_connect_connect_worker_metrics_task_count 2",
            "kafka_connect_connect_worker_metrics_connector_failed_task_count{connector=\"orders\"} 1",
            "kafka_connect_connector_task_metrics_status{connector=\"orders\",task=\"0\",status=\"running\"} 1",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert!(page.ends_with("# EOF\n") && page.matches("# EOF").count() == 1);
        metrics.remove_task(&id);
        assert!(!metrics.encode(&BTreeMap::new()).contains("orders"));
    }
}
