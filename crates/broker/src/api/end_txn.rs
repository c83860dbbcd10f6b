//! EndTxn (key 26), versions 0-5.
//!
//! - answered when the decision is durable and its markers are visible, so that the client's next transaction need not wait
//! - v2 knows PRODUCER_FENCED; older versions hear INVALID_PRODUCER_EPOCH. v4 knows TRANSACTION_ABORTABLE
//! - v5 is transactions v2 (KIP-890): the producer gets a new epoch, or a new producer id when its epochs are used up

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{EndTxnRequest, EndTxnResponse};

use crate::context::{Broker, RequestContext};
use crate::transaction::{ClientVersion, ProducerIdAndEpoch};

/// First version whose clients know PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// First version of transactions v2.
const TRANSACTIONS_V2_SINCE: i16 = 5;

/// Commits or aborts a transaction.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: EndTxnRequest) -> EndTxnResponse {
    if !broker.allows(context, AclOperation::Write, ResourceType::TransactionalId, &request.transactional_id) {
        return refused(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    let v2 = context.api_version >= TRANSACTIONS_V2_SINCE;
    let version = if v2 { ClientVersion::V2 } else { ClientVersion::V1 };
    let producer = ProducerIdAndEpoch { producer_id: request.producer_id, producer_epoch: request.producer_epoch };
    match broker.transactions.end(&request.transactional_id, producer, request.committed, version).await {
        Ok(next) if v2 => {
            EndTxnResponse { producer_id: next.producer_id, producer_epoch: next.producer_epoch, ..Default::default() }
        }
        Ok(_) => EndTxnResponse::default(),
        Err(ErrorCode::ProducerFenced) if context.api_version < FENCED_SINCE => {
            refused(ErrorCode::InvalidProducerEpoch)
        }
        Err(code) => refused(code),
    }
}

fn refused(code: ErrorCode) -> EndTxnResponse {
    EndTxnResponse { error_code: code.code(), ..Default::default() }
}
