//! Messages as JSON, and a catalogue of all of them: for tools that print stored records, for tests and
//! for fuzzing. Present with the feature `json` only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Records, Writer};

pub use sample::{Sample, Samples};

mod sample;

/// The JSON form the Kafka tools print: field names in camelCase, only the fields of the version, bytes as
/// base64, UUIDs as text, tagged fields only when they differ from their default.
pub trait ToJson {
    /// The fields this message has in `version`.
    fn to_json(&self, version: i16) -> Value;
}

pub(crate) fn base64(bytes: &[u8]) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// Records as base64; file ranges, which are not read here, as their size.
pub(crate) fn records(records: &Records) -> Value {
    match records {
        Records::Memory(bytes) => base64(bytes),
        other => Value::from(other.len()),
    }
}

pub(crate) fn nullable<T>(value: Option<&T>, json: impl FnOnce(&T) -> Value) -> Value {
    value.map_or(Value::Null, json)
}

pub(crate) fn array<T>(values: &[T], element: impl FnMut(&T) -> Value) -> Value {
    Value::Array(values.iter().map(element).collect())
}

/// One of the protocol's messages, with its type erased.
#[derive(Debug, Clone, Copy)]
pub struct MessageType {
    /// Name in the protocol definition.
    pub name: &'static str,
    /// The API key of requests and responses.
    pub key: Option<ApiKey>,
    /// Lowest version.
    pub min_version: i16,
    /// Highest version.
    pub max_version: i16,
    /// Whether a version is flexible.
    pub is_flexible: fn(i16) -> bool,
    /// Reads a message and returns it in JSON form.
    pub to_json: fn(&mut Reader, i16) -> Result<Value, DecodeError>,
    /// Reads a message and writes it again.
    pub recode: fn(&mut Reader, i16, &mut Writer) -> Result<(), RecodeError>,
    /// Writes the default value.
    pub encode_default: fn(&mut Writer, i16) -> Result<(), EncodeError>,
    /// Writes a sample value and returns it in JSON form.
    pub encode_sample: fn(&mut Samples, &mut Writer, i16) -> Result<Value, EncodeError>,
}

/// Reading or writing failed.
#[derive(Debug, thiserror::Error)]
pub enum RecodeError {
    /// Reading failed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Writing failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl MessageType {
    pub(crate) const fn of<M: Message + ToJson + Sample>(key: Option<ApiKey>) -> MessageType {
        MessageType {
            name: M::NAME,
            key,
            min_version: M::MIN_VERSION,
            max_version: M::MAX_VERSION,
            is_flexible: M::is_flexible,
            to_json: |r, version| Ok(M::decode(r, version)?.to_json(version)),
            recode: |r, version, w| Ok(M::decode(r, version)?.encode(w, version)?),
            encode_default: |w, version| M::default().encode(w, version),
            encode_sample: |samples, w, version| {
                let message = M::sample(samples);
                message.encode(w, version)?;
                Ok(message.to_json(version))
            },
        }
    }
}
