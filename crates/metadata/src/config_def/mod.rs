//! What every configuration key means: type, default, bounds, whether it can change while the broker runs, and a line of
//! documentation.
//!
//! One table each for topics, brokers and groups. The same rows check values, answer DescribeConfigs and render
//! `docs/configuration.md`, so that the three never disagree. Names, types and defaults are Kafka's.

mod broker;
mod client_metrics;
pub mod document;
mod group;
mod topic;

pub use broker::{BROKER_CONFIGS, is_dynamic_broker_config};
pub use client_metrics::CLIENT_METRICS_CONFIGS;
pub use group::GROUP_CONFIGS;
pub use milena_stdx::config_def::{
    ConfigDef, ConfigTable, ConfigType, Importance, InvalidValue, UpdateMode, Validator, parse_bool, split_list,
};
use milena_stdx::config_def::{def, unset};
pub use topic::{RETIRED_TOPIC_CONFIGS, TOPIC_CONFIGS};

#[cfg(test)]
mod tests;
