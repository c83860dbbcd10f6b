//! Metadata (key 3), versions 0-13.
//!
//! - v0: an empty list of topics means all of them; v1+: null means all, empty none
//! - v4+ decides itself whether a missing topic may be created; it is created before the answer, so that the client has
//!   its leader at once (Kafka answers UNKNOWN_TOPIC_OR_PARTITION first and lets the client ask again)
//! - v10 tells topic ids, v12 may ask by id (KIP-516)
//! - brokers are named by the addresses of the listener that the request came in on
//! - v13's REBOOTSTRAP_REQUIRED is never answered: this broker always knows the cluster

use std::sync::Arc;

use milena_metadata::TopicImage;
use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_protocol::messages::metadata_request::Topic as Asked;
use milena_protocol::messages::metadata_response::{Broker as BrokerEntry, Partition, Topic};
use milena_protocol::messages::{MetadataRequest, MetadataResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::authorized_operations::AuthorizedOperations;
use crate::auto_topic;
use crate::context::{Broker, RequestContext};

/// Before this version the client cannot say whether a missing topic may be created.
const AUTO_CREATION_FLAG_SINCE: i16 = 4;
/// First version that can ask by topic id alone.
const BY_ID_SINCE: i16 = 12;

/// Tells the brokers, and the partitions of the topics asked for.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: MetadataRequest) -> MetadataResponse {
    let auto_create = broker.config.auto_create_topics_enable
        && (request.allow_auto_topic_creation || context.api_version < AUTO_CREATION_FLAG_SINCE);
    let asking = Asking {
        broker,
        context,
        auto_create,
        operations: AuthorizedOperations::new(broker, context, request.include_topic_authorized_operations),
    };
    let topics = match topics_asked_for(context.api_version, request.topics) {
        None => broker
            .image()
            .topics()
            .filter(|topic| broker.may(context, AclOperation::Describe, ResourceType::Topic, &topic.name))
            .map(|topic| asking.describe(topic))
            .collect(),
        Some(asked) => {
            let mut topics = Vec::with_capacity(asked.len());
            for topic in asked {
                topics.push(asking.answer(topic).await);
            }
            topics
        }
    };
    let cluster_operations = AuthorizedOperations::new(broker, context, request.include_cluster_authorized_operations);
    MetadataResponse {
        brokers: vec![this_broker(broker, context)],
        cluster_id: Some(broker.image().cluster_id.clone()),
        controller_id: broker.node_id(),
        topics,
        cluster_authorized_operations: cluster_operations.of_cluster(),
        ..Default::default()
    }
}

/// `None` stands for all topics.
fn topics_asked_for(version: i16, topics: Option<Vec<Asked>>) -> Option<Vec<Asked>> {
    topics.filter(|topics| version > 0 || !topics.is_empty())
}

fn this_broker(broker: &Broker, context: &RequestContext) -> BrokerEntry {
    BrokerEntry {
        node_id: broker.node_id(),
        host: context.listener.advertised_host.clone(),
        port: i32::from(context.listener.advertised_port),
        rack: broker.config.broker_rack.clone(),
    }
}

/// Who asks, and what holds for every topic of the request.
struct Asking<'a> {
    broker: &'a Arc<Broker>,
    context: &'a RequestContext,
    auto_create: bool,
    operations: AuthorizedOperations<'a>,
}

impl Asking<'_> {
    /// From v12 on a topic id decides, whatever the name says: Java's client sends an empty name with it.
    async fn answer(&self, asked: Asked) -> Topic {
        if self.context.api_version >= BY_ID_SINCE && asked.topic_id != Uuid::ZERO {
            return match self.broker.image().topic_by_id(&asked.topic_id) {
                Some(topic) if self.allows(AclOperation::Describe, &topic.name) => self.describe(topic),
                // The id is no secret, the name is.
                Some(_) => failed(None, asked.topic_id, ErrorCode::TopicAuthorizationFailed),
                None => failed(None, asked.topic_id, ErrorCode::UnknownTopicId),
            };
        }
        match asked.name {
            Some(name) => self.by_name(name).await,
            None => failed(None, asked.topic_id, ErrorCode::InvalidRequest),
        }
    }

    async fn by_name(&self, name: String) -> Topic {
        if !self.allows(AclOperation::Describe, &name) {
            return failed(Some(name), Uuid::ZERO, ErrorCode::TopicAuthorizationFailed);
        }
        if let Some(found) = self.described(&name) {
            return found;
        }
        if let Err(error) = milena_metadata::topic_name::validate(&name) {
            tracing::debug!(%error, "metadata asked for an invalid topic name");
            return failed(Some(name), Uuid::ZERO, ErrorCode::InvalidTopicException);
        }
        if !self.auto_create {
            return failed(Some(name), Uuid::ZERO, ErrorCode::UnknownTopicOrPartition);
        }
        if !self.may_create(&name) {
            return failed(Some(name), Uuid::ZERO, ErrorCode::TopicAuthorizationFailed);
        }
        match auto_topic::create(self.broker, &name).await {
            Ok(()) => self
                .described(&name)
                .unwrap_or_else(|| failed(Some(name), Uuid::ZERO, ErrorCode::UnknownTopicOrPartition)),
            Err(error) => failed(Some(name), Uuid::ZERO, error.error_code()),
        }
    }

    fn allows(&self, operation: AclOperation, topic: &str) -> bool {
        self.broker.allows_topic(self.context, operation, topic)
    }

    fn may_create(&self, topic: &str) -> bool {
        self.broker.may(self.context, AclOperation::Create, ResourceType::Cluster, CLUSTER_NAME)
            || self.allows(AclOperation::Create, topic)
    }

    fn described(&self, name: &str) -> Option<Topic> {
        self.broker.image().topic(name).map(|topic| self.describe(topic))
    }

    fn describe(&self, topic: &TopicImage) -> Topic {
        let partitions = topic.partitions.iter().enumerate().map(|(index, partition)| Partition {
            partition_index: index as i32,
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.replicas.clone(),
            ..Default::default()
        });
        Topic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: topic.is_internal(),
            partitions: partitions.collect(),
            topic_authorized_operations: self.operations.of_topic(&topic.name),
            ..Default::default()
        }
    }
}

fn failed(name: Option<String>, topic_id: Uuid, code: ErrorCode) -> Topic {
    let name_or_empty = name.or_else(|| (topic_id == Uuid::ZERO).then(String::new));
    Topic { error_code: code.code(), name: name_or_empty, topic_id, ..Default::default() }
}
