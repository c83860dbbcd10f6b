//! DescribeQuorum (key 55), versions 0-2 (KIP-595, KIP-836, KIP-853).
//!
//! - the metadata is kept by this node alone: it is leader and only voter, and there are no observers
//! - the revision of the metadata store stands for the offset of `__cluster_metadata`: it grows with every change
//! - v2 names the node's endpoints; metadata is changed through the listeners of clients, so those are told

use std::sync::Arc;

use milena_log::MetaProperties;
use milena_metadata::AclOperation;
use milena_protocol::messages::describe_quorum_request::Topic as Asked;
use milena_protocol::messages::describe_quorum_response::{Listener, Node, Partition, ReplicaState, Topic};
use milena_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};

/// The topic whose quorum can be asked for.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// One leader since the cluster was made.
const LEADER_EPOCH: i32 = 1;

/// Describes the quorum of one.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    if !broker.allows_cluster(context, AclOperation::Describe) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return DescribeQuorumResponse { error_code, ..Default::default() };
    }
    let quorum = Quorum::of(broker);
    let topics = request.topics.into_iter().map(|asked| quorum.topic(asked)).collect();
    DescribeQuorumResponse { topics, nodes: vec![node(broker)], ..Default::default() }
}

struct Quorum {
    node_id: i32,
    directory_id: Uuid,
    log_end_offset: i64,
    now_ms: i64,
}

impl Quorum {
    fn of(broker: &Broker) -> Quorum {
        let properties = broker.config.log_dirs.first().and_then(|dir| MetaProperties::load(dir).ok().flatten());
        let directory_id = properties.and_then(|properties| properties.directory_id?.parse().ok());
        Quorum {
            node_id: broker.node_id(),
            directory_id: directory_id.unwrap_or(Uuid::ZERO),
            log_end_offset: i64::try_from(broker.image().revision).unwrap_or(i64::MAX),
            now_ms: broker.clock.now_ms(),
        }
    }

    fn topic(&self, asked: Asked) -> Topic {
        let partitions = asked.partitions.iter().map(|partition| {
            if asked.topic_name == METADATA_TOPIC && partition.partition_index == 0 {
                self.metadata_partition()
            } else {
                let code = ErrorCode::UnknownTopicOrPartition;
                Partition { partition_index: partition.partition_index, error_code: code.code(), ..Default::default() }
            }
        });
        Topic { partitions: partitions.collect(), topic_name: asked.topic_name }
    }

    fn metadata_partition(&self) -> Partition {
        Partition {
            leader_id: self.node_id,
            leader_epoch: LEADER_EPOCH,
            high_watermark: self.log_end_offset,
            current_voters: vec![ReplicaState {
                replica_id: self.node_id,
                replica_directory_id: self.directory_id,
                log_end_offset: self.log_end_offset,
                last_fetch_timestamp: self.now_ms,
                last_caught_up_timestamp: self.now_ms,
            }],
            ..Default::default()
        }
    }
}

fn node(broker: &Broker) -> Node {
    let listeners = broker.listeners.iter().map(|listener| Listener {
        name: listener.name.clone(),
        host: listener.advertised_host.clone(),
        port: listener.advertised_port,
    });
    Node { node_id: broker.node_id(), listeners: listeners.collect() }
}
