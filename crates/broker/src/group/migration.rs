//! Groups that change from the classic to the consumer protocol and back while they are in use (KIP-848).
//!
//! ```text
//!                     a KIP-848 member joins (policy: upgrade, bidirectional)
//!   ClassicGroup ───────────────────────────────────────────────────────────► ConsumerGroup
//!                ◄───────────────────────────────────────────────────────────  with classic members
//!                     the last KIP-848 member goes (policy: downgrade, bidirectional)
//! ```
//!
//! Committed offsets are not touched: they belong to the group's name. On the way up every member keeps what it was
//! assigned, at an epoch that is its generation, so that nobody who reads has to stop; on the way down every member
//! keeps its target and is asked to join again. Only consumers migrate: other protocol types cannot be translated.

use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::classic::ClassicGroup;
use super::config::MigrationPolicy;
use super::consumer::{ConsumerGroup, Refusal};
use super::effects::{Effects, Now, Turn};
use super::shard::{Group, Shard};
use super::topics::TopicsView;

impl MigrationPolicy {
    /// Whether a classic group may become a consumer group.
    pub fn allows_upgrade(self) -> bool {
        matches!(self, MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional)
    }

    /// Whether a consumer group may become a classic group.
    pub fn allows_downgrade(self) -> bool {
        matches!(self, MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional)
    }
}

impl Shard {
    /// Makes the classic group `group_id`, which has members, a consumer group.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND: the policy forbids it, the members are no consumers, or too many.
    pub(super) fn upgrade(&mut self, group_id: &Arc<str>, now: Now, effects: &mut Effects) -> Result<(), Refusal> {
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        let Some(Group::Classic(classic)) = groups.get_mut(group_id) else { return Ok(()) };
        let refuse = |why: &str| {
            let message = format!("Cannot upgrade classic group {group_id} to consumer group because {why}.");
            tracing::info!(group = %group_id, why, "a classic group is not upgraded");
            Err(Refusal::new(ErrorCode::GroupIdNotFound, message))
        };
        if !turn.config.migration_policy.allows_upgrade() {
            return refuse("online upgrade is disabled");
        }
        if !classic.is_of_consumers() {
            return refuse("the group does not use the consumer embedded protocol");
        }
        if classic.member_count() > turn.config.consumer_max_size {
            return refuse("the group size exceeds the consumer group maximum size");
        }
        let Some(consumer) = ConsumerGroup::from_classic(classic, topics.as_ref()) else {
            return refuse("the embedded consumer protocol is malformed");
        };
        tracing::info!(group = %group_id, members = classic.member_count(), "classic group becomes a consumer group");
        classic.dissolve(ErrorCode::RebalanceInProgress, &mut turn);
        consumer.write_all(&mut turn);
        consumer.start_sessions(topics.as_ref(), &mut turn);
        groups.insert(group_id.clone(), Group::Consumer(consumer));
        Ok(())
    }

    /// Makes the consumer group `group_id` a classic group, if only classic members are left and the policy allows.
    pub(super) fn maybe_downgrade(&mut self, group_id: &str, now: Now, effects: &mut Effects) {
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        let Some(Group::Consumer(consumer)) = groups.get(group_id) else { return };
        if !may_downgrade(consumer, &turn) {
            return;
        }
        tracing::info!(group = %group_id, members = consumer.member_count(), "consumer group becomes a classic group");
        let mut classic = downgraded(consumer, topics.as_ref(), &turn);
        consumer.dissolve(&mut turn);
        turn.effects.record(classic.to_record());
        classic.start_sessions(&mut turn);
        classic.rebalance_after_downgrade(&mut turn);
        groups.insert(group_id.into(), Group::Classic(classic));
    }
}

fn may_downgrade(group: &ConsumerGroup, turn: &Turn<'_>) -> bool {
    turn.config.migration_policy.allows_downgrade()
        && group.is_all_classic()
        && group.member_count() <= turn.config.max_size
}

fn downgraded(consumer: &ConsumerGroup, topics: &dyn TopicsView, turn: &Turn<'_>) -> ClassicGroup {
    let members = consumer.classic_members().into_iter().map(|(member_id, (member, classic, target))| {
        super::classic::Member::from_consumer_member(member_id, member, classic, &target, topics)
    });
    ClassicGroup::from_members(consumer.id(), consumer.group_epoch(), members, turn)
}

#[cfg(test)]
mod tests;
