//! ReadShareGroupState (key 84), version 0 (KIP-932).
//!
//! A reader with a newer leader epoch fences the writers of older ones.

use std::sync::Arc;

use milena_protocol::messages::read_share_group_state_response::{Partition, Result, StateBatch as ReadBatch};
use milena_protocol::messages::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};

use crate::context::{Broker, RequestContext};
use crate::share::coordinator::StateBatch;
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Tells where share partitions stand.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ReadShareGroupStateRequest,
) -> ReadShareGroupStateResponse {
    let allowed = offsets::check_coordinator_access(broker, context);
    let group: Arc<str> = request.group_id.into();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let key =
                SharePartitionKey { group: group.clone(), topic_id: topic.topic_id, partition: partition.partition };
            let state = match allowed.clone() {
                Ok(()) => offsets::read_state(broker, &key, partition.leader_epoch).await,
                Err(refused) => Err(refused),
            };
            partitions.push(match state {
                Ok(state) => Partition {
                    partition: partition.partition,
                    state_epoch: state.state_epoch,
                    start_offset: state.start_offset,
                    state_batches: state.batches.iter().map(state_batch).collect(),
                    ..Partition::default()
                },
                Err(refused) => Partition {
                    partition: partition.partition,
                    error_code: refused.code.code(),
                    error_message: Some(refused.message),
                    ..Partition::default()
                },
            });
        }
        results.push(Result { topic_id: topic.topic_id, partitions });
    }
    ReadShareGroupStateResponse { results }
}

fn state_batch(batch: &StateBatch) -> ReadBatch {
    ReadBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    }
}
