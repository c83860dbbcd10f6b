//! ConsumerGroupHeartbeat (key 68), versions 0-1 (KIP-848).
//!
//! - a regular expression matches the topics that the client may DESCRIBE
//! - v0 lets the broker choose the member id; v1 wants the client's own, and knows `subscribed_topic_regex`
//! - a join makes a classic group of consumers one of this protocol, its members stay (`group.consumer.migration.policy`)

use std::sync::Arc;

use milena_metadata::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::context::{Broker, RequestContext};
use crate::group::{ClientIdentity, TopicFilter};

/// Keeps a member of a consumer group alive and tells it what to read.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if let Some(code) = refusal(broker, context, &request) {
        return ConsumerGroupHeartbeatResponse { error_code: code.code(), ..Default::default() };
    }
    let client = ClientIdentity::new(context.client_id.as_deref(), context.peer.ip());
    let is_visible = visible_topics(broker, context);
    match broker.groups.consumer_heartbeat(request, client, is_visible, context.api_version).await {
        Ok(response) => response,
        Err(refusal) => ConsumerGroupHeartbeatResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..ConsumerGroupHeartbeatResponse::default()
        },
    }
}

/// What the client's regular expression may match.
fn visible_topics(broker: &Arc<Broker>, context: &RequestContext) -> TopicFilter {
    if !broker.authorizer.is_enabled() {
        return Box::new(|_| true);
    }
    let (broker, context) = (broker.clone(), context.clone());
    Box::new(move |topic| broker.may(&context, AclOperation::Describe, ResourceType::Topic, topic))
}

/// Why the client may not be a member, if it may not.
fn refusal(broker: &Broker, context: &RequestContext, request: &ConsumerGroupHeartbeatRequest) -> Option<ErrorCode> {
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return Some(ErrorCode::GroupAuthorizationFailed);
    }
    let mut topics = request.subscribed_topic_names.iter().flatten();
    let seen = topics.all(|topic| broker.allows_topic(context, AclOperation::Describe, topic));
    (!seen).then_some(ErrorCode::TopicAuthorizationFailed)
}
