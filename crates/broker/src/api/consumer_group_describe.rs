//! ConsumerGroupDescribe (key 69), versions 0-1 (KIP-848).
//!
//! Groups of the consumer protocol only; for any other name the answer is GROUP_ID_NOT_FOUND and clients fall back to
//! DescribeGroups. v1 adds the type of each member.

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::consumer_group_describe_response::Group;
use milena_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use crate::authorized_operations;
use crate::context::{Broker, RequestContext};
use crate::group::shard::NotDescribed;

/// Describes consumer groups.
pub async fn handle(
    broker: &Arc<Broker>,
    _context: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
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
        group.authorized_operations = authorized_operations::of_group(request.include_authorized_operations);
        groups.push(group);
    }
    ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
}

fn refused(code: ErrorCode, error_message: Option<String>, group_id: String) -> Group {
    Group { error_code: code.code(), error_message, group_id, ..Group::default() }
}
