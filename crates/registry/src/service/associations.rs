//! Associations: which subjects hold the schemas of a resource, usually of a topic's keys and values.
//!
//! A STRONG association lives and dies with its resource, and its subject belongs to that resource alone; a WEAK one only
//! points. A frozen one cannot be changed.

mod entity;

use std::time::{SystemTime, UNIX_EPOCH};

use self::entity::{Resource, STRONG, invalid};
use super::entity::{SchemaAnswer, SchemaRequest, VersionSpec};
use super::{Error, Page, RegisterOptions, Result, Service, Show};
use crate::storage::{AssociationKey, AssociationValue, Key, Record, Store, Value};
use crate::subject::Subject;

pub use self::entity::{
    AssociationAnswer, AssociationEntry, AssociationInfo, AssociationQuestion, AssociationRequest, BatchGet,
    BatchMutate, Operation, ResourceAnswer,
};

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
        let resource_type = self.resource_type.as_ref().filter(|wanted| !wanted.is_empty());
        resource_type.is_none_or(|wanted| *wanted == value.resource_type)
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

/// Whose associations are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of the resource with this id.
    ResourceId(String),
    /// Those of the resource of this namespace, `-` being any, and name.
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

/// Questions.
impl Service {
    /// GET: the associations of a resource or subject.
    pub fn associations(&self, whose: &Whose, filter: &AssociationFilter, page: Page) -> Vec<AssociationAnswer> {
        page.of(self.associated(whose, filter).iter()).map(AssociationAnswer::from).collect()
    }

    /// POST `/associations:batchGet`, one of its questions; `schemas`: with the latest schema of each subject.
    ///
    /// # Errors
    /// 42212 when no resource is named.
    pub fn associations_of(&self, question: &AssociationQuestion, schemas: bool) -> Result<ResourceAnswer> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let whose = match (given(&question.resource_id), given(&question.resource_name)) {
            (Some(id), _) => Whose::ResourceId(id),
            (None, Some(name)) => Whose::Resource(given(&question.resource_namespace).unwrap_or("-".to_owned()), name),
            (None, None) => return Err(invalid("resourceId", "cannot be null or empty without a resource name")),
        };
        let filter = AssociationFilter {
            resource_type: given(&question.resource_type),
            association_types: question.association_types.clone(),
            lifecycle: given(&question.lifecycle),
        };
        let found = self.associated(&whose, &filter);
        let first = found.first();
        let named = |of_first: fn(&AssociationValue) -> &String, asked: &Option<String>| {
            first.map(of_first).cloned().or_else(|| given(asked)).unwrap_or_default()
        };
        Ok(ResourceAnswer {
            resource_name: named(|value| &value.resource_name, &question.resource_name),
            resource_namespace: named(|value| &value.resource_namespace, &question.resource_namespace),
            resource_id: named(|value| &value.resource_id, &question.resource_id),
            resource_type: named(|value| &value.resource_type, &Some("topic".to_owned())),
            associations: found.iter().map(|value| self.info(value, schemas)).collect(),
        })
    }

    fn associated(&self, whose: &Whose, filter: &AssociationFilter) -> Vec<AssociationValue> {
        let store = self.log.store();
        let found = store.associations().map(|(_, value)| value);
        found.filter(|value| whose.matches(value) && filter.matches(value)).cloned().collect()
    }

    fn info(&self, value: &AssociationValue, with_schema: bool) -> AssociationInfo {
        let mut info = AssociationInfo::from(value);
        if with_schema {
            // A subject may have lost its schemas since.
            let subject = Subject::parse(&value.subject);
            info.schema = self.schema(&subject, VersionSpec::Latest, false, &Show::default()).ok();
        }
        info
    }
}

/// Changes.
impl Service {
    /// POST (`create`: an existing one of the same type is a conflict unless it says the same) and PUT (`create` off: it
    /// is changed).
    ///
    /// # Errors
    /// 42212 invalid, 40903 exists already, 40904 and 40905 the subject belongs to another resource, 40907 nothing is
    /// registered, 40908 frozen, and those of a registration.
    pub async fn associate(
        &self,
        context: &str,
        request: AssociationRequest,
        create: bool,
        dry_run: bool,
    ) -> Result<ResourceAnswer> {
        let resource = Resource::of(&request, dry_run)?;
        check_consistently_frozen(&request.associations)?;
        let mut planned = Vec::new();
        for entry in request.associations {
            let value = self.planned(context, &resource, &entry, create)?;
            planned.push((value, entry));
        }
        let mut infos: Vec<AssociationInfo> = planned.iter().map(|(value, _)| value.into()).collect();
        if dry_run {
            return Ok(resource.answer(infos));
        }
        for ((value, entry), info) in planned.iter().zip(&mut infos) {
            if let Some(schema) = entry.schema.clone() {
                info.schema = Some(self.register_for(value, schema, entry.normalize.unwrap_or(false)).await?);
            }
        }
        let _writes = self.begin().await?;
        let mut records = Vec::new();
        for (value, entry) in planned {
            // Others may have changed something while the schemas were registered.
            self.planned(context, &resource, &entry, create)?;
            records.extend(self.replaced(&value).map(|key| Record::tombstone(Key::Association(key))));
            records.push(Record::new(Key::Association(key_of(&value)), Value::Association(Box::new(value))));
        }
        self.write(records).await?;
        Ok(resource.answer(infos))
    }

    /// POST `/associations:batchMutate`, the changes of one resource, in order.
    ///
    /// # Errors
    /// As [`Service::associate`] and [`Service::dissociate`]; changes before the one that fails stay.
    pub async fn mutate_associations(
        &self,
        context: &str,
        request: AssociationRequest,
        dry_run: bool,
    ) -> Result<ResourceAnswer> {
        let resource = Resource::of(&request, dry_run)?;
        let mut infos = Vec::new();
        for entry in request.associations.clone() {
            if entry.op_type == Some(Operation::Delete) {
                let association_types = vec![entry.kind()?.to_owned()];
                let filter = AssociationFilter { association_types, ..AssociationFilter::default() };
                self.dissociate(&resource.id, &filter, false, dry_run).await?;
            } else {
                let create = entry.op_type == Some(Operation::Create);
                let one = AssociationRequest { associations: vec![entry], ..request.clone() };
                infos.extend(self.associate(context, one, create, dry_run).await?.associations);
            }
        }
        Ok(resource.answer(infos))
    }

    /// DELETE `/associations/resources/{id}`; with `cascade` the subjects of strong ones are soft-deleted too.
    ///
    /// # Errors
    /// 40410 nothing found, 40908 frozen, and those of a deletion.
    pub async fn dissociate(&self, id: &str, filter: &AssociationFilter, cascade: bool, dry_run: bool) -> Result<()> {
        let found = self.associated(&Whose::ResourceId(id.to_owned()), filter);
        if found.is_empty() {
            return Err(Error::AssociationNotFound(id.to_owned()));
        }
        if let Some(frozen) = found.iter().find(|value| value.frozen && !cascade) {
            return Err(frozen_error(frozen));
        }
        if dry_run {
            return Ok(());
        }
        if cascade {
            for value in found.iter().filter(|value| value.lifecycle == STRONG) {
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

    async fn register_for(
        &self,
        value: &AssociationValue,
        schema: SchemaRequest,
        normalize: bool,
    ) -> Result<SchemaAnswer> {
        let subject = Subject::parse(&value.subject);
        let answer = self.register(&subject, schema, RegisterOptions { normalize, force: false }).await?;
        Ok(SchemaAnswer { subject: Some(subject.to_string()), ..answer })
    }

    /// The association that `entry` leads to, if nothing stands in its way.
    fn planned(
        &self,
        context: &str,
        resource: &Resource,
        entry: &AssociationEntry,
        create: bool,
    ) -> Result<AssociationValue> {
        let kind = entry.kind()?;
        let store = self.log.store();
        let is_same_place = |old: &AssociationValue| {
            old.resource_id == resource.id && old.resource_type == resource.kind && old.association_type == kind
        };
        let old = store.associations().map(|(_, value)| value).find(|value| is_same_place(value));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let new = resource.association(context, entry, old, now_ms)?;
        if let Some(old) = old {
            let same = old.subject == new.subject && old.lifecycle == new.lifecycle && old.frozen == new.frozen;
            match (same, create) {
                (true, _) => {}
                (false, true) => return Err(exists_for_resource(old)),
                (false, false) if old.frozen => return Err(frozen_error(old)),
                (false, false) => {}
            }
        }
        for (_, other) in store.associations().filter(|(_, other)| !is_same_place(other)) {
            if other.subject == new.subject && (other.lifecycle == STRONG || new.lifecycle == STRONG) {
                return Err(exists_for_subject(other));
            }
        }
        let needs_version = entry.schema.is_none() && old.is_none_or(|old| old.subject != new.subject);
        if needs_version && store.latest(&Subject::parse(&new.subject)).is_none() {
            let message = format!("No active (non-deleted) version exists for subject '{}'", new.subject);
            return Err(Error::AssociationConflict(40907, message));
        }
        Ok(new)
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

/// # Errors
/// 42212 when some of the entries are frozen and others say that they are not.
fn check_consistently_frozen(entries: &[AssociationEntry]) -> Result<()> {
    let mut stated = entries.iter().filter_map(|entry| entry.frozen);
    let first = stated.next();
    if stated.any(|frozen| Some(frozen) != first) {
        return Err(invalid("frozen", "all associations of a resource must be frozen, or none"));
    }
    Ok(())
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

fn exists_for_resource(old: &AssociationValue) -> Error {
    let AssociationValue { association_type, resource_name, .. } = old;
    let message = format!("An association of type '{association_type}' already exists for resource '{resource_name}'");
    Error::AssociationConflict(40903, message)
}

fn exists_for_subject(old: &AssociationValue) -> Error {
    let subject = &old.subject;
    if old.lifecycle == STRONG {
        Error::AssociationConflict(40905, format!("A strong association already exists for subject '{subject}'"))
    } else {
        Error::AssociationConflict(40904, format!("An association already exists for subject '{subject}'"))
    }
}

fn frozen_error(value: &AssociationValue) -> Error {
    let AssociationValue { association_type, subject, .. } = value;
    let message = format!("The association of type '{association_type}' is frozen for subject '{subject}'");
    Error::AssociationConflict(40908, message)
}
