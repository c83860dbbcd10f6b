//! How a record is printed: Kafka's default formatter and its kin.

use milena_client::TopicPartition;
use milena_client::consumer::ReadRecord;
use milena_protocol::record::NO_TIMESTAMP;

use super::deserializer::Deserializer;
use super::internal_topics::InternalTopic;
use super::schema_formatter::SchemaFormatter;
use crate::failure::Failure;
use crate::session::ClientProperties;

/// Prints records to a buffer.
#[derive(Debug, Clone)]
pub enum Formatter {
    /// Fields joined by a separator.
    Default(Box<DefaultFormatter>),
    /// JSON of the records of an internal topic.
    Internal(InternalTopic),
    /// JSON of records that name a schema.
    Schema(Box<SchemaFormatter>),
    /// Nothing.
    NoOp,
}

/// See [`Formatter::Default`].
#[derive(Debug, Clone)]
pub struct DefaultFormatter {
    print_timestamp: bool,
    print_partition: bool,
    print_offset: bool,
    print_delivery: bool,
    print_epoch: bool,
    print_headers: bool,
    print_key: bool,
    print_value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
    key: Deserializer,
    value: Deserializer,
    headers: Deserializer,
}

impl Formatter {
    /// By class name; `None` is the default formatter.
    ///
    /// # Errors
    /// An unknown class.
    pub fn new(class: Option<&str>, properties: &ClientProperties) -> Result<Formatter, Failure> {
        let class = class.unwrap_or("DefaultMessageFormatter");
        let simple = class.rsplit(['.', '$']).next().unwrap_or(class);
        match simple {
            "DefaultMessageFormatter" | "LoggingMessageFormatter" => {
                Ok(Formatter::Default(Box::new(DefaultFormatter::new(properties)?)))
            }
            "AvroMessageFormatter" | "JsonSchemaMessageFormatter" | "ProtobufMessageFormatter" => {
                Ok(Formatter::Schema(Box::new(SchemaFormatter::new(properties)?)))
            }
            "NoOpMessageFormatter" => Ok(Formatter::NoOp),
            _ => match InternalTopic::by_formatter(simple) {
                Some(topic) => Ok(Formatter::Internal(topic)),
                None => {
                    Err(Failure::Exception { class: "java.lang.ClassNotFoundException", message: class.to_owned() })
                }
            },
        }
    }

    /// Appends the text of one record to `output`.
    ///
    /// # Errors
    /// Bytes that the deserializer refuses.
    pub fn write(&self, tp: &TopicPartition, read: &ReadRecord<'_>, output: &mut Vec<u8>) -> Result<(), Failure> {
        self.write_delivered(tp, read, None, output)
    }

    /// As [`Formatter::write`] for a record of a share group, with the number of its delivery.
    ///
    /// # Errors
    /// Bytes that the deserializer refuses.
    pub fn write_delivered(
        &self,
        tp: &TopicPartition,
        read: &ReadRecord<'_>,
        delivery_count: Option<i16>,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match self {
            Formatter::Default(formatter) => formatter.write(tp, read, delivery_count, output),
            Formatter::Internal(topic) => {
                topic.write(read.record.key, read.record.value, output);
                Ok(())
            }
            Formatter::Schema(formatter) => formatter.write(tp, read, output),
            Formatter::NoOp => Ok(()),
        }
    }
}

impl DefaultFormatter {
    fn new(properties: &ClientProperties) -> Result<DefaultFormatter, Failure> {
        let yes = |key: &str, default: bool| {
            properties.get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let text = |key: &str, default: &str| properties.get(key).unwrap_or(default).to_owned();
        let deserializer = |key: &str| properties.get(key).map_or(Ok(Deserializer::Text), Deserializer::by_class);
        Ok(DefaultFormatter {
            print_timestamp: yes("print.timestamp", false),
            print_partition: yes("print.partition", false),
            print_offset: yes("print.offset", false),
            print_delivery: yes("print.delivery", false),
            print_epoch: yes("print.epoch", false),
            print_headers: yes("print.headers", false),
            print_key: yes("print.key", false),
            print_value: yes("print.value", true),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key: deserializer("key.deserializer")?,
            value: deserializer("value.deserializer")?,
            headers: deserializer("headers.deserializer")?,
        })
    }

    fn write(
        &self,
        tp: &TopicPartition,
        read: &ReadRecord<'_>,
        delivery_count: Option<i16>,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let record = &read.record;
        let mut fields = Fields { separator: &self.key_separator, empty: true, output };
        if self.print_timestamp {
            let text = match record.timestamp {
                NO_TIMESTAMP => "NO_TIMESTAMP".to_owned(),
                timestamp => format!("{}:{timestamp}", read.timestamp_type.name()),
            };
            fields.next().extend_from_slice(text.as_bytes());
        }
        if self.print_partition {
            fields.next().extend_from_slice(format!("Partition:{}", tp.partition).as_bytes());
        }
        if self.print_offset {
            fields.next().extend_from_slice(format!("Offset:{}", record.offset).as_bytes());
        }
        if self.print_delivery {
            let count = delivery_count.map_or_else(|| "NOT_PRESENT".to_owned(), |count| count.to_string());
            fields.next().extend_from_slice(format!("Delivery:{count}").as_bytes());
        }
        if self.print_epoch {
            // Kafka's console consumer drops the epoch before it prints the record.
            fields.next().extend_from_slice(b"Epoch:NOT_PRESENT");
        }
        if self.print_headers {
            self.write_headers(read, fields.next())?;
        }
        if self.print_key {
            self.write_nullable(record.key, self.key, fields.next())?;
        }
        if self.print_value {
            self.write_nullable(record.value, self.value, fields.next())?;
        }
        output.extend_from_slice(self.line_separator.as_bytes());
        Ok(())
    }

    fn write_headers(&self, read: &ReadRecord<'_>, output: &mut Vec<u8>) -> Result<(), Failure> {
        if read.record.header_count() == 0 {
            output.extend_from_slice(b"NO_HEADERS");
        }
        for (index, (key, value)) in read.record.headers().enumerate() {
            if index > 0 {
                output.extend_from_slice(self.headers_separator.as_bytes());
            }
            output.extend_from_slice(key);
            output.push(b':');
            self.write_nullable(value, self.headers, output)?;
        }
        Ok(())
    }

    fn write_nullable(
        &self,
        bytes: Option<&[u8]>,
        deserializer: Deserializer,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match bytes {
            Some(bytes) => deserializer.write(bytes, output),
            None => {
                output.extend_from_slice(self.null_literal.as_bytes());
                Ok(())
            }
        }
    }
}

/// Puts separators between the fields of a line.
struct Fields<'a> {
    separator: &'a str,
    empty: bool,
    output: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.output.extend_from_slice(self.separator.as_bytes());
        }
        self.output
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use milena_protocol::record::{BatchBuilder, BatchOptions, BatchView, Header, RecordError};

    use super::*;

    fn printed(
        properties: &[(&str, &str)],
        key: Option<&str>,
        value: Option<&str>,
        headers: &[(&str, &str)],
    ) -> String {
        let mut settings = ClientProperties::default();
        for (name, value) in properties {
            settings.set(name, *value);
        }
        let formatter = Formatter::new(None, &settings).unwrap();
        let headers: Vec<Header> = headers
            .iter()
            .map(|(key, value)| Header {
                key: Bytes::copy_from_slice(key.as_bytes()),
                value: Some(Bytes::copy_from_slice(value.as_bytes())),
            })
            .collect();
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(1_795_229_604_557, key.map(str::as_bytes), value.map(str::as_bytes), &headers);
        let batch = builder.build().unwrap();
        let view = BatchView::parse(&batch).unwrap();
        let mut output = Vec::new();
        view.for_each_record::<RecordError>(1024, |record| {
            let read = ReadRecord { record: *record, timestamp_type: view.timestamp_type(), leader_epoch: 0 };
            formatter.write(&TopicPartition::new("orders", 2), &read, &mut output).unwrap();
            Ok(())
        })
        .unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn all_fields_are_printed_as_recorded() {
        let all: Vec<(&str, &str)> = ["timestamp", "partition", "offset", "epoch", "headers", "key"]
            .iter()
            .map(|name| (Box::leak(format!("print.{name}").into_boxed_str()) as &str, "true"))
            .collect();
        let text = printed(&all, Some("k1"), Some("hello"), &[("h1", "v1"), ("h2", "v2")]);
        assert_eq!(
            text,
            "CreateTime:1795229604557\tPartition:2\tOffset:0\tEpoch:NOT_PRESENT\th1:v1,h2:v2\tk1\thello\n"
        );
    }

    #[test]
    fn the_value_alone_is_the_default_and_nulls_have_a_literal() {
        assert_eq!(printed(&[], Some("k"), Some("v"), &[]), "v\n");
        assert_eq!(printed(&[("print.key", "true")], None, None, &[]), "null\tnull\n");
        let properties =
            [("print.key", "true"), ("null.literal", "-"), ("key.separator", "="), ("line.separator", ";")];
        assert_eq!(printed(&properties, Some("k"), None, &[]), "k=-;");
        assert_eq!(printed(&[("print.headers", "true"), ("print.value", "false")], None, None, &[]), "NO_HEADERS\n");
    }

    #[test]
    fn unknown_formatters_are_refused() {
        assert!(Formatter::new(Some("com.example.Mine"), &ClientProperties::default()).is_err());
        let old = Formatter::new(
            Some("kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter"),
            &ClientProperties::default(),
        );
        assert!(matches!(old, Ok(Formatter::Internal(_))));
    }
}
