//! WriteShareGroupState (key 85), versions 0-1 (KIP-932).
//!
//! v1 adds the number of records at or above the start offset that nobody needs any more (KIP-1226).

use std::sync::Arc;

use milena_protocol::messages::write_share_group_state_response::{Partition, Result};
use milena_protocol::messages::{
    WriteShareGroupStateRequest, WriteShareGroupStateResponse, write_share_group_state_request,
};

use crate::context::{Broker, RequestContext};
use crate::share::coordinator::{StateBatch, StateWrite};
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Changes where share partitions stand; answered when that is on disk.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: WriteShareGroupStateRequest,
) -> WriteShareGroupStateResponse {
    let allowed = offsets::check_coordinator_access(broker, context);
    let group: Arc<str> = request.group_id.into();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let key =
                SharePartitionKey { group: group.clone(), topic_id: topic.topic_id, partition: partition.partition };
            let index = partition.partition;
            let refused = match allowed.clone() {
                Ok(()) => offsets::write_state(broker, &key, &state_write(partition)).await.err(),
                Err(refused) => Some(refused),
            };
            partitions.push(Partition {
                partition: index,
                error_code: refused.as_ref().map_or(0, |refused| refused.code.code()),
                error_message: refused.map(|refused| refused.message),
            });
        }
        results.push(Result { topic_id: topic.topic_id, partitions });
    }
    WriteShareGroupStateResponse { results }
}

fn state_write(partition: write_share_group_state_request::Partition) -> StateWrite {
    StateWrite {
        state_epoch: partition.state_epoch,
        leader_epoch: partition.leader_epoch,
        start_offset: partition.start_offset,
        delivery_complete_count: partition.delivery_complete_count,
        batches: partition
            .state_batches
            .into_iter()
            .map(|batch| StateBatch {
                first_offset: batch.first_offset,
                last_offset: batch.last_offset,
                delivery_state: batch.delivery_state,
                delivery_count: batch.delivery_count,
            })
            .collect(),
    }
}
