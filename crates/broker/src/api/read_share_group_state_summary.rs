//! ReadShareGroupStateSummary (key 87), versions 0-1 (KIP-932).
//!
//! State that was never initialized has start offset -1 and no error. v1 adds the number of finished records (KIP-1226).

use std::sync::Arc;

use milena_protocol::messages::read_share_group_state_summary_response::{Partition, Result};
use milena_protocol::messages::{ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse};

use crate::context::{Broker, RequestContext};
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Tells where share partitions begin.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ReadShareGroupStateSummaryRequest,
) -> ReadShareGroupStateSummaryResponse {
    let allowed = offsets::check_coordinator_access(broker, context);
    let group: Arc<str> = request.group_id.into();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let key =
                SharePartitionKey { group: group.clone(), topic_id: topic.topic_id, partition: partition.partition };
            let answer = Partition { partition: partition.partition, ..Partition::default() };
            let state = match allowed.clone() {
                Ok(()) => offsets::state_summary(broker, &key).await,
                Err(refused) => Err(refused),
            };
            partitions.push(match state {
                Ok(Some(state)) => Partition {
                    state_epoch: state.state_epoch,
                    leader_epoch: state.leader_epoch,
                    start_offset: state.start_offset,
                    delivery_complete_count: state.delivery_complete_count,
                    ..answer
                },
                Ok(None) => Partition { start_offset: -1, delivery_complete_count: -1, ..answer },
                Err(refused) => {
                    let error_message = Some(refused.message);
                    Partition { error_code: refused.code.code(), error_message, ..answer }
                }
            });
        }
        results.push(Result { topic_id: topic.topic_id, partitions });
    }
    ReadShareGroupStateSummaryResponse { results }
}
