//! ShareGroupHeartbeat (key 76), version 1 (KIP-932).
//!
//! The first heartbeat that names a topic also initializes the state of its partitions; it is answered with the assignment
//! at once, where Kafka does both by the second heartbeat.

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

use crate::context::{Broker, RequestContext};
use crate::group::ClientIdentity;
use crate::share::offsets;

/// Keeps a member of a share group alive and tells it what to read.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    if let Err(code) = check(broker, context, &request) {
        return ShareGroupHeartbeatResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..ShareGroupHeartbeatResponse::default()
        };
    }
    let client = ClientIdentity::new(context.client_id.as_deref(), context.peer.ip());
    match offsets::heartbeat(broker, request, client).await {
        Ok(response) => response,
        Err(refusal) => ShareGroupHeartbeatResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..ShareGroupHeartbeatResponse::default()
        },
    }
}

fn check(broker: &Broker, context: &RequestContext, request: &ShareGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    offsets::check_enabled(broker)?;
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    let mut topics = request.subscribed_topic_names.iter().flatten();
    if topics.any(|topic| !broker.allows_topic(context, AclOperation::Describe, topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    Ok(())
}
