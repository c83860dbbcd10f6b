//! Topics: list, describe, create, delete, grow.

use milena_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeTopicPartitionsRequest,
    ListPartitionReassignmentsRequest, create_partitions_request, create_topics_request, create_topics_response,
    delete_topics_request, describe_topic_partitions_request, list_partition_reassignments_response,
};
use milena_protocol::{ErrorCode, Uuid};

use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// One line of a topic listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicListing {
    /// Name.
    pub name: String,
    /// Topic id, zero on clusters that have none.
    pub topic_id: Uuid,
    /// Whether the broker uses the topic itself.
    pub is_internal: bool,
}

/// A topic with its partitions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopicDescription {
    /// Name.
    pub name: String,
    /// Topic id.
    pub topic_id: Uuid,
    /// Whether the broker uses the topic itself.
    pub is_internal: bool,
    /// Partitions in ascending order.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition's replicas.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartitionDescription {
    /// Number of the partition.
    pub partition: i32,
    /// Broker that leads it, -1 when none does.
    pub leader_id: i32,
    /// Brokers that hold it, preferred leader first.
    pub replicas: Vec<i32>,
    /// Replicas in sync.
    pub isr: Vec<i32>,
    /// Eligible leader replicas (KIP-966), when the broker tells.
    pub elr: Option<Vec<i32>>,
    /// Last known eligible leader replicas, when the broker tells.
    pub last_known_elr: Option<Vec<i32>>,
}

impl Cluster {
    /// Every topic the client may see, sorted by name.
    ///
    /// # Errors
    /// As [`Cluster::send_any`].
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>> {
        let response = self.refresh_metadata(None, false).await?;
        let mut topics: Vec<_> = response
            .topics
            .into_iter()
            .filter_map(|topic| {
                Some(TopicListing { name: topic.name?, topic_id: topic.topic_id, is_internal: topic.is_internal })
            })
            .collect();
        topics.sort();
        Ok(topics)
    }

    /// Describes `names` in that order, through DescribeTopicPartitions or, on older brokers, Metadata.
    ///
    /// # Errors
    /// The first topic's error code, or the call's own.
    pub async fn describe_topics(&self, names: &[String], partition_limit: i32) -> Result<Vec<TopicDescription>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut described = match self.describe_by_partitions(names, partition_limit).await {
            Err(Error::UnsupportedVersion { .. }) => self.describe_by_metadata(names).await?,
            other => other?,
        };
        described.sort_by_key(|topic| names.iter().position(|name| *name == topic.name));
        Ok(described)
    }

    async fn describe_by_partitions(&self, names: &[String], partition_limit: i32) -> Result<Vec<TopicDescription>> {
        let mut sorted: Vec<String> = names.to_vec();
        sorted.sort();
        let mut request = DescribeTopicPartitionsRequest {
            topics: sorted.into_iter().map(|name| describe_topic_partitions_request::Topic { name }).collect(),
            response_partition_limit: partition_limit,
            cursor: None,
        };
        let mut described: Vec<TopicDescription> = Vec::new();
        loop {
            let response = self.send_any(&request).await?;
            for topic in response.topics {
                Error::check(topic.error_code, None)?;
                let name = topic.name.unwrap_or_default();
                let partitions = topic.partitions.into_iter().map(|partition| PartitionDescription {
                    partition: partition.partition_index,
                    leader_id: partition.leader_id,
                    replicas: partition.replica_nodes,
                    isr: partition.isr_nodes,
                    elr: Some(partition.eligible_leader_replicas.unwrap_or_default()),
                    last_known_elr: Some(partition.last_known_elr.unwrap_or_default()),
                });
                // A topic that is cut by the page limit comes again with its remaining partitions.
                match described.last_mut().filter(|last| last.name == name) {
                    Some(last) => last.partitions.extend(partitions),
                    None => described.push(TopicDescription {
                        name,
                        topic_id: topic.topic_id,
                        is_internal: topic.is_internal,
                        partitions: partitions.collect(),
                    }),
                }
            }
            let Some(next) = response.next_cursor else { break };
            request.topics.retain(|topic| topic.name >= next.topic_name);
            request.cursor = Some(describe_topic_partitions_request::Cursor {
                topic_name: next.topic_name,
                partition_index: next.partition_index,
            });
        }
        for topic in &mut described {
            topic.partitions.sort_by_key(|partition| partition.partition);
        }
        Ok(described)
    }

    async fn describe_by_metadata(&self, names: &[String]) -> Result<Vec<TopicDescription>> {
        let response = self.refresh_metadata(Some(names), false).await?;
        let mut described = Vec::with_capacity(response.topics.len());
        for topic in response.topics {
            Error::check(topic.error_code, None)?;
            let mut partitions: Vec<_> = topic
                .partitions
                .into_iter()
                .map(|partition| PartitionDescription {
                    partition: partition.partition_index,
                    leader_id: partition.leader_id,
                    replicas: partition.replica_nodes,
                    isr: partition.isr_nodes,
                    elr: None,
                    last_known_elr: None,
                })
                .collect();
            partitions.sort_by_key(|partition| partition.partition);
            let (topic_id, is_internal) = (topic.topic_id, topic.is_internal);
            described.push(TopicDescription {
                name: topic.name.unwrap_or_default(),
                topic_id,
                is_internal,
                partitions,
            });
        }
        Ok(described)
    }

    /// Creates one topic.
    ///
    /// # Errors
    /// The topic's error code with the controller's message.
    pub async fn create_topic(
        &self,
        topic: create_topics_request::Topic,
        validate_only: bool,
    ) -> Result<create_topics_response::Topic> {
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: self.timeout_ms(), validate_only };
        let code = |response: &milena_protocol::messages::CreateTopicsResponse| {
            response.topics.first().map_or(0, |topic| topic.error_code)
        };
        let mut response = self.send_controller(&request, code).await?;
        let topic = response.topics.pop().ok_or_else(|| Error::api(ErrorCode::UnknownServerError, None))?;
        Error::check(topic.error_code, topic.error_message.as_ref())?;
        Ok(topic)
    }

    /// Deletes `names`.
    ///
    /// # Errors
    /// The first topic's error code.
    pub async fn delete_topics(&self, names: &[String]) -> Result<()> {
        let request = DeleteTopicsRequest {
            topics: names
                .iter()
                .map(|name| delete_topics_request::Topic { name: Some(name.clone()), topic_id: Uuid::ZERO })
                .collect(),
            topic_names: names.to_vec(),
            timeout_ms: self.timeout_ms(),
        };
        let response = self
            .send_controller(&request, |response| response.responses.first().map_or(0, |topic| topic.error_code))
            .await?;
        for topic in response.responses {
            Error::check(topic.error_code, topic.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Grows topics to the counts given.
    ///
    /// # Errors
    /// The first topic's error code with the controller's message.
    pub async fn create_partitions(&self, topics: Vec<create_partitions_request::Topic>) -> Result<()> {
        let request = CreatePartitionsRequest { topics, timeout_ms: self.timeout_ms(), validate_only: false };
        let response = self
            .send_controller(&request, |response| response.results.first().map_or(0, |topic| topic.error_code))
            .await?;
        for topic in response.results {
            Error::check(topic.error_code, topic.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Reassignments under way; none on brokers that do not know the API.
    ///
    /// # Errors
    /// As [`Cluster::send_any`], or the answer's code.
    pub async fn list_partition_reassignments(&self) -> Result<Vec<list_partition_reassignments_response::Topic>> {
        let request = ListPartitionReassignmentsRequest { timeout_ms: self.timeout_ms(), topics: None };
        let controller = self.controller().await?;
        match controller.send(&request).await {
            Ok(response) if response.error_code == 0 => Ok(response.topics),
            Ok(response) => match ErrorCode::from_code(response.error_code) {
                // Kafka's own tool describes topics without them when it may not ask.
                ErrorCode::ClusterAuthorizationFailed => Ok(Vec::new()),
                code => Err(Error::api(code, response.error_message)),
            },
            Err(Error::UnsupportedVersion { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
