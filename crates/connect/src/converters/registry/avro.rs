//! `AvroConverter`.
//!
//! What Avro has no word for stands in properties that begin with `connect.`, so that a schema comes back as it was.

mod read;
mod schema;
mod write;

use milena_schema::avro::AvroSchema;
use milena_schema::{ParsedSchema, SchemaType};
use serde_json::Value as Json;

use super::super::plugin::Plugin;
use super::{Format, create, keys};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, SchemaRef, Value};

/// Namespace of names that the converter makes up.
const NAMESPACE: &str = "io.confluent.connect.avro";
/// Name of a struct without a name.
const DEFAULT_NAME: &str = "ConnectDefault";
/// Name of an entry of a map that Avro has no map for, and its mark.
const MAP_ENTRY: &str = "MapEntry";
/// Name of the struct that a union becomes.
const UNION: &str = "io.confluent.connect.avro.Union";
/// Parameter with the name of an enum; with a dot and a symbol behind it, that symbol.
const ENUM: &str = "io.confluent.connect.avro.Enum";

pub(super) fn plugin() -> Plugin {
    let flag = |name, default, documentation| {
        ConfigKey::with_default(name, ConfigType::Boolean, default, Importance::Low, documentation)
    };
    Plugin {
        classes: &["io.confluent.connect.avro.AvroConverter"],
        def: ConfigDef::new(keys(vec![
            flag(
                "connect.meta.data",
                "true",
                "Whether names, versions, documentation, parameters and defaults of Connect are written into the schema.",
            ),
            flag(
                "enhanced.avro.schema.support",
                "false",
                "Whether enums are written as enums again, and names keep their namespace.",
            ),
            flag("scrub.invalid.names", "false", "Whether characters that Avro's names cannot have become _."),
        ])),
        create: |parsed, settings, is_key| {
            let format = Avro {
                metadata: parsed.get_bool("connect.meta.data"),
                enums: parsed.get_bool("enhanced.avro.schema.support"),
                scrubs: parsed.get_bool("scrub.invalid.names"),
            };
            create(format, parsed, settings, is_key)
        },
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Avro {
    pub(super) metadata: bool,
    pub(super) enums: bool,
    pub(super) scrubs: bool,
}

impl Format for Avro {
    fn schema_type(&self) -> SchemaType {
        SchemaType::Avro
    }

    fn text(&self, schema: &SchemaRef) -> Result<String, DataError> {
        schema::write(schema, *self)
    }

    fn to_json(&self, written: &ParsedSchema, schema: &SchemaRef, value: &Value) -> Result<Json, DataError> {
        let avro = avro_of(written)?;
        write::Writer { avro, options: *self }.value(avro.root_type(), schema, value)
    }

    fn schema(&self, parsed: &ParsedSchema, _indexes: &[i32]) -> Result<SchemaRef, DataError> {
        schema::read(avro_of(parsed)?, *self)
    }

    fn to_value(
        &self,
        parsed: &ParsedSchema,
        _indexes: &[i32],
        schema: &SchemaRef,
        json: Json,
    ) -> Result<Value, DataError> {
        let avro = avro_of(parsed)?;
        read::value(avro, avro.root_type(), schema, json)
    }
}

fn avro_of(parsed: &ParsedSchema) -> Result<&AvroSchema, DataError> {
    parsed.as_avro().ok_or_else(|| DataError::new("The schema is no Avro schema"))
}

impl Avro {
    /// A name as Avro allows it.
    fn name(self, name: &str) -> String {
        if !self.scrubs {
            return name.to_owned();
        }
        let character = |(index, character): (usize, char)| {
            let valid = character.is_ascii_alphanumeric() || character == '_';
            match character {
                _ if valid && (index > 0 || !character.is_ascii_digit()) => character,
                '.' if index > 0 => '.',
                _ => '_',
            }
        };
        name.chars().enumerate().map(character).collect()
    }
}
