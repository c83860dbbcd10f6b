//! Which message of a file a record holds.
//!
//! A record names its message by indexes: the position of the outermost message among the messages of the file, then
//! positions among nested messages. Maps and groups do not count: only messages that the file declares do.

use super::ProtobufSchema;
use super::ast::{Message, TypeDecl, messages};
use super::types::qualified;

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
}
