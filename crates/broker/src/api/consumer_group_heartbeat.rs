//! ConsumerGroupHeartbeat (key 68), versions 0-1 (KIP-848).
//!
//! - v0 lets the broker choose the member id; v1 wants the client's own, and knows `subscribed_topic_regex`
//! - a join makes a classic group of consumers one of this protocol, its members stay (`group.consumer.migration.policy`)

use std::sync::Arc;

use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::context::{Broker, RequestContext};
use crate::group::ClientIdentity;

/// Keeps a member of a consumer group alive and tells it what to read.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let client = ClientIdentity::new(context.client_id.as_deref(), context.peer.ip());
    match broker.groups.consumer_heartbeat(request, client, context.api_version).await {
        Ok(response) => response,
        Err(refusal) => ConsumerGroupHeartbeatResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..ConsumerGroupHeartbeatResponse::default()
        },
    }
}
