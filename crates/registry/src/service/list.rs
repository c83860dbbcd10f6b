//! Listings, and single schemas by version, id and GUID.

use milena_schema::{Reference, SchemaTag};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::entity::{SchemaAnswer, VersionSpec};
use super::{Error, Result, Service};
use crate::storage::{Store, Version, Which};
use crate::subject::{DEFAULT_CONTEXT, Subject, SubjectPrefix};

/// The part of a listing that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How many to pass over.
    pub offset: usize,
    /// How many to answer at most.
    pub limit: usize,
}

impl Page {
    /// The elements of the page.
    pub fn of<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.offset).take(self.limit)
    }
}

/// How a schema is to be shown.
#[derive(Debug, Clone, Default)]
pub struct Show {
    /// `resolved`, `serialized`, ...; unknown ones are ignored.
    pub format: Option<String>,
    /// References with qualified subjects.
    pub qualified_references: bool,
    /// Inline tags to look for; `*` is every one.
    pub find_tags: Vec<String>,
}

/// Which schemas GET `/schemas` lists.
#[derive(Debug, Clone)]
pub struct SchemaFilter {
    /// Subjects.
    pub prefix: SubjectPrefix,
    /// Whether subjects that are aliases of matching ones count.
    pub aliases: bool,
    /// Versions.
    pub which: Which,
    /// Only the newest version of each subject.
    pub latest_only: bool,
    /// Only schemas with a rule of this type.
    pub rule_type: Option<String>,
    /// Only subjects that are associated with a resource so.
    pub association: super::AssociationFilter,
}

/// Listings.
impl Service {
    /// GET `/subjects`, sorted by qualified name.
    pub fn subjects(&self, prefix: &SubjectPrefix, which: Which, page: Page) -> Vec<String> {
        let store = self.log.store();
        let names = store.subjects(which).filter(|(subject, _)| prefix.matches(subject)).map(|(_, name)| name);
        page.of(names).map(|name| name.to_string()).collect()
    }

    /// GET `/subjects/{subject}/versions`; soft-deleted ones negative when asked for.
    ///
    /// # Errors
    /// 40401 for a subject without any.
    pub fn versions(&self, subject: &Subject, which: Which, negative: bool, page: Page) -> Result<Vec<i32>> {
        let store = self.log.store();
        let shown = |version: &Version| if negative && version.deleted { -version.version } else { version.version };
        let which = if negative && which == Which::Undeleted { Which::WithDeleted } else { which };
        let mut versions = store.versions(subject, which).map(shown).peekable();
        if versions.peek().is_none() {
            return Err(Error::SubjectNotFound(subject.to_string()));
        }
        Ok(page.of(versions).collect())
    }

    /// GET `/schemas`, ordered by subject and version.
    pub fn schemas(&self, filter: &SchemaFilter, page: Page) -> Vec<SchemaAnswer> {
        let store = self.log.store();
        let aliased = |subject: &Subject| {
            let alias = store.config(Some(&subject.to_string())).and_then(|config| config.alias.as_deref());
            alias.is_some_and(|alias| filter.prefix.matches(&Subject::parse_in(subject.context(), alias)))
        };
        let subjects = store
            .subjects(filter.which)
            .filter(|(subject, _)| filter.prefix.matches(subject) || (filter.aliases && aliased(subject)))
            .filter(|(_, name)| filter.association.allows_subject(&store, name));
        let versions = subjects.flat_map(|(subject, _)| {
            let latest = if filter.latest_only { 1 } else { usize::MAX };
            let mut versions: Vec<Version> =
                store.versions(&subject, filter.which).rev().take(latest).cloned().collect();
            versions.reverse();
            versions.into_iter().map(move |version| (subject.clone(), version))
        });
        let ruled = versions.filter(|(_, version)| {
            filter.rule_type.as_ref().is_none_or(|wanted| {
                let rules = version.content.rule_set.as_ref();
                rules.is_some_and(|rules| rules.rules().any(|rule| rule.rule_type.as_ref() == Some(wanted)))
            })
        });
        page.of(ruled).map(|(subject, version)| SchemaAnswer::of_subject(&subject, &version)).collect()
    }

    /// GET `/subjects/{subject}/versions/{version}/referencedby`: ids.
    ///
    /// # Errors
    /// 40401, 40402.
    pub fn referenced_by(&self, subject: &Subject, version: VersionSpec, which: Which, page: Page) -> Result<Vec<i32>> {
        let version = self.version(subject, version, which == Which::WithDeleted)?;
        let store = self.log.store();
        let mut ids: Vec<i32> =
            store.referrers(subject, version.version, which).into_iter().map(|(_, version)| version.id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(page.of(ids.into_iter()).collect())
    }
}

/// One schema.
impl Service {
    /// GET `/subjects/{subject}/versions/{version}`.
    ///
    /// # Errors
    /// 40401, 40402.
    pub fn schema(&self, subject: &Subject, version: VersionSpec, deleted: bool, show: &Show) -> Result<SchemaAnswer> {
        let version = self.version(subject, version, deleted)?;
        self.shown(SchemaAnswer::of_subject(subject, &version), subject.context(), show)
    }

    /// GET `/subjects/{subject}/metadata`: the newest version whose metadata has these properties.
    ///
    /// # Errors
    /// 40401, 40402.
    pub fn schema_with_metadata(
        &self,
        subject: &Subject,
        wanted: &[(String, String)],
        deleted: bool,
        show: &Show,
    ) -> Result<SchemaAnswer> {
        let which = Which::from_flags(deleted, false);
        let found = {
            let store = self.log.store();
            let mut versions = store.versions(subject, which).rev().peekable();
            if versions.peek().is_none() {
                return Err(Error::SubjectNotFound(subject.to_string()));
            }
            let has_all = |version: &&Version| {
                let metadata = version.content.metadata.as_deref();
                wanted
                    .iter()
                    .all(|(name, value)| metadata.and_then(|metadata| metadata.property(name)) == Some(value.as_str()))
            };
            versions.find(has_all).cloned().ok_or(Error::VersionNotFound(-1))?
        };
        self.shown(SchemaAnswer::of_subject(subject, &found), subject.context(), show)
    }

    /// GET `/schemas/ids/{id}`: in the context of `subject` when one is given, else in whichever has the id, the default
    /// one first.
    ///
    /// # Errors
    /// 40403.
    pub fn schema_by_id(
        &self,
        id: i32,
        subject: Option<&Subject>,
        fetch_max_id: bool,
        show: &Show,
    ) -> Result<SchemaAnswer> {
        let (answer, context) = {
            let store = self.log.store();
            let context = context_of_id(&store, id, subject).ok_or_else(|| Error::SchemaIdNotFound(id.to_string()))?;
            let (content, timestamp) =
                store.by_id(&context, id).ok_or_else(|| Error::SchemaIdNotFound(id.to_string()))?;
            let mut answer = SchemaAnswer { timestamp: Some(timestamp), ..SchemaAnswer::of_content(content.clone()) };
            if let Some(subject) = subject.map(|subject| Subject::parse_in(&context, subject.name())) {
                let mut versions = store.versions(&subject, Which::WithDeleted).rev();
                if let Some(version) = versions.find(|version| version.id == id) {
                    answer.subject = Some(subject.to_string());
                    answer.version = Some(version.version);
                    answer.timestamp = Some(version.timestamp);
                }
            }
            answer.deleted = Some(store.registrations(&context, id).all(|(_, version)| version.deleted));
            answer.max_id = fetch_max_id.then(|| store.id_max(&context));
            (answer, context)
        };
        self.shown(answer, &context, show)
    }

    /// GET `/schemas/guids/{guid}`.
    ///
    /// # Errors
    /// 40403.
    pub fn schema_by_guid(&self, guid: &str, show: &Show) -> Result<SchemaAnswer> {
        let found = {
            let store = self.log.store();
            let first = parse_guid(guid).and_then(|md5| store.ids_of_guid(&md5).into_iter().next());
            first.and_then(|(context, id)| {
                let (content, timestamp) = store.by_id(context, id)?;
                let deleted = store.registrations(context, id).all(|(_, version)| version.deleted);
                let answer = SchemaAnswer::of_content(content.clone());
                let answer = SchemaAnswer { timestamp: Some(timestamp), deleted: Some(deleted), ..answer };
                Some((context.to_owned(), answer))
            })
        };
        let (context, answer) = found.ok_or_else(|| Error::SchemaIdNotFound(guid.to_owned()))?;
        self.shown(answer, &context, show)
    }

    /// GET `/schemas/guids/{guid}/ids`.
    ///
    /// # Errors
    /// 40403.
    pub fn ids_of_guid(&self, guid: &str) -> Result<Json> {
        let store = self.log.store();
        let ids = parse_guid(guid).map(|md5| store.ids_of_guid(&md5)).unwrap_or_default();
        if ids.is_empty() {
            return Err(Error::SchemaIdNotFound(guid.to_owned()));
        }
        Ok(ids.into_iter().map(|(context, id)| json!({"context": context, "id": id})).collect())
    }

    /// GET `/schemas/ids/{id}/versions` and `/subjects`: where the schema is registered. `subject` says in which context the
    /// id is meant.
    ///
    /// # Errors
    /// 40403.
    pub fn registrations(&self, id: i32, subject: Option<&Subject>, which: Which) -> Result<Vec<(String, i32)>> {
        let store = self.log.store();
        let context = context_of_id(&store, id, subject).ok_or(Error::SchemaNotFound)?;
        let versions = store.registrations(&context, id);
        let kept = versions.filter(|(_, version)| which == Which::WithDeleted || !version.deleted);
        let mut found: Vec<(String, i32)> = kept.map(|(name, version)| (name.to_string(), version.version)).collect();
        found.sort();
        Ok(found)
    }

    /// A version that exists and, unless `deleted`, is not soft-deleted.
    pub(super) fn version(&self, subject: &Subject, version: VersionSpec, deleted: bool) -> Result<Version> {
        let which = Which::from_flags(deleted, false);
        let store = self.log.store();
        if store.versions(subject, which).next().is_none() {
            return Err(Error::SubjectNotFound(subject.to_string()));
        }
        let found = match version {
            VersionSpec::Latest => store.latest(subject),
            VersionSpec::Number(number) => store.version(subject, number).filter(|version| deleted || !version.deleted),
        };
        found.cloned().ok_or_else(|| Error::VersionNotFound(version.number()))
    }

    /// The answer with text, references and tags as asked for.
    pub(super) fn shown(&self, mut answer: SchemaAnswer, context: &str, show: &Show) -> Result<SchemaAnswer> {
        if show.qualified_references {
            let qualify = |reference: &Reference| Reference {
                subject: Subject::parse_in(context, &reference.subject).to_string(),
                ..reference.clone()
            };
            answer.qualified_references = Some(answer.content.references.iter().map(qualify).collect());
        }
        let format = show.format.as_deref().filter(|format| !format.is_empty());
        if format.is_none() && show.find_tags.is_empty() {
            return Ok(answer);
        }
        let parsed = self.parsed(context, &answer.content)?;
        if let Some(format) = format {
            let references = self.resolve_stored(context, &answer.content.references)?;
            answer.formatted = parsed.formatted(format, &references);
        }
        if !show.find_tags.is_empty() {
            let wanted =
                |tag: &SchemaTag| show.find_tags.iter().any(|wanted| wanted == "*" || tag.tags.contains(wanted));
            answer.schema_tags = Some(parsed.tags().into_iter().filter(wanted).collect());
        }
        Ok(answer)
    }
}

/// The context in which an id is meant.
fn context_of_id(store: &Store, id: i32, subject: Option<&Subject>) -> Option<String> {
    let has = |context: &&str| store.by_id(context, id).is_some();
    match subject.map(Subject::context).filter(|context| *context != DEFAULT_CONTEXT) {
        Some(context) => Some(context).filter(has).map(str::to_owned),
        // The usual question, which should not cost more than it must.
        None if subject.is_none() && has(&DEFAULT_CONTEXT) => Some(DEFAULT_CONTEXT.to_owned()),
        None => {
            let named = subject.filter(|subject| !subject.name().is_empty());
            let holds = |context: &str| {
                named.is_some_and(|subject| {
                    let qualified = Subject::parse_in(context, subject.name()).to_string();
                    store.registrations(context, id).any(|(at, _)| **at == *qualified)
                })
            };
            let contexts = || [DEFAULT_CONTEXT].into_iter().chain(store.contexts());
            // A context that knows the subject is meant more than one that merely has the id.
            let found = contexts().find(|context| has(context) && holds(context));
            found.or_else(|| contexts().find(has)).map(str::to_owned)
        }
    }
}

fn parse_guid(text: &str) -> Option<[u8; 16]> {
    Uuid::parse_str(text).ok().map(Uuid::into_bytes)
}
