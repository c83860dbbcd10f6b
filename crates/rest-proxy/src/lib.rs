//! REST Proxy: produce, consume and administer Kafka over HTTP, in the API of the original.
//!
//! ```text
//!   http: sockets, media types, limits ──► one table of endpoints ──► v2/  topics, records, consumers with state
//!                                                                 └──► v3/  clusters, topics, groups, ACLs, records
//!                                          formats: JSON <-> bytes  ◄── both, through milena-schema
//!                                          state: connection, producer, registry, consumer instances
//! ```
//!
//! Paths, bodies, media types and codes of errors are those of the original, so that its clients and scripts go on.
//!
//! Deliberately absent: any door into the broker. A proxy is a Kafka client like any other.

pub mod config;
mod error;
mod formats;
mod http;
mod openapi;
mod produce;
mod server;
mod state;
mod v2;
mod v3;

pub use config::{COMPONENT, ConfigError, ConfigSources, RestConfig};
pub use server::{RestProxy, RunningProxy, StartError};
