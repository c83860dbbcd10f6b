//! DescribeGroups (key 15), versions 0-6.
//!
//! - v3 authorized operations; v4 instance ids; v6 says GROUP_ID_NOT_FOUND (KIP-1043)
//! - below v6 an unknown group is `Dead` without an error; so is a group of the consumer protocol (see key 69)

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_groups_response::Group;
use milena_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use crate::authorized_operations::AuthorizedOperations;
use crate::context::{Broker, RequestContext};
use crate::group::shard::NotDescribed;

/// Describes classic groups.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let operations = AuthorizedOperations::new(broker, context, request.include_authorized_operations);
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        if !broker.allows_group(context, AclOperation::Describe, &group_id) {
            let error_code = ErrorCode::GroupAuthorizationFailed.code();
            groups.push(Group { error_code, group_id, ..Group::default() });
            continue;
        }
        let mut group = match broker.groups.describe_classic(group_id.clone()).await {
            Ok(Ok(group)) => group,
            Ok(Err(reason)) => dead(group_id, context.api_version, reason),
            Err(code) => Group { error_code: code.code(), group_id, ..Group::default() },
        };
        group.authorized_operations = operations.of_group(&group.group_id);
        groups.push(group);
    }
    DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }
}

fn dead(group_id: String, version: i16, reason: NotDescribed) -> Group {
    let group = Group { group_state: "Dead".to_owned(), ..Group::default() };
    if version < 6 {
        return Group { group_id, ..group };
    }
    let message = match reason {
        NotDescribed::Unknown => format!("Group {group_id} not found."),
        NotDescribed::OtherProtocol => format!("Group {group_id} is not a classic group."),
    };
    Group { error_code: ErrorCode::GroupIdNotFound.code(), error_message: Some(message), group_id, ..group }
}
