//! Transactions: records in many partitions, and the offsets that led to them, that become visible together or not at all.
//!
//! ```text
//!   api/init_producer_id.rs …        TransactionCoordinator                     __transaction_state-N
//!   ─────────────────────►  hash(transactional.id) → shard  ── decision ──►  appended, fsynced
//!                                                                                 │ then
//!                           a COMMIT or ABORT marker in every partition of the transaction
//!                                                                                 │ then
//!                           the state is Complete…, written without anybody waiting for it
//! ```
//!
//! - A *shard* is one partition of `__transaction_state` with every transactional id that hashes to it. Its short lock is
//!   held for one step: look at the state, append the record, replace the state. A produce request takes the same
//!   step between its checks and its append, which is why the owner is a lock here and not a task: adding a partition
//!   costs no hop, and a transaction cannot end between "this partition belongs to it" and the append.
//! - [`metadata::TransactionMetadata`] is pure: a step takes the state and returns the next one. What could not be
//!   written never replaces what was.
//! - **A decision is durable before any marker of it is visible.** That fsync is the only one a commit waits for.
//! - A marker is durable before the record that forgets its transaction is written, so a transaction without its markers is
//!   found again by [`recovery`] after a crash, whatever the disk kept.
//! - With transactions v2 (KIP-890) the producer's epoch grows with every transaction, so nothing late gets into the
//!   next one, and a restart can tell two transactions of a producer apart.

mod completion;
pub mod config;
pub mod coordinator;
mod expiry;
pub mod metadata;
pub mod partitions;
pub mod records;
mod recovery;
mod shard;
pub mod state;
pub mod state_log;
#[cfg(test)]
mod testing;

pub use config::TransactionConfig;
pub use coordinator::{ListFilter, TransactionCoordinator, WriteMode};
pub use metadata::{ClientVersion, ProducerIdAndEpoch, TransactionMetadata};
pub use state::TransactionState;
