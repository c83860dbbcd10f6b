//! The topic of the schemas: made when it is missing, refused when it would lose them.

use milena_client::admin::{ConfigResource, ResourceType};
use milena_client::{Cluster, Error};
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request;

use super::StorageError;

/// Schemas of this size still fit into a record of a topic that we have made.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Which topic.
#[derive(Debug, Clone)]
pub struct TopicOptions {
    /// `kafkastore.topic`
    pub name: String,
    /// `kafkastore.topic.replication.factor`; fewer when there are fewer brokers.
    pub replication_factor: i16,
}

/// Why schemas cannot be kept in a topic.
#[derive(Debug, thiserror::Error)]
pub enum TopicRefused {
    /// Records would be deleted by age or size.
    #[error(
        "The retention policy of the schema topic {topic} is incorrect. You must configure the topic to 'compact' cleanup policy to avoid Kafka deleting your schemas after a week. cleanup.policy is '{policy}'; change it with: kafka-configs --alter --topic {topic} --add-config cleanup.policy=compact"
    )]
    NotCompacted {
        /// The topic.
        topic: String,
        /// Its `cleanup.policy`.
        policy: String,
    },
    /// Records would have no order.
    #[error("The schema topic {topic} should have only 1 partition but has {partitions}")]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        partitions: usize,
    },
}

impl TopicOptions {
    /// Whether the topic is there and fit.
    ///
    /// # Errors
    /// [`StorageError::Refused`] for one that is there and not fit, or the cluster's own.
    pub async fn exists(&self, cluster: &Cluster) -> Result<bool, StorageError> {
        let described = match cluster.describe_topics(std::slice::from_ref(&self.name), 2000).await {
            Ok(described) => described,
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let Some(topic) = described.first() else { return Ok(false) };
        if topic.partitions.len() != 1 {
            return Err(
                TopicRefused::Partitions { topic: self.name.clone(), partitions: topic.partitions.len() }.into()
            );
        }
        let resource = ConfigResource { resource_type: ResourceType::Topic, name: self.name.clone() };
        let configs = cluster.describe_configs(&resource).await?;
        let policy = configs.into_iter().find(|config| config.name == "cleanup.policy").and_then(|config| config.value);
        match policy.as_deref() {
            Some("compact") => Ok(true),
            policy => {
                let policy = policy.unwrap_or_default().to_owned();
                Err(TopicRefused::NotCompacted { topic: self.name.clone(), policy }.into())
            }
        }
    }

    /// Makes the topic; somebody else may have been quicker.
    ///
    /// # Errors
    /// The cluster's own.
    pub async fn create(&self, cluster: &Cluster) -> Result<(), StorageError> {
        let brokers = i16::try_from(cluster.nodes().len()).unwrap_or(i16::MAX).max(1);
        let replication_factor = self.replication_factor.min(brokers);
        if replication_factor < self.replication_factor {
            let wanted = self.replication_factor;
            tracing::info!(
                "{} gets {replication_factor} replicas instead of {wanted}: there are no more brokers",
                self.name
            );
        }
        let config =
            |name: &str, value: String| create_topics_request::Config { name: name.to_owned(), value: Some(value) };
        let topic = create_topics_request::Topic {
            name: self.name.clone(),
            num_partitions: 1,
            replication_factor,
            assignments: Vec::new(),
            configs: vec![
                config("cleanup.policy", "compact".to_owned()),
                config("max.message.bytes", MESSAGE_BYTES_MAX.to_string()),
            ],
        };
        match cluster.create_topic(topic, false).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => self.exists(cluster).await.map(|_| ()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an error says that a record is too large for the topic.
pub(super) fn is_too_large(error: &Error) -> bool {
    matches!(error.code(), Some(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge))
}

/// The largest record that the writer hands to the cluster.
pub(super) const REQUEST_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
