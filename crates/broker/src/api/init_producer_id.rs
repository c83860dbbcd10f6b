//! InitProducerId (key 22), versions 0-5.
//!
//! - without a transactional id: a new producer id in epoch 0, for idempotent producers (KIP-98)
//! - v3+ idempotent clients may bring their old id and epoch along (KIP-360); they get a new id all the same, which is
//!   what the protocol promises them
//! - not implemented: transactions. A transactional id is answered with UNSUPPORTED_VERSION: it is fatal for every
//!   client, while COORDINATOR_NOT_AVAILABLE would be retried for ever

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::context::{Broker, RequestContext};

/// Hands out a producer id.
pub async fn handle(
    broker: &Arc<Broker>,
    _context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match request.transactional_id.as_deref() {
        Some("") => refused(ErrorCode::InvalidRequest),
        Some(_) => refused(ErrorCode::UnsupportedVersion),
        None => match broker.producer_ids.next(&broker.controller).await {
            Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
            Err(error) => {
                tracing::warn!(%error, "no producer id could be allotted");
                refused(ErrorCode::CoordinatorNotAvailable)
            }
        },
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_id: -1, producer_epoch: -1, ..Default::default() }
}
