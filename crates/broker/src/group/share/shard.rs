//! Share groups among the other groups of a shard.

use std::sync::Arc;

use milena_protocol::messages::{ShareGroupHeartbeatRequest, share_group_describe_response};
use milena_protocol::{ErrorCode, Uuid};

use super::group::ShareGroup;
use super::heartbeat::{ShareHeartbeat, check_request};
use super::offsets::ShareTopic;
use super::records::ShareRecord;
use crate::group::client::ClientIdentity;
use crate::group::consumer::Refusal;
use crate::group::effects::{Effects, Now, Turn};
use crate::group::shard::{Group, NotDescribed, Shard};

impl Shard {
    /// Handles ShareGroupHeartbeat; see [`ShareGroup::heartbeat`] for `initialized`.
    ///
    /// # Errors
    /// See [`ShareGroup::heartbeat`] and [`check_request`]; GROUP_ID_NOT_FOUND for a group of another type.
    pub fn share_heartbeat(
        &mut self,
        request: &ShareGroupHeartbeatRequest,
        client: ClientIdentity,
        initialized: Option<Vec<ShareTopic>>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<ShareHeartbeat, Refusal> {
        check_request(request)?;
        let group_id: Arc<str> = request.group_id.as_str().into();
        if request.member_epoch == 0 {
            self.groups.entry(group_id.clone()).or_insert_with(|| Group::Share(ShareGroup::new(group_id.clone())));
        }
        let topics = self.topics.clone();
        let (group, mut turn) = self.share_group(&group_id, now, effects)?;
        let result = group.heartbeat(request, client, initialized, topics.as_ref(), &mut turn);
        if group.is_untouched() {
            self.groups.remove(&group_id);
        }
        result
    }

    /// ShareGroupDescribe for one group.
    ///
    /// # Errors
    /// There is no share group of that name.
    pub fn describe_share(&self, group_id: &str) -> Result<share_group_describe_response::Group, NotDescribed> {
        match self.groups.get(group_id).ok_or(NotDescribed::Unknown)? {
            Group::Share(group) => Ok(group.describe(self.topics.as_ref())),
            Group::Classic(_) | Group::Consumer(_) | Group::Streams(_) => Err(NotDescribed::OtherProtocol),
        }
    }

    /// The partitions of a share group that have share state.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND.
    pub fn share_topics(&self, group_id: &str) -> Result<Vec<ShareTopic>, Refusal> {
        match self.groups.get(group_id) {
            Some(Group::Share(group)) => Ok(group.share_topics()),
            other => Err(no_share_group(group_id, other.is_some())),
        }
    }

    /// The partitions with share state of a group that an administrator may change; `None` when it is no share group.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP.
    pub fn share_topics_of_empty(&self, group_id: &str) -> Result<Option<Vec<ShareTopic>>, Refusal> {
        let Some(Group::Share(group)) = self.groups.get(group_id) else { return Ok(None) };
        group.check_empty()?;
        Ok(Some(group.share_topics()))
    }

    /// Begins to set the offsets of a group, which may be new; answers with the epoch of the new state.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP, or GROUP_ID_NOT_FOUND for a group of another type.
    pub fn begin_share_alteration(&mut self, group_id: &str, now: Now, effects: &mut Effects) -> Result<i32, Refusal> {
        let group_id: Arc<str> = group_id.into();
        self.groups.entry(group_id.clone()).or_insert_with(|| Group::Share(ShareGroup::new(group_id.clone())));
        let (group, mut turn) = self.share_group(&group_id, now, effects)?;
        group.check_empty()?;
        Ok(group.begin_alteration(&mut turn))
    }

    /// Takes over partitions whose state an administrator has set.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND.
    pub fn finish_share_alteration(
        &mut self,
        group_id: &str,
        topics: Vec<ShareTopic>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let (group, mut turn) = self.share_group(group_id, now, effects)?;
        group.finish_alteration(topics, &mut turn);
        Ok(())
    }

    /// Forgets topics whose share state was deleted.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND.
    pub fn share_state_deleted(
        &mut self,
        group_id: &str,
        names: &[String],
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let (group, mut turn) = self.share_group(group_id, now, effects)?;
        group.state_deleted(names, &mut turn);
        Ok(())
    }

    /// Topics were deleted: share groups forget their state.
    pub fn share_topics_deleted(&mut self, topics: &[(String, Uuid)], now: Now, effects: &mut Effects) {
        let (groups, mut turn) = self.turn(now, effects);
        for group in groups.values_mut() {
            if let Group::Share(group) = group {
                group.topics_deleted(topics, &mut turn);
            }
        }
    }

    /// Takes over one record of a share group.
    pub(in crate::group) fn load_share_record(&mut self, record: ShareRecord) {
        let group_id: Arc<str> = record.group_id().into();
        let known = matches!(self.groups.get(&group_id), Some(Group::Share(_)));
        if record.is_tombstone() && !known {
            return;
        }
        if matches!(record, ShareRecord::Group(_, None)) {
            self.groups.remove(&group_id);
            return;
        }
        if !known {
            self.groups.insert(group_id.clone(), Group::Share(ShareGroup::new(group_id.clone())));
        }
        if let Some(Group::Share(group)) = self.groups.get_mut(&group_id) {
            group.load(record);
        }
    }

    fn share_group<'a>(
        &'a mut self,
        group_id: &str,
        now: Now,
        effects: &'a mut Effects,
    ) -> Result<(&'a mut ShareGroup, Turn<'a>), Refusal> {
        let (groups, turn) = self.turn(now, effects);
        match groups.get_mut(group_id) {
            Some(Group::Share(group)) => Ok((group, turn)),
            other => Err(no_share_group(group_id, other.is_some())),
        }
    }
}

fn no_share_group(group_id: &str, is_other: bool) -> Refusal {
    let message = match is_other {
        true => format!("Group {group_id} is not a share group."),
        false => format!("Group {group_id} not found."),
    };
    Refusal::new(ErrorCode::GroupIdNotFound, message)
}
