//! What Kafka's metadata says, after all of its records.

use std::collections::BTreeMap;
use std::path::PathBuf;

use milena_protocol::Uuid;
use milena_protocol::messages::{AccessControlEntryRecord, ClientQuotaRecord, ConfigRecord};

use super::KraftRecord;
use crate::acl::{AclBinding, AclOperation, AclPermission, PatternType, ResourceType};
use crate::client_quota::{ClientQuotas, QuotaEntity};
use crate::delegation_token::DelegationToken;
use crate::image::ConfigMap;
use crate::scram::{ScramCredential, ScramMechanism};

/// Types of resources in configuration records.
mod resource {
    pub(super) const TOPIC: i8 = 2;
    pub(super) const BROKER: i8 = 4;
    pub(super) const CLIENT_METRICS: i8 = 16;
    pub(super) const GROUP: i8 = 32;
}

/// The parts of Kafka's metadata that a cluster of one broker takes over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KraftMetadata {
    /// The log directory it comes from.
    pub directory: PathBuf,
    /// Topics by id.
    pub topics: BTreeMap<Uuid, String>,
    /// Configuration of topics by name.
    pub topic_configs: BTreeMap<String, ConfigMap>,
    /// Configuration of brokers by id; the empty id is the default of all.
    pub broker_configs: BTreeMap<String, ConfigMap>,
    /// Configuration of groups by id.
    pub group_configs: BTreeMap<String, ConfigMap>,
    /// Subscriptions to client metrics by name.
    pub client_metrics_configs: BTreeMap<String, ConfigMap>,
    /// ACL bindings by Kafka's id of them.
    pub acls: BTreeMap<Uuid, AclBinding>,
    /// SCRAM credentials by user and mechanism.
    pub scram: BTreeMap<(String, ScramMechanism), ScramCredential>,
    /// Client quotas.
    pub client_quotas: ClientQuotas,
    /// Delegation tokens by id.
    pub delegation_tokens: BTreeMap<String, DelegationToken>,
    /// Levels of features.
    pub features: BTreeMap<String, i16>,
    /// The first producer id that nobody was given.
    pub next_producer_id: i64,
    /// Records of a transaction that has not ended.
    pending: Option<Vec<KraftRecord>>,
}

impl KraftMetadata {
    pub(super) fn new(directory: PathBuf) -> KraftMetadata {
        KraftMetadata { directory, ..KraftMetadata::default() }
    }

    /// Applies the next record.
    pub(super) fn apply(&mut self, record: KraftRecord) {
        match (record, &mut self.pending) {
            (KraftRecord::BeginTransaction, pending) => *pending = Some(Vec::new()),
            (KraftRecord::AbortTransaction, pending) => *pending = None,
            (KraftRecord::EndTransaction, pending) => {
                for record in pending.take().unwrap_or_default() {
                    self.apply_now(record);
                }
            }
            (record, Some(pending)) => pending.push(record),
            (record, None) => self.apply_now(record),
        }
    }

    fn apply_now(&mut self, record: KraftRecord) {
        match record {
            KraftRecord::Topic(topic) => drop(self.topics.insert(topic.topic_id, topic.name)),
            KraftRecord::RemoveTopic(topic) => {
                if let Some(name) = self.topics.remove(&topic.topic_id) {
                    self.topic_configs.remove(&name);
                }
            }
            KraftRecord::Config(config) => self.apply_config(config),
            KraftRecord::UserScramCredential(user) => {
                let credential = ScramCredential {
                    salt: user.salt.to_vec(),
                    stored_key: user.stored_key.to_vec(),
                    server_key: user.server_key.to_vec(),
                    iterations: user.iterations,
                };
                if let Some(mechanism) = ScramMechanism::from_code(user.mechanism) {
                    self.scram.insert((user.name, mechanism), credential);
                }
            }
            KraftRecord::RemoveUserScramCredential(user) => {
                if let Some(mechanism) = ScramMechanism::from_code(user.mechanism) {
                    self.scram.remove(&(user.name, mechanism));
                }
            }
            KraftRecord::FeatureLevel(feature) => drop(self.features.insert(feature.name, feature.feature_level)),
            KraftRecord::ClientQuota(quota) => self.apply_quota(quota),
            KraftRecord::ProducerIds(ids) => self.next_producer_id = ids.next_producer_id,
            KraftRecord::AccessControlEntry(entry) => {
                let id = entry.id;
                match binding(entry) {
                    Some(binding) => drop(self.acls.insert(id, binding)),
                    None => tracing::warn!(%id, "an ACL of Kafka's metadata is of an unknown kind and left out"),
                }
            }
            KraftRecord::RemoveAccessControlEntry(entry) => drop(self.acls.remove(&entry.id)),
            KraftRecord::DelegationToken(token) => {
                let token = DelegationToken {
                    id: token.token_id,
                    owner: token.owner,
                    requester: token.requester,
                    renewers: token.renewers,
                    issue_timestamp_ms: token.issue_timestamp,
                    max_timestamp_ms: token.max_timestamp,
                    expiry_timestamp_ms: token.expiration_timestamp,
                };
                self.delegation_tokens.insert(token.id.clone(), token);
            }
            KraftRecord::RemoveDelegationToken(token) => drop(self.delegation_tokens.remove(&token.token_id)),
            KraftRecord::BeginTransaction
            | KraftRecord::EndTransaction
            | KraftRecord::AbortTransaction
            | KraftRecord::Other => {}
        }
    }

    fn apply_config(&mut self, config: ConfigRecord) {
        let resources = match config.resource_type {
            resource::TOPIC => &mut self.topic_configs,
            resource::BROKER => &mut self.broker_configs,
            resource::GROUP => &mut self.group_configs,
            resource::CLIENT_METRICS => &mut self.client_metrics_configs,
            _ => return,
        };
        let configs = resources.entry(config.resource_name.clone()).or_default();
        match config.value {
            Some(value) => drop(configs.insert(config.name, value)),
            None => drop(configs.remove(&config.name)),
        }
        if configs.is_empty() {
            resources.remove(&config.resource_name);
        }
    }

    fn apply_quota(&mut self, quota: ClientQuotaRecord) {
        let parts = quota.entity.into_iter().map(|part| (part.entity_type, part.entity_name));
        let Ok(entity) = QuotaEntity::from_parts(parts) else { return };
        let values = self.client_quotas.entry(entity.clone()).or_default();
        if quota.remove {
            values.remove(&quota.key);
        } else {
            values.insert(quota.key, quota.value);
        }
        if values.is_empty() {
            self.client_quotas.remove(&entity);
        }
    }
}

fn binding(entry: AccessControlEntryRecord) -> Option<AclBinding> {
    Some(AclBinding {
        resource_type: ResourceType::from_code(entry.resource_type)?,
        pattern_type: PatternType::from_code(entry.pattern_type)?,
        resource_name: entry.resource_name,
        principal: entry.principal,
        host: entry.host,
        operation: AclOperation::from_code(entry.operation)?,
        permission: AclPermission::from_code(entry.permission_type)?,
    })
}
