//! What the controller writes into the store: one key a topic and one a set of configurations, with JSON values.
//!
//! ```text
//! cluster               {"cluster_id": "..."}
//! controller            {"node_id": 1}                      rewritten by every change: whoever sees it move is fenced
//! topic/<name>          {"id": "...", "partitions": [{"replicas": [1], "leader": 1, "leader_epoch": 0}]}
//! config/topic/<name>   config/broker/<id>   config/broker-default   config/group/<id>   config/client-metrics/<name>
//! producer-ids          {"next": 1000}
//! imported              {"cluster_id": "..."}               the metadata of an Apache Kafka cluster was taken over
//! acl/<binding>         {}                                  the binding itself is the key
//! scram/<mechanism>/<user>   quota/<entity>   token/<id>   feature/<name>
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milena_protocol::Uuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::configs::ConfigResource;
use super::error::ControllerError;
use crate::broker_config::BrokerConfig;
use crate::image::{ClusterImage, ConfigMap, PartitionImage, TopicImage};
use crate::store::Listing;

pub(super) const CLUSTER: &str = "cluster";
pub(super) const CONTROLLER: &str = "controller";
pub(super) const PRODUCER_IDS: &str = "producer-ids";
pub(super) const IMPORTED: &str = "imported";

mod security;

pub(super) use security::{acl_entry, encode_scram, encode_token, feature_key, quota_key, scram_key, token_key};

const TOPIC_PREFIX: &str = "topic/";
const CONFIG_PREFIX: &str = "config/";

#[derive(Serialize, Deserialize)]
pub(super) struct ClusterRecord {
    pub(super) cluster_id: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ControllerRecord {
    pub(super) node_id: i32,
}

#[derive(Serialize, Deserialize, Default)]
pub(super) struct ProducerIdsRecord {
    pub(super) next: i64,
}

#[derive(Serialize, Deserialize)]
struct TopicRecord {
    id: String,
    partitions: Vec<PartitionRecord>,
}

#[derive(Serialize, Deserialize)]
struct PartitionRecord {
    replicas: Vec<i32>,
    leader: i32,
    leader_epoch: i32,
}

pub(super) fn topic_key(name: &str) -> String {
    format!("{TOPIC_PREFIX}{name}")
}

pub(super) fn config_key(resource: &ConfigResource) -> String {
    match resource {
        ConfigResource::Topic(name) => format!("{CONFIG_PREFIX}topic/{name}"),
        ConfigResource::Broker(id) => format!("{CONFIG_PREFIX}broker/{id}"),
        ConfigResource::BrokerDefault => format!("{CONFIG_PREFIX}broker-default"),
        ConfigResource::Group(id) => format!("{CONFIG_PREFIX}group/{id}"),
        ConfigResource::ClientMetrics(name) => format!("{CONFIG_PREFIX}client-metrics/{name}"),
    }
}

fn resource_of_key(key: &str) -> Option<ConfigResource> {
    let rest = key.strip_prefix(CONFIG_PREFIX)?;
    match rest.split_once('/') {
        Some(("topic", name)) => Some(ConfigResource::Topic(name.to_owned())),
        Some(("broker", id)) => id.parse().ok().map(ConfigResource::Broker),
        Some(("group", id)) => Some(ConfigResource::Group(id.to_owned())),
        Some(("client-metrics", name)) => Some(ConfigResource::ClientMetrics(name.to_owned())),
        None if rest == "broker-default" => Some(ConfigResource::BrokerDefault),
        _ => None,
    }
}

/// The bytes of a record.
pub(super) fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records are maps with text keys")
}

/// Reads the record under `key`.
pub(super) fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, ControllerError> {
    serde_json::from_slice(value).map_err(|error| corrupt(key, error.to_string()))
}

pub(super) fn encode_topic(topic: &TopicImage) -> Vec<u8> {
    let partitions = topic.partitions.iter().map(|partition| PartitionRecord {
        replicas: partition.replicas.clone(),
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
    });
    encode(&TopicRecord { id: topic.id.to_string(), partitions: partitions.collect() })
}

/// Builds the image that the whole store describes.
pub(super) fn load_image(
    listing: &Listing,
    cluster_id: String,
    config: Arc<BrokerConfig>,
) -> Result<ClusterImage, ControllerError> {
    let mut image = ClusterImage {
        revision: listing.revision,
        cluster_id,
        node_id: config.node_id,
        broker_configs: BTreeMap::new(),
        default_broker_config: ConfigMap::new(),
        group_configs: BTreeMap::new(),
        client_metrics_configs: BTreeMap::new(),
        acls: Arc::default(),
        scram: Arc::default(),
        client_quotas: Arc::default(),
        delegation_tokens: Arc::default(),
        chosen_features: BTreeMap::new(),
        static_config: config,
        topics: BTreeMap::new(),
        topics_by_id: HashMap::new(),
    };
    let mut topic_configs: HashMap<String, ConfigMap> = HashMap::new();
    for entry in listing.entries.iter().filter(|entry| entry.key.starts_with(CONFIG_PREFIX)) {
        let configs = decode(&entry.key, &entry.value)?;
        match resource_of_key(&entry.key) {
            Some(ConfigResource::Topic(name)) => drop(topic_configs.insert(name, configs)),
            Some(ConfigResource::Broker(id)) => drop(image.broker_configs.insert(id, configs)),
            Some(ConfigResource::BrokerDefault) => image.default_broker_config = configs,
            Some(ConfigResource::Group(id)) => drop(image.group_configs.insert(id, configs)),
            Some(ConfigResource::ClientMetrics(name)) => drop(image.client_metrics_configs.insert(name, configs)),
            None => return Err(corrupt(&entry.key, "unknown kind of resource".to_owned())),
        }
    }
    for entry in &listing.entries {
        if let Some(name) = entry.key.strip_prefix(TOPIC_PREFIX) {
            let configs = topic_configs.remove(name).unwrap_or_default();
            image.insert_topic(Arc::new(decode_topic(&entry.key, name, &entry.value, configs)?));
        }
    }
    security::load(listing, &mut image)?;
    Ok(image)
}

fn decode_topic(key: &str, name: &str, value: &[u8], configs: ConfigMap) -> Result<TopicImage, ControllerError> {
    let record: TopicRecord = decode(key, value)?;
    let id: Uuid = record.id.parse().map_err(|_| corrupt(key, format!("{} is not a topic id", record.id)))?;
    let partitions = record.partitions.into_iter().map(|partition| PartitionImage {
        replicas: partition.replicas,
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
    });
    Ok(TopicImage { name: name.to_owned(), id, partitions: partitions.collect(), configs })
}

fn corrupt(key: &str, reason: String) -> ControllerError {
    ControllerError::Corrupt { key: key.to_owned(), reason }
}
