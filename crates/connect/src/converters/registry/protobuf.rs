//! `ProtobufConverter`.
//!
//! Types of Connect that Protobuf does not tell apart stand in the option `confluent.field_meta`.

mod schema;
mod value;

use milena_schema::{ParsedSchema, SchemaType};
use prost_reflect::MessageDescriptor;
use serde_json::Value as Json;

use super::super::plugin::Plugin;
use super::{Format, create, keys};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, SchemaRef, Value};

/// Parameter with the number of a field.
const TAG: &str = "io.confluent.connect.protobuf.Tag";
/// Name of a struct without a name, with a number behind it.
const DEFAULT_NAME: &str = "ConnectDefault";

pub(super) fn plugin() -> Plugin {
    let flag = |name, documentation| {
        ConfigKey::with_default(name, ConfigType::Boolean, "false", Importance::Low, documentation)
    };
    Plugin {
        classes: &["io.confluent.connect.protobuf.ProtobufConverter"],
        def: ConfigDef::new(keys(vec![
            flag(
                "optional.for.nullables",
                "Whether optional fields are written with the word optional, so that null stays.",
            ),
            flag("wrapper.for.nullables", "Whether optional fields are written as wrappers, so that null stays."),
            flag("scrub.invalid.names", "Whether characters that names in Protobuf cannot have become _."),
        ])),
        create: |parsed, settings, is_key| {
            let format = Protobuf {
                optional: parsed.get_bool("optional.for.nullables"),
                wrappers: parsed.get_bool("wrapper.for.nullables"),
                scrubs: parsed.get_bool("scrub.invalid.names"),
            };
            create(format, parsed, settings, is_key)
        },
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Protobuf {
    pub(super) optional: bool,
    pub(super) wrappers: bool,
    pub(super) scrubs: bool,
}

impl Format for Protobuf {
    fn schema_type(&self) -> SchemaType {
        SchemaType::Protobuf
    }

    fn text(&self, schema: &SchemaRef) -> Result<String, DataError> {
        schema::write(schema, *self)
    }

    fn to_json(&self, _written: &ParsedSchema, schema: &SchemaRef, value: &Value) -> Result<Json, DataError> {
        value::write(schema, value, *self)
    }

    fn schema(&self, parsed: &ParsedSchema, indexes: &[i32]) -> Result<SchemaRef, DataError> {
        let file = parsed.as_protobuf().ok_or_else(|| DataError::new("The schema is no Protobuf schema"))?;
        schema::read(file.file(), &message(parsed, indexes)?)
    }

    fn to_value(
        &self,
        parsed: &ParsedSchema,
        indexes: &[i32],
        schema: &SchemaRef,
        json: Json,
    ) -> Result<Value, DataError> {
        value::message(&message(parsed, indexes)?, schema, json)
    }
}

/// The message of a file that a path of indexes leads to.
fn message(parsed: &ParsedSchema, indexes: &[i32]) -> Result<MessageDescriptor, DataError> {
    let missing = || DataError::new(format!("No message with indexes {indexes:?} in the schema"));
    let file = parsed.as_protobuf().ok_or_else(|| DataError::new("The schema is no Protobuf schema"))?;
    let file = file.descriptor().map_err(|error| DataError::new(error.to_string()))?;
    let mut indexes = indexes.iter().map(|index| usize::try_from(*index).unwrap_or(usize::MAX));
    let first = indexes.next().unwrap_or_default();
    let first = file.messages().nth(first).ok_or_else(missing)?;
    indexes.try_fold(first, |message, index| message.child_messages().nth(index)).ok_or_else(missing)
}

impl Protobuf {
    /// A name as Protobuf allows it.
    fn name(self, name: &str) -> String {
        if !self.scrubs {
            return name.to_owned();
        }
        let valid = |(index, character): (usize, char)| {
            let valid = character == '_' || character.is_ascii_alphabetic() || index > 0 && character.is_ascii_digit();
            if valid { character } else { '_' }
        };
        name.chars().enumerate().map(valid).collect()
    }
}
