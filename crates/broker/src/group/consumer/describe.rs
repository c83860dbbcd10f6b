//! What ConsumerGroupDescribe says about a group.

use milena_protocol::messages::consumer_group_describe_response::{
    Assignment as Described, Group, Member, TopicPartitions,
};

use super::group::ConsumerGroup;
use super::member::ConsumerMember;
use crate::group::assignor::Assignment;
use crate::group::config::GroupConfig;
use crate::group::topics::TopicsView;

/// `MemberType` of a member of each protocol (v1).
const CLASSIC_MEMBER_TYPE: i8 = 0;
const CONSUMER_MEMBER_TYPE: i8 = 1;

impl ConsumerGroup {
    /// Epochs, assignor, and each member's current and target assignment. Deleted topics are left out.
    pub fn describe(&self, topics: &dyn TopicsView, config: &GroupConfig) -> Group {
        Group {
            group_id: self.id.to_string(),
            group_state: self.state_name().to_owned(),
            group_epoch: self.group_epoch,
            assignment_epoch: self.target_epoch,
            assignor_name: self.assignor(config).name().to_owned(),
            members: self.members.values().map(|member| self.describe_member(member, topics)).collect(),
            ..Group::default()
        }
    }

    fn describe_member(&self, member: &ConsumerMember, topics: &dyn TopicsView) -> Member {
        let target = self.target.get(&member.member_id).cloned().unwrap_or_default();
        Member {
            member_id: member.member_id.to_string(),
            instance_id: member.instance_id.clone(),
            rack_id: member.rack_id.clone(),
            member_epoch: member.holding.member_epoch,
            client_id: member.client.client_id.clone(),
            client_host: member.client.client_host.clone(),
            subscribed_topic_names: member.subscribed_names.iter().cloned().collect(),
            subscribed_topic_regex: member.subscribed_regex.clone(),
            assignment: described(&member.holding.assigned, topics),
            target_assignment: described(&target, topics),
            member_type: if member.classic.is_some() { CLASSIC_MEMBER_TYPE } else { CONSUMER_MEMBER_TYPE },
        }
    }
}

fn described(assignment: &Assignment, topics: &dyn TopicsView) -> Described {
    let topic_partitions = assignment
        .iter()
        .filter_map(|(topic, partitions)| {
            Some(TopicPartitions {
                topic_id: *topic,
                topic_name: topics.topic_name(topic)?,
                partitions: partitions.iter().copied().collect(),
            })
        })
        .collect();
    Described { topic_partitions }
}
