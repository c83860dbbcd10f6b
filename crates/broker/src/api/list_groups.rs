//! ListGroups (key 16), versions 0-5.
//!
//! - v4 filters by state (KIP-518), v5 by type (KIP-848); both without regard to case
//! - a group that only has offsets is `Empty`, of type `classic`

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_protocol::messages::list_groups_response::Group;
use milena_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::context::{Broker, RequestContext};

/// Lists the groups of this broker.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: ListGroupsRequest) -> ListGroupsResponse {
    let groups = match broker.groups.list().await {
        Ok(groups) => groups,
        Err(code) => return ListGroupsResponse { error_code: code.code(), ..ListGroupsResponse::default() },
    };
    let all = broker.may(context, AclOperation::Describe, ResourceType::Cluster, CLUSTER_NAME);
    let groups = groups
        .into_iter()
        .filter(|group| all || broker.may(context, AclOperation::Describe, ResourceType::Group, &group.group_id))
        .filter(|group| passes(&request.states_filter, group.state))
        .filter(|group| passes(&request.types_filter, group.group_type))
        .map(|group| Group {
            group_id: group.group_id,
            protocol_type: group.protocol_type,
            group_state: group.state.to_owned(),
            group_type: group.group_type.to_owned(),
        });
    ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
}

fn passes(filter: &[String], value: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
}
