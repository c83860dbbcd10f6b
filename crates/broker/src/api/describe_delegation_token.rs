//! DescribeDelegationToken (key 41), versions 0-3 (KIP-48).
//!
//! - a client sees tokens that it owns, asked for or may renew; others with DESCRIBE on the token or DESCRIBE_TOKENS on
//!   its owner
//! - owners: only tokens that one of them owns, asked for or may renew; an empty list finds nothing

use std::sync::Arc;

use milena_metadata::DelegationToken;
use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::messages::describe_delegation_token_response::{Renewer, Token};
use milena_protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

use crate::context::{Broker, RequestContext};
use crate::delegation_tokens::TokenSettings;

/// Lists tokens with their secrets.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeDelegationTokenRequest,
) -> DescribeDelegationTokenResponse {
    let settings = match TokenSettings::for_request(broker, context) {
        Ok(settings) => settings,
        Err(code) => return DescribeDelegationTokenResponse { error_code: code.code(), ..Default::default() },
    };
    let owners: Option<Vec<String>> = request.owners.map(|owners| {
        owners.into_iter().map(|owner| format!("{}:{}", owner.principal_type, owner.principal_name)).collect()
    });
    let image = broker.image();
    let asked_for = |token: &&DelegationToken| {
        owners.as_ref().is_none_or(|owners| owners.iter().any(|owner| token.may_be_renewed_by(owner)))
    };
    let seen = image.delegation_tokens.values().filter(asked_for).filter(|token| may_see(broker, context, token));
    DescribeDelegationTokenResponse {
        tokens: seen.map(|token| described(token, &settings)).collect(),
        ..Default::default()
    }
}

fn may_see(broker: &Broker, context: &RequestContext, token: &DelegationToken) -> bool {
    token.may_be_renewed_by(&context.principal.to_string())
        || broker.may(context, AclOperation::Describe, ResourceType::DelegationToken, &token.id)
        || broker.may(context, AclOperation::DescribeTokens, ResourceType::User, &token.owner)
}

fn described(token: &DelegationToken, settings: &TokenSettings) -> Token {
    let (owner_type, owner_name) = split(&token.owner);
    let (requester_type, requester_name) = split(&token.requester);
    let renewers = token.renewers.iter().map(|renewer| {
        let (principal_type, principal_name) = split(renewer);
        Renewer { principal_type, principal_name }
    });
    Token {
        principal_type: owner_type,
        principal_name: owner_name,
        token_requester_principal_type: requester_type,
        token_requester_principal_name: requester_name,
        issue_timestamp: token.issue_timestamp_ms,
        expiry_timestamp: token.expiry_timestamp_ms,
        max_timestamp: token.max_timestamp_ms,
        token_id: token.id.clone(),
        hmac: settings.hmac(&token.id),
        renewers: renewers.collect(),
    }
}

fn split(principal: &str) -> (String, String) {
    let (kind, name) = principal.split_once(':').unwrap_or(("User", principal));
    (kind.to_owned(), name.to_owned())
}
