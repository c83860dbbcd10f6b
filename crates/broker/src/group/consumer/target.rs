//! Computing the target assignment of a group.

use std::collections::BTreeSet;
use std::sync::Arc;

use milena_protocol::messages::{
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
    consumer_group_target_assignment_member_value,
};

use super::group::ConsumerGroup;
use crate::group::assignor::{Assignment, GroupSpec, MemberSpec};
use crate::group::effects::Turn;
use crate::group::records;
use crate::group::topics::TopicsView;

impl ConsumerGroup {
    /// Brings the target to the group's epoch, unless the last one is younger than the assignment interval.
    pub(super) fn update_target(&mut self, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        if self.target_epoch >= self.group_epoch || self.is_too_early(topics, turn) {
            return;
        }
        let assignor = self.assignor(turn.config);
        let assignments = assignor.assign(&self.spec(topics));
        tracing::debug!(group = %self.id, epoch = self.group_epoch, assignor = assignor.name(), "new target assignment");
        for (member_id, assignment) in assignments {
            self.set_target(member_id, assignment, turn);
        }
        self.target_epoch = self.group_epoch;
        self.target_timestamp = Some(turn.now.unix_ms);
        let value = ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.target_epoch,
            assignment_timestamp: turn.now.unix_ms,
        };
        turn.effects.record(records::consumer_target(&self.id, Some(&value)));
    }

    /// Many members that arrive together share one assignment instead of causing one each.
    fn is_too_early(&self, topics: &dyn TopicsView, turn: &Turn<'_>) -> bool {
        let interval = i64::from(self.assignment_interval_ms(topics, turn.config));
        self.target_timestamp.is_some_and(|last| (0..interval).contains(&(turn.now.unix_ms - last)))
    }

    fn set_target(&mut self, member_id: Arc<str>, assignment: Assignment, turn: &mut Turn<'_>) {
        if self.target.get(&member_id) == Some(&assignment) {
            return;
        }
        turn.effects.record(records::consumer_target_member(&self.id, &member_id, Some(&target_value(&assignment))));
        self.target.insert(member_id, assignment);
    }

    fn spec(&self, topics: &dyn TopicsView) -> GroupSpec {
        let mut spec = GroupSpec::default();
        for name in self.subscribed_topics() {
            if let Some(topic) = topics.topic(&name) {
                spec.topics.insert(topic.id, topic.partitions);
            }
        }
        for (member_id, member) in &self.members {
            let subscribed: BTreeSet<_> =
                self.topics_of(member_id).iter().filter_map(|name| topics.topic(name)).map(|topic| topic.id).collect();
            let member = MemberSpec {
                instance_id: member.instance_id.clone(),
                rack_id: member.rack_id.clone(),
                topics: subscribed,
                previous: self.target.get(member_id).cloned().unwrap_or_default(),
            };
            spec.members.insert(member_id.clone(), member);
        }
        spec
    }
}

pub(super) fn target_value(assignment: &Assignment) -> ConsumerGroupTargetAssignmentMemberValue {
    let topic_partitions = assignment
        .iter()
        .map(|(topic, partitions)| consumer_group_target_assignment_member_value::TopicPartition {
            topic_id: *topic,
            partitions: partitions.iter().copied().collect(),
        })
        .collect();
    ConsumerGroupTargetAssignmentMemberValue { topic_partitions }
}
