//! Defaults of schemas as Avro binary.

use milena_schema::avro::{Kind, Type};
use milena_schema::document::Node;

use super::writer::Writer;
use crate::formats::FormatError;

/// Defaults nest no deeper: a record whose default is empty may contain itself.
const DEPTH_MAX: usize = 64;

impl Writer<'_> {
    /// What a schema says where a value is missing.
    pub(super) fn default(&mut self, avro: &Type, default: &Node, depth: usize) -> Result<(), FormatError> {
        let refused = || FormatError(format!("the default of a field is no {}", avro.kind.name()));
        if depth > DEPTH_MAX {
            return Err(FormatError::new("defaults are nested too deeply"));
        }
        match (&avro.kind, default) {
            (Kind::Null, _) => {}
            (Kind::Boolean, Node::Bool(truth)) => self.output.push(u8::from(*truth)),
            (Kind::Int | Kind::Long, _) => self.long(default.as_i64().ok_or_else(refused)?),
            (Kind::Float, _) => self.output.extend((default.as_f64().ok_or_else(refused)? as f32).to_le_bytes()),
            (Kind::Double, _) => self.output.extend(default.as_f64().ok_or_else(refused)?.to_le_bytes()),
            (Kind::String, Node::String(text)) => self.bytes(text.as_bytes()),
            (Kind::Bytes, Node::String(text)) => self.bytes(&latin1(text)),
            (Kind::Fixed(_), Node::String(text)) => self.output.extend(latin1(text)),
            (Kind::Enum(symbols), Node::String(text)) => {
                self.long(symbols.symbols.iter().position(|symbol| symbol == text).ok_or_else(refused)? as i64);
            }
            (Kind::Array(items), Node::Array(elements)) => {
                let items = self.schema.type_of(*items);
                self.block(elements.len());
                elements.iter().try_for_each(|element| self.default(items, element, depth + 1))?;
                self.end(elements.len());
            }
            (Kind::Map(values), Node::Object(members)) => {
                let values = self.schema.type_of(*values);
                self.block(members.len());
                for (name, member) in members {
                    self.bytes(name.as_bytes());
                    self.default(values, member, depth + 1)?;
                }
                self.end(members.len());
            }
            (Kind::Record(record), Node::Object(members)) => {
                for field in &record.fields {
                    let member = members.get(&field.name).or(field.default.as_ref()).ok_or_else(refused)?;
                    self.default(self.schema.type_of(field.type_id), member, depth + 1)?;
                }
            }
            (Kind::Union(branches), _) => {
                let fits = |kind: &Kind| is_of(kind, default);
                let branch = branches.iter().position(|branch| fits(&self.schema.type_of(*branch).kind));
                let branch = branch.ok_or_else(refused)?;
                self.long(branch as i64);
                self.default(self.schema.type_of(branches[branch]), default, depth + 1)?;
            }
            _ => return Err(refused()),
        }
        Ok(())
    }
}

/// Whether a default can be of a branch of a union.
fn is_of(kind: &Kind, default: &Node) -> bool {
    match default {
        Node::Null => matches!(kind, Kind::Null),
        Node::Bool(_) => matches!(kind, Kind::Boolean),
        Node::Number(_) => {
            matches!(kind, Kind::Float | Kind::Double)
                || default.as_i64().is_some() && matches!(kind, Kind::Int | Kind::Long)
        }
        Node::String(_) => matches!(kind, Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Fixed(_)),
        Node::Array(_) => matches!(kind, Kind::Array(_)),
        Node::Object(_) => matches!(kind, Kind::Map(_) | Kind::Record(_)),
    }
}

/// Bytes are written as the characters of their numbers.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u32::from(character) as u8).collect()
}
