//! Registration: a schema becomes a version of a subject.

use milena_schema::contract::{Metadata, RuleSet};
use milena_schema::{ParseOptions, ParsedSchema, SchemaTag, TagEdit};

use super::entity::{SchemaAnswer, SchemaRequest};
use super::lookup::{Candidate, VERSION_PROPERTY, schema_type};
use super::{Error, Result, Service};
use crate::settings_of_scope::{Config, Mode};
use crate::storage::{Content, Key, Record, SchemaValue, TENANT, Value, Version, Which, base64_md5};
use crate::subject::Subject;

/// Query parameters of a registration.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegisterOptions {
    /// Bring the schema into normal form.
    pub normalize: bool,
    /// Skip the compatibility check.
    pub force: bool,
}

impl Service {
    /// The answer to a registration that changes nothing: the schema is a version of the subject already. Every instance
    /// can tell, whatever the mode.
    ///
    /// # Errors
    /// 42208 for an impossible subject, 42201 for what is no schema.
    pub fn known(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        options: RegisterOptions,
    ) -> Result<Option<SchemaAnswer>> {
        if !subject.is_valid() {
            return Err(Error::InvalidSubject(subject.to_string()));
        }
        if request.schema.as_deref().is_none_or(|text| text.trim().is_empty()) || edits_tags(request) {
            return Ok(None);
        }
        let mode = self.mode_in_scope(subject);
        if mode == Mode::Import && request.id.is_none_or(|id| id < 0) {
            return Ok(None);
        }
        let candidate = match self.candidate(subject, request, self.reading_stored(subject, options.normalize)) {
            Ok(candidate) => candidate,
            // The leader may know references that this instance has not read yet, and IMPORT takes any text.
            Err(_) if mode == Mode::Import || mode == Mode::Forward || refers(request) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(found) = self.find(subject, &candidate, request, Which::Undeleted)? else { return Ok(None) };
        let as_asked = |given: Option<i32>, is: i32| given.is_none_or(|given| given <= 0 || given == is);
        let same = as_asked(request.id, found.id) && as_asked(request.version, found.version);
        Ok(same.then(|| SchemaAnswer::of_version(&found)))
    }

    /// POST `/subjects/{subject}/versions` on the leader.
    ///
    /// # Errors
    /// 40901 incompatible, 42201 no schema, 42205 not permitted, 42208 impossible subject, 42210 bad rules, 500xx.
    pub async fn register(
        &self,
        subject: &Subject,
        request: SchemaRequest,
        options: RegisterOptions,
    ) -> Result<SchemaAnswer> {
        let _writes = self.begin().await?;
        let mode = self.mode_in_scope(subject);
        let is_plain = mode == Mode::Readwrite && request.id.is_none_or(|id| id < 0) && subject.is_valid();
        // A plain registration looks for itself whether the schema is known, and reading one can be much work.
        if !is_plain && let Some(known) = self.known(subject, &request, options)? {
            return Ok(known);
        }
        let imports = self.check_mode_for(subject, mode, request.id)?;
        let drafted = if imports {
            self.imported(subject, request.clone())
        } else {
            self.drafted(subject, request.clone(), options)
        };
        let draft = match drafted {
            Err(error @ Error::InvalidSchema(_)) => {
                // What new schemas may not have, a known one may.
                return self.known(subject, &request, options)?.ok_or(error);
            }
            other => other?,
        };
        match draft {
            Draft::Known(version) => Ok(SchemaAnswer::of_version(&version)),
            Draft::New(new) => self.store_version(subject, *new, imports).await,
        }
    }

    /// Whether the client decides about ids.
    fn check_mode_for(&self, subject: &Subject, mode: Mode, id: Option<i32>) -> Result<bool> {
        let refuse = |what: &str| {
            Err(Error::NotPermitted(format!("Subject {} in context {} is {what}", subject.name(), subject.context())))
        };
        match (mode, id.is_some_and(|id| id >= 0)) {
            (Mode::Readonly | Mode::ReadonlyOverride, _) => refuse("in read-only mode"),
            (Mode::Import | Mode::Forward, true) => Ok(true),
            (Mode::Readwrite, false) => Ok(false),
            (_, true) => refuse("not in import mode"),
            (_, false) => refuse("not in read-write mode"),
        }
    }

    /// In IMPORT mode texts are taken as they are, even those that do not parse.
    fn imported(&self, subject: &Subject, request: SchemaRequest) -> Result<Draft> {
        let schema_type = schema_type(&request)?;
        let reading = super::lookup::Reading { normalize: false, options: ParseOptions::STORED };
        let (text, references) = match self.candidate(subject, &request, reading) {
            Ok(candidate) => (candidate.text, candidate.references),
            Err(_) => (request.schema.unwrap_or_default(), request.references.unwrap_or_default()),
        };
        let content = Content::new(schema_type, text, references, request.metadata, request.rule_set);
        let next = self.next_version(subject);
        let version = request.version.filter(|version| *version > 0).unwrap_or(next);
        if let Some(stored) = self.log.store().version(subject, version)
            && let Some(given) = request.id
            && stored.content.md5 == content.md5
            && stored.id != given
        {
            return Err(Error::IdMismatch { given, stored: stored.id });
        }
        Ok(Draft::New(Box::new(NewVersion { content, version, id: request.id })))
    }

    fn drafted(&self, subject: &Subject, mut request: SchemaRequest, options: RegisterOptions) -> Result<Draft> {
        let config = self.config_in_scope(subject);
        let previous = self.log.store().latest(subject).cloned();
        if request.schema.as_deref().is_none_or(|text| text.trim().is_empty()) {
            let previous = previous.as_ref().ok_or_else(|| Error::invalid("Empty schema"))?;
            request.schema = Some(previous.content.schema.to_string());
            request.schema_type = Some(previous.content.schema_type.name().to_owned());
            request.references = Some(previous.content.references.to_vec());
        }
        if edits_tags(&request) {
            self.edit_tags(subject, &mut request, previous.as_ref())?;
        }
        let candidate = self.candidate(subject, &request, self.reading(subject, options.normalize))?;
        let next = self.next_version(subject);
        let (metadata, rule_set) = contract(&config, &request, previous.as_ref(), next);
        if config.validate_rules.unwrap_or(true)
            && let Some(rules) = &rule_set
        {
            rules.validate().map_err(|error| Error::InvalidRuleSet(error.to_string()))?;
        }
        let complete = SchemaRequest { metadata, rule_set, ..request };
        if let Some(found) = self.find(subject, &candidate, &complete, Which::Undeleted)? {
            return Ok(Draft::Known(found));
        }
        if !options.force {
            self.check_compatibility(subject, &config, &candidate, complete.metadata.as_ref())?;
        }
        if complete.version.is_some_and(|version| version > 0 && version != next) {
            return Err(Error::invalid("Version is not one more than previous version"));
        }
        let Candidate { schema_type, text, references, .. } = candidate;
        let content = Content::new(schema_type, text, references, complete.metadata, complete.rule_set);
        Ok(Draft::New(Box::new(NewVersion { content, version: next, id: None })))
    }

    /// Rewrites the request's text with the tags it adds, removes or carries over.
    fn edit_tags(&self, subject: &Subject, request: &mut SchemaRequest, previous: Option<&Version>) -> Result<()> {
        let mut add = request.schema_tags_to_add.take().unwrap_or_default();
        let remove = request.schema_tags_to_remove.take().unwrap_or_default();
        let schema_type = schema_type(request)?;
        let references = request.references.clone().unwrap_or_default();
        let (_, resolved) = self.resolve_new(subject.context(), &references)?;
        let text = request.schema.take().unwrap_or_default();
        let parsed =
            ParsedSchema::parse(schema_type, &text, &resolved, &ParseOptions::STORED).map_err(Error::invalid)?;
        if request.propagate_schema_tags == Some(true)
            && let Some(previous) = previous
        {
            let carried = self.parsed(subject.context(), &previous.content)?.tags();
            add.extend(carried.into_iter().filter(|tag| applies(&parsed, tag)));
        }
        let edited = parsed.with_tags(&TagEdit { add: &add, remove: &remove }).map_err(Error::invalid)?;
        request.schema = Some(edited);
        request.propagate_schema_tags = None;
        Ok(())
    }

    /// One more than the highest that was ever used.
    pub(super) fn next_version(&self, subject: &Subject) -> i32 {
        let store = self.log.store();
        let highest = store.versions(subject, Which::WithDeleted).next_back().map_or(0, |version| version.version);
        highest.saturating_add(1)
    }

    async fn store_version(&self, subject: &Subject, new: NewVersion, imports: bool) -> Result<SchemaAnswer> {
        let (records, version) = {
            let store = self.log.store();
            let context = subject.context();
            let reused = store.id_of(context, &new.content.md5).filter(|_| new.id.is_none());
            let id = reused.or(new.id).unwrap_or_else(|| store.id_max(context).saturating_add(1));
            if let Some((taken, _)) = store.by_id(context, id)
                && taken.md5 != new.content.md5
            {
                return Err(Error::NotPermitted(format!(
                    "Overwrite new schema with id {id} in context {context} is not permitted."
                )));
            }
            let mut records = Vec::new();
            if !store.is_announced(context) {
                let key = Key::Context { tenant: TENANT.to_owned(), context: context.to_owned() };
                records.push(Record::new(key, Value::Context));
            }
            records.push(Record::schema(value(subject, new.version, id, &new.content)));
            // The deleted versions that this one replaces are not needed any more.
            let replaced = store
                .versions(subject, Which::OnlyDeleted)
                .filter(|old| !imports && old.id == id && old.version != new.version)
                .filter(|old| store.referrers(subject, old.version, Which::WithDeleted).is_empty());
            let name = subject.to_string();
            records.extend(
                replaced.map(|old| Record::tombstone(Key::Schema { subject: name.clone(), version: old.version })),
            );
            (records, new.version)
        };
        self.write(records).await?;
        let store = self.log.store();
        let stored = store.version(subject, version);
        let lost = || Error::Store(format!("version {version} of {subject} was written and is not there"));
        stored.map(SchemaAnswer::of_version).ok_or_else(lost)
    }
}

enum Draft {
    Known(Version),
    New(Box<NewVersion>),
}

struct NewVersion {
    content: Content,
    version: i32,
    /// Given by the client.
    id: Option<i32>,
}

/// The record of a version.
pub(super) fn value(subject: &Subject, version: i32, id: i32, content: &Content) -> SchemaValue {
    SchemaValue {
        subject: subject.to_string(),
        version,
        id,
        md5: Some(base64_md5(&content.md5)),
        schema_type: content.schema_type,
        references: content.references.to_vec(),
        metadata: content.metadata.as_deref().cloned(),
        rule_set: content.rule_set.as_deref().cloned(),
        schema: content.schema.to_string(),
        deleted: false,
    }
}

fn edits_tags(request: &SchemaRequest) -> bool {
    let some = |tags: &Option<Vec<SchemaTag>>| tags.as_ref().is_some_and(|tags| !tags.is_empty());
    some(&request.schema_tags_to_add)
        || some(&request.schema_tags_to_remove)
        || request.propagate_schema_tags == Some(true)
}

fn refers(request: &SchemaRequest) -> bool {
    request.references.as_ref().is_some_and(|references| !references.is_empty())
}

fn applies(parsed: &ParsedSchema, tag: &SchemaTag) -> bool {
    parsed.with_tags(&TagEdit { add: std::slice::from_ref(tag), remove: &[] }).is_ok()
}

/// Metadata and rules: those of the request or else of the previous version, between the configuration's defaults and
/// overrides.
pub(super) fn contract(
    config: &Config,
    request: &SchemaRequest,
    previous: Option<&Version>,
    next_version: i32,
) -> (Option<Metadata>, Option<RuleSet>) {
    let before = previous.map(|version| &version.content);
    let metadata = request.metadata.as_ref().or_else(|| before.and_then(|content| content.metadata.as_deref()));
    let metadata = Metadata::merge(config.default_metadata.as_ref(), metadata);
    let mut metadata = Metadata::merge(metadata.as_ref(), config.override_metadata.as_ref());
    if let Some(properties) = metadata.as_mut().and_then(|metadata| metadata.properties.as_mut())
        && let Some(version) = properties.get_mut(VERSION_PROPERTY)
    {
        *version = next_version.to_string();
    }
    let rules = request.rule_set.as_ref().or_else(|| before.and_then(|content| content.rule_set.as_deref()));
    let rules = RuleSet::merge(config.default_rule_set.as_ref(), rules);
    (metadata, RuleSet::merge(rules.as_ref(), config.override_rule_set.as_ref()))
}
