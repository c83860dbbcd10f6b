//! Taking over the metadata of an Apache Kafka cluster, once.

use std::sync::Arc;

use super::configs::ConfigResource;
use super::error::ControllerError;
use super::records::{self, ClusterRecord, IMPORTED, PRODUCER_IDS, ProducerIdsRecord};
use super::{Controller, MetadataChange};
use crate::feature::Feature;
use crate::image::{ClusterImage, ConfigMap, TopicImage};
use crate::kraft::KraftMetadata;
use crate::store::Transaction;

impl Controller {
    /// Whether metadata of another cluster was taken over before.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_imported(&self) -> Result<bool, ControllerError> {
        Ok(self.store.get(IMPORTED)?.is_some())
    }

    /// Takes over everything but topics, which come with their logs ([`Controller::adopt_topics`]); configurations are
    /// taken of topics that are known by now. Values count as valid: Kafka has checked them.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn import(&self, metadata: &KraftMetadata) -> Result<(), ControllerError> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let mut transaction = import_configs(&mut image, metadata);
        let acls = Arc::make_mut(&mut image.acls);
        for binding in metadata.acls.values() {
            let (key, record) = records::acl_entry(binding);
            transaction = transaction.put(key, record);
            acls.insert(binding.clone());
        }
        let scram = Arc::make_mut(&mut image.scram);
        for ((user, mechanism), credential) in &metadata.scram {
            transaction = transaction.put(records::scram_key(user, *mechanism), records::encode_scram(credential));
            scram.insert(user.clone(), *mechanism, credential.clone());
        }
        for (entity, values) in &metadata.client_quotas {
            transaction = transaction.put(records::quota_key(entity), records::encode(values));
        }
        Arc::make_mut(&mut image.client_quotas).extend(metadata.client_quotas.clone());
        for token in metadata.delegation_tokens.values() {
            transaction = transaction.put(records::token_key(&token.id), records::encode_token(token));
        }
        Arc::make_mut(&mut image.delegation_tokens).extend(metadata.delegation_tokens.clone());
        for (name, level) in &metadata.features {
            let Some(feature) = Feature::named(name) else { continue };
            let level = (*level).clamp(feature.min, feature.max);
            // What is at its default goes on following the releases.
            if level != feature.default {
                transaction = transaction.put(records::feature_key(name), records::encode(&level));
                image.chosen_features.insert(name.clone(), level);
            }
        }
        if metadata.next_producer_id > 0 {
            let record = records::encode(&ProducerIdsRecord { next: metadata.next_producer_id });
            transaction = transaction.put(PRODUCER_IDS, record);
        }
        let marker = records::encode(&ClusterRecord { cluster_id: image.cluster_id.clone() });
        let transaction = transaction.put(IMPORTED, marker);
        let changes = [
            MetadataChange::BrokerConfigChanged,
            MetadataChange::AclsChanged,
            MetadataChange::ScramCredentialsChanged,
            MetadataChange::ClientQuotasChanged,
            MetadataChange::DelegationTokensChanged,
            MetadataChange::FeaturesChanged,
        ];
        self.apply(&mut changing, transaction, image, &changes)
    }
}

fn import_configs(image: &mut ClusterImage, metadata: &KraftMetadata) -> Transaction {
    let mut transaction = Transaction::new();
    let mut put = |resource: ConfigResource, configs: &ConfigMap| {
        let old = std::mem::take(&mut transaction);
        transaction = old.put(records::config_key(&resource), records::encode(configs));
    };
    for (name, configs) in &metadata.topic_configs {
        let Some(topic) = image.remove_topic(name) else { continue };
        put(ConfigResource::Topic(name.clone()), configs);
        image.insert_topic(Arc::new(TopicImage { configs: configs.clone(), ..TopicImage::clone(&topic) }));
    }
    for (id, configs) in &metadata.broker_configs {
        match id.parse::<i32>() {
            Ok(id) => {
                put(ConfigResource::Broker(id), configs);
                image.broker_configs.insert(id, configs.clone());
            }
            Err(_) if id.is_empty() => {
                put(ConfigResource::BrokerDefault, configs);
                image.default_broker_config = configs.clone();
            }
            Err(_) => tracing::warn!(id, "the configuration of a broker without a number is left out"),
        }
    }
    for (id, configs) in &metadata.group_configs {
        put(ConfigResource::Group(id.clone()), configs);
        image.group_configs.insert(id.clone(), configs.clone());
    }
    for (name, configs) in &metadata.client_metrics_configs {
        put(ConfigResource::ClientMetrics(name.clone()), configs);
        image.client_metrics_configs.insert(name.clone(), configs.clone());
    }
    transaction
}
