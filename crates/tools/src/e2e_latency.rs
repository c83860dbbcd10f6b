//! `kafka-e2e-latency`: how long a record takes from a producer to a consumer, one at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_client::admin::OffsetSpec;
use milena_client::consumer::{Polled, Start};
use milena_client::producer::{Delivery, Outgoing, TopicQueue};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, Producer, ProducerConfig, TopicPartition};
use milena_protocol::messages::create_topics_request;

use crate::Outcome;
use crate::failure::Failure;
use crate::java_format::now_ms;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;

const SYNTAX: Syntax = Syntax {
    purpose: "Measures the time from producing a record to consuming it.",
    options: &[
        Opt::one("topic", "topic", "The topic; created when it is missing."),
        Opt::one("num-records", "count", "How many records to measure."),
        Opt::one("producer-acks", "acks", "1 or all."),
        Opt::one("record-size", "bytes", "Size of each record."),
        Opt::one("record-key-size", "bytes", "Size of each key; none when not given."),
        Opt::one("num-headers", "count", "Headers of each record; none when not given."),
    ],
};

/// How long to wait for a record before giving up.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let args = from_positions(args, terminal)?;
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let topic = options.required("topic")?.to_owned();
    options.required("num-records")?;
    options.required("record-size")?;
    let count: u64 = options.number("num-records")?.unwrap_or(0);
    let size: usize = options.number("record-size")?.unwrap_or(0);
    let acks = options.required("producer-acks")?;
    if !matches!(acks, "1" | "all" | "-1") {
        return Err(Failure::illegal_argument(
            "Latency testing requires synchronous acknowledgement. Please use 1 or all",
        ));
    }
    let properties = ClientProperties::read(&options, &["command-config"], &[])?;
    let client = properties.client_config(options.value("bootstrap-server"), "e2e-latency")?;
    let mut config = ProducerConfig::default();
    for (key, value) in properties.iter() {
        config.set(key, value)?;
    }
    config.set("acks", acks)?;
    config.linger = Duration::ZERO;
    session::parallel_runtime()?.block_on(async {
        let cluster = Cluster::connect(client).await?;
        let mut probe = Probe::start(cluster, config, &topic, &options, size, terminal).await?;
        probe.measure(count, terminal).await
    })
}

/// Old scripts name everything by position: servers, topic, records, acks, size, properties file.
fn from_positions(args: Args, terminal: &mut Terminal) -> Result<Args, Failure> {
    const NAMES: [&str; 6] =
        ["bootstrap-server", "topic", "num-records", "producer-acks", "record-size", "command-config"];
    if args.words.first().is_none_or(|word| word.starts_with("--")) {
        return Ok(args);
    }
    if !(5..=6).contains(&args.words.len()) {
        return Err(Failure::illegal_argument(format!(
            "Invalid number of arguments. Expected 5 or 6 positional arguments, but got {}. Usage: bootstrap-server topic num-records producer-acks record-size [optional] command-config",
            args.words.len()
        )));
    }
    terminal.error_line("Warning: positional arguments are deprecated. Please use --bootstrap-server, --topic, --num-records, --producer-acks, --record-size and --command-config.");
    let words = NAMES.iter().zip(args.words).flat_map(|(name, word)| [format!("--{name}"), word]).collect();
    Ok(Args { tool: args.tool, words })
}

/// A producer and a consumer at the end of one topic.
struct Probe {
    producer: Producer,
    queue: Arc<TopicQueue>,
    consumer: Consumer,
    record: Vec<u8>,
    key: Option<Vec<u8>>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Probe {
    async fn start(
        cluster: Cluster,
        config: ProducerConfig,
        topic: &str,
        options: &Parsed,
        size: usize,
        terminal: &mut Terminal,
    ) -> Result<Probe, Failure> {
        if cluster.list_topics().await?.iter().all(|listed| listed.name != topic) {
            terminal.line(&format!(
                "Topic \"{topic}\" does not exist. Will create topic with 1 partition(s) and replication factor = 1"
            ));
            let new = create_topics_request::Topic {
                name: topic.to_owned(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            };
            cluster.create_topic(new, false).await?;
        }
        let info = cluster.topic(topic, false, Duration::from_secs(10)).await?;
        let mut consumer = Consumer::new(
            cluster.clone(),
            ConsumerConfig { fetch_max_wait: Duration::from_millis(500), ..ConsumerConfig::default() },
        );
        let partitions = (0..).zip(&info.partitions).map(|(partition, _)| TopicPartition::new(topic, partition));
        consumer.assign(partitions.map(|tp| (tp, Some(Start::Find(OffsetSpec::LATEST)))).collect());
        // The ends are looked up before the first record is sent.
        consumer.poll(Duration::ZERO).await?;
        let failure = Arc::new(Mutex::new(None));
        let report = Arc::clone(&failure);
        let on_delivery = Box::new(move |delivery: &Delivery<'_>| {
            if let Err(error) = delivery.result {
                *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_exception());
            }
        });
        let producer = Producer::new(cluster, config, on_delivery)?;
        let queue = producer.topic(topic).await?;
        let key: Option<usize> = options.number("record-key-size")?;
        Ok(Probe { producer, queue, consumer, record: random_text(size), key: key.map(random_text), failure })
    }

    async fn measure(&mut self, count: u64, terminal: &mut Terminal) -> Outcome {
        let mut latencies = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for index in 0..count {
            let begin = Instant::now();
            let record = Outgoing {
                timestamp: now_ms(),
                key: self.key.as_deref(),
                value: Some(&self.record),
                ..Outgoing::default()
            };
            self.producer.append(&self.queue, &record, index).await?;
            self.producer.flush().await;
            if let Some(message) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(Failure::Exception { class: "org.apache.kafka.common.KafkaException", message });
            }
            self.receive().await?;
            let elapsed = begin.elapsed();
            if index % 1000 == 0 {
                terminal.line(&format!("{index}\t{}", elapsed.as_nanos() as f64 / 1e6));
                terminal.flush();
            }
            latencies.push(elapsed);
        }
        terminal.print(&summary(&mut latencies));
        Ok(0)
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + POLL_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left).await? {
                Polled::Records(fetched) => {
                    let mut same = None;
                    fetched.for_each::<Error>(|read| {
                        same = Some(read.record.value == Some(self.record.as_slice()));
                        Ok(true)
                    })?;
                    return match same {
                        Some(true) => Ok(()),
                        _ => Err(Failure::Exception {
                            class: "java.lang.RuntimeException",
                            message: "The message value read did not match the message value sent".to_owned(),
                        }),
                    };
                }
                Polled::Idle => {
                    let message =
                        format!("poll() timed out before finding a result (timeout:[{}ms])", POLL_TIMEOUT.as_millis());
                    return Err(Failure::Exception { class: "java.lang.RuntimeException", message });
                }
                Polled::Assigned(_) | Polled::Revoking(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

fn random_text(size: usize) -> Vec<u8> {
    (0..size).map(|_| rand::random_range(b'A'..=b'Z')).collect()
}

fn summary(latencies: &mut [Duration]) -> String {
    if latencies.is_empty() {
        return String::new();
    }
    let total: Duration = latencies.iter().sum();
    latencies.sort_unstable();
    let at = |quantile: f64| {
        let index = (latencies.len() as f64 * quantile) as usize;
        latencies[index.min(latencies.len() - 1)].as_millis()
    };
    format!(
        "Avg latency: {:.4} ms\nPercentiles: 50th = {}, 99th = {}, 99.9th = {}\n",
        total.as_secs_f64() * 1000.0 / latencies.len() as f64,
        at(0.5),
        at(0.99),
        at(0.999)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_whole_percentiles_and_four_digits() {
        let mut latencies: Vec<Duration> = (1..=1000).map(Duration::from_millis).collect();
        assert_eq!(
            summary(&mut latencies),
            "Avg latency: 500.5000 ms\nPercentiles: 50th = 501, 99th = 991, 99.9th = 1000\n"
        );
    }

    #[test]
    fn positions_become_options() {
        let (mut terminal, _, err) = Terminal::captured();
        let words = ["localhost:9092", "t", "10", "1", "100"].map(str::to_owned).to_vec();
        let args = from_positions(Args { tool: "kafka-e2e-latency".to_owned(), words }, &mut terminal).unwrap();
        assert_eq!(args.words[..4], ["--bootstrap-server", "localhost:9092", "--topic", "t"]);
        assert!(err.text().contains("deprecated"));
    }
}
