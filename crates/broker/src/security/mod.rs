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
mod listeners;
mod principal;
pub(crate) mod sasl;
mod settings;
pub(crate) mod tls;

use milena_metadata::acl::{AclOperation, CLUSTER_NAME, ResourceType};
use milena_protocol::ErrorCode;

pub use authorizer::{Authorizer, AuthorizerError};
pub use listeners::{ListenerSecurity, ListenerSecurityError};
pub(crate) use listeners::{SecuredListener, follow_changes};
pub use principal::Principal;
pub use sasl::SaslSetupError;
pub use tls::TlsError;

use self::sasl::TokenAnswer;

use crate::context::{Broker, RequestContext};

/// Hands a token of the client to its SASL session. A failure is logged and kept from the client for a while.
///
/// # Errors
/// What the client is to be told.
pub(crate) async fn take_token(context: &RequestContext, token: &[u8]) -> Result<TokenAnswer, (ErrorCode, String)> {
    let Some(sasl) = &context.sasl else {
        let message = "SaslAuthenticate request received on a listener without SASL";
        return Err((ErrorCode::IllegalSaslState, message.to_owned()));
    };
    let answer = sasl.token(token).await;
    match &answer {
        Ok(_) => {
            if let Some(principal) = sasl.principal().filter(|_| sasl.is_authenticated()) {
                tracing::debug!(peer = %context.peer, listener = %context.listener.name, %principal, "authenticated");
            }
        }
        Err((_, message)) => {
            tracing::info!(
                target: "milena.authentication",
                peer = %context.peer, listener = %context.listener.name, %message, "failed authentication"
            );
            if sasl.has_failed() {
                tokio::time::sleep(sasl.listener().failure_delay()).await;
            }
        }
    }
    answer
}

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

    /// Takes out of `asked` what `allowed` refuses. Without an authorizer that is nothing, and nobody is asked.
    pub(crate) fn take_refused<T>(&self, asked: &mut Vec<T>, mut allowed: impl FnMut(&T) -> bool) -> Vec<T> {
        if !self.authorizer.is_enabled() {
            return Vec::new();
        }
        asked.extract_if(.., |one| !allowed(one)).collect()
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
