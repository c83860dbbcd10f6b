//! AddOffsetsToTxn (key 25), versions 0-4.
//!
//! - the partition of `__consumer_offsets` that keeps the group becomes part of the transaction
//! - v2 knows PRODUCER_FENCED; older versions hear INVALID_PRODUCER_EPOCH
//! - clients of transactions v2 do without: TxnOffsetCommit v5+ adds the partition itself

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::auto_topic;
use crate::context::{Broker, RequestContext};
use crate::offsets_log::OFFSETS_TOPIC;
use crate::transaction::metadata::Partitions;
use crate::transaction::{ClientVersion, ProducerIdAndEpoch};

/// First version whose clients know PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;

/// Adds the group's offsets to the transaction.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let code = match add(broker, context, &request).await {
        Ok(()) => ErrorCode::None,
        Err(ErrorCode::ProducerFenced) if context.api_version < FENCED_SINCE => ErrorCode::InvalidProducerEpoch,
        Err(code) => code,
    };
    AddOffsetsToTxnResponse { error_code: code.code(), ..Default::default() }
}

async fn add(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: &AddOffsetsToTxnRequest,
) -> Result<(), ErrorCode> {
    if !broker.allows(context, AclOperation::Write, ResourceType::TransactionalId, &request.transactional_id) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    auto_topic::ensure_offsets_topic(broker).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    let partitions = offsets_partition(broker, &request.group_id)?;
    let producer = ProducerIdAndEpoch { producer_id: request.producer_id, producer_epoch: request.producer_epoch };
    broker.transactions.add_partitions(&request.transactional_id, producer, &partitions, ClientVersion::V1).await
}

/// The partition of `__consumer_offsets` that keeps `group_id`.
pub(super) fn offsets_partition(broker: &Broker, group_id: &str) -> Result<Partitions, ErrorCode> {
    let partition = broker.groups.partition_for(group_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok(Partitions::from([(OFFSETS_TOPIC.to_owned(), [partition].into())]))
}
