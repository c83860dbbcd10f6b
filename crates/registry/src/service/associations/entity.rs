//! Bodies of requests and answers about associations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Result};
use crate::service::entity::{SchemaAnswer, SchemaRequest};
use crate::storage::{AssociationValue, TENANT};
use crate::subject::Subject;

/// The only type of resource there is.
const TOPIC: &str = "topic";
/// The association that lives and dies with its resource.
pub(super) const STRONG: &str = "STRONG";
/// The association that only points.
pub(super) const WEAK: &str = "WEAK";

/// A request about the associations of one resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssociationRequest {
    /// The resource: a topic.
    pub resource_name: Option<String>,
    /// Where the resource lives: a cluster.
    pub resource_namespace: Option<String>,
    /// The resource's own id.
    pub resource_id: Option<String>,
    /// `topic` (default).
    pub resource_type: Option<String>,
    /// What is linked.
    pub associations: Vec<AssociationEntry>,
}

/// One link of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssociationEntry {
    /// What is to happen; only in batches.
    pub op_type: Option<Operation>,
    /// The subject; by default `:.<namespace>:<resource>-<type>`.
    pub subject: Option<String>,
    /// `key` or `value` (default).
    pub association_type: Option<String>,
    /// `STRONG` or `WEAK`; by default that of the association there is, or `WEAK`.
    pub lifecycle: Option<String>,
    /// Whether it may not change any more; by default as before.
    pub frozen: Option<bool>,
    /// A schema to register with it.
    pub schema: Option<SchemaRequest>,
    /// Whether that schema is brought into normal form.
    pub normalize: Option<bool>,
}

/// What a batch does to an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It must not exist, unless as it is described.
    Create,
    /// It is made or changed.
    Upsert,
    /// It goes.
    Delete,
}

/// Body of `/associations:batchGet`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchGet {
    /// One question a resource.
    pub requests: Vec<AssociationQuestion>,
}

/// Whose associations a batch asks for: those of an id, or of a namespace and name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssociationQuestion {
    /// The resource: a topic.
    pub resource_name: Option<String>,
    /// Where the resource lives; `-` is anywhere.
    pub resource_namespace: Option<String>,
    /// The resource's own id.
    pub resource_id: Option<String>,
    /// `topic`.
    pub resource_type: Option<String>,
    /// `key`, `value`; none: every one.
    pub association_types: Vec<String>,
    /// `STRONG`, `WEAK`.
    pub lifecycle: Option<String>,
}

/// Body of `/associations:batchMutate`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchMutate {
    /// The changes, by resource.
    pub requests: Vec<AssociationRequest>,
}

/// An association in a listing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssociationAnswer {
    subject: String,
    guid: String,
    resource_name: String,
    resource_namespace: String,
    resource_id: String,
    resource_type: String,
    association_type: String,
    lifecycle: String,
    frozen: bool,
}

impl From<&AssociationValue> for AssociationAnswer {
    fn from(value: &AssociationValue) -> AssociationAnswer {
        AssociationAnswer {
            subject: value.subject.clone(),
            guid: value.guid.clone(),
            resource_name: value.resource_name.clone(),
            resource_namespace: value.resource_namespace.clone(),
            resource_id: value.resource_id.clone(),
            resource_type: value.resource_type.clone(),
            association_type: value.association_type.clone(),
            lifecycle: value.lifecycle.clone(),
            frozen: value.frozen,
        }
    }
}

/// A resource with some of its associations.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAnswer {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource_namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource_id: String,
    pub(super) resource_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) associations: Vec<AssociationInfo>,
}

/// An association below its resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssociationInfo {
    subject: String,
    association_type: String,
    lifecycle: String,
    frozen: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<SchemaAnswer>,
}

impl From<&AssociationValue> for AssociationInfo {
    fn from(value: &AssociationValue) -> AssociationInfo {
        AssociationInfo {
            subject: value.subject.clone(),
            association_type: value.association_type.clone(),
            lifecycle: value.lifecycle.clone(),
            frozen: value.frozen,
            schema: None,
        }
    }
}

/// A resource as a request names it, checked.
pub(super) struct Resource {
    pub name: String,
    pub namespace: String,
    pub id: String,
    pub kind: String,
}

impl Resource {
    /// # Errors
    /// 42212 for what is missing; a dry run needs no id.
    pub fn of(request: &AssociationRequest, dry_run: bool) -> Result<Resource> {
        let required = |name: &str, value: &Option<String>| {
            let value = value.clone().filter(|value| !value.is_empty());
            value.ok_or_else(|| invalid(name, "cannot be null or empty"))
        };
        let kind = request.resource_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(TOPIC);
        if kind != TOPIC {
            return Err(invalid("resourceType", "must be 'topic'"));
        }
        if request.associations.is_empty() {
            return Err(invalid("associations", "cannot be null or empty"));
        }
        let id = match required("resourceId", &request.resource_id) {
            Err(_) if dry_run => String::new(),
            other => other?,
        };
        Ok(Resource {
            name: required("resourceName", &request.resource_name)?,
            namespace: required("resourceNamespace", &request.resource_namespace)?,
            id,
            kind: kind.to_owned(),
        })
    }

    /// What `entry` asks for; `old` is the association of the same type that there is.
    ///
    /// # Errors
    /// 42212 for impossible members, 42208 for an impossible subject.
    pub fn association(
        &self,
        context: &str,
        entry: &AssociationEntry,
        old: Option<&AssociationValue>,
        now_ms: i64,
    ) -> Result<AssociationValue> {
        let association_type = entry.kind()?;
        let before = old.map_or(WEAK, |old| &old.lifecycle);
        let lifecycle = entry.lifecycle.as_deref().unwrap_or(before).to_ascii_uppercase();
        if !matches!(lifecycle.as_str(), STRONG | WEAK) {
            return Err(invalid("lifecycle", "must be either 'STRONG' or 'WEAK'"));
        }
        let default = format!(":.{}:{}-{association_type}", self.namespace, self.name);
        let name = entry.subject.clone().or_else(|| old.map(|old| old.subject.clone())).unwrap_or(default.clone());
        let subject = Subject::parse_in(context, &name);
        if !subject.is_valid() {
            return Err(Error::InvalidSubject(subject.to_string()));
        }
        if entry.frozen == Some(true) && subject.to_string() != default {
            return Err(invalid("subject", &format!("frozen associations must use subject '{default}'")));
        }
        Ok(AssociationValue {
            guid: old.map_or_else(|| Uuid::new_v4().to_string(), |old| old.guid.clone()),
            tenant: TENANT.to_owned(),
            resource_name: self.name.clone(),
            resource_namespace: self.namespace.clone(),
            resource_id: self.id.clone(),
            resource_type: self.kind.clone(),
            association_type: association_type.to_owned(),
            subject: subject.to_string(),
            lifecycle,
            frozen: entry.frozen.unwrap_or_else(|| old.is_some_and(|old| old.frozen)),
            create_ts: old.map_or(now_ms, |old| old.create_ts),
        })
    }

    /// With its associations.
    pub fn answer(self, associations: Vec<AssociationInfo>) -> ResourceAnswer {
        ResourceAnswer {
            resource_name: self.name,
            resource_namespace: self.namespace,
            resource_id: self.id,
            resource_type: self.kind,
            associations,
        }
    }
}

impl AssociationEntry {
    /// `key` or `value`.
    ///
    /// # Errors
    /// 42212 for anything else.
    pub fn kind(&self) -> Result<&str> {
        match self.association_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("value") {
            kind @ ("key" | "value") => Ok(kind),
            _ => Err(invalid("associationType", "must be either 'key' or 'value'")),
        }
    }
}

/// 42212.
pub(super) fn invalid(property: &str, detail: &str) -> Error {
    Error::InvalidAssociation(format!("The association specified an invalid value for property '{property}': {detail}"))
}
