//! Computing the target assignment of a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::messages::StreamsGroupTargetAssignmentMetadataValue;

use super::assign::{GroupSpec, MemberSpec, SubtopologySpec, assign};
use super::config::GroupSettings;
use super::group::StreamsGroup;
use super::records;
use super::tasks::Tasks;
use crate::group::effects::Turn;
use crate::group::topics::TopicsView;

/// Why the target was not brought to the group's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// More members may join.
    InitialRebalance,
    /// The last assignment is too young.
    Interval,
}

impl Delay {
    /// What members are told.
    pub fn detail(self) -> &'static str {
        match self {
            Delay::InitialRebalance => "Assignment delayed due to the configured initial rebalance delay.",
            Delay::Interval => "Assignment delayed due to the configured assignment interval.",
        }
    }
}

impl StreamsGroup {
    /// Brings the target to the group's epoch, or says why not yet.
    pub(super) fn update_target(&mut self, settings: &GroupSettings, turn: &mut Turn<'_>) -> Option<Delay> {
        if self.target_epoch >= self.group_epoch {
            return None;
        }
        if turn.timers.deadline(&self.initial_rebalance_key()).is_some() {
            return Some(Delay::InitialRebalance);
        }
        let interval = i64::from(settings.assignment_interval_ms);
        if self.target_timestamp.is_some_and(|last| (0..interval).contains(&(turn.now.unix_ms - last))) {
            return Some(Delay::Interval);
        }
        for (member_id, tasks) in self.next_target(settings) {
            self.set_target(member_id, tasks, turn);
        }
        self.target_epoch = self.group_epoch;
        self.target_timestamp = Some(turn.now.unix_ms);
        tracing::debug!(group = %self.id, epoch = self.group_epoch, "new target assignment of tasks");
        let value = StreamsGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.target_epoch,
            assignment_timestamp: turn.now.unix_ms,
        };
        turn.effects.record(records::target(&self.id, Some(&value)));
        None
    }

    /// The wait for more members is over.
    pub fn on_initial_rebalance_timer(&mut self, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        if !self.members.is_empty() {
            let settings = turn.config.streams.of_group(&self.id, topics);
            self.update_target(&settings, turn);
        }
    }

    /// Nothing can run while topics are missing.
    fn next_target(&self, settings: &GroupSettings) -> BTreeMap<Arc<str>, Tasks> {
        match (&self.topology, &self.configured) {
            (Some(_), Some(configured)) if configured.is_ready() => assign(&self.spec(settings)),
            _ => self.members.keys().map(|member_id| (member_id.clone(), Tasks::default())).collect(),
        }
    }

    fn set_target(&mut self, member_id: Arc<str>, tasks: Tasks, turn: &mut Turn<'_>) {
        if self.target.get(&member_id) == Some(&tasks) {
            return;
        }
        turn.effects.record(records::target_member(&self.id, &member_id, Some(&tasks)));
        self.target.insert(member_id, tasks);
    }

    fn spec(&self, settings: &GroupSettings) -> GroupSpec {
        let mut spec = GroupSpec {
            standby_replicas: usize::try_from(settings.num_standby_replicas).unwrap_or(0),
            rack_aware_tags: settings.rack_aware_tags.clone(),
            ..GroupSpec::default()
        };
        for (subtopology_id, tasks) in self.configured.iter().flat_map(|configured| &configured.tasks) {
            let subtopology = self.topology.as_ref().and_then(|topology| topology.subtopology(subtopology_id));
            let stateful = subtopology.is_some_and(|subtopology| !subtopology.state_changelog_topics.is_empty());
            spec.subtopologies.insert(subtopology_id.clone(), SubtopologySpec { tasks: *tasks, stateful });
        }
        for (member_id, member) in &self.members {
            let member = MemberSpec {
                process_id: member.metadata.process_id.clone(),
                client_tags: member.metadata.client_tags.clone(),
                previous: self.target.get(member_id).cloned().unwrap_or_default(),
                task_offsets: member.task_offsets.clone(),
            };
            spec.members.insert(member_id.clone(), member);
        }
        spec
    }
}
