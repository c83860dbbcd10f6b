//! Keys and values: from JSON to bytes and back, in the embedded formats.

pub mod binary;
pub mod json;
pub mod raw;
pub mod schema;

use milena_schema::SchemaType;
use milena_schema::client::{RegistryClient, SchemaText};
use milena_schema::subject_name::SubjectNameStrategy;
use serde_json::Value;

use crate::error::Result;
use crate::state::Proxy;

/// How a key or value is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Base64 of the bytes.
    #[default]
    Binary,
    /// JSON as it is.
    Json,
    /// Text (v3 only).
    String,
    /// Avro with a schema of the registry.
    Avro,
    /// JSON with a schema of the registry.
    JsonSchema,
    /// Protobuf with a schema of the registry.
    Protobuf,
}

impl Format {
    /// The format of payloads with a schema of that type.
    pub fn of(schema_type: SchemaType) -> Format {
        match schema_type {
            SchemaType::Avro => Format::Avro,
            SchemaType::Json => Format::JsonSchema,
            SchemaType::Protobuf => Format::Protobuf,
        }
    }

    /// The type of the schemas; `None` for formats without.
    pub fn schema_type(self) -> Option<SchemaType> {
        match self {
            Format::Binary | Format::Json | Format::String => None,
            Format::Avro => Some(SchemaType::Avro),
            Format::JsonSchema => Some(SchemaType::Json),
            Format::Protobuf => Some(SchemaType::Protobuf),
        }
    }
}

/// Why the bytes of a record cannot be shown in a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// They are not of that format, and never will be.
    #[error("{0}")]
    Bytes(String),
    /// The registry does not answer: another time they may be.
    #[error("{0}")]
    Registry(String),
}

/// Appends the bytes of a key or value as JSON, null for none. `header` is the value of the record header that names
/// the schema, if there is one. May block: schemas are asked of the registry.
///
/// # Errors
/// See [`Undecodable`].
pub fn read(
    format: Format,
    registry: Option<&RegistryClient>,
    bytes: Option<&[u8]>,
    header: Option<&[u8]>,
    output: &mut Vec<u8>,
) -> Result<(), Undecodable> {
    let Some(bytes) = bytes else {
        output.extend_from_slice(b"null");
        return Ok(());
    };
    match format {
        Format::Binary => {
            binary::write(bytes, output);
            Ok(())
        }
        Format::Json => json::write(bytes, output),
        Format::String => {
            let text = std::str::from_utf8(bytes).map_err(|error| Undecodable::Bytes(error.to_string()))?;
            serde_json::to_writer(output, text).map_err(|error| Undecodable::Bytes(error.to_string()))
        }
        Format::Avro | Format::JsonSchema | Format::Protobuf => schema::read(registry, bytes, header, output),
    }
}

/// Which schema a key or value has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaChoice {
    /// The schema itself, its id, its version, or nothing: the latest.
    pub given: GivenSchema,
    /// `subject`
    pub subject: Option<String>,
    /// `subject_name_strategy`; topic name without one.
    pub strategy: Option<SubjectNameStrategy>,
}

/// See [`SchemaChoice`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GivenSchema {
    /// Looked up, else registered.
    Text(SchemaText),
    /// `schema_id`
    Id(i32),
    /// `schema_version`
    Version(i32),
    /// The latest of the subject.
    Latest,
}

/// A key or value with a schema, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Prefix and payload.
    pub bytes: Vec<u8>,
    /// The format of the schema.
    pub format: Format,
    /// The subject it was found or registered under.
    pub subject: String,
    /// Its id.
    pub schema_id: i32,
    /// Its version in the subject, where it is known.
    pub schema_version: Option<i32>,
}

/// A key or value of a v3 record, by the schema that `choice` names. The registry is asked off the async threads.
///
/// # Errors
/// 40801 or 42207 for the registry and the schema, 42203 for data that does not fit, with the field's path.
pub async fn encode_with_schema(
    proxy: &Proxy,
    topic: &str,
    is_key: bool,
    choice: &SchemaChoice,
    data: &Value,
) -> Result<Encoded> {
    schema::encode(proxy, topic, is_key, choice, data).await
}
