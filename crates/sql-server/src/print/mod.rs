//! `PRINT topic`: the records of a topic as text, whatever they are.

mod guess;
mod text;

use std::sync::Arc;
use std::time::Duration;

use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::consumer::{Polled, Start};
use milena_client::{Consumer, ConsumerConfig, TopicPartition};
use milena_http::ChunkSender;
use milena_sql::ast::Print;
use milena_sql::formats::Side;
use milena_sql::runtime::RawRecord;

use crate::error::{Failure, Result};
use crate::kafka::raw::raw_records;
use crate::kafka::topics;
use crate::state::Server;
use guess::Guess;

/// How long one look at the topic waits for records.
const POLL: Duration = Duration::from_millis(200);

/// A topic that is being printed.
pub struct Printer {
    consumer: Consumer,
    key: Guess,
    value: Guess,
    /// The formats as they were told last.
    told: Option<(String, String)>,
    interval: u64,
    /// Records since the start.
    seen: u64,
    left: Option<u64>,
    /// Whether the formats are told between the records.
    tells_formats: bool,
}

impl Printer {
    /// Prepares what a statement asks for.
    ///
    /// # Errors
    /// A topic that is not there.
    pub async fn start(server: &Arc<Server>, print: &Print) -> Result<Printer> {
        let kafka = server.ready().await?.kafka;
        let topic = &print.topic;
        let Some(shape) = topics::shape(&kafka.cluster, topic).await? else {
            return Err(missing(server, topic).await?);
        };
        let config = ConsumerConfig {
            group_id: None,
            enable_auto_commit: false,
            isolation_level: IsolationLevel::ReadCommitted,
            allow_auto_create_topics: false,
            ..server.config.consumer.clone()
        };
        let mut consumer = Consumer::new(kafka.cluster.clone(), config);
        let spec = if print.from_beginning { OffsetSpec::EARLIEST } else { OffsetSpec::LATEST };
        let partitions = (0..shape.partitions).map(|partition| TopicPartition::new(topic.clone(), partition));
        consumer.assign(partitions.map(|tp| (tp, Some(Start::Find(spec)))).collect());
        Ok(Printer {
            consumer,
            key: Guess::new(topic, Side::Key, server.registry.clone()),
            value: Guess::new(topic, Side::Value, server.registry.clone()),
            told: None,
            interval: print.interval.map_or(1, |interval| u64::from(interval.max(1).unsigned_abs())),
            seen: 0,
            left: print.limit.map(|limit| u64::from(limit.max(0).unsigned_abs())),
            tells_formats: true,
        })
    }

    /// The same with lines for records only.
    #[must_use]
    pub fn without_formats(self) -> Printer {
        Printer { tells_formats: false, ..self }
    }

    /// Prints until the limit, or until the client is gone.
    pub async fn run(mut self, mut client: ChunkSender) {
        while !self.is_done() {
            let polled = tokio::select! {
                polled = self.poll(POLL) => polled,
                () = client.closed() => return,
            };
            let printed = match polled {
                Ok(records) => self.print(records).await,
                Err(failure) => Err(failure),
            };
            match printed {
                Ok((printer, text)) => {
                    self = printer;
                    if !text.is_empty() && !client.send(text.into()).await {
                        return;
                    }
                }
                Err(failure) => {
                    client.send(format!("{failure}\n").into()).await;
                    return;
                }
            }
        }
    }

    /// Whether there are as many records as were wanted.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Returns when there may be records, sometimes without. May be dropped at any time.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn news(&mut self) -> Result<()> {
        Ok(self.consumer.news(POLL).await?)
    }

    /// The next records, if there are some within `wait`. Nothing is read any more when this is dropped on its way.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<RawRecord>> {
        let mut records = Vec::new();
        if let Polled::Records(fetched) = self.consumer.poll(wait).await? {
            records = raw_records(&fetched, i64::MAX)?;
        }
        Ok(records)
    }

    /// The lines of some records.
    ///
    /// # Errors
    /// A task that cannot be run.
    pub async fn print(mut self, records: Vec<RawRecord>) -> Result<(Printer, String)> {
        let printing = tokio::task::spawn_blocking(move || {
            let text = self.lines(&records);
            (self, text)
        });
        printing.await.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))
    }

    /// The lines of some records: all are looked at before the first is shown. May block on the registry.
    fn lines(&mut self, records: &[RawRecord]) -> String {
        for record in records {
            self.key.narrow(record.key.as_deref());
            self.value.narrow(record.value.as_deref());
        }
        let mut text = String::new();
        for record in records {
            let is_wanted = self.seen.is_multiple_of(self.interval);
            self.seen += 1;
            if !is_wanted || self.left == Some(0) {
                continue;
            }
            self.left = self.left.map(|left| left - 1);
            if self.tells_formats {
                self.tell_formats(&mut text);
            }
            text.push_str(&format!(
                "rowtime: {}, key: {}, value: {}, partition: {}\n",
                text::time(record.timestamp),
                self.key.show(record.key.as_deref()),
                self.value.show(record.value.as_deref()),
                record.partition,
            ));
        }
        text
    }

    /// Lines about the formats, unless they are still as they were told.
    fn tell_formats(&mut self, text: &mut String) {
        let formats = (self.key.formats(), self.value.formats());
        if self.told.as_ref().is_none_or(|told| told.0 != formats.0) {
            text.push_str(&format!("Key format: {}\n", formats.0));
        }
        if self.told.as_ref().is_none_or(|told| told.1 != formats.1) {
            text.push_str(&format!("Value format: {}\n", formats.1));
        }
        self.told = Some(formats);
    }
}

/// Words about a topic that is not there, with those that differ from it in case only.
async fn missing(server: &Server, topic: &str) -> Result<Failure> {
    let known = server.cluster().await?.list_topics().await?;
    let mut message = format!(
        "Could not find topic '{topic}', or the KSQL user does not have permissions to list the topic. Topic names are case-sensitive."
    );
    let similar: Vec<String> = known
        .into_iter()
        .filter(|known| known.name.eq_ignore_ascii_case(topic))
        .map(|known| format!("\tprint {};", known.name))
        .collect();
    if !similar.is_empty() {
        message.push_str(&format!("\nDid you mean:\n{}", similar.join("\n")));
    }
    Ok(Failure::request(message))
}
