//! A persistent query's own consumer and producer, and what became of its records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_client::admin::IsolationLevel;
use milena_client::consumer::assignor::Assignor;
use milena_client::consumer::{GroupProtocol, OffsetReset};
use milena_client::producer::Delivery;
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, Producer, ProducerConfig, TopicPartition};
use parking_lot::Mutex;

use super::failure::Result;
use super::layout::LaidPart;
use crate::state::Server;

/// `fetch.max.wait.ms` of queries that are not idle.
pub const FETCH_WAIT: Duration = Duration::from_millis(500);
/// `transaction.timeout.ms`: so long others wait for a server that was killed.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of the records that were handed over.
#[derive(Default)]
pub struct Deliveries {
    /// Why one was not written, the first of those.
    pub failure: Option<Error>,
    /// The offset after the last record.
    pub ends: BTreeMap<TopicPartition, i64>,
}

impl Deliveries {
    fn note(&mut self, delivery: &Delivery<'_>) {
        match delivery.result {
            Ok(base) => {
                let count = i64::try_from(delivery.tickets.len()).unwrap_or(i64::MAX);
                let end = base.saturating_add(count);
                self.ends.insert(TopicPartition::new(delivery.topic, delivery.partition), end);
            }
            Err(error) => {
                self.failure.get_or_insert_with(|| error.duplicate());
            }
        }
    }
}

/// The query's member of its group.
///
/// # Errors
/// Settings that contradict each other.
pub fn consumer(
    server: &Server,
    cluster: &Cluster,
    group_id: &str,
    laid: &[LaidPart],
    earliest: bool,
) -> Result<Consumer> {
    let config = ConsumerConfig {
        group_id: Some(group_id.to_owned()),
        // Whoever comes after a crash takes the place of the server that was killed, without waiting for its session to end.
        group_instance_id: Some(server.instance.clone()),
        enable_auto_commit: false,
        auto_offset_reset: if earliest { OffsetReset::Earliest } else { OffsetReset::Latest },
        isolation_level: IsolationLevel::ReadCommitted,
        allow_auto_create_topics: false,
        fetch_max_wait: FETCH_WAIT,
        // Partitions of the same number go to the same member, topic by topic.
        assignors: vec![Assignor::Range],
        // Only such members say where they are, and only they choose the assignor.
        group_protocol: GroupProtocol::Classic,
        user_data: Some(server.peers.user_data()),
        ..server.config.consumer.clone()
    };
    let mut consumer = Consumer::new(cluster.clone(), config);
    consumer.announce_revocations();
    let mut topics: Vec<String> = laid.iter().flat_map(|laid| laid.inputs.clone()).collect();
    topics.sort();
    topics.dedup();
    consumer.subscribe(topics)?;
    Ok(consumer)
}

/// The producer of its records, state and offsets.
///
/// # Errors
/// As [`consumer`].
pub fn producer(
    server: &Server,
    cluster: &Cluster,
    group_id: &str,
    exactly_once: bool,
    delivered: &Arc<Mutex<Deliveries>>,
) -> Result<Producer> {
    let own = &server.config.producer;
    let config = ProducerConfig {
        enable_idempotence: if exactly_once { Some(true) } else { own.enable_idempotence },
        transactional_id: exactly_once.then(|| format!("{group_id}-{}", server.instance)),
        transaction_timeout: match own.transaction_timeout {
            default if default == ProducerConfig::default().transaction_timeout => TRANSACTION_TIMEOUT,
            wanted => wanted,
        },
        // A sink that was deleted stays so.
        creates_topics: false,
        ..own.clone()
    };
    let noted = delivered.clone();
    Ok(Producer::new(cluster.clone(), config, Box::new(move |delivery| noted.lock().note(delivery)))?)
}
