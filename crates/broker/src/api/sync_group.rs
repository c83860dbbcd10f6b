//! SyncGroup (key 14), versions 0-5.
//!
//! - v3 static members (KIP-345); v5 checks protocol type and name (KIP-559)
//! - a follower's answer waits for the leader's assignments

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::context::{Broker, RequestContext};

/// Takes the leader's assignments; gives each member its own.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        let error_code = ErrorCode::GroupAuthorizationFailed.code();
        return SyncGroupResponse { error_code, ..SyncGroupResponse::default() };
    }
    match broker.groups.sync(request).await {
        Ok(response) => response,
        Err(code) => SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() },
    }
}
