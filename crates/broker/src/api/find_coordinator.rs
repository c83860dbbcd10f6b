//! FindCoordinator (key 10), versions 0-6.
//!
//! - a group's coordinator is the leader of its partition of `__consumer_offsets`, which the first request creates
//! - v4+ asks for several keys at once, each answered with its own error (KIP-699)
//! - an error leaves node -1, host "" and port -1
//! - v6 asks for share coordinators by `group:topicId:partition` (KIP-932); another form is an INVALID_REQUEST
//! - a transactional id's coordinator is the leader of its partition of `__transaction_state`, created likewise

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::messages::find_coordinator_response::Coordinator;
use milena_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::auto_topic;
use crate::context::{Broker, RequestContext};
use crate::share;

/// First version that asks for several keys.
const BATCH_SINCE: i16 = 4;
const KEY_TYPE_GROUP: i8 = 0;
const KEY_TYPE_TRANSACTION: i8 = 1;
const KEY_TYPE_SHARE: i8 = 2;

/// Tells which broker coordinates a group.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let keys = if context.api_version >= BATCH_SINCE {
        &request.coordinator_keys[..]
    } else {
        std::slice::from_ref(&request.key)
    };
    // A client without rights creates no topics.
    let available = match keys.iter().any(|key| may_find(broker, context, request.key_type, key)) {
        true => coordinator_available(broker, request.key_type).await,
        false => Ok(()),
    };
    let answer = |key: String| match &available {
        _ if !may_find(broker, context, request.key_type, &key) => nowhere(key, &not_authorized(request.key_type)),
        Ok(()) if request.key_type == KEY_TYPE_SHARE && !is_share_partition(&key) => {
            let message = "share coordinators are asked for by group:topicId:partition".to_owned();
            nowhere(key, &Refusal { code: ErrorCode::InvalidRequest, message })
        }
        Ok(()) => here(broker, context, key),
        Err(refusal) => nowhere(key, refusal),
    };
    if context.api_version >= BATCH_SINCE {
        let coordinators = request.coordinator_keys.into_iter().map(answer).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let coordinator = answer(request.key);
    FindCoordinatorResponse {
        error_code: coordinator.error_code,
        error_message: coordinator.error_message,
        node_id: coordinator.node_id,
        host: coordinator.host,
        port: coordinator.port,
        ..Default::default()
    }
}

/// Whether `key` is `group:topicId:partition`; the group's name may contain colons.
fn is_share_partition(key: &str) -> bool {
    let mut parts = key.rsplitn(3, ':');
    let partition = parts.next().is_some_and(|text| text.parse::<i32>().is_ok_and(|index| index >= 0));
    let topic_id = parts.next().is_some_and(|text| text.parse::<Uuid>().is_ok());
    partition && topic_id && parts.next().is_some_and(|group| !group.is_empty())
}

/// Whether the client may know of the group or transactional id that it looks for.
fn may_find(broker: &Broker, context: &RequestContext, key_type: i8, key: &str) -> bool {
    match key_type {
        KEY_TYPE_GROUP => broker.allows_group(context, AclOperation::Describe, key),
        KEY_TYPE_TRANSACTION => broker.allows(context, AclOperation::Describe, ResourceType::TransactionalId, key),
        // Share coordinators are found by group, topic id and partition.
        KEY_TYPE_SHARE => {
            let group = key.rsplitn(3, ':').nth(2).unwrap_or(key);
            broker.allows_group(context, AclOperation::Describe, group)
        }
        _ => true,
    }
}

fn not_authorized(key_type: i8) -> Refusal {
    let code = match key_type {
        KEY_TYPE_TRANSACTION => ErrorCode::TransactionalIdAuthorizationFailed,
        _ => ErrorCode::GroupAuthorizationFailed,
    };
    Refusal { code, message: code.message().to_owned() }
}

struct Refusal {
    code: ErrorCode,
    message: String,
}

async fn coordinator_available(broker: &Arc<Broker>, key_type: i8) -> Result<(), Refusal> {
    match key_type {
        KEY_TYPE_GROUP => auto_topic::ensure_offsets_topic(broker).await.map_err(|error| {
            tracing::warn!(%error, "the topic of committed offsets could not be created");
            Refusal { code: ErrorCode::CoordinatorNotAvailable, message: error.to_string() }
        }),
        KEY_TYPE_TRANSACTION => auto_topic::ensure_transaction_state_topic(broker).await.map_err(|error| {
            tracing::warn!(%error, "the topic of transaction states could not be created");
            Refusal { code: ErrorCode::CoordinatorNotAvailable, message: error.to_string() }
        }),
        KEY_TYPE_SHARE => share::offsets::ensure_topics(broker).await.map_err(|refused| {
            tracing::warn!(message = refused.message, "the topic of share state could not be created");
            Refusal { code: refused.code, message: refused.message }
        }),
        _ => Err(Refusal { code: ErrorCode::InvalidRequest, message: format!("unknown key type {key_type}") }),
    }
}

fn here(broker: &Broker, context: &RequestContext, key: String) -> Coordinator {
    Coordinator {
        key,
        node_id: broker.node_id(),
        host: context.listener.advertised_host.clone(),
        port: i32::from(context.listener.advertised_port),
        ..Default::default()
    }
}

fn nowhere(key: String, refusal: &Refusal) -> Coordinator {
    Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..Default::default()
    }
}
