//! The command topic: made for the first command, followed from its beginning for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::consumer::{OffsetReset, Polled, Start};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, Result, TopicPartition};
use milena_sql::runtime::RawRecord;
use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backup::{BackedUp, Backup};
use super::execute::{Effect, Executor};
use super::metastore::Damage;
use super::record::{Command, CommandId};
use crate::kafka::Kafka;
use crate::kafka::topics::{self, TopicShape};

/// How long one look at the topic waits for records.
const POLL: Duration = Duration::from_secs(1);
/// Pause before the topic is read again after an error.
const RETRY: Duration = Duration::from_millis(500);
/// How often a topic that is at rest is looked at, whether it is still the same.
const LOOK: Duration = Duration::from_secs(5);

/// The topic that tells all servers of a service what to do.
pub struct CommandLog {
    kafka: Kafka,
    topic: String,
    replicas: i16,
    /// Whether the topic is there.
    exists: watch::Sender<bool>,
}

/// Who hears of what the topic tells.
pub struct Followers {
    /// Executes it.
    pub executor: Arc<Executor>,
    /// Keeps a copy of it; `None` without `ksql.enable.metastore.backup`.
    pub backup: Option<Arc<Mutex<Backup>>>,
    /// Gets what running queries have to do.
    pub effects: mpsc::UnboundedSender<Effect>,
}

impl Followers {
    /// Whether the topic has told less than the backup knows.
    fn miss_something(&self) -> bool {
        self.backup.as_ref().is_some_and(|backup| backup.lock().knows_more())
    }

    /// One record of the topic.
    async fn hear(&self, offset: i64, key: Vec<u8>, value: Option<Vec<u8>>) -> std::result::Result<(), Damage> {
        let (executor, backup) = (self.executor.clone(), self.backup.clone());
        // The registry may be asked, which blocks; and files are written.
        let executed = tokio::task::spawn_blocking(move || {
            let is_known = |backup: &Mutex<Backup>| backup.lock().take(&key, value.as_deref().unwrap_or_default());
            if backup.as_deref().is_some_and(|backup| !is_known(backup)) {
                return Err(Damage::Lost);
            }
            executor.record(offset, &key, value.as_deref())
        });
        match executed.await {
            Ok(caused) => caused?.into_iter().for_each(|effect| drop(self.effects.send(effect))),
            Err(error) => tracing::error!(offset, "a command could not be executed: {error}"),
        }
        Ok(())
    }

    /// The service was ended.
    fn forget(&self) {
        if let Some(Err(error)) = self.backup.as_ref().map(|backup| backup.lock().start_over()) {
            tracing::error!("ksql.metastore.backup.location: {error}");
        }
    }
}

impl CommandLog {
    /// The topic `topic`, which is made for the first command: it keeps its records for ever.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn open(kafka: Kafka, topic: String, replicas: i16) -> Result<CommandLog> {
        let exists = watch::Sender::new(topics::shape(&kafka.cluster, &topic).await?.is_some());
        Ok(CommandLog { kafka, topic, replicas, exists })
    }

    /// Makes the topic unless it is known to be there.
    async fn make(&self) -> Result<()> {
        if *self.exists.borrow() {
            return Ok(());
        }
        let configs = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        let configs: BTreeMap<_, _> =
            configs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let shape = TopicShape { partitions: 1, replicas: self.replicas };
        topics::create(&self.kafka.cluster, &self.topic, shape, &configs).await?;
        self.exists.send_replace(true);
        Ok(())
    }

    /// Writes a command and returns its offset.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn append(&self, id: &CommandId, command: &Command) -> Result<i64> {
        let text = |json: std::result::Result<String, serde_json::Error>| {
            json.map(String::into_bytes).map_err(|error| Error::Records(error.to_string()))
        };
        let (key, value) = (text(serde_json::to_string(&id.to_string()))?, text(serde_json::to_string(command))?);
        self.make().await?;
        self.write(key, value).await
    }

    async fn write(&self, key: Vec<u8>, value: Vec<u8>) -> Result<i64> {
        let record = RawRecord {
            key: Some(key.into()),
            value: Some(value.into()),
            timestamp: SystemClock.now_ms(),
            headers: [].into(),
            partition: 0,
            offset: 0,
        };
        self.kafka.records.send(&self.topic, Some(0), &record).await
    }

    /// The offset that the next command will have.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn end(&self) -> Result<i64> {
        if !*self.exists.borrow() {
            return Ok(0);
        }
        end_of(&self.kafka.cluster, &self.topic).await
    }

    /// Deletes the topic, and with it all that it told.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn delete(&self) -> Result<()> {
        topics::delete(&self.kafka.cluster, &self.topic).await
    }

    /// Makes the topic again, with these commands alone.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn replace(&self, commands: &[BackedUp]) -> Result<()> {
        self.delete().await?;
        while topics::shape(&self.kafka.cluster, &self.topic).await?.is_some() {
            tokio::time::sleep(RETRY).await;
        }
        self.exists.send_replace(false);
        self.make().await?;
        for command in commands {
            self.write(command.key.clone(), command.value.clone()).await?;
        }
        Ok(())
    }

    /// Executes what is in the topic and what comes into it. Returns only when the topic is damaged or the
    /// service was ended; nothing more is executed then.
    pub async fn follow(&self, followers: &Followers) {
        let mut position = 0;
        loop {
            match self.read(followers, &mut position).await {
                Ok(None) => return followers.forget(),
                Ok(Some(damage)) => {
                    tracing::error!(topic = self.topic, position, "{}", damage.words());
                    return followers.executor.metastore.damaged(damage);
                }
                Err(error) => tracing::warn!("reading {} failed, trying again: {error}", self.topic),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Waits for a topic that was not there yet; whether one is gone of which something was read, now or before.
    async fn is_gone(&self, followers: &Followers, position: i64) -> Result<bool> {
        let mut exists = self.exists.subscribe();
        while topics::shape(&self.kafka.cluster, &self.topic).await?.is_none() {
            if position > 0 || followers.miss_something() {
                return Ok(true);
            }
            followers.executor.metastore.advance(0, true);
            // Another server of the service may make it.
            let _ = tokio::time::timeout(POLL, exists.wait_for(|exists| *exists)).await;
        }
        self.exists.send_replace(true);
        Ok(false)
    }

    /// Reads on from `position` until something fails, or the topic is found damaged.
    async fn read(&self, followers: &Followers, position: &mut i64) -> Result<Option<Damage>> {
        if self.is_gone(followers, *position).await? {
            return Ok(Some(Damage::Lost));
        }
        let config = ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            enable_auto_commit: false,
            fetch_max_wait: POLL,
            isolation_level: IsolationLevel::ReadCommitted,
            allow_auto_create_topics: false,
            ..ConsumerConfig::default()
        };
        let end_at_start = self.end().await?;
        if end_at_start < *position {
            return Ok(Some(Damage::Lost));
        }
        let mut looked = Instant::now();
        let mut consumer = Consumer::new(self.kafka.cluster.clone(), config);
        let tp = TopicPartition::new(self.topic.clone(), 0);
        let start = if *position == 0 { Start::Find(OffsetSpec::EARLIEST) } else { Start::Offset(*position) };
        consumer.assign(vec![(tp.clone(), Some(start))]);
        loop {
            if let Polled::Records(fetched) = consumer.poll(POLL).await? {
                let mut records = Vec::new();
                fetched.for_each(|read| {
                    let record = read.record;
                    let key = record.key.unwrap_or_default().to_vec();
                    records.push((record.offset, key, record.value.map(<[u8]>::to_vec)));
                    Ok::<_, Error>(true)
                })?;
                for (offset, key, value) in records {
                    if let Err(damage) = followers.hear(offset, key, value).await {
                        return Ok(Some(damage));
                    }
                    *position = offset + 1;
                }
                *position = fetched.next_offset().max(*position);
            } else {
                *position = consumer.position(&tp).unwrap_or(0).max(*position);
                if looked.elapsed() > LOOK {
                    looked = Instant::now();
                    if self.is_gone(followers, *position).await? || self.end().await? < *position {
                        return Ok(Some(Damage::Lost));
                    }
                }
            }
            let is_caught_up = *position >= end_at_start;
            if is_caught_up && followers.miss_something() {
                return Ok(Some(Damage::Lost));
            }
            followers.executor.metastore.advance(*position, is_caught_up);
            if followers.executor.metastore.is_terminated() {
                return Ok(None);
            }
        }
    }
}

async fn end_of(cluster: &Cluster, topic: &str) -> Result<i64> {
    let wanted = [(TopicPartition::new(topic.to_owned(), 0), OffsetSpec::LATEST)];
    let found = cluster.list_offsets(&wanted, IsolationLevel::ReadCommitted).await?;
    found.into_values().next().map_or(Ok(0), |end| end.map(|end| end.offset))
}
