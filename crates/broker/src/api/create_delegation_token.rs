//! CreateDelegationToken (key 38), versions 0-3 (KIP-48).
//!
//! - v3 may ask for a token of somebody else (KIP-373): CREATE_TOKENS on that user
//! - refused on channels that do not prove who the client is, and for clients that came with a token themselves

use std::sync::Arc;

use milena_metadata::DelegationToken;
use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};
use crate::delegation_tokens::TokenSettings;
use crate::security::Principal;

/// Makes a token and answers with its secret.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse {
    let owner = owner(context, &request);
    match create(broker, context, &owner, request).await {
        Ok((token, hmac)) => CreateDelegationTokenResponse {
            issue_timestamp_ms: token.issue_timestamp_ms,
            expiry_timestamp_ms: token.expiry_timestamp_ms,
            max_timestamp_ms: token.max_timestamp_ms,
            token_id: token.id,
            hmac,
            ..named(context, &owner)
        },
        Err(code) => CreateDelegationTokenResponse {
            error_code: code.code(),
            issue_timestamp_ms: -1,
            expiry_timestamp_ms: -1,
            max_timestamp_ms: -1,
            ..named(context, &owner)
        },
    }
}

fn owner(context: &RequestContext, request: &CreateDelegationTokenRequest) -> Principal {
    match (&request.owner_principal_type, &request.owner_principal_name) {
        (Some(kind), Some(name)) if !kind.is_empty() && !name.is_empty() => {
            Principal { kind: kind.as_str().into(), name: name.as_str().into(), token_authenticated: false }
        }
        _ => Principal::clone(&context.principal),
    }
}

fn named(context: &RequestContext, owner: &Principal) -> CreateDelegationTokenResponse {
    CreateDelegationTokenResponse {
        principal_type: owner.kind.to_string(),
        principal_name: owner.name.to_string(),
        token_requester_principal_type: context.principal.kind.to_string(),
        token_requester_principal_name: context.principal.name.to_string(),
        ..Default::default()
    }
}

async fn create(
    broker: &Arc<Broker>,
    context: &RequestContext,
    owner: &Principal,
    request: CreateDelegationTokenRequest,
) -> Result<(DelegationToken, bytes::Bytes), ErrorCode> {
    let settings = TokenSettings::for_request(broker, context)?;
    let for_another = !owner.is_same(&context.principal);
    if for_another && !broker.allows(context, AclOperation::CreateTokens, ResourceType::User, &owner.to_string()) {
        return Err(ErrorCode::DelegationTokenAuthorizationFailed);
    }
    if request.renewers.iter().any(|renewer| renewer.principal_type != "User") {
        return Err(ErrorCode::InvalidPrincipalType);
    }
    let now_ms = broker.clock.now_ms();
    let lifetime_ms = match request.max_lifetime_ms {
        asked if asked > 0 => asked.min(settings.max_lifetime_ms),
        _ => settings.max_lifetime_ms,
    };
    let max_timestamp_ms = now_ms.saturating_add(lifetime_ms);
    let renewers = request.renewers.iter();
    let token = DelegationToken {
        id: Uuid::random().to_string(),
        owner: owner.to_string(),
        requester: context.principal.to_string(),
        renewers: renewers.map(|renewer| format!("{}:{}", renewer.principal_type, renewer.principal_name)).collect(),
        issue_timestamp_ms: now_ms,
        max_timestamp_ms,
        expiry_timestamp_ms: now_ms.saturating_add(settings.expiry_time_ms).min(max_timestamp_ms),
    };
    broker.controller.create_delegation_token(token.clone()).await.map_err(|error| error.error_code())?;
    let hmac = settings.hmac(&token.id);
    Ok((token, hmac))
}
