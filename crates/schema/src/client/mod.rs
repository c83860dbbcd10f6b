//! A client of a schema registry, with a cache.
//!
//! It blocks: `ureq` is a dependency already, and nearly every call is answered from the cache, for ids and GUIDs never
//! change their meaning. From async code, ask [`RegistryClient::cached`] first and call the rest in
//! `tokio::task::spawn_blocking`. Cloning is cheap, clones share the cache.

mod config;
mod token_issuer;
mod transport;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use config::{Authorization, ClientConfig, ConfigError};
pub use token_issuer::TokenIssuer;
use transport::{Method, Transport};

use crate::contract::{Metadata, RuleSet};
use crate::wire::SchemaId;
use crate::{ParseOptions, ParsedSchema, Reference, ResolvedReference, SchemaError, SchemaType};

/// References to references beyond this depth are taken for a circle.
const REFERENCE_DEPTH_MAX: usize = 64;

/// Why a registry gave no answer, or not the one that was asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The registry refused the request.
    #[error("{message}; error code: {code}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The registry's code, as 40403; the status when it gave none.
        code: i32,
        /// What the registry said.
        message: String,
    },
    /// No address answered.
    #[error("schema registry is not reachable: {0}")]
    Unreachable(String),
    /// The answer cannot be understood.
    #[error("unexpected answer of the schema registry: {0}")]
    Answer(String),
    /// A schema of the registry does not parse.
    #[error("invalid schema: {0}")]
    Schema(#[from] SchemaError),
    /// References that lead back to themselves.
    #[error("circular references under {0}")]
    CircularReferences(String),
}

impl ClientError {
    /// Whether trying again may help.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            ClientError::Unreachable(_) => true,
            _ => false,
        }
    }

    /// The registry's code, as 40401.
    pub fn code(&self) -> Option<i32> {
        match self {
            ClientError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// A schema as it is sent to a registry and answered by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaText {
    /// The text.
    pub schema: String,
    /// Its format.
    pub schema_type: SchemaType,
    /// What it refers to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// A schema of a registry with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Registered {
    /// Text, format and references.
    #[serde(flatten)]
    pub text: SchemaText,
    /// Its subject, where the question was about one.
    pub subject: Option<String>,
    /// Its version, where the question was about one.
    pub version: Option<i32>,
    /// Its id; a registry does not repeat it in answers by id.
    pub id: Option<i32>,
    /// Its GUID, of registries that have them.
    #[serde(deserialize_with = "guid")]
    pub guid: Option<Uuid>,
    /// Metadata of a data contract.
    pub metadata: Option<Metadata>,
    /// Rules of a data contract.
    #[serde(rename = "ruleSet")]
    pub rule_set: Option<RuleSet>,
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct RegistryClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    capacity: usize,
    cache: Mutex<Cache>,
}

/// What never changes: schemas by id and GUID, ids by text.
#[derive(Debug, Default)]
struct Cache {
    /// The subject is part of the key, for ids count per context.
    parsed: HashMap<(Option<String>, SchemaId), Arc<ParsedSchema>>,
    registered: HashMap<(String, SchemaText, bool), Arc<Registered>>,
    found: HashMap<(String, SchemaText, bool), Arc<Registered>>,
}

impl RegistryClient {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// A file of certificate authorities that cannot be read.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let capacity = config.cache_capacity.max(1);
        let transport = Transport::new(config)?;
        Ok(RegistryClient(Arc::new(Inner { transport, capacity, cache: Mutex::default() })))
    }

    /// Registers a schema, or finds it registered already. Cached.
    ///
    /// # Errors
    /// An incompatible (409) or invalid (42201) schema; a registry that does not answer.
    pub fn register(
        &self,
        subject: &str,
        schema: &SchemaText,
        normalize: bool,
    ) -> Result<Arc<Registered>, ClientError> {
        let key = (subject.to_owned(), schema.clone(), normalize);
        if let Some(known) = self.cache(|cache| cache.registered.get(&key).cloned()) {
            return Ok(known);
        }
        let path = format!("/subjects/{}/versions?normalize={normalize}", segment(subject));
        let registered: Arc<Registered> = Arc::new(self.call(Method::Post, &path, Some(&json!(schema)))?);
        self.cache(|cache| remember(&mut cache.registered, key, &registered, self.0.capacity));
        Ok(registered)
    }

    /// Finds a registered schema under its subject. Cached.
    ///
    /// # Errors
    /// 40401 without the subject, 40403 without the schema.
    pub fn lookup(&self, subject: &str, schema: &SchemaText, normalize: bool) -> Result<Arc<Registered>, ClientError> {
        let key = (subject.to_owned(), schema.clone(), normalize);
        if let Some(known) = self.cache(|cache| cache.found.get(&key).cloned()) {
            return Ok(known);
        }
        let path = format!("/subjects/{}?normalize={normalize}", segment(subject));
        let found: Arc<Registered> = Arc::new(self.call(Method::Post, &path, Some(&json!(schema)))?);
        self.cache(|cache| remember(&mut cache.found, key, &found, self.0.capacity));
        Ok(found)
    }

    /// The schema with an id or GUID. `subject` tells which context to look in.
    ///
    /// # Errors
    /// 40403 without the schema.
    pub fn schema(&self, id: SchemaId, subject: Option<&str>) -> Result<Registered, ClientError> {
        let path = match (id, subject) {
            (SchemaId::Id(id), None) => format!("/schemas/ids/{id}"),
            (SchemaId::Id(id), Some(subject)) => format!("/schemas/ids/{id}?subject={}", segment(subject)),
            (SchemaId::Guid(guid), _) => format!("/schemas/guids/{guid}"),
        };
        self.call(Method::Get, &path, None)
    }

    /// A parsed schema that was asked for before; never blocks on the network.
    pub fn cached(&self, id: SchemaId, subject: Option<&str>) -> Option<Arc<ParsedSchema>> {
        self.cache(|cache| cache.parsed.get(&(subject.map(str::to_owned), id)).cloned())
    }

    /// The schema with an id or GUID, parsed with its references. Cached.
    ///
    /// # Errors
    /// 40403 without the schema; a schema that does not parse.
    pub fn parsed(&self, id: SchemaId, subject: Option<&str>) -> Result<Arc<ParsedSchema>, ClientError> {
        if let Some(known) = self.cached(id, subject) {
            return Ok(known);
        }
        let parsed = Arc::new(self.parse(&self.schema(id, subject)?.text, &ParseOptions::STORED)?);
        let key = (subject.map(str::to_owned), id);
        self.cache(|cache| remember(&mut cache.parsed, key, &parsed, self.0.capacity));
        Ok(parsed)
    }

    /// Parses a text whose references the registry has.
    ///
    /// # Errors
    /// A reference that is not there; a text that does not parse.
    pub fn parse(&self, schema: &SchemaText, options: &ParseOptions) -> Result<ParsedSchema, ClientError> {
        let references = self.resolve(&schema.references)?;
        Ok(ParsedSchema::parse(schema.schema_type, &schema.schema, &references, options)?)
    }

    /// The texts of references and of theirs, dependencies before dependents, each once.
    ///
    /// # Errors
    /// A reference that is not there, or a circle.
    pub fn resolve(&self, references: &[Reference]) -> Result<Vec<ResolvedReference>, ClientError> {
        let mut resolved = Vec::new();
        self.resolve_into(references, 0, &mut HashSet::new(), &mut resolved)?;
        Ok(resolved)
    }

    fn resolve_into(
        &self,
        references: &[Reference],
        depth: usize,
        seen: &mut HashSet<String>,
        resolved: &mut Vec<ResolvedReference>,
    ) -> Result<(), ClientError> {
        for reference in references {
            if depth == REFERENCE_DEPTH_MAX {
                return Err(ClientError::CircularReferences(reference.name.clone()));
            }
            if !seen.insert(reference.name.clone()) {
                continue;
            }
            let registered = self.version(&reference.subject, reference.version)?;
            self.resolve_into(&registered.text.references, depth + 1, seen, resolved)?;
            let (name, schema) = (reference.name.clone(), registered.text.schema);
            resolved.push(ResolvedReference { name, schema, direct: depth == 0 });
        }
        Ok(())
    }

    /// The newest version of a subject. Not cached.
    ///
    /// # Errors
    /// 40401 without the subject.
    pub fn latest(&self, subject: &str) -> Result<Registered, ClientError> {
        self.call(Method::Get, &format!("/subjects/{}/versions/latest", segment(subject)), None)
    }

    /// The subjects that have the schema with an id as one of their versions.
    ///
    /// # Errors
    /// 40403 without the schema.
    pub fn subjects_of(&self, id: i32) -> Result<Vec<String>, ClientError> {
        self.call(Method::Get, &format!("/schemas/ids/{id}/subjects"), None)
    }

    /// A version of a subject; −1 is the newest.
    ///
    /// # Errors
    /// 40401 without the subject, 40402 without the version.
    pub fn version(&self, subject: &str, version: i32) -> Result<Registered, ClientError> {
        if version == -1 {
            return self.latest(subject);
        }
        self.call(Method::Get, &format!("/subjects/{}/versions/{version}", segment(subject)), None)
    }

    /// The subjects that the registry associates with the keys or values of a topic; none where a registry knows no
    /// associations. `namespace` is the cluster of the topic, `-` any.
    ///
    /// # Errors
    /// A registry that does not answer.
    pub fn associated_subjects(&self, namespace: &str, topic: &str, is_key: bool) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Association {
            subject: String,
        }
        let (namespace, topic) = (segment(namespace), segment(topic));
        let side = if is_key { "key" } else { "value" };
        let path = format!("/associations/resources/{namespace}/{topic}?resourceType=topic&associationType={side}");
        match self.call::<Vec<Association>>(Method::Get, &path, None) {
            Ok(found) => Ok(found.into_iter().map(|association| association.subject).collect()),
            Err(ClientError::Refused { status: 404 | 405, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The versions of a subject.
    ///
    /// # Errors
    /// 40401 without the subject.
    pub fn versions(&self, subject: &str) -> Result<Vec<i32>, ClientError> {
        self.call(Method::Get, &format!("/subjects/{}/versions", segment(subject)), None)
    }

    /// All subjects.
    ///
    /// # Errors
    /// A registry that does not answer.
    pub fn subjects(&self) -> Result<Vec<String>, ClientError> {
        self.call(Method::Get, "/subjects", None)
    }

    /// What forbids to register `schema` under `subject`; empty when nothing does.
    ///
    /// # Errors
    /// 42201 for a schema that does not parse.
    pub fn incompatibilities(&self, subject: &str, schema: &SchemaText) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        let path = format!("/compatibility/subjects/{}/versions?verbose=true", segment(subject));
        let answer: Answer = self.call(Method::Post, &path, Some(&json!(schema)))?;
        Ok(match (answer.is_compatible, answer.messages) {
            (true, _) => Vec::new(),
            (false, messages) if messages.is_empty() => vec!["incompatible".to_owned()],
            (false, messages) => messages,
        })
    }

    /// The configuration of a subject, or of everything, with what it inherits.
    ///
    /// # Errors
    /// A registry that does not answer.
    pub fn config(&self, subject: Option<&str>) -> Result<Value, ClientError> {
        let path = match subject {
            Some(subject) => format!("/config/{}?defaultToGlobal=true", segment(subject)),
            None => "/config".to_owned(),
        };
        self.call(Method::Get, &path, None)
    }

    /// Changes members of the configuration, as `{"compatibility": "FULL"}`.
    ///
    /// # Errors
    /// 42203 for an unknown level.
    pub fn set_config(&self, subject: Option<&str>, config: &Value) -> Result<Value, ClientError> {
        let path = subject.map_or_else(|| "/config".to_owned(), |subject| format!("/config/{}", segment(subject)));
        self.call(Method::Put, &path, Some(config))
    }

    /// Deletes a subject, softly unless `permanent`; answers the deleted versions.
    ///
    /// # Errors
    /// 40401 without the subject, 40405 when it is to go for good but was not deleted softly first.
    pub fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<i32>, ClientError> {
        self.call(Method::Delete, &format!("/subjects/{}?permanent={permanent}", segment(subject)), None)
    }

    fn call<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        self.0.transport.call(method, path, body)
    }

    fn cache<T>(&self, access: impl FnOnce(&mut Cache) -> T) -> T {
        access(&mut self.0.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps at most `capacity` values; a full cache begins anew, for what is in use is soon back.
fn remember<K: Eq + Hash, V>(cache: &mut HashMap<K, Arc<V>>, key: K, value: &Arc<V>, capacity: usize) {
    if cache.len() >= capacity {
        cache.clear();
    }
    cache.insert(key, Arc::clone(value));
}

fn guid<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// Percent-encodes a segment of a path or the value of a query.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
