//! RenewDelegationToken (key 39), versions 0-2 (KIP-48).
//!
//! - the owner, the requester and the renewers may; a negative period means `delegation.token.expiry.time.ms`

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};

use crate::context::{Broker, RequestContext};
use crate::delegation_tokens::TokenSettings;

/// Lets a token live longer.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: RenewDelegationTokenRequest,
) -> RenewDelegationTokenResponse {
    match renew(broker, context, request).await {
        Ok(expiry_timestamp_ms) => RenewDelegationTokenResponse { expiry_timestamp_ms, ..Default::default() },
        Err(code) => {
            RenewDelegationTokenResponse { error_code: code.code(), expiry_timestamp_ms: -1, ..Default::default() }
        }
    }
}

async fn renew(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: RenewDelegationTokenRequest,
) -> Result<i64, ErrorCode> {
    let settings = TokenSettings::for_request(broker, context)?;
    let token = settings.token_to_change(broker, context, &request.hmac)?;
    let period_ms = match request.renew_period_ms {
        ..0 => settings.expiry_time_ms,
        asked => asked,
    };
    let ends_ms = broker.clock.now_ms().saturating_add(period_ms);
    broker.controller.renew_delegation_token(token.id, ends_ms).await.map_err(|error| error.error_code())
}
