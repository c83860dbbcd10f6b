//! `kafka-consumer-perf-test`: how many records a second can be read.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use milena_client::consumer::{OffsetReset, Polled};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;
use crate::{Outcome, java_format, progress};

const SYNTAX: Syntax = Syntax {
    purpose: "Measures how fast records can be consumed.",
    options: &[
        Opt::one("topic", "topic", "The topic to read."),
        Opt::one("include", "regex", "Regular expression of topics to read."),
        Opt::one("num-records", "count", "How many records to read."),
        Opt::one("messages", "count", "").replaced_by("num-records"),
        Opt::one("broker-list", "host:port", "").replaced_by("bootstrap-server"),
        Opt::one("group", "group id", "The group; a new one when not given."),
        Opt::optional("timeout", "ms", "Give up when nothing came for so long; 10000 by default."),
        Opt::one("fetch-size", "bytes", "Bytes of one partition in one fetch."),
        Opt::one("socket-buffer-size", "bytes", "Accepted; the system chooses."),
        Opt::one("threads", "count", "Accepted for old scripts."),
        Opt::flag("from-latest", "Begin at the end when the group has no committed offset."),
        Opt::flag("show-detailed-stats", "Print a line for each interval."),
        Opt::one("reporting-interval", "ms", "The interval; 5000 by default."),
        Opt::flag("hide-header", "Leave the heading out."),
        Opt::flag("print-metrics", "Accepted; this client has no metrics of its own."),
        Opt::one("date-format", "format", "Accepted; times look like 2025-01-31 23:59:59:999."),
        Opt::list("command-property", "key=value", "Properties of the consumer."),
        Opt::one("consumer.config", "file", "").replaced_by("command-config"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    if options.has("topic") == options.has("include") {
        return Err(options.usage("Exactly one of --include/--topic is required."));
    }
    let wanted = options.number("num-records")?.or(options.number("messages")?);
    let wanted: u64 = wanted.ok_or_else(|| {
        options.usage("Exactly one of the following arguments is required: [num-records], [messages]")
    })?;
    let mut properties =
        ClientProperties::read(&options, &["consumer.config", "command-config"], &["command-property"])?;
    properties.set_default("client.id", "perf-consumer-client");
    let config = config(&options, &properties)?;
    let servers = options.value("bootstrap-server").or_else(|| options.value("broker-list"));
    let client = properties.client_config(servers, "perf-consumer-client")?;
    let meter = Meter {
        wanted,
        detailed: options.has("show-detailed-stats"),
        interval: Duration::from_millis(options.number("reporting-interval")?.unwrap_or(5000)),
        timeout: Duration::from_millis(options.number("timeout")?.unwrap_or(10_000)),
    };
    if !options.has("hide-header") {
        let first = if meter.detailed { "time, threadId" } else { "start.time, end.time" };
        terminal.line(&format!("{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"));
    }
    session::parallel_runtime()?.block_on(async {
        let mut consumer = Consumer::new(Cluster::connect(client).await?, config);
        match (options.value("topic"), options.value("include")) {
            (Some(topic), _) => consumer.subscribe(topic.split(',').map(str::to_owned).collect())?,
            (None, pattern) => {
                let pattern = java_format::topic_pattern(pattern.unwrap_or(".*"))?;
                let text = pattern.as_str().to_owned();
                consumer.subscribe_matching(&text, Box::new(move |name| pattern.is_match(name)))?;
            }
        }
        meter.run(consumer, terminal).await
    })
}

fn config(options: &Parsed, properties: &ClientProperties) -> Result<ConsumerConfig, Failure> {
    let mut config =
        ConsumerConfig { check_crcs: false, auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() };
    for (key, value) in properties.iter() {
        config.set(key, value)?;
    }
    if let Some(size) = options.number("fetch-size")? {
        config.max_partition_fetch_bytes = size;
    }
    if options.has("from-latest") {
        config.auto_offset_reset = OffsetReset::Latest;
    }
    let group = options.value("group").map(str::to_owned);
    config.group_id =
        group.or(config.group_id).or_else(|| Some(format!("perf-consumer-{}", rand::random_range(0..100_000))));
    Ok(config)
}

/// What to read, and how to report it.
struct Meter {
    wanted: u64,
    detailed: bool,
    interval: Duration,
    timeout: Duration,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    records: u64,
    bytes: u64,
    elapsed: Duration,
    rebalance: Duration,
}

impl Meter {
    async fn run(&self, mut consumer: Consumer, terminal: &mut Terminal) -> Outcome {
        let bar = progress::bar(terminal, self.wanted);
        let (started, started_at) = (Instant::now(), Timestamp::now());
        let mut total = Tally::default();
        let mut window = (Tally::default(), Instant::now());
        let mut unassigned_since = Some(started);
        let mut last_record = Instant::now();
        while total.records < self.wanted {
            match consumer.poll(Duration::from_millis(100)).await? {
                Polled::Records(fetched) => {
                    let before = total;
                    fetched.for_each::<Error>(|read| {
                        total.records += 1;
                        total.bytes +=
                            (read.record.key.map_or(0, <[u8]>::len) + read.record.value.map_or(0, <[u8]>::len)) as u64;
                        Ok(total.records < self.wanted)
                    })?;
                    window.0.records += total.records - before.records;
                    window.0.bytes += total.bytes - before.bytes;
                    last_record = Instant::now();
                    bar.set_position(total.records);
                }
                Polled::Assigned(_) => {
                    let waited = unassigned_since.take().map_or(Duration::ZERO, |since| since.elapsed());
                    total.rebalance += waited;
                    window.0.rebalance += waited;
                    last_record = Instant::now();
                }
                Polled::Revoked(_) => unassigned_since = Some(Instant::now()),
                Polled::Revoking(_) | Polled::Idle => {}
            }
            if self.detailed && window.1.elapsed() >= self.interval {
                window.0.elapsed = window.1.elapsed();
                terminal.line(&format!("{}, 0, {}", date(Timestamp::now()), columns(&total, &window.0)));
                terminal.flush();
                window = (Tally::default(), Instant::now());
            }
            if last_record.elapsed() >= self.timeout {
                let waited = self.timeout.as_millis();
                terminal.line(&format!("WARNING: Exiting before consuming the expected number of records: timeout ({waited} ms) exceeded. You can use the --timeout option to increase the timeout."));
                break;
            }
        }
        total.elapsed = started.elapsed();
        bar.finish_and_clear();
        if !self.detailed {
            terminal.line(&format!("{}, {}, {}", date(started_at), date(Timestamp::now()), columns(&total, &total)));
        }
        if let Err(error) = consumer.close().await {
            tracing::debug!(%error, "closing the consumer");
        }
        Ok(0)
    }
}

fn date(time: Timestamp) -> String {
    let zoned = time.to_zoned(TimeZone::system());
    format!("{}:{:03}", zoned.strftime("%Y-%m-%d %H:%M:%S"), zoned.millisecond())
}

/// Totals with the rates of `window`.
fn columns(total: &Tally, window: &Tally) -> String {
    let megabytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    let seconds = window.elapsed.as_secs_f64().max(0.001);
    let fetching = window.elapsed.saturating_sub(window.rebalance);
    let fetch_seconds = fetching.as_secs_f64().max(0.001);
    format!(
        "{:.4}, {:.4}, {}, {:.4}, {}, {}, {:.4}, {:.4}",
        megabytes(total.bytes),
        megabytes(window.bytes) / seconds,
        total.records,
        window.records as f64 / seconds,
        window.rebalance.as_millis(),
        fetching.as_millis(),
        megabytes(window.bytes) / fetch_seconds,
        window.records as f64 / fetch_seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_formatted_as_recorded() {
        let total = Tally {
            records: 200_000,
            bytes: 20_000_000,
            elapsed: Duration::from_millis(1034),
            rebalance: Duration::from_millis(539),
        };
        assert_eq!(columns(&total, &total), "19.0735, 18.4463, 200000, 193423.5977, 539, 495, 38.5323, 404040.4040");
        let text = date(Timestamp::from_millisecond(0).unwrap());
        assert_eq!((text.len(), &text[19..20]), (23, ":"));
    }
}
