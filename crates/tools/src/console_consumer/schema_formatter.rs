//! Printing records whose keys and values name a schema, in the manner of Confluent's formatters: JSON, and on demand
//! the id of the schema behind it.

use milena_client::TopicPartition;
use milena_client::consumer::ReadRecord;
use milena_protocol::record::NO_TIMESTAMP;
use milena_schema::document::{Node, Spelling};
use milena_schema::serializer;
use milena_schema::wire::{KEY_HEADER, SchemaId, VALUE_HEADER};

use super::deserializer::Deserializer;
use crate::failure::Failure;
use crate::schema_registry;
use crate::session::ClientProperties;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct SchemaFormatter {
    print_timestamp: bool,
    print_partition: bool,
    print_offset: bool,
    print_headers: bool,
    print_key: bool,
    print_schema_ids: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    id_separator: String,
    null_literal: String,
    /// Keys that have no schema (`key.deserializer`).
    key: Option<Deserializer>,
    headers: Deserializer,
    records: serializer::Deserializer,
}

impl SchemaFormatter {
    /// With the properties of the formatter; those of the registry are among them.
    ///
    /// # Errors
    /// A deserializer that is not built in; settings of the registry that make no sense.
    pub fn new(properties: &ClientProperties) -> Result<SchemaFormatter, Failure> {
        let yes = |key: &str| properties.get(key).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let text = |key: &str, default: &str| properties.get(key).unwrap_or(default).to_owned();
        let headers = properties.get("headers.deserializer").map(Deserializer::by_class).transpose()?;
        Ok(SchemaFormatter {
            print_timestamp: yes("print.timestamp"),
            print_partition: yes("print.partition"),
            print_offset: yes("print.offset"),
            print_headers: yes("print.headers"),
            print_key: yes("print.key"),
            print_schema_ids: yes("print.schema.ids"),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            id_separator: text("schema.id.separator", "\t"),
            null_literal: text("null.literal", "null"),
            key: properties.get("key.deserializer").map(Deserializer::by_class).transpose()?,
            headers: headers.unwrap_or(Deserializer::Text),
            records: serializer::Deserializer::new(schema_registry::client(properties)?),
        })
    }

    /// Appends the text of one record.
    ///
    /// # Errors
    /// Bytes that name no schema, an unknown one, or were not written with it.
    pub fn write(&self, tp: &TopicPartition, read: &ReadRecord<'_>, output: &mut Vec<u8>) -> Result<(), Failure> {
        let record = &read.record;
        if self.print_timestamp {
            let text = match record.timestamp {
                NO_TIMESTAMP => "NO_TIMESTAMP".to_owned(),
                timestamp => format!("{}:{timestamp}", read.timestamp_type.name()),
            };
            self.field(&text, output);
        }
        if self.print_partition {
            self.field(&format!("Partition:{}", tp.partition), output);
        }
        if self.print_offset {
            self.field(&format!("Offset:{}", record.offset), output);
        }
        if self.print_headers {
            self.write_headers(read, output)?;
            self.field("", output);
        }
        if self.print_key {
            match (record.key, self.key) {
                (Some(key), Some(deserializer)) => deserializer.write(key, output)?,
                (key, _) => self.write_payload(read, key, KEY_HEADER, output)?,
            }
            self.field("", output);
        }
        self.write_payload(read, record.value, VALUE_HEADER, output)?;
        output.extend_from_slice(self.line_separator.as_bytes());
        Ok(())
    }

    /// Ends a field that is not the last one.
    fn field(&self, text: &str, output: &mut Vec<u8>) {
        output.extend_from_slice(text.as_bytes());
        output.extend_from_slice(self.key_separator.as_bytes());
    }

    fn write_payload(
        &self,
        read: &ReadRecord<'_>,
        payload: Option<&[u8]>,
        header_name: &str,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let Some(payload) = payload else {
            output.extend_from_slice(self.null_literal.as_bytes());
            return Ok(());
        };
        let mut headers = read.record.headers();
        let header = headers.find(|(name, _)| *name == header_name.as_bytes()).and_then(|(_, value)| value);
        let record = self.records.read(payload, header)?;
        // Numbers as Java spells them, as scripts that read this output expect.
        output.extend_from_slice(Node::from_value(&record.value).text(Spelling::Java).as_bytes());
        if self.print_schema_ids {
            output.extend_from_slice(self.id_separator.as_bytes());
            let id = match record.id {
                SchemaId::Id(id) => id.to_string(),
                SchemaId::Guid(guid) => guid.to_string(),
            };
            output.extend_from_slice(id.as_bytes());
        }
        Ok(())
    }

    fn write_headers(&self, read: &ReadRecord<'_>, output: &mut Vec<u8>) -> Result<(), Failure> {
        if read.record.header_count() == 0 {
            output.extend_from_slice(b"NO_HEADERS");
        }
        for (index, (name, value)) in read.record.headers().enumerate() {
            if index > 0 {
                output.extend_from_slice(self.headers_separator.as_bytes());
            }
            output.extend_from_slice(name);
            output.push(b':');
            match value {
                Some(value) => self.headers.write(value, output)?,
                None => output.extend_from_slice(self.null_literal.as_bytes()),
            }
        }
        Ok(())
    }
}
