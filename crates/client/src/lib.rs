//! A Kafka client for tools and services.
//!
//! ```text
//!   tools, registry, Connect workers
//!      |            |            |
//!   Producer     Consumer   admin calls (impl Cluster)
//!      |            |            |
//!      |        Membership       |         classic groups: join, sync, heartbeat, leave
//!      +------------+------------+
//!                Cluster                   bootstrap, metadata, leaders, coordinators
//!                   |
//!               Connection                 one socket: TLS, SASL, version negotiation, pipelining
//! ```
//!
//! It speaks to any Kafka-compatible cluster: every request is sent in the highest version
//! that both sides know. Deliberately absent: code of the server.

pub mod admin;
pub mod config;
pub mod connection;
pub mod consumer;
pub mod error;
pub mod partitioner;
pub mod producer;
pub mod security;
pub mod share_consumer;

mod cluster;
mod own_connections;

pub use cluster::{Cluster, CoordinatorKind, Node, PartitionInfo, Retries, TopicInfo};
pub use config::ClientConfig;
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerConfig};
pub use error::{Error, Result};
pub use producer::{Producer, ProducerConfig};
pub use share_consumer::{ShareConsumer, ShareConsumerConfig};

/// A topic's name with a partition's number: the address of a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
