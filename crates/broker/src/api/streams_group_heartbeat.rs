//! StreamsGroupHeartbeat (key 88), versions 0-1 (KIP-1071).
//!
//! - the internal topics of the topology are created here, if the client may CREATE them; until they exist the answer's
//!   status says that they are missing, as in Kafka, and the next heartbeat gets tasks
//! - v1 says the acceptable recovery lag in 64 bits; nothing ever asks for a topology description
//! - not supported, as in Kafka 4.3: static members, topology updates, patterns as source topics, warm-up tasks

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_metadata::{ControllerError, NewTopic, STREAMS_VERSION, topic_name};
use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_heartbeat_response::Status;
use milena_protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};

use crate::context::{Broker, RequestContext};
use crate::group::ClientIdentity;
use crate::group::consumer::Refusal;
use crate::group::streams::{InternalTopic, MISSING_INTERNAL_TOPICS, named_topics};

/// Keeps a member of a streams group alive and tells it which tasks to run.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: StreamsGroupHeartbeatRequest,
) -> StreamsGroupHeartbeatResponse {
    heartbeat(broker, context, request).await.unwrap_or_else(|refusal| StreamsGroupHeartbeatResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message),
        status: Some(Vec::new()),
        ..StreamsGroupHeartbeatResponse::default()
    })
}

async fn heartbeat(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: StreamsGroupHeartbeatRequest,
) -> Result<StreamsGroupHeartbeatResponse, Refusal> {
    check(broker, context, &request)?;
    let client = ClientIdentity::new(context.client_id.as_deref(), context.peer.ip());
    let mut outcome = broker.groups.streams_heartbeat(request, client).await?;
    if !outcome.missing_topics.is_empty() {
        let problem = create_topics(broker, context, outcome.missing_topics).await;
        if let Some(problem) = problem {
            add_to_status(&mut outcome.response, &problem);
        }
    }
    Ok(outcome.response)
}

fn check(broker: &Broker, context: &RequestContext, request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    if !is_enabled(broker) {
        return Err(ErrorCode::UnsupportedVersion.into());
    }
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return Err(ErrorCode::GroupAuthorizationFailed.into());
    }
    let Some(topology) = &request.topology else { return Ok(()) };
    let topics = named_topics(topology);
    let listed = |pick: &dyn Fn(&str) -> bool| -> Option<String> {
        let picked: Vec<&str> = topics.iter().copied().filter(|topic| pick(topic)).collect();
        (!picked.is_empty()).then(|| picked.join(","))
    };
    if let Some(internal) = listed(&topic_name::is_internal) {
        let message = format!("Use of Kafka internal topics {internal} in a Kafka Streams topology is prohibited.");
        return Err(Refusal::new(ErrorCode::StreamsInvalidTopology, message));
    }
    if let Some(invalid) = listed(&|topic| topic_name::validate(topic).is_err()) {
        let message = format!("Topic names {invalid} are not valid topic names.");
        return Err(Refusal::new(ErrorCode::StreamsInvalidTopology, message));
    }
    if topics.iter().any(|topic| !broker.allows_topic(context, AclOperation::Describe, topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed.into());
    }
    Ok(())
}

/// Whether streams groups are in force (`streams.version`, `group.coordinator.rebalance.protocols`).
pub(super) fn is_enabled(broker: &Broker) -> bool {
    broker.image().feature_level(STREAMS_VERSION) > 0 && broker.groups.streams_config().enabled
}

/// Creates internal topics, as far as the client may. Says what went wrong.
async fn create_topics(broker: &Arc<Broker>, context: &RequestContext, topics: Vec<InternalTopic>) -> Option<String> {
    let anything = broker.may(context, AclOperation::Create, ResourceType::Cluster, CLUSTER_NAME);
    let (allowed, denied): (Vec<_>, Vec<_>) = topics
        .into_iter()
        .partition(|topic| anything || broker.allows_topic(context, AclOperation::Create, &topic.name));
    if !denied.is_empty() {
        let names: Vec<&str> = denied.iter().map(|topic| topic.name.as_str()).collect();
        return Some(format!("Unauthorized to CREATE on topics {}.", names.join(", ")));
    }
    let names: Vec<String> = allowed.iter().map(|topic| topic.name.clone()).collect();
    let created = broker.controller.create_topics(allowed.into_iter().map(new_topic).collect(), false).await;
    let failed = names.iter().zip(created).filter_map(|(name, result)| match result {
        Ok(_) | Err(ControllerError::TopicExists { .. }) => None,
        Err(error) => Some(format!("{name} ({error})")),
    });
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() {
        tracing::info!(topics = names.join(", "), "internal topics of a streams group were created");
        return None;
    }
    tracing::warn!(topics = failed.join(", "), "internal topics of a streams group cannot be created");
    Some(format!("Creation failed: {}.", failed.join(", ")))
}

fn new_topic(topic: InternalTopic) -> NewTopic {
    NewTopic {
        name: topic.name,
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        configs: topic.configs.into_iter().map(|(key, value)| (key, Some(value))).collect(),
        ..NewTopic::default()
    }
}

fn add_to_status(response: &mut StreamsGroupHeartbeatResponse, problem: &str) {
    let statuses = response.status.get_or_insert_default();
    match statuses.iter_mut().find(|status| status.status_code == MISSING_INTERNAL_TOPICS) {
        Some(status) => status.status_detail = format!("{}; {problem}", status.status_detail),
        None => {
            statuses.push(Status { status_code: MISSING_INTERNAL_TOPICS, status_detail: problem.to_owned() });
        }
    }
}
