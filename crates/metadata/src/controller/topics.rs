//! Creating, deleting and growing topics: Kafka's rules and Kafka's words.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use milena_protocol::Uuid;

use super::configs::{self, ConfigResource};
use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::image::{ClusterImage, PartitionImage, TopicImage};
use crate::store::Transaction;
use crate::topic_name;

/// Most partitions that one request may create.
const PARTITIONS_PER_REQUEST_MAX: i64 = 10_000;

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// The name.
    pub name: String,
    /// How many partitions; -1 for `num.partitions`.
    pub num_partitions: i32,
    /// Copies of each partition; -1 for `default.replication.factor`.
    pub replication_factor: i16,
    /// Partition index and brokers, instead of the two numbers.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Configuration of the topic itself.
    pub configs: Vec<(String, Option<String>)>,
}

impl Default for NewTopic {
    /// Everything left to the broker; the name is empty.
    fn default() -> NewTopic {
        NewTopic {
            name: String::new(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// Which topic is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicSelector {
    /// The topic with this name.
    Name(String),
    /// The topic with this id.
    Id(Uuid),
}

/// Partitions to add to a topic.
#[derive(Debug, Clone)]
pub struct NewPartitions {
    /// The topic.
    pub topic: String,
    /// How many partitions it is to have in the end.
    pub total_count: i32,
    /// The brokers of each new partition, instead of letting the controller choose.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl Controller {
    pub(super) fn create_topics_now(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Result<Arc<TopicImage>, ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let too_many = self.partitions_asked_for(&topics) > PARTITIONS_PER_REQUEST_MAX;
        let twice = names_given_twice(topics.iter().map(|topic| topic.name.as_str()));
        let mut forms: HashMap<String, String> =
            image.topics().map(|topic| (topic_name::collision_form(&topic.name), topic.name.clone())).collect();
        let mut transaction = Transaction::new();
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(topics.len());
        for topic in topics {
            let planned = if too_many {
                Err(ControllerError::TooManyPartitions)
            } else if twice.contains(&topic.name) {
                Err(ControllerError::InvalidRequest("Duplicate topic name.".to_owned()))
            } else {
                self.plan_topic(&image, &forms, topic)
            };
            if let Ok(topic) = &planned {
                forms.insert(topic_name::collision_form(&topic.name), topic.name.clone());
                transaction = put_topic(transaction, topic);
                image.insert_topic(topic.clone());
                changes.push(MetadataChange::TopicCreated(topic.clone()));
            }
            answers.push(planned);
        }
        if validate_only {
            return answers;
        }
        match self.apply(&mut changing, transaction, image, &changes) {
            Ok(()) => answers,
            Err(error) => answers.into_iter().map(|answer| answer.and(Err(error.clone()))).collect(),
        }
    }

    fn partitions_asked_for(&self, topics: &[NewTopic]) -> i64 {
        let count = |topic: &NewTopic| match topic.num_partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
            -1 => i64::from(self.config.num_partitions),
            count => i64::from(count.max(0)),
        };
        topics.iter().map(count).sum()
    }

    /// The topic as it would be, or the rule it breaks.
    fn plan_topic(
        &self,
        image: &ClusterImage,
        forms: &HashMap<String, String>,
        topic: NewTopic,
    ) -> Result<Arc<TopicImage>, ControllerError> {
        topic_name::validate(&topic.name)?;
        if image.topic(&topic.name).is_some() {
            return Err(ControllerError::TopicExists { name: topic.name });
        }
        if let Some(existing) = forms.get(&topic_name::collision_form(&topic.name)) {
            return Err(ControllerError::NameCollision { name: topic.name, existing: existing.clone() });
        }
        let configs = configs::of_new_topic(image, topic.configs.clone())?;
        let partitions = self.place(&topic)?;
        Ok(Arc::new(TopicImage { name: topic.name, id: fresh_id(image), partitions, configs }))
    }

    /// The partitions of a new topic.
    fn place(&self, topic: &NewTopic) -> Result<Vec<PartitionImage>, ControllerError> {
        if !topic.assignments.is_empty() {
            return self.place_as_told(topic);
        }
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            return Err(ControllerError::InvalidReplicationFactor(
                "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
            ));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            return Err(ControllerError::InvalidPartitions(
                "Number of partitions must be larger than 0, or -1 to use the default value.".to_owned(),
            ));
        }
        let count = if topic.num_partitions == -1 { self.config.num_partitions } else { topic.num_partitions };
        let factor = match topic.replication_factor {
            -1 => self.config.default_replication_factor,
            factor => factor,
        };
        self.check_replication_factor(factor)?;
        Ok(vec![led_by(vec![self.config.node_id]); count.max(0) as usize])
    }

    fn check_replication_factor(&self, factor: i16) -> Result<(), ControllerError> {
        if factor <= 1 {
            return Ok(());
        }
        Err(ControllerError::InvalidReplicationFactor(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned."
        )))
    }

    fn place_as_told(&self, topic: &NewTopic) -> Result<Vec<PartitionImage>, ControllerError> {
        let contradiction = |what: &str| {
            ControllerError::InvalidRequest(format!(
                "A manual partition assignment was specified, but {what} was not set to -1."
            ))
        };
        if topic.replication_factor != -1 {
            return Err(contradiction("replication factor"));
        }
        if topic.num_partitions != -1 {
            return Err(contradiction("numPartitions"));
        }
        let mut by_index = BTreeMap::new();
        for (index, replicas) in &topic.assignments {
            if by_index.insert(*index, replicas).is_some() {
                return Err(ControllerError::InvalidAssignment(format!(
                    "Found multiple manual partition assignments for partition {index}"
                )));
            }
        }
        if !by_index.keys().copied().eq(0..by_index.len() as i32) {
            return Err(ControllerError::InvalidAssignment(
                "partitions should be a consecutive 0-based integer sequence".to_owned(),
            ));
        }
        let factor = by_index.values().next().map_or(0, |replicas| replicas.len());
        by_index.into_values().map(|replicas| self.check_assignment(replicas, factor)).collect()
    }

    /// One partition on the brokers named, of which there must be `factor`.
    fn check_assignment(&self, replicas: &[i32], factor: usize) -> Result<PartitionImage, ControllerError> {
        if replicas.is_empty() {
            return Err(ControllerError::InvalidAssignment(
                "The manual partition assignment includes an empty replica list.".to_owned(),
            ));
        }
        for (index, broker) in replicas.iter().enumerate() {
            if *broker != self.config.node_id {
                return Err(ControllerError::InvalidAssignment(format!(
                    "The manual partition assignment includes broker {broker}, but no such broker is registered."
                )));
            }
            if replicas[..index].contains(broker) {
                return Err(ControllerError::InvalidAssignment(format!(
                    "The manual partition assignment includes the broker {broker} more than once."
                )));
            }
        }
        if replicas.len() != factor {
            return Err(ControllerError::InvalidAssignment(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {factor} replica(s).",
                replicas.len()
            )));
        }
        Ok(led_by(replicas.to_vec()))
    }

    /// Registers topics whose logs were found in a log directory, for example one that Apache Kafka wrote.
    ///
    /// Each with its name, its id and the leader epoch of every partition, which must not fall behind the epochs in the
    /// log. A topic of a known name or id is left alone. Answers with the topics that were added.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn adopt_topics(
        &self,
        found: impl IntoIterator<Item = (String, Uuid, Vec<i32>)>,
    ) -> Result<Vec<Arc<TopicImage>>, ControllerError> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let mut transaction = Transaction::new();
        let mut changes = Vec::new();
        let mut adopted = Vec::new();
        for (name, id, leader_epochs) in found {
            let known = image.topic(&name).is_some() || image.topic_by_id(&id).is_some();
            if known || id.is_reserved() || topic_name::validate(&name).is_err() {
                continue;
            }
            let partition = led_by(vec![self.config.node_id]);
            let partitions =
                leader_epochs.into_iter().map(|epoch| PartitionImage { leader_epoch: epoch, ..partition.clone() });
            let partitions = partitions.collect();
            let topic = Arc::new(TopicImage { name, id, partitions, configs: Default::default() });
            transaction = put_topic(transaction, &topic);
            image.insert_topic(topic.clone());
            changes.push(MetadataChange::TopicCreated(topic.clone()));
            adopted.push(topic);
        }
        self.apply(&mut changing, transaction, image, &changes)?;
        Ok(adopted)
    }

    pub(super) fn delete_topics_now(&self, topics: &[TopicSelector]) -> Vec<Result<Arc<TopicImage>, ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let mut transaction = Transaction::new();
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(topics.len());
        for selector in topics {
            let found = self.find_for_deletion(&image, selector);
            if let Ok(topic) = &found {
                image.remove_topic(&topic.name);
                transaction = transaction
                    .delete(records::topic_key(&topic.name))
                    .delete(records::config_key(&ConfigResource::Topic(topic.name.clone())));
                changes.push(MetadataChange::TopicDeleted(topic.clone()));
            }
            answers.push(found);
        }
        match self.apply(&mut changing, transaction, image, &changes) {
            Ok(()) => answers,
            Err(error) => answers.into_iter().map(|answer| answer.and(Err(error.clone()))).collect(),
        }
    }

    fn find_for_deletion(
        &self,
        image: &ClusterImage,
        selector: &TopicSelector,
    ) -> Result<Arc<TopicImage>, ControllerError> {
        if !self.config.delete_topic_enable {
            return Err(ControllerError::DeletionDisabled);
        }
        match selector {
            TopicSelector::Name(name) => image.topic(name).cloned().ok_or(ControllerError::UnknownTopic),
            TopicSelector::Id(id) => image.topic_by_id(id).cloned().ok_or(ControllerError::UnknownTopicId),
        }
    }

    pub(super) fn create_partitions_now(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let twice = names_given_twice(topics.iter().map(|topic| topic.topic.as_str()));
        let mut transaction = Transaction::new();
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(topics.len());
        let mut room = PARTITIONS_PER_REQUEST_MAX;
        for growth in topics {
            let grown = if twice.contains(&growth.topic) {
                Err(ControllerError::InvalidRequest("Duplicate topic name.".to_owned()))
            } else {
                self.plan_growth(&image, &growth, room)
            };
            answers.push(grown.map(|(topic, before)| {
                room -= (topic.partitions.len() - before) as i64;
                transaction.operations.extend(put_topic(Transaction::new(), &topic).operations);
                image.insert_topic(topic.clone());
                changes.push(MetadataChange::PartitionsAdded { topic, before });
            }));
        }
        if validate_only {
            return answers;
        }
        match self.apply(&mut changing, transaction, image, &changes) {
            Ok(()) => answers,
            Err(error) => answers.into_iter().map(|answer| answer.and(Err(error.clone()))).collect(),
        }
    }

    /// The topic as it would be, and how many partitions it has now.
    fn plan_growth(
        &self,
        image: &ClusterImage,
        growth: &NewPartitions,
        room: i64,
    ) -> Result<(Arc<TopicImage>, usize), ControllerError> {
        let topic = image.topic(&growth.topic).ok_or(ControllerError::UnknownTopic)?;
        let before = topic.partitions.len();
        let added = i64::from(growth.total_count) - before as i64;
        if added == 0 {
            return Err(ControllerError::InvalidPartitions(format!("Topic already has {before} partition(s).")));
        }
        if added < 0 {
            return Err(ControllerError::InvalidPartitions(format!(
                "The topic {} currently has {before} partition(s); {} would not be an increase.",
                growth.topic, growth.total_count
            )));
        }
        if added > room {
            return Err(ControllerError::TooManyPartitions);
        }
        let mut grown = TopicImage::clone(topic);
        match &growth.assignments {
            None => grown.partitions.extend(vec![led_by(vec![self.config.node_id]); added as usize]),
            Some(assignments) if assignments.len() as i64 != added => {
                return Err(ControllerError::InvalidAssignment(format!(
                    "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
                    assignments.len()
                )));
            }
            Some(assignments) => {
                let factor = topic.replication_factor().max(1) as usize;
                for replicas in assignments {
                    grown.partitions.push(self.check_assignment(replicas, factor)?);
                }
            }
        }
        Ok((Arc::new(grown), before))
    }
}

fn led_by(replicas: Vec<i32>) -> PartitionImage {
    PartitionImage { leader: replicas.first().copied().unwrap_or(-1), replicas, leader_epoch: 0 }
}

/// An id that no topic has.
fn fresh_id(image: &ClusterImage) -> Uuid {
    loop {
        let id = Uuid::random();
        if image.topic_by_id(&id).is_none() {
            return id;
        }
    }
}

fn put_topic(transaction: Transaction, topic: &TopicImage) -> Transaction {
    let transaction = transaction.put(records::topic_key(&topic.name), records::encode_topic(topic));
    if topic.configs.is_empty() {
        return transaction;
    }
    let key = records::config_key(&ConfigResource::Topic(topic.name.clone()));
    transaction.put(key, records::encode(&topic.configs))
}

fn names_given_twice<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(*name)).map(str::to_owned).collect()
}
