//! From a request to a schema, and from a schema to the version that holds it.

use milena_schema::contract::Metadata;
use milena_schema::{ParseOptions, ParsedSchema, Reference, SchemaType};

use super::entity::{SchemaAnswer, SchemaRequest};
use super::{Error, Result, Service, Show, at_leisure};
use crate::storage::{Content, Store, Version, Which};
use crate::subject::Subject;

/// A metadata property that follows the version by itself.
pub(super) const VERSION_PROPERTY: &str = "confluent:version";

/// Reading a longer text is worth a thread of its own.
const LARGE_BYTES: usize = 16 * 1024;

/// A schema that is asked about: parsed, in the form in which it would be stored.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub schema_type: SchemaType,
    pub references: Vec<Reference>,
    pub parsed: ParsedSchema,
    /// Canonical, or normal when that was asked for.
    pub text: String,
    pub normalize: bool,
}

/// How a request is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub normalize: bool,
    pub options: ParseOptions,
}

impl Service {
    /// POST `/subjects/{subject}`: the newest version that holds the schema.
    ///
    /// # Errors
    /// 40401 unknown subject, 40403 not registered there, 42201 no schema.
    pub fn look_up(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
        deleted: bool,
        show: &Show,
    ) -> Result<SchemaAnswer> {
        let which = if deleted { Which::WithDeleted } else { Which::Undeleted };
        if self.log.store().versions(subject, which).next().is_none() {
            return Err(Error::SubjectNotFound(subject.to_string()));
        }
        let candidate = self.candidate(subject, request, self.reading_stored(subject, normalize))?;
        let found = self.find(subject, &candidate, request, which)?.ok_or(Error::SchemaNotFound)?;
        self.shown(SchemaAnswer::of_subject(subject, &found), subject.context(), show)
    }

    /// How a new schema of `subject` is read, by its configuration.
    pub(super) fn reading(&self, subject: &Subject, normalize: bool) -> Reading {
        let config = self.config_in_scope(subject);
        let strict = config.validate_new_schemas.unwrap_or(self.options.validate_new_schemas);
        let validate_fields = config.validate_fields.unwrap_or(false);
        Reading {
            normalize: normalize || config.normalize.unwrap_or(false),
            options: ParseOptions { strict, validate_fields },
        }
    }

    /// How a schema is read that may be there already: accepted before, it need not pass what is asked of new ones.
    pub(super) fn reading_stored(&self, subject: &Subject, normalize: bool) -> Reading {
        Reading { options: ParseOptions::STORED, ..self.reading(subject, normalize) }
    }

    /// Parses the schema of a request.
    ///
    /// # Errors
    /// 42201 with what is wrong.
    pub(super) fn candidate(&self, subject: &Subject, request: &SchemaRequest, reading: Reading) -> Result<Candidate> {
        let text = request.schema.as_deref().filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Error::invalid("Empty schema"))?;
        let schema_type = schema_type(request)?;
        let wanted = request.references.as_deref().unwrap_or_default();
        let (mut references, resolved) = self.resolve_new(subject.context(), wanted)?;
        let parse = || ParsedSchema::parse(schema_type, text, &resolved, &reading.options);
        let parsed = if text.len() > LARGE_BYTES { at_leisure(parse) } else { parse() };
        let parsed = parsed.map_err(|error| {
            let names: Vec<&str> = references.iter().map(|reference| reference.name.as_str()).collect();
            Error::InvalidSchema(format!(
                "Invalid schema of type {schema_type} with refs [{}], details: {error}",
                names.join(", ")
            ))
        })?;
        let text = if reading.normalize { parsed.normalized() } else { parsed.canonical().to_owned() };
        if reading.normalize {
            references.sort();
            references.dedup();
        }
        Ok(Candidate { schema_type, references, parsed, text, normalize: reading.normalize })
    }

    /// The newest version of `subject` that holds the candidate. Without metadata and rules in the request, those of the
    /// version do not matter.
    pub(super) fn find(
        &self,
        subject: &Subject,
        candidate: &Candidate,
        request: &SchemaRequest,
        which: Which,
    ) -> Result<Option<Version>> {
        let same_texts = {
            let store = self.log.store();
            if let Some(found) = same_content(&store, subject, candidate, request, which) {
                return Ok(Some(found));
            }
            store
                .versions(subject, which)
                .rev()
                .filter(|version| fits(&version.content, subject, candidate, request))
                .cloned()
                .collect::<Vec<_>>()
        };
        if let Some(found) = same_texts.iter().find(|version| *version.content.schema == *candidate.text) {
            return Ok(Some(found.clone()));
        }
        if !candidate.normalize {
            return Ok(None);
        }
        // Registered before normalizing was switched on.
        let normal = candidate.parsed.normalized();
        for version in same_texts {
            if self.parsed(subject.context(), &version.content)?.normalized() == normal {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }
}

/// The version with exactly the content of the request.
fn same_content(
    store: &Store,
    subject: &Subject,
    candidate: &Candidate,
    request: &SchemaRequest,
    which: Which,
) -> Option<Version> {
    let content = Content::new(
        candidate.schema_type,
        candidate.text.clone(),
        candidate.references.clone(),
        request.metadata.clone(),
        request.rule_set.clone(),
    );
    let id = store.id_of(subject.context(), &content.md5)?;
    store.versions(subject, which).rev().find(|version| version.id == id).cloned()
}

/// Whether everything but the text is what the request asks for.
fn fits(content: &Content, subject: &Subject, candidate: &Candidate, request: &SchemaRequest) -> bool {
    let qualified = |references: &[Reference]| {
        let mut all: Vec<_> = references
            .iter()
            .map(|reference| {
                let to = Subject::parse_in(subject.context(), &reference.subject).to_string();
                (reference.name.clone(), to, reference.version)
            })
            .collect();
        if candidate.normalize {
            all.sort();
        }
        all
    };
    let unversioned = |metadata: Option<&Metadata>| {
        let mut metadata = metadata.cloned().unwrap_or_default();
        if let Some(properties) = metadata.properties.as_mut() {
            properties.remove(VERSION_PROPERTY);
        }
        metadata.properties = metadata.properties.filter(|properties| !properties.is_empty());
        metadata
    };
    let metadata_fits = request
        .metadata
        .as_ref()
        .is_none_or(|wanted| unversioned(Some(wanted)) == unversioned(content.metadata.as_deref()));
    let rules_fit = request.rule_set.is_none() || request.rule_set.as_ref() == content.rule_set.as_deref();
    content.schema_type == candidate.schema_type
        && metadata_fits
        && rules_fit
        && qualified(&content.references) == qualified(&candidate.references)
}

pub(super) fn schema_type(request: &SchemaRequest) -> Result<SchemaType> {
    match request.schema_type.as_deref().filter(|name| !name.is_empty()) {
        None => Ok(SchemaType::Avro),
        Some(name) => name.parse().map_err(Error::invalid),
    }
}
