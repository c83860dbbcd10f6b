//! Which endpoint of the application serves the state of which partitions (interactive queries).

use milena_protocol::messages::streams_group_heartbeat_response::{Endpoint, PartitionsByUserEndpoint, TopicPartition};

use super::group::StreamsGroup;
use super::tasks::{TaskSet, by_subtopology};
use super::topology::sources;
use crate::group::topics::TopicsView;

impl StreamsGroup {
    /// The partitions behind the tasks of every member with an endpoint.
    pub(super) fn partitions_by_endpoint(&self, topics: &dyn TopicsView) -> Vec<PartitionsByUserEndpoint> {
        let members = self.members.values();
        members
            .filter_map(|member| {
                let (host, port) = member.metadata.user_endpoint.clone()?;
                let assigned = &member.holding.assigned;
                Some(PartitionsByUserEndpoint {
                    user_endpoint: Endpoint { host, port },
                    active_partitions: self.partitions_of(&assigned.active, topics),
                    standby_partitions: self.partitions_of(&assigned.standby, topics),
                })
            })
            .collect()
    }

    /// The partitions that tasks read: of each source topic those that it has.
    fn partitions_of(&self, tasks: &TaskSet, topics: &dyn TopicsView) -> Vec<TopicPartition> {
        let Some(topology) = &self.topology else { return Vec::new() };
        let mut partitions_of = Vec::new();
        for (subtopology_id, task_partitions) in by_subtopology(tasks) {
            for topic in topology.subtopology(subtopology_id).into_iter().flat_map(sources) {
                let Some(existing) = topics.topic(topic) else { continue };
                let partitions = task_partitions.iter().copied().filter(|partition| *partition < existing.partitions);
                partitions_of.push(TopicPartition { topic: topic.to_owned(), partitions: partitions.collect() });
            }
        }
        partitions_of
    }
}
