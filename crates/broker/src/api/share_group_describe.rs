//! ShareGroupDescribe (key 77), version 1 (KIP-932).
//!
//! Share groups only; for any other name the answer is GROUP_ID_NOT_FOUND.

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::share_group_describe_response::Group;
use milena_protocol::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};

use crate::authorized_operations::AuthorizedOperations;
use crate::context::{Broker, RequestContext};
use crate::group::shard::NotDescribed;

/// Describes share groups.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ShareGroupDescribeRequest,
) -> ShareGroupDescribeResponse {
    let operations = AuthorizedOperations::new(broker, context, request.include_authorized_operations);
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        if !broker.allows_group(context, AclOperation::Describe, &group_id) {
            groups.push(refused(ErrorCode::GroupAuthorizationFailed, None, group_id));
            continue;
        }
        let mut group = match broker.groups.describe_share(group_id.clone()).await {
            Ok(Ok(group)) => group,
            Ok(Err(NotDescribed::Unknown)) => {
                refused(ErrorCode::GroupIdNotFound, Some(format!("Group {group_id} not found.")), group_id)
            }
            Ok(Err(NotDescribed::OtherProtocol)) => {
                let message = format!("Group {group_id} is not a share group.");
                refused(ErrorCode::GroupIdNotFound, Some(message), group_id)
            }
            Err(code) => refused(code, None, group_id),
        };
        if reads_hidden_topics(broker, context, &group) {
            let message = "The group has described topic(s) that the client is not authorized to describe.".to_owned();
            groups.push(refused(ErrorCode::TopicAuthorizationFailed, Some(message), group.group_id));
            continue;
        }
        group.authorized_operations = operations.of_group(&group.group_id);
        groups.push(group);
    }
    ShareGroupDescribeResponse { groups, ..ShareGroupDescribeResponse::default() }
}

fn reads_hidden_topics(broker: &Broker, context: &RequestContext, group: &Group) -> bool {
    let members = group.members.iter();
    let assigned = members.flat_map(|member| &member.assignment.topic_partitions).map(|topic| &topic.topic_name);
    let mut topics = group.members.iter().flat_map(|member| &member.subscribed_topic_names).chain(assigned);
    topics.any(|topic| !broker.allows_topic(context, AclOperation::Describe, topic))
}

fn refused(code: ErrorCode, error_message: Option<String>, group_id: String) -> Group {
    Group { error_code: code.code(), error_message, group_id, ..Group::default() }
}
