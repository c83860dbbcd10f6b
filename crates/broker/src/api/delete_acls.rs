//! DeleteAcls (key 31), versions 0-3.
//!
//! - v1 adds pattern types (KIP-290); v0 deletes literal bindings only
//! - each filter is answered with the bindings that it deleted
//! - ALTER on the cluster; SECURITY_DISABLED without an authorizer

use std::sync::Arc;

use milena_metadata::acl::{AclBinding, AclOperation};
use milena_protocol::ErrorCode;
use milena_protocol::messages::delete_acls_request::Filter;
use milena_protocol::messages::delete_acls_response::{FilterResult, MatchingAcl};
use milena_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use crate::acl_wire::{Refusal, WireFilter, security_disabled};
use crate::context::{Broker, RequestContext};

/// Deletes what filters mean.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refuse_all = refusal_of_all(broker, context);
    let mut refused = Vec::with_capacity(request.filters.len());
    let mut filters = Vec::new();
    for filter in request.filters {
        let parsed = refuse_all.clone().map_or_else(|| wire_filter(filter).parse(), Err);
        refused.push(match parsed {
            Err(refusal) => Some(refusal),
            Ok(filter) => {
                filters.push(filter);
                None
            }
        });
    }
    let mut answers = broker.controller.delete_acls(filters).await.into_iter();
    let filter_results = refused.into_iter().map(|refusal| match refusal {
        Some((code, message)) => failed(code, message),
        None => match answers.next() {
            Some(Ok(deleted)) => {
                FilterResult { matching_acls: deleted.into_iter().map(matching).collect(), ..Default::default() }
            }
            Some(Err(error)) => failed(error.error_code(), error.to_string()),
            None => FilterResult::default(),
        },
    });
    DeleteAclsResponse { filter_results: filter_results.collect(), ..Default::default() }
}

fn refusal_of_all(broker: &Broker, context: &RequestContext) -> Option<Refusal> {
    if !broker.allows_cluster(context, AclOperation::Alter) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return Some((code, code.message().to_owned()));
    }
    (!broker.authorizer.is_enabled()).then(security_disabled)
}

fn wire_filter(filter: Filter) -> WireFilter {
    WireFilter {
        resource_type: filter.resource_type_filter,
        resource_name: filter.resource_name_filter,
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter,
        host: filter.host_filter,
        operation: filter.operation,
        permission: filter.permission_type,
    }
}

fn failed(code: ErrorCode, message: String) -> FilterResult {
    FilterResult { error_code: code.code(), error_message: Some(message), ..Default::default() }
}

fn matching(binding: AclBinding) -> MatchingAcl {
    MatchingAcl {
        resource_type: binding.resource_type.code(),
        resource_name: binding.resource_name,
        pattern_type: binding.pattern_type.code(),
        principal: binding.principal,
        host: binding.host,
        operation: binding.operation.code(),
        permission_type: binding.permission.code(),
        ..Default::default()
    }
}
