//! What StreamsGroupDescribe says about a group.

use milena_protocol::messages::streams_group_describe_response::{
    Assignment, Endpoint, Group, KeyValue, Member, Subtopology, TaskIds, TaskOffset, TopicInfo, Topology,
};
use milena_protocol::messages::streams_group_topology_value as stored;

use super::assign::STICKY;
use super::group::StreamsGroup;
use super::internal_topics::Configured;
use super::member::StreamsMember;
use super::tasks::{TaskId, TaskSet, Tasks, task_lists};

impl StreamsGroup {
    /// Epochs, the topology, and each member's current and target assignment.
    pub fn describe(&self) -> Group {
        Group {
            group_id: self.id.to_string(),
            group_state: self.state_name().to_owned(),
            group_epoch: self.group_epoch,
            assignment_epoch: self.target_epoch,
            topology: self.describe_topology(),
            members: self.members.values().map(|member| self.describe_member(member)).collect(),
            assignor_name: Some(STICKY.to_owned()),
            ..Group::default()
        }
    }

    fn describe_topology(&self) -> Option<Topology> {
        let topology = self.topology.as_ref()?;
        let configured = self.configured.as_ref().filter(|configured| configured.is_ready());
        let subtopologies = topology.subtopologies().iter();
        Some(Topology {
            epoch: topology.epoch(),
            subtopologies: Some(subtopologies.map(|it| describe_subtopology(it, configured)).collect()),
        })
    }

    fn describe_member(&self, member: &StreamsMember) -> Member {
        let metadata = &member.metadata;
        let target = self.target.get(&member.member_id).cloned().unwrap_or_default();
        let tags = metadata.client_tags.iter();
        Member {
            member_id: member.member_id.to_string(),
            member_epoch: member.holding.member_epoch,
            instance_id: None,
            rack_id: metadata.rack_id.clone(),
            client_id: metadata.client.client_id.clone(),
            client_host: metadata.client.client_host.clone(),
            topology_epoch: metadata.topology_epoch,
            process_id: metadata.process_id.clone(),
            user_endpoint: metadata.user_endpoint.clone().map(|(host, port)| Endpoint { host, port }),
            client_tags: tags.map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect(),
            task_offsets: described_offsets(member.task_offsets.iter()),
            task_end_offsets: described_offsets(member.task_end_offsets.iter()),
            assignment: described_tasks(&member.holding.assigned),
            target_assignment: described_tasks(&target),
            is_classic: false,
        }
    }
}

/// A subtopology; its internal topics have the number of partitions that was decided, once the topics are right.
fn describe_subtopology(subtopology: &stored::Subtopology, configured: Option<&Configured>) -> Subtopology {
    let topics = |topics: &[stored::TopicInfo]| -> Vec<TopicInfo> {
        topics.iter().map(|topic| describe_topic(topic, configured)).collect()
    };
    Subtopology {
        subtopology_id: subtopology.subtopology_id.clone(),
        source_topics: subtopology.source_topics.clone(),
        repartition_sink_topics: subtopology.repartition_sink_topics.clone(),
        state_changelog_topics: topics(&subtopology.state_changelog_topics),
        repartition_source_topics: topics(&subtopology.repartition_source_topics),
    }
}

fn describe_topic(topic: &stored::TopicInfo, configured: Option<&Configured>) -> TopicInfo {
    let decided = configured.and_then(|configured| configured.partitions.get(&topic.name).copied());
    let configs = topic.topic_configs.iter();
    TopicInfo {
        name: topic.name.clone(),
        partitions: decided.unwrap_or(topic.partitions),
        replication_factor: topic.replication_factor,
        topic_configs: configs
            .map(|config| KeyValue { key: config.key.clone(), value: config.value.clone() })
            .collect(),
    }
}

fn described_tasks(tasks: &Tasks) -> Assignment {
    let listed =
        |tasks: &TaskSet| task_lists(tasks, |subtopology_id, partitions| TaskIds { subtopology_id, partitions });
    Assignment {
        active_tasks: listed(&tasks.active),
        standby_tasks: listed(&tasks.standby),
        warmup_tasks: listed(&tasks.warmup),
    }
}

fn described_offsets<'a>(offsets: impl Iterator<Item = (&'a TaskId, &'a i64)>) -> Vec<TaskOffset> {
    offsets
        .map(|(task, offset)| TaskOffset {
            subtopology_id: task.subtopology_id.clone(),
            partition: task.partition,
            offset: *offset,
        })
        .collect()
}
