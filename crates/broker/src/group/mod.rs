//! Consumer groups: who reads which partition, and how far each group has read.
//!
//! ```text
//!   api/join_group.rs …      GroupCoordinator           owner task of one shard        OffsetsLog
//!   ─────────────────►  hash(group) → shard  ──queue──►  Shard (pure state)  ─records─►  __consumer_offsets-N
//!   ◄───────────────────────── reply, once the records are durable ◄──────────────────────────┘
//! ```
//!
//! - A *shard* is one partition of `__consumer_offsets` with every group that hashes to it
//!   (`javaHash(group.id) mod partitions`). Exactly one task owns it, so nothing in here locks.
//! - [`shard::Shard`], [`classic::ClassicGroup`] and [`consumer::ConsumerGroup`] are pure: they take the
//!   time as an argument and return records to write and replies to send ([`effects::Effects`]).
//! - A state change is visible to a client only after its records are written. When a write
//!   fails, every request of that write is answered with a retriable code and the shard is
//!   rebuilt from the log, so memory never runs ahead of the disk.
//! - Timers live in one queue per shard ([`timers::Timers`]); no thread or task per group.
//!
//! Group protocols: the classic one (JoinGroup/SyncGroup, KIP-62, 345, 394, 814) in [`classic`],
//! the consumer rebalance protocol (KIP-848) in [`consumer`], share groups (KIP-932) in [`share`], streams groups
//! (KIP-1071) in [`streams`]. Groups change between the first two in use ([`migration`]).

pub mod assignor;
pub mod classic;
pub mod client;
pub mod config;
pub mod consumer;
pub mod coordinator;
pub mod effects;
pub mod embedded_protocol;
pub mod expiry;
pub mod loader;
pub mod migration;
pub mod offsets;
pub mod offsets_log;
pub mod owner;
pub mod pending_offsets;
pub mod records;
pub mod shard;
pub mod shard_offsets;
pub mod share;
pub mod streams;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod topics;

pub use client::ClientIdentity;
pub use config::GroupConfig;
pub use coordinator::GroupCoordinator;
pub use offsets_log::{CoordinatorError, LoggedEvent, OffsetsLog, OffsetsRecord, TransactionalProducer};
pub use topics::{TopicFilter, TopicView, TopicsView};
