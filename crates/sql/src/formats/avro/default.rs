//! Defaults of schemas as Avro binary.

use milena_schema::avro::{Kind, Type};
use milena_schema::document::Node;

use super::writer::Writer;
use crate::formats::FormatError;

/// Defaults nest no deeper: a record whose default is empty may contain itself.
const DEPTH_MAX: usize = 64;
/// Most values that one default stands for: records whose fields have defaults with such fields multiply.
const VALUES_MAX: usize = 10_000;
/// So much text counts as another value.
const TEXT: usize = 1000;

impl Writer<'_> {
    /// What a schema says where a value is missing.
    pub(super) fn default(&mut self, avro: &Type, default: &Node) -> Result<(), FormatError> {
        let mut left = VALUES_MAX;
        self.part(avro, default, 0, &mut left)
    }

    /// A part of a default, which nests so deep; `left` values may still be written.
    fn part(&mut self, avro: &Type, default: &Node, depth: usize, left: &mut usize) -> Result<(), FormatError> {
        let refused = || FormatError(format!("the default of a field is no {}", avro.kind.name()));
        if depth > DEPTH_MAX {
            return Err(FormatError::new("defaults are nested too deeply"));
        }
        let cost = 1 + default.as_str().map_or(0, |text| text.len() / TEXT);
        *left = left.checked_sub(cost).ok_or_else(|| FormatError::new("the default of a field has too many values"))?;
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
                elements.iter().try_for_each(|element| self.part(items, element, depth + 1, left))?;
                self.end(elements.len());
            }
            (Kind::Map(values), Node::Object(members)) => {
                let values = self.schema.type_of(*values);
                self.block(members.len());
                for (name, member) in members {
                    self.bytes(name.as_bytes());
                    self.part(values, member, depth + 1, left)?;
                }
                self.end(members.len());
            }
            (Kind::Record(record), Node::Object(members)) => {
                for field in &record.fields {
                    let member = members.get(&field.name).or(field.default.as_ref()).ok_or_else(refused)?;
                    self.part(self.schema.type_of(field.type_id), member, depth + 1, left)?;
                }
            }
            (Kind::Union(branches), _) => {
                let fits = |kind: &Kind| is_of(kind, default);
                let branch = branches.iter().position(|branch| fits(&self.schema.type_of(*branch).kind));
                let branch = branch.ok_or_else(refused)?;
                self.long(branch as i64);
                self.part(self.schema.type_of(branches[branch]), default, depth + 1, left)?;
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

#[cfg(test)]
mod tests {
    use milena_schema::ParseOptions;
    use milena_schema::avro::AvroSchema;

    use super::*;

    /// A record in which each of `levels` has two of the next.
    fn doubling(levels: usize) -> Result<Vec<u8>, FormatError> {
        let record = |inner: &str, level: usize| {
            format!(
                r#"{{"type": "record", "name": "R{level}", "fields": [
                {{"name": "a", "type": {inner}, "default": {{}}}}, {{"name": "b", "type": "R{}", "default": {{}}}}]}}"#,
                level - 1
            )
        };
        let leaf = r#"{"type": "record", "name": "R0", "fields": [{"name": "i", "type": "int", "default": 5}]}"#;
        let text = (1..=levels).fold(leaf.to_owned(), |inner, level| record(&inner, level));
        let schema = AvroSchema::parse(&text, &[], &ParseOptions::default()).unwrap();
        let mut output = Vec::new();
        let empty = milena_schema::document::read("{}").unwrap();
        Writer { schema: &schema, output: &mut output, is_dotted: false }.default(schema.root_type(), &empty)?;
        Ok(output)
    }

    #[test]
    fn defaults_that_multiply_are_refused() {
        assert_eq!(doubling(10).unwrap(), [10; 1024]);
        assert!(doubling(30).unwrap_err().0.contains("too many values"));
    }
}
