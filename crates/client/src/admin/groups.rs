//! Groups: list, describe (classic and KIP-848), committed offsets, delete.

use std::collections::BTreeMap;

use bytes::Bytes;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, ListGroupsResponse,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, consumer_group_describe_response,
    describe_groups_response, offset_commit_request, offset_delete_request, offset_fetch_request,
};

use super::offsets::Committed;
use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::consumer::embedded;
use crate::error::{Error, Result};

/// Highest versions that name topics by their names.
const OFFSET_FETCH_BY_NAME: i16 = 9;
const OFFSET_COMMIT_BY_NAME: i16 = 9;

/// One line of a group listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupListing {
    /// Group id.
    pub group_id: String,
    /// `consumer`, `connect`, ...; empty for a group that only has offsets.
    pub protocol_type: String,
    /// State; empty when the broker is too old to tell.
    pub state: String,
    /// `classic`, `consumer`, `share`, `streams`; empty when the broker is too old to tell.
    pub group_type: String,
}

/// A group, whatever protocol it uses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupDescription {
    /// Group id.
    pub group_id: String,
    /// `Stable`, `Empty`, `Dead`, `PreparingRebalance`, ...
    pub state: String,
    /// Name of the assignor, empty when there is none.
    pub assignor: String,
    /// Epoch of the group (KIP-848 groups only).
    pub group_epoch: Option<i32>,
    /// Epoch of the target assignment (KIP-848 groups only).
    pub target_assignment_epoch: Option<i32>,
    /// Members.
    pub members: Vec<GroupMember>,
    /// Which kind of group this is.
    pub classic: ClassicGroup,
    /// Whether it only has offsets: nobody ever joined it.
    pub is_simple: bool,
}

/// Whether a group uses the classic protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClassicGroup {
    /// JoinGroup and SyncGroup.
    #[default]
    Yes,
    /// ConsumerGroupHeartbeat (KIP-848).
    No,
}

/// A member of a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupMember {
    /// Member id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The member's `client.id`.
    pub client_id: String,
    /// Where it connects from, as `/address`.
    pub host: String,
    /// Partitions it owns.
    pub assignment: Vec<TopicPartition>,
    /// Partitions it should own (KIP-848 groups only).
    pub target_assignment: Option<Vec<TopicPartition>>,
    /// Its epoch (KIP-848 groups only).
    pub member_epoch: Option<i32>,
    /// Whether it has moved to the new protocol; `None` when the broker does not tell.
    pub upgraded: Option<bool>,
    /// What it tells of itself beside its topics (consumers of classic groups that are not rebalancing).
    pub user_data: Option<Bytes>,
}

impl Cluster {
    /// Groups of all brokers, sorted by id, filtered by state and type names (empty: all).
    ///
    /// # Errors
    /// The first broker's error.
    pub async fn list_groups(&self, states: &[String], types: &[String]) -> Result<Vec<GroupListing>> {
        let request = ListGroupsRequest { states_filter: states.to_vec(), types_filter: types.to_vec() };
        let mut groups = Vec::new();
        for node in self.nodes() {
            let response = self.list_groups_at(node.id, &request).await?;
            groups.extend(response.groups.into_iter().map(|group| GroupListing {
                group_id: group.group_id,
                protocol_type: group.protocol_type,
                state: group.group_state,
                group_type: group.group_type,
            }));
        }
        groups.sort();
        groups.dedup_by(|a, b| a.group_id == b.group_id);
        Ok(groups)
    }

    async fn list_groups_at(&self, node: i32, request: &ListGroupsRequest) -> Result<ListGroupsResponse> {
        let mut retries = self.retries();
        loop {
            let answer = match self.node(node).await {
                Ok(connection) => connection.send(request).await,
                Err(error) => Err(error),
            };
            match answer.and_then(|response| Error::check(response.error_code, None).map(|()| response)) {
                Err(error) => retries.after(error).await?,
                listed => return listed,
            }
        }
    }

    /// Describes a group: as a KIP-848 group first, then as a classic one.
    ///
    /// # Errors
    /// [`ErrorCode::GroupIdNotFound`] for a group that neither has members nor offsets, and others of the coordinator.
    pub async fn describe_group(&self, group_id: &str) -> Result<GroupDescription> {
        let request =
            ConsumerGroupDescribeRequest { group_ids: vec![group_id.to_owned()], include_authorized_operations: false };
        let code = |response: &milena_protocol::messages::ConsumerGroupDescribeResponse| {
            response.groups.first().map_or(0, |group| group.error_code)
        };
        match self.send_group(group_id, &request, i16::MAX, code).await {
            Ok(response) => {
                if let Some(group) = response.groups.into_iter().next()
                    && group.error_code == 0
                {
                    return Ok(from_consumer_group(group));
                }
            }
            Err(Error::UnsupportedVersion { .. }) => {}
            Err(error) => return Err(error),
        }
        self.describe_classic_group(group_id).await
    }

    async fn describe_classic_group(&self, group_id: &str) -> Result<GroupDescription> {
        let request = DescribeGroupsRequest { groups: vec![group_id.to_owned()], include_authorized_operations: false };
        let response = self
            .send_group(group_id, &request, i16::MAX, |response| {
                response.groups.first().map_or(0, |group| group.error_code)
            })
            .await?;
        let group = response.groups.into_iter().next().ok_or_else(|| Error::api(ErrorCode::GroupIdNotFound, None))?;
        Error::check(group.error_code, group.error_message.as_ref())?;
        from_classic_group(group)
    }

    /// Committed offsets of `group_id`: of `partitions`, or of all when `None`.
    ///
    /// # Errors
    /// The group's or the first partition's error code.
    pub async fn committed_offsets(
        &self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        self.offsets_of_group(group_id, partitions, false).await
    }

    /// As [`Cluster::committed_offsets`], once no transaction is open that may change them (KIP-447): the offsets of a
    /// member that is gone are those of its last whole transaction.
    ///
    /// # Errors
    /// As [`Cluster::committed_offsets`]; [`ErrorCode::UnstableOffsetCommit`] while a transaction is open.
    pub async fn stable_offsets(
        &self,
        group_id: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        self.offsets_of_group(group_id, Some(partitions), true).await
    }

    async fn offsets_of_group(
        &self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        let by_topic = partitions.map(by_topic);
        let topics = by_topic.as_ref().map(|topics| {
            topics
                .iter()
                .map(|(name, partitions)| offset_fetch_request::Topic {
                    name: name.clone(),
                    partition_indexes: partitions.clone(),
                })
                .collect()
        });
        let group_topics = by_topic.map(|topics| {
            topics
                .into_iter()
                .map(|(name, partition_indexes)| offset_fetch_request::GroupTopic {
                    name,
                    partition_indexes,
                    ..Default::default()
                })
                .collect()
        });
        let request = OffsetFetchRequest {
            group_id: group_id.to_owned(),
            topics,
            groups: vec![offset_fetch_request::Group {
                group_id: group_id.to_owned(),
                topics: group_topics,
                ..Default::default()
            }],
            require_stable,
        };
        let response = self
            .send_group(group_id, &request, OFFSET_FETCH_BY_NAME, |response| {
                response.groups.first().map_or(response.error_code, |group| group.error_code)
            })
            .await?;
        Error::check(response.error_code, None)?;
        let mut committed = BTreeMap::new();
        let mut keep = |topic: &str, partition, offset, leader_epoch, metadata: Option<String>, code| {
            Error::check(code, None)?;
            if offset >= 0 {
                let value = Committed { offset, leader_epoch, metadata: metadata.unwrap_or_default() };
                committed.insert(TopicPartition::new(topic, partition), value);
            }
            Ok::<_, Error>(())
        };
        for topic in response.topics {
            for p in topic.partitions {
                keep(
                    &topic.name,
                    p.partition_index,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    p.metadata,
                    p.error_code,
                )?;
            }
        }
        for group in response.groups {
            Error::check(group.error_code, None)?;
            for topic in group.topics {
                for p in topic.partitions {
                    keep(
                        &topic.name,
                        p.partition_index,
                        p.committed_offset,
                        p.committed_leader_epoch,
                        p.metadata,
                        p.error_code,
                    )?;
                }
            }
        }
        Ok(committed)
    }

    /// Commits `offsets` for the group: as a member when `membership` names generation and member id,
    /// otherwise as an administrator, which the coordinator allows while the group has no members.
    ///
    /// # Errors
    /// The first partition's error code.
    pub async fn commit_offsets(
        &self,
        group_id: &str,
        membership: Option<(i32, &str, Option<&str>)>,
        offsets: &BTreeMap<TopicPartition, Committed>,
    ) -> Result<()> {
        let mut topics: BTreeMap<&str, Vec<offset_commit_request::Partition>> = BTreeMap::new();
        for (tp, committed) in offsets {
            topics.entry(&tp.topic).or_default().push(offset_commit_request::Partition {
                partition_index: tp.partition,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch,
                committed_metadata: Some(committed.metadata.clone()),
                ..Default::default()
            });
        }
        let (generation, member_id, instance_id) = membership.unwrap_or((-1, "", None));
        let request = OffsetCommitRequest {
            group_id: group_id.to_owned(),
            generation_id_or_member_epoch: generation,
            member_id: member_id.to_owned(),
            group_instance_id: instance_id.map(str::to_owned),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| offset_commit_request::Topic {
                    name: name.to_owned(),
                    partitions,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let response = self
            .send_group(group_id, &request, OFFSET_COMMIT_BY_NAME, |response| {
                response
                    .topics
                    .iter()
                    .flat_map(|topic| &topic.partitions)
                    .map(|p| p.error_code)
                    .find(|code| *code != 0)
                    .unwrap_or(0)
            })
            .await?;
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            Error::check(partition.error_code, None)?;
        }
        Ok(())
    }

    /// Forgets committed offsets; the result of each partition asked for, sorted.
    ///
    /// # Errors
    /// The group's error code.
    pub async fn delete_offsets(
        &self,
        group_id: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, ErrorCode>> {
        let request = OffsetDeleteRequest {
            group_id: group_id.to_owned(),
            topics: by_topic(partitions)
                .into_iter()
                .map(|(name, partitions)| offset_delete_request::Topic {
                    name,
                    partitions: partitions
                        .into_iter()
                        .map(|partition_index| offset_delete_request::Partition { partition_index })
                        .collect(),
                })
                .collect(),
        };
        let response = self.send_group(group_id, &request, i16::MAX, |response| response.error_code).await?;
        Error::check(response.error_code, None)?;
        let results = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| {
                let tp = TopicPartition::new(&topic.name, partition.partition_index);
                (tp, ErrorCode::from_code(partition.error_code))
            })
        });
        Ok(results.collect())
    }

    /// Deletes a group with its offsets.
    ///
    /// # Errors
    /// The group's error code, for example [`ErrorCode::NonEmptyGroup`].
    pub async fn delete_group(&self, group_id: &str) -> Result<()> {
        let request = DeleteGroupsRequest { groups_names: vec![group_id.to_owned()] };
        let response = self
            .send_group(group_id, &request, i16::MAX, |response| {
                response.results.first().map_or(0, |result| result.error_code)
            })
            .await?;
        for result in response.results {
            Error::check(result.error_code, result.error_message.as_ref())?;
        }
        Ok(())
    }
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<String, Vec<i32>> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(tp.topic.clone()).or_default().push(tp.partition);
    }
    topics
}

fn from_consumer_group(group: consumer_group_describe_response::Group) -> GroupDescription {
    let partitions = |assignment: consumer_group_describe_response::Assignment| -> Vec<TopicPartition> {
        let mut all: Vec<_> = assignment
            .topic_partitions
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| TopicPartition::new(&topic.topic_name, *p)))
            .collect();
        all.sort();
        all
    };
    let members = group.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.client_host,
        assignment: partitions(member.assignment),
        target_assignment: Some(partitions(member.target_assignment)),
        member_epoch: Some(member.member_epoch),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        user_data: None,
    });
    GroupDescription {
        members: members.collect(),
        group_id: group.group_id,
        state: group.group_state,
        assignor: group.assignor_name,
        group_epoch: Some(group.group_epoch),
        target_assignment_epoch: Some(group.assignment_epoch),
        classic: ClassicGroup::No,
        is_simple: false,
    }
}

fn from_classic_group(group: describe_groups_response::Group) -> Result<GroupDescription> {
    // Before version 6 the coordinator says "Dead" instead of an error.
    if group.group_state == "Dead" {
        let message = format!("Group {} not found.", group.group_id);
        return Err(Error::api(ErrorCode::GroupIdNotFound, Some(message)));
    }
    let is_consumer = group.protocol_type == "consumer" || group.protocol_type.is_empty();
    let members = group.members.into_iter().map(|member| {
        let assignment = if is_consumer {
            embedded::decode_assignment(&member.member_assignment).unwrap_or_default()
        } else {
            Vec::new()
        };
        let subscription = match is_consumer && !member.member_metadata.is_empty() {
            true => embedded::decode_subscription(&member.member_metadata).ok(),
            false => None,
        };
        GroupMember {
            member_id: member.member_id,
            instance_id: member.group_instance_id,
            client_id: member.client_id,
            host: member.client_host,
            assignment,
            user_data: subscription.and_then(|subscription| subscription.user_data),
            ..GroupMember::default()
        }
    });
    Ok(GroupDescription {
        members: members.collect(),
        group_id: group.group_id,
        state: group.group_state,
        assignor: group.protocol_data,
        group_epoch: None,
        target_assignment_epoch: None,
        classic: ClassicGroup::Yes,
        is_simple: group.protocol_type.is_empty(),
    })
}
