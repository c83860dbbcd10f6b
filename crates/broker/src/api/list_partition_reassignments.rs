//! ListPartitionReassignments (key 46), version 0 (KIP-455).
//!
//! With one broker nothing is ever reassigned, so the list is empty, whatever partitions are asked for.

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::context::{Broker, RequestContext};

/// Lists the partitions whose replicas are changing.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let error_code = match broker.allows_cluster(context, AclOperation::Describe) {
        true => ErrorCode::None.code(),
        false => ErrorCode::ClusterAuthorizationFailed.code(),
    };
    ListPartitionReassignmentsResponse { error_code, ..Default::default() }
}
