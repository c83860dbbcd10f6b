//! DeleteGroups (key 42), versions 0-3.
//!
//! Groups of any protocol, without members; their offsets, or share state, go with them. v3 adds a message.

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::delete_groups_response::Result as Deleted;
use milena_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::context::{Broker, RequestContext};
use crate::share::offsets;

/// Deletes groups.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let refused = if broker.allows_group(context, AclOperation::Delete, &group_id) {
            delete(broker, &group_id).await.err()
        } else {
            Some(ErrorCode::GroupAuthorizationFailed)
        };
        results.push(Deleted {
            group_id,
            error_code: refused.map_or(0, |code| code.code()),
            error_message: refused.map(|code| code.message().to_owned()),
        });
    }
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}

async fn delete(broker: &Arc<Broker>, group_id: &str) -> Result<(), ErrorCode> {
    offsets::delete_all(broker, group_id).await.map_err(|refusal| refusal.code)?;
    broker.groups.delete_group(group_id.to_owned()).await
}
