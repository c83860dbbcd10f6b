//! SaslHandshake (key 17), versions 0-1.
//!
//! - agrees upon a mechanism; v0 is followed by tokens without a header, v1 by SaslAuthenticate (KIP-152)
//! - on an authenticated connection it starts the re-authentication (KIP-368)
//! - on a listener without SASL the answer is ILLEGAL_SASL_STATE and an empty list, as in Kafka

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use crate::context::{Broker, RequestContext};

/// Agrees upon a mechanism.
pub async fn handle(
    _broker: &Arc<Broker>,
    context: &RequestContext,
    request: SaslHandshakeRequest,
) -> SaslHandshakeResponse {
    let (code, mechanisms) = match &context.sasl {
        Some(sasl) => sasl.handshake(&request.mechanism, context.api_version),
        None => (ErrorCode::IllegalSaslState, Vec::new()),
    };
    if code != ErrorCode::None && context.sasl.is_some() {
        tracing::info!(
            peer = %context.peer, listener = %context.listener.name, error = ?code,
            "SASL handshake refused: mechanism {:?}, enabled are {}", request.mechanism, mechanisms.join(",")
        );
    }
    SaslHandshakeResponse { error_code: code.code(), mechanisms }
}
