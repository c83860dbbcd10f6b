//! One scrape: reads the parts of the broker and writes them down under the names of Kafka's metrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode};
use milena_stdx::TimerHistogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::encode::Page;
use super::groups::GroupsSnapshot;
use super::process::ProcessStatus;
use super::requests::ApiMeter;
use super::topics::TopicCounts;
use crate::context::Broker;
use crate::quota::{QuotaKey, QuotaUse};

/// Partitions that are told one by one; above it only sums by topic are.
const PARTITIONS_MAX: usize = 20_000;
/// Quantiles of every duration, as the usual configuration of the JMX exporter has them.
const QUANTILES: [f64; 6] = [0.5, 0.75, 0.95, 0.98, 0.99, 0.999];
const QUANTILE_LABELS: [&str; 6] = ["0.50", "0.75", "0.95", "0.98", "0.99", "0.999"];

impl Metrics {
    /// Everything there is to see, in the OpenMetrics text format.
    pub async fn scrape(broker: &Arc<Broker>) -> String {
        let groups = GroupsSnapshot::take(broker).await;
        let scrape = Scrape { broker: broker.clone(), groups };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(scrape));
        let mut page = String::new();
        if text::encode(&mut page, &registry).is_err() {
            tracing::error!("metrics could not be written down");
        }
        page
    }
}

struct Scrape {
    broker: Arc<Broker>,
    groups: GroupsSnapshot,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page::new(encoder);
        self.topics(page)?;
        self.requests(page)?;
        self.connections(page)?;
        self.quotas(page)?;
        self.replicas(page)?;
        self.logs(page)?;
        self.waiting(page)?;
        self.groups.encode(page)?;
        self.broker.metrics.clients.encode(page)?;
        self.runtime(page)?;
        ProcessStatus::read().map_or(Ok(()), |process| process.encode(page))
    }
}

impl Scrape {
    fn topics(&self, page: &mut Page<'_>) -> fmt::Result {
        let (all, topics) = self.broker.metrics.topics.counts();
        let mut family = |name: &str, help: &str, value: fn(&TopicCounts) -> u64| {
            let total = std::iter::once((Vec::new(), value(&all)));
            let by_topic = topics.iter().map(|(topic, counts)| (vec![("topic", topic.as_str())], value(counts)));
            page.counters(&format!("kafka_server_brokertopicmetrics_{name}"), help, total.chain(by_topic))
        };
        family("messagesin", "Records appended", |counts| counts.messages_in)?;
        family("bytesin", "Bytes of batches appended", |counts| counts.bytes_in)?;
        family("bytesout", "Bytes of batches sent to consumers", |counts| counts.bytes_out)?;
        family("bytesrejected", "Bytes of batches refused", |counts| counts.bytes_rejected)?;
        family("totalproducerequests", "Batches of produce requests", |counts| counts.produce_requests)?;
        family("failedproducerequests", "Batches refused", |counts| counts.failed_produce_requests)?;
        family("totalfetchrequests", "Partitions of fetch requests", |counts| counts.fetch_requests)?;
        family("failedfetchrequests", "Partitions of fetch requests refused", |counts| counts.failed_fetch_requests)
    }

    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let meters = &self.broker.metrics.requests;
        page.counters(
            "kafka_network_requestmetrics_requests",
            "Requests by API and version",
            meters.used().flat_map(|(key, meter)| {
                let labels = move |version: usize| {
                    vec![("request", request_name(key).to_owned()), ("version", version.to_string())]
                };
                meter.by_version().map(move |(version, count)| (labels(version), count))
            }),
        )?;
        page.counters(
            "kafka_network_requestmetrics_errors",
            "Error codes of responses by API, those of partitions, topics and groups included",
            meters.used().flat_map(|(key, meter)| {
                let labels = move |code: ErrorCode| {
                    vec![("request", request_name(key).to_owned()), ("error", code.name().to_owned())]
                };
                meter.by_error().map(move |(code, count)| (labels(code), count))
            }),
        )?;
        let bytes = |value: fn((u64, u64)) -> u64| {
            meters.used().map(move |(key, meter)| (vec![("request", request_name(key))], value(meter.bytes())))
        };
        page.counters("kafka_network_requestmetrics_requestbytes", "Bytes of requests", bytes(|(request, _)| request))?;
        page.counters(
            "milena_network_requestmetrics_responsebytes",
            "Bytes of responses",
            bytes(|(_, response)| response),
        )?;
        let mut timer = |name: &str, help: &str, histogram: fn(&ApiMeter) -> &TimerHistogram| {
            self.timer(page, name, help, histogram)
        };
        timer("totaltimems", "Milliseconds from the complete request to the complete response", |meter| &meter.total)?;
        timer("localtimems", "Milliseconds that threads spent on the request", |meter| &meter.local)?;
        timer("remotetimems", "Milliseconds that the request waited for data, members or fsync", |meter| {
            &meter.remote
        })?;
        timer(
            "responsesendtimems",
            "Milliseconds from the complete response to its last byte in the socket",
            |meter| &meter.send,
        )?;
        timer("throttletimems", "Milliseconds that clients were told to pause", |meter| &meter.throttle)
    }

    fn timer(
        &self,
        page: &mut Page<'_>,
        name: &str,
        help: &str,
        histogram: fn(&ApiMeter) -> &TimerHistogram,
    ) -> fmt::Result {
        let meters = &self.broker.metrics.requests;
        let uptime = meters.uptime();
        let name = format!("kafka_network_requestmetrics_{name}");
        let quantiles = meters
            .used()
            .filter_map(|(key, meter)| Some((request_name(key), histogram(meter).quantiles_ms(QUANTILES, uptime)?)));
        let samples = quantiles.flat_map(|(request, values)| {
            QUANTILE_LABELS
                .into_iter()
                .zip(values)
                .map(move |(quantile, value)| (vec![("request", request), ("quantile", quantile)], value))
        });
        page.gauges(&name, help, samples)?;
        let counts =
            meters.used().map(|(key, meter)| (vec![("request", request_name(key))], meter.count_of_all() as f64));
        page.gauges(&format!("{name}_count"), "Requests measured", counts)
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let listeners = self.broker.metrics.listeners.read();
        let labels = |name: &String| vec![("listener", name.clone())];
        page.gauges(
            "kafka_server_socket_server_metrics_connection_count",
            "Open connections",
            listeners.iter().map(|(name, meter)| (labels(name), meter.open.load(Relaxed) as f64)),
        )?;
        page.counters(
            "kafka_server_socket_server_metrics_connection_creation",
            "Connections accepted",
            listeners.iter().map(|(name, meter)| (labels(name), meter.accepted.load(Relaxed))),
        )?;
        page.counters(
            "milena_server_socket_server_metrics_connection_refused",
            "Connections closed because of a limit",
            listeners.iter().map(|(name, meter)| (labels(name), meter.refused.load(Relaxed))),
        )
    }

    /// Who uses how much of a quota, named as the usual configuration of the JMX exporter does.
    fn quotas(&self, page: &mut Page<'_>) -> fmt::Result {
        let uses = self.broker.quotas.uses();
        let samples = |wanted: fn(&QuotaUse) -> bool, value: fn(&QuotaUse) -> f64| {
            let wanted = uses.iter().filter(move |used| wanted(used));
            wanted.map(move |used| {
                let labels = [("resource", used.key.resource()), ("user", &used.user), ("clientId", &used.client_id)];
                (labels.map(|(name, label)| (name, label.to_owned())).to_vec(), value(used))
            })
        };
        page.gauges(
            "kafka_server_quota_byte_rate",
            "Bytes a second of those who share a quota",
            samples(|used| used.key != QuotaKey::Request, |used| used.rate),
        )?;
        page.gauges(
            "kafka_server_quota_request_time",
            "Percent of a thread that those who share a quota occupy",
            samples(|used| used.key == QuotaKey::Request, |used| used.rate),
        )?;
        page.gauges(
            "kafka_server_quota_throttle_time",
            "Milliseconds of the mean pause that those who share a quota are told",
            samples(|_| true, |used| used.throttle_ms),
        )
    }

    /// What a cluster is judged by. With one replica a partition is either online or offline.
    fn replicas(&self, page: &mut Page<'_>) -> fmt::Result {
        let image = self.broker.image();
        let partitions = self.broker.partitions.counts();
        let topics = image.topics().count();
        let all: usize = image.topics().map(|topic| topic.partitions.len()).sum();
        let manager = "kafka_server_replicamanager";
        page.gauge(&format!("{manager}_partitioncount"), "Partitions on this broker", all as f64)?;
        page.gauge(&format!("{manager}_leadercount"), "Partitions led by this broker", partitions.online as f64)?;
        page.gauge(
            &format!("{manager}_offlinereplicacount"),
            "Partitions whose log is offline",
            partitions.offline as f64,
        )?;
        page.gauge(
            &format!("{manager}_underreplicatedpartitions"),
            "Partitions with replicas out of sync",
            partitions.offline as f64,
        )?;
        page.gauge(
            &format!("{manager}_underminisrpartitioncount"),
            "Partitions with fewer replicas in sync than min.insync.replicas",
            partitions.under_min_isr as f64,
        )?;
        let controller = "kafka_controller_kafkacontroller";
        page.gauge(&format!("{controller}_activecontrollercount"), "1 on the active controller", 1.0)?;
        page.gauge(&format!("{controller}_activebrokercount"), "Brokers that are not fenced", 1.0)?;
        page.gauge(&format!("{controller}_globaltopiccount"), "Topics of the cluster", topics as f64)?;
        page.gauge(&format!("{controller}_globalpartitioncount"), "Partitions of the cluster", all as f64)?;
        page.gauge(
            &format!("{controller}_offlinepartitionscount"),
            "Partitions without a leader",
            partitions.offline as f64,
        )
    }

    fn logs(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut logs = self.broker.logs.logs();
        logs.sort_unstable_by(|a, b| (a.topic(), a.partition()).cmp(&(b.topic(), b.partition())));
        logs.truncate(PARTITIONS_MAX);
        let rows: Vec<(&str, String, [f64; 4])> = logs
            .iter()
            .map(|log| {
                let values = [
                    log.size_in_bytes() as f64,
                    log.segment_count() as f64,
                    log.log_start_offset() as f64,
                    log.log_end_offset() as f64,
                ];
                (log.topic(), log.partition().to_string(), values)
            })
            .collect();
        let families = [
            ("size", "Bytes of the data files of a partition"),
            ("numlogsegments", "Segments of a partition"),
            ("logstartoffset", "First offset of a partition"),
            ("logendoffset", "Offset that the next record of a partition gets"),
        ];
        for (index, (name, help)) in families.into_iter().enumerate() {
            let samples = rows.iter().map(|(topic, partition, values)| {
                (vec![("topic", *topic), ("partition", partition.as_str())], values[index])
            });
            page.gauges(&format!("kafka_log_log_{name}"), help, samples)?;
        }
        self.log_dirs(page)?;
        self.flushes(page)
    }

    fn log_dirs(&self, page: &mut Page<'_>) -> fmt::Result {
        let dirs = self.broker.logs.log_dirs();
        let offline = dirs.iter().filter(|dir| dir.error.is_some()).count();
        page.gauge(
            "kafka_log_logmanager_offlinelogdirectorycount",
            "Log directories that have failed",
            offline as f64,
        )?;
        let samples = |value: fn(&milena_log::LogDirDescription) -> f64| {
            dirs.iter().map(move |dir| (vec![("logdirectory", dir.path.to_string_lossy().into_owned())], value(dir)))
        };
        page.gauges(
            "kafka_log_logmanager_logdirectoryoffline",
            "1 for a log directory that has failed",
            samples(|dir| if dir.error.is_some() { 1.0 } else { 0.0 }),
        )?;
        page.gauges("milena_log_dir_total_bytes", "Size of the file system", samples(|dir| dir.total_bytes as f64))?;
        page.gauges(
            "milena_log_dir_usable_bytes",
            "Free bytes of the file system",
            samples(|dir| dir.usable_bytes as f64),
        )
    }

    fn flushes(&self, page: &mut Page<'_>) -> fmt::Result {
        let flushes = self.broker.logs.flush_times();
        let name = "kafka_log_logflushstats_logflushrateandtimems";
        let quantiles = flushes.quantiles_ms(QUANTILES).into_iter();
        let samples = quantiles.flat_map(|values| {
            QUANTILE_LABELS.into_iter().zip(values).map(|(quantile, value)| (vec![("quantile", quantile)], value))
        });
        page.gauges(name, "Milliseconds that an fsync of a log took", samples)?;
        page.gauge(&format!("{name}_count"), "fsyncs of logs", flushes.count() as f64)
    }

    fn waiting(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauges(
            "kafka_server_delayedoperationpurgatory_purgatorysize",
            "Requests that wait for something",
            [(vec![("delayedOperation", "Fetch")], self.broker.partitions.parked_fetches() as f64)],
        )?;
        let (sessions, partitions) = self.broker.fetch_sessions.size();
        page.gauge(
            "kafka_server_fetchsessioncache_numincrementalfetchsessions",
            "Incremental fetch sessions",
            sessions as f64,
        )?;
        page.gauge(
            "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached",
            "Partitions of incremental fetch sessions",
            partitions as f64,
        )
    }

    fn runtime(&self, page: &mut Page<'_>) -> fmt::Result {
        let uptime = self.broker.metrics.requests.uptime();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let metrics = runtime.metrics();
            let workers = metrics.num_workers();
            let busy: Duration = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker)).sum();
            let possible = uptime.as_secs_f64() * workers.max(1) as f64;
            let idle = (1.0 - busy.as_secs_f64() / possible.max(f64::EPSILON)).clamp(0.0, 1.0);
            page.gauge(
                "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
                "Share of time that the threads serving requests were idle since the start, 0 to 1",
                idle,
            )?;
            page.counter(
                "milena_runtime_busy_seconds",
                "Seconds that threads serving requests were busy",
                busy.as_secs_f64(),
            )?;
            page.gauge("milena_runtime_tasks", "Tasks alive", metrics.num_alive_tasks() as f64)?;
        }
        page.gauge("milena_uptime_seconds", "Seconds since the broker was started", uptime.as_secs_f64())
    }
}

/// Kafka's name of the API in its metrics.
fn request_name(key: ApiKey) -> &'static str {
    match key {
        // Every fetch here is one of a consumer.
        ApiKey::Fetch => "FetchConsumer",
        key => key.name(),
    }
}
