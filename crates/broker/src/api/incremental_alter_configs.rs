//! IncrementalAlterConfigs (key 44), versions 0-1 (KIP-339).
//!
//! - SET (0) and DELETE (1) single keys, APPEND (2) to and SUBTRACT (3) from lists
//! - deleting a key that is not set changes nothing and is no error
//! - loggers of this broker (KIP-412) have one key a logger and take SET and DELETE
//! - resources are altered each by itself, all changes of one resource together or not at all

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::{ConfigAlteration, ConfigOp, ConfigOpKind};
use milena_protocol::ErrorCode;
use milena_protocol::messages::incremental_alter_configs_request::{Config, Resource};
use milena_protocol::messages::incremental_alter_configs_response::Response;
use milena_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::context::{Broker, RequestContext};
use crate::{broker_loggers, config_resource};

/// Changes single keys of resources.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut named = Vec::with_capacity(request.resources.len());
    let mut refused = Vec::with_capacity(request.resources.len());
    let mut alterations = Vec::new();
    for resource in request.resources {
        named.push((resource.resource_type, resource.resource_name.clone()));
        let (resource_type, name) = (resource.resource_type, resource.resource_name.as_str());
        if let Some(refusal) =
            config_resource::refusal(broker, context, AclOperation::AlterConfigs, resource_type, name)
        {
            refused.push(Some(refusal));
            continue;
        }
        if resource.resource_type == config_resource::BROKER_LOGGER {
            refused.push(Some(alter_loggers(broker, resource, request.validate_only)));
            continue;
        }
        refused.push(match alteration(resource) {
            Err(refusal) => Some(refusal),
            Ok(alteration) => {
                alterations.push(alteration);
                None
            }
        });
    }
    let answers = broker.controller.incremental_alter_configs(alterations, request.validate_only).await;
    let responses = named.into_iter().zip(config_resource::merge_answers(refused, answers)).map(
        |((resource_type, resource_name), (code, error_message))| Response {
            error_code: code.code(),
            error_message,
            resource_type,
            resource_name,
        },
    );
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

/// The loggers of this broker are no metadata; they are dealt with at once.
fn alter_loggers(broker: &Broker, resource: Resource, validate_only: bool) -> (ErrorCode, String) {
    let altered = config_resource::check_logger_broker(broker.node_id(), &resource.resource_name)
        .and_then(|()| resource.configs.into_iter().map(op).collect::<Result<Vec<_>, _>>())
        .and_then(|ops| broker_loggers::alter(&ops, validate_only));
    altered.err().unwrap_or((ErrorCode::None, String::new()))
}

fn alteration(resource: Resource) -> Result<ConfigAlteration, (ErrorCode, String)> {
    let parsed = config_resource::parse(resource.resource_type, &resource.resource_name)?;
    let ops: Result<Vec<ConfigOp>, _> = resource.configs.into_iter().map(op).collect();
    Ok(ConfigAlteration { resource: parsed, ops: ops? })
}

fn op(config: Config) -> Result<ConfigOp, (ErrorCode, String)> {
    match ConfigOpKind::from_wire(config.config_operation) {
        Some(kind) => Ok(ConfigOp { name: config.name, kind, value: config.value }),
        None => {
            let message = format!("Unknown operation type {} for config {}", config.config_operation, config.name);
            Err((ErrorCode::InvalidRequest, message))
        }
    }
}
