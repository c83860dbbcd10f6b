//! InitProducerId (key 22), versions 0-5.
//!
//! - without a transactional id: a new producer id in epoch 0, for idempotent producers (KIP-98)
//! - with one: the caller becomes its only producer; the epoch of the one before ends, and its open transaction is aborted
//!   (CONCURRENT_TRANSACTIONS until that is done)
//! - v3+ brings the old id and epoch along (KIP-360): an idempotent producer gets a new id all the same, a transactional one
//!   is fenced if they are not the newest
//! - v4 knows PRODUCER_FENCED; older versions hear INVALID_PRODUCER_EPOCH
//! - not implemented: v6 (two-phase commit, KIP-939), which no release has as stable

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::auto_topic;
use crate::context::{Broker, RequestContext};
use crate::transaction::ProducerIdAndEpoch;

/// First version whose clients know PRODUCER_FENCED.
const FENCED_SINCE: i16 = 4;

/// Hands out a producer id.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let producer = match request.transactional_id.as_deref() {
        None if !may_produce_idempotently(broker, context) => Err(ErrorCode::ClusterAuthorizationFailed),
        None => new_producer_id(broker).await,
        Some(transactional_id)
            if !broker.allows(context, AclOperation::Write, ResourceType::TransactionalId, transactional_id) =>
        {
            Err(ErrorCode::TransactionalIdAuthorizationFailed)
        }
        Some(transactional_id) => transactional(broker, transactional_id, &request).await,
    };
    match producer {
        Ok(ProducerIdAndEpoch { producer_id, producer_epoch }) => {
            InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() }
        }
        Err(ErrorCode::ProducerFenced) if context.api_version < FENCED_SINCE => {
            refused(ErrorCode::InvalidProducerEpoch)
        }
        Err(code) => refused(code),
    }
}

async fn new_producer_id(broker: &Broker) -> Result<ProducerIdAndEpoch, ErrorCode> {
    match broker.producer_ids.next(&broker.controller).await {
        Ok(producer_id) => Ok(ProducerIdAndEpoch { producer_id, producer_epoch: 0 }),
        Err(error) => {
            tracing::warn!(%error, "no producer id could be allotted");
            Err(ErrorCode::CoordinatorNotAvailable)
        }
    }
}

/// Whoever may write to some topic may write idempotently (KIP-679).
fn may_produce_idempotently(broker: &Broker, context: &RequestContext) -> bool {
    broker.may(context, AclOperation::IdempotentWrite, ResourceType::Cluster, CLUSTER_NAME)
        || broker.authorizer.authorize_any_of_type(context, AclOperation::Write, ResourceType::Topic)
}

async fn transactional(
    broker: &Arc<Broker>,
    transactional_id: &str,
    request: &InitProducerIdRequest,
) -> Result<ProducerIdAndEpoch, ErrorCode> {
    auto_topic::ensure_transaction_state_topic(broker).await.map_err(|error| {
        tracing::warn!(%error, "the topic of transaction states could not be created");
        ErrorCode::CoordinatorNotAvailable
    })?;
    let expected = ProducerIdAndEpoch { producer_id: request.producer_id, producer_epoch: request.producer_epoch };
    let expected = match (request.producer_id, request.producer_epoch) {
        (-1, -1) => None,
        (0.., 0..) => Some(expected),
        _ => return Err(ErrorCode::InvalidRequest),
    };
    broker.transactions.initialize(transactional_id, request.transaction_timeout_ms, expected).await
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_id: -1, producer_epoch: -1, ..Default::default() }
}
