//! One member of a classic group.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::messages::join_group_request::Protocol;
use milena_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use crate::group::assignor::Assignment;
use crate::group::client::ClientIdentity;
use crate::group::consumer::{ClassicMembership, ConsumerMember, with_names};
use crate::group::effects::Responder;
use crate::group::embedded_protocol;
use crate::group::topics::TopicsView;

/// A member and the request it may be parked in.
#[derive(Debug)]
pub struct Member {
    /// `<client id or instance id>-<uuid>`.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// Who it is.
    pub client: ClientIdentity,
    /// How long a rebalance may wait for it, in ms.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent, in ms.
    pub session_timeout_ms: i32,
    /// Its protocols in its order of preference: name and metadata.
    pub protocols: Vec<(String, Bytes)>,
    /// What the leader assigned to it in this generation.
    pub assignment: Bytes,
    /// The JoinGroup it is parked in.
    pub awaiting_join: Option<Responder<JoinGroupResponse>>,
    /// The SyncGroup it is parked in.
    pub awaiting_sync: Option<Responder<SyncGroupResponse>>,
    /// It has not completed its first rebalance yet.
    pub is_new: bool,
}

impl Member {
    /// The member of a consumer group that becomes a classic one; its target is its assignment.
    pub fn from_consumer_member(
        member_id: Arc<str>,
        member: &ConsumerMember,
        classic: &ClassicMembership,
        target: &Assignment,
        topics: &dyn TopicsView,
    ) -> Self {
        let partitions = with_names(target, topics);
        let assignment = embedded_protocol::encode_assignment(classic.assignment_version(), partitions);
        Member {
            member_id,
            group_instance_id: member.instance_id.clone(),
            client: member.client.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
            assignment: assignment.unwrap_or_default(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    /// Whether `protocols` are the ones the member has, in the same order with the same metadata.
    pub fn has_protocols(&self, protocols: &[(String, Bytes)]) -> bool {
        self.protocols == protocols
    }

    /// The member's metadata for `protocol`; empty when it does not support it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    /// The first of the member's protocols that is a candidate.
    pub fn vote<'a>(&'a self, candidates: &BTreeSet<&str>) -> Option<&'a str> {
        self.protocols.iter().map(|(name, _)| name.as_str()).find(|name| candidates.contains(name))
    }

    /// Whether silence is excused: its request is with us.
    pub fn is_parked(&self) -> bool {
        self.awaiting_join.is_some() || self.awaiting_sync.is_some()
    }
}

/// Copies protocols out of a request, so that the member does not keep the request's frame alive.
pub(super) fn owned_protocols(protocols: Vec<Protocol>) -> Vec<(String, Bytes)> {
    protocols.into_iter().map(|protocol| (protocol.name, Bytes::copy_from_slice(&protocol.metadata))).collect()
}

/// The topics of an embedded consumer subscription; `None` when the bytes are something else.
pub(super) fn subscribed_topics(metadata: &Bytes) -> Option<BTreeSet<String>> {
    embedded_protocol::subscription(metadata).map(|subscription| subscription.topics)
}
