//! CreateAcls (key 30), versions 0-3.
//!
//! - v1 adds pattern types (KIP-290); v0 creates literal bindings
//! - each binding is created by itself; one that is there already is no error
//! - ALTER on the cluster; SECURITY_DISABLED without an authorizer

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_acls_request::Creation;
use milena_protocol::messages::create_acls_response::Result as CreationResult;
use milena_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use crate::acl_wire::{self, Refusal, security_disabled};
use crate::config_resource::merge_answers;
use crate::context::{Broker, RequestContext};

/// Creates bindings.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: CreateAclsRequest) -> CreateAclsResponse {
    let refuse_all = refusal_of_all(broker, context);
    let mut refused = Vec::with_capacity(request.creations.len());
    let mut bindings = Vec::new();
    for creation in request.creations {
        let parsed = refuse_all.clone().map_or_else(|| parse(creation), Err);
        refused.push(match parsed {
            Err(refusal) => Some(refusal),
            Ok(binding) => {
                bindings.push(binding);
                None
            }
        });
    }
    let answers = broker.controller.create_acls(bindings).await;
    let results = merge_answers(refused, answers)
        .map(|(code, error_message)| CreationResult { error_code: code.code(), error_message });
    CreateAclsResponse { results: results.collect(), ..Default::default() }
}

fn refusal_of_all(broker: &Broker, context: &RequestContext) -> Option<Refusal> {
    if !broker.allows_cluster(context, AclOperation::Alter) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return Some((code, code.message().to_owned()));
    }
    (!broker.authorizer.is_enabled()).then(security_disabled)
}

fn parse(creation: Creation) -> Result<milena_metadata::AclBinding, Refusal> {
    if creation.resource_name.is_empty() {
        return Err((ErrorCode::InvalidRequest, "Invalid empty resource name".to_owned()));
    }
    acl_wire::binding(
        (creation.resource_type, creation.resource_pattern_type, creation.resource_name),
        (creation.principal, creation.host),
        (creation.operation, creation.permission_type),
    )
}
