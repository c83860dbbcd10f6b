//! DeleteTopics (key 20), versions 0-6.
//!
//! - v6 names topics or topic ids (KIP-516); an entry with both, or with neither, makes the whole request invalid
//! - `delete.topic.enable=false`: TOPIC_DELETION_DISABLED from v3 on, INVALID_REQUEST before
//! - a topic is gone before the answer, so `TimeoutMs` is never reached and the name can be used again at once

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::{ControllerError, TopicSelector};
use milena_protocol::messages::delete_topics_request::Topic as Asked;
use milena_protocol::messages::delete_topics_response::Response;
use milena_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};
use crate::quota::THROTTLED_MESSAGE;

/// First version that knows topic ids.
const IDS_SINCE: i16 = 6;
/// First version that knows TOPIC_DELETION_DISABLED.
const DISABLED_CODE_SINCE: i16 = 3;
/// First version that knows THROTTLING_QUOTA_EXCEEDED (KIP-599).
const STRICT_QUOTA_SINCE: i16 = 5;

/// Deletes topics, each by itself.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let mut asked: Vec<Asked> = if context.api_version < IDS_SINCE {
        request.topic_names.into_iter().map(|name| Asked { name: Some(name), ..Default::default() }).collect()
    } else {
        request.topics
    };
    let not_allowed = broker
        .take_refused(&mut asked, |topic| may_delete(broker, context, topic))
        .into_iter()
        .map(|topic| failed(topic, ErrorCode::TopicAuthorizationFailed, "Authorization failed.".to_owned()));
    let mut quota = broker.quotas.mutations(context, context.api_version >= STRICT_QUOTA_SINCE);
    let throttled = quota.refuse(&mut asked, |topic| partition_count(broker, topic));
    context.flow.throttle(quota.throttle_ms());
    let selectors: Result<Vec<TopicSelector>, Response> = asked.iter().map(selector).collect();
    let mut responses = match selectors {
        Err(refused) => vec![refused],
        Ok(selectors) => {
            let deleted = broker.controller.delete_topics(selectors).await;
            let answers = asked.into_iter().zip(deleted);
            answers
                .map(|(asked, deleted)| match deleted {
                    Ok(topic) => Response { name: Some(topic.name.clone()), topic_id: topic.id, ..Default::default() },
                    Err(error) => failed(asked, code(&error, context.api_version), error.to_string()),
                })
                .collect()
        }
    };
    let code = ErrorCode::ThrottlingQuotaExceeded;
    responses.extend(throttled.into_iter().map(|asked| failed(asked, code, THROTTLED_MESSAGE.to_owned())));
    responses.extend(not_allowed);
    DeleteTopicsResponse { responses, ..Default::default() }
}

fn partition_count(broker: &Broker, asked: &Asked) -> usize {
    let image = broker.image();
    let topic = asked.name.as_ref().map_or_else(|| image.topic_by_id(&asked.topic_id), |name| image.topic(name));
    topic.map_or(0, |topic| topic.partitions.len())
}

/// Whether the client may delete a topic. What does not exist is not refused, so that the answer can say so; ids are no
/// secret, but the name that belongs to one is.
fn may_delete(broker: &Broker, context: &RequestContext, asked: &Asked) -> bool {
    let image = broker.image();
    let name = match &asked.name {
        Some(name) => name.as_str(),
        None => match image.topic_by_id(&asked.topic_id) {
            Some(topic) => topic.name.as_str(),
            None => return true,
        },
    };
    broker.allows_topic(context, AclOperation::Delete, name)
}

fn selector(asked: &Asked) -> Result<TopicSelector, Response> {
    match (&asked.name, asked.topic_id) {
        (Some(name), Uuid::ZERO) => Ok(TopicSelector::Name(name.clone())),
        (None, id) if id != Uuid::ZERO => Ok(TopicSelector::Id(id)),
        (Some(_), _) => {
            let message = "You may not specify both topic name and topic id.".to_owned();
            Err(failed(asked.clone(), ErrorCode::InvalidRequest, message))
        }
        (None, _) => {
            let message = "Neither topic name nor id were specified.".to_owned();
            Err(failed(asked.clone(), ErrorCode::InvalidRequest, message))
        }
    }
}

fn code(error: &ControllerError, version: i16) -> ErrorCode {
    match error.error_code() {
        ErrorCode::TopicDeletionDisabled if version < DISABLED_CODE_SINCE => ErrorCode::InvalidRequest,
        code => code,
    }
}

fn failed(asked: Asked, code: ErrorCode, message: String) -> Response {
    Response { name: asked.name, topic_id: asked.topic_id, error_code: code.code(), error_message: Some(message) }
}
