//! The topology of an application: its subtopologies and the topics that each reads, writes and logs its state to.

use std::collections::BTreeSet;

use milena_protocol::messages::streams_group_heartbeat_request as request;
use milena_protocol::messages::streams_group_topology_value::{CopartitionGroup, Subtopology, TopicConfig, TopicInfo};
use milena_protocol::messages::{StreamsGroupTopologyValue, streams_group_heartbeat_request};

/// A topology, in the form in which it is stored. Two of them are equal whatever the order of their subtopologies was.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology(StreamsGroupTopologyValue);

impl Topology {
    /// A topology read back from its record.
    pub fn from_stored(mut value: StreamsGroupTopologyValue) -> Self {
        value.subtopologies.sort_by(|a, b| a.subtopology_id.cmp(&b.subtopology_id));
        Topology(value)
    }

    /// What a member sent.
    pub fn from_request(topology: &streams_group_heartbeat_request::Topology) -> Self {
        let subtopologies = topology.subtopologies.iter().map(stored_subtopology).collect();
        Topology::from_stored(StreamsGroupTopologyValue { epoch: topology.epoch, subtopologies })
    }

    /// The value of its record.
    pub fn stored(&self) -> &StreamsGroupTopologyValue {
        &self.0
    }

    /// The application's number for this version of it.
    pub fn epoch(&self) -> i32 {
        self.0.epoch
    }

    /// The subtopologies by id.
    pub fn subtopologies(&self) -> &[Subtopology] {
        &self.0.subtopologies
    }

    /// The subtopology with this id.
    pub fn subtopology(&self, subtopology_id: &str) -> Option<&Subtopology> {
        self.0.subtopologies.iter().find(|subtopology| subtopology.subtopology_id == subtopology_id)
    }

    /// The subtopology that reads `topic`.
    pub fn reader_of(&self, topic: &str) -> Option<&Subtopology> {
        self.0.subtopologies.iter().find(|subtopology| sources(subtopology).any(|source| source == topic))
    }

    /// Every topic that must exist before a task can run, in order.
    pub fn required_topics(&self) -> BTreeSet<String> {
        let subtopologies = self.0.subtopologies.iter();
        subtopologies
            .flat_map(|subtopology| {
                let changelogs = subtopology.state_changelog_topics.iter().map(|topic| topic.name.as_str());
                sources(subtopology).chain(changelogs)
            })
            .map(str::to_owned)
            .collect()
    }
}

/// The topics that a subtopology reads: those of users first, then repartition topics.
pub fn sources(subtopology: &Subtopology) -> impl Iterator<Item = &str> {
    let repartition = subtopology.repartition_source_topics.iter().map(|topic| topic.name.as_str());
    subtopology.source_topics.iter().map(String::as_str).chain(repartition)
}

/// Every topic that a request's topology names.
pub fn named_topics(topology: &streams_group_heartbeat_request::Topology) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for subtopology in &topology.subtopologies {
        names.extend(subtopology.source_topics.iter().map(String::as_str));
        names.extend(subtopology.repartition_sink_topics.iter().map(String::as_str));
        names.extend(subtopology.repartition_source_topics.iter().map(|topic| topic.name.as_str()));
        names.extend(subtopology.state_changelog_topics.iter().map(|topic| topic.name.as_str()));
    }
    names
}

fn stored_subtopology(subtopology: &request::Subtopology) -> Subtopology {
    Subtopology {
        subtopology_id: subtopology.subtopology_id.clone(),
        source_topics: subtopology.source_topics.clone(),
        source_topic_regex: subtopology.source_topic_regex.clone(),
        state_changelog_topics: subtopology.state_changelog_topics.iter().map(stored_topic).collect(),
        repartition_sink_topics: subtopology.repartition_sink_topics.clone(),
        repartition_source_topics: subtopology.repartition_source_topics.iter().map(stored_topic).collect(),
        copartition_groups: subtopology.copartition_groups.iter().map(stored_copartition_group).collect(),
    }
}

fn stored_copartition_group(group: &request::CopartitionGroup) -> CopartitionGroup {
    CopartitionGroup {
        source_topics: group.source_topics.clone(),
        source_topic_regex: group.source_topic_regex.clone(),
        repartition_source_topics: group.repartition_source_topics.clone(),
    }
}

fn stored_topic(topic: &request::TopicInfo) -> TopicInfo {
    let configs = topic.topic_configs.iter();
    TopicInfo {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        topic_configs: configs
            .map(|config| TopicConfig { key: config.key.clone(), value: config.value.clone() })
            .collect(),
    }
}
