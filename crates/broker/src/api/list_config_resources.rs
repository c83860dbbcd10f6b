//! ListConfigResources (key 74), versions 0-1 (KIP-1142).
//!
//! - v0 asks for subscriptions to client metrics only
//! - v1 asks for any types, an empty list meaning every type; topics, the broker and groups with a configuration are listed

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::list_config_resources_response::ConfigResource;
use milena_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::context::{Broker, RequestContext};

const ALL: &[i8] = &[TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

/// Lists the resources of the types asked for.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    if !broker.allows_cluster(context, AclOperation::DescribeConfigs) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    }
    let types = match (context.api_version, request.resource_types.as_slice()) {
        (0, _) => &[CLIENT_METRICS],
        (_, []) => ALL,
        (_, asked) => asked,
    };
    if types.iter().any(|resource_type| !ALL.contains(resource_type)) {
        return ListConfigResourcesResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..Default::default() };
    }
    let config_resources = types.iter().flat_map(|resource_type| {
        names(broker, *resource_type)
            .into_iter()
            .map(|resource_name| ConfigResource { resource_name, resource_type: *resource_type })
    });
    ListConfigResourcesResponse { config_resources: config_resources.collect(), ..Default::default() }
}

fn names(broker: &Broker, resource_type: i8) -> Vec<String> {
    let image = broker.image();
    match resource_type {
        TOPIC => image.topics().map(|topic| topic.name.clone()).collect(),
        BROKER | BROKER_LOGGER => vec![image.node_id.to_string()],
        GROUP => image.group_configs.keys().cloned().collect(),
        CLIENT_METRICS => image.client_metrics_configs.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
