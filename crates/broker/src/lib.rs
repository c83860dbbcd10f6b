//! The Kafka broker: network, APIs, partitions, groups.
//!
//! ```text
//! socket ─ net::listener ─ net::connection ─ api::dispatch ─┬─ api::produce ─ partition ─ milena-log
//!                                                           ├─ api::fetch ── partition (parked until data arrives)
//!                                                           ├─ api::share_fetch ─ share
//!                                                           ├─ api::join_group ... ─ group
//!                                                           └─ api::create_topics ... ─ milena-metadata
//! ```
//!
//! One task a connection, one clean-up task; whatever blocks on a disk for long runs on the log's own threads.

mod acl_wire;
pub mod api;
mod authorized_operations;
mod auto_topic;
mod broker_loggers;
mod config_resource;
mod context;
mod delegation_tokens;
mod error_code;
mod fetch_session;
mod flow;
pub mod group;
mod live_config;
mod metrics;
mod net;
mod offsets_log;
mod partition;
mod producer_ids;
mod quota;
pub mod security;
mod server;
pub mod share;
mod stray;
mod telemetry;
pub mod transaction;

pub use context::{Broker, ClientSoftware, ListenerInfo, RequestContext};
pub use live_config::{ListenerLimits, LiveConfig, LiveValues};
pub use metrics::Metrics;
pub use server::{RunningBroker, StartError};
