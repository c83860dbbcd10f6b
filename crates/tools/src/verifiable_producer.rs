//! `kafka-verifiable-producer`: produces numbered values and reports each as a line of JSON.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use milena_client::producer::{Delivery, Outgoing};
use milena_client::{Cluster, Producer, ProducerConfig};
use serde_json::{Value, json};

use crate::Outcome;
use crate::console_consumer::interrupt;
use crate::failure::Failure;
use crate::java_format::now_ms;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;

const SYNTAX: Syntax = Syntax {
    purpose: "Produces increasing numbers and prints what became of each as JSON.",
    options: &[
        Opt::one("topic", "topic", "The topic to produce to."),
        Opt::one("max-messages", "count", "Stop after so many records; -1 for never."),
        Opt::one("throughput", "records/s", "Upper limit; -1 for none."),
        Opt::one("acks", "acks", "0, 1 or -1."),
        Opt::one("message-create-time", "ms", "Timestamp of the first record."),
        Opt::one("value-prefix", "number", "Put before each value, with a dot."),
        Opt::one("repeating-keys", "count", "Keys 0 to count - 1 in turn."),
        Opt::one("broker-list", "host:port", "").replaced_by("bootstrap-server"),
        Opt::one("producer.config", "file", "").replaced_by("command-config"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let topic = options.required("topic")?.to_owned();
    let properties = ClientProperties::read(&options, &["producer.config", "command-config"], &[])?;
    let mut config = ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() };
    for (key, value) in properties.iter() {
        config.set(key, value)?;
    }
    if let Some(acks) = options.value("acks") {
        config.set("acks", acks)?;
    }
    let servers = options.value("bootstrap-server").or_else(|| options.value("broker-list"));
    let client = properties.client_config(servers, "verifiable-producer")?;
    session::parallel_runtime()?.block_on(async {
        let cluster = Cluster::connect(client).await?;
        produce(cluster, config, &topic, &options, terminal).await
    })
}

/// Records under way, and lines to print.
#[derive(Default)]
struct Journal {
    sent: HashMap<u64, (Value, String)>,
    lines: Vec<Value>,
    acked: u64,
}

async fn produce(
    cluster: Cluster,
    config: ProducerConfig,
    topic: &str,
    options: &Parsed,
    terminal: &mut Terminal,
) -> Outcome {
    let max: i64 = options.number("max-messages")?.unwrap_or(-1);
    let rate: f64 = options.number("throughput")?.unwrap_or(-1.0);
    let prefix = options.value("value-prefix").map(|prefix| format!("{prefix}.")).unwrap_or_default();
    let keys: Option<u64> = options.number("repeating-keys")?.filter(|count| *count > 0);
    let create_time: Option<i64> = options.number("message-create-time")?.filter(|time| *time >= 0);
    let journal = Arc::new(Mutex::new(Journal::default()));
    let sink = Arc::clone(&journal);
    let producer = Producer::new(
        cluster,
        config,
        Box::new(move |delivery: &Delivery<'_>| {
            note(&mut sink.lock().unwrap_or_else(PoisonError::into_inner), delivery);
        }),
    )?;
    print(json!({"timestamp": now_ms(), "name": "startup_complete"}), terminal);
    let started = Instant::now();
    let mut interrupted = std::pin::pin!(interrupt());
    let mut code = 0;
    let queue = producer.topic(topic).await?;
    let mut index = 0_u64;
    while max < 0 || index < max.unsigned_abs() {
        let value = format!("{prefix}{index}");
        let key = keys.map(|count| (index % count).to_string());
        lock(&journal).sent.insert(index, (json!(key), value.clone()));
        let timestamp =
            create_time.map_or_else(now_ms, |first| first + i64::try_from(started.elapsed().as_millis()).unwrap_or(0));
        let record = Outgoing {
            timestamp,
            key: key.as_deref().map(str::as_bytes),
            value: Some(value.as_bytes()),
            ..Outgoing::default()
        };
        producer.append(&queue, &record, index).await.map_err(Failure::from)?;
        index += 1;
        let due = if rate > 0.0 { Duration::from_secs_f64(index as f64 / rate) } else { Duration::ZERO };
        tokio::select! {
            biased;
            signal = &mut interrupted => {
                code = signal;
                break;
            }
            () = tokio::time::sleep(due.saturating_sub(started.elapsed())) => {}
        }
        print_lines(&journal, terminal);
    }
    producer.close().await;
    print_lines(&journal, terminal);
    print(json!({"timestamp": now_ms(), "name": "shutdown_complete"}), terminal);
    let acked = lock(&journal).acked;
    let average = acked as f64 / started.elapsed().as_secs_f64();
    print(
        json!({"timestamp": now_ms(), "name": "tool_data", "sent": index, "acked": acked, "target_throughput": rate as i64, "avg_throughput": average}),
        terminal,
    );
    Ok(code)
}

fn lock(journal: &Mutex<Journal>) -> std::sync::MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(journal: &mut Journal, delivery: &Delivery<'_>) {
    for (ticket, delta) in delivery.tickets.iter().zip(0_i64..) {
        let (key, value) = journal.sent.remove(ticket).unwrap_or_default();
        let (topic, partition) = (delivery.topic, delivery.partition);
        let line = match delivery.result {
            Ok(base_offset) => {
                journal.acked += 1;
                let offset = if base_offset < 0 { -1 } else { base_offset + delta };
                json!({"timestamp": now_ms(), "name": "producer_send_success", "key": key, "value": value, "offset": offset, "topic": topic, "partition": partition})
            }
            Err(error) => json!({
                "timestamp": now_ms(), "name": "producer_send_error", "topic": topic, "key": key, "value": value,
                "exception": format!("class {}", error.exception_name()), "message": error.to_string(),
            }),
        };
        journal.lines.push(line);
    }
}

fn print_lines(journal: &Mutex<Journal>, terminal: &mut Terminal) {
    for line in std::mem::take(&mut lock(journal).lines) {
        print(line, terminal);
    }
}

fn print(line: Value, terminal: &mut Terminal) {
    terminal.line(&line.to_string());
    terminal.flush();
}
