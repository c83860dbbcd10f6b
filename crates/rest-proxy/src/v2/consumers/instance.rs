//! One instance: a consumer, what it has been told, and what it has fetched.
//!
//! Between calls it attends to its group, so that the other members need not wait for the next call, and it commits when
//! automatic commits are due. It connects with the first need for Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_client::admin::{Committed, IsolationLevel, OffsetSpec};
use milena_client::consumer::{Polled, Start};
use milena_client::{Cluster, Consumer, TopicPartition};
use milena_schema::client::RegistryClient;
use parking_lot::Mutex;
use regex::Regex;

use super::mailbox::{Closing, Command, Mailbox, Next, Reply};
use super::settings::Settings;
use super::stash::{Stash, TakenRecord};
use super::{EXCLUSIVE, Entry, LEAVE_WAIT, Target, Wants};
use crate::error::{RestError, Result as RestResult};

/// How long a call about positions waits for the group's assignment.
const ASSIGNMENT_WAIT: Duration = Duration::from_secs(8);
/// Pause before Kafka is tried again in the background.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What other calls may see at any time.
#[derive(Debug, Default)]
pub struct Shown {
    /// The topics that are subscribed to.
    pub topics: Vec<String>,
    /// The partitions that are read.
    pub partitions: Vec<TopicPartition>,
}

/// See the module's words.
pub struct Instance {
    pub(super) settings: Settings,
    pub(super) registry: Option<RegistryClient>,
    shown: Arc<Mutex<Shown>>,
    pub(super) wants: Option<Wants>,
    /// The connections are its own: a group that makes its members wait holds up the connection.
    pub(super) kafka: Option<(Cluster, Consumer)>,
    /// Whether the group has told what it may read.
    pub(super) is_settled: bool,
    pub(super) stash: Stash,
    /// The undecodable record that was complained about last.
    pub(super) told: Option<TakenRecord>,
    /// Not before this does it attend to its group by itself; `None`: not before the next call.
    attends: Option<Instant>,
}

impl Instance {
    /// An instance that has not connected yet.
    pub fn new(settings: Settings, registry: Option<RegistryClient>, shown: Arc<Mutex<Shown>>) -> Instance {
        Instance {
            settings,
            registry,
            shown,
            wants: None,
            kafka: None,
            is_settled: false,
            stash: Stash::default(),
            told: None,
            attends: None,
        }
    }

    /// Lives until it is told to end or nobody asks for it any more, and leaves its group then.
    pub async fn live(mut self, mut mailbox: Mailbox, entry: &Entry) {
        while let Ok(next) = mailbox.next(self.wants_attention()).await {
            let done = match next {
                Next::Command(command) => {
                    self.attends = Some(Instant::now());
                    let done = self.perform(command, &mut mailbox).await;
                    mailbox.touch();
                    done
                }
                Next::Attend => self.attend(&mut mailbox).await,
            };
            self.show();
            if done.is_err() {
                break;
            }
        }
        entry.remove();
        drop(mailbox);
        if let Some((_, consumer)) = self.kafka.take() {
            match tokio::time::timeout(LEAVE_WAIT, consumer.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, instance = self.settings.name, "leaving the group"),
                Err(_) => tracing::debug!(instance = self.settings.name, "leaving the group takes too long"),
            }
        }
    }

    async fn perform(&mut self, command: Command, mailbox: &mut Mailbox) -> Result<(), Closing> {
        match command {
            Command::Touch(reply) => {
                self.show();
                drop(reply.send(Ok(())));
            }
            Command::Want(wants, reply) => {
                let outcome = self.want(wants);
                self.show();
                drop(reply.send(outcome));
            }
            Command::Unsubscribe(reply) => {
                let outcome = self.unsubscribe(mailbox).await?;
                self.show();
                drop(reply.send(outcome));
            }
            Command::Seek(targets, reply) => {
                let outcome = self.seek(targets, mailbox).await?;
                drop(reply.send(outcome));
            }
            Command::Read(limits, reply) => return self.read(limits, reply, mailbox).await,
            Command::Commit(offsets, reply) => return self.commit(offsets, reply, mailbox).await,
            Command::Committed(partitions, reply) => {
                let outcome = self.committed(&partitions, mailbox).await?;
                drop(reply.send(outcome));
            }
        }
        Ok(())
    }

    /// Connects, and subscribes or assigns as wanted, unless that was done before.
    ///
    /// # Errors
    /// [`Closing`]; inside, why Kafka cannot be reached.
    pub(super) async fn connect(&mut self, mailbox: &mut Mailbox) -> Result<RestResult<()>, Closing> {
        if self.kafka.is_some() {
            return Ok(Ok(()));
        }
        let cluster = match mailbox.finish(Cluster::connect(self.settings.client.clone())).await? {
            Ok(cluster) => cluster,
            Err(error) => return Ok(Err(error.into())),
        };
        let consumer = Consumer::new(cluster.clone(), self.settings.consumer.clone());
        self.kafka = Some((cluster, consumer));
        Ok(self.apply())
    }

    /// Tells the consumer what is wanted.
    fn apply(&mut self) -> RestResult<()> {
        let Some((_, consumer)) = self.kafka.as_mut() else { return Ok(()) };
        match &self.wants {
            None => {}
            Some(Wants::Topics(topics)) => consumer.subscribe(topics.clone())?,
            Some(Wants::Pattern(pattern)) => {
                let regex = compiled(pattern)?;
                let filter = move |topic: &str| !INTERNAL_TOPICS.contains(&topic) && regex.is_match(topic);
                consumer.subscribe_matching(pattern, Box::new(filter))?;
            }
            Some(Wants::Partitions(partitions)) => {
                // What it reads already it goes on reading.
                let start = |tp: &TopicPartition| (tp.clone(), consumer.position(tp).map(Start::Offset));
                let partitions = partitions.iter().map(start).collect();
                consumer.assign(partitions);
            }
        }
        Ok(())
    }

    fn want(&mut self, wants: Wants) -> RestResult<()> {
        let kinds_differ =
            self.wants.as_ref().is_some_and(|before| std::mem::discriminant(before) != std::mem::discriminant(&wants));
        if kinds_differ {
            return Err(RestError::IllegalState(EXCLUSIVE.to_owned()));
        }
        if let Wants::Pattern(pattern) = &wants {
            compiled(pattern)?;
        }
        if self.wants.as_ref() == Some(&wants) {
            return Ok(());
        }
        self.is_settled = matches!(wants, Wants::Partitions(_));
        if self.is_settled {
            self.stash.clear();
        }
        self.wants = Some(wants);
        self.apply()
    }

    async fn unsubscribe(&mut self, mailbox: &mut Mailbox) -> Result<RestResult<()>, Closing> {
        (self.wants, self.is_settled, self.told) = (None, false, None);
        self.stash.clear();
        let Some((_, consumer)) = self.kafka.as_mut() else { return Ok(Ok(())) };
        let left = mailbox.finish(tokio::time::timeout(LEAVE_WAIT, consumer.unsubscribe())).await?;
        if let Ok(Err(error)) = left {
            tracing::debug!(%error, instance = self.settings.name, "leaving the group");
        }
        Ok(Ok(()))
    }

    async fn seek(
        &mut self,
        targets: Vec<(TopicPartition, Target)>,
        mailbox: &mut Mailbox,
    ) -> Result<RestResult<()>, Closing> {
        if let Err(error) = self.settle(mailbox).await? {
            return Ok(Err(error));
        }
        let Some((cluster, consumer)) = self.kafka.as_mut() else { return Ok(Ok(())) };
        let assignment = consumer.assignment();
        if let Some((tp, _)) = targets.iter().find(|(tp, _)| !assignment.contains(tp)) {
            return Ok(Err(RestError::IllegalState(format!("No current assignment for partition {tp}"))));
        }
        let isolation = self.settings.consumer.isolation_level;
        let found = match mailbox.finish(offsets_of(cluster, &targets, isolation)).await? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        for (tp, offset) in &found {
            consumer.seek(tp, *offset);
        }
        self.stash.forget(|tp| found.contains_key(tp));
        Ok(Ok(()))
    }

    /// Waits until the group has told what this instance may read.
    async fn settle(&mut self, mailbox: &mut Mailbox) -> Result<RestResult<()>, Closing> {
        if self.wants.is_none() {
            return Ok(Ok(()));
        }
        if let Err(error) = self.connect(mailbox).await? {
            return Ok(Err(error));
        }
        let until = Instant::now() + ASSIGNMENT_WAIT;
        while !self.is_settled && Instant::now() < until {
            let Some((_, consumer)) = self.kafka.as_mut() else { break };
            let attended = async {
                let attended = consumer.attend().await;
                if matches!(&attended, Ok(events) if events.is_empty()) {
                    let _ = tokio::time::timeout(Duration::from_millis(100), consumer.wants_attention()).await;
                }
                attended
            };
            match mailbox.finish(attended).await? {
                Ok(events) => events.into_iter().for_each(|event| self.note(event)),
                Err(error) => return Ok(Err(error.into())),
            }
        }
        Ok(Ok(()))
    }

    async fn commit(
        &mut self,
        offsets: Option<BTreeMap<TopicPartition, Committed>>,
        reply: Reply<()>,
        mailbox: &mut Mailbox,
    ) -> Result<(), Closing> {
        let connected = self.connect(mailbox).await?;
        let outcome = match (connected, self.kafka.as_mut()) {
            (Err(error), _) => Err(error),
            (Ok(()), None) => Ok(()),
            (Ok(()), Some((_, consumer))) => {
                let committing = async {
                    match &offsets {
                        Some(offsets) => consumer.commit_offsets(offsets).await,
                        None => consumer.commit().await.map(|_| ()),
                    }
                };
                mailbox.finish(committing).await?.map_err(RestError::from)
            }
        };
        drop(reply.send(outcome));
        Ok(())
    }

    async fn committed(
        &mut self,
        partitions: &[TopicPartition],
        mailbox: &mut Mailbox,
    ) -> Result<RestResult<BTreeMap<TopicPartition, Committed>>, Closing> {
        if let Err(error) = self.connect(mailbox).await? {
            return Ok(Err(error));
        }
        let Some((cluster, _)) = &self.kafka else { return Ok(Ok(BTreeMap::new())) };
        let committed = mailbox.finish(cluster.committed_offsets(&self.settings.group, Some(partitions))).await?;
        Ok(committed.map_err(RestError::from))
    }

    /// Returns when there is something to do for the group.
    async fn wants_attention(&mut self) {
        let (Some(at), Some(_)) = (self.attends, &self.wants) else { return std::future::pending().await };
        tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
        if let Some((_, consumer)) = self.kafka.as_mut() {
            consumer.wants_attention().await;
        }
    }

    async fn attend(&mut self, mailbox: &mut Mailbox) -> Result<(), Closing> {
        if let Err(error) = self.connect(mailbox).await? {
            tracing::debug!(%error, instance = self.settings.name, "Kafka cannot be reached");
            self.attends = Some(Instant::now() + RETRY_PAUSE);
            return Ok(());
        }
        let Some((_, consumer)) = self.kafka.as_mut() else { return Ok(()) };
        match mailbox.finish(consumer.attend()).await? {
            Ok(events) => events.into_iter().for_each(|event| self.note(event)),
            Err(error) => {
                // The next call meets the same error and answers it.
                tracing::debug!(%error, instance = self.settings.name, "taking part in the group");
                self.attends = None;
            }
        }
        Ok(())
    }

    /// Takes over what the consumer tells.
    pub(super) fn note(&mut self, polled: Polled) {
        match polled {
            Polled::Records(fetched) => {
                let tp = fetched.tp.clone();
                let undelivered = self.stash.add(fetched);
                if let Some((_, consumer)) = self.kafka.as_mut() {
                    consumer.set_consumed(&tp, undelivered);
                }
            }
            Polled::Assigned(_) => self.is_settled = true,
            Polled::Revoked(lost) => self.stash.forget(|tp| lost.contains(tp)),
            Polled::Revoking(_) | Polled::Idle => {}
        }
    }

    fn show(&self) {
        let consumer = self.kafka.as_ref().map(|(_, consumer)| consumer);
        let topics = match (&self.wants, consumer) {
            (Some(Wants::Topics(topics)), _) => topics.clone(),
            (Some(Wants::Pattern(_)), Some(consumer)) => consumer.subscription(),
            _ => Vec::new(),
        };
        let partitions = match (&self.wants, consumer) {
            (Some(Wants::Partitions(partitions)), _) => partitions.clone(),
            (Some(_), Some(consumer)) => consumer.assignment(),
            _ => Vec::new(),
        };
        *self.shown.lock() = Shown { topics, partitions };
    }
}

/// What patterns do not match, as with Kafka's own consumers.
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// A pattern stands for the whole name.
fn compiled(pattern: &str) -> RestResult<Regex> {
    Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| RestError::Validation(format!("topic_pattern is not a regular expression: {error}")))
}

/// The offsets that are meant; a time after the last record means the end.
async fn offsets_of(
    cluster: &Cluster,
    targets: &[(TopicPartition, Target)],
    isolation: IsolationLevel,
) -> RestResult<BTreeMap<TopicPartition, i64>> {
    let mut offsets = BTreeMap::new();
    let mut to_find = Vec::new();
    for (tp, target) in targets {
        match target {
            Target::Offset(offset) => drop(offsets.insert(tp.clone(), *offset)),
            Target::Find(spec) => to_find.push((tp.clone(), *spec)),
        }
    }
    let mut ends = Vec::new();
    for (tp, found) in cluster.list_offsets(&to_find, isolation).await? {
        match found?.offset {
            offset @ 0.. => drop(offsets.insert(tp, offset)),
            _ => ends.push((tp, OffsetSpec::LATEST)),
        }
    }
    for (tp, found) in cluster.list_offsets(&ends, isolation).await? {
        offsets.insert(tp, found?.offset.max(0));
    }
    Ok(offsets)
}
