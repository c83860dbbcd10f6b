//! DescribeAcls (key 29), versions 0-3.
//!
//! - v1 adds pattern types (KIP-290); v0 sees literal bindings only
//! - DESCRIBE on the cluster; SECURITY_DISABLED without an authorizer

use std::sync::Arc;

use milena_metadata::AclBinding;
use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_acls_response::{Acl, Resource};
use milena_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use crate::acl_wire::{Refusal, WireFilter, security_disabled};
use crate::context::{Broker, RequestContext};

/// Lists the bindings that a filter means, by resource.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    match describe(broker, context, request) {
        Ok(resources) => DescribeAclsResponse { resources, ..Default::default() },
        Err((code, message)) => {
            DescribeAclsResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
        }
    }
}

fn describe(broker: &Broker, context: &RequestContext, request: DescribeAclsRequest) -> Result<Vec<Resource>, Refusal> {
    if !broker.allows_cluster(context, AclOperation::Describe) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return Err((code, code.message().to_owned()));
    }
    if !broker.authorizer.is_enabled() {
        return Err(security_disabled());
    }
    let filter = WireFilter {
        resource_type: request.resource_type_filter,
        resource_name: request.resource_name_filter,
        pattern_type: request.pattern_type_filter,
        principal: request.principal_filter,
        host: request.host_filter,
        operation: request.operation,
        permission: request.permission_type,
    };
    let filter = filter.parse()?;
    let image = broker.image();
    let mut resources: Vec<Resource> = Vec::new();
    // Bindings are sorted by resource, so those of one resource follow each other.
    for binding in image.acls.iter().filter(|binding| filter.matches(binding)) {
        match resources.last_mut().filter(|resource| is_of(resource, binding)) {
            Some(resource) => resource.acls.push(acl(binding)),
            None => resources.push(Resource {
                resource_type: binding.resource_type.code(),
                resource_name: binding.resource_name.clone(),
                pattern_type: binding.pattern_type.code(),
                acls: vec![acl(binding)],
            }),
        }
    }
    Ok(resources)
}

fn is_of(resource: &Resource, binding: &AclBinding) -> bool {
    resource.resource_type == binding.resource_type.code()
        && resource.pattern_type == binding.pattern_type.code()
        && resource.resource_name == binding.resource_name
}

fn acl(binding: &AclBinding) -> Acl {
    Acl {
        principal: binding.principal.clone(),
        host: binding.host.clone(),
        operation: binding.operation.code(),
        permission_type: binding.permission.code(),
    }
}
