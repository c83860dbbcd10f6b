//! What ShareGroupDescribe says about a group.

use milena_protocol::messages::share_group_describe_response::{
    Assignment as Described, Group, Member, TopicPartitions,
};

use super::group::{ShareGroup, ShareMember};
use crate::group::topics::TopicsView;

/// The only assignor of share groups.
const ASSIGNOR: &str = "simple";

impl ShareGroup {
    /// Epochs and each member's assignment. Deleted topics are left out.
    pub fn describe(&self, topics: &dyn TopicsView) -> Group {
        Group {
            group_id: self.id.to_string(),
            group_state: self.state_name().to_owned(),
            group_epoch: self.group_epoch,
            assignment_epoch: self.target_epoch,
            assignor_name: ASSIGNOR.to_owned(),
            members: self.members.values().map(|member| describe_member(member, topics)).collect(),
            ..Group::default()
        }
    }
}

fn describe_member(member: &ShareMember, topics: &dyn TopicsView) -> Member {
    let topic_partitions = member
        .assigned
        .iter()
        .filter_map(|(topic, partitions)| {
            Some(TopicPartitions {
                topic_id: *topic,
                topic_name: topics.topic_name(topic)?,
                partitions: partitions.iter().copied().collect(),
            })
        })
        .collect();
    Member {
        member_id: member.member_id.to_string(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.member_epoch,
        client_id: member.client.client_id.clone(),
        client_host: member.client.client_host.clone(),
        subscribed_topic_names: member.subscribed_names.iter().cloned().collect(),
        assignment: Described { topic_partitions },
    }
}
