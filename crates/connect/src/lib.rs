//! Connect: data moves between databases, files and topics by configuration alone.
//!
//! ```text
//!   http ──► herder ──► worker ──► task ──► source: poll ► transform ► convert ► produce
//!              │           │                sink:   consume ► convert ► transform ► put
//!       storage topics   plugin registry
//! ```
//!
//! [`data`] is what records are made of, [`plugin`] what a connector, converter, transform or predicate must be able to do,
//! [`herder`] who decides what runs where, [`worker`] what runs it.

pub use milena_http::rest_client as client;
pub mod config;
pub mod connectors;
pub mod converters;
pub mod data;
pub mod herder;
mod http;
pub mod plugin;
pub mod predicates;
pub mod record;
mod server;
mod source_map;
pub mod standalone;
mod storage;
pub mod transforms;
pub mod validation;
pub mod worker;

pub use server::{ConnectServer, RunningConnect, StartError};

/// What a worker is made with: where its settings come from, and what stops it.
pub use milena_http::config::Sources;
/// Stops a worker.
pub use milena_stdx::ShutdownToken;
