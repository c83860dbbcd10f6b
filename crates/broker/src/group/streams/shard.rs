//! Streams groups among the other groups of a shard.

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{StreamsGroupHeartbeatRequest, streams_group_describe_response};

use super::group::StreamsGroup;
use super::heartbeat::StreamsHeartbeat;
use super::records::StreamsRecord;
use super::request::check_request;
use crate::group::client::ClientIdentity;
use crate::group::consumer::Refusal;
use crate::group::effects::{Effects, Now};
use crate::group::shard::{Group, NotDescribed, Shard};

impl Shard {
    /// Handles StreamsGroupHeartbeat. A join makes an empty classic group one of this protocol; its offsets stay.
    ///
    /// # Errors
    /// See [`StreamsGroup::heartbeat`] and [`check_request`]; GROUP_ID_NOT_FOUND for a group of another type.
    pub fn streams_heartbeat(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
        client: ClientIdentity,
        now: Now,
        effects: &mut Effects,
    ) -> Result<StreamsHeartbeat, Refusal> {
        check_request(request)?;
        let group_id: Arc<str> = request.group_id.as_str().into();
        if request.member_epoch == 0 {
            self.make_room_for_streams(&group_id, now, effects);
        }
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        let group = match groups.get_mut(&group_id) {
            Some(Group::Streams(group)) => group,
            Some(_) => return Err(not_a_streams_group(&group_id)),
            None => {
                let message = format!("Streams group {group_id} not found.");
                return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
            }
        };
        let result = group.heartbeat(request, client, topics.as_ref(), &mut turn);
        if group.is_untouched() {
            groups.remove(&group_id);
        }
        result
    }

    fn make_room_for_streams(&mut self, group_id: &Arc<str>, now: Now, effects: &mut Effects) {
        let (groups, mut turn) = self.turn(now, effects);
        match groups.get_mut(group_id) {
            Some(Group::Classic(group)) if group.is_vacant() => {
                group.dissolve(ErrorCode::RebalanceInProgress, &mut turn)
            }
            Some(_) => return,
            None => {}
        }
        groups.insert(group_id.clone(), Group::Streams(StreamsGroup::new(group_id.clone())));
    }

    /// Forgets an empty streams group so that another protocol may use its name; its offsets stay.
    pub(in crate::group) fn remove_streams_group(&mut self, group_id: &str, now: Now, effects: &mut Effects) {
        let (groups, mut turn) = self.turn(now, effects);
        if let Some(Group::Streams(group)) = groups.remove(group_id) {
            group.dissolve(&mut turn);
        }
    }

    /// StreamsGroupDescribe for one group.
    ///
    /// # Errors
    /// There is no streams group of that name.
    pub fn describe_streams(&self, group_id: &str) -> Result<streams_group_describe_response::Group, NotDescribed> {
        match self.groups.get(group_id).ok_or(NotDescribed::Unknown)? {
            Group::Streams(group) => Ok(group.describe()),
            Group::Classic(_) | Group::Consumer(_) | Group::Share(_) => Err(NotDescribed::OtherProtocol),
        }
    }

    /// Takes over one record of a streams group.
    pub(in crate::group) fn load_streams_record(&mut self, record: StreamsRecord) {
        let group_id: Arc<str> = record.group_id().into();
        let known = matches!(self.groups.get(&group_id), Some(Group::Streams(_)));
        if record.is_tombstone() && !known {
            return;
        }
        if matches!(record, StreamsRecord::Group(_, None)) {
            self.groups.remove(&group_id);
            return;
        }
        if !known {
            self.groups.insert(group_id.clone(), Group::Streams(StreamsGroup::new(group_id.clone())));
        }
        if let Some(Group::Streams(group)) = self.groups.get_mut(&group_id) {
            group.load(record);
        }
    }
}

fn not_a_streams_group(group_id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {group_id} is not a streams group."))
}
