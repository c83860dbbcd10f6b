//! Dynamic messages: which message a record holds, and JSON to binary and back.
//!
//! A record names its message by indexes: the position of the outermost message among the messages of the file, then
//! positions among nested messages. Maps and groups do not count: only messages that the file declares do.

use prost_reflect::prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

use super::ProtobufSchema;
use super::ast::{Message, TypeDecl, messages};
use super::types::qualified;
use crate::{SchemaError, SchemaType};

impl ProtobufSchema {
    /// The full name of the message at `indexes`; no indexes mean the first message.
    pub fn message_name(&self, indexes: &[i32]) -> Option<String> {
        let indexes = if indexes.is_empty() { &[0] } else { indexes };
        let mut types: &[TypeDecl] = &self.file.types;
        let mut name = self.package().to_owned();
        for index in indexes {
            let message = messages(types).nth(usize::try_from(*index).ok()?)?;
            name = qualified(&name, &message.name);
            types = &message.types;
        }
        Some(name)
    }

    /// The indexes of the message with the full name `name`.
    pub fn message_indexes(&self, name: &str) -> Option<Vec<i32>> {
        let local = match self.package() {
            "" => name,
            package => name.strip_prefix(package)?.strip_prefix('.')?,
        };
        let mut types: &[TypeDecl] = &self.file.types;
        let mut indexes = Vec::new();
        for part in local.split('.') {
            let (index, message): (usize, &Message) =
                messages(types).enumerate().find(|(_, message)| message.name == part)?;
            indexes.push(i32::try_from(index).ok()?);
            types = &message.types;
        }
        Some(indexes)
    }

    /// The descriptor of the message at `indexes`; no indexes mean the first message.
    ///
    /// # Errors
    /// Indexes that lead to no message, and what [`descriptor`](Self::descriptor) refuses.
    pub fn message(&self, indexes: &[i32]) -> Result<MessageDescriptor, SchemaError> {
        let name =
            self.message_name(indexes).ok_or_else(|| invalid(format!("no message has the indexes {indexes:?}")))?;
        let pool = self.descriptor()?.parent_pool();
        pool.get_message_by_name(&name).ok_or_else(|| invalid(format!("no message is called {name}")))
    }

    /// The binary form of the message at `indexes` that the JSON text `json` spells in Protobuf's JSON mapping.
    ///
    /// # Errors
    /// A text that is no such message: the place is named.
    pub fn encode_json(&self, indexes: &[i32], json: &str) -> Result<Vec<u8>, SchemaError> {
        let descriptor = self.message(indexes)?;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let options = DeserializeOptions::new();
        let message = DynamicMessage::deserialize_with_options(descriptor, &mut deserializer, &options)
            .and_then(|message| deserializer.end().map(|()| message))
            .map_err(|error| invalid(error.to_string()))?;
        Ok(message.encode_to_vec())
    }

    /// The JSON text of the message at `indexes` whose binary form is `bytes`. Fields without presence are written
    /// even where they have their default value, as consoles show them.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn decode_json(&self, indexes: &[i32], bytes: &[u8]) -> Result<String, SchemaError> {
        let message =
            DynamicMessage::decode(self.message(indexes)?, bytes).map_err(|error| invalid(error.to_string()))?;
        let options = SerializeOptions::new().skip_default_fields(false);
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut json);
        message.serialize_with_options(&mut serializer, &options).map_err(|error| invalid(error.to_string()))?;
        String::from_utf8(json).map_err(|error| invalid(error.to_string()))
    }
}

fn invalid(message: String) -> SchemaError {
    SchemaError::invalid(SchemaType::Protobuf, message)
}
