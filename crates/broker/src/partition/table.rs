//! Which partitions exist here, found by topic name or topic id.
//!
//! The table follows the metadata: logs of new partitions are opened, changed settings put into force, logs of deleted
//! topics given up. It does so before a change is answered, so a topic can be written to as soon as its creation is
//! answered.

use std::collections::HashMap;
use std::sync::Arc;

use milena_log::{Log, LogConfig, LogManager};
use milena_metadata::{ClusterImage, MetadataChange, TopicImage};
use milena_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, RwLock};

use super::Partition;
use super::topic_config::log_config;
use crate::metrics::TopicMeters;

/// The partitions of one topic. Replaced as a whole when the topic changes.
pub struct TopicPartitions {
    image: Arc<TopicImage>,
    /// `None` where the log could not be opened.
    partitions: Vec<Option<Arc<Partition>>>,
}

impl TopicPartitions {
    /// Partition `index`.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, or KAFKA_STORAGE_ERROR when its log directory has failed.
    pub(crate) fn partition(&self, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let slot = usize::try_from(index).ok().and_then(|index| self.partitions.get(index));
        match slot {
            Some(Some(partition)) => Ok(partition.clone()),
            Some(None) => Err(ErrorCode::KafkaStorageError),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// How many partitions the topic has.
    pub(crate) fn partition_count(&self) -> i32 {
        self.partitions.len() as i32
    }
}

/// Every partition that this broker leads.
pub struct PartitionTable {
    logs: Arc<LogManager>,
    topics: RwLock<Topics>,
    /// Held while the table is brought up to date.
    changing: Mutex<()>,
    meters: Arc<TopicMeters>,
}

/// How many partitions are in which condition.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PartitionCounts {
    pub(crate) online: usize,
    pub(crate) offline: usize,
    /// Online, but `min.insync.replicas` asks for more than the one replica.
    pub(crate) under_min_isr: usize,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<String, Arc<TopicPartitions>>,
    by_id: HashMap<Uuid, Arc<TopicPartitions>>,
}

impl PartitionTable {
    /// The table of every topic in `image`. Blocks on the disk for partitions without a log.
    pub(crate) fn open(logs: Arc<LogManager>, image: &ClusterImage) -> PartitionTable {
        let meters = Arc::default();
        let table = PartitionTable { logs, topics: RwLock::default(), changing: Mutex::new(()), meters };
        image.topics().for_each(|topic| table.put(image, topic));
        table
    }

    /// The counters of every topic.
    pub(crate) fn meters(&self) -> &Arc<TopicMeters> {
        &self.meters
    }

    /// Counts the partitions by condition.
    pub(crate) fn counts(&self) -> PartitionCounts {
        let mut counts = PartitionCounts::default();
        for slot in self.topics.read().by_id.values().flat_map(|topic| &topic.partitions) {
            match slot {
                Some(partition) if partition.log().is_online() => {
                    counts.online += 1;
                    counts.under_min_isr += usize::from(partition.log().config().min_insync_replicas > 1);
                }
                _ => counts.offline += 1,
            }
        }
        counts
    }

    /// Fetches that wait for data; one that waits for several partitions counts at each of them.
    pub(crate) fn parked_fetches(&self) -> usize {
        let topics = self.topics.read();
        let partitions = topics.by_id.values().flat_map(|topic| topic.partitions.iter().flatten());
        partitions.map(|partition| partition.parked_count()).sum()
    }

    /// The topic called `name`.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicPartitions>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// The topic with this id.
    pub(crate) fn topic_by_id(&self, id: &Uuid) -> Option<Arc<TopicPartitions>> {
        self.topics.read().by_id.get(id).cloned()
    }

    /// Every partition whose log is open, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        topics.by_id.values().flat_map(|topic| topic.partitions.iter().flatten().cloned()).collect()
    }

    /// Does what a change of the metadata asks for. Blocks on the disk for new and deleted partitions.
    pub(crate) fn follow(&self, image: &ClusterImage, changes: &[MetadataChange]) {
        let _one_at_a_time = self.changing.lock();
        for change in changes {
            match change {
                MetadataChange::TopicCreated(topic)
                | MetadataChange::TopicConfigChanged(topic)
                | MetadataChange::PartitionsAdded { topic, .. } => self.put(image, topic),
                MetadataChange::TopicDeleted(topic) => self.remove(topic),
                MetadataChange::BrokerConfigChanged => image.topics().for_each(|topic| self.put(image, topic)),
                _ => {}
            }
        }
    }

    fn put(&self, image: &ClusterImage, topic: &Arc<TopicImage>) {
        let config = Arc::new(log_config(image, &topic.name));
        let known = self.topic_by_id(&topic.id);
        let old: &[Option<Arc<Partition>>] = known.as_ref().map_or(&[], |known| &known.partitions);
        for partition in old.iter().flatten() {
            partition.log().update_config(config.clone());
        }
        let partition = |index: usize| match old.get(index) {
            Some(Some(partition)) => Some(partition.clone()),
            _ => self.open_partition(topic, index, &config),
        };
        let partitions = (0..topic.partitions.len()).map(partition).collect();
        let current = Arc::new(TopicPartitions { image: topic.clone(), partitions });
        let mut topics = self.topics.write();
        topics.by_name.insert(topic.name.clone(), current.clone());
        topics.by_id.insert(topic.id, current);
    }

    fn open_partition(&self, topic: &TopicImage, index: usize, config: &Arc<LogConfig>) -> Option<Arc<Partition>> {
        let leader_epoch = topic.partitions[index].leader_epoch;
        let index = index as i32;
        self.give_up_predecessor(topic, index);
        match self.logs.get_or_create(&topic.name, index, topic.id, config.clone()) {
            Ok(log) => {
                log.start_new_leader_epoch(leader_epoch);
                Some(Arc::new(Partition::new(log, leader_epoch, self.meters.topic(&topic.name))))
            }
            Err(error) => {
                tracing::error!(topic = topic.name, partition = index, %error, "the log could not be opened");
                None
            }
        }
    }

    /// Deletes a log of the same name that belongs to a topic that is gone.
    fn give_up_predecessor(&self, topic: &TopicImage, index: i32) {
        if let Some(log) = self.logs.get(&topic.name, index)
            && ![topic.id, Uuid::ZERO].contains(&log.topic_id())
        {
            self.delete_log(&log);
        }
    }

    fn remove(&self, topic: &TopicImage) {
        let removed = {
            let mut topics = self.topics.write();
            let removed = topics.by_id.remove(&topic.id);
            if topics.by_name.get(&topic.name).is_some_and(|current| current.image.id == topic.id) {
                topics.by_name.remove(&topic.name);
            }
            removed
        };
        self.meters.topic_deleted(&topic.name);
        for partition in removed.iter().flat_map(|topic| topic.partitions.iter().flatten()) {
            self.delete_log(partition.log());
            partition.wake_all();
        }
    }

    fn delete_log(&self, log: &Log) {
        if let Err(error) = self.logs.delete(log.topic(), log.partition()) {
            tracing::error!(topic = log.topic(), partition = log.partition(), %error, "the log could not be deleted");
        }
    }
}
