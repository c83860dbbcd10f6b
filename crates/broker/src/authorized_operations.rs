//! The operations a client may perform, as the bit fields of Metadata, DescribeCluster and DescribeGroups (KIP-430).
//!
//! Bit n stands for ACL operation n. Only operations that make sense on the resource are considered, and without an
//! authorizer everybody may do all of them (broker specification, section 18).

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};

use crate::context::{Broker, RequestContext};

/// The answer when the client did not ask.
pub(crate) const NOT_REQUESTED: i32 = i32::MIN;

/// Everything that can be done to a topic.
const TOPIC: &[AclOperation] = &[
    AclOperation::Read,
    AclOperation::Write,
    AclOperation::Create,
    AclOperation::Delete,
    AclOperation::Alter,
    AclOperation::Describe,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
];
/// Everything that can be done to the cluster.
const CLUSTER: &[AclOperation] = &[
    AclOperation::Create,
    AclOperation::Alter,
    AclOperation::Describe,
    AclOperation::ClusterAction,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
    AclOperation::IdempotentWrite,
];
/// Everything that can be done to a group.
const GROUP: &[AclOperation] = &[
    AclOperation::Read,
    AclOperation::Delete,
    AclOperation::Describe,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
];

/// Which field of an answer is filled, for which client.
#[derive(Clone, Copy)]
pub(crate) struct AuthorizedOperations<'a> {
    broker: &'a Broker,
    context: &'a RequestContext,
    requested: bool,
}

impl<'a> AuthorizedOperations<'a> {
    pub(crate) fn new(broker: &'a Broker, context: &'a RequestContext, requested: bool) -> AuthorizedOperations<'a> {
        AuthorizedOperations { broker, context, requested }
    }

    /// The field for a group.
    pub(crate) fn of_group(self, group: &str) -> i32 {
        self.of(GROUP, ResourceType::Group, group)
    }

    /// The field for a topic.
    pub(crate) fn of_topic(self, topic: &str) -> i32 {
        self.of(TOPIC, ResourceType::Topic, topic)
    }

    /// The field for the cluster; nothing for clients that may not describe it.
    pub(crate) fn of_cluster(self) -> i32 {
        if self.requested && !self.broker.allows_cluster(self.context, AclOperation::Describe) {
            return 0;
        }
        self.of(CLUSTER, ResourceType::Cluster, CLUSTER_NAME)
    }

    fn of(self, operations: &[AclOperation], resource_type: ResourceType, name: &str) -> i32 {
        if !self.requested {
            return NOT_REQUESTED;
        }
        let allowed =
            operations.iter().filter(|operation| self.broker.may(self.context, **operation, resource_type, name));
        allowed.fold(0, |bits, operation| bits | 1 << operation.code())
    }
}
