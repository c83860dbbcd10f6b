//! One member of a consumer group: what it told about itself and what it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::Uuid;

use super::classic_member::ClassicMembership;
use crate::group::assignor::{Assignment, ServerAssignor};
use crate::group::client::ClientIdentity;

/// How far a member is on its way to the target assignment. The numbers are those of the stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum MemberState {
    /// It holds its target.
    Stable = 0,
    /// It was told to give up partitions and has not said that it did.
    UnrevokedPartitions = 1,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions = 2,
}

impl MemberState {
    /// The state of a stored number; an unknown one waits for the next heartbeat to sort it out.
    pub fn from_stored(state: i8) -> Self {
        match state {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            _ => MemberState::UnreleasedPartitions,
        }
    }
}

/// What a member holds, and as of which epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The epoch the member must send; 0 before its first assignment, -2 for a static member that is away.
    pub member_epoch: i32,
    /// The epoch before that: accepted when the answer with the new one was lost.
    pub previous_member_epoch: i32,
    /// Where it stands.
    pub state: MemberState,
    /// What it may read.
    pub assigned: Assignment,
    /// What it must give up and still blocks for others.
    pub pending_revocation: Assignment,
    /// Since which member epoch it holds each partition, where that is not the present one (KIP-1251).
    pub since: BTreeMap<(Uuid, i32), i32>,
}

impl Holding {
    /// The member epoch since which a partition is held, also one that must be given up; `None` when it is not held.
    pub fn held_since(&self, topic: &Uuid, partition: i32) -> Option<i32> {
        let has = |partitions: &Assignment| partitions.get(topic).is_some_and(|of_topic| of_topic.contains(&partition));
        let held = has(&self.assigned) || has(&self.pending_revocation);
        held.then(|| self.since.get(&(*topic, partition)).copied().unwrap_or(self.member_epoch))
    }
}

impl Default for Holding {
    fn default() -> Self {
        Holding {
            member_epoch: 0,
            previous_member_epoch: 0,
            state: MemberState::Stable,
            assigned: Assignment::new(),
            pending_revocation: Assignment::new(),
            since: BTreeMap::new(),
        }
    }
}

/// A member. Two members with equal `Subscription`s and clients need no new record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMember {
    /// Chosen by the client (v1) or by us (v0).
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// Who it is.
    pub client: ClientIdentity,
    /// How long it may take to give up partitions, in ms.
    pub rebalance_timeout_ms: i32,
    /// Topics subscribed to by name.
    pub subscribed_names: BTreeSet<String>,
    /// Topics subscribed to by a regular expression.
    pub subscribed_regex: Option<String>,
    /// The assignor it prefers.
    pub server_assignor: Option<ServerAssignor>,
    /// What it said in JoinGroup, if it speaks the classic protocol.
    pub classic: Option<ClassicMembership>,
    /// What it holds.
    pub holding: Holding,
}

impl ConsumerMember {
    /// A member that has told nothing yet.
    pub fn new(member_id: Arc<str>, client: ClientIdentity) -> Self {
        ConsumerMember {
            member_id,
            instance_id: None,
            rack_id: None,
            client,
            rebalance_timeout_ms: -1,
            subscribed_names: BTreeSet::new(),
            subscribed_regex: None,
            server_assignor: None,
            classic: None,
            holding: Holding::default(),
        }
    }

    /// Whether both subscribe to the same topics in the same words.
    pub fn subscribes_like(&self, other: &ConsumerMember) -> bool {
        self.subscribed_names == other.subscribed_names && self.subscribed_regex == other.subscribed_regex
    }
}
