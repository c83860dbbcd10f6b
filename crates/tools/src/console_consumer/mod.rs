//! `kafka-console-consumer`: prints the records of topics.

mod deserializer;
pub(crate) mod formatter;
mod internal_topics;
mod schema_formatter;

use std::time::{Duration, Instant};

use milena_client::admin::OffsetSpec;
use milena_client::consumer::{Fetched, Polled, Start};
use milena_client::{Cluster, Consumer, ConsumerConfig, TopicPartition};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session::{self, ClientProperties, split_property};
use crate::terminal::Terminal;
use crate::{Outcome, java_format};
use formatter::Formatter;

const SYNTAX: Syntax = Syntax {
    purpose: "Reads records of topics and prints them to standard output.",
    options: &[
        Opt::one("topic", "topic", "The topic to read."),
        Opt::one("include", "regex", "Regular expression of topics to read."),
        Opt::one("whitelist", "regex", "").replaced_by("include"),
        Opt::one("partition", "number", "Read only this partition; needs --topic."),
        Opt::one("offset", "offset", "Where to start: a number, earliest or latest; needs --partition."),
        Opt::one("group", "group id", "Read as a member of this group; a new one when not given."),
        Opt::flag("from-beginning", "Start at the first record when the group has no committed offset."),
        Opt::one("max-messages", "count", "Stop after so many records."),
        Opt::one("timeout-ms", "ms", "Stop when no record came for so long."),
        Opt::one("isolation-level", "level", "read_committed or read_uncommitted."),
        Opt::flag("skip-message-on-error", "Go on after a record that cannot be printed."),
        Opt::flag("enable-systest-events", "Log the end of the consumer."),
        Opt::one("key-deserializer", "class", "How keys become text."),
        Opt::one("value-deserializer", "class", "How values become text."),
        Opt::one(
            "formatter",
            "class",
            "How records are printed: the default, one for internal topics, or one of Confluent's for records with schemas.",
        ),
        Opt::many(
            "formatter-property",
            "key=value",
            "Property of the formatter: print.timestamp, print.partition, print.offset, print.delivery, print.epoch, print.headers, print.key, print.value, key.separator, line.separator, headers.separator, null.literal, {key,value,headers}.deserializer; with schemas also print.schema.ids, schema.id.separator, schema.registry.url, basic.auth.*.",
        ),
        Opt::one("formatter-config", "file", "Properties file of the formatter."),
        Opt::many("command-property", "key=value", "Property of the consumer."),
        Opt::many("property", "key=value", "").replaced_by("formatter-property"),
        Opt::many("consumer-property", "key=value", "").replaced_by("command-property"),
        Opt::one("consumer.config", "file", "").replaced_by("command-config"),
        Opt::flag("new-consumer", "Accepted for old scripts."),
    ],
};

/// How long a poll may take before signals and the reader of the output are looked at.
const POLL: Duration = Duration::from_millis(200);

/// What the command line asks for.
struct Request {
    consumer: ConsumerConfig,
    topics: Topics,
    partition: Option<(i32, Start)>,
    max_messages: Option<u64>,
    timeout: Option<Duration>,
    skip_errors: bool,
}

enum Topics {
    Named(String),
    Matching(regex::Regex),
}

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let properties = ClientProperties::read(
        &options,
        &["consumer.config", "command-config"],
        &["consumer-property", "command-property"],
    )?;
    let request = request(&options, &properties)?;
    let formatter = formatter(&options)?;
    let servers = options.value("bootstrap-server");
    if servers.is_none() && !options.has("zookeeper") && properties.get("bootstrap.servers").is_none() {
        options.required("bootstrap-server")?;
    }
    let client = properties.client_config(servers, "console-consumer")?;
    session::runtime()?.block_on(async {
        let cluster = Cluster::connect(client).await?;
        let consumer = start(cluster, &request)?;
        let mut session = Session { printed: 0, formatter, request };
        let code = session.consume(consumer, terminal).await?;
        terminal.error_line(&format!("Processed a total of {} messages", session.printed));
        if options.has("enable-systest-events") {
            terminal.line("shutdown_complete");
        }
        Ok(code)
    })
}

fn request(options: &Parsed, properties: &ClientProperties) -> Result<Request, Failure> {
    let include = options.value("include").or_else(|| options.value("whitelist"));
    let topics = match (options.value("topic"), include) {
        (Some(topic), None) => Topics::Named(topic.to_owned()),
        (None, Some(pattern)) => Topics::Matching(java_format::topic_pattern(pattern)?),
        _ => return Err(options.usage("Exactly one of --include/--topic is required.")),
    };
    let mut consumer = ConsumerConfig::default();
    for (key, value) in properties.iter() {
        consumer.set(key, value)?;
    }
    let partition = partition(options)?;
    set_group(&mut consumer, options)?;
    set_reset(&mut consumer, options, properties)?;
    if let Some(level) = options.value("isolation-level") {
        consumer.set("isolation.level", level)?;
    }
    let max_messages = options.number::<i64>("max-messages")?.and_then(|count| u64::try_from(count).ok());
    let timeout = options.number::<i64>("timeout-ms")?.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    Ok(Request {
        consumer,
        topics,
        partition,
        max_messages,
        timeout,
        skip_errors: options.has("skip-message-on-error"),
    })
}

/// `--partition` with the place to start.
fn partition(options: &Parsed) -> Result<Option<(i32, Start)>, Failure> {
    let Some(partition) = options.number("partition")? else {
        return match options.has("offset") {
            true => Err(options.usage("The partition is required when offset is specified.")),
            false => Ok(None),
        };
    };
    if !options.has("topic") {
        return Err(options.usage("The topic is required when partition is specified."));
    }
    if options.has("from-beginning") && options.has("offset") {
        return Err(options.usage("Options from-beginning and offset cannot be specified together."));
    }
    let start = match options.value("offset") {
        None if options.has("from-beginning") => Start::Find(OffsetSpec::EARLIEST),
        None => Start::Find(OffsetSpec::LATEST),
        Some(text) if text.eq_ignore_ascii_case("earliest") => Start::Find(OffsetSpec::EARLIEST),
        Some(text) if text.eq_ignore_ascii_case("latest") => Start::Find(OffsetSpec::LATEST),
        Some(text) => match text.parse() {
            Ok(offset) if offset >= 0 => Start::Offset(offset),
            _ => {
                return Err(options.usage(format!(
                    "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
                )));
            }
        },
    };
    Ok(Some((partition, start)))
}

/// Without `--group` a group of its own, whose offsets are not committed.
fn set_group(consumer: &mut ConsumerConfig, options: &Parsed) -> Result<(), Failure> {
    if let Some(group) = options.value("group") {
        if consumer.group_id.as_deref().is_some_and(|configured| configured != group) {
            return Err(Failure::illegal_argument(
                "The group ids provided in different places (directly using '--group', via '--command-property', or via '--command-config') do not match.",
            ));
        }
        if options.has("partition") {
            return Err(options.usage("Options group and partition cannot be specified together."));
        }
        consumer.group_id = Some(group.to_owned());
    }
    if options.has("partition") {
        consumer.group_id = None;
        consumer.enable_auto_commit = false;
    } else if consumer.group_id.is_none() {
        consumer.group_id = Some(format!("console-consumer-{}", rand::random_range(1..100_000)));
        consumer.enable_auto_commit = false;
    }
    Ok(())
}

fn set_reset(consumer: &mut ConsumerConfig, options: &Parsed, properties: &ClientProperties) -> Result<(), Failure> {
    if !options.has("from-beginning") {
        return Ok(());
    }
    if let Some(reset) = properties.get("auto.offset.reset").filter(|reset| *reset != "earliest") {
        return Err(Failure::illegal_argument(format!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option"
        )));
    }
    Ok(consumer.set("auto.offset.reset", "earliest").map(|_| ())?)
}

/// The formatter that the options name.
pub(crate) fn formatter(options: &Parsed) -> Result<Formatter, Failure> {
    let mut properties = ClientProperties::default();
    if let Some(path) = options.value("formatter-config") {
        properties.load(path)?;
    }
    for word in ["property", "formatter-property"].iter().flat_map(|name| options.values(name)) {
        let (key, value) = split_property(word)?;
        properties.set(key, value);
    }
    for (option, key) in [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")] {
        if let Some(class) = options.value(option) {
            properties.set(key, class);
        }
    }
    Formatter::new(options.value("formatter"), &properties)
}

fn start(cluster: Cluster, request: &Request) -> Result<Consumer, Failure> {
    let mut consumer = Consumer::new(cluster, request.consumer.clone());
    match (&request.topics, request.partition) {
        (Topics::Named(topic), Some((partition, start))) => {
            consumer.assign(vec![(TopicPartition::new(topic, partition), Some(start))]);
        }
        (Topics::Named(topic), None) => consumer.subscribe(vec![topic.clone()])?,
        (Topics::Matching(pattern), _) => {
            let (pattern, text) = (pattern.clone(), pattern.as_str());
            consumer.subscribe_matching(text, Box::new(move |name| pattern.is_match(name)))?;
        }
    }
    Ok(consumer)
}

/// One run of the tool.
struct Session {
    printed: u64,
    formatter: Formatter,
    request: Request,
}

impl Session {
    async fn consume(&mut self, mut consumer: Consumer, terminal: &mut Terminal) -> Outcome {
        let mut interrupted = std::pin::pin!(interrupt());
        let mut last_record = Instant::now();
        let code = loop {
            if self.request.max_messages.is_some_and(|max| self.printed >= max) || terminal.is_closed() {
                break 0;
            }
            let polled = tokio::select! {
                code = &mut interrupted => break code,
                polled = consumer.poll(POLL) => polled?,
            };
            match polled {
                Polled::Records(fetched) => {
                    let before = self.printed;
                    let consumed = self.print(&fetched, terminal)?;
                    consumer.set_consumed(&fetched.tp, consumed);
                    if self.printed > before {
                        last_record = Instant::now();
                    }
                    terminal.flush();
                }
                Polled::Assigned(_) | Polled::Revoking(_) | Polled::Revoked(_) => {}
                Polled::Idle => terminal.flush(),
            }
            if self.request.timeout.is_some_and(|timeout| last_record.elapsed() >= timeout) {
                terminal.error_line(&format!(
                    "[{}] ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleConsumer)\norg.apache.kafka.common.errors.TimeoutException",
                    java_format::log_timestamp()
                ));
                break 0;
            }
        };
        terminal.flush();
        if let Err(error) = consumer.close().await {
            tracing::debug!(%error, "closing the consumer");
        }
        Ok(code)
    }

    /// Prints records until the end or the maximum; the next offset to read.
    fn print(&mut self, fetched: &Fetched, terminal: &mut Terminal) -> Result<i64, Failure> {
        let mut consumed = fetched.next_offset();
        let mut text = Vec::with_capacity(fetched.size_in_bytes() + 64);
        fetched.for_each::<Failure>(|read| {
            if self.request.max_messages.is_some_and(|max| self.printed >= max) {
                consumed = read.record.offset;
                return Ok(false);
            }
            let length = text.len();
            match self.formatter.write(&fetched.tp, &read, &mut text) {
                Ok(()) => self.printed += 1,
                Err(failure) if self.request.skip_errors => {
                    text.truncate(length);
                    self.printed += 1;
                    tracing::error!(
                        "record {} of {} cannot be printed: {}",
                        read.record.offset,
                        fetched.tp,
                        failure.message()
                    );
                }
                Err(failure) => return Err(failure),
            }
            Ok(true)
        })?;
        terminal.write(&text);
        Ok(consumed)
    }
}

/// Ends with the exit code of the signal that came.
pub(crate) async fn interrupt() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => 130,
        () = terminated => 143,
    }
}
