//! StreamsGroupDescribe (key 89), versions 0-1 (KIP-1071).
//!
//! - streams groups only; for any other name the answer is GROUP_ID_NOT_FOUND
//! - a topology with topics that the client may not DESCRIBE is not shown: TOPIC_AUTHORIZATION_FAILED
//! - v1 names the assignor; topology descriptions are not kept, so there is never one to include

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_describe_response::Group;
use milena_protocol::messages::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};

use super::streams_group_heartbeat::is_enabled;
use crate::authorized_operations::AuthorizedOperations;
use crate::context::{Broker, RequestContext};
use crate::group::shard::NotDescribed;

/// Describes streams groups.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: StreamsGroupDescribeRequest,
) -> StreamsGroupDescribeResponse {
    let operations = AuthorizedOperations::new(broker, context, request.include_authorized_operations);
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let mut group = describe(broker, context, group_id).await;
        if group.error_code == 0 {
            group.authorized_operations = operations.of_group(&group.group_id);
        }
        groups.push(group);
    }
    StreamsGroupDescribeResponse { groups, ..StreamsGroupDescribeResponse::default() }
}

async fn describe(broker: &Arc<Broker>, context: &RequestContext, group_id: String) -> Group {
    if !is_enabled(broker) {
        return refused(ErrorCode::UnsupportedVersion, None, group_id);
    }
    if !broker.allows_group(context, AclOperation::Describe, &group_id) {
        return refused(ErrorCode::GroupAuthorizationFailed, None, group_id);
    }
    let group = match broker.groups.describe_streams(group_id.clone()).await {
        Ok(Ok(group)) => group,
        Ok(Err(NotDescribed::Unknown)) => {
            return refused(ErrorCode::GroupIdNotFound, Some(format!("Group {group_id} not found.")), group_id);
        }
        Ok(Err(NotDescribed::OtherProtocol)) => {
            let message = format!("Group {group_id} is not a streams group.");
            return refused(ErrorCode::GroupIdNotFound, Some(message), group_id);
        }
        Err(code) => return refused(code, None, group_id),
    };
    if shows_hidden_topics(broker, context, &group) {
        let message = "The described group uses topics that the client is not authorized to describe.".to_owned();
        return refused(ErrorCode::TopicAuthorizationFailed, Some(message), group.group_id);
    }
    group
}

fn shows_hidden_topics(broker: &Broker, context: &RequestContext, group: &Group) -> bool {
    let subtopologies = group.topology.iter().flat_map(|topology| topology.subtopologies.iter().flatten());
    let mut topics = subtopologies.flat_map(|subtopology| {
        let internal = subtopology.state_changelog_topics.iter().chain(&subtopology.repartition_source_topics);
        let users = subtopology.source_topics.iter().chain(&subtopology.repartition_sink_topics);
        users.chain(internal.map(|topic| &topic.name))
    });
    topics.any(|topic| !broker.allows_topic(context, AclOperation::Describe, topic))
}

fn refused(code: ErrorCode, error_message: Option<String>, group_id: String) -> Group {
    Group { error_code: code.code(), error_message, group_id, ..Group::default() }
}
