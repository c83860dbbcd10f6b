//! `kafka-console-producer`: lines of standard input become records.

mod line_reader;
mod reader;

use std::io::{BufRead, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};

use milena_client::producer::{Delivery, OnDelivery, Outgoing, TopicQueue};
use milena_client::{Cluster, Producer, ProducerConfig};

use crate::Outcome;
use crate::failure::Failure;
use crate::java_format::{log_timestamp, now_ms};
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;
use reader::{Reader, Record};

const SYNTAX: Syntax = Syntax {
    purpose: "Reads lines from standard input and writes each as a record to a topic.",
    options: &[
        Opt::one("topic", "topic", "The topic; created when the cluster allows it."),
        Opt::one("broker-list", "host:port", "").replaced_by("bootstrap-server"),
        Opt::flag("sync", "Wait for the answer to each record."),
        Opt::optional("compression-codec", "codec", "none, gzip, snappy, lz4 or zstd; gzip when no codec is named."),
        Opt::one("batch-size", "bytes", "Size of a batch."),
        Opt::one("max-partition-memory-bytes", "bytes", "").replaced_by("batch-size"),
        Opt::one("message-send-max-retries", "count", "How often to try again."),
        Opt::one("retry-backoff-ms", "ms", "Pause before trying again."),
        Opt::one("timeout", "ms", "How long a record may wait for others."),
        Opt::one("request-required-acks", "acks", "0, 1, -1 or all."),
        Opt::one("request-timeout-ms", "ms", "How long to wait for an answer."),
        Opt::one("metadata-expiry-ms", "ms", "Accepted; metadata is refreshed when it proves stale."),
        Opt::one("max-block-ms", "ms", "How long to wait for metadata or memory."),
        Opt::one("max-memory-bytes", "bytes", "Memory for records that wait."),
        Opt::one("socket-buffer-size", "bytes", "Accepted; the system chooses."),
        Opt::one("line-reader", "class", "The built-in line reader, or one of Confluent's that write by a schema."),
        Opt::many(
            "reader-property",
            "key=value",
            "Property of the line reader: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, ignore.error, null.marker; of those with schemas also schema.registry.url, {key,value}.{schema,schema.file,schema.id,refs,subject.name.strategy}, key.serializer, auto.register.schemas, use.latest.version, normalize.schemas, basic.auth.*.",
        ),
        Opt::one("reader-config", "file", "Properties file of the line reader."),
        Opt::many("command-property", "key=value", "Property of the producer."),
        Opt::many("property", "key=value", "").replaced_by("reader-property"),
        Opt::many("producer-property", "key=value", "").replaced_by("command-property"),
        Opt::one("producer.config", "file", "").replaced_by("command-config"),
    ],
};

/// Lines read ahead of sending.
const LINES_AHEAD: usize = 256;

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let topic = options.required("topic")?.to_owned();
    let reader = reader(&options, &topic)?;
    let (client, producer) = configs(&options)?;
    let interactive = std::io::stdin().is_terminal();
    session::runtime()?.block_on(async {
        let cluster = Cluster::connect(client).await?;
        let console = Console::new(cluster, producer, &topic, options.has("sync"))?;
        console.send_all(reader, interactive, terminal).await
    })
}

/// The producer and the errors of its batches.
struct Console {
    producer: Producer,
    topic: String,
    sync: bool,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Console {
    fn new(cluster: Cluster, config: ProducerConfig, topic: &str, sync: bool) -> Result<Console, Failure> {
        let errors = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&errors);
        let on_delivery: OnDelivery = Box::new(move |delivery: &Delivery<'_>| {
            if let Err(error) = delivery.result {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.extend(delivery.tickets.iter().map(|_| {
                    format!(
                        "[{}] ERROR Error when sending message to topic {} with error: (org.apache.kafka.clients.producer.internals.ErrorLoggingCallback)\n{}",
                        log_timestamp(),
                        delivery.topic,
                        error.to_exception()
                    )
                }));
            }
        });
        let producer = Producer::new(cluster, config, on_delivery)?;
        Ok(Console { producer, topic: topic.to_owned(), sync, errors })
    }

    async fn send_all(self, reader: Reader, interactive: bool, terminal: &mut Terminal) -> Outcome {
        let mut lines = read_lines(interactive);
        let mut line_number = 0;
        let mut queue = None;
        let mut outcome = Ok(());
        prompt(interactive, terminal);
        while let Some(line) = lines.recv().await {
            line_number += 1;
            outcome = match reader.record(&line, line_number) {
                Ok(record) => self.send(&record, &mut queue).await,
                Err(failure) => Err(failure),
            };
            self.report(terminal);
            if outcome.is_err() {
                break;
            }
            prompt(interactive, terminal);
        }
        self.producer.flush().await;
        self.report(terminal);
        self.producer.close().await;
        outcome.map(|()| 0)
    }

    async fn send(&self, record: &Record<'_>, queue: &mut Option<Arc<TopicQueue>>) -> Result<(), Failure> {
        let topic = match queue {
            Some(topic) => topic,
            None => match self.producer.topic(&self.topic).await {
                Ok(topic) => queue.insert(topic),
                Err(error) => return self.refuse(error),
            },
        };
        let Record { key, value, headers } = record;
        let outgoing =
            Outgoing { partition: None, timestamp: now_ms(), key: key.as_deref(), value: value.as_deref(), headers };
        if let Err(error) = self.producer.append(topic, &outgoing, 0).await {
            return self.refuse(error);
        }
        if self.sync {
            self.producer.flush().await;
        }
        Ok(())
    }

    /// A record that cannot be sent is logged; the next line has its own chance.
    fn refuse(&self, error: milena_client::Error) -> Result<(), Failure> {
        let line = format!(
            "[{}] ERROR Error when sending message to topic {} with error: (org.apache.kafka.clients.producer.internals.ErrorLoggingCallback)\n{}",
            log_timestamp(),
            self.topic,
            error.to_exception()
        );
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }

    fn report(&self, terminal: &mut Terminal) {
        let errors = std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner));
        for error in errors {
            terminal.error_line(&error);
        }
    }
}

fn prompt(interactive: bool, terminal: &mut Terminal) {
    if interactive {
        terminal.print(">");
        terminal.flush();
    }
}

/// Standard input on a thread of its own: reading it blocks. A terminal is read line by line, a
/// pipe ahead of sending.
fn read_lines(interactive: bool) -> tokio::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(if interactive { 1 } else { LINES_AHEAD });
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.last() == Some(&b'\n') {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            }
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn reader(options: &Parsed, topic: &str) -> Result<Reader, Failure> {
    let properties = ClientProperties::read(options, &["reader-config"], &["property", "reader-property"])?;
    Reader::new(options.value("line-reader"), &properties, topic)
}

fn configs(options: &Parsed) -> Result<(milena_client::ClientConfig, ProducerConfig), Failure> {
    let mut properties = ClientProperties::read(
        options,
        &["producer.config", "command-config"],
        &["producer-property", "command-property"],
    )?;
    let from_options = [
        ("batch-size", "batch.size"),
        ("max-partition-memory-bytes", "batch.size"),
        ("message-send-max-retries", "retries"),
        ("retry-backoff-ms", "retry.backoff.ms"),
        ("timeout", "linger.ms"),
        ("request-required-acks", "acks"),
        ("request-timeout-ms", "request.timeout.ms"),
        ("max-block-ms", "max.block.ms"),
        ("max-memory-bytes", "buffer.memory"),
    ];
    for (option, key) in from_options {
        if let Some(value) = options.value(option) {
            properties.set(key, value);
        }
    }
    if options.has("compression-codec") {
        properties.set("compression.type", options.value("compression-codec").unwrap_or("gzip"));
    }
    // A person or a pipe feeds this tool: full batches leave at once, the rest soon.
    for (key, value) in
        [("linger.ms", "1000"), ("retries", "3"), ("request.timeout.ms", "1500"), ("client.id", "console-producer")]
    {
        properties.set_default(key, value);
    }
    let servers = options.value("bootstrap-server").or_else(|| options.value("broker-list"));
    if servers.is_none() && !options.has("zookeeper") && properties.get("bootstrap.servers").is_none() {
        options.required("bootstrap-server")?;
    }
    let mut producer = ProducerConfig::default();
    for (key, value) in properties.iter() {
        producer.set(key, value)?;
    }
    Ok((properties.client_config(servers, "console-producer")?, producer))
}
