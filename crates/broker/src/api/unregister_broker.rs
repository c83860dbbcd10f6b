//! UnregisterBroker (key 64), version 0.
//!
//! - the only broker there is answers, so it is running and cannot be given up; Kafka would let a running broker come back
//!   under another registration, which here would change nothing
//! - every other id is not registered

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use crate::context::{Broker, RequestContext};

/// Refuses, and says why.
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
    let (code, message) = if id == broker.node_id() {
        (ErrorCode::InvalidRequest, format!("Broker ID {id} is the broker that serves this request"))
    } else {
        (ErrorCode::BrokerIdNotRegistered, format!("Broker ID {id} is not currently registered"))
    };
    UnregisterBrokerResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
}
