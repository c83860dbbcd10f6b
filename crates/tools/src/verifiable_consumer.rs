//! `kafka-verifiable-consumer`: consumes as a group member and reports what happens as lines of JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_client::admin::Committed;
use milena_client::consumer::{Fetched, Polled};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, TopicPartition};
use serde_json::{Value, json};

use crate::Outcome;
use crate::console_consumer::interrupt;
use crate::java_format::now_ms;
use crate::options::{Args, Opt, Syntax};
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;

const SYNTAX: Syntax = Syntax {
    purpose: "Consumes a topic as a group member and prints what happens as JSON.",
    options: &[
        Opt::one("topic", "topic", "The topic to read."),
        Opt::one("group-id", "group id", "The group."),
        Opt::one("group-instance-id", "name", "Name of a static member."),
        Opt::one("group-protocol", "protocol", "classic or consumer."),
        Opt::one("group-remote-assignor", "name", "The coordinator's assignor, with the protocol consumer."),
        Opt::one("max-messages", "count", "Stop after so many records; -1 for never."),
        Opt::one("session-timeout", "ms", "How long the group waits for a heartbeat."),
        Opt::flag("verbose", "Print each record."),
        Opt::flag("enable-autocommit", "Commit in the background."),
        Opt::one("reset-policy", "policy", "earliest, latest or none."),
        Opt::one("assignment-strategy", "class", "How partitions are divided."),
        Opt::one("broker-list", "host:port", "").replaced_by("bootstrap-server"),
        Opt::one("consumer.config", "file", "").replaced_by("command-config"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let topic = options.required("topic")?.to_owned();
    let mut properties = ClientProperties::read(&options, &["consumer.config", "command-config"], &[])?;
    properties.set("group.id", options.required("group-id")?);
    properties.set_default("auto.offset.reset", "earliest");
    properties.set("enable.auto.commit", options.has("enable-autocommit").to_string());
    let from_options = [
        ("group-instance-id", "group.instance.id"),
        ("group-protocol", "group.protocol"),
        ("reset-policy", "auto.offset.reset"),
    ];
    let coordinated = options.value("group-protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("consumer"));
    let of_protocol: &[(&str, &str)] = match coordinated {
        true => &[("group-remote-assignor", "group.remote.assignor")],
        false => &[("session-timeout", "session.timeout.ms"), ("assignment-strategy", "partition.assignment.strategy")],
    };
    for (option, key) in from_options.iter().chain(of_protocol).copied() {
        if let Some(value) = options.value(option) {
            properties.set(key, value);
        }
    }
    let mut config = ConsumerConfig::default();
    for (key, value) in properties.iter() {
        config.set(key, value)?;
    }
    let max: i64 = options.number("max-messages")?.unwrap_or(-1);
    let servers = options.value("bootstrap-server").or_else(|| options.value("broker-list"));
    let client = properties.client_config(servers, "verifiable-consumer")?;
    session::runtime()?.block_on(async {
        let commits = !config.enable_auto_commit;
        let mut consumer = Consumer::new(Cluster::connect(client).await?, config);
        consumer.subscribe(vec![topic])?;
        print("startup_complete", json!({}), terminal);
        consume(consumer, max, commits, options.has("verbose"), terminal).await
    })
}

async fn consume(mut consumer: Consumer, max: i64, commits: bool, verbose: bool, terminal: &mut Terminal) -> Outcome {
    let mut interrupted = std::pin::pin!(interrupt());
    let mut left = if max < 0 { u64::MAX } else { max.unsigned_abs() };
    let mut code = 0;
    while left > 0 {
        let polled = tokio::select! {
            signal = &mut interrupted => {
                code = signal;
                print("shutdown_requested", json!({}), terminal);
                break;
            }
            polled = consumer.poll(Duration::from_millis(500)) => polled?,
        };
        match polled {
            Polled::Assigned(partitions) => {
                print("partitions_assigned", json!({"partitions": named(&partitions)}), terminal)
            }
            Polled::Revoked(partitions) => {
                print("partitions_revoked", json!({"partitions": named(&partitions)}), terminal)
            }
            Polled::Revoking(_) | Polled::Idle => {}
            Polled::Records(fetched) => {
                let (count, next) = report(&fetched, left, verbose, terminal)?;
                left -= count;
                consumer.set_consumed(&fetched.tp, next);
                if commits && count > 0 {
                    commit(&consumer, &fetched.tp, next, terminal).await;
                }
            }
        }
    }
    let owned = consumer.assignment();
    if let Err(error) = consumer.close().await {
        tracing::debug!(%error, "closing the consumer");
    }
    if !owned.is_empty() {
        print("partitions_revoked", json!({"partitions": named(&owned)}), terminal);
    }
    print("shutdown_complete", json!({}), terminal);
    if code == 0 {
        // The original says so whenever its process ends.
        print("shutdown_requested", json!({}), terminal);
    }
    Ok(code)
}

/// Prints at most `left` records; how many, and the next offset.
fn report(fetched: &Fetched, left: u64, verbose: bool, terminal: &mut Terminal) -> Result<(u64, i64), Error> {
    let tp = &fetched.tp;
    let (mut count, mut first, mut last) = (0, -1, -1);
    fetched.for_each::<Error>(|read| {
        let record = &read.record;
        if verbose {
            let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let data = json!({"key": text(record.key), "value": text(record.value), "topic": tp.topic, "partition": tp.partition, "offset": record.offset});
            print("record_data", data, terminal);
        }
        first = if count == 0 { record.offset } else { first };
        last = record.offset;
        count += 1;
        Ok(count < left)
    })?;
    if count > 0 {
        let partition = json!({"topic": tp.topic, "partition": tp.partition, "count": count, "minOffset": first, "maxOffset": last});
        print("records_consumed", json!({"count": count, "partitions": [partition]}), terminal);
    }
    Ok((count, if count < left { fetched.next_offset() } else { last + 1 }))
}

async fn commit(consumer: &Consumer, tp: &TopicPartition, offset: i64, terminal: &mut Terminal) {
    let result = consumer.commit_offsets(&BTreeMap::from([(tp.clone(), Committed::at(offset))])).await;
    let mut data = json!({"offsets": [{"topic": tp.topic, "partition": tp.partition, "offset": offset}], "success": result.is_ok()});
    if let (Err(error), Some(fields)) = (&result, data.as_object_mut()) {
        fields.insert("error".to_owned(), Value::from(error.to_string()));
    }
    print("offsets_committed", data, terminal);
}

fn named(partitions: &[TopicPartition]) -> Vec<Value> {
    partitions.iter().map(|tp| json!({"topic": tp.topic, "partition": tp.partition})).collect()
}

/// Prints an event: timestamp and name first, then its own fields.
fn print(name: &str, data: Value, terminal: &mut Terminal) {
    let mut event = serde_json::Map::new();
    event.insert("timestamp".to_owned(), Value::from(now_ms()));
    event.insert("name".to_owned(), Value::from(name));
    if let Value::Object(fields) = data {
        event.extend(fields);
    }
    terminal.line(&Value::Object(event).to_string());
    terminal.flush();
}
