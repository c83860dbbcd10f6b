//! What the server counts, as a page for Prometheus (OpenMetrics' text format), under the names that the usual rules of the
//! JMX exporter give to the metrics of ksqlDB and of its consumers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::queries::states::{QueryState, QueryStatus};
use crate::queries::statistics::{Statistics, TopicStatistics};
use crate::state::Server;

/// All queries of the server.
const ENGINE: &str = "ksql_ksql_engine_query_stats";
/// Each of them, by topic.
const CONSUMER: &str = "ksql_consumer_metrics";
const PRODUCER: &str = "ksql_producer_metrics";
/// How each of them is.
const QUERIES: &str = "ksql_ksql_metrics_ksql_queries";
/// Queries of clients over tables.
const PULL: &str = "ksql_ksql_metrics_pull_query";
/// How far queries are behind.
const LAG: &str = "kafka_consumer_consumer_fetch_manager_metrics_records_lag";

/// The metrics of a server at work.
#[derive(Clone)]
pub struct SqlMetrics(Arc<Server>);

impl SqlMetrics {
    /// Of `server`.
    pub(crate) fn new(server: Arc<Server>) -> SqlMetrics {
        SqlMetrics(server)
    }

    /// The page as of now.
    pub fn page(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(self.0.clone())));
        let mut page = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut page, &registry);
        page
    }
}

struct Scrape(Arc<Server>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

type Labels = Vec<(&'static str, String)>;

/// One family of samples after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauges(&mut self, name: &str, help: &str, samples: Vec<(Labels, f64)>) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels.as_slice())?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A counter; `name` is without `_total`.
    fn counter(&mut self, name: &str, help: &str, labels: &Labels, value: u64) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_family(&labels.as_slice())?.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }
}

/// A query with what it has done.
struct Query {
    id: String,
    status: Arc<QueryStatus>,
    topics: BTreeMap<String, TopicStatistics>,
}

impl Query {
    fn sum(&self, value: impl Fn(&TopicStatistics) -> f64) -> f64 {
        self.topics.values().map(value).sum()
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        let now = Instant::now();
        let with_topics = |(id, status): (String, Arc<QueryStatus>)| {
            let topics = status.statistics.topics();
            Query { id, status, topics }
        };
        let queries: Vec<Query> = self.0.query_states.all().into_iter().map(with_topics).collect();
        self.engine(page, &queries, now)?;
        Self::topics(page, &queries, now)?;
        self.states(page, &queries)?;
        self.lags(page, &queries)?;
        self.pull_queries(page)
    }
}

impl Scrape {
    fn cluster(&self) -> Labels {
        vec![("ksql_cluster", self.0.config.service_id.clone())]
    }

    fn engine(&self, page: &mut Page<'_>, queries: &[Query], now: Instant) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: f64| {
            page.gauges(&format!("{ENGINE}_{name}"), help, vec![(self.cluster(), value)])
        };
        let in_state = |state: QueryState| float(queries.iter().filter(|query| query.status.state() == state).count());
        gauge("liveness_indicator", "Always 1: the server is there", 1.0)?;
        gauge("num_persistent_queries", "Persistent queries of this server", float(queries.len()))?;
        gauge("running_queries", "Queries that run", in_state(QueryState::Running))?;
        gauge("paused_queries", "Queries that are paused", in_state(QueryState::Paused))?;
        gauge("error_queries", "Queries that have failed and wait", in_state(QueryState::Error))?;
        gauge("unresponsive_queries", "Queries that hang", in_state(QueryState::Unresponsive))?;
        let rates: Vec<f64> = queries.iter().map(|query| query.sum(|topic| topic.read.per_second(now))).collect();
        let active = rates.iter().filter(|rate| **rate > 0.0).count();
        gauge("num_active_queries", "Queries that have read something of late", float(active))?;
        gauge("num_idle_queries", "Queries that have not", float(queries.len() - active))?;
        let all: f64 = rates.iter().sum();
        let lowest = rates.iter().copied().reduce(f64::min).unwrap_or_default();
        gauge("messages_consumed_per_sec", "Records read a second by all queries", all)?;
        gauge("messages_consumed_min", "Records read a second by the slowest query", lowest)?;
        gauge(
            "messages_consumed_max",
            "Records read a second by the fastest query",
            rates.iter().copied().fold(0.0, f64::max),
        )?;
        let average = if rates.is_empty() { 0.0 } else { all / float(rates.len()) };
        gauge("messages_consumed_avg", "Records read a second by a query", average)?;
        let written = queries.iter().map(|query| query.sum(|topic| topic.written.per_second(now))).sum();
        gauge("messages_produced_per_sec", "Records written a second by all queries", written)?;
        let errors = |statistics: &Statistics| statistics.unprocessed_count().per_second(now);
        let failed: f64 = queries
            .iter()
            .map(|query| query.sum(|topic| topic.failed.per_second(now)) + errors(&query.status.statistics))
            .sum();
        gauge("error_rate", "Records a second that were read and not processed", failed)?;
        let total = |value: fn(&TopicStatistics) -> u64| {
            queries.iter().flat_map(|query| query.topics.values()).map(value).sum()
        };
        let mut counter = |name: &str, help: &str, value: u64| {
            page.counter(&format!("{ENGINE}_{name}"), help, &self.cluster(), value)
        };
        counter("messages_consumed", "Records read by all queries", total(|topic| topic.read.total))?;
        counter("bytes_consumed", "Bytes read by all queries", total(|topic| topic.read_bytes))
    }

    fn topics(page: &mut Page<'_>, queries: &[Query], now: Instant) -> fmt::Result {
        let mut family = |name: &str, help: &str, value: &dyn Fn(&TopicStatistics) -> Option<f64>| {
            let mut samples = Vec::new();
            for query in queries {
                for (topic, statistics) in &query.topics {
                    if let Some(value) = value(statistics) {
                        samples.push((vec![("key", topic.clone()), ("id", query.id.clone())], value));
                    }
                }
            }
            page.gauges(name, help, samples)
        };
        let has_read = |topic: &TopicStatistics| topic.read.total > 0 || topic.failed.total > 0;
        family(
            &format!("{CONSUMER}_consumer_messages_per_sec"),
            "Records read a second of a topic by a query",
            &|topic| has_read(topic).then(|| topic.read.per_second(now)),
        )?;
        family(&format!("{CONSUMER}_consumer_total_messages"), "Records read of a topic by a query", &|topic| {
            has_read(topic).then(|| float_of(topic.read.total))
        })?;
        family(&format!("{CONSUMER}_consumer_total_bytes"), "Bytes read of a topic by a query", &|topic| {
            has_read(topic).then(|| float_of(topic.read_bytes))
        })?;
        family(
            &format!("{CONSUMER}_consumer_failed_messages"),
            "Records of a topic that a query could not read",
            &|topic| has_read(topic).then(|| float_of(topic.failed.total)),
        )?;
        let has_written = |topic: &TopicStatistics| topic.written.total > 0;
        family(&format!("{PRODUCER}_messages_per_sec"), "Records written a second to a topic by a query", &|topic| {
            has_written(topic).then(|| topic.written.per_second(now))
        })?;
        family(&format!("{PRODUCER}_total_messages"), "Records written to a topic by a query", &|topic| {
            has_written(topic).then(|| float_of(topic.written.total))
        })
    }

    fn states(&self, page: &mut Page<'_>, queries: &[Query]) -> fmt::Result {
        let labels = |query: &Query, name: &'static str, value: &str| {
            vec![
                ("ksql_query", query.id.clone()),
                ("ksql_cluster", self.0.config.service_id.clone()),
                (name, value.to_owned()),
            ]
        };
        let states = queries.iter().map(|query| (labels(query, "query_status", query.status.state().name()), 1.0));
        page.gauges(&format!("{QUERIES}_query_status"), "How a query is", states.collect())?;
        let error = |query: &Query| match query.status.state() {
            QueryState::Error => query.status.errors().last().map_or("NO_ERROR", |error| error.failure.cause.name()),
            _ => "NO_ERROR",
        };
        let errors = queries.iter().map(|query| (labels(query, "error_status", error(query)), 1.0));
        page.gauges(&format!("{QUERIES}_error_status"), "Why a query has failed", errors.collect())
    }

    fn lags(&self, page: &mut Page<'_>, queries: &[Query]) -> fmt::Result {
        let mut samples = Vec::new();
        for query in queries {
            for (tp, lag) in query.status.statistics.lags() {
                let labels = vec![
                    ("client_type", "consumer".to_owned()),
                    ("client_id", format!("{}{}", self.0.config.query_prefix(), query.id)),
                    ("topic", tp.topic),
                    ("partition", tp.partition.to_string()),
                ];
                #[expect(clippy::cast_precision_loss, reason = "a lag is drawn as a curve")]
                samples.push((labels, lag as f64));
            }
        }
        page.gauges(LAG, "Records of a partition that a query has not read yet; client_id is its group", samples)
    }

    fn pull_queries(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.0.pull_counts.read();
        for (name, help, value) in [
            ("requests", "Pull queries over tables", counts.total),
            ("requests_error", "Pull queries that could not be answered", counts.failed),
            ("requests_local", "Pull queries answered by this server alone", counts.local),
            ("requests_remote", "Pull queries answered with other servers", counts.remote),
        ] {
            page.counter(&format!("{PULL}_{name}"), help, &self.cluster(), value)?;
        }
        Ok(())
    }
}

fn float(number: usize) -> f64 {
    float_of(u64::try_from(number).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "samples of Prometheus are floating-point numbers")]
fn float_of(number: u64) -> f64 {
    number as f64
}
