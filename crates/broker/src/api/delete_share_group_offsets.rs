//! DeleteShareGroupOffsets (key 92), version 0 (KIP-932).
//!
//! Only for groups without members. The next member that subscribes to the topic begins by `share.auto.offset.reset`.

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::messages::delete_share_group_offsets_response::Response;
use milena_protocol::messages::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};
use crate::group::consumer::Refusal;
use crate::group::share::ShareTopic;
use crate::share::offsets;

/// Forgets where a share group stands in some topics.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DeleteShareGroupOffsetsRequest,
) -> DeleteShareGroupOffsetsResponse {
    match delete(broker, context, request).await {
        Ok(responses) => DeleteShareGroupOffsetsResponse { responses, ..DeleteShareGroupOffsetsResponse::default() },
        Err(refusal) => DeleteShareGroupOffsetsResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..DeleteShareGroupOffsetsResponse::default()
        },
    }
}

async fn delete(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DeleteShareGroupOffsetsRequest,
) -> Result<Vec<Response>, Refusal> {
    let group_id = request.group_id;
    if !broker.allows_group(context, AclOperation::Delete, &group_id) {
        return Err(ErrorCode::GroupAuthorizationFailed.into());
    }
    let known = broker
        .groups
        .share_topics_of_empty(group_id.clone())
        .await?
        .ok_or_else(|| Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {group_id} not found.")))?;
    let (mut responses, mut deleted) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let name = topic.topic_name;
        let answer = Response { topic_name: name.clone(), ..Response::default() };
        if !broker.allows_topic(context, AclOperation::Read, &name) {
            let code = ErrorCode::TopicAuthorizationFailed;
            let error_message = Some(code.message().to_owned());
            responses.push(Response { error_code: code.code(), error_message, ..answer });
            continue;
        }
        let Some(topic_id) = broker.image().topic(&name).map(|topic| topic.id) else {
            let code = ErrorCode::UnknownTopicOrPartition;
            let error_message = Some(code.message().to_owned());
            responses.push(Response { topic_id: Uuid::ZERO, error_code: code.code(), error_message, ..answer });
            continue;
        };
        let of_topic: Vec<ShareTopic> = known.iter().filter(|known| known.id == topic_id).cloned().collect();
        match offsets::delete_topics(broker, &group_id, &of_topic).await {
            Ok(()) => {
                deleted.push(name);
                responses.push(Response { topic_id, ..answer });
            }
            Err(refused) => {
                let (error_code, error_message) = (refused.code.code(), Some(refused.message));
                responses.push(Response { topic_id, error_code, error_message, ..answer });
            }
        }
    }
    if !deleted.is_empty() {
        broker.groups.share_state_deleted(group_id, deleted).await?;
    }
    Ok(responses)
}
