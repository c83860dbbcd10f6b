//! Streams groups (KIP-1071): the instances of one Kafka Streams application, which process its topology as tasks.
//!
//! ```text
//!   topology of the first member ──► internal topics: counted, created by the first who may ──► validated
//!   members, topology, topics, settings change ──► group_epoch + 1 ──► target assignment at that epoch
//!                                                                          │ each member by its own heartbeats
//!                    Stable ◄── has its target ── UnreleasedTasks ◄── gave up ── UnrevokedTasks
//! ```
//!
//! Always true:
//!   `member_epoch <= target_epoch <= group_epoch`
//!   an active task is held (assigned, or being revoked) by at most one member
//!   no process holds a task twice, in whatever role: its state directory has one place for it
//!   only tasks of a topology whose topics all exist are assigned
//!
//! A task is a subtopology and a partition number. An active task processes, a standby task only keeps a copy of the
//! state. What is left out, as in Kafka 4.3: static members, topologies that change while the group has one, and patterns
//! as source topics. No assignor asks for warm-up tasks, but stored ones are kept.

mod assign;
mod config;
mod describe;
mod endpoints;
mod group;
mod heartbeat;
mod internal_topics;
mod member;
mod reconcile;
mod records;
mod request;
mod shard;
mod stored;
mod target;
mod tasks;
#[cfg(test)]
mod tests;
mod topology;

pub use config::StreamsConfig;
pub use group::StreamsGroup;
pub use heartbeat::StreamsHeartbeat;
pub use internal_topics::InternalTopic;
pub use records::StreamsRecord;
pub use request::{MISSING_INTERNAL_TOPICS, check_request};
pub use topology::named_topics;
