//! The consumer rebalance protocol (KIP-848): one request, ConsumerGroupHeartbeat, and the server assigns.
//!
//! ```text
//!   subscriptions or topics change ──► group_epoch + 1 ──► target assignment at that epoch
//!                                                              │ each member by its own heartbeats
//!            Stable ◄── has its target ── UnreleasedPartitions ◄── gave up ── UnrevokedPartitions
//! ```
//!
//! Always true:
//!   `member_epoch <= target_epoch <= group_epoch`
//!   a partition is held (assigned, or being revoked) by at most one member
//!
//! A member moves to the target's epoch only when it has given up what the target takes from it; what
//! it gains is handed over only when the previous holder has given it up. So nothing stops the world.
//!
//! Not implemented: members of both protocols in one group (online migration). An empty group of the other
//! protocol is replaced; a group with members refuses.

mod describe;
mod group;
mod heartbeat;
mod member;
mod reconcile;
mod request;
mod stored;
mod subscription;
mod target;
#[cfg(test)]
mod tests;

pub use group::ConsumerGroup;
pub use member::{ConsumerMember, Holding, MemberState};
pub(in crate::group) use subscription::topics_digest;

pub use request::{LEAVE_EPOCH, Refusal, STATIC_LEAVE_EPOCH, check_request};
