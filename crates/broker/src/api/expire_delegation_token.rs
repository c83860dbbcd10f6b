//! ExpireDelegationToken (key 40), versions 0-2 (KIP-48).
//!
//! - the owner, the requester and the renewers may; a negative period ends the token at once

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};

use crate::context::{Broker, RequestContext};
use crate::delegation_tokens::TokenSettings;

/// Lets a token end sooner.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ExpireDelegationTokenRequest,
) -> ExpireDelegationTokenResponse {
    match expire(broker, context, request).await {
        Ok(expiry_timestamp_ms) => ExpireDelegationTokenResponse { expiry_timestamp_ms, ..Default::default() },
        Err(code) => {
            ExpireDelegationTokenResponse { error_code: code.code(), expiry_timestamp_ms: -1, ..Default::default() }
        }
    }
}

async fn expire(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ExpireDelegationTokenRequest,
) -> Result<i64, ErrorCode> {
    let settings = TokenSettings::for_request(broker, context)?;
    let token = settings.token_to_change(broker, context, &request.hmac)?;
    let now_ms = broker.clock.now_ms();
    if request.expiry_time_period_ms < 0 {
        let removed = broker.controller.remove_delegation_tokens(vec![token.id]).await;
        return removed.map(|()| now_ms).map_err(|error| error.error_code());
    }
    let ends_ms = now_ms.saturating_add(request.expiry_time_period_ms);
    broker.controller.renew_delegation_token(token.id, ends_ms).await.map_err(|error| error.error_code())
}
