//! Associations: which subjects hold the schemas of a resource, usually of a topic's keys and values.
//!
//! A STRONG association lives and dies with its resource, and its subject belongs to that resource alone; a WEAK one only
//! points. A frozen one cannot be changed.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Page, RegisterOptions, Result, Service};
use crate::service::entity::SchemaRequest;
use crate::storage::{AssociationKey, AssociationValue, Key, Record, Store, TENANT, Value};
use crate::subject::Subject;

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
    /// The subject; by default `<resource>-<type>`.
    pub subject: Option<String>,
    /// `key` or `value` (default).
    pub association_type: Option<String>,
    /// `STRONG` or `WEAK` (default).
    pub lifecycle: Option<String>,
    /// Whether it may not change any more.
    pub frozen: Option<bool>,
    /// A schema to register with it.
    pub schema: Option<SchemaRequest>,
    /// Whether that schema is brought into normal form.
    pub normalize: Option<bool>,
}

/// Body of `/associations:batchGet`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchGet {
    /// Ids of resources.
    pub resource_ids: Vec<String>,
}

/// Body of `/associations:batchMutate`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchMutate {
    /// One change a resource.
    pub requests: Vec<AssociationRequest>,
}

/// Which associations are meant.
#[derive(Debug, Clone, Default)]
pub struct AssociationFilter {
    /// `topic`.
    pub resource_type: Option<String>,
    /// `key`, `value`; none: every one.
    pub association_types: Vec<String>,
    /// `STRONG`, `WEAK`.
    pub lifecycle: Option<String>,
}

impl AssociationFilter {
    fn matches(&self, value: &AssociationValue) -> bool {
        self.resource_type.as_ref().is_none_or(|wanted| *wanted == value.resource_type)
            && (self.association_types.is_empty() || self.association_types.contains(&value.association_type))
            && self.lifecycle.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&value.lifecycle))
    }

    fn is_empty(&self) -> bool {
        self.resource_type.is_none() && self.association_types.is_empty() && self.lifecycle.is_none()
    }

    /// Whether a listing of schemas includes the subject.
    pub(super) fn allows_subject(&self, store: &Store, subject: &str) -> bool {
        self.is_empty() || store.associations().any(|(key, value)| key.subject == subject && self.matches(value))
    }
}

/// An association in an answer.
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

/// All associations of a resource after a change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAnswer {
    resource_name: String,
    resource_namespace: String,
    resource_id: String,
    resource_type: String,
    associations: Vec<AssociationAnswer>,
}

/// Whose associations are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of the resource with this id.
    ResourceId(String),
    /// Those of the resource of this namespace and name.
    Resource(String, String),
    /// Those of a subject.
    Subject(Subject),
}

impl Whose {
    fn matches(&self, value: &AssociationValue) -> bool {
        match self {
            Whose::ResourceId(id) => value.resource_id == *id,
            Whose::Resource(namespace, name) => {
                (namespace == "-" || value.resource_namespace == *namespace) && value.resource_name == *name
            }
            Whose::Subject(subject) => value.subject == subject.to_string(),
        }
    }
}

impl Service {
    /// GET: the associations of a resource or subject.
    pub fn associations(&self, whose: &Whose, filter: &AssociationFilter, page: Page) -> Vec<AssociationAnswer> {
        let store = self.log.store();
        let found =
            store.associations().map(|(_, value)| value).filter(|value| whose.matches(value) && filter.matches(value));
        page.of(found).map(AssociationAnswer::from).collect()
    }

    /// POST (`create`: an existing one of the same type is a conflict unless it says the same) and PUT (`create` off: it
    /// is replaced).
    ///
    /// # Errors
    /// 42212 invalid, 40904 exists already, 40905 frozen, 40906 the subject belongs to another resource, and those of a
    /// registration.
    pub async fn associate(
        &self,
        context: &str,
        request: AssociationRequest,
        create: bool,
        dry_run: bool,
    ) -> Result<ResourceAnswer> {
        let resource = Resource::of(&request)?;
        let mut planned = Vec::new();
        for entry in request.associations {
            let value = resource.association(context, &entry)?;
            self.check_conflicts(&value, create)?;
            planned.push((value, entry));
        }
        if planned.is_empty() {
            return Err(Error::InvalidAssociation("The association request has no associations".to_owned()));
        }
        let answer = resource.answer(planned.iter().map(|(value, _)| value.into()).collect());
        if dry_run {
            return Ok(answer);
        }
        for (value, entry) in &planned {
            if let Some(schema) = entry.schema.clone() {
                let options = RegisterOptions { normalize: entry.normalize.unwrap_or(false), force: false };
                self.register(&Subject::parse(&value.subject), schema, options).await?;
            }
        }
        let _writes = self.begin().await?;
        let mut records = Vec::new();
        for (value, _) in planned {
            self.check_conflicts(&value, create)?;
            records.extend(self.replaced(&value).map(|key| Record::tombstone(Key::Association(key))));
            records.push(Record::new(Key::Association(key_of(&value)), Value::Association(Box::new(value))));
        }
        self.write(records).await?;
        Ok(answer)
    }

    /// DELETE `/associations/resources/{id}`; with `cascade` the subjects of strong ones are soft-deleted too.
    ///
    /// # Errors
    /// 40410 nothing found, 40905 frozen, and those of a deletion.
    pub async fn dissociate(&self, id: &str, filter: &AssociationFilter, cascade: bool, dry_run: bool) -> Result<()> {
        let found: Vec<AssociationValue> = {
            let store = self.log.store();
            let of_resource = store.associations().map(|(_, value)| value).filter(|value| value.resource_id == id);
            of_resource.filter(|value| filter.matches(value)).cloned().collect()
        };
        if found.is_empty() {
            return Err(Error::AssociationNotFound(format!("No association found for resource '{id}'")));
        }
        if let Some(frozen) = found.iter().find(|value| value.frozen && !cascade) {
            return Err(frozen_error(frozen));
        }
        if dry_run {
            return Ok(());
        }
        if cascade {
            for value in found.iter().filter(|value| value.lifecycle == "STRONG") {
                match self.delete_subject(&Subject::parse(&value.subject), false).await {
                    Ok(_) | Err(Error::SubjectNotFound(_) | Error::SubjectSoftDeleted(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let _writes = self.begin().await?;
        let records = found.iter().map(|value| Record::tombstone(Key::Association(key_of(value)))).collect();
        self.write(records).await
    }

    fn check_conflicts(&self, new: &AssociationValue, create: bool) -> Result<()> {
        let store = self.log.store();
        for (_, old) in store.associations() {
            let same_place = old.resource_id == new.resource_id
                && old.resource_type == new.resource_type
                && old.association_type == new.association_type;
            if same_place {
                let same = old.subject == new.subject && old.lifecycle == new.lifecycle;
                if old.frozen && !same {
                    return Err(frozen_error(old));
                }
                if create && !same {
                    let message = format!(
                        "An association of type '{}' already exists for resource '{}'",
                        old.association_type, old.resource_name
                    );
                    return Err(Error::AssociationConflict(40904, message));
                }
            } else if old.subject == new.subject && (old.lifecycle == "STRONG" || new.lifecycle == "STRONG") {
                let message =
                    format!("Subject '{}' is associated with resource '{}' already", old.subject, old.resource_name);
                return Err(Error::AssociationConflict(40906, message));
            }
        }
        Ok(())
    }

    /// The association that a new one takes the place of under another key.
    fn replaced(&self, new: &AssociationValue) -> Option<AssociationKey> {
        let store = self.log.store();
        let own = key_of(new);
        let (key, _) = store.associations().find(|(key, old)| {
            **key != own && old.resource_id == new.resource_id && old.association_type == new.association_type
        })?;
        Some(key.clone())
    }
}

struct Resource {
    name: String,
    namespace: String,
    id: String,
    kind: String,
}

impl Resource {
    fn of(request: &AssociationRequest) -> Result<Resource> {
        let required = |name: &str, value: &Option<String>| {
            let value = value.clone().filter(|value| !value.is_empty());
            value.ok_or_else(|| Error::InvalidAssociation(format!("The association property '{name}' is missing")))
        };
        Ok(Resource {
            name: required("resourceName", &request.resource_name)?,
            namespace: required("resourceNamespace", &request.resource_namespace)?,
            id: required("resourceId", &request.resource_id)?,
            kind: request.resource_type.clone().unwrap_or_else(|| "topic".to_owned()),
        })
    }

    fn association(&self, context: &str, entry: &AssociationEntry) -> Result<AssociationValue> {
        let association_type = entry.association_type.clone().unwrap_or_else(|| "value".to_owned());
        if self.kind == "topic" && !matches!(association_type.as_str(), "key" | "value") {
            return Err(Error::InvalidAssociation(format!("Invalid association type '{association_type}'")));
        }
        let lifecycle = entry.lifecycle.as_deref().unwrap_or("WEAK").to_ascii_uppercase();
        if !matches!(lifecycle.as_str(), "STRONG" | "WEAK") {
            return Err(Error::InvalidAssociation(format!("Invalid lifecycle '{lifecycle}'")));
        }
        let name = entry.subject.clone().unwrap_or_else(|| format!("{}-{association_type}", self.name));
        let subject = Subject::parse_in(context, &name);
        if !subject.is_valid() {
            return Err(Error::InvalidSubject(subject.to_string()));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(AssociationValue {
            guid: Uuid::new_v4().to_string(),
            tenant: TENANT.to_owned(),
            resource_name: self.name.clone(),
            resource_namespace: self.namespace.clone(),
            resource_id: self.id.clone(),
            resource_type: self.kind.clone(),
            association_type,
            subject: subject.to_string(),
            lifecycle,
            frozen: entry.frozen.unwrap_or(false),
            create_ts: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        })
    }

    fn answer(&self, associations: Vec<AssociationAnswer>) -> ResourceAnswer {
        ResourceAnswer {
            resource_name: self.name.clone(),
            resource_namespace: self.namespace.clone(),
            resource_id: self.id.clone(),
            resource_type: self.kind.clone(),
            associations,
        }
    }
}

fn key_of(value: &AssociationValue) -> AssociationKey {
    AssociationKey {
        tenant: value.tenant.clone(),
        resource_name: value.resource_name.clone(),
        resource_namespace: value.resource_namespace.clone(),
        resource_type: value.resource_type.clone(),
        association_type: value.association_type.clone(),
        subject: value.subject.clone(),
    }
}

fn frozen_error(value: &AssociationValue) -> Error {
    let message = format!(
        "The association of type '{}' for resource '{}' is frozen",
        value.association_type, value.resource_name
    );
    Error::AssociationConflict(40905, message)
}
