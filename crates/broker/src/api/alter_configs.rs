//! AlterConfigs (key 33), versions 0-2.
//!
//! - replaces everything that is set for a resource; what the request does not name falls back to its default
//! - deprecated in favour of IncrementalAlterConfigs, and still sent by kafkajs, kafka-python and librdkafka
//! - resources are altered each by itself

use std::sync::Arc;

use milena_metadata::ConfigReplacement;
use milena_metadata::acl::AclOperation;
use milena_protocol::messages::alter_configs_response::Response;
use milena_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::config_resource;
use crate::context::{Broker, RequestContext};

/// Replaces the configuration of resources.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let mut named = Vec::with_capacity(request.resources.len());
    let mut refused = Vec::with_capacity(request.resources.len());
    let mut replacements = Vec::new();
    for resource in request.resources {
        let (resource_type, name) = (resource.resource_type, resource.resource_name.as_str());
        let parsed = match config_resource::refusal(broker, context, AclOperation::AlterConfigs, resource_type, name) {
            Some(refusal) => Err(refusal),
            None => config_resource::parse(resource_type, name),
        };
        named.push((resource.resource_type, resource.resource_name));
        refused.push(match parsed {
            Err(refusal) => Some(refusal),
            Ok(parsed) => {
                let configs = resource.configs.into_iter().map(|config| (config.name, config.value)).collect();
                replacements.push(ConfigReplacement { resource: parsed, configs });
                None
            }
        });
    }
    let answers = broker.controller.alter_configs(replacements, request.validate_only).await;
    let responses = named.into_iter().zip(config_resource::merge_answers(refused, answers)).map(
        |((resource_type, resource_name), (code, error_message))| Response {
            error_code: code.code(),
            error_message,
            resource_type,
            resource_name,
        },
    );
    AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}
