//! A classic group as its record in `__consumer_offsets` (type 2), and back.

use std::sync::Arc;

use milena_protocol::messages::GroupMetadataValue;
use milena_protocol::messages::group_metadata_value::MemberMetadata;

use super::group::{ClassicGroup, State};
use super::member::Member;
use crate::group::client::ClientIdentity;
use crate::group::records::{self, Encoded};

impl ClassicGroup {
    /// The record of the current generation.
    pub fn to_record(&self) -> Encoded {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| MemberMetadata {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client.client_id.clone(),
            client_host: member.client.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader_id.as_ref().map(|leader| leader.to_string()),
            current_state_timestamp: self.state_timestamp,
            members: members.collect(),
        };
        records::group(&self.id, Some(&value))
    }

    /// The group that a record describes: stable when it has members, else empty. Its sessions do not run yet.
    pub fn from_stored(id: Arc<str>, value: GroupMetadataValue) -> Self {
        let mut group = ClassicGroup::new(id);
        group.generation_id = value.generation;
        group.protocol_type = Some(value.protocol_type).filter(|protocol_type| !protocol_type.is_empty());
        group.protocol_name = value.protocol;
        group.state_timestamp = value.current_state_timestamp;
        for stored in value.members {
            let member = stored_member(stored, group.protocol_name.as_deref());
            if let Some(instance_id) = &member.group_instance_id {
                group.static_members.insert(instance_id.clone(), member.member_id.clone());
            }
            group.members.insert(member.member_id.clone(), member);
        }
        group.leader_id = value.leader.map(Arc::from).filter(|leader| group.members.contains_key(leader));
        if !group.members.is_empty() {
            group.state = State::Stable;
        }
        group.subscribed_topics = group.subscriptions();
        group
    }
}

fn stored_member(stored: MemberMetadata, protocol: Option<&str>) -> Member {
    Member {
        member_id: stored.member_id.into(),
        group_instance_id: stored.group_instance_id,
        client: ClientIdentity { client_id: stored.client_id, client_host: stored.client_host },
        // Version 0 of the record has no rebalance timeout.
        rebalance_timeout_ms: if stored.rebalance_timeout < 0 {
            stored.session_timeout
        } else {
            stored.rebalance_timeout
        },
        session_timeout_ms: stored.session_timeout,
        protocols: protocol.map(|name| vec![(name.to_owned(), stored.subscription)]).unwrap_or_default(),
        assignment: stored.assignment,
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
