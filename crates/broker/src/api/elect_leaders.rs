//! ElectLeaders (key 43), versions 0-2 (KIP-183, KIP-460).
//!
//! - with one replica a partition is led by it or by nobody: an election is not needed, or finds nobody eligible
//! - null partitions mean all; those that need no election are then left out of the answer, as Kafka does

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::elect_leaders_request::TopicPartition as Asked;
use milena_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use milena_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use crate::context::{Broker, RequestContext};

/// Elects leaders, each partition by itself.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    if !broker.allows_cluster(context, AclOperation::Alter) {
        return refused(request.topic_partitions);
    }
    if ElectionType::from_wire(request.election_type).is_none() {
        return ElectLeadersResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    let results = match request.topic_partitions {
        None => every_partition(broker),
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let elect = |index: &i32| elect(broker, &topic.topic, *index);
                let partition_result = topic.partitions.iter().map(elect).collect();
                ReplicaElectionResult { topic: topic.topic, partition_result }
            })
            .collect(),
    };
    ElectLeadersResponse { replica_election_results: results, ..Default::default() }
}

/// Version 0 has no error for the whole request, so every partition named is told too.
fn refused(topics: Option<Vec<Asked>>) -> ElectLeadersResponse {
    let code = ErrorCode::ClusterAuthorizationFailed.code();
    let partition = |partition_id| PartitionResult { partition_id, error_code: code, error_message: None };
    let results = topics.unwrap_or_default().into_iter().map(|topic| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.into_iter().map(partition).collect(),
    });
    ElectLeadersResponse { error_code: code, replica_election_results: results.collect(), ..Default::default() }
}

/// Which replicas may become leader. The only replica is the preferred one, so both mean the same here.
enum ElectionType {
    Preferred,
    Unclean,
}

impl ElectionType {
    fn from_wire(code: i8) -> Option<ElectionType> {
        match code {
            0 => Some(ElectionType::Preferred),
            1 => Some(ElectionType::Unclean),
            _ => None,
        }
    }
}

fn every_partition(broker: &Broker) -> Vec<ReplicaElectionResult> {
    let image = broker.image();
    let results = image.topics().map(|topic| {
        let indexes = 0..topic.partitions.len() as i32;
        let elected = indexes.map(|index| elect(broker, &topic.name, index));
        let needed = elected.filter(|result| result.error_code != ErrorCode::ElectionNotNeeded.code());
        ReplicaElectionResult { topic: topic.name.clone(), partition_result: needed.collect() }
    });
    results.filter(|topic| !topic.partition_result.is_empty()).collect()
}

fn elect(broker: &Broker, topic: &str, index: i32) -> PartitionResult {
    let result = |code: ErrorCode, message: &str| PartitionResult {
        partition_id: index,
        error_code: code.code(),
        error_message: Some(message.to_owned()),
    };
    let Some(partitions) = broker.partitions.topic(topic) else {
        return result(ErrorCode::UnknownTopicOrPartition, &format!("No such topic as {topic}"));
    };
    match partitions.partition(index) {
        Err(ErrorCode::UnknownTopicOrPartition) => {
            result(ErrorCode::UnknownTopicOrPartition, &format!("No such partition as {topic}-{index}"))
        }
        Ok(partition) if partition.log().is_online() => {
            result(ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition.")
        }
        _ => result(ErrorCode::EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."),
    }
}
