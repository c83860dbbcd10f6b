//! What the records of `_schemas` add up to: every version of every subject, and the ways to find them.
//!
//! Only [`Store::apply`] changes it, record by record in the order of the topic, so that every instance that reads the
//! topic holds the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use milena_schema::contract::{Metadata, RuleSet};
use milena_schema::{Reference, SchemaType, identity};
use uuid::Uuid;

use super::record::{AssociationKey, AssociationValue, Key, Record, SchemaValue, Value};
use crate::settings_of_scope::{Config, Mode};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// What makes a schema the same schema; shared by all versions that have it.
#[derive(Debug, PartialEq)]
pub struct Content {
    /// The format.
    pub schema_type: SchemaType,
    /// Canonical text.
    pub schema: Box<str>,
    /// As registered: subjects may be unqualified.
    pub references: Box<[Reference]>,
    /// Absent: none.
    pub metadata: Option<Box<Metadata>>,
    /// Absent: none.
    pub rule_set: Option<Box<RuleSet>>,
    /// Over all of it.
    pub md5: [u8; 16],
}

impl Content {
    /// The content with its MD5.
    pub fn new(
        schema_type: SchemaType,
        schema: String,
        references: Vec<Reference>,
        metadata: Option<Metadata>,
        rule_set: Option<RuleSet>,
    ) -> Content {
        let md5 = identity::md5(&schema, &references, metadata.as_ref(), rule_set.as_ref());
        Content {
            schema_type,
            schema: schema.into_boxed_str(),
            references: references.into_boxed_slice(),
            metadata: metadata.map(Box::new),
            rule_set: rule_set.map(Box::new),
            md5,
        }
    }

    /// The same in every registry.
    pub fn guid(&self) -> Uuid {
        identity::guid(self.md5)
    }
}

/// One version of a subject.
#[derive(Debug, Clone)]
pub struct Version {
    /// From 1.
    pub version: i32,
    /// Unique in the context.
    pub id: i32,
    /// Soft-deleted.
    pub deleted: bool,
    /// When its record was written, milliseconds since 1970.
    pub timestamp: i64,
    /// The schema.
    pub content: Arc<Content>,
}

/// The ids of one context.
#[derive(Debug, Default)]
struct Ids {
    by_id: HashMap<i32, Registered>,
    by_md5: HashMap<[u8; 16], i32>,
    /// The highest id ever seen.
    id_max: i32,
    /// Whether a CONTEXT record has announced it.
    announced: bool,
    /// Whether some schema has several ids, as IMPORT mode allows.
    has_doubles: bool,
}

#[derive(Debug)]
struct Registered {
    content: Arc<Content>,
    timestamp: i64,
    /// In no order: one schema may be registered under very many subjects, and nearly all have one.
    at: Vec<Place>,
}

/// Qualified subject and version.
type Place = (Arc<str>, i32);

/// See the module's words.
#[derive(Debug, Default)]
pub struct Store {
    contexts: BTreeMap<String, Ids>,
    /// By qualified name; versions ascending. Most subjects have few, which a vector holds in the least memory.
    subjects: BTreeMap<Arc<str>, Vec<Version>>,
    /// Who refers to a version: subject and version, both qualified.
    referrers: HashMap<(String, i32), BTreeSet<Place>>,
    configs: HashMap<Option<String>, Config>,
    modes: HashMap<Option<String>, Mode>,
    associations: BTreeMap<AssociationKey, AssociationValue>,
}

/// Which versions a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not deleted.
    Undeleted,
    /// Soft-deleted ones too.
    WithDeleted,
    /// Only soft-deleted ones.
    OnlyDeleted,
}

impl Which {
    /// From the query parameters `deleted` and `deletedOnly`.
    pub fn from_flags(deleted: bool, deleted_only: bool) -> Which {
        match (deleted, deleted_only) {
            (_, true) => Which::OnlyDeleted,
            (true, false) => Which::WithDeleted,
            (false, false) => Which::Undeleted,
        }
    }

    fn includes(self, version: &Version) -> bool {
        match self {
            Which::Undeleted => !version.deleted,
            Which::WithDeleted => true,
            Which::OnlyDeleted => version.deleted,
        }
    }
}

/// Why a record changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// Two schemas claim one id; the first keeps it.
    #[error(
        "schema id {id} of context {context} belongs to another schema already; version {version} of {subject} is passed over"
    )]
    IdTaken {
        /// The id.
        id: i32,
        /// Its context.
        context: String,
        /// The later claimant.
        subject: String,
        /// Its version.
        version: i32,
    },
}

/// Changes.
impl Store {
    /// Takes over one record of the topic.
    ///
    /// # Errors
    /// A record that contradicts an earlier one; the store is as before then.
    pub fn apply(&mut self, record: Record, timestamp: i64) -> Result<(), NotApplied> {
        match (record.key, record.value) {
            (Key::Schema { .. }, Some(Value::Schema(value))) => return self.put_schema(*value, timestamp),
            (Key::Schema { subject, version }, _) => {
                self.remove_version(&Subject::parse(&subject), version);
            }
            (Key::Config { subject }, Some(Value::Config(config))) => {
                self.configs.insert(subject, *config);
            }
            (Key::Config { subject }, _) => {
                self.configs.remove(&subject);
            }
            (Key::Mode { subject }, Some(Value::Mode(mode))) => {
                self.modes.insert(subject, mode);
            }
            (Key::Mode { subject }, _) => {
                self.modes.remove(&subject);
            }
            (Key::DeleteSubject { subject }, Some(Value::DeleteSubject(last))) => self.soft_delete(&subject, last),
            (Key::ClearSubject { subject }, Some(_)) => self.clear(&Subject::parse(&subject)),
            (Key::Context { context, .. }, Some(_)) => {
                self.contexts.entry(context).or_default().announced = true;
            }
            (Key::Context { context, .. }, None) => {
                self.contexts.remove(&context);
            }
            (Key::Association(key), Some(Value::Association(value))) => {
                self.associations.insert(key, *value);
            }
            (Key::Association(key), _) => {
                self.associations.remove(&key);
            }
            (Key::IdLimit { context }, Some(Value::IdLimit(id))) => {
                let ids = self.contexts.entry(context).or_default();
                ids.id_max = ids.id_max.max(id);
            }
            _ => {}
        }
        Ok(())
    }

    fn put_schema(&mut self, value: SchemaValue, timestamp: i64) -> Result<(), NotApplied> {
        let subject = Subject::parse(&value.subject);
        let (id, version) = (value.id, value.version);
        let content = Content::new(value.schema_type, value.schema, value.references, value.metadata, value.rule_set);
        let name: Arc<str> = subject.to_string().into();
        let holder = (name.clone(), version);
        let taken = self.contexts.get(subject.context()).and_then(|ids| ids.by_id.get(&id));
        if let Some(taken) = taken
            && taken.content.md5 != content.md5
            && taken.at.iter().any(|at| *at != holder)
        {
            let context = subject.context().to_owned();
            return Err(NotApplied::IdTaken { id, context, subject: name.to_string(), version });
        }
        self.remove_version(&subject, version);
        let ids = self.contexts.entry(subject.context().to_owned()).or_default();
        ids.id_max = ids.id_max.max(id);
        let registered =
            ids.by_id.entry(id).or_insert_with(|| Registered { content: Arc::new(content), timestamp, at: Vec::new() });
        registered.at.push(holder.clone());
        let content = registered.content.clone();
        ids.has_doubles |= *ids.by_md5.entry(content.md5).or_insert(id) != id;
        for reference in &content.references {
            let to = Subject::parse_in(subject.context(), &reference.subject).to_string();
            self.referrers.entry((to, reference.version)).or_default().insert(holder.clone());
        }
        let stored = Version { version, id, deleted: value.deleted, timestamp, content };
        let versions = self.subjects.entry(name).or_default();
        let place = place_of(versions, version).unwrap_or_else(|place| place);
        versions.insert(place, stored);
        Ok(())
    }

    fn remove_version(&mut self, subject: &Subject, version: i32) {
        let name: Arc<str> = subject.to_string().into();
        let Some(versions) = self.subjects.get_mut(&name) else { return };
        let Ok(place) = place_of(versions, version) else { return };
        let removed = versions.remove(place);
        if versions.is_empty() {
            self.subjects.remove(&name);
        }
        let holder = (name, version);
        for reference in &removed.content.references {
            let to = (Subject::parse_in(subject.context(), &reference.subject).to_string(), reference.version);
            if let Some(referrers) = self.referrers.get_mut(&to) {
                referrers.remove(&holder);
                if referrers.is_empty() {
                    self.referrers.remove(&to);
                }
            }
        }
        let Some(ids) = self.contexts.get_mut(subject.context()) else { return };
        let Some(registered) = ids.by_id.get_mut(&removed.id) else { return };
        registered.at.retain(|at| *at != holder);
        if registered.at.is_empty() {
            ids.by_id.remove(&removed.id);
            let md5 = removed.content.md5;
            if ids.by_md5.get(&md5) == Some(&removed.id) {
                ids.by_md5.remove(&md5);
                if !ids.has_doubles {
                    return;
                }
                let other = ids.by_id.iter().filter(|(_, other)| other.content.md5 == md5).map(|(id, _)| *id).min();
                ids.by_md5.extend(other.map(|id| (md5, id)));
            }
        }
    }

    fn soft_delete(&mut self, subject: &str, last: i32) {
        if let Some(versions) = self.subjects.get_mut(subject) {
            for version in versions.iter_mut().take_while(|version| version.version <= last) {
                version.deleted = true;
            }
        }
    }

    fn clear(&mut self, subject: &Subject) {
        let deleted: Vec<i32> = self.versions(subject, Which::OnlyDeleted).map(|version| version.version).collect();
        for version in deleted {
            self.remove_version(subject, version);
        }
    }
}

/// Questions about subjects.
impl Store {
    /// Names of subjects that have versions of that kind, qualified and sorted.
    pub fn subjects(&self, which: Which) -> impl Iterator<Item = (Subject, &Arc<str>)> {
        self.subjects.iter().filter_map(move |(name, versions)| {
            let listed = match which {
                // A subject counts as deleted only when nothing of it is left.
                Which::OnlyDeleted => versions.iter().all(|version| version.deleted),
                other => versions.iter().any(|version| other.includes(version)),
            };
            listed.then(|| (Subject::parse(name), name))
        })
    }

    /// Versions of a subject, ascending.
    pub fn versions(&self, subject: &Subject, which: Which) -> impl DoubleEndedIterator<Item = &Version> {
        let versions = self.subjects.get(subject.to_string().as_str());
        versions.into_iter().flatten().filter(move |version| which.includes(version))
    }

    /// One version, deleted or not.
    pub fn version(&self, subject: &Subject, version: i32) -> Option<&Version> {
        self.version_named(&subject.to_string(), version)
    }

    fn version_named(&self, name: &str, version: i32) -> Option<&Version> {
        let versions = self.subjects.get(name)?;
        place_of(versions, version).ok().map(|place| &versions[place])
    }

    /// The newest version that is not deleted.
    pub fn latest(&self, subject: &Subject) -> Option<&Version> {
        self.versions(subject, Which::Undeleted).next_back()
    }

    /// Who refers to a version: subjects with versions, those that are deleted too only when asked for.
    pub fn referrers(&self, subject: &Subject, version: i32, which: Which) -> Vec<(Subject, &Version)> {
        let Some(referrers) = self.referrers.get(&(subject.to_string(), version)) else { return Vec::new() };
        let found = referrers.iter().filter_map(|(name, version)| {
            let stored = self.version_named(name, *version)?;
            which.includes(stored).then(|| (Subject::parse(name), stored))
        });
        found.collect()
    }
}

/// Questions about ids.
impl Store {
    /// The schema with an id in a context, and when it was first registered.
    pub fn by_id(&self, context: &str, id: i32) -> Option<(&Arc<Content>, i64)> {
        let registered = self.contexts.get(context)?.by_id.get(&id)?;
        Some((&registered.content, registered.timestamp))
    }

    /// Where the schema with an id is registered, in no order.
    pub fn registrations(&self, context: &str, id: i32) -> impl Iterator<Item = (&Arc<str>, &Version)> {
        let registered = self.contexts.get(context).and_then(|ids| ids.by_id.get(&id));
        let at = registered.into_iter().flat_map(|registered| registered.at.iter());
        at.filter_map(|(name, version)| Some((name, self.version_named(name, *version)?)))
    }

    /// The id of a content in a context.
    pub fn id_of(&self, context: &str, md5: &[u8; 16]) -> Option<i32> {
        self.contexts.get(context)?.by_md5.get(md5).copied()
    }

    /// The highest id ever seen in a context, 0 before the first.
    pub fn id_max(&self, context: &str) -> i32 {
        self.contexts.get(context).map_or(0, |ids| ids.id_max)
    }

    /// Every context that holds the content, with its id there.
    pub fn ids_of_guid(&self, md5: &[u8; 16]) -> Vec<(&str, i32)> {
        let of_context = |(context, ids): (_, &Ids)| Some((String::as_str(context), *ids.by_md5.get(md5)?));
        self.contexts.iter().filter_map(of_context).collect()
    }

    /// The contexts, sorted; the default one always exists.
    pub fn contexts(&self) -> Vec<&str> {
        let mut names: BTreeSet<&str> = self.contexts.keys().map(String::as_str).collect();
        names.insert(DEFAULT_CONTEXT);
        names.into_iter().collect()
    }

    /// Whether a record says that the context exists.
    pub fn is_announced(&self, context: &str) -> bool {
        context == DEFAULT_CONTEXT || self.contexts.get(context).is_some_and(|ids| ids.announced)
    }
}

/// Questions about settings.
impl Store {
    /// Configuration of exactly this scope.
    pub fn config(&self, scope: Option<&str>) -> Option<&Config> {
        self.configs.get(&scope.map(str::to_owned))
    }

    /// Mode of exactly this scope.
    pub fn mode(&self, scope: Option<&str>) -> Option<Mode> {
        self.modes.get(&scope.map(str::to_owned)).copied()
    }

    /// Every association, sorted by its key.
    pub fn associations(&self) -> impl Iterator<Item = (&AssociationKey, &AssociationValue)> {
        self.associations.iter()
    }
}

/// Where a version is in a subject's list, or where it belongs.
fn place_of(versions: &[Version], version: i32) -> Result<usize, usize> {
    versions.binary_search_by_key(&version, |version| version.version)
}

#[cfg(test)]
mod tests;
