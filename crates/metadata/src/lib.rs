//! Cluster image, configuration definitions and the metadata store behind them.
//!
//! ```text
//! server.properties, KAFKA_*, --override ──► BrokerConfig ─┐
//!                                                          ├─► Controller ──► ClusterImage (one snapshot a request)
//! metadata.redb ◄── MetadataStore ◄────────────────────────┘        └──► listeners of changes: the broker opens logs
//! ```
//!
//! - [`config_def`] is the table of every key; [`broker_config`] reads the static configuration by it
//! - [`store`] is a revisioned key-value store with compare-and-set transactions; [`store::embedded`] keeps it in one file
//! - [`controller`] validates and applies changes; [`image`] is what everybody reads
//! - [`effective`] says which value of a key is in force, and why
//! - [`kraft`] reads what Apache Kafka has kept, when its data directory is taken over
//! - [`acl`], [`scram`], [`delegation_token`], [`client_quota`] and [`feature`] are the other things an image holds
//!
//! Deliberately absent: logs, sockets, requests.

pub mod acl;
pub mod broker_config;
pub mod client_match;
pub mod client_quota;
pub mod config_def;
pub mod controller;
pub mod delegation_token;
pub mod effective;
pub mod feature;
pub mod image;
pub mod kraft;
pub mod scram;
pub mod store;
pub mod topic_name;

pub use acl::{AclBinding, AclFilter, AclIndex, AclOperation, AclPermission, PatternFilter, PatternType, ResourceType};
pub use broker_config::{
    BrokerConfig, CONNECT_PREFIX, ConfigError, ConfigSources, Endpoint, ListenerConfig, REGISTRY_PREFIX,
    REST_PROXY_PREFIX, SQL_SERVER_PREFIX, SecurityProtocol,
};
pub use client_quota::{ClientQuotas, EntityName, QuotaEntity};
pub use controller::{
    ConfigAlteration, ConfigOp, ConfigOpKind, ConfigReplacement, ConfigResource, Controller, ControllerError,
    FeatureDirection, FeatureUpdate, MetadataChange, NewPartitions, NewTopic, QuotaAlteration, ScramAlteration,
    TopicSelector,
};
pub use delegation_token::{DelegationToken, DelegationTokens};
pub use effective::{ConfigSource, ConfigSynonym, EffectiveConfig};
pub use feature::{FEATURES, Feature, SHARE_VERSION, STREAMS_VERSION, TRANSACTION_VERSION};
pub use image::{ClusterImage, ConfigMap, PartitionImage, TopicImage};
pub use scram::{ScramCredential, ScramCredentials, ScramMechanism};
