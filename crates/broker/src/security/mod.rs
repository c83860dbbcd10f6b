//! Who a client is and what it may do.
//!
//! ```text
//! connection ── TLS certificate or SASL ──► Principal ── every request ──► Authorizer ──► handler
//! ```
//!
//! - [`Principal`] is what a connection has been authenticated as
//! - [`Authorizer`] decides by the ACLs of the cluster image; without `authorizer.class.name` everything is allowed
//! - handlers ask through [`Broker::allows`] and its relatives
//!
//! Deliberately absent: which API needs which right. Every handler says that itself, where it acts.

mod authorizer;
mod principal;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};

pub use authorizer::{Authorizer, AuthorizerError};
pub use principal::Principal;

use crate::context::{Broker, RequestContext};

impl Broker {
    /// Whether the client may do `operation` to the resource; a refusal is written to the audit log.
    #[inline]
    pub fn allows(
        &self,
        context: &RequestContext,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
    ) -> bool {
        self.authorizer.authorize(context, operation, resource_type, name)
    }

    /// Whether the client may do `operation` to the cluster; a refusal is written to the audit log.
    #[inline]
    pub fn allows_cluster(&self, context: &RequestContext, operation: AclOperation) -> bool {
        self.authorizer.authorize(context, operation, ResourceType::Cluster, CLUSTER_NAME)
    }

    /// Like [`Broker::allows`] for a topic.
    #[inline]
    pub fn allows_topic(&self, context: &RequestContext, operation: AclOperation, topic: &str) -> bool {
        self.authorizer.authorize(context, operation, ResourceType::Topic, topic)
    }

    /// Like [`Broker::allows`] for a group.
    #[inline]
    pub fn allows_group(&self, context: &RequestContext, operation: AclOperation, group: &str) -> bool {
        self.authorizer.authorize(context, operation, ResourceType::Group, group)
    }

    /// Like [`Broker::allows`], but a refusal is nobody's fault and not logged: for filtering what a client did not name.
    #[inline]
    pub fn may(
        &self,
        context: &RequestContext,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
    ) -> bool {
        self.authorizer.authorize_quietly(context, operation, resource_type, name)
    }
}
