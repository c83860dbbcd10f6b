//! LeaveGroup: members that go by themselves, and static members that an administrator removes.

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::leave_group_request::Member as Leaving;
use milena_protocol::messages::leave_group_response::Member as Left;

use super::group::ClassicGroup;
use crate::group::effects::Turn;

impl ClassicGroup {
    /// Removes `members`; each gets its own error code. One rebalance follows for all of them.
    pub fn leave(&mut self, members: Vec<Leaving>, turn: &mut Turn<'_>) -> Vec<Left> {
        let mut removed = Vec::new();
        let mut pending_left = false;
        let mut left = Vec::with_capacity(members.len());
        for leaving in members {
            let code = match self.resolve_leaving(&leaving) {
                Ok(member_id) if self.pending_joins.remove(&member_id) => {
                    turn.timers.cancel(&self.session_key(&member_id));
                    pending_left = true;
                    ErrorCode::None
                }
                Ok(member_id) if removed.contains(&member_id) => ErrorCode::UnknownMemberId,
                Ok(member_id) => {
                    tracing::info!(group = %self.id, member = %member_id, reason = ?leaving.reason, "member leaves");
                    removed.push(member_id);
                    ErrorCode::None
                }
                Err(code) => code,
            };
            left.push(Left {
                member_id: leaving.member_id,
                group_instance_id: leaving.group_instance_id,
                error_code: code.code(),
            });
        }
        if !removed.is_empty() || pending_left {
            self.remove_members_after_leave(&removed, turn);
        }
        left
    }

    fn resolve_leaving(&self, leaving: &Leaving) -> Result<Arc<str>, ErrorCode> {
        if let Some(instance_id) = &leaving.group_instance_id {
            let holder = self.static_members.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            // An administrator knows only the instance id (KIP-345).
            if !leaving.member_id.is_empty() && leaving.member_id != holder.as_ref() {
                return Err(ErrorCode::FencedInstanceId);
            }
            return Ok(holder.clone());
        }
        let member_id: Arc<str> = leaving.member_id.as_str().into();
        if self.members.contains_key(&member_id) || self.pending_joins.contains(&member_id) {
            Ok(member_id)
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    fn remove_members_after_leave(&mut self, removed: &[Arc<str>], turn: &mut Turn<'_>) {
        if removed.is_empty() {
            // Only ids that were handed out went: a join phase may have waited for them.
            if self.state() == super::State::PreparingRebalance {
                self.rebalance_or_complete_join(turn);
            }
        } else {
            self.remove_members(removed, turn);
        }
    }
}
