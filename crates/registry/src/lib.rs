//! Schema Registry: schemas by subject and version over HTTP, kept in the topic `_schemas`.
//!
//! ```text
//!   http ──► service ──► storage ──► topic _schemas
//!              ▲            │  ▲          │
//!              └── Store ◄──┘  └──────────┘ read to the end at the start, followed afterwards
//!           election: which of several instances writes (Kafka group of the type "sr")
//! ```
//!
//! Formats of topic, group and HTTP are those of the original, so that an existing topic can be taken over and instances
//! of both kinds can work side by side. What a schema *is* (parsing, canonical text, compatibility) is `milena-schema`'s.
//!
//! Deliberately absent: any door into the broker. A registry is a Kafka client like any other.

pub mod config;
mod election;
mod http;
mod registry;
mod service;
mod settings_of_scope;
mod storage;
mod subject;

pub use config::{COMPONENT, ConfigError, ConfigSources, RegistryConfig};
pub use registry::{Registry, RunningRegistry, StartError};
