//! The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! ```text
//!            first member joins                 every known member joined, or time is up
//!   Empty ───────────────────► PreparingRebalance ───────────────────► CompletingRebalance
//!     ▲                          ▲    │ nobody left                       │ leader synced
//!     └──────────────────────────┼────┘                                   ▼
//!                                └──── a member joins, leaves, expires ─ Stable
//! ```
//!
//! - `generation_id` grows by one with every completed rebalance; requests of another generation are refused.
//! - Members are *parked* in JoinGroup until the join phase ends and in SyncGroup until the leader
//!   has sent the assignments; nothing else waits.
//! - A static member (`group.instance.id`, KIP-345) that restarts takes over its old seat without a rebalance.
//! - A dynamic member first gets an id (MEMBER_ID_REQUIRED, KIP-394) so that a lost answer leaves no ghost member.
//!
//! Subscriptions and assignments are opaque bytes; they are looked into only to know the subscribed topics.

mod describe;
mod group;
mod join;
mod leave;
mod member;
mod rebalance;
mod stored;
mod sync;
#[cfg(test)]
mod tests;

pub use group::{ClassicGroup, State};
pub use join::JoinRequest;
pub use member::Member;
