//! Converters of the formats that live in a schema registry: Avro, JSON Schema, Protobuf.
//!
//! What is common: a schema of Connect is turned into a schema of the format, registered or looked up, and kept by topic
//! and by the address of its object; the other way a schema of the registry is turned into one of Connect, and kept by
//! its id. The registry is asked once for each schema, which blocks.

mod avro;
mod json_schema;
mod logical;
mod protobuf;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use milena_schema::client::{ClientConfig, ClientError, RegistryClient, SchemaText};
use milena_schema::serializer::{Deserializer, SchemaWriter, SerdeError, SerializerConfig};
use milena_schema::wire::{self, KEY_HEADER, SchemaId, VALUE_HEADER};
use milena_schema::{ParsedSchema, SchemaType};
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::plugin::Plugin;
use crate::config::Parsed;
use crate::config::def::{ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Kind, Schema, SchemaRef, Typed, Value};
use crate::plugin::{ConvertError, Converter, Settings};

pub(super) fn plugins() -> Vec<Plugin> {
    vec![avro::plugin(), json_schema::plugin(), protobuf::plugin()]
}

/// What tells the formats apart.
trait Format: Send + Sync {
    fn schema_type(&self) -> SchemaType;
    /// The schema as text.
    fn text(&self, schema: &SchemaRef) -> Result<String, DataError>;
    /// A value in the JSON form of the format, to be written with `written`.
    fn to_json(&self, written: &ParsedSchema, schema: &SchemaRef, value: &Value) -> Result<Json, DataError>;
    /// The schema that values of a registered schema have; `indexes` lead to the message of a Protobuf file.
    fn schema(&self, parsed: &ParsedSchema, indexes: &[i32]) -> Result<SchemaRef, DataError>;
    /// A value from its JSON form.
    fn to_value(
        &self,
        parsed: &ParsedSchema,
        indexes: &[i32],
        schema: &SchemaRef,
        json: Json,
    ) -> Result<Value, DataError>;
}

/// Settings that all three have, with those of one format behind them.
fn keys(own: Vec<ConfigKey>) -> Vec<ConfigKey> {
    let flag = |name, default, documentation| {
        ConfigKey::with_default(name, ConfigType::Boolean, default, Importance::Medium, documentation)
    };
    let strategy = |name, documentation| {
        ConfigKey::with_default(name, ConfigType::String, "TopicNameStrategy", Importance::Medium, documentation)
    };
    let text = |name, kind, documentation| ConfigKey::nullable(name, kind, Importance::Medium, documentation);
    let mut keys = vec![
        ConfigKey::required(
            "schema.registry.url",
            ConfigType::List,
            Importance::High,
            "Addresses of the registry; the next is tried when one does not answer.",
        ),
        text("basic.auth.credentials.source", ConfigType::String, "URL, USER_INFO or SASL_INHERIT."),
        text("basic.auth.user.info", ConfigType::Password, "user:password, for USER_INFO."),
        text("bearer.auth.credentials.source", ConfigType::String, "STATIC_TOKEN or OAUTHBEARER."),
        text("bearer.auth.token", ConfigType::Password, "The token, for STATIC_TOKEN."),
        text("ssl.truststore.location", ConfigType::String, "PEM file of the authorities of the registry."),
        flag("auto.register.schemas", "true", "Whether schemas are registered that are not there."),
        flag("use.latest.version", "false", "Whether the newest version of the subject is written with."),
        flag("latest.compatibility.strict", "true", "Whether that version must be compatible with the values."),
        ConfigKey::with_default(
            "use.schema.id",
            ConfigType::Int,
            "-1",
            Importance::Low,
            "Id of the schema to write with; -1: none.",
        ),
        flag("normalize.schemas", "false", "Whether schemas are compared in their normal form."),
        strategy("key.subject.name.strategy", "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy."),
        strategy("value.subject.name.strategy", "As for keys."),
        ConfigKey::with_default(
            "schemas.cache.config",
            ConfigType::Int,
            "1000",
            Importance::Low,
            "The most schemas that are kept in each direction.",
        )
        .checked(Rule::AtLeast(1)),
    ];
    keys.extend(own);
    keys
}

/// Makes the converter of a format.
fn create(
    format: impl Format + 'static,
    parsed: &Parsed,
    settings: &Settings,
    is_key: bool,
) -> Result<Box<dyn Converter>, DataError> {
    let get = |key: &str| settings.get(key).map(String::as_str);
    let client = ClientConfig::from_properties(get).map_err(|error| DataError::new(error.to_string()))?;
    let client = RegistryClient::new(client).map_err(|error| DataError::new(error.to_string()))?;
    let mut config =
        SerializerConfig::from_properties(get, is_key).map_err(|error| DataError::new(error.to_string()))?;
    config.validate_json = parsed.get_bool("json.fail.invalid.schema");
    Ok(Box::new(RegistryConverter {
        format: Box::new(format),
        deserializer: Deserializer::new(client.clone()),
        client,
        config,
        is_key,
        cache_size: parsed.get_usize("schemas.cache.config").max(1),
        written: Mutex::default(),
        read: Mutex::default(),
    }))
}

struct RegistryConverter {
    format: Box<dyn Format>,
    client: RegistryClient,
    deserializer: Deserializer,
    config: SerializerConfig,
    is_key: bool,
    cache_size: usize,
    written: Mutex<Written>,
    read: Mutex<HashMap<(SchemaId, Vec<i32>), SchemaRef>>,
}

/// Writers by topic and by the address of the schema's object, which is kept so that the address stays its own.
type Written = HashMap<(Box<str>, usize), (SchemaRef, Arc<SchemaWriter>)>;

impl RegistryConverter {
    fn writer(&self, topic: &str, schema: &SchemaRef) -> Result<Arc<SchemaWriter>, ConvertError> {
        let key = (Box::from(topic), std::ptr::from_ref::<Schema>(schema).addr());
        if let Some((_, writer)) = self.written.lock().get(&key) {
            return Ok(writer.clone());
        }
        let text = self.format.text(schema)?;
        let text = SchemaText { schema: text, schema_type: self.format.schema_type(), references: Vec::new() };
        let writer = SchemaWriter::new(&self.client, &self.config, topic, self.is_key, &text);
        let writer = Arc::new(writer.map_err(|error| failed("serialize", topic, error))?);
        let mut written = self.written.lock();
        if written.len() >= self.cache_size {
            written.clear();
        }
        written.insert(key, (schema.clone(), writer.clone()));
        Ok(writer)
    }

    fn schema_of(&self, id: SchemaId, parsed: &ParsedSchema, indexes: &[i32]) -> Result<SchemaRef, DataError> {
        let key = (id, indexes.to_vec());
        if let Some(schema) = self.read.lock().get(&key) {
            return Ok(schema.clone());
        }
        let schema = self.format.schema(parsed, indexes)?;
        let mut read = self.read.lock();
        if read.len() >= self.cache_size {
            read.clear();
        }
        read.insert(key, schema.clone());
        Ok(schema)
    }
}

impl Converter for RegistryConverter {
    fn from_connect(
        &self,
        topic: &str,
        headers: &mut Vec<(String, Option<Bytes>)>,
        value: &Typed,
    ) -> Result<Option<Bytes>, ConvertError> {
        if value.value.is_null() {
            return Ok(None);
        }
        let schema = match &value.schema {
            Some(schema) => schema.clone(),
            None => inferred(&value.value)?,
        };
        let writer = self.writer(topic, &schema)?;
        let json = self.format.to_json(writer.schema(), &schema, &value.value)?;
        let serialized = writer.write(&json).map_err(|error| failed("serialize", topic, error))?;
        if let Some((name, bytes)) = serialized.header {
            headers.push((name.to_owned(), Some(bytes.into())));
        }
        Ok(Some(serialized.payload.into()))
    }

    fn to_connect(
        &self,
        topic: &str,
        headers: &[(String, Option<Bytes>)],
        bytes: Option<&Bytes>,
    ) -> Result<Typed, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Typed::null()) };
        let name = if self.is_key { KEY_HEADER } else { VALUE_HEADER };
        let header = headers.iter().rev().find(|(key, _)| key == name).and_then(|(_, value)| value.as_deref());
        let read = self.deserializer.read(bytes, header).map_err(|error| failed("deserialize", topic, error))?;
        if read.schema.schema_type() != self.format.schema_type() {
            let (found, expected) = (read.schema.schema_type(), self.format.schema_type());
            let text = format!(
                "The schema of data of topic {topic} is {}, not {}: another converter is meant",
                found.name(),
                expected.name()
            );
            return Err(DataError::new(text).into());
        }
        let indexes = match self.format.schema_type() {
            SchemaType::Protobuf => message_indexes(bytes, header)?,
            _ => Vec::new(),
        };
        let schema = self.schema_of(read.id, &read.schema, &indexes)?;
        let value = self.format.to_value(&read.schema, &indexes, &schema, read.value)?;
        Ok(Typed::new(schema, value))
    }
}

/// Which message of its file a record of Protobuf is.
fn message_indexes(bytes: &[u8], header: Option<&[u8]>) -> Result<Vec<i32>, DataError> {
    let framed = match header {
        Some(header) => wire::split_header(header),
        None => wire::split_prefix(bytes),
    };
    let indexes = framed.and_then(|framed| wire::read_message_indexes(framed.rest));
    indexes.map(|(indexes, _)| indexes).map_err(|error| DataError::new(error.to_string()))
}

fn failed(what: &str, topic: &str, error: SerdeError) -> ConvertError {
    let text = format!("Failed to {what} data for topic {topic}: {error}");
    match &error {
        SerdeError::Registry(error) if ClientError::is_retriable(error) => ConvertError::Retriable(text),
        _ => ConvertError::Data(DataError::new(text)),
    }
}

/// The schema of a value that comes without one: only single values have one that is certain.
fn inferred(value: &Value) -> Result<SchemaRef, DataError> {
    let kind = match value {
        Value::Int8(_) => Kind::Int8,
        Value::Int16(_) => Kind::Int16,
        Value::Int32(_) => Kind::Int32,
        Value::Int64(_) => Kind::Int64,
        Value::Float32(_) => Kind::Float32,
        Value::Float64(_) => Kind::Float64,
        Value::Boolean(_) => Kind::Boolean,
        Value::String(_) => Kind::String,
        Value::Bytes(_) => Kind::Bytes,
        Value::Struct(value) => return Ok(value.schema().clone()),
        value => {
            let class = value.java_class();
            return Err(DataError::new(format!(
                "A value of class {class} without a schema cannot be written with a schema: read it with a converter \
                 that has schemas"
            )));
        }
    };
    Ok(Schema::new(kind).optional().into())
}

/// What is wrong when a value of another type stands where the schema has this one.
fn mismatch(schema: &Schema, value: &Value) -> DataError {
    DataError::new(format!("Invalid type for {}: class {}", schema.type_name(), value.java_class()))
}

/// What is wrong when JSON of a decoder is not of the schema that was made for it.
fn unexpected(schema: &Schema, json: &Json) -> DataError {
    DataError::new(format!("Unexpected value for {}: {json}", schema.type_name()))
}

/// The parameters of a schema as an object.
fn parameters_json(schema: &Schema) -> Json {
    Json::Object(schema.parameters.iter().map(|(key, value)| (key.clone(), Json::from(value.as_str()))).collect())
}
