//! CreatePartitions (key 37), versions 0-3.
//!
//! - topics only grow; the count is the total after the change
//! - the partitions exist before the answer, so `TimeoutMs` is never reached

use std::sync::Arc;

use milena_metadata::NewPartitions;
use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_partitions_request::Topic as Asked;
use milena_protocol::messages::create_partitions_response::Result as TopicResult;
use milena_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::context::{Broker, RequestContext};
use crate::quota::THROTTLED_MESSAGE;

/// First version that knows THROTTLING_QUOTA_EXCEEDED (KIP-599).
const STRICT_QUOTA_SINCE: i16 = 3;

/// Adds partitions to topics, each by itself.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    mut request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let not_allowed = broker
        .take_refused(&mut request.topics, |topic| broker.allows_topic(context, AclOperation::Alter, &topic.name))
        .into_iter()
        .map(|topic| TopicResult {
            name: topic.name,
            error_code: ErrorCode::TopicAuthorizationFailed.code(),
            error_message: None,
        });
    let mut quota = broker.quotas.mutations(context, context.api_version >= STRICT_QUOTA_SINCE);
    let throttled = quota.refuse(&mut request.topics, |topic| added_partitions(broker, topic));
    context.flow.throttle(quota.throttle_ms());
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let asked = request.topics.into_iter().map(new_partitions).collect();
    let grown = broker.controller.create_partitions(asked, request.validate_only).await;
    let results = names.into_iter().zip(grown).map(|(name, grown)| match grown {
        Ok(()) => TopicResult { name, ..Default::default() },
        Err(error) => {
            TopicResult { name, error_code: error.error_code().code(), error_message: Some(error.to_string()) }
        }
    });
    let throttled = throttled.into_iter().map(|topic| TopicResult {
        name: topic.name,
        error_code: ErrorCode::ThrottlingQuotaExceeded.code(),
        error_message: Some(THROTTLED_MESSAGE.to_owned()),
    });
    CreatePartitionsResponse { results: results.chain(throttled).chain(not_allowed).collect(), ..Default::default() }
}

fn added_partitions(broker: &Broker, asked: &Asked) -> usize {
    let before = broker.image().topic(&asked.name).map_or(0, |topic| topic.partitions.len());
    usize::try_from(asked.count).unwrap_or(0).saturating_sub(before)
}

fn new_partitions(asked: Asked) -> NewPartitions {
    NewPartitions {
        topic: asked.name,
        total_count: asked.count,
        assignments: asked
            .assignments
            .map(|assignments| assignments.into_iter().map(|assignment| assignment.broker_ids).collect()),
    }
}
