//! InitializeShareGroupState (key 83), version 0 (KIP-932).
//!
//! Between brokers in Kafka; here the group coordinator asks the share coordinator directly, and this API is for tools.

use std::sync::Arc;

use milena_protocol::messages::initialize_share_group_state_response::{Partition, Result};
use milena_protocol::messages::{InitializeShareGroupStateRequest, InitializeShareGroupStateResponse};

use crate::context::{Broker, RequestContext};
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Gives share partitions a new state.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: InitializeShareGroupStateRequest,
) -> InitializeShareGroupStateResponse {
    let allowed = offsets::check_coordinator_access(broker, context);
    let group: Arc<str> = request.group_id.into();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let key =
                SharePartitionKey { group: group.clone(), topic_id: topic.topic_id, partition: partition.partition };
            let refused = match allowed.clone().and_then(|()| offsets::check_key(broker, &key)) {
                Ok(()) => {
                    offsets::initialize_state(broker, &key, partition.state_epoch, partition.start_offset).await.err()
                }
                Err(refused) => Some(refused),
            };
            partitions.push(Partition {
                partition: partition.partition,
                error_code: refused.as_ref().map_or(0, |refused| refused.code.code()),
                error_message: refused.map(|refused| refused.message),
            });
        }
        results.push(Result { topic_id: topic.topic_id, partitions });
    }
    InitializeShareGroupStateResponse { results }
}
