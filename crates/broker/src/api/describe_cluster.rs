//! DescribeCluster (key 60), versions 0-2.
//!
//! - v1 asks for brokers (1) or controllers (2) (KIP-919); there is no separate controller listener, so asking for
//!   controllers on a broker listener is MISMATCHED_ENDPOINT_TYPE, as in Kafka
//! - v2 may include fenced brokers (KIP-1073); the only broker is never fenced

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_cluster_response::Broker as BrokerEntry;
use milena_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use crate::authorized_operations::AuthorizedOperations;
use crate::context::{Broker, RequestContext};

const ENDPOINT_BROKERS: i8 = 1;
const ENDPOINT_CONTROLLERS: i8 = 2;

/// Tells the cluster's id, its controller and its brokers.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    match request.endpoint_type {
        ENDPOINT_BROKERS => {}
        ENDPOINT_CONTROLLERS => {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return refused(request.endpoint_type, ErrorCode::MismatchedEndpointType, message);
        }
        other => {
            let message = format!("Unsupported endpoint type {other}");
            return refused(other, ErrorCode::UnsupportedEndpointType, &message);
        }
    }
    DescribeClusterResponse {
        cluster_id: broker.image().cluster_id.clone(),
        controller_id: broker.node_id(),
        brokers: vec![BrokerEntry {
            broker_id: broker.node_id(),
            host: context.listener.advertised_host.clone(),
            port: i32::from(context.listener.advertised_port),
            rack: broker.config.broker_rack.clone(),
            is_fenced: false,
        }],
        cluster_authorized_operations: AuthorizedOperations::new(
            broker,
            context,
            request.include_cluster_authorized_operations,
        )
        .of_cluster(),
        ..Default::default()
    }
}

fn refused(endpoint_type: i8, code: ErrorCode, message: &str) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error_code: code.code(),
        error_message: Some(message.to_owned()),
        endpoint_type,
        ..Default::default()
    }
}
