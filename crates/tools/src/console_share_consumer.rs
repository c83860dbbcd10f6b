//! `kafka-console-share-consumer`: prints the records that a share group hands to this member.

use std::time::{Duration, Instant};

use milena_client::share_consumer::{AcknowledgeType, ShareRecords};
use milena_client::{Cluster, ShareConsumer, ShareConsumerConfig};

use crate::console_consumer::formatter::Formatter;
use crate::console_consumer::{formatter, interrupt};
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session::{self, ClientProperties};
use crate::terminal::Terminal;
use crate::{Outcome, java_format};

const SYNTAX: Syntax = Syntax {
    purpose: "Reads records of a topic as a member of a share group and prints them to standard output.",
    options: &[
        Opt::one("topic", "topic", "The topic to read."),
        Opt::one("group", "group id", "The share group; console-share-consumer when not given."),
        Opt::one("max-messages", "count", "Stop after so many records."),
        Opt::one("timeout-ms", "ms", "Stop when no record came for so long."),
        Opt::flag("reject", "Reject records instead of accepting them: nobody gets them again."),
        Opt::flag("release", "Release records instead of accepting them: they are handed out again."),
        Opt::flag("reject-message-on-error", "Reject a record that cannot be printed instead of stopping."),
        Opt::flag("enable-systest-events", "Log the end of the consumer."),
        Opt::one("key-deserializer", "class", "How keys become text."),
        Opt::one("value-deserializer", "class", "How values become text."),
        Opt::one("formatter", "class", "How records are printed: the default, or one for internal topics."),
        Opt::many(
            "formatter-property",
            "key=value",
            "Property of the formatter: print.timestamp, print.partition, print.offset, print.delivery, print.epoch, print.headers, print.key, print.value, key.separator, line.separator, headers.separator, null.literal, {key,value,headers}.deserializer.",
        ),
        Opt::one("formatter-config", "file", "Properties file of the formatter."),
        Opt::many("command-property", "key=value", "Property of the consumer."),
        Opt::many("property", "key=value", "").replaced_by("formatter-property"),
        Opt::many("consumer-property", "key=value", "").replaced_by("command-property"),
        Opt::one("consumer-config", "file", "").replaced_by("command-config"),
    ],
};

/// The group of a member that names none.
const DEFAULT_GROUP: &str = "console-share-consumer";

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let properties = ClientProperties::read(
        &options,
        &["consumer-config", "command-config"],
        &["consumer-property", "command-property"],
    )?;
    if options.has("reject") && options.has("release") {
        return Err(options.usage("At most one of --reject and --release may be specified."));
    }
    let topic = options.required("topic")?.to_owned();
    let mut config = config(&options, &properties)?;
    let max_messages = options.number::<i64>("max-messages")?.and_then(|count| u64::try_from(count).ok());
    if let Some(max) = max_messages {
        // What is not going to be printed is left to others from the start: giving it back counts as a delivery.
        config.record_limit = true;
        config.max_poll_records = config.max_poll_records.min(i32::try_from(max).unwrap_or(i32::MAX).max(1));
    }
    let timeout = options.number::<i64>("timeout-ms")?.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let mut session = Session {
        printed: 0,
        formatter: formatter(&options)?,
        acknowledge_as: acknowledge_type(&options),
        max_messages,
        timeout,
        reject_on_error: options.has("reject-message-on-error"),
    };
    let servers = options.value("bootstrap-server");
    if servers.is_none() && properties.get("bootstrap.servers").is_none() {
        options.required("bootstrap-server")?;
    }
    let client = properties.client_config(servers, DEFAULT_GROUP)?;
    session::runtime()?.block_on(async {
        let cluster = Cluster::connect(client).await?;
        let consumer = ShareConsumer::new(cluster, config, vec![topic]);
        let code = session.consume(consumer, terminal).await?;
        terminal.error_line(&format!("Processed a total of {} messages", session.printed));
        if options.has("enable-systest-events") {
            terminal.line("shutdown_complete");
        }
        Ok(code)
    })
}

fn config(options: &Parsed, properties: &ClientProperties) -> Result<ShareConsumerConfig, Failure> {
    let mut config = ShareConsumerConfig::new(DEFAULT_GROUP);
    for (key, value) in properties.iter() {
        config.set(key, value)?;
    }
    if let Some(group) = options.value("group") {
        if properties.get("group.id").is_some_and(|configured| configured != group) {
            return Err(Failure::illegal_argument(
                "The group ids provided in different places (directly using '--group', via '--command-property', or via '--command-config') do not match.",
            ));
        }
        group.clone_into(&mut config.group_id);
    }
    Ok(config)
}

fn acknowledge_type(options: &Parsed) -> AcknowledgeType {
    if options.has("reject") {
        AcknowledgeType::Reject
    } else if options.has("release") {
        AcknowledgeType::Release
    } else {
        AcknowledgeType::Accept
    }
}

/// One run of the tool.
struct Session {
    printed: u64,
    formatter: Formatter,
    acknowledge_as: AcknowledgeType,
    max_messages: Option<u64>,
    timeout: Option<Duration>,
    reject_on_error: bool,
}

impl Session {
    async fn consume(&mut self, mut consumer: ShareConsumer, terminal: &mut Terminal) -> Outcome {
        let mut interrupted = std::pin::pin!(interrupt());
        let mut last_record = Instant::now();
        let code = loop {
            if self.is_done() || terminal.is_closed() {
                break 0;
            }
            let polled = tokio::select! {
                code = &mut interrupted => break code,
                polled = consumer.poll() => polled?,
            };
            let before = self.printed;
            for records in &polled {
                self.print(records, &mut consumer, terminal)?;
            }
            if self.printed > before {
                last_record = Instant::now();
            }
            terminal.flush();
            if self.timeout.is_some_and(|timeout| last_record.elapsed() >= timeout) {
                terminal.error_line(&format!(
                    "[{}] ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleShareConsumer)\norg.apache.kafka.common.errors.TimeoutException: null",
                    java_format::log_timestamp()
                ));
                break 0;
            }
        };
        terminal.flush();
        if let Err(error) = consumer.close().await {
            tracing::debug!(%error, "closing the share consumer");
        }
        Ok(code)
    }

    fn is_done(&self) -> bool {
        self.max_messages.is_some_and(|max| self.printed >= max)
    }

    /// Prints records until the end or the maximum. What is not printed is not acknowledged, and goes to others when
    /// this member leaves.
    fn print(
        &mut self,
        records: &ShareRecords,
        consumer: &mut ShareConsumer,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let mut text = Vec::with_capacity(records.size_in_bytes() + 64);
        records.for_each::<Failure>(|read, delivery_count| {
            if self.is_done() {
                return Ok(false);
            }
            let length = text.len();
            let written = self.formatter.write_delivered(&records.tp, &read, Some(delivery_count), &mut text);
            self.printed += 1;
            let acknowledge_as = match written {
                Ok(()) => self.acknowledge_as,
                Err(failure) if self.reject_on_error => {
                    text.truncate(length);
                    tracing::error!("a record of {} cannot be printed: {}", records.tp, failure.message());
                    AcknowledgeType::Reject
                }
                Err(failure) => return Err(failure),
            };
            consumer.acknowledge(&records.tp, read.record.offset, acknowledge_as);
            Ok(true)
        })?;
        terminal.write(&text);
        Ok(())
    }
}
