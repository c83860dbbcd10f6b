//! DeleteGroups (key 42), versions 0-3.
//!
//! Groups of any protocol, without members; their offsets go with them. v3 adds a message.

use std::sync::Arc;

use milena_protocol::messages::delete_groups_response::Result as Deleted;
use milena_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::context::{Broker, RequestContext};

/// Deletes groups.
pub async fn handle(
    broker: &Arc<Broker>,
    _context: &RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let refused = broker.groups.delete_group(group_id.clone()).await.err();
        results.push(Deleted {
            group_id,
            error_code: refused.map_or(0, |code| code.code()),
            error_message: refused.map(|code| code.message().to_owned()),
        });
    }
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}
