//! Keys and values of records between bytes and columns: one file per format.
//!
//! [`FormatSpec`] is what a statement says about a side of a topic; [`open`] makes a [`RowCodec`] of it for given columns.
//! [`registry`] is where formats with schemas find them, [`inference`] makes columns of a schema.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use milena_schema::SchemaType;

use crate::ast::Name;
use crate::types::SqlType;
use crate::value::Value;

pub mod avro;
pub mod avro_schema;
mod coercion;
pub mod delimited;
pub mod inference;
pub mod json;
mod json_row;
pub mod json_schema;
pub mod json_text;
pub mod kafka;
pub mod protobuf;
pub mod protobuf_schema;
mod readers;
pub mod registry;
pub mod support;

use registry::SchemaRegistry;

/// How a side of a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Apache Avro with a registry.
    Avro,
    /// Comma separated values.
    Delimited,
    /// JSON.
    Json,
    /// JSON with a registry.
    JsonSr,
    /// The primitive encodings of Kafka's own serializers.
    Kafka,
    /// Nothing at all.
    None,
    /// Protocol Buffers with a registry.
    Protobuf,
    /// Protocol Buffers without a registry.
    ProtobufNoSr,
}

impl Format {
    /// As statements spell it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Avro => "AVRO",
            Format::Delimited => "DELIMITED",
            Format::Json => "JSON",
            Format::JsonSr => "JSON_SR",
            Format::Kafka => "KAFKA",
            Format::None => "NONE",
            Format::Protobuf => "PROTOBUF",
            Format::ProtobufNoSr => "PROTOBUF_NOSR",
        }
    }

    /// Whether columns can be taken from a registered schema.
    pub fn has_registry(self) -> bool {
        matches!(self, Format::Avro | Format::JsonSr | Format::Protobuf)
    }

    /// Whether a single column may stand alone (`WRAP_SINGLE_VALUE=false`, keys).
    pub fn can_unwrap(self) -> bool {
        matches!(self, Format::Avro | Format::Delimited | Format::Json | Format::JsonSr | Format::Kafka)
    }

    /// Whether a single column may be wrapped (`WRAP_SINGLE_VALUE=true`).
    pub fn can_wrap(self) -> bool {
        matches!(self, Format::Avro | Format::Json | Format::JsonSr | Format::Protobuf | Format::ProtobufNoSr)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "AVRO" => Format::Avro,
            "DELIMITED" => Format::Delimited,
            "JSON" => Format::Json,
            "JSON_SR" => Format::JsonSr,
            "KAFKA" => Format::Kafka,
            "NONE" => Format::None,
            "PROTOBUF" => Format::Protobuf,
            "PROTOBUF_NOSR" => Format::ProtobufNoSr,
            _ => return Err(FormatError(format!("Unknown format: {}", name.to_ascii_uppercase()))),
        })
    }
}

/// Why a format cannot do what is asked, or why bytes or values do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

impl FormatError {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        FormatError(message.to_string())
    }
}

/// How Protobuf tells null from a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NullableRepresentation {
    /// `optional` fields.
    Optional,
    /// Wrapper messages.
    Wrapper,
}

impl NullableRepresentation {
    /// As properties of formats spell it.
    pub fn name(self) -> &'static str {
        match self {
            NullableRepresentation::Optional => "optional",
            NullableRepresentation::Wrapper => "wrapper",
        }
    }
}

/// The key or the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The key of a record.
    Key,
    /// The value of a record.
    Value,
}

impl Side {
    /// `key` or `value`, as subjects end.
    pub fn name(self) -> &'static str {
        match self {
            Side::Key => "key",
            Side::Value => "value",
        }
    }
}

/// What is known about a side of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSpec {
    /// The format.
    pub format: Format,
    /// `DELIMITED`: what separates columns.
    pub delimiter: Option<char>,
    /// The full name of the record or message.
    pub full_name: Option<String>,
    /// The registered schema that is to be read and written.
    pub schema_id: Option<i32>,
    /// `PROTOBUF`: how nulls are told.
    pub nullable: Option<NullableRepresentation>,
    /// Whether a single column is wrapped, when stated.
    pub wrap: Option<bool>,
}

impl FormatSpec {
    /// The format without anything special.
    pub fn plain(format: Format) -> Self {
        FormatSpec { format, delimiter: None, full_name: None, schema_id: None, nullable: None, wrap: None }
    }

    /// Whether a single column stands alone.
    pub fn unwraps(&self, side: Side) -> bool {
        match self.format {
            Format::Kafka | Format::Delimited | Format::None => false,
            Format::Protobuf | Format::ProtobufNoSr => false,
            _ => match (self.wrap, side) {
                (Some(wrap), _) => !wrap,
                (None, Side::Key) => true,
                (None, Side::Value) => false,
            },
        }
    }

    /// What is said of a side with `columns` columns where its format leaves it open whether a single one is wrapped.
    pub fn feature(&self, side: Side, columns: usize) -> Option<&'static str> {
        let unwraps = match side {
            Side::Key => (self.format.can_wrap() && self.format.can_unwrap()).then_some(true),
            Side::Value => self.wrap.map(|wrap| !wrap),
        };
        let feature = unwraps.map(|unwraps| if unwraps { "UNWRAP_SINGLES" } else { "WRAP_SINGLES" });
        feature.filter(|_| columns == 1)
    }
}

/// A named and typed column, as codecs see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name in its exact case.
    pub name: Name,
    /// The type.
    pub field_type: SqlType,
}

/// Turns columns into the bytes of a key or value and back.
pub trait RowCodec: Send + Sync {
    /// The bytes of `row`; `None` for what the format writes as null.
    ///
    /// # Errors
    /// A value that the format cannot hold.
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError>;

    /// The columns of `bytes`; `None` for what means null.
    ///
    /// # Errors
    /// Bytes that are not of the format or do not fit the columns.
    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError>;

    /// From now on nobody reads these columns of what is decoded: they may be null, as far as that lets no bytes pass
    /// that would be refused otherwise.
    fn leave_out(&mut self, _columns: &[usize]) {}
}

/// Where a codec is used: what its schema is registered as and called.
#[derive(Clone)]
pub struct CodecContext {
    /// The topic, which names the subject.
    pub topic: String,
    /// The side.
    pub side: Side,
    /// Where schemas are.
    pub registry: Arc<dyn SchemaRegistry>,
}

impl CodecContext {
    /// The subject of the schema.
    pub fn subject(&self) -> String {
        format!("{}-{}", self.topic, self.side.name())
    }
}

/// Makes the codec of `spec` for `fields`. Formats with a registry look up the schema to write with, and register it
/// when it is missing, when the codec first writes.
///
/// # Errors
/// Columns that the format does not support; a schema that cannot be had.
pub fn open(spec: &FormatSpec, fields: Vec<Field>, context: &CodecContext) -> Result<Box<dyn RowCodec>, FormatError> {
    Ok(match spec.format {
        Format::Kafka => Box::new(kafka::KafkaCodec::new(fields)?),
        Format::Delimited => Box::new(delimited::DelimitedCodec::new(fields, spec.delimiter.unwrap_or(','))),
        Format::Json => Box::new(json::JsonCodec::new(fields, spec.unwraps(context.side))),
        Format::JsonSr => Box::new(json_schema::JsonSchemaCodec::new(fields, spec, context)?),
        Format::Avro => Box::new(avro::AvroCodec::new(fields, spec, context)?),
        Format::Protobuf => Box::new(protobuf::ProtobufCodec::new(fields, spec, Some(context))?),
        Format::ProtobufNoSr => Box::new(protobuf::ProtobufCodec::new(fields, spec, None)?),
        Format::None => Box::new(NoneCodec),
    })
}

/// A scalar as a column of type `wanted` takes it: numbers become wider ones, everything text.
///
/// # Errors
/// What cannot be one.
pub fn widen(value: Value, wanted: &SqlType) -> Result<Value, FormatError> {
    avro::scalar(value, wanted)
}

/// The text of the schema that `fields` are written with, for formats that have one.
///
/// # Errors
/// Columns that the format does not support.
pub fn schema_text(
    spec: &FormatSpec,
    fields: &[Field],
    side: Side,
) -> Result<Option<(SchemaType, String)>, FormatError> {
    let unwrapped = spec.unwraps(side) && fields.len() == 1;
    Ok(Some(match spec.format {
        Format::Avro => {
            let name = spec.full_name.as_deref().unwrap_or(avro::default_name(side));
            (SchemaType::Avro, avro_schema::schema_text(fields, name, unwrapped)?)
        }
        Format::JsonSr => (SchemaType::Json, json_schema::schema_text(fields, unwrapped)),
        Format::Protobuf => {
            let name = spec.full_name.as_deref().unwrap_or(protobuf_schema::MESSAGE);
            (SchemaType::Protobuf, protobuf_schema::schema_text(fields, name, spec.nullable)?)
        }
        _ => return Ok(None),
    }))
}

/// Registers the schema that `fields` are written with, for formats that have one; that with a given id as well.
///
/// # Errors
/// Columns that the format does not support; a registry that refuses the schema.
pub fn register(spec: &FormatSpec, fields: &[Field], context: &CodecContext) -> Result<(), FormatError> {
    if let Some(id) = spec.schema_id {
        return match context.registry.by_id(id)? {
            Some(schema) => context.registry.adopt(&context.subject(), &schema),
            None => Ok(()),
        };
    }
    if fields.is_empty() {
        return Ok(());
    }
    let Some((schema_type, text)) = schema_text(spec, fields, context.side)? else { return Ok(()) };
    context.registry.register(&context.subject(), schema_type, &text).map(|_| ())
}

/// The format that has no bytes.
struct NoneCodec;

impl RowCodec for NoneCodec {
    fn encode(&self, _row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        Ok(None)
    }

    fn decode(&self, _bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        Ok(None)
    }
}
