//! The cluster as one immutable snapshot.
//!
//! Always true:
//!   topics by name and topics by id hold the same topics
//!   every partition of a topic has at least one replica, and its leader is one of them
//!   a later snapshot has a higher revision

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milena_protocol::Uuid;

use crate::acl::AclIndex;
use crate::broker_config::BrokerConfig;
use crate::client_quota::ClientQuotas;
use crate::delegation_token::DelegationTokens;
use crate::scram::ScramCredentials;
use crate::topic_name;

/// Configuration keys and values, sorted by key.
pub type ConfigMap = BTreeMap<String, String>;

/// A snapshot of everything the controller knows. Cheap to clone: topics are shared.
#[derive(Debug, Clone)]
pub struct ClusterImage {
    /// The revision of the metadata store that this image shows.
    pub revision: u64,
    /// The id of the cluster, 22 characters of base64; stable for the life of the data.
    pub cluster_id: String,
    /// The id of the one broker, which is also the controller.
    pub node_id: i32,
    /// Dynamic configuration of single brokers by id.
    pub broker_configs: BTreeMap<i32, ConfigMap>,
    /// Dynamic configuration that is the default of all brokers.
    pub default_broker_config: ConfigMap,
    /// Dynamic configuration of groups by id.
    pub group_configs: BTreeMap<String, ConfigMap>,
    /// Subscriptions to client metrics by name (KIP-714).
    pub client_metrics_configs: BTreeMap<String, ConfigMap>,
    /// Access control lists.
    pub acls: Arc<AclIndex>,
    /// SCRAM credentials of users.
    pub scram: Arc<ScramCredentials>,
    /// Quotas of users, clients and addresses.
    pub client_quotas: Arc<ClientQuotas>,
    /// Delegation tokens by id; some may have ended.
    pub delegation_tokens: Arc<DelegationTokens>,
    /// Levels of features that were chosen by UpdateFeatures; see [`ClusterImage::feature_level`].
    pub chosen_features: BTreeMap<String, i16>,
    /// What this broker was started with: the lowest layer of every value in force.
    pub static_config: Arc<BrokerConfig>,
    pub(crate) topics: BTreeMap<String, Arc<TopicImage>>,
    pub(crate) topics_by_id: HashMap<Uuid, Arc<TopicImage>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// The name.
    pub name: String,
    /// The id; a topic that is deleted and made again has another one.
    pub id: Uuid,
    /// The partitions by index.
    pub partitions: Vec<PartitionImage>,
    /// What was set for this topic itself.
    pub configs: ConfigMap,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// The ids of the brokers that keep it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The id of the broker that leads it.
    pub leader: i32,
    /// Counts changes of the leader.
    pub leader_epoch: i32,
}

impl TopicImage {
    /// Whether the platform keeps this topic for itself.
    pub fn is_internal(&self) -> bool {
        topic_name::is_internal(&self.name)
    }

    /// Copies of each partition; all partitions have the same number.
    pub fn replication_factor(&self) -> i16 {
        self.partitions.first().map_or(0, |partition| partition.replicas.len() as i16)
    }
}

impl ClusterImage {
    /// The topic called `name`.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: &Uuid) -> Option<&Arc<TopicImage>> {
        self.topics_by_id.get(id)
    }

    /// Every topic, sorted by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// How many partitions there are in all topics together.
    pub fn partition_count(&self) -> usize {
        self.topics.values().map(|topic| topic.partitions.len()).sum()
    }

    /// What was set under `key` for the group itself.
    pub fn group_config(&self, group: &str, key: &str) -> Option<String> {
        self.group_configs.get(group)?.get(key).cloned()
    }

    pub(crate) fn insert_topic(&mut self, topic: Arc<TopicImage>) {
        self.topics_by_id.insert(topic.id, topic.clone());
        self.topics.insert(topic.name.clone(), topic);
    }

    pub(crate) fn remove_topic(&mut self, name: &str) -> Option<Arc<TopicImage>> {
        let topic = self.topics.remove(name)?;
        self.topics_by_id.remove(&topic.id);
        Some(topic)
    }
}
