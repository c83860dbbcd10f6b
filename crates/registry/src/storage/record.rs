//! The records of `_schemas`: keys and values are JSON objects, and the bytes of a key are its identity.
//!
//! Compaction goes by those bytes, so members keep the order that the topic's other writers use. What cannot be read is
//! told as an error to whoever reads the topic, and passed over there.

use milena_schema::contract::{Metadata, RuleSet};
use milena_schema::{Reference, SchemaType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::settings_of_scope::{Config, Mode};

/// The only tenant there is.
pub const TENANT: &str = "default";

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A version of a subject.
    Schema {
        /// Qualified name.
        subject: String,
        /// From 1.
        version: i32,
    },
    /// Configuration of a subject or context, or the global one.
    Config {
        /// Qualified name; `None`: global.
        subject: Option<String>,
    },
    /// Mode of a subject or context, or the global one.
    Mode {
        /// Qualified name; `None`: global.
        subject: Option<String>,
    },
    /// All versions of a subject up to one were soft-deleted.
    DeleteSubject {
        /// Qualified name.
        subject: String,
    },
    /// Soft-deleted versions of a subject are forgotten.
    ClearSubject {
        /// Qualified name.
        subject: String,
    },
    /// Nothing: shows where the log ends.
    Noop,
    /// A context exists.
    Context {
        /// See [`TENANT`].
        tenant: String,
        /// Beginning with a dot.
        context: String,
    },
    /// A link between a resource and a subject.
    Association(AssociationKey),
    /// The highest id ever handed out in a context; written when the schema that held it is deleted for good.
    IdLimit {
        /// Beginning with a dot.
        context: String,
    },
}

/// What identifies an association.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssociationKey {
    /// See [`TENANT`].
    pub tenant: String,
    /// The resource: a topic.
    pub resource_name: String,
    /// Where the resource lives: a cluster.
    pub resource_namespace: String,
    /// `topic`.
    pub resource_type: String,
    /// `key` or `value`.
    pub association_type: String,
    /// Qualified name.
    pub subject: String,
}

/// A version of a subject as it is stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaValue {
    /// Qualified name.
    #[serde(deserialize_with = "null_is_default")]
    pub subject: String,
    /// From 1.
    pub version: i32,
    /// Unique in the context.
    pub id: i32,
    /// Base64 of the MD5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Absent in old records: Avro.
    #[serde(deserialize_with = "null_is_default")]
    pub schema_type: SchemaType,
    /// Absent: none.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub references: Vec<Reference>,
    /// Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// Canonical text.
    pub schema: String,
    /// Soft-deleted.
    #[serde(deserialize_with = "null_is_default")]
    pub deleted: bool,
}

fn null_is_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// An association as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssociationValue {
    /// Identity.
    pub guid: String,
    /// See [`TENANT`].
    pub tenant: String,
    /// As in the key.
    pub resource_name: String,
    /// As in the key.
    pub resource_namespace: String,
    /// The resource's own id.
    pub resource_id: String,
    /// As in the key.
    pub resource_type: String,
    /// As in the key.
    pub association_type: String,
    /// Qualified name.
    pub subject: String,
    /// `STRONG` or `WEAK`.
    pub lifecycle: String,
    /// Whether the subject's schema may not change any more.
    pub frozen: bool,
    /// Milliseconds since 1970.
    pub create_ts: i64,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// For [`Key::Schema`].
    Schema(Box<SchemaValue>),
    /// For [`Key::Config`].
    Config(Box<Config>),
    /// For [`Key::Mode`].
    Mode(Mode),
    /// For [`Key::DeleteSubject`]: the last version that is deleted.
    DeleteSubject(i32),
    /// For [`Key::ClearSubject`].
    ClearSubject,
    /// For [`Key::Context`].
    Context,
    /// For [`Key::Association`].
    Association(Box<AssociationValue>),
    /// For [`Key::IdLimit`].
    IdLimit(i32),
}

/// Key and value; no value is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What it is about.
    pub key: Key,
    /// What it says.
    pub value: Option<Value>,
}

/// Why a record is passed over.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The key is missing or not JSON of the known form.
    #[error("key: {0}")]
    Key(String),
    /// A kind of record that another version writes.
    #[error("unknown keytype {0}")]
    UnknownKind(String),
    /// The value does not fit the key.
    #[error("value: {0}")]
    Value(#[from] serde_json::Error),
}

impl Record {
    /// A record with a value.
    pub fn new(key: Key, value: Value) -> Record {
        Record { key, value: Some(value) }
    }

    /// A record that deletes.
    pub fn tombstone(key: Key) -> Record {
        Record { key, value: None }
    }

    /// A version of a subject.
    pub fn schema(value: SchemaValue) -> Record {
        Record::new(
            Key::Schema { subject: value.subject.clone(), version: value.version },
            Value::Schema(Box::new(value)),
        )
    }

    /// Reads a record of the topic.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Record, RecordError> {
        let key = Key::decode(key.ok_or_else(|| RecordError::Key("missing".to_owned()))?)?;
        let value = match value {
            Some(bytes) if bytes != b"null" => Value::decode(&key, bytes)?,
            _ => None,
        };
        Ok(Record { key, value })
    }

    /// The bytes of the value.
    ///
    /// # Errors
    /// Never in practice: the types are plain data.
    pub fn encode_value(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let Some(value) = &self.value else { return Ok(None) };
        let bytes = match (value, &self.key) {
            (Value::Schema(schema), _) => serde_json::to_vec(schema)?,
            (Value::Config(config), Key::Config { subject }) => {
                serde_json::to_vec(&WithSubject { subject, rest: config })?
            }
            (Value::Config(config), _) => serde_json::to_vec(config)?,
            (Value::Mode(mode), Key::Mode { subject }) => {
                serde_json::to_vec(&WithSubject { subject, rest: &ModeValue { mode: *mode } })?
            }
            (Value::Mode(mode), _) => serde_json::to_vec(&ModeValue { mode: *mode })?,
            (Value::DeleteSubject(version), Key::DeleteSubject { subject }) => {
                format!("{{\"subject\":{},\"version\":{version}}}", json_text(subject)).into_bytes()
            }
            (Value::ClearSubject, Key::ClearSubject { subject }) => {
                format!("{{\"subject\":{}}}", json_text(subject)).into_bytes()
            }
            (Value::Context, Key::Context { tenant, context }) => {
                format!("{{\"tenant\":{},\"context\":{}}}", json_text(tenant), json_text(context)).into_bytes()
            }
            (Value::Association(association), _) => serde_json::to_vec(association)?,
            (Value::IdLimit(id), _) => format!("{{\"id\":{id}}}").into_bytes(),
            (Value::DeleteSubject(_) | Value::ClearSubject | Value::Context, _) => Vec::from("{}"),
        };
        Ok(Some(bytes))
    }
}

#[derive(Serialize)]
struct WithSubject<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: &'a Option<String>,
    #[serde(flatten)]
    rest: &'a T,
}

#[derive(Serialize, Deserialize)]
struct ModeValue {
    mode: Mode,
}

fn json_text(text: &str) -> String {
    Json::from(text).to_string()
}

impl Key {
    /// The exact bytes.
    pub fn encode(&self) -> Vec<u8> {
        let scoped = |kind: &str, subject: &Option<String>| match subject {
            Some(subject) => format!("{{\"keytype\":\"{kind}\",\"subject\":{},\"magic\":0}}", json_text(subject)),
            None => format!("{{\"keytype\":\"{kind}\",\"magic\":0}}"),
        };
        let named = |kind: &str, subject: &String| scoped(kind, &Some(subject.clone()));
        match self {
            Key::Schema { subject, version } => {
                let subject = json_text(subject);
                format!("{{\"keytype\":\"SCHEMA\",\"subject\":{subject},\"version\":{version},\"magic\":1}}")
            }
            Key::Config { subject } => scoped("CONFIG", subject),
            Key::Mode { subject } => scoped("MODE", subject),
            Key::DeleteSubject { subject } => named("DELETE_SUBJECT", subject),
            Key::ClearSubject { subject } => named("CLEAR_SUBJECT", subject),
            Key::Noop => "{\"keytype\":\"NOOP\",\"magic\":0}".to_owned(),
            Key::Context { tenant, context } => {
                let (tenant, context) = (json_text(tenant), json_text(context));
                format!("{{\"keytype\":\"CONTEXT\",\"tenant\":{tenant},\"context\":{context},\"magic\":0}}")
            }
            Key::Association(key) => format!(
                "{{\"keytype\":\"ASSOC\",\"tenant\":{},\"resourceName\":{},\"resourceNamespace\":{},\"resourceType\":{},\"associationType\":{},\"subject\":{},\"magic\":0}}",
                json_text(&key.tenant),
                json_text(&key.resource_name),
                json_text(&key.resource_namespace),
                json_text(&key.resource_type),
                json_text(&key.association_type),
                json_text(&key.subject)
            ),
            Key::IdLimit { context } => {
                format!("{{\"keytype\":\"ID_LIMIT\",\"context\":{},\"magic\":0}}", json_text(context))
            }
        }
        .into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Key, RecordError> {
        let members: Map<String, Json> =
            serde_json::from_slice(bytes).map_err(|error| RecordError::Key(error.to_string()))?;
        let optional = |name: &str| members.get(name).and_then(Json::as_str).map(str::to_owned);
        let text = |name: &str| optional(name).ok_or_else(|| RecordError::Key(format!("{name} is missing")));
        Ok(match text("keytype")?.as_str() {
            "SCHEMA" => {
                let version = members.get("version").and_then(Json::as_i64).and_then(|v| i32::try_from(v).ok());
                let version = version.ok_or_else(|| RecordError::Key("version is missing".to_owned()))?;
                Key::Schema { subject: text("subject")?, version }
            }
            "CONFIG" => Key::Config { subject: optional("subject") },
            "MODE" => Key::Mode { subject: optional("subject") },
            "DELETE_SUBJECT" => Key::DeleteSubject { subject: text("subject")? },
            "CLEAR_SUBJECT" => Key::ClearSubject { subject: text("subject")? },
            "NOOP" => Key::Noop,
            "CONTEXT" => Key::Context {
                tenant: optional("tenant").unwrap_or_else(|| TENANT.to_owned()),
                context: text("context")?,
            },
            "ASSOC" => {
                Key::Association(serde_json::from_slice(bytes).map_err(|error| RecordError::Key(error.to_string()))?)
            }
            "ID_LIMIT" => Key::IdLimit { context: text("context")? },
            other => return Err(RecordError::UnknownKind(other.to_owned())),
        })
    }
}

#[derive(Deserialize)]
struct VersionValue {
    version: i32,
}

#[derive(Deserialize)]
struct IdValue {
    id: i32,
}

impl Value {
    fn decode(key: &Key, bytes: &[u8]) -> Result<Option<Value>, RecordError> {
        Ok(Some(match key {
            Key::Schema { subject, version } => {
                let mut value: Box<SchemaValue> = serde_json::from_slice(bytes)?;
                // The key is what counts; values of old registries lack the subject.
                value.subject.clone_from(subject);
                value.version = *version;
                Value::Schema(value)
            }
            Key::Config { .. } => Value::Config(serde_json::from_slice(bytes)?),
            Key::Mode { .. } => Value::Mode(serde_json::from_slice::<ModeValue>(bytes)?.mode),
            Key::DeleteSubject { .. } => Value::DeleteSubject(serde_json::from_slice::<VersionValue>(bytes)?.version),
            Key::ClearSubject { .. } => Value::ClearSubject,
            Key::Noop => return Ok(None),
            Key::Context { .. } => Value::Context,
            Key::Association(_) => Value::Association(serde_json::from_slice(bytes)?),
            Key::IdLimit { .. } => Value::IdLimit(serde_json::from_slice::<IdValue>(bytes)?.id),
        }))
    }
}

#[cfg(test)]
mod tests;
