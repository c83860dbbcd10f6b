//! Share groups (KIP-932): describe, offsets, deletion.

use std::collections::BTreeMap;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequest,
    ShareGroupDescribeRequest, alter_share_group_offsets_request, delete_share_group_offsets_request,
    describe_share_group_offsets_request, share_group_describe_response,
};

use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// Where a share group stands in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePosition {
    /// The first offset that is not finished; -1 when unknown.
    pub start_offset: i64,
    /// Epoch of the leader that wrote it.
    pub leader_epoch: i32,
    /// Records that still have to be dealt with; -1 when unknown.
    pub lag: i64,
}

impl Cluster {
    /// Describes a share group.
    ///
    /// # Errors
    /// [`ErrorCode::GroupIdNotFound`] when there is no share group of that name, and others of the coordinator.
    pub async fn describe_share_group(&self, group_id: &str) -> Result<share_group_describe_response::Group> {
        let request =
            ShareGroupDescribeRequest { group_ids: vec![group_id.to_owned()], include_authorized_operations: false };
        let response = self
            .send_group(group_id, &request, i16::MAX, |response| {
                response.groups.first().map_or(0, |group| group.error_code)
            })
            .await?;
        let group = response.groups.into_iter().next();
        let group = group.ok_or_else(|| Error::api(ErrorCode::GroupIdNotFound, None))?;
        Error::check(group.error_code, group.error_message.as_ref())?;
        Ok(group)
    }

    /// Where a share group stands, in every partition it has state of.
    ///
    /// # Errors
    /// The group's error, or that of the first partition that has one.
    pub async fn share_positions(&self, group_id: &str) -> Result<BTreeMap<TopicPartition, SharePosition>> {
        let group = describe_share_group_offsets_request::Group { group_id: group_id.to_owned(), topics: None };
        let request = DescribeShareGroupOffsetsRequest { groups: vec![group] };
        let response = self
            .send_group(group_id, &request, i16::MAX, |response| {
                response.groups.first().map_or(0, |group| group.error_code)
            })
            .await?;
        let mut positions = BTreeMap::new();
        for group in response.groups {
            Error::check(group.error_code, group.error_message.as_ref())?;
            for topic in group.topics {
                for partition in topic.partitions {
                    Error::check(partition.error_code, partition.error_message.as_ref())?;
                    let position = SharePosition {
                        start_offset: partition.start_offset,
                        leader_epoch: partition.leader_epoch,
                        lag: partition.lag,
                    };
                    positions.insert(TopicPartition::new(&topic.topic_name, partition.partition_index), position);
                }
            }
        }
        Ok(positions)
    }

    /// Sets where a share group without members begins to read.
    ///
    /// # Errors
    /// The group's error, or that of the first partition that has one.
    pub async fn alter_share_offsets(&self, group_id: &str, offsets: &BTreeMap<TopicPartition, i64>) -> Result<()> {
        let mut topics: Vec<alter_share_group_offsets_request::Topic> = Vec::new();
        for (tp, start_offset) in offsets {
            let partition = alter_share_group_offsets_request::Partition {
                partition_index: tp.partition,
                start_offset: *start_offset,
            };
            match topics.last_mut().filter(|topic| topic.topic_name == tp.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(alter_share_group_offsets_request::Topic {
                    topic_name: tp.topic.clone(),
                    partitions: vec![partition],
                }),
            }
        }
        let request = AlterShareGroupOffsetsRequest { group_id: group_id.to_owned(), topics };
        let response = self.send_group(group_id, &request, i16::MAX, |response| response.error_code).await?;
        Error::check(response.error_code, response.error_message.as_ref())?;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            Error::check(partition.error_code, partition.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Forgets where a share group without members stands in `topics`; what came of each topic.
    ///
    /// # Errors
    /// The group's error.
    pub async fn delete_share_offsets(
        &self,
        group_id: &str,
        topics: &[String],
    ) -> Result<BTreeMap<String, Result<()>>> {
        let topics = topics
            .iter()
            .map(|topic| delete_share_group_offsets_request::Topic { topic_name: topic.clone() })
            .collect();
        let request = DeleteShareGroupOffsetsRequest { group_id: group_id.to_owned(), topics };
        let response = self.send_group(group_id, &request, i16::MAX, |response| response.error_code).await?;
        Error::check(response.error_code, response.error_message.as_ref())?;
        let outcomes = response
            .responses
            .into_iter()
            .map(|topic| (topic.topic_name, Error::check(topic.error_code, topic.error_message.as_ref())));
        Ok(outcomes.collect())
    }
}
