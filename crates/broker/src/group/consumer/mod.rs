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
//! Members of the classic protocol may be in the same group ([`classic_member`](self)); they take the same steps by
//! JoinGroup and SyncGroup.

mod classic_member;
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

pub use classic_member::{ClassicMembership, with_ids, with_names};
pub use group::ConsumerGroup;
pub use member::{ConsumerMember, Holding, MemberState};
pub(in crate::group) use subscription::topics_digest;

pub use request::{LEAVE_EPOCH, Refusal, STATIC_LEAVE_EPOCH, check_request};
