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
//!
//! Deliberately absent: logs, sockets, requests.

pub mod broker_config;
pub mod config_def;
pub mod controller;
pub mod effective;
pub mod image;
pub mod store;
pub mod topic_name;

pub use broker_config::{BrokerConfig, ConfigError, ConfigSources, Endpoint, ListenerConfig, SecurityProtocol};
pub use controller::{
    ConfigAlteration, ConfigOp, ConfigOpKind, ConfigReplacement, ConfigResource, Controller, ControllerError,
    MetadataChange, NewPartitions, NewTopic, TopicSelector,
};
pub use effective::{ConfigSource, ConfigSynonym, EffectiveConfig};
pub use image::{ClusterImage, ConfigMap, PartitionImage, TopicImage};
