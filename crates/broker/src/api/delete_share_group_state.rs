//! DeleteShareGroupState (key 86), version 0 (KIP-932).
//!
//! Deleting state that does not exist is no error.

use std::sync::Arc;

use milena_protocol::messages::delete_share_group_state_response::{Partition, Result};
use milena_protocol::messages::{DeleteShareGroupStateRequest, DeleteShareGroupStateResponse};

use crate::context::{Broker, RequestContext};
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Deletes the state of share partitions.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DeleteShareGroupStateRequest,
) -> DeleteShareGroupStateResponse {
    let allowed = offsets::check_coordinator_access(broker, context);
    let group: Arc<str> = request.group_id.into();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let key =
                SharePartitionKey { group: group.clone(), topic_id: topic.topic_id, partition: partition.partition };
            let refused = match allowed.clone() {
                Ok(()) => offsets::delete_state(broker, &key).await.err(),
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
    DeleteShareGroupStateResponse { results }
}
