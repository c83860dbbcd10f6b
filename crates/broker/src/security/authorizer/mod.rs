//! The standard authorizer: decides by ACLs, denials first.
//!
//! `authorizer.class.name` names Kafka's class (or the one of older versions); without it there is no authorizer,
//! everything is allowed and the ACL APIs answer SECURITY_DISABLED. The rules are taken from the cluster image and
//! compiled once a change of it; a decision allocates nothing.

mod rules;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use milena_metadata::acl::{AclIndex, AclOperation, ResourceType};
use milena_metadata::{BrokerConfig, Controller};

use self::rules::{AclRules, Decision};
use super::principal::Principal;
use crate::context::RequestContext;

/// Names of the authorizer that this one stands for.
const CLASS_NAMES: [&str; 3] = [
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.authorizer.AclAuthorizer",
    "kafka.security.auth.SimpleAclAuthorizer",
];
/// What a principal is asked for that may do something to every resource of a type.
const ARBITRARY_NAME: &str = "hardcode";

/// Why the configured authorizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizerError {
    /// Some other class.
    #[error("authorizer.class.name={0} is not available; use org.apache.kafka.metadata.authorizer.StandardAuthorizer")]
    UnknownClass(String),
    /// An entry of `super.users` without a kind or a name.
    #[error("super.users: expected entries like User:admin separated by semicolons, found {0:?}")]
    SuperUser(String),
}

/// Decides what clients may do.
pub struct Authorizer {
    standard: Option<StandardAuthorizer>,
}

struct StandardAuthorizer {
    controller: Arc<Controller>,
    super_users: HashSet<String>,
    allow_if_no_acl: bool,
    compiled: ArcSwap<Compiled>,
}

/// The rules of one state of the cluster.
struct Compiled {
    source: Arc<AclIndex>,
    rules: AclRules,
}

impl Compiled {
    fn new(source: Arc<AclIndex>) -> Compiled {
        Compiled { rules: AclRules::new(source.iter()), source }
    }
}

impl Authorizer {
    /// The authorizer that the configuration asks for.
    ///
    /// # Errors
    /// [`AuthorizerError`] when it asks for what is not there.
    pub fn new(config: &BrokerConfig, controller: Arc<Controller>) -> Result<Authorizer, AuthorizerError> {
        let class = config.value("authorizer.class.name").unwrap_or("").trim();
        if class.is_empty() {
            return Ok(Authorizer { standard: None });
        }
        if !CLASS_NAMES.contains(&class) {
            return Err(AuthorizerError::UnknownClass(class.to_owned()));
        }
        let standard = StandardAuthorizer {
            super_users: super_users(config.value("super.users").unwrap_or(""))?,
            allow_if_no_acl: config.value("allow.everyone.if.no.acl.found").is_some_and(|value| value == "true"),
            compiled: ArcSwap::from_pointee(Compiled::new(controller.image().acls.clone())),
            controller,
        };
        Ok(Authorizer { standard: Some(standard) })
    }

    /// Whether there is an authorizer at all.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.standard.is_some()
    }

    /// Whether the client may do `operation` to the resource called `name`. Refusals are logged.
    #[inline]
    pub fn authorize(
        &self,
        context: &RequestContext,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
    ) -> bool {
        match &self.standard {
            None => true,
            Some(standard) => standard.authorize(context, operation, resource_type, name, true),
        }
    }

    /// Like [`Authorizer::authorize`] without a log line.
    #[inline]
    pub fn authorize_quietly(
        &self,
        context: &RequestContext,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
    ) -> bool {
        match &self.standard {
            None => true,
            Some(standard) => standard.authorize(context, operation, resource_type, name, false),
        }
    }

    /// Whether there may be a resource of the type to which the client may do `operation` (KIP-679).
    pub fn authorize_any_of_type(
        &self,
        context: &RequestContext,
        operation: AclOperation,
        resource_type: ResourceType,
    ) -> bool {
        match &self.standard {
            None => true,
            Some(standard) => standard.authorize_any(context, operation, resource_type),
        }
    }
}

impl StandardAuthorizer {
    fn authorize(
        &self,
        context: &RequestContext,
        operation: AclOperation,
        resource_type: ResourceType,
        name: &str,
        audit: bool,
    ) -> bool {
        let principal = &context.principal;
        let allowed = self.is_super_user(principal)
            || match self.rules().rules.decide(principal, host(context), operation, resource_type, name) {
                Decision::Allowed => true,
                Decision::Denied => false,
                Decision::NoRules => self.allow_if_no_acl,
            };
        if allowed {
            tracing::trace!(
                target: "milena.authorizer",
                %principal, operation = %operation.name(), resource = %format_args!("{}:{name}", resource_type.name()), host = %host(context),
                "allowed"
            );
        } else if audit {
            tracing::info!(
                target: "milena.authorizer",
                %principal, operation = %operation.name(), resource = %format_args!("{}:{name}", resource_type.name()), host = %host(context),
                client_id = context.client_id.as_deref().unwrap_or(""),
                "denied"
            );
        }
        allowed
    }

    fn authorize_any(&self, context: &RequestContext, operation: AclOperation, resource_type: ResourceType) -> bool {
        if self.authorize(context, operation, resource_type, ARBITRARY_NAME, false) {
            return true;
        }
        let principal = &context.principal;
        let allowed = self.rules().rules.allows_some(principal, host(context), operation, resource_type);
        if !allowed {
            tracing::info!(
                target: "milena.authorizer",
                %principal, operation = %operation.name(), resource = %format_args!("{}:<any>", resource_type.name()), host = %host(context),
                client_id = context.client_id.as_deref().unwrap_or(""),
                "denied"
            );
        }
        allowed
    }

    fn is_super_user(&self, principal: &Principal) -> bool {
        !self.super_users.is_empty()
            && self.super_users.iter().any(|user| {
                user.strip_prefix(&*principal.kind)
                    .and_then(|rest| rest.strip_prefix(':'))
                    .is_some_and(|name| name == &*principal.name)
            })
    }

    /// The rules of the newest image, compiled when they are not those of the last decision.
    fn rules(&self) -> Guard<Arc<Compiled>> {
        let image = self.controller.image();
        let compiled = self.compiled.load();
        if Arc::ptr_eq(&compiled.source, &image.acls) {
            return compiled;
        }
        self.compiled.store(Arc::new(Compiled::new(image.acls.clone())));
        self.compiled.load()
    }
}

fn host(context: &RequestContext) -> IpAddr {
    context.peer.ip().to_canonical()
}

fn super_users(text: &str) -> Result<HashSet<String>, AuthorizerError> {
    let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let principal = Principal::parse(entry).ok_or_else(|| AuthorizerError::SuperUser(entry.to_owned()))?;
            Ok(principal.to_string())
        })
        .collect()
}

#[cfg(test)]
mod tests;
