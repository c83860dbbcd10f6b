//! Transactions that are open in a partition although no coordinator will ever end them.

use std::collections::{BTreeMap, BTreeSet};

use milena_client::{Cluster, Error, TopicPartition};
use milena_protocol::messages::{ListTransactionsRequest, describe_producers_response};

use super::{Parsed, describe_one, failed, list_all, producers_of, row, wrong};
use crate::failure::Failure;
use crate::java_format;

/// `transaction.max.timeout.ms` of brokers that nobody has changed, in minutes.
const MAX_TIMEOUT_MINUTES: i64 = 15;
const MINUTE_MS: i64 = 60_000;

/// An open transaction of a partition.
struct Open {
    tp: TopicPartition,
    producer: describe_producers_response::ActiveProducer,
}

pub(super) async fn run(cluster: &Cluster, options: &Parsed) -> Result<Vec<Vec<String>>, Failure> {
    let broker: Option<i32> = options.number("broker-id")?;
    let topic = options.value("topic");
    if broker.is_none() && topic.is_none() {
        return Err(wrong(
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search",
        ));
    }
    let partition: Option<i32> = options.number("partition")?;
    if partition.is_some() && topic.is_none() {
        return Err(wrong("The --partition argument requires --topic to be specified"));
    }
    let minutes = options.number("max-transaction-timeout")?.unwrap_or(MAX_TIMEOUT_MINUTES);
    let now_ms = java_format::now_ms();
    let found = async {
        let partitions = partitions(cluster, broker, topic, partition).await?;
        let open = open_for_long(cluster, partitions, broker, now_ms - minutes * MINUTE_MS).await?;
        hanging(cluster, open).await
    };
    let found = found.await.map_err(|error| failed("Failed to find hanging transactions".to_owned(), &error))?;
    let mut rows = vec![row([
        "Topic",
        "Partition",
        "ProducerId",
        "ProducerEpoch",
        "CoordinatorEpoch",
        "StartOffset",
        "LastTimestamp",
        "Duration(min)",
    ])];
    rows.extend(found.into_iter().map(|Open { tp, producer }| {
        vec![
            tp.topic.to_string(),
            tp.partition.to_string(),
            producer.producer_id.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.to_string(),
            producer.current_txn_start_offset.to_string(),
            producer.last_timestamp.to_string(),
            ((now_ms - producer.last_timestamp) / MINUTE_MS).to_string(),
        ]
    }));
    Ok(rows)
}

async fn partitions(
    cluster: &Cluster,
    broker: Option<i32>,
    topic: Option<&str>,
    partition: Option<i32>,
) -> Result<Vec<TopicPartition>, Error> {
    let names: Vec<String> = match topic {
        Some(topic) => vec![topic.to_owned()],
        None => cluster.list_topics().await?.into_iter().map(|topic| topic.name).collect(),
    };
    let mut found = Vec::new();
    for described in cluster.describe_topics(&names, i32::MAX).await? {
        let mine = described.partitions.iter().filter(|each| {
            partition.is_none_or(|partition| partition == each.partition)
                && broker.is_none_or(|broker| each.replicas.contains(&broker))
        });
        found.extend(mine.map(|each| TopicPartition::new(described.name.as_str(), each.partition)));
    }
    Ok(found)
}

async fn open_for_long(
    cluster: &Cluster,
    partitions: Vec<TopicPartition>,
    broker: Option<i32>,
    before_ms: i64,
) -> Result<Vec<Open>, Error> {
    let mut open = Vec::new();
    for tp in partitions {
        for producer in producers_of(cluster, &tp, broker).await? {
            if producer.current_txn_start_offset >= 0 && producer.last_timestamp < before_ms {
                open.push(Open { tp: tp.clone(), producer });
            }
        }
    }
    Ok(open)
}

/// Those whose producer no coordinator knows, or whose partition its coordinator does not count to the transaction.
async fn hanging(cluster: &Cluster, open: Vec<Open>) -> Result<Vec<Open>, Error> {
    if open.is_empty() {
        return Ok(open);
    }
    let producer_ids: BTreeSet<i64> = open.iter().map(|open| open.producer.producer_id).collect();
    let request =
        ListTransactionsRequest { producer_id_filters: producer_ids.into_iter().collect(), ..Default::default() };
    let mut owned: BTreeMap<i64, BTreeSet<TopicPartition>> = BTreeMap::new();
    for listed in list_all(cluster, &request).await? {
        let (_, state) = describe_one(cluster, &listed.state.transactional_id).await?;
        let partitions = owned.entry(state.producer_id).or_default();
        for topic in state.topics {
            let each = topic.partitions.iter();
            partitions.extend(each.map(|partition| TopicPartition::new(topic.topic.as_str(), *partition)));
        }
    }
    let is_owned = |open: &Open| owned.get(&open.producer.producer_id).is_some_and(|tps| tps.contains(&open.tp));
    Ok(open.into_iter().filter(|open| !is_owned(open)).collect())
}
