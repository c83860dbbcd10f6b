//! SaslAuthenticate (key 36), versions 0-2.
//!
//! - carries one token of the mechanism; the exchange is over when the answer says no error and the mechanism agrees
//! - v1+ tells after how many milliseconds the client must authenticate again (KIP-368)
//! - a failure is answered late (`connection.failed.authentication.delay.ms`) and closes the connection

use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};

use crate::context::{Broker, RequestContext};
use crate::security;

/// Takes a token of the client.
pub async fn handle(
    _broker: &Arc<Broker>,
    context: &RequestContext,
    request: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    match security::take_token(context, &request.auth_bytes).await {
        Ok(answer) => SaslAuthenticateResponse {
            auth_bytes: Bytes::from(answer.token),
            session_lifetime_ms: answer.session_lifetime_ms,
            ..Default::default()
        },
        Err((code, message)) => {
            SaslAuthenticateResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
        }
    }
}
