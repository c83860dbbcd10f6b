//! WriteTxnMarkers (key 27), versions 1-2.
//!
//! - between brokers this ends a transaction in the partitions of another leader; here it comes from `kafka-transactions
//!   abort`, which ends a transaction that hangs in one partition
//! - a marker of an older producer epoch or coordinator is refused (INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED)
//! - v2 tells the transaction version: under v2 a marker's epoch is above that of the records it ends (KIP-1228)

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::write_txn_markers_request::Marker as AskedMarker;
use milena_protocol::messages::write_txn_markers_response::{Marker, Partition, Topic};
use milena_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use crate::context::{Broker, RequestContext};
use crate::transaction;
use crate::transaction::ProducerIdAndEpoch;

/// The transaction version whose markers carry a greater epoch than the records.
const TRANSACTIONS_V2: i8 = 2;

/// Writes markers into partitions.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    // KIP-664 lets whoever may alter the cluster do so too.
    let allowed = broker.may(context, AclOperation::Alter, ResourceType::Cluster, CLUSTER_NAME)
        || broker.allows_cluster(context, AclOperation::ClusterAction);
    let mut markers = Vec::with_capacity(request.markers.len());
    for asked in request.markers {
        markers.push(write(broker, allowed, asked).await);
    }
    WriteTxnMarkersResponse { markers }
}

async fn write(broker: &Broker, allowed: bool, asked: AskedMarker) -> Marker {
    let marker = transaction::partitions::Marker {
        producer: ProducerIdAndEpoch { producer_id: asked.producer_id, producer_epoch: asked.producer_epoch },
        committed: asked.transaction_result,
        coordinator_epoch: asked.coordinator_epoch,
        v2: asked.transaction_version >= TRANSACTIONS_V2,
    };
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition_index in topic.partition_indexes {
            let written = match allowed {
                true => broker.transactions.write_marker(&topic.name, partition_index, &marker).await,
                false => Err(ErrorCode::ClusterAuthorizationFailed),
            };
            let error_code = written.err().unwrap_or(ErrorCode::None).code();
            partitions.push(Partition { partition_index, error_code });
        }
        topics.push(Topic { name: topic.name, partitions });
    }
    Marker { producer_id: asked.producer_id, topics }
}
