//! ListTransactions (key 66), versions 0-2.
//!
//! - filters: states (names that are none are told back), producer ids, v1 duration, v2 a pattern for the whole
//!   transactional id (KIP-1152), else INVALID_REGULAR_EXPRESSION

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::list_transactions_response::TransactionState as Listed;
use milena_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use regex::Regex;

use crate::context::{Broker, RequestContext};
use crate::transaction::{ListFilter, TransactionState};

/// Lists the transactional ids of this coordinator.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let (states, unknown_state_filters): (Vec<_>, Vec<_>) = request
        .state_filters
        .iter()
        .map(|name| (TransactionState::from_name(name), name.clone()))
        .partition(|(state, _)| state.is_some());
    let unknown_state_filters: Vec<String> = unknown_state_filters.into_iter().map(|(_, name)| name).collect();
    let states: Vec<TransactionState> = states.into_iter().filter_map(|(state, _)| state).collect();
    let respond = |code: ErrorCode, transaction_states| ListTransactionsResponse {
        error_code: code.code(),
        unknown_state_filters: unknown_state_filters.clone(),
        transaction_states,
        ..Default::default()
    };
    if states.is_empty() && !request.state_filters.is_empty() {
        // Only unknown states were asked for, and nothing is in one.
        return respond(ErrorCode::None, Vec::new());
    }
    let pattern = match request.transactional_id_pattern.filter(|pattern| !pattern.is_empty()) {
        Some(pattern) => match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(pattern) => Some(pattern),
            Err(_) => return respond(ErrorCode::InvalidRegularExpression, Vec::new()),
        },
        None => None,
    };
    let longer_than_ms = Some(request.duration_filter).filter(|limit| *limit >= 0);
    let filter = ListFilter { states, producer_ids: request.producer_id_filters, longer_than_ms, pattern };
    match broker.transactions.list(&filter) {
        Ok(found) => {
            let visible = found.into_iter().filter(|transaction| {
                let id = &transaction.transactional_id;
                broker.may(context, AclOperation::Describe, ResourceType::TransactionalId, id)
            });
            let listed = visible.map(|transaction| Listed {
                transactional_id: transaction.transactional_id.to_string(),
                producer_id: transaction.producer_id,
                transaction_state: transaction.state.name().to_owned(),
            });
            respond(ErrorCode::None, listed.collect())
        }
        Err(code) => respond(code, Vec::new()),
    }
}
