//! One member of a streams group: what it told about itself and what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tasks::{TaskId, Tasks};
use crate::group::client::ClientIdentity;

/// How far a member is on its way to the target assignment. The numbers are those of the stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum MemberState {
    /// It holds its target.
    Stable = 1,
    /// It was told to give up tasks and has not said that it did.
    UnrevokedTasks = 2,
    /// It waits for tasks that others have not given up.
    UnreleasedTasks = 3,
}

impl MemberState {
    /// The state of a stored number; an unknown one waits for the next heartbeat to sort it out.
    pub fn from_stored(state: i8) -> Self {
        match state {
            1 => MemberState::Stable,
            2 => MemberState::UnrevokedTasks,
            _ => MemberState::UnreleasedTasks,
        }
    }
}

/// What a member holds, and as of which epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The epoch the member must send; 0 before its first answer.
    pub member_epoch: i32,
    /// The epoch before that: accepted when the answer with the new one was lost.
    pub previous_member_epoch: i32,
    /// Where it stands.
    pub state: MemberState,
    /// What it runs.
    pub assigned: Tasks,
    /// What it must give up and still blocks for others.
    pub pending_revocation: Tasks,
    /// The member epoch at which it got each active task, also of those to be given up: commits that were sent since
    /// then are good, although the member has moved on.
    pub assignment_epochs: BTreeMap<TaskId, i32>,
}

impl Default for Holding {
    fn default() -> Self {
        Holding {
            member_epoch: 0,
            previous_member_epoch: 0,
            state: MemberState::Stable,
            assigned: Tasks::default(),
            pending_revocation: Tasks::default(),
            assignment_epochs: BTreeMap::new(),
        }
    }
}

/// What a member tells about itself; a change of it needs a new record and a new assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// Who it is.
    pub client: ClientIdentity,
    /// How long it may take to give up tasks, in ms.
    pub rebalance_timeout_ms: i32,
    /// The version of the topology that it runs.
    pub topology_epoch: i32,
    /// The process it is a thread of: its members share one state directory.
    pub process_id: String,
    /// Host and port under which the application serves its state (`application.server`).
    pub user_endpoint: Option<(String, u16)>,
    /// `client.tag.*`.
    pub client_tags: BTreeMap<String, String>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsMember {
    /// Chosen by the client.
    pub member_id: Arc<str>,
    /// What it told about itself.
    pub metadata: MemberMetadata,
    /// What it holds.
    pub holding: Holding,
    /// How far the states are that it has on disk, by task; kept in memory only.
    pub task_offsets: BTreeMap<TaskId, i64>,
    /// The ends of the changelogs of those tasks; kept in memory only.
    pub task_end_offsets: BTreeMap<TaskId, i64>,
}

impl StreamsMember {
    /// A member that has told nothing yet.
    pub fn new(member_id: Arc<str>, client: ClientIdentity) -> Self {
        StreamsMember {
            member_id,
            metadata: MemberMetadata {
                rack_id: None,
                client,
                rebalance_timeout_ms: -1,
                topology_epoch: -1,
                process_id: String::new(),
                user_endpoint: None,
                client_tags: BTreeMap::new(),
            },
            holding: Holding::default(),
            task_offsets: BTreeMap::new(),
            task_end_offsets: BTreeMap::new(),
        }
    }

    /// Whether it has reached the target of `target_epoch`.
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.holding.state == MemberState::Stable && self.holding.member_epoch == target_epoch
    }
}
