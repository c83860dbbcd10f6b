//! DescribeTransactions (key 65), version 0.
//!
//! - an id that nobody has used is answered TRANSACTIONAL_ID_NOT_FOUND
//! - topics that the client may not describe are left out
//! - the start time is -1 until a first transaction is begun

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_transactions_response::{Topic, TransactionState};
use milena_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use crate::context::{Broker, RequestContext};
use crate::transaction::TransactionMetadata;

/// Describes transactional ids, each with its own error.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|transactional_id| {
        if !broker.allows(context, AclOperation::Describe, ResourceType::TransactionalId, &transactional_id) {
            return refused(transactional_id, ErrorCode::TransactionalIdAuthorizationFailed);
        }
        match broker.transactions.describe(&transactional_id) {
            Ok(Some(transaction)) => described(transactional_id, transaction, |topic| {
                broker.may(context, AclOperation::Describe, ResourceType::Topic, topic)
            }),
            Ok(None) => refused(transactional_id, ErrorCode::TransactionalIdNotFound),
            Err(code) => refused(transactional_id, code),
        }
    });
    DescribeTransactionsResponse { transaction_states: states.collect(), ..Default::default() }
}

fn described(
    transactional_id: String,
    transaction: TransactionMetadata,
    may_see: impl Fn(&str) -> bool,
) -> TransactionState {
    let topics = transaction.partitions.into_iter().filter(|(topic, _)| may_see(topic));
    let topics = topics.map(|(topic, partitions)| Topic { topic, partitions: partitions.into_iter().collect() });
    TransactionState {
        transactional_id,
        transaction_state: transaction.state.name().to_owned(),
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_start_time_ms: transaction.start_ms,
        producer_id: transaction.producer_id,
        producer_epoch: transaction.producer_epoch,
        topics: topics.collect(),
        ..Default::default()
    }
}

fn refused(transactional_id: String, code: ErrorCode) -> TransactionState {
    TransactionState { transactional_id, error_code: code.code(), ..Default::default() }
}
