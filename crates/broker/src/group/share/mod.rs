//! Share groups (KIP-932): members that read the same partitions together, record by record.
//!
//! ```text
//!   subscriptions or topics change ──► group_epoch + 1 ──► target assignment at that epoch ──► members, one heartbeat each
//!              └─ partitions seen for the first time: their state is initialized, then they may be assigned
//! ```
//!
//! Always true:
//!   `member_epoch <= target_epoch <= group_epoch`
//!   only partitions whose state is initialized are assigned
//!
//! Unlike in a consumer group a partition may belong to many members, so nothing is ever revoked and a member moves to
//! the target in one step. Which record goes to whom is decided in [`crate::share`]; this module knows members only.

mod assign;
mod describe;
mod group;
mod heartbeat;
mod offsets;
mod records;
mod shard;
#[cfg(test)]
mod tests;

pub use group::{InitializedTopic, ShareGroup, ShareMember};
pub use heartbeat::{ShareHeartbeat, check_request};
pub use offsets::ShareTopic;
pub use records::ShareRecord;
