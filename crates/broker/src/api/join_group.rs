//! JoinGroup (key 11), versions 0-9.
//!
//! - v1 adds the rebalance timeout; v4 requires a member id from dynamic members (KIP-394); v5 static members (KIP-345)
//! - v7 names the protocol type; v8 carries a reason; v9 `skip_assignment` for returning static leaders (KIP-814)
//! - the answer waits for the end of the join phase: a rebalance timeout at most

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::context::{Broker, RequestContext};
use crate::group::ClientIdentity;

/// Makes the client a member of the group's next generation.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.clone();
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        let code = ErrorCode::GroupAuthorizationFailed;
        return JoinGroupResponse { error_code: code.code(), generation_id: -1, ..JoinGroupResponse::default() };
    }
    let client = ClientIdentity::new(context.client_id.as_deref(), context.peer.ip());
    match broker.groups.join(request, client, context.api_version).await {
        Ok(response) => response,
        Err(code) => JoinGroupResponse {
            error_code: code.code(),
            // A member that has no place loses its id.
            member_id: if code == ErrorCode::GroupMaxSizeReached { String::new() } else { member_id },
            ..JoinGroupResponse::default()
        },
    }
}
