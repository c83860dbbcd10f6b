//! Streaming SQL as a server: statements, queries and their results over HTTP, in the API of ksqlDB.
//!
//! ```text
//!   http: sockets, routes, framing ──► statements: one answer each ──► command: topic, catalog, statuses
//!                                  └─► queries: rows as they come            │ effects
//!                                                                 queries: persistent ones, on Kafka
//! ```
//!
//! The language, the planner and the operators are `milena-sql`'s. Deliberately absent: any door into the broker. The server
//! is a Kafka client like any other.

mod cluster;
mod command;
pub mod config;
mod connect;
mod entities;
mod error;
mod headless;
mod http;
mod kafka;
mod metrics;
mod print;
mod queries;
pub mod registry;
pub mod restore;
mod server;
mod session;
mod state;
mod statements;
mod terminate;

pub use config::{COMPONENT, ConfigError, ConfigSources, SqlConfig};
pub use metrics::SqlMetrics;
pub use server::{RunningSqlServer, SqlServer, StartError};
