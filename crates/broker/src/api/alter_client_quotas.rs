//! AlterClientQuotas (key 49), versions 0-1 (KIP-546).
//!
//! - each entity by itself, all changes of one entity together or not at all
//! - ALTER_CONFIGS on the cluster

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::{QuotaAlteration, QuotaEntity};
use milena_protocol::ErrorCode;
use milena_protocol::messages::alter_client_quotas_response::{Entity, Entry};
use milena_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse, alter_client_quotas_request};

use crate::config_resource::merge_answers;
use crate::context::{Broker, RequestContext};

/// Sets quotas and takes them away.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let allowed = broker.allows_cluster(context, AclOperation::AlterConfigs);
    let mut named = Vec::with_capacity(request.entries.len());
    let mut refused = Vec::with_capacity(request.entries.len());
    let mut alterations = Vec::new();
    for entry in request.entries {
        named.push(
            entry
                .entity
                .iter()
                .map(|part| Entity { entity_type: part.entity_type.clone(), entity_name: part.entity_name.clone() })
                .collect(),
        );
        let code = ErrorCode::ClusterAuthorizationFailed;
        let parsed = if allowed { alteration(entry) } else { Err((code, code.message().to_owned())) };
        refused.push(match parsed {
            Err(refusal) => Some(refusal),
            Ok(alteration) => {
                alterations.push(alteration);
                None
            }
        });
    }
    let answers = broker.controller.alter_client_quotas(alterations, request.validate_only).await;
    let entries = named.into_iter().zip(merge_answers(refused, answers));
    let entries =
        entries.map(|(entity, (code, error_message))| Entry { error_code: code.code(), error_message, entity });
    AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
}

fn alteration(entry: alter_client_quotas_request::Entry) -> Result<QuotaAlteration, (ErrorCode, String)> {
    let parts = entry.entity.into_iter().map(|part| (part.entity_type, part.entity_name));
    let entity = QuotaEntity::from_parts(parts).map_err(|message| (ErrorCode::InvalidRequest, message))?;
    let ops = entry.ops.into_iter().map(|op| (op.key, (!op.remove).then_some(op.value)));
    Ok(QuotaAlteration { entity, ops: ops.collect() })
}
