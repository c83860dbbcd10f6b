//! AddPartitionsToTxn (key 24), versions 0-5.
//!
//! - v0-3 come from producers: partitions become part of the transaction, all of them or none; where one cannot, the
//!   others are answered OPERATION_NOT_ATTEMPTED
//! - v4+ carry several transactions, and come from brokers, which takes the right of one (KIP-890): `verify_only` asks whether each partition is part
//! - v2 knows PRODUCER_FENCED; older versions hear INVALID_PRODUCER_EPOCH. v5 knows TRANSACTION_ABORTABLE

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, Transaction};
use milena_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult, ResultsByTransaction,
};
use milena_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::context::{Broker, RequestContext};
use crate::transaction::metadata::Partitions;
use crate::transaction::{ClientVersion, ProducerIdAndEpoch};

/// First version with several transactions.
const BATCH_SINCE: i16 = 4;
/// First version whose clients know PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// First version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE: i16 = 5;

/// Adds partitions to transactions, or verifies that they are part of them.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if context.api_version >= BATCH_SINCE && !broker.allows_cluster(context, AclOperation::ClusterAction) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return AddPartitionsToTxnResponse { error_code, ..Default::default() };
    }
    if context.api_version < BATCH_SINCE {
        let transaction = Transaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        let results_by_topic_v3_and_below = one(broker, context, &transaction).await;
        return AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() };
    }
    let mut results_by_transaction = Vec::with_capacity(request.transactions.len());
    for transaction in request.transactions {
        let topic_results = one(broker, context, &transaction).await;
        let transactional_id = transaction.transactional_id;
        results_by_transaction.push(ResultsByTransaction { transactional_id, topic_results });
    }
    AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }
}

async fn one(
    broker: &Arc<Broker>,
    context: &RequestContext,
    transaction: &Transaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let version = context.api_version;
    let each = |code_of: &dyn Fn(&str, i32) -> ErrorCode| results(&transaction.topics, version, code_of);
    let id = &transaction.transactional_id;
    let batched = version >= BATCH_SINCE;
    if !batched && !broker.allows(context, AclOperation::Write, ResourceType::TransactionalId, id) {
        return each(&|_, _| ErrorCode::TransactionalIdAuthorizationFailed);
    }
    let refusal = |topic: &str, index: i32| {
        if !batched && !broker.allows_topic(context, AclOperation::Write, topic) {
            return Some(ErrorCode::TopicAuthorizationFailed);
        }
        refusal(broker, topic, index)
    };
    let all_fine = transaction
        .topics
        .iter()
        .all(|topic| topic.partitions.iter().all(|index| refusal(&topic.name, *index).is_none()));
    if !all_fine {
        return each(&|topic, index| refusal(topic, index).unwrap_or(ErrorCode::OperationNotAttempted));
    }
    let producer =
        ProducerIdAndEpoch { producer_id: transaction.producer_id, producer_epoch: transaction.producer_epoch };
    let partitions = partitions_of(&transaction.topics);
    if transaction.verify_only {
        return match broker.transactions.verify_partitions(id, producer, &partitions) {
            Ok(verdicts) => each(&|topic, index| {
                let verdict = verdicts.iter().find(|(name, partition, _)| name == topic && *partition == index);
                verdict.map_or(ErrorCode::InvalidTxnState, |(_, _, code)| *code)
            }),
            Err(code) => each(&|_, _| code),
        };
    }
    let added = broker.transactions.add_partitions(id, producer, &partitions, ClientVersion::V1).await;
    let code = added.err().unwrap_or(ErrorCode::None);
    each(&|_, _| code)
}

/// Why a partition cannot be part of any transaction.
fn refusal(broker: &Broker, topic: &str, index: i32) -> Option<ErrorCode> {
    let found = broker.partitions.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition);
    found.and_then(|topic| topic.partition(index)).err()
}

fn partitions_of(topics: &[AddPartitionsToTxnTopic]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in topics {
        partitions.entry(topic.name.clone()).or_default().extend(&topic.partitions);
    }
    partitions
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    version: i16,
    code_of: &dyn Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let partition = |topic: &str, index: i32| {
        let code = match code_of(topic, index) {
            ErrorCode::ProducerFenced if version < FENCED_SINCE => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
            code => code,
        };
        AddPartitionsToTxnPartitionResult { partition_index: index, partition_error_code: code.code() }
    };
    let topics = topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
        results_by_partition: topic.partitions.iter().map(|index| partition(&topic.name, *index)).collect(),
        name: topic.name.clone(),
    });
    topics.collect()
}
