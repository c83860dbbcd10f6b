//! ConsumerGroupDescribe (key 69), versions 0-1 (KIP-848).
//!
//! Groups of the consumer protocol only; for any other name the answer is GROUP_ID_NOT_FOUND and clients fall back to
//! DescribeGroups. v1 adds the type of each member.

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::consumer_group_describe_response::Group;
use milena_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use crate::authorized_operations::AuthorizedOperations;
use crate::context::{Broker, RequestContext};
use crate::group::shard::NotDescribed;

/// Describes consumer groups.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let operations = AuthorizedOperations::new(broker, context, request.include_authorized_operations);
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        if !broker.allows_group(context, AclOperation::Describe, &group_id) {
            groups.push(refused(ErrorCode::GroupAuthorizationFailed, None, group_id));
            continue;
        }
        let mut group = match broker.groups.describe_consumer(group_id.clone()).await {
            Ok(Ok(group)) => group,
            Ok(Err(NotDescribed::Unknown)) => {
                refused(ErrorCode::GroupIdNotFound, Some(format!("Group {group_id} not found.")), group_id)
            }
            Ok(Err(NotDescribed::OtherProtocol)) => {
                let message = format!("Group {group_id} is not a consumer group.");
                refused(ErrorCode::GroupIdNotFound, Some(message), group_id)
            }
            Err(code) => refused(code, None, group_id),
        };
        if !may_see_topics(broker, context, &group) {
            let message = "The group has described topic(s) that the client is not authorized to describe.";
            group = refused(ErrorCode::TopicAuthorizationFailed, Some(message.to_owned()), group.group_id);
        }
        group.authorized_operations = operations.of_group(&group.group_id);
        groups.push(group);
    }
    ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
}

/// Whether the client may know of every topic that a member reads.
fn may_see_topics(broker: &Broker, context: &RequestContext, group: &Group) -> bool {
    if !broker.authorizer.is_enabled() {
        return true;
    }
    let assigned = group.members.iter().flat_map(|member| [&member.assignment, &member.target_assignment]);
    let assigned = assigned.flat_map(|assignment| &assignment.topic_partitions).map(|topic| &topic.topic_name);
    let subscribed = group.members.iter().flat_map(|member| &member.subscribed_topic_names);
    assigned.chain(subscribed).all(|topic| broker.allows_topic(context, AclOperation::Describe, topic))
}

fn refused(code: ErrorCode, error_message: Option<String>, group_id: String) -> Group {
    Group { error_code: code.code(), error_message, group_id, ..Group::default() }
}
