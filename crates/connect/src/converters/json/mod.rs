//! `JsonConverter`: values as JSON, with or without their schema in an envelope.
//!
//! A schema is written once and kept by the address of its object, and it is read once and kept by its text, so that what
//! a record costs is its payload alone.

mod read;
mod schema;
mod token;
mod write;

#[cfg(test)]
pub(super) mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::plugin::Plugin;
use crate::config::Parsed;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule, Width};
use crate::data::{DataError, Schema, SchemaRef, Typed};
use crate::plugin::{ConvertError, Converter};

/// Text of the error for what is no envelope.
const NO_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not \
    contain additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your \
    converter configuration.";

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.json.JsonConverter"],
        def: ConfigDef::new(keys()),
        create: |parsed, _, _| Ok(Box::new(JsonConverter::new(parsed)?)),
    }
}

fn keys() -> Vec<ConfigKey> {
    vec![
        ConfigKey::with_default(
            "schemas.enable",
            ConfigType::Boolean,
            "true",
            Importance::High,
            "Whether keys and values are envelopes of a schema and a payload.",
        )
        .shown("Schemas", 0, Width::Medium, "Enable Schemas"),
        ConfigKey::with_default(
            "schemas.cache.size",
            ConfigType::Int,
            "1000",
            Importance::High,
            "The most schemas that are kept in each direction.",
        )
        .shown("Schemas", 1, Width::Medium, "Schema Cache Size"),
        ConfigKey::nullable(
            "schema.content",
            ConfigType::String,
            Importance::High,
            "The schema of all messages, as JSON; messages are then payloads without an envelope. Matters for sinks \
             with schemas.enable=true.",
        )
        .shown("Schemas", 2, Width::Medium, "Schema Content"),
        ConfigKey::with_default(
            "decimal.format",
            ConfigType::String,
            "BASE64",
            Importance::Low,
            "How decimals are written: BASE64, the bytes of the unscaled value, or NUMERIC, a number. Both are read.",
        )
        .checked(Rule::OneOfIgnoringCase(&["NUMERIC", "BASE64"]))
        .shown("Serialization", 0, Width::Medium, "Decimal Format"),
        ConfigKey::with_default(
            "replace.null.with.default",
            ConfigType::Boolean,
            "true",
            Importance::Low,
            "Whether a field that is null and has a default becomes its default.",
        )
        .shown("Serialization", 1, Width::Medium, "Replace null with default"),
    ]
}

/// How values are written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    /// Decimals as numbers.
    numeric_decimals: bool,
    replace_null_with_default: bool,
}

pub(super) struct JsonConverter {
    schemas_enabled: bool,
    options: Options,
    /// The schema of all messages.
    fixed_schema: Option<SchemaRef>,
    cache_size: usize,
    written: Mutex<WrittenSchemas>,
    envelopes: Mutex<Envelopes>,
}

/// Schemas in JSON by the address of their object, which is kept so that the address stays its own.
#[derive(Default)]
struct WrittenSchemas(HashMap<usize, (SchemaRef, Arc<str>)>);

/// What was learned from envelopes.
#[derive(Default)]
struct Envelopes {
    /// Schemas by their text.
    schemas: HashMap<Box<str>, Option<SchemaRef>>,
    /// Everything up to the payload of the last envelope, and its schema: most often the next one begins so too.
    last: Option<(Arc<str>, Option<SchemaRef>)>,
}

impl JsonConverter {
    fn new(parsed: &Parsed) -> Result<JsonConverter, DataError> {
        let options = Options {
            numeric_decimals: parsed.get_text("decimal.format").eq_ignore_ascii_case("NUMERIC"),
            replace_null_with_default: parsed.get_bool("replace.null.with.default"),
        };
        let fixed_schema = match parsed.get_string("schema.content").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => schema::read(text, options).map_err(|error| {
                let text = "Failed to parse schema in converter config due to serialization error: ";
                DataError::new(format!("{text}{error}"))
            })?,
        };
        Ok(JsonConverter {
            schemas_enabled: parsed.get_bool("schemas.enable"),
            options,
            fixed_schema,
            cache_size: parsed.get_usize("schemas.cache.size").max(1),
            written: Mutex::default(),
            envelopes: Mutex::default(),
        })
    }

    /// The schema as JSON.
    fn written(&self, schema: &SchemaRef) -> Result<Arc<str>, DataError> {
        let address = std::ptr::from_ref::<Schema>(schema).addr();
        if let Some((_, text)) = self.written.lock().0.get(&address) {
            return Ok(text.clone());
        }
        let text: Arc<str> = schema::write(schema, self.options)?.into();
        let mut written = self.written.lock();
        if written.0.len() >= self.cache_size {
            written.0.clear();
        }
        written.0.insert(address, (schema.clone(), text.clone()));
        Ok(text)
    }

    fn read_envelope(&self, text: &str) -> Result<Typed, DataError> {
        let last = self.envelopes.lock().last.clone();
        if let Some((prefix, schema)) = last
            && let Some(rest) = text.strip_prefix(&*prefix)
            && let Ok(Some(value)) = read::payload_of_envelope(rest, schema.as_ref(), self.options)
        {
            return Ok(Typed { schema, value });
        }
        let parts = token::envelope(text).map_err(no_json)?.ok_or_else(|| DataError::new(NO_ENVELOPE))?;
        let schema = self.schema_of(parts.schema)?;
        let value = read::whole(parts.payload, schema.as_ref(), self.options)?;
        self.envelopes.lock().last = parts.prefix.map(|prefix| (prefix.into(), schema.clone()));
        Ok(Typed { schema, value })
    }

    fn schema_of(&self, text: &str) -> Result<Option<SchemaRef>, DataError> {
        if let Some(schema) = self.envelopes.lock().schemas.get(text) {
            return Ok(schema.clone());
        }
        let schema = schema::read(text, self.options)?;
        let mut envelopes = self.envelopes.lock();
        if envelopes.schemas.len() >= self.cache_size {
            envelopes.schemas.clear();
        }
        envelopes.schemas.insert(text.into(), schema.clone());
        Ok(schema)
    }
}

/// Bytes for which room is made when a value is written.
const PAYLOAD_BYTES: usize = 256;

fn no_json(error: impl std::fmt::Display) -> DataError {
    DataError::new(format!("Converting byte[] to Kafka Connect data failed due to serialization error: {error}"))
}

impl Converter for JsonConverter {
    fn from_connect(
        &self,
        _topic: &str,
        _headers: &mut Vec<(String, Option<Bytes>)>,
        value: &Typed,
    ) -> Result<Option<Bytes>, ConvertError> {
        if value.schema.is_none() && value.value.is_null() {
            return Ok(None);
        }
        let mut output = if self.schemas_enabled {
            let written = value.schema.as_ref().map(|schema| self.written(schema)).transpose()?;
            let written = written.as_deref().unwrap_or("null");
            let mut output = String::with_capacity(PAYLOAD_BYTES + written.len());
            output.push_str("{\"schema\":");
            output.push_str(written);
            output.push_str(",\"payload\":");
            output
        } else {
            String::with_capacity(PAYLOAD_BYTES)
        };
        write::value(value.schema.as_ref(), &value.value, self.options, &mut output)?;
        if self.schemas_enabled {
            output.push('}');
        }
        Ok(Some(Bytes::from(output)))
    }

    fn to_connect(
        &self,
        _topic: &str,
        _headers: &[(String, Option<Bytes>)],
        bytes: Option<&Bytes>,
    ) -> Result<Typed, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Typed::null()) };
        let text = std::str::from_utf8(bytes).map_err(no_json)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let typed = match &self.fixed_schema {
            Some(schema) if self.schemas_enabled => {
                Typed::new(schema.clone(), read::whole(text, Some(schema), self.options)?)
            }
            _ if self.schemas_enabled => self.read_envelope(text)?,
            _ => Typed::schemaless(read::whole(text, None, self.options)?),
        };
        Ok(typed)
    }
}
