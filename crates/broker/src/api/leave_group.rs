//! LeaveGroup (key 13), versions 0-5.
//!
//! - v0-2 one member, its code is the response's; v3 a list with a code for each (KIP-345); v5 a reason
//! - a static member may be removed by its instance id alone

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::leave_group_request::Member;
use milena_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::context::{Broker, RequestContext};

/// Removes members from a group.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    mut request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        let error_code = ErrorCode::GroupAuthorizationFailed.code();
        return LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() };
    }
    let single = context.api_version < 3;
    if single {
        let member_id = std::mem::take(&mut request.member_id);
        request.members = vec![Member { member_id, ..Member::default() }];
    }
    match broker.groups.leave(request).await {
        Ok(members) if single => LeaveGroupResponse {
            error_code: members.first().map_or(0, |member| member.error_code),
            ..LeaveGroupResponse::default()
        },
        Ok(members) => LeaveGroupResponse { members, ..LeaveGroupResponse::default() },
        Err(code) => LeaveGroupResponse { error_code: code.code(), ..LeaveGroupResponse::default() },
    }
}
