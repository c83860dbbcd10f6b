//! Records of any format between JSON and the bytes of a payload.
//!
//! The bytes have no prefix: how a record names its schema is in [`wire`](crate::wire).

use prost_reflect::prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, FileDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::Value;

use crate::avro::AvroSchema;
use crate::document::push_pointer;
use crate::json::JsonSchema;
use crate::protobuf::ProtobufSchema;

/// Why a value cannot be written or bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The value is not one of the schema.
    #[error("{message}{}{location}", if location.is_empty() { "" } else { " at " })]
    Value {
        /// What was expected.
        message: String,
        /// A JSON pointer into the value; empty at its root or when the place is not known.
        location: String,
    },
    /// The bytes were not written with the schema.
    #[error("invalid record: {0}")]
    Bytes(String),
    /// A Protobuf file without the message that is meant.
    #[error("no message {0} in the schema")]
    NoMessage(String),
}

impl CodecError {
    fn value(message: impl Into<String>) -> Self {
        CodecError::Value { message: message.into(), location: String::new() }
    }
}

/// A record as its format writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// Protobuf: the path of the message within its file. It goes before the bytes, or into the header with the GUID.
    pub message_indexes: Option<Vec<i32>>,
    /// The record.
    pub bytes: Vec<u8>,
}

impl AvroSchema {
    pub(crate) fn encode_payload(&self, value: &Value, _message: Option<&str>) -> Result<Payload, CodecError> {
        Ok(Payload { message_indexes: None, bytes: self.encode(value)? })
    }

    pub(crate) fn decode_payload(&self, bytes: &[u8], _indexes: Option<&[i32]>) -> Result<Value, CodecError> {
        self.decode(bytes)
    }
}

impl JsonSchema {
    pub(crate) fn encode_payload(&self, value: &Value, _message: Option<&str>) -> Result<Payload, CodecError> {
        self.validate(value).map_err(CodecError::value)?;
        Ok(Payload { message_indexes: None, bytes: value.to_string().into_bytes() })
    }

    pub(crate) fn decode_payload(&self, bytes: &[u8], _indexes: Option<&[i32]>) -> Result<Value, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| CodecError::Bytes(error.to_string()))
    }
}

impl ProtobufSchema {
    pub(crate) fn encode_payload(&self, value: &Value, message: Option<&str>) -> Result<Payload, CodecError> {
        let file = self.descriptor().map_err(|error| CodecError::value(error.to_string()))?;
        let message = message_by_name(file, message)?;
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let dynamic = DynamicMessage::deserialize_with_options(message.clone(), value, &options).map_err(|error| {
            let mut location = String::new();
            locate(&message, value, &mut location);
            CodecError::Value { message: error.to_string(), location }
        })?;
        Ok(Payload { message_indexes: Some(message_indexes(&message)), bytes: dynamic.encode_to_vec() })
    }

    pub(crate) fn decode_payload(&self, bytes: &[u8], indexes: Option<&[i32]>) -> Result<Value, CodecError> {
        let file = self.descriptor().map_err(|error| CodecError::Bytes(error.to_string()))?;
        let message = message_by_indexes(file, indexes.unwrap_or(&[0]))?;
        let dynamic = DynamicMessage::decode(message, bytes).map_err(|error| CodecError::Bytes(error.to_string()))?;
        // Fields without presence are always shown, as the original's tools do.
        let options = SerializeOptions::new().skip_default_fields(false);
        dynamic
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(|error| CodecError::Bytes(error.to_string()))
    }
}

/// Finds the place in `value` that keeps it from being a `message`, which the reader of messages does not tell: each
/// member is tried alone. Appends it to `pointer` as a JSON pointer.
fn locate(message: &MessageDescriptor, value: &Value, pointer: &mut String) {
    let fits = |member: Value| {
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        DynamicMessage::deserialize_with_options(message.clone(), &member, &options).is_ok()
    };
    let single = |name: &str, member: Value| Value::Object([(name.to_owned(), member)].into_iter().collect());
    let Some(members) = value.as_object() else { return };
    let Some((name, member)) = members.iter().find(|(name, member)| !fits(single(name, (*member).clone()))) else {
        return;
    };
    push_pointer(pointer, name);
    let Some(field) = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name)) else { return };
    let inner = |kind: Kind, member: &Value, pointer: &mut String| {
        if let Kind::Message(message) = kind {
            locate(&message, member, pointer);
        }
    };
    match member {
        Value::Array(elements) if field.is_list() => {
            let alone = |element: &Value| single(name, Value::Array(vec![element.clone()]));
            if let Some((index, element)) = elements.iter().enumerate().find(|(_, element)| !fits(alone(element))) {
                push_pointer(pointer, &index.to_string());
                inner(field.kind(), element, pointer);
            }
        }
        Value::Object(entries) if field.is_map() => {
            let alone = |key: &str, entry: &Value| single(name, single(key, entry.clone()));
            if let Some((key, entry)) = entries.iter().find(|(key, entry)| !fits(alone(key, entry))) {
                push_pointer(pointer, key);
                if let Kind::Message(of_entry) = field.kind() {
                    inner(of_entry.map_entry_value_field().kind(), entry, pointer);
                }
            }
        }
        member => inner(field.kind(), member, pointer),
    }
}

/// The message called `name`, in full or within the package; the first one of the file without a name.
fn message_by_name(file: &FileDescriptor, name: Option<&str>) -> Result<MessageDescriptor, CodecError> {
    let Some(name) = name else {
        return file.messages().next().ok_or_else(|| CodecError::NoMessage("at all".to_owned()));
    };
    let within = format!("{}.{name}", file.package_name());
    let pool = file.parent_pool();
    let found = pool.get_message_by_name(name).or_else(|| pool.get_message_by_name(&within));
    found.filter(|message| message.parent_file() == *file).ok_or_else(|| CodecError::NoMessage(name.to_owned()))
}

fn message_by_indexes(file: &FileDescriptor, indexes: &[i32]) -> Result<MessageDescriptor, CodecError> {
    let missing = || CodecError::NoMessage(format!("with indexes {indexes:?}"));
    let mut steps = indexes.iter().map(|index| usize::try_from(*index).ok());
    let first = steps.next().flatten().ok_or_else(missing)?;
    let mut message = file.messages().nth(first).ok_or_else(missing)?;
    for step in steps {
        let next = step.and_then(|step| message.child_messages().nth(step));
        message = next.ok_or_else(missing)?;
    }
    Ok(message)
}

/// The path of `message` from the outermost one inwards.
fn message_indexes(message: &MessageDescriptor) -> Vec<i32> {
    // A descriptor's path alternates field numbers of the descriptor's own messages and indexes.
    message.path().iter().skip(1).step_by(2).copied().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{ParseOptions, ParsedSchema, SchemaType};

    const FILE: &str = r#"
        syntax = "proto3";
        package shop;
        message Order {
          int64 id = 1;
          string note = 2;
          repeated Line lines = 3;
          optional int32 discount = 4;
          message Line { string sku = 1; int32 count = 2; }
        }
        message Customer { string name = 1; bytes key = 2; map<string, int32> points = 3; }
    "#;

    fn protobuf() -> ParsedSchema {
        ParsedSchema::parse(SchemaType::Protobuf, FILE, &[], &ParseOptions::NEW).unwrap()
    }

    #[test]
    fn a_protobuf_message_is_its_json_form() {
        let schema = protobuf();
        let value = json!({"id": "5", "note": "", "lines": [{"sku": "a", "count": 2}]});
        let payload = schema.encode(&value, None).unwrap();
        assert_eq!(payload.message_indexes, Some(vec![0]));
        assert_eq!(payload.bytes, [0x08, 5, 0x1a, 5, 0x0a, 1, b'a', 0x10, 2]);
        // What has no presence is shown with its default, what has one only when it is set.
        assert_eq!(schema.decode(&payload.bytes, Some(&[0])).unwrap(), value);
    }

    #[test]
    fn other_messages_are_found_by_name_and_by_indexes() {
        let schema = protobuf();
        let line = json!({"sku": "b", "count": 0});
        let payload = schema.encode(&line, Some("Order.Line")).unwrap();
        assert_eq!(payload.message_indexes, Some(vec![0, 0]));
        assert_eq!(schema.decode(&payload.bytes, Some(&[0, 0])).unwrap(), line);
        let customer = json!({"name": "Ada", "key": "AAH/", "points": {"a": 1}});
        let payload = schema.encode(&customer, Some("shop.Customer")).unwrap();
        assert_eq!(payload.message_indexes, Some(vec![1]));
        assert_eq!(schema.decode(&payload.bytes, Some(&[1])).unwrap(), customer);
        assert_eq!(schema.encode(&customer, Some("Nope")), Err(CodecError::NoMessage("Nope".to_owned())));
        for indexes in [&[2][..], &[0, 1], &[-1], &[]] {
            assert!(matches!(schema.decode(&[], Some(indexes)), Err(CodecError::NoMessage(_))), "{indexes:?}");
        }
    }

    #[test]
    fn protobuf_values_and_bytes_that_do_not_fit_are_refused() {
        let schema = protobuf();
        assert!(schema.encode(&json!({"unknown": 1}), None).is_err());
        assert!(schema.encode(&json!({"id": "x"}), None).is_err());
        assert!(schema.decode(&[0x08], Some(&[0])).is_err());
        let place = |value| match schema.encode(&value, None) {
            Err(CodecError::Value { location, .. }) => location,
            other => panic!("{other:?}"),
        };
        assert_eq!(place(json!({"note": "a", "id": "x"})), "/id");
        assert_eq!(place(json!({"lines": [{"sku": "a"}, {"count": 1, "sku": 5}]})), "/lines/1/sku");
        assert_eq!(place(json!({"lines": [{"sku": "a", "unknown": 1}]})), "/lines/0/unknown");
        assert!(schema.decode(&[0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f], Some(&[0])).is_err());
    }
}
