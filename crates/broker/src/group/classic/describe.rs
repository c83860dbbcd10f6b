//! What DescribeGroups says about a classic group.

use bytes::Bytes;
use milena_protocol::messages::describe_groups_response;

use super::group::{ClassicGroup, State};

impl ClassicGroup {
    /// State and members. Metadata and assignments are shown only when the group is stable: at other times
    /// they belong to no generation.
    pub fn describe(&self) -> describe_groups_response::Group {
        let stable = self.state == State::Stable;
        let protocol = self.protocol_name.as_deref().filter(|_| stable).unwrap_or_default();
        let members = self.members.values().map(|member| describe_groups_response::Member {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client.client_id.clone(),
            client_host: member.client.client_host.clone(),
            member_metadata: if stable { member.metadata(protocol) } else { Bytes::new() },
            member_assignment: if stable { member.assignment.clone() } else { Bytes::new() },
        });
        describe_groups_response::Group {
            group_id: self.id.to_string(),
            group_state: self.state.name().to_owned(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.to_owned(),
            members: members.collect(),
            ..describe_groups_response::Group::default()
        }
    }
}
