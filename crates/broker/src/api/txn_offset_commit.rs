//! TxnOffsetCommit (key 28), versions 0-6.
//!
//! - the offsets become the group's when the transaction is committed, and vanish when it is aborted
//! - v3+ tells the member, which must be in the group's present generation (KIP-447); v6 names topics by id
//! - v0-4: AddOffsetsToTxn must have made the group part of the transaction (KIP-890 part 1); v5+ does so itself
//!   (transactions v2)
//! - v4 knows TRANSACTION_ABORTABLE; older versions hear INVALID_TXN_STATE

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::messages::txn_offset_commit_request as requested;
use milena_protocol::messages::txn_offset_commit_response::{Partition, Topic};
use milena_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use milena_protocol::{ErrorCode, Uuid};

use super::add_offsets_to_txn::offsets_partition;
use crate::auto_topic;
use crate::context::{Broker, RequestContext};
use crate::group::effects::HoldOpen;
use crate::group::offsets_log::TransactionalProducer;
use crate::group::shard_offsets::{CommitRequest, PartitionCommit};
use crate::group::{TopicView, TopicsView};
use crate::transaction::metadata::Partitions;
use crate::transaction::{ClientVersion, ProducerIdAndEpoch, WriteMode};

/// First version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE: i16 = 4;
/// First version of transactions v2.
const TRANSACTIONS_V2_SINCE: i16 = 5;
/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 6;

/// Stores how far a group has read, as part of a transaction.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    if let Err(code) = check_rights(broker, context, &request) {
        return refuse_all(request, code);
    }
    let mut response = TxnOffsetCommitResponse::default();
    let mut offsets = Vec::new();
    // Where in the response the codes of `offsets` go: topic and partition.
    let mut places = Vec::new();
    for topic in request.topics {
        let resolved = resolve(broker, context, &topic);
        let mut answered = Topic { name: topic.name, topic_id: topic.topic_id, ..Topic::default() };
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let code = match &resolved {
                Ok((name, view)) if (0..view.partitions).contains(&partition_index) => {
                    places.push((response.topics.len(), answered.partitions.len()));
                    offsets.push(partition_commit(name.clone(), view.id, partition));
                    ErrorCode::None
                }
                Ok(_) => ErrorCode::UnknownTopicOrPartition,
                Err(code) => *code,
            };
            answered.partitions.push(Partition { partition_index, error_code: code.code() });
        }
        response.topics.push(answered);
    }
    let commit = CommitRequest {
        group_id: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation_id_or_member_epoch: request.generation_id_or_member_epoch,
        retention_ms: None,
        version: context.api_version,
        offsets,
    };
    let producer = ProducerIdAndEpoch { producer_id: request.producer_id, producer_epoch: request.producer_epoch };
    let codes = match commit_in_transaction(broker, context, &request.transactional_id, producer, commit).await {
        Ok(codes) => codes,
        Err(code) => vec![code; places.len()],
    };
    for ((topic, partition), code) in places.into_iter().zip(codes) {
        response.topics[topic].partitions[partition].error_code = code.code();
    }
    response
}

fn check_rights(broker: &Broker, context: &RequestContext, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
    if !broker.allows(context, AclOperation::Write, ResourceType::TransactionalId, &request.transactional_id) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    Ok(())
}

async fn commit_in_transaction(
    broker: &Arc<Broker>,
    context: &RequestContext,
    transactional_id: &str,
    producer: ProducerIdAndEpoch,
    commit: CommitRequest,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    if commit.offsets.is_empty() {
        return Ok(Vec::new());
    }
    let version = context.api_version;
    let partitions = enter_transaction(broker, context, transactional_id, producer, &commit.group_id)
        .await
        .map_err(|code| refusal(code, version))?;
    let (transactions, transactional_id) = (broker.transactions.clone(), transactional_id.to_owned());
    let hold_open: HoldOpen = Box::new(move |write: &mut dyn FnMut()| {
        transactions
            .write_in_transaction(&transactional_id, producer, &partitions, WriteMode::Verify, write)
            .map_err(|code| refusal(code, version))
    });
    let ProducerIdAndEpoch { producer_id, producer_epoch } = producer;
    let producer = TransactionalProducer { producer_id, producer_epoch };
    broker.groups.commit_transactional_offsets(commit, producer, hold_open).await
}

/// Makes sure that the group's partition of `__consumer_offsets`, which is returned, is part of the open transaction.
async fn enter_transaction(
    broker: &Arc<Broker>,
    context: &RequestContext,
    transactional_id: &str,
    producer: ProducerIdAndEpoch,
    group_id: &str,
) -> Result<Partitions, ErrorCode> {
    auto_topic::ensure_offsets_topic(broker).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    let partitions = offsets_partition(broker, group_id)?;
    if context.api_version >= TRANSACTIONS_V2_SINCE {
        broker.transactions.add_partitions(transactional_id, producer, &partitions, ClientVersion::V2).await?;
    }
    Ok(partitions)
}

/// What a producer of this version understands of the transaction coordinator's refusal.
fn refusal(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
        // Every producer retries this one.
        ErrorCode::ConcurrentTransactions | ErrorCode::CoordinatorNotAvailable => ErrorCode::CoordinatorLoadInProgress,
        code => code,
    }
}

/// The name and the present state of a topic given by name or by id.
fn resolve(
    broker: &Broker,
    context: &RequestContext,
    topic: &requested::Topic,
) -> Result<(String, TopicView), ErrorCode> {
    let topics: &dyn TopicsView = broker.groups.topics();
    let name = if context.api_version >= TOPIC_IDS_SINCE {
        topics.topic_name(&topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?
    } else {
        topic.name.clone()
    };
    if !broker.allows_topic(context, AclOperation::Read, &name) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let view = topics.topic(&name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok((name, view))
}

fn partition_commit(topic: String, topic_id: Uuid, partition: requested::Partition) -> PartitionCommit {
    PartitionCommit {
        topic,
        topic_id,
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default(),
        commit_timestamp: None,
    }
}

fn refuse_all(request: TxnOffsetCommitRequest, code: ErrorCode) -> TxnOffsetCommitResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter();
        let partitions = partitions
            .map(|partition| Partition { partition_index: partition.partition_index, error_code: code.code() });
        Topic { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
