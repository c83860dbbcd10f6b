//! CreatePartitions (key 37), versions 0-3.
//!
//! - topics only grow; the count is the total after the change
//! - the partitions exist before the answer, so `TimeoutMs` is never reached

use std::sync::Arc;

use milena_metadata::NewPartitions;
use milena_protocol::messages::create_partitions_request::Topic as Asked;
use milena_protocol::messages::create_partitions_response::Result as TopicResult;
use milena_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::context::{Broker, RequestContext};

/// Adds partitions to topics, each by itself.
pub async fn handle(
    broker: &Arc<Broker>,
    _context: &RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let asked = request.topics.into_iter().map(new_partitions).collect();
    let grown = broker.controller.create_partitions(asked, request.validate_only).await;
    let results = names.into_iter().zip(grown).map(|(name, grown)| match grown {
        Ok(()) => TopicResult { name, ..Default::default() },
        Err(error) => {
            TopicResult { name, error_code: error.error_code().code(), error_message: Some(error.to_string()) }
        }
    });
    CreatePartitionsResponse { results: results.collect(), ..Default::default() }
}

fn new_partitions(asked: Asked) -> NewPartitions {
    NewPartitions {
        topic: asked.name,
        total_count: asked.count,
        assignments: asked
            .assignments
            .map(|assignments| assignments.into_iter().map(|assignment| assignment.broker_ids).collect()),
    }
}
