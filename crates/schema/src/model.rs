//! What the three formats have in common: [`ParsedSchema`] and the types of its methods.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::avro::AvroSchema;
use crate::codec::{CodecError, Payload};
use crate::json::JsonSchema;
use crate::protobuf::ProtobufSchema;

/// The format a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SchemaType {
    /// Apache Avro.
    #[default]
    Avro,
    /// JSON Schema, drafts 4 to 2020-12.
    Json,
    /// Protocol Buffers, proto2 and proto3.
    Protobuf,
}

impl SchemaType {
    /// As requests and answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            SchemaType::Avro => "AVRO",
            SchemaType::Json => "JSON",
            SchemaType::Protobuf => "PROTOBUF",
        }
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of `AVRO`, `JSON`, `PROTOBUF`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid schema type {0}")]
pub struct UnknownSchemaType(pub String);

impl FromStr for SchemaType {
    type Err = UnknownSchemaType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "AVRO" => Ok(SchemaType::Avro),
            "JSON" => Ok(SchemaType::Json),
            "PROTOBUF" => Ok(SchemaType::Protobuf),
            _ => Err(UnknownSchemaType(name.to_owned())),
        }
    }
}

/// Where a schema takes another schema from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// What the referring text calls it: Avro full name, JSON `$ref`, Protobuf import path.
    pub name: String,
    /// The subject it is registered under.
    pub subject: String,
    /// Its version; −1 means the latest and is replaced by the number when it is resolved.
    pub version: i32,
}

/// A referenced schema with its text. A list of them holds all transitive ones once, dependencies before dependents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedReference {
    /// See [`Reference::name`].
    pub name: String,
    /// The text of the referenced schema.
    pub schema: String,
    /// Whether the schema itself refers to it, and not only one of its references.
    pub direct: bool,
}

/// How strictly a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// The schema is new: names and default values are validated. Off for what is stored already.
    pub strict: bool,
    /// Names that the registry reserves are refused (configuration `validateFields`).
    pub validate_fields: bool,
}

impl ParseOptions {
    /// For a schema that somebody registers.
    pub const NEW: ParseOptions = ParseOptions { strict: true, validate_fields: false };
    /// For a schema that was accepted before.
    pub const STORED: ParseOptions = ParseOptions { strict: false, validate_fields: false };
}

/// How much an evolution may tighten (configuration `compatibilityPolicy`); only JSON Schema makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompatibilityPolicy {
    /// The rules as they are.
    #[default]
    Strict,
    /// Optional properties may be added to open objects, and content models narrowed.
    Lenient,
}

/// One reason why a reader cannot read what a writer wrote. Its `Display` is an entry of a registry's `messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// The rule that is broken, as `READER_FIELD_MISSING_DEFAULT_VALUE`; empty when the description says it all.
    pub error_type: String,
    /// A sentence that names the place. `{reader}` and `{writer}` in it stand for what the two schemas are called.
    pub description: String,
    /// A JSON pointer (Avro) or path (JSON Schema, Protobuf) into the reader's schema.
    pub location: String,
    /// Avro only: the name or symbols in question. Decides the shape of the `Display`.
    pub additional_info: Option<String>,
}

impl Incompatibility {
    /// With the reader's schema called `reader` (as `new`) and the writer's called `writer` (as `old`).
    #[must_use]
    pub fn told_as(&self, reader: &str, writer: &str) -> Incompatibility {
        let description = self.description.replace("{reader}", reader).replace("{writer}", writer);
        Incompatibility { description, ..self.clone() }
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Incompatibility { error_type, description, additional_info, .. } = self.told_as("reader", "writer");
        match additional_info {
            _ if error_type.is_empty() => f.write_str(&description),
            Some(info) => {
                write!(f, "{{errorType:'{error_type}', description:'{description}', additionalInfo:'{info}'}}")
            }
            None => write!(f, "{{errorType:\"{error_type}\", description:\"{description}\"}}"),
        }
    }
}

/// What an inline tag is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaggedEntity {
    /// Dotted names from the outermost record inwards.
    #[serde(rename = "entityPath")]
    pub path: String,
    /// `SR_RECORD` or `SR_FIELD`.
    #[serde(rename = "entityType")]
    pub entity_type: String,
}

/// The inline tags of one record or field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaTag {
    /// The record or field.
    #[serde(rename = "schemaEntity")]
    pub entity: TaggedEntity,
    /// Its tags in the order of the text.
    pub tags: Vec<String>,
}

/// Inline tags to add and to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct TagEdit<'a> {
    /// Added unless there already.
    pub add: &'a [SchemaTag],
    /// Removed where present.
    pub remove: &'a [SchemaTag],
}

/// A parsed schema of any of the three formats. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ParsedSchema(Format);

#[derive(Debug, Clone)]
enum Format {
    Avro(Arc<AvroSchema>),
    Json(Arc<JsonSchema>),
    Protobuf(Arc<ProtobufSchema>),
}

/// Calls the same method of whichever format it is.
macro_rules! each {
    ($self:expr, $schema:ident => $call:expr) => {
        match &$self.0 {
            Format::Avro($schema) => $call,
            Format::Json($schema) => $call,
            Format::Protobuf($schema) => $call,
        }
    };
}

impl ParsedSchema {
    /// Reads `text` with `references` known to it.
    ///
    /// # Errors
    /// A text that the format does not allow; the message names the place.
    pub fn parse(
        schema_type: SchemaType,
        text: &str,
        references: &[ResolvedReference],
        options: &ParseOptions,
    ) -> Result<Self, SchemaError> {
        Ok(ParsedSchema(match schema_type {
            SchemaType::Avro => Format::Avro(Arc::new(AvroSchema::parse(text, references, options)?)),
            SchemaType::Json => Format::Json(Arc::new(JsonSchema::parse(text, references, options)?)),
            SchemaType::Protobuf => Format::Protobuf(Arc::new(ProtobufSchema::parse(text, references, options)?)),
        }))
    }

    /// The format.
    pub fn schema_type(&self) -> SchemaType {
        match &self.0 {
            Format::Avro(_) => SchemaType::Avro,
            Format::Json(_) => SchemaType::Json,
            Format::Protobuf(_) => SchemaType::Protobuf,
        }
    }

    /// The canonical text: what a registry stores and answers. Equal texts (and references) are equal schemas.
    pub fn canonical(&self) -> &str {
        each!(self, schema => schema.canonical())
    }

    /// The normal form: a text that is the same for schemas that differ only in spelling or order.
    pub fn normalized(&self) -> String {
        each!(self, schema => schema.normalized())
    }

    /// The text in another form: `resolved` (Avro: references inlined), `serialized` (Protobuf: base64 of the
    /// descriptor), `ignore_extensions` (Protobuf). `None` when the format does not know the name: it is ignored then.
    pub fn formatted(&self, format: &str, references: &[ResolvedReference]) -> Option<String> {
        each!(self, schema => schema.formatted(format, references))
    }

    /// The full name of the record or message, or the title of a JSON Schema (subject name strategies).
    pub fn record_name(&self) -> Option<String> {
        each!(self, schema => schema.record_name())
    }

    /// Whether the record, the object or the first message has a field of this name.
    pub fn has_top_level_field(&self, name: &str) -> bool {
        each!(self, schema => schema.has_top_level_field(name))
    }

    /// The inline tags (`confluent:tags` and its like).
    pub fn tags(&self) -> Vec<SchemaTag> {
        each!(self, schema => schema.tags())
    }

    /// The text with inline tags added and removed.
    ///
    /// # Errors
    /// A tag for a record or field that does not exist.
    pub fn with_tags(&self, edit: &TagEdit<'_>) -> Result<String, SchemaError> {
        each!(self, schema => schema.with_tags(edit))
    }

    /// Writes `value`: Avro's JSON encoding as Avro binary, what a JSON Schema allows as JSON text, the JSON form of a
    /// Protobuf message as that message. `message` names the Protobuf message; the first one of the file otherwise.
    ///
    /// # Errors
    /// A value that is not one of the schema.
    pub fn encode(&self, value: &serde_json::Value, message: Option<&str>) -> Result<Payload, CodecError> {
        each!(self, schema => schema.encode_payload(value, message))
    }

    /// As [`ParsedSchema::encode`] for values that people write by hand: those of an Avro union need no tag where exactly
    /// one branch can hold them.
    ///
    /// # Errors
    /// As [`ParsedSchema::encode`].
    pub fn encode_untagged(&self, value: &serde_json::Value) -> Result<Payload, CodecError> {
        match &self.0 {
            Format::Avro(schema) => Ok(Payload { message_indexes: None, bytes: schema.encode_untagged(value)? }),
            Format::Json(schema) => schema.encode_payload(value, None),
            Format::Protobuf(schema) => schema.encode_payload(value, None),
        }
    }

    /// The reverse of [`ParsedSchema::encode`]. `message_indexes` is the path of the Protobuf message.
    ///
    /// # Errors
    /// Bytes that were not written with the schema.
    pub fn decode(&self, bytes: &[u8], message_indexes: Option<&[i32]>) -> Result<serde_json::Value, CodecError> {
        each!(self, schema => schema.decode_payload(bytes, message_indexes))
    }

    /// What forbids `self`, the reader, to read what `writer` wrote; empty when nothing does.
    ///
    /// Descriptions speak of the `reader` and the `writer` schema; [`Incompatibility::told_as`] gives them other names.
    pub fn incompatibilities(&self, writer: &ParsedSchema, policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        match (&self.0, &writer.0) {
            (Format::Avro(reader), Format::Avro(writer)) => reader.incompatibilities(writer, policy),
            (Format::Json(reader), Format::Json(writer)) => reader.incompatibilities(writer, policy),
            (Format::Protobuf(reader), Format::Protobuf(writer)) => reader.incompatibilities(writer, policy),
            _ => vec![Incompatibility {
                error_type: String::new(),
                description: "Incompatible because of different schema type".to_owned(),
                location: String::new(),
                additional_info: None,
            }],
        }
    }

    /// The Avro schema, when it is one.
    pub fn as_avro(&self) -> Option<&AvroSchema> {
        match &self.0 {
            Format::Avro(schema) => Some(schema),
            _ => None,
        }
    }

    /// The JSON Schema, when it is one.
    pub fn as_json(&self) -> Option<&JsonSchema> {
        match &self.0 {
            Format::Json(schema) => Some(schema),
            _ => None,
        }
    }

    /// The Protobuf schema, when it is one.
    pub fn as_protobuf(&self) -> Option<&ProtobufSchema> {
        match &self.0 {
            Format::Protobuf(schema) => Some(schema),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_types_are_spelled_in_capitals() {
        for schema_type in [SchemaType::Avro, SchemaType::Json, SchemaType::Protobuf] {
            assert_eq!(schema_type.name().parse(), Ok(schema_type));
            assert_eq!(serde_json::to_string(&schema_type).unwrap(), format!("\"{schema_type}\""));
        }
        assert!("avro".parse::<SchemaType>().is_err());
    }

    #[test]
    fn schemas_of_different_types_are_incompatible_in_so_many_words() {
        let parse = |schema_type| ParsedSchema::parse(schema_type, "{\"type\":\"string\"}", &[], &ParseOptions::NEW);
        let (avro, json) = (parse(SchemaType::Avro).unwrap(), parse(SchemaType::Json).unwrap());
        let findings = avro.incompatibilities(&json, CompatibilityPolicy::Strict);
        assert_eq!(findings[0].to_string(), "Incompatible because of different schema type");
    }

    #[test]
    fn findings_are_shown_in_the_manner_of_their_format() {
        let mut finding = Incompatibility {
            error_type: "NAME_MISMATCH".to_owned(),
            description: "at path '/'".to_owned(),
            location: "/".to_owned(),
            additional_info: Some("b".to_owned()),
        };
        assert_eq!(finding.to_string(), "{errorType:'NAME_MISMATCH', description:'at path '/'', additionalInfo:'b'}");
        finding.additional_info = None;
        assert_eq!(finding.to_string(), "{errorType:\"NAME_MISMATCH\", description:\"at path '/'\"}");
        finding.description = "the {reader} schema lacks what the {writer} schema has".to_owned();
        assert_eq!(finding.told_as("new", "old").description, "the new schema lacks what the old schema has");
    }
}
