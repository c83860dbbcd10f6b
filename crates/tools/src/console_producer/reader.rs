//! How a line becomes a record: as it is, or through the schema of its key and value.

use std::borrow::Cow;

use bytes::Bytes;
use milena_protocol::record::Header;
use milena_schema::SchemaType;
use milena_schema::client::{RegistryClient, SchemaText};
use milena_schema::serializer::{SchemaWriter, SerializerConfig};
use milena_schema::wire::SchemaId;

use super::line_reader::{Line, LineReader};
use crate::failure::Failure;
use crate::schema_registry::{self, invalid_config, serialization};
use crate::session::ClientProperties;

/// How lines become records.
pub(super) enum Reader {
    /// Bytes as they are.
    Lines(LineReader),
    /// JSON that is written by a schema.
    Schema(Box<SchemaReader>),
}

/// What is sent.
pub(super) struct Record<'a> {
    pub key: Option<Cow<'a, [u8]>>,
    pub value: Option<Cow<'a, [u8]>>,
    pub headers: Vec<Header>,
}

/// See [`Reader::Schema`].
pub(super) struct SchemaReader {
    lines: LineReader,
    key: KeyWriter,
    value: SchemaWriter,
}

/// How keys are written.
enum KeyWriter {
    /// Lines have no key.
    None,
    /// By a schema.
    Schema(SchemaWriter),
    /// By one of Kafka's own serializers (`key.serializer`).
    Plain(PlainSerializer),
}

/// Kafka's serializers that a line can feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainSerializer {
    String,
    Short,
    Integer,
    Long,
}

impl Reader {
    /// By class name; `None` is the plain reader. The schemas are registered or found before the first line is read.
    ///
    /// # Errors
    /// An unknown class; a schema that is missing, does not parse, or is refused by the registry.
    pub(super) fn new(class: Option<&str>, properties: &ClientProperties, topic: &str) -> Result<Reader, Failure> {
        let mut lines = LineReader::default();
        for (key, value) in properties.iter() {
            lines.set(key, value)?;
        }
        let schema_type = match class {
            None
            | Some("org.apache.kafka.tools.LineMessageReader" | "kafka.tools.ConsoleProducer$LineMessageReader") => {
                return Ok(Reader::Lines(lines));
            }
            Some("io.confluent.kafka.formatter.AvroMessageReader") => SchemaType::Avro,
            Some("io.confluent.kafka.formatter.json.JsonSchemaMessageReader") => SchemaType::Json,
            Some("io.confluent.kafka.formatter.protobuf.ProtobufMessageReader") => SchemaType::Protobuf,
            Some(other) => {
                let message = format!("--line-reader {other} is not available: only the built-in readers are");
                return Err(Failure::illegal_argument(message));
            }
        };
        SchemaReader::new(lines, schema_type, properties, topic).map(|reader| Reader::Schema(Box::new(reader)))
    }

    /// Reads line number `number` (from 1).
    ///
    /// # Errors
    /// A line without the separators that were asked for; a value that is not one of its schema.
    pub(super) fn record<'a>(&self, line: &'a [u8], number: usize) -> Result<Record<'a>, Failure> {
        match self {
            Reader::Lines(lines) => {
                let Line { key, value, headers } = lines.parse(line, number)?;
                Ok(Record { key: key.map(Cow::Borrowed), value: value.map(Cow::Borrowed), headers })
            }
            Reader::Schema(reader) => reader.record(line, number),
        }
    }
}

impl SchemaReader {
    fn new(
        lines: LineReader,
        schema_type: SchemaType,
        properties: &ClientProperties,
        topic: &str,
    ) -> Result<SchemaReader, Failure> {
        let client = schema_registry::client(properties)?;
        let value = writer(&client, schema_type, properties, topic, false)?;
        let key = match properties.get("key.serializer") {
            _ if !lines.has_key() => KeyWriter::None,
            Some(class) => KeyWriter::Plain(PlainSerializer::by_class(class)?),
            None => KeyWriter::Schema(writer(&client, schema_type, properties, topic, true)?),
        };
        Ok(SchemaReader { lines, key, value })
    }

    fn record<'a>(&self, line: &'a [u8], number: usize) -> Result<Record<'a>, Failure> {
        let Line { key, value, mut headers } = self.lines.parse(line, number)?;
        let key = match (&self.key, key) {
            (_, None) | (KeyWriter::None, _) => None,
            (KeyWriter::Schema(writer), Some(key)) => Some(write(writer, key, &mut headers)?),
            (KeyWriter::Plain(serializer), Some(key)) => Some(serializer.write(key)?),
        };
        let value = value.map(|value| write(&self.value, value, &mut headers)).transpose()?;
        Ok(Record { key: key.map(Cow::Owned), value: value.map(Cow::Owned), headers })
    }
}

fn write(writer: &SchemaWriter, text: &[u8], headers: &mut Vec<Header>) -> Result<Vec<u8>, Failure> {
    let value = serde_json::from_slice(text).map_err(|error| unwritable(writer, text, &error.to_string()))?;
    let serialized = writer.write(&value).map_err(|error| unwritable(writer, text, &error.to_string()))?;
    if let Some((name, value)) = serialized.header {
        headers.push(Header { key: Bytes::from_static(name.as_bytes()), value: Some(Bytes::from(value)) });
    }
    Ok(serialized.payload)
}

fn unwritable(writer: &SchemaWriter, text: &[u8], reason: &str) -> Failure {
    let format = match writer.schema().schema_type() {
        SchemaType::Avro => "Avro",
        SchemaType::Json => "JSON Schema",
        SchemaType::Protobuf => "Protobuf",
    };
    let (text, schema) = (String::from_utf8_lossy(text), writer.schema().canonical());
    serialization(format!("Error deserializing json {text} to {format} of schema {schema}: {reason}"))
}

/// The writer for keys or values: `value.schema`, `value.schema.file` or `value.schema.id`, with `value.refs`.
fn writer(
    client: &RegistryClient,
    schema_type: SchemaType,
    properties: &ClientProperties,
    topic: &str,
    is_key: bool,
) -> Result<SchemaWriter, Failure> {
    let side = if is_key { "key" } else { "value" };
    let get = |suffix: &str| properties.get(&format!("{side}.{suffix}"));
    let schema = match (get("schema.id"), get("schema"), get("schema.file")) {
        (Some(id), _, _) => {
            let id = id.trim().parse().map_err(|_| serialization(format!("Error parsing {side}.schema.id as int")))?;
            client.schema(SchemaId::Id(id), None)?.text
        }
        (None, Some(text), _) => given(schema_type, text.to_owned(), get("refs"))?,
        (None, None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| invalid_config(format!("Error reading schema from {path}: {error}")))?;
            given(schema_type, text, get("refs"))?
        }
        (None, None, None) => {
            return Err(invalid_config(format!(
                "Must provide the {side} schema in either {side}.schema, {side}.schema.id, or {side}.schema.file"
            )));
        }
    };
    if schema.schema_type != schema_type {
        let found = schema.schema_type;
        return Err(invalid_config(format!("the {side} schema is of type {found}, this reader is for {schema_type}")));
    }
    let config = SerializerConfig::from_properties(|key| properties.get(key), is_key)?;
    Ok(SchemaWriter::new(client, &config, topic, is_key, &schema)?)
}

fn given(schema_type: SchemaType, schema: String, references: Option<&str>) -> Result<SchemaText, Failure> {
    let references = references.map(serde_json::from_str).transpose();
    let references = references.map_err(|error| invalid_config(format!("references are not a JSON list: {error}")))?;
    Ok(SchemaText { schema, schema_type, references: references.unwrap_or_default() })
}

impl PlainSerializer {
    fn by_class(class: &str) -> Result<PlainSerializer, Failure> {
        match class.rsplit('.').next().unwrap_or(class) {
            "StringSerializer" => Ok(PlainSerializer::String),
            "ShortSerializer" => Ok(PlainSerializer::Short),
            "IntegerSerializer" => Ok(PlainSerializer::Integer),
            "LongSerializer" => Ok(PlainSerializer::Long),
            _ => Err(invalid_config(format!("Error initializing Key serializer: {class}"))),
        }
    }

    fn write(self, text: &[u8]) -> Result<Vec<u8>, Failure> {
        let shown = String::from_utf8_lossy(text);
        let number = || shown.trim().parse::<i64>();
        let bytes = match self {
            PlainSerializer::String => return Ok(text.to_vec()),
            PlainSerializer::Short => {
                number().ok().and_then(|n| i16::try_from(n).ok()).map(|n| n.to_be_bytes().to_vec())
            }
            PlainSerializer::Integer => {
                number().ok().and_then(|n| i32::try_from(n).ok()).map(|n| n.to_be_bytes().to_vec())
            }
            PlainSerializer::Long => number().ok().map(|n| n.to_be_bytes().to_vec()),
        };
        bytes.ok_or_else(|| serialization(format!("key {shown} is not a number that {self:?}Serializer writes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_kafkas_own_serializers_are_big_endian() {
        let write = |class: &str, text: &str| PlainSerializer::by_class(class).unwrap().write(text.as_bytes());
        let package = "org.apache.kafka.common.serialization";
        assert_eq!(write(&format!("{package}.LongSerializer"), "258").unwrap(), 258_i64.to_be_bytes());
        assert_eq!(write(&format!("{package}.IntegerSerializer"), "-1").unwrap(), [0xff; 4]);
        assert_eq!(write("ShortSerializer", "1").unwrap(), [0, 1]);
        assert_eq!(write("StringSerializer", "k").unwrap(), b"k");
        assert!(write("ShortSerializer", "70000").is_err());
        assert!(PlainSerializer::by_class("com.example.Mine").is_err());
    }

    #[test]
    fn a_schema_must_be_given() {
        let class = Some("io.confluent.kafka.formatter.AvroMessageReader");
        let failure = Reader::new(class, &ClientProperties::default(), "t").err().unwrap();
        assert_eq!(
            failure.to_exception(),
            "org.apache.kafka.common.config.ConfigException: Must provide the value schema in either value.schema, value.schema.id, or value.schema.file"
        );
        assert!(Reader::new(Some("com.example.Mine"), &ClientProperties::default(), "t").is_err());
    }
}
