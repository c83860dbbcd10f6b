//! A consumer group as records of `__consumer_offsets` (types 3, 5, 6, 7, 8 and 16), and back.

use std::sync::Arc;

use milena_protocol::Uuid;
use milena_protocol::messages::consumer_group_current_member_assignment_value::TopicPartitions;
use milena_protocol::messages::consumer_group_member_metadata_value::{ClassicMemberMetadata, SupportedProtocol};
use milena_protocol::messages::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue,
};

use super::classic_member::{ClassicMembership, with_ids};
use super::group::ConsumerGroup;
use super::member::{ConsumerMember, Holding, MemberState};
use super::subscription::ResolvedRegex;
use super::target::target_value;
use crate::group::assignor::{Assignment, ServerAssignor};
use crate::group::classic::ClassicGroup;
use crate::group::client::ClientIdentity;
use crate::group::effects::Turn;
use crate::group::embedded_protocol;
use crate::group::records;
use crate::group::topics::TopicsView;

impl ConsumerMember {
    /// The value of the member's metadata record.
    pub fn stored(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client.client_id.clone(),
            client_host: self.client.client_host.clone(),
            subscribed_topic_names: self.subscribed_names.iter().cloned().collect(),
            subscribed_topic_regex: self.subscribed_regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.server_assignor.map(|assignor| assignor.name().to_owned()),
            classic_member_metadata: self.classic.as_ref().map(|classic| ClassicMemberMetadata {
                session_timeout_ms: classic.session_timeout_ms,
                supported_protocols: classic
                    .protocols
                    .iter()
                    .map(|(name, metadata)| SupportedProtocol { name: name.clone(), metadata: metadata.clone() })
                    .collect(),
            }),
        }
    }

    /// The value of the member's current assignment record.
    pub fn stored_holding(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        let holding = &self.holding;
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: holding.member_epoch,
            previous_member_epoch: holding.previous_member_epoch,
            state: holding.state as i8,
            assigned_partitions: stored_partitions(&holding.assigned, holding),
            partitions_pending_revocation: stored_partitions(&holding.pending_revocation, holding),
        }
    }
}

fn stored_partitions(assignment: &Assignment, holding: &Holding) -> Vec<TopicPartitions> {
    let stored = assignment.iter().map(|(topic, partitions)| {
        let since = partitions.iter().filter_map(|partition| holding.held_since(topic, *partition));
        TopicPartitions {
            topic_id: *topic,
            partitions: partitions.iter().copied().collect(),
            assignment_epochs: Some(since.collect()),
        }
    });
    stored.collect()
}

/// Since when partitions are held; records of older versions do not tell, which means since the member's epoch.
fn loaded_since(stored: &[TopicPartitions], member_epoch: i32) -> impl Iterator<Item = ((Uuid, i32), i32)> {
    let with_epochs = stored.iter().flat_map(|topic| {
        let epochs = topic.assignment_epochs.iter().flatten();
        topic.partitions.iter().zip(epochs).map(|(partition, epoch)| ((topic.topic_id, *partition), *epoch))
    });
    with_epochs.filter(move |(_, epoch)| *epoch != member_epoch)
}

fn loaded_partitions(stored: Vec<TopicPartitions>) -> Assignment {
    stored.into_iter().map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect()
}

impl ConsumerGroup {
    /// The consumer group that a classic group becomes: everyone keeps its assignment, its generation is its epoch.
    /// `None` if a subscription or an assignment cannot be read.
    pub fn from_classic(classic: &ClassicGroup, topics: &dyn TopicsView) -> Option<Self> {
        let mut group = ConsumerGroup::new(classic.id());
        let epoch = classic.generation_id();
        group.group_epoch = epoch;
        group.target_epoch = epoch;
        let protocol = classic.current_protocol()?;
        for member in classic.members() {
            let subscription = embedded_protocol::subscription(&member.metadata(&protocol))?;
            let assigned = with_ids(embedded_protocol::assignment(&member.assignment)?, topics);
            if let Some(instance_id) = &member.group_instance_id {
                group.static_members.insert(instance_id.clone(), member.member_id.clone());
            }
            group.target.insert(member.member_id.clone(), assigned.clone());
            let migrated = ConsumerMember {
                instance_id: member.group_instance_id.clone(),
                rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                subscribed_names: subscription.topics,
                classic: Some(ClassicMembership {
                    session_timeout_ms: member.session_timeout_ms,
                    protocols: member.protocols.clone(),
                }),
                ..ConsumerMember::new(member.member_id.clone(), member.client.clone())
            };
            group.members.insert(member.member_id.clone(), migrated);
            let holding = Holding { member_epoch: epoch, previous_member_epoch: epoch, assigned, ..Holding::default() };
            group.restore_holding(&member.member_id, holding);
        }
        Some(group)
    }

    /// Writes a record for everything in the group.
    pub fn write_all(&self, turn: &mut Turn<'_>) {
        let id = &self.id;
        for (member_id, member) in &self.members {
            turn.effects.record(records::consumer_member(id, member_id, Some(&member.stored())));
        }
        let value = ConsumerGroupMetadataValue { epoch: self.group_epoch, metadata_hash: self.metadata_hash };
        turn.effects.record(records::consumer_group(id, Some(&value)));
        for (member_id, target) in &self.target {
            turn.effects.record(records::consumer_target_member(id, member_id, Some(&target_value(target))));
        }
        let value = ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.target_epoch,
            assignment_timestamp: self.target_timestamp.unwrap_or_default(),
        };
        turn.effects.record(records::consumer_target(id, Some(&value)));
        for (member_id, member) in &self.members {
            turn.effects.record(records::consumer_current(id, member_id, Some(&member.stored_holding())));
        }
    }
}

/// Replay: each record in the order of the log. Tombstones are `None`.
impl ConsumerGroup {
    /// Type 3.
    pub fn load_epoch(&mut self, value: ConsumerGroupMetadataValue) {
        self.group_epoch = value.epoch;
        self.metadata_hash = value.metadata_hash;
    }

    /// Type 5.
    pub fn load_member(&mut self, member_id: &str, value: Option<ConsumerGroupMemberMetadataValue>) {
        let Some(value) = value else { return self.forget_member(member_id) };
        let client = ClientIdentity { client_id: value.client_id, client_host: value.client_host };
        let member_id: Arc<str> = member_id.into();
        let holding = self.members.get(&member_id).map(|known| known.holding.clone()).unwrap_or_default();
        if let Some(instance_id) = &value.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        let member = ConsumerMember {
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            subscribed_names: value.subscribed_topic_names.into_iter().collect(),
            subscribed_regex: value.subscribed_topic_regex,
            server_assignor: value.server_assignor.as_deref().and_then(ServerAssignor::from_name),
            classic: value.classic_member_metadata.map(|classic| ClassicMembership {
                session_timeout_ms: classic.session_timeout_ms,
                protocols: classic.supported_protocols.into_iter().map(|one| (one.name, one.metadata)).collect(),
            }),
            holding,
            ..ConsumerMember::new(member_id.clone(), client)
        };
        self.members.insert(member_id, member);
    }

    /// Type 6.
    pub fn load_target_epoch(&mut self, value: Option<ConsumerGroupTargetAssignmentMetadataValue>) {
        self.target_epoch = value.as_ref().map_or(0, |value| value.assignment_epoch);
        self.target_timestamp = value.map(|value| value.assignment_timestamp).filter(|timestamp| *timestamp > 0);
    }

    /// Type 7.
    pub fn load_target(&mut self, member_id: &str, value: Option<ConsumerGroupTargetAssignmentMemberValue>) {
        let Some(value) = value else {
            self.target.remove(member_id);
            return;
        };
        let assignment =
            value.topic_partitions.into_iter().map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()));
        self.target.insert(member_id.into(), assignment.collect());
    }

    /// Type 8.
    pub fn load_holding(&mut self, member_id: &str, value: Option<ConsumerGroupCurrentMemberAssignmentValue>) {
        let Some(value) = value else { return self.restore_holding(member_id, Holding::default()) };
        let stored = [&value.assigned_partitions, &value.partitions_pending_revocation];
        let since = stored.into_iter().flat_map(|partitions| loaded_since(partitions, value.member_epoch)).collect();
        let holding = Holding {
            since,
            member_epoch: value.member_epoch,
            previous_member_epoch: value.previous_member_epoch,
            state: MemberState::from_stored(value.state),
            assigned: loaded_partitions(value.assigned_partitions),
            pending_revocation: loaded_partitions(value.partitions_pending_revocation),
        };
        if !self.members.contains_key(member_id) {
            // Compaction may leave the member's own record behind this one.
            let client = ClientIdentity { client_id: String::new(), client_host: String::new() };
            self.members.insert(member_id.into(), ConsumerMember::new(member_id.into(), client));
        }
        self.restore_holding(member_id, holding);
    }

    /// Type 16.
    pub fn load_regex(&mut self, expression: String, value: Option<ConsumerGroupRegularExpressionValue>) {
        match value {
            Some(value) => {
                let topics = value.topics.into_iter().collect();
                self.regexes.insert(expression, ResolvedRegex { topics, timestamp: value.timestamp });
            }
            None => {
                self.regexes.remove(&expression);
            }
        }
    }
}
