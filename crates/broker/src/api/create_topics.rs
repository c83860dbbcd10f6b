//! CreateTopics (key 19), versions 0-7.
//!
//! - explicit assignments exclude a partition count and a replication factor; -1 means the broker's default (KIP-464)
//! - v1+ can validate without creating; v5+ answers with the topic's configuration (KIP-525), v7 with its id
//! - a topic named twice in one request is answered once, with an error
//! - topics exist before the answer, so `TimeoutMs` is never reached

use std::collections::HashSet;
use std::sync::Arc;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_metadata::{ClusterImage, ControllerError, EffectiveConfig, NewTopic, TopicImage};
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request::Topic as Asked;
use milena_protocol::messages::create_topics_response::{Config, Topic};
use milena_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use crate::context::{Broker, RequestContext};
use crate::quota::THROTTLED_MESSAGE;

/// First version whose answer describes the new topic.
const DESCRIBES_SINCE: i16 = 5;
/// First version that knows THROTTLING_QUOTA_EXCEEDED (KIP-599).
const STRICT_QUOTA_SINCE: i16 = 6;

/// Creates topics, each by itself: one that fails does not keep the others from being created.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    mut request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let not_allowed = take_refused(broker, context, &mut request.topics);
    let mut quota = broker.quotas.mutations(context, context.api_version >= STRICT_QUOTA_SINCE);
    let throttled = quota.refuse(&mut request.topics, |topic| new_partition_count(broker, topic));
    context.flow.throttle(quota.throttle_ms());
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let asked = request.topics.into_iter().map(new_topic).collect();
    let created = broker.controller.create_topics(asked, request.validate_only).await;
    let image = broker.image();
    let mut answered = HashSet::new();
    let topics =
        names.into_iter().zip(created).filter(|(name, _)| answered.insert(name.clone())).map(|(name, created)| {
            match created {
                Ok(topic) => {
                    let described = describe(&image, &topic, context.api_version, request.validate_only);
                    with_configs_if_allowed(broker, context, described)
                }
                Err(error) => failed(name, &error),
            }
        });
    let throttled =
        throttled.into_iter().map(|topic| refused(topic.name, ErrorCode::ThrottlingQuotaExceeded, THROTTLED_MESSAGE));
    CreateTopicsResponse { topics: topics.chain(throttled).chain(not_allowed).collect(), ..Default::default() }
}

/// Partitions that creating the topic would add; none if it exists.
fn new_partition_count(broker: &Broker, topic: &Asked) -> usize {
    if broker.image().topic(&topic.name).is_some() {
        return 0;
    }
    let default = usize::try_from(broker.config.num_partitions).unwrap_or(1);
    usize::try_from(topic.num_partitions).unwrap_or(if topic.assignments.is_empty() {
        default
    } else {
        topic.assignments.len()
    })
}

/// Takes out what the client may not create: it needs CREATE on the cluster or on the topic.
fn take_refused(broker: &Broker, context: &RequestContext, topics: &mut Vec<Asked>) -> Vec<Topic> {
    let anything = broker.may(context, AclOperation::Create, ResourceType::Cluster, CLUSTER_NAME);
    let allowed = |topic: &Asked| anything || broker.allows_topic(context, AclOperation::Create, &topic.name);
    let refused = broker.take_refused(topics, allowed).into_iter().map(|topic| Topic {
        name: topic.name,
        error_code: ErrorCode::TopicAuthorizationFailed.code(),
        error_message: Some("Authorization failed.".to_owned()),
        ..Default::default()
    });
    refused.collect()
}

/// The answer without the topic's configuration when the client may not see it.
fn with_configs_if_allowed(broker: &Broker, context: &RequestContext, topic: Topic) -> Topic {
    if context.api_version < DESCRIBES_SINCE
        || broker.may(context, AclOperation::DescribeConfigs, ResourceType::Topic, &topic.name)
    {
        return topic;
    }
    Topic {
        num_partitions: -1,
        replication_factor: -1,
        configs: None,
        topic_config_error_code: ErrorCode::TopicAuthorizationFailed.code(),
        ..topic
    }
}

fn new_topic(asked: Asked) -> NewTopic {
    NewTopic {
        name: asked.name,
        num_partitions: asked.num_partitions,
        replication_factor: asked.replication_factor,
        assignments: asked.assignments.into_iter().map(|entry| (entry.partition_index, entry.broker_ids)).collect(),
        configs: asked.configs.into_iter().map(|config| (config.name, config.value)).collect(),
    }
}

fn describe(image: &ClusterImage, topic: &TopicImage, version: i16, validate_only: bool) -> Topic {
    let described = Topic { name: topic.name.clone(), ..Default::default() };
    if version < DESCRIBES_SINCE {
        return described;
    }
    Topic {
        // A topic that was only validated has no id yet.
        topic_id: if validate_only { described.topic_id } else { topic.id },
        num_partitions: topic.partitions.len() as i32,
        replication_factor: topic.replication_factor(),
        configs: Some(image.topic_configs(&topic.configs).map(config).collect()),
        ..described
    }
}

fn config(config: EffectiveConfig) -> Config {
    let is_sensitive = config.def.is_sensitive();
    Config {
        name: config.def.name.to_owned(),
        value: config.value.filter(|_| !is_sensitive),
        read_only: false,
        config_source: config.source as i8,
        is_sensitive,
    }
}

fn failed(name: String, error: &ControllerError) -> Topic {
    refused(name, error.error_code(), &error.to_string())
}

fn refused(name: String, code: ErrorCode, message: &str) -> Topic {
    Topic {
        name,
        error_code: code.code(),
        error_message: Some(message.to_owned()),
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
