//! Which partitions exist here, found by topic name or topic id.
//!
//! The table follows the cluster image: [`PartitionTable::sync`] opens the logs of new partitions, puts changed settings into
//! force and gives up the logs of deleted topics. It runs before the change is acknowledged to whoever asked for it, so
//! a topic can be written to as soon as its creation is answered.

use std::collections::HashMap;
use std::sync::Arc;

use milena_log::{Log, LogManager};
use milena_metadata::{ClusterImage, TopicImage};
use milena_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, RwLock};

use super::Partition;

/// The partitions of one topic. Replaced as a whole when it grows.
pub struct TopicPartitions {
    name: String,
    id: Uuid,
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
    syncing: Mutex<()>,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<String, Arc<TopicPartitions>>,
    by_id: HashMap<Uuid, Arc<TopicPartitions>>,
}

impl PartitionTable {
    /// An empty table over `logs`.
    pub(crate) fn new(logs: Arc<LogManager>) -> PartitionTable {
        PartitionTable { logs, topics: RwLock::default(), syncing: Mutex::new(()) }
    }

    /// The topic called `name`.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicPartitions>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// The topic with this id.
    pub(crate) fn topic_by_id(&self, id: &Uuid) -> Option<Arc<TopicPartitions>> {
        self.topics.read().by_id.get(id).cloned()
    }

    /// Makes the table what `image` says. Blocks on the disk for new and deleted partitions.
    pub(crate) fn sync(&self, image: &ClusterImage) {
        let _one_at_a_time = self.syncing.lock();
        self.remove_deleted(image);
        for topic in image.topics() {
            self.sync_topic(image, topic);
        }
    }

    fn remove_deleted(&self, image: &ClusterImage) {
        let deleted: Vec<Arc<TopicPartitions>> = {
            let topics = self.topics.read();
            topics.by_id.values().filter(|topic| image.topic_by_id(&topic.id).is_none()).cloned().collect()
        };
        for topic in deleted {
            {
                let mut topics = self.topics.write();
                topics.by_id.remove(&topic.id);
                topics.by_name.remove(&topic.name);
            }
            topic.partitions.iter().flatten().for_each(|partition| {
                self.delete_log(partition.log());
                partition.wake_all();
            });
        }
    }

    fn delete_log(&self, log: &Log) {
        if let Err(error) = self.logs.delete(log.topic(), log.partition()) {
            tracing::error!(topic = log.topic(), partition = log.partition(), %error, "the log could not be deleted");
        }
    }

    fn sync_topic(&self, image: &ClusterImage, topic: &TopicImage) {
        let known = self.topic_by_id(&topic.id);
        let config = image.log_config(&topic.name);
        if let Some(known) = &known {
            for partition in known.partitions.iter().flatten() {
                if *partition.log().config() != *config {
                    partition.log().update_config(config.clone());
                }
            }
            if known.partitions.len() == topic.partitions.len() {
                return;
            }
        }
        let open = |index: usize| {
            let known = known.as_ref().and_then(|known| known.partitions.get(index)).cloned().flatten();
            known.or_else(|| self.open(topic, index as i32, &config))
        };
        let opened = Arc::new(TopicPartitions {
            name: topic.name.clone(),
            id: topic.id,
            partitions: (0..topic.partitions.len()).map(open).collect(),
        });
        let mut topics = self.topics.write();
        topics.by_name.insert(topic.name.clone(), opened.clone());
        topics.by_id.insert(topic.id, opened);
    }

    fn open(&self, topic: &TopicImage, index: i32, config: &Arc<milena_log::LogConfig>) -> Option<Arc<Partition>> {
        self.give_up_predecessor(topic, index);
        match self.logs.get_or_create(&topic.name, index, topic.id, config.clone()) {
            Ok(log) => {
                let leader_epoch = topic.partitions[index as usize].leader_epoch;
                log.start_new_leader_epoch(leader_epoch);
                Some(Arc::new(Partition::new(log, leader_epoch)))
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
}
