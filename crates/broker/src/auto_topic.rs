//! Topics that come into being because somebody uses them.
//!
//! Created synchronously: the request that caused it is answered with the new topic. Kafka creates in the background and
//! lets the client retry; answering at once is allowed and saves a round trip.

use std::sync::Arc;

use milena_metadata::{ControllerError, NewTopic};

use crate::context::Broker;
use crate::offsets_log::OFFSETS_TOPIC;
use crate::share::coordinator::STATE_TOPIC;
use crate::transaction::state_log::TRANSACTION_STATE_TOPIC;

/// Partitions of `__share_group_state` unless configured.
const STATE_PARTITIONS: i32 = 50;

/// Creates the topic `name` with `num.partitions` and `default.replication.factor`, unless it exists by now.
///
/// The caller has checked `auto.create.topics.enable` and that the client allows it.
///
/// # Errors
/// Those of topic creation, for example an invalid name.
pub async fn create(broker: &Arc<Broker>, name: &str) -> Result<(), ControllerError> {
    let topic = NewTopic {
        name: name.to_owned(),
        num_partitions: broker.config.num_partitions,
        replication_factor: broker.config.default_replication_factor,
        ..NewTopic::default()
    };
    create_unless_present(broker, topic).await
}

/// Creates `__consumer_offsets` unless it exists.
///
/// # Errors
/// When the metadata store cannot be written.
pub(crate) async fn ensure_offsets_topic(broker: &Arc<Broker>) -> Result<(), ControllerError> {
    if broker.partitions.topic(OFFSETS_TOPIC).is_some() {
        return Ok(());
    }
    let config = &broker.config;
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
    ];
    let topic = NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        num_partitions: config.offsets_topic_num_partitions,
        // Kafka waits for as many brokers as the factor asks for; there is one.
        replication_factor: 1,
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
        ..NewTopic::default()
    };
    create_unless_present(broker, topic).await
}

/// Creates `__share_group_state` unless it exists. It is pruned by its owner, never by age.
///
/// # Errors
/// When the metadata store cannot be written.
pub(crate) async fn ensure_share_state_topic(broker: &Arc<Broker>) -> Result<(), ControllerError> {
    if broker.partitions.topic(STATE_TOPIC).is_some() {
        return Ok(());
    }
    let value = |key: &str| broker.config.value(key).unwrap_or_default().to_owned();
    let configs = [
        ("cleanup.policy", "delete".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("segment.bytes", value("share.coordinator.state.topic.segment.bytes")),
    ];
    let topic = NewTopic {
        name: STATE_TOPIC.to_owned(),
        num_partitions: value("share.coordinator.state.topic.num.partitions").parse().unwrap_or(STATE_PARTITIONS),
        replication_factor: 1,
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
        ..NewTopic::default()
    };
    create_unless_present(broker, topic).await
}

/// Creates `__transaction_state` unless it exists.
///
/// # Errors
/// When the metadata store cannot be written.
pub(crate) async fn ensure_transaction_state_topic(broker: &Arc<Broker>) -> Result<(), ControllerError> {
    if broker.partitions.topic(TRANSACTION_STATE_TOPIC).is_some() {
        return Ok(());
    }
    let config = &broker.config;
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "uncompressed".to_owned()),
        ("segment.bytes", config.transaction_state_log_segment_bytes.to_string()),
    ];
    let topic = NewTopic {
        name: TRANSACTION_STATE_TOPIC.to_owned(),
        num_partitions: config.transaction_state_log_num_partitions,
        replication_factor: 1,
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
        ..NewTopic::default()
    };
    create_unless_present(broker, topic).await
}

async fn create_unless_present(broker: &Arc<Broker>, topic: NewTopic) -> Result<(), ControllerError> {
    match broker.controller.create_topic(topic).await {
        Ok(_) | Err(ControllerError::TopicExists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
