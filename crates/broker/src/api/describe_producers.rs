//! DescribeProducers (key 61), version 0: what a partition remembers of the producers that write to it (KIP-664).

use std::sync::Arc;

use milena_log::ProducerSummary;
use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_producers_request::Topic as Asked;
use milena_protocol::messages::describe_producers_response::{ActiveProducer, Partition, Topic};
use milena_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use crate::context::{Broker, RequestContext};

/// Describes the producers of partitions, each with its own error.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| describe(broker, context, topic)).collect();
    DescribeProducersResponse { topics, ..Default::default() }
}

fn describe(broker: &Broker, context: &RequestContext, asked: Asked) -> Topic {
    let allowed = broker.allows_topic(context, AclOperation::Read, &asked.name);
    let found = allowed.then_some(()).ok_or(ErrorCode::TopicAuthorizationFailed);
    let found = found.and_then(|()| broker.partitions.topic(&asked.name).ok_or(ErrorCode::UnknownTopicOrPartition));
    let partitions = asked.partition_indexes.into_iter().map(|partition_index| {
        let partition = found.as_ref().map_err(|code| *code).and_then(|topic| topic.partition(partition_index));
        match partition {
            Ok(partition) => Partition {
                partition_index,
                active_producers: partition.log().producers().iter().map(active).collect(),
                ..Default::default()
            },
            Err(code) => Partition { partition_index, error_code: code.code(), ..Default::default() },
        }
    });
    Topic { partitions: partitions.collect(), name: asked.name }
}

fn active(producer: &ProducerSummary) -> ActiveProducer {
    ActiveProducer {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_txn_start_offset.unwrap_or(-1),
    }
}
