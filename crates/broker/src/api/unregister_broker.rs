//! UnregisterBroker (key 64), version 0.
//!
//! - accepted for the broker itself, as in Kafka. There it then serves no partitions until it registers again at its next start;
//!   here it counts as registered again at once, because the cluster has no other broker
//! - every other id is not registered

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use crate::context::{Broker, RequestContext};

/// Accepts the only broker there is, refuses every other.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    if !broker.allows_cluster(context, AclOperation::Alter) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return UnregisterBrokerResponse { error_code, ..Default::default() };
    }
    let id = request.broker_id;
    if id == broker.node_id() {
        tracing::info!(broker = id, "unregistered on request, and registered again");
        return UnregisterBrokerResponse::default();
    }
    let message = format!("Broker ID {id} is not currently registered");
    let error_code = ErrorCode::BrokerIdNotRegistered.code();
    UnregisterBrokerResponse { error_code, error_message: Some(message), ..Default::default() }
}
