//! `kafka-producer-perf-test`: how many records a second a cluster takes, and how fast it answers.
//!
//! Latency is the time from handing a record over to hearing of its delivery, queueing included.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_client::producer::{Delivery, Metric, Outgoing};
use milena_client::{Cluster, Producer, ProducerConfig};
use milena_protocol::Uuid;

use crate::Outcome;
use crate::failure::Failure;
use crate::java_format::now_ms;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::progress;
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;

/// Latencies kept for the percentiles.
const SAMPLES_MAX: u64 = 500_000;
/// How often the clock is read while records are not throttled.
const CLOCK_EVERY: u64 = 16;
/// Marks the tickets of records that are sent while warming up; the rest is when they were sent.
const WARMING_UP: u64 = 1 << 63;

const SYNTAX: Syntax = Syntax {
    purpose: "Measures how fast records can be produced.",
    options: &[
        Opt::one("topic", "topic", "The topic to produce to."),
        Opt::one("num-records", "count", "How many records to produce."),
        Opt::one("record-size", "bytes", "Size of each value."),
        Opt::one("payload-file", "file", "Values to choose from, one a line."),
        Opt::one("payload-delimiter", "text", "What separates the values in the file."),
        Opt::flag("payload-monotonic", "Values are the numbers of the records."),
        Opt::one("throughput", "records/s", "Upper limit; -1 for none."),
        Opt::list("command-property", "key=value", "Properties of the producer."),
        Opt::list("producer-props", "key=value", "").replaced_by("command-property"),
        Opt::one("producer.config", "file", "").replaced_by("command-config"),
        Opt::flag("print-metrics", "Print what the producer counted at the end."),
        Opt::one("transactional-id", "id", "Send in transactions under this id."),
        Opt::one(
            "transaction-duration-ms",
            "ms",
            "How long each transaction stays open; 3000 with a transactional id.",
        ),
        Opt::one("warmup-records", "count", "A second summary leaves so many first records out."),
        Opt::one("reporting-interval", "ms", "How often to print what was reached."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let mut properties = ClientProperties::read(
        &options,
        &["producer.config", "command-config"],
        &["producer-props", "command-property"],
    )?;
    let plan = Plan::of(&options, &mut properties)?;
    properties.set_default("client.id", "perf-producer-client");
    let mut config = ProducerConfig::default();
    for (key, value) in properties.iter() {
        config.set(key, value)?;
    }
    config.check()?;
    let client = properties.client_config(options.value("bootstrap-server"), "perf-producer-client")?;
    session::parallel_runtime()?.block_on(async {
        let cluster = Cluster::connect(client).await?;
        produce(cluster, config, plan, terminal).await
    })
}

/// What to produce.
struct Plan {
    topic: String,
    client_id: String,
    count: u64,
    warmup: u64,
    /// Records a second; `None` for no limit.
    throughput: Option<f64>,
    payload: Payload,
    reporting_interval: Duration,
    /// How long each transaction lasts; `None`: no transactions.
    transaction: Option<Duration>,
    print_metrics: bool,
}

impl Plan {
    fn of(options: &Parsed, properties: &mut ClientProperties) -> Result<Plan, Failure> {
        let topic = options.required("topic")?.to_owned();
        options.required("num-records")?;
        options.required("throughput")?;
        let throughput: f64 = options.number("throughput")?.unwrap_or(-1.0);
        let count: i64 = options.number("num-records")?.unwrap_or(0);
        if count <= 0 {
            return Err(options.usage("--num-records should be greater than zero"));
        }
        let warmup: i64 = options.number("warmup-records")?.unwrap_or(0);
        if warmup >= count {
            let message = "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.";
            return Err(options.usage(message));
        }
        Ok(Plan {
            topic,
            client_id: properties.get("client.id").unwrap_or("perf-producer-client").to_owned(),
            count: count.unsigned_abs(),
            warmup: warmup.max(0).unsigned_abs(),
            throughput: (throughput > 0.0).then_some(throughput),
            payload: Payload::of(options)?,
            reporting_interval: Duration::from_millis(options.number("reporting-interval")?.unwrap_or(5000)),
            transaction: transaction(options, properties)?,
            print_metrics: options.has("print-metrics"),
        })
    }
}

/// How long transactions last; sees to a transactional id when only that was given.
fn transaction(options: &Parsed, properties: &mut ClientProperties) -> Result<Option<Duration>, Failure> {
    const DURATION_MS: i64 = 3000;
    let duration: Option<i64> = options.number("transaction-duration-ms")?;
    if duration.is_some_and(|ms| ms <= 0) {
        return Err(options.usage("--transaction-duration-ms should be greater than zero"));
    }
    if let Some(id) = options.value("transactional-id") {
        properties.set("transactional.id", id);
    }
    if duration.is_some() {
        properties.set_default("transactional.id", format!("performance-producer-{}", Uuid::random()));
    }
    let enabled = properties.get("transactional.id").is_some();
    Ok(enabled.then(|| Duration::from_millis(duration.unwrap_or(DURATION_MS).unsigned_abs())))
}

enum Payload {
    Random(Vec<u8>),
    OneOf(Vec<Vec<u8>>),
    Monotonic,
}

impl Payload {
    fn of(options: &Parsed) -> Result<Payload, Failure> {
        if options.has("payload-monotonic") {
            return Ok(Payload::Monotonic);
        }
        if let Some(path) = options.value("payload-file") {
            let text = std::fs::read(path).map_err(|error| Failure::io(format!("{path}: {error}")))?;
            let delimiter = options.value("payload-delimiter").unwrap_or("\\n").replace("\\n", "\n");
            let text = String::from_utf8_lossy(&text).into_owned();
            let values: Vec<Vec<u8>> = text
                .split(delimiter.as_str())
                .filter(|value| !value.is_empty())
                .map(|value| value.as_bytes().to_vec())
                .collect();
            if values.is_empty() {
                return Err(Failure::illegal_argument(format!("File does not exist or empty file provided: {path}")));
            }
            return Ok(Payload::OneOf(values));
        }
        match options.number::<usize>("record-size")? {
            Some(size) => Ok(Payload::Random((0..size).map(|_| rand::random_range(b'A'..=b'Z')).collect())),
            None => {
                Err(options.usage("one of the arguments --record-size --payload-file --payload-monotonic is required"))
            }
        }
    }

    fn value<'a>(&'a self, index: u64, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Payload::Random(bytes) => bytes,
            Payload::OneOf(values) => &values[rand::random_range(0..values.len())],
            Payload::Monotonic => {
                *scratch = index.to_string().into_bytes();
                scratch
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Payload::Random(bytes) => bytes.len(),
            Payload::OneOf(values) => values.iter().map(Vec::len).sum::<usize>() / values.len().max(1),
            Payload::Monotonic => 8,
        }
    }
}

async fn produce(cluster: Cluster, config: ProducerConfig, plan: Plan, terminal: &mut Terminal) -> Outcome {
    if plan.warmup > 0 {
        terminal.line(&format!(
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            plan.warmup
        ));
    }
    let begin = Instant::now();
    let stats = Arc::new(Mutex::new(Both::new(&plan)));
    let sink = Arc::clone(&stats);
    let on_delivery = Box::new(move |delivery: &Delivery<'_>| {
        let now = micros_since(begin);
        let mut stats = sink.lock().unwrap_or_else(PoisonError::into_inner);
        match delivery.result {
            Ok(_) => delivery.tickets.iter().for_each(|ticket| stats.record(now, *ticket)),
            Err(error) => stats.fail(delivery.tickets.len() as u64, &error.to_exception()),
        }
    });
    let producer = Producer::new(cluster, config, on_delivery)?;
    if plan.transaction.is_some() {
        producer.init_transactions().await?;
    }
    let topic = producer.topic(&plan.topic).await?;
    let bar = progress::bar(terminal, plan.count);
    let mut scratch = Vec::new();
    let (mut sent_at, mut timestamp) = (micros_since(begin), now_ms());
    let mut next_report = Instant::now() + plan.reporting_interval;
    let mut transaction_began = None;
    let started = Instant::now();
    with(&stats).all.restart();
    for index in 0..plan.count {
        if index % CLOCK_EVERY == 0 || plan.throughput.is_some() {
            (sent_at, timestamp) = (micros_since(begin), now_ms());
            if Instant::now() >= next_report {
                next_report += plan.reporting_interval;
                bar.set_position(index);
                report_window(&stats, terminal);
            }
        }
        if index == plan.warmup && plan.warmup > 0 {
            with(&stats).begin_steady_state(&plan);
        }
        if plan.transaction.is_some() && transaction_began.is_none() {
            producer.begin_transaction()?;
            transaction_began = Some(Instant::now());
        }
        let record =
            Outgoing { timestamp, value: Some(plan.payload.value(index, &mut scratch)), ..Outgoing::default() };
        let ticket = if index < plan.warmup { sent_at | WARMING_UP } else { sent_at };
        producer.append(&topic, &record, ticket).await?;
        if let (Some(length), Some(began)) = (plan.transaction, transaction_began)
            && began.elapsed() >= length
        {
            producer.commit_transaction().await?;
            transaction_began = None;
        }
        if let Some(rate) = plan.throughput {
            throttle(started, index + 1, rate).await;
        }
    }
    if transaction_began.is_some() {
        producer.commit_transaction().await?;
    }
    producer.flush().await;
    bar.finish_and_clear();
    for summary in with(&stats).summaries() {
        terminal.line(&summary);
    }
    report_errors(&stats, terminal);
    if plan.print_metrics {
        print_metrics(&producer.metrics(), &plan.client_id, terminal);
    }
    producer.close().await;
    Ok(0)
}

fn with(stats: &Mutex<Both>) -> std::sync::MutexGuard<'_, Both> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report_window(stats: &Mutex<Both>, terminal: &mut Terminal) {
    let lines = with(stats).take_window();
    for line in lines {
        terminal.line(&line);
    }
    terminal.flush();
    report_errors(stats, terminal);
}

fn report_errors(stats: &Mutex<Both>, terminal: &mut Terminal) {
    let errors = std::mem::take(&mut with(stats).errors);
    for (error, count) in errors {
        terminal.error_line(&format!("{count} records failed: {error}"));
    }
}

/// Prints metrics as Kafka's tools do: a table of `group:name:{tags}` and values, sorted.
fn print_metrics(metrics: &[Metric], client_id: &str, terminal: &mut Terminal) {
    let mut lines: Vec<(String, f64)> = metrics
        .iter()
        .map(|metric| {
            let topic = metric.topic.as_ref().map(|topic| format!(", topic={topic}")).unwrap_or_default();
            (format!("{}:{}:{{client-id={client_id}{topic}}}", metric.group, metric.name), metric.value)
        })
        .collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    terminal.line(&format!("\n{:<width$}   Value", "Metric Name"));
    for (name, value) in lines {
        terminal.line(&format!("{name:<width$} : {value:.3}"));
    }
}

/// Waits until `count` records are allowed to be sent at `rate` records a second.
async fn throttle(started: Instant, count: u64, rate: f64) {
    let due = Duration::from_secs_f64(count as f64 / rate);
    let ahead = due.saturating_sub(started.elapsed());
    if ahead > Duration::from_millis(1) {
        tokio::time::sleep(ahead).await;
    }
}

fn micros_since(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Counts and latencies: of the whole run and since the last report.
struct Stats {
    started: Instant,
    window_started: Instant,
    record_size: usize,
    sample_every: u64,
    total: Tally,
    window: Tally,
    samples_us: Vec<u64>,
    /// Goes before "records sent" in the summary.
    kind: &'static str,
}

/// Statistics of the whole run and, with a warm-up, of what comes after it.
struct Both {
    all: Stats,
    steady: Option<Stats>,
    steady_announced: bool,
    errors: BTreeMap<String, u64>,
}

impl Both {
    fn new(plan: &Plan) -> Both {
        let all = Stats::new(plan.count, plan.payload.size(), "");
        Both { all, steady: None, steady_announced: false, errors: BTreeMap::new() }
    }

    fn begin_steady_state(&mut self, plan: &Plan) {
        self.steady = Some(Stats::new(plan.count - plan.warmup, plan.payload.size(), "steady state "));
    }

    fn record(&mut self, now_us: u64, ticket: u64) {
        let latency_us = now_us.saturating_sub(ticket & !WARMING_UP);
        self.all.record(latency_us);
        if let (Some(steady), 0) = (&mut self.steady, ticket & WARMING_UP) {
            steady.record(latency_us);
        }
    }

    fn fail(&mut self, count: u64, error: &str) {
        *self.errors.entry(error.to_owned()).or_default() += count;
    }

    fn take_window(&mut self) -> Vec<String> {
        let of_steady = self.steady.as_mut().map(|steady| (steady.total.count > 0, steady));
        let Some((true, steady)) = of_steady else { return self.all.take_window().into_iter().collect() };
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.steady_announced, true) {
            lines.push("In steady state.".to_owned());
        }
        lines.extend(steady.take_window());
        lines
    }

    fn summaries(&mut self) -> Vec<String> {
        std::iter::once(&mut self.all).chain(self.steady.as_mut()).map(Stats::summary).collect()
    }
}

#[derive(Default)]
struct Tally {
    count: u64,
    latency_us: u64,
    latency_us_max: u64,
}

impl Tally {
    fn add(&mut self, latency_us: u64) {
        self.count += 1;
        self.latency_us += latency_us;
        self.latency_us_max = self.latency_us_max.max(latency_us);
    }

    fn latency_ms(&self) -> f64 {
        self.latency_us as f64 / 1000.0 / (self.count.max(1) as f64)
    }
}

impl Stats {
    fn new(expected: u64, record_size: usize, kind: &'static str) -> Stats {
        let now = Instant::now();
        Stats {
            started: now,
            window_started: now,
            record_size,
            sample_every: expected / SAMPLES_MAX.min(expected.max(1)).max(1)
                + u64::from(!expected.is_multiple_of(SAMPLES_MAX) && expected > SAMPLES_MAX),
            total: Tally::default(),
            window: Tally::default(),
            samples_us: Vec::new(),
            kind,
        }
    }

    fn restart(&mut self) {
        self.started = Instant::now();
        self.window_started = self.started;
        self.total = Tally::default();
        self.window = Tally::default();
        self.samples_us.clear();
    }

    fn record(&mut self, latency_us: u64) {
        if self.total.count.is_multiple_of(self.sample_every.max(1)) {
            self.samples_us.push(latency_us);
        }
        self.total.add(latency_us);
        self.window.add(latency_us);
    }

    fn take_window(&mut self) -> Option<String> {
        let window = std::mem::take(&mut self.window);
        let seconds = self.window_started.elapsed().as_secs_f64();
        self.window_started = Instant::now();
        let rate = window.count as f64 / seconds;
        (window.count > 0).then(|| {
            format!(
                "{} records sent, {rate:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
                window.count,
                self.megabytes(rate),
                window.latency_ms(),
                (window.latency_us_max / 1000) as f64
            )
        })
    }

    fn summary(&mut self) -> String {
        let rate = self.total.count as f64 / self.started.elapsed().as_secs_f64();
        self.summary_at(rate)
    }

    fn summary_at(&mut self, rate: f64) -> String {
        self.samples_us.sort_unstable();
        let at = |quantile: f64| {
            let index =
                ((quantile * self.samples_us.len() as f64) as usize).min(self.samples_us.len().saturating_sub(1));
            self.samples_us.get(index).map_or(0, |latency| latency / 1000)
        };
        format!(
            "{} {}records sent, {rate:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.total.count,
            self.kind,
            self.megabytes(rate),
            self.total.latency_ms(),
            (self.total.latency_us_max / 1000) as f64,
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999)
        )
    }

    fn megabytes(&self, rate: f64) -> f64 {
        rate * self.record_size as f64 / (1024.0 * 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_formatted_as_recorded() {
        let mut stats = Stats::new(200_000, 100, "");
        (1..=1000).for_each(|ms| stats.record(ms * 1000));
        let expected = "1000 records sent, 83717.036417 records/sec (7.98 MB/sec), 500.50 ms avg latency, 1000.00 ms max latency, 501 ms 50th, 951 ms 95th, 991 ms 99th, 1000 ms 99.9th.";
        assert_eq!(stats.summary_at(83_717.036_417), expected);
    }

    #[test]
    fn at_most_half_a_million_latencies_are_kept() {
        for expected in [1, 500_000, 500_001, 1_000_000, 7_654_321] {
            let stats = Stats::new(expected, 1, "");
            assert!(expected / stats.sample_every.max(1) <= SAMPLES_MAX, "{expected}: every {}", stats.sample_every);
        }
    }
}
