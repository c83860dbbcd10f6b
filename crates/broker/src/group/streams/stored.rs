//! Rebuilding a streams group from its records, in the order of the log.

use std::collections::BTreeMap;

use milena_protocol::messages::{
    StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataValue, StreamsGroupTargetAssignmentMemberValue,
    streams_group_current_member_assignment_value as current,
};

use super::group::StreamsGroup;
use super::member::{Holding, MemberMetadata, MemberState, StreamsMember};
use super::records::StreamsRecord;
use super::tasks::{TaskId, TaskSet, Tasks, task_set};
use super::topology::Topology;
use crate::group::client::ClientIdentity;

impl StreamsGroup {
    /// Takes over one record.
    pub fn load(&mut self, record: StreamsRecord) {
        match record {
            StreamsRecord::Group(_, None) => {}
            StreamsRecord::Group(_, Some(value)) => {
                self.group_epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
                self.validated_topology_epoch = value.validated_topology_epoch;
                let configs = value.last_assignment_configs.unwrap_or_default().into_iter();
                self.assignment_configs = configs.map(|config| (config.key, config.value)).collect();
            }
            StreamsRecord::Member(_, member_id, value) => self.load_member(&member_id, value),
            StreamsRecord::Target(_, value) => {
                let value = value.unwrap_or_default();
                self.target_epoch = value.assignment_epoch;
                self.target_timestamp = Some(value.assignment_timestamp).filter(|timestamp| *timestamp > 0);
            }
            StreamsRecord::TargetMember(_, member_id, None) => {
                self.target.remove(member_id.as_str());
            }
            StreamsRecord::TargetMember(_, member_id, Some(value)) => {
                self.target.insert(member_id.into(), target_tasks(&value));
            }
            StreamsRecord::Current(_, member_id, value) => self.load_holding(&member_id, value),
            StreamsRecord::Topology(_, value) => self.topology = value.map(Topology::from_stored),
        }
    }

    fn load_member(&mut self, member_id: &str, value: Option<StreamsGroupMemberMetadataValue>) {
        let Some(value) = value else {
            self.members.remove(member_id);
            return;
        };
        self.loaded_member(member_id).metadata = MemberMetadata {
            rack_id: value.rack_id,
            client: ClientIdentity { client_id: value.client_id, client_host: value.client_host },
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            topology_epoch: value.topology_epoch,
            process_id: value.process_id,
            user_endpoint: value.user_endpoint.map(|endpoint| (endpoint.host, endpoint.port)),
            client_tags: value.client_tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        };
    }

    fn load_holding(&mut self, member_id: &str, value: Option<StreamsGroupCurrentMemberAssignmentValue>) {
        // A tombstone of a member that compaction has removed already must not bring it back.
        let Some(value) = value else {
            if let Some(member) = self.members.get_mut(member_id) {
                member.holding = Holding::default();
            }
            return;
        };
        self.loaded_member(member_id).holding = holding(&value);
    }

    /// Compaction may leave a member's records in any order.
    fn loaded_member(&mut self, member_id: &str) -> &mut StreamsMember {
        let client = ClientIdentity { client_id: String::new(), client_host: String::new() };
        self.members.entry(member_id.into()).or_insert_with(|| StreamsMember::new(member_id.into(), client))
    }
}

fn target_tasks(value: &StreamsGroupTargetAssignmentMemberValue) -> Tasks {
    let set = |lists: &[milena_protocol::messages::streams_group_target_assignment_member_value::TaskIds]| {
        task_set(lists.iter().map(|list| (list.subtopology_id.as_str(), list.partitions.as_slice())))
    };
    Tasks { active: set(&value.active_tasks), standby: set(&value.standby_tasks), warmup: set(&value.warmup_tasks) }
}

fn holding(value: &StreamsGroupCurrentMemberAssignmentValue) -> Holding {
    let set = |lists: &[current::TaskIds]| -> TaskSet {
        task_set(lists.iter().map(|list| (list.subtopology_id.as_str(), list.partitions.as_slice())))
    };
    let active = value.active_tasks.iter().chain(&value.active_tasks_pending_revocation);
    let assignment_epochs: BTreeMap<TaskId, i32> = active
        .flat_map(|list| {
            let epochs = list.assignment_epochs.iter().flatten().copied();
            // Records of older releases have no epochs.
            let epochs = epochs.chain(std::iter::repeat(value.member_epoch));
            list.partitions
                .iter()
                .zip(epochs)
                .map(|(partition, epoch)| (TaskId::new(&list.subtopology_id, *partition), epoch))
        })
        .collect();
    Holding {
        member_epoch: value.member_epoch,
        previous_member_epoch: value.previous_member_epoch,
        state: MemberState::from_stored(value.state),
        assigned: Tasks {
            active: set(&value.active_tasks),
            standby: set(&value.standby_tasks),
            warmup: set(&value.warmup_tasks),
        },
        pending_revocation: Tasks {
            active: set(&value.active_tasks_pending_revocation),
            standby: set(&value.standby_tasks_pending_revocation),
            warmup: set(&value.warmup_tasks_pending_revocation),
        },
        assignment_epochs,
    }
}
