//! Heartbeat (key 12), versions 0-4.
//!
//! - v3 static members (KIP-345)
//! - REBALANCE_IN_PROGRESS asks the member to join again and still refreshes its session

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::context::{Broker, RequestContext};

/// Keeps the member's session alive.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return HeartbeatResponse { error_code: ErrorCode::GroupAuthorizationFailed.code(), ..Default::default() };
    }
    let code = broker.groups.heartbeat(request).await.err().unwrap_or(ErrorCode::None);
    HeartbeatResponse { error_code: code.code(), ..HeartbeatResponse::default() }
}
