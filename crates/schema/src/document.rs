//! JSON text read the way schemas are written.
//!
//! Differences to `serde_json::Value`, all of them on account of canonical texts: numbers keep their spelling, members
//! keep their order (a repeated name replaces the value in place), nesting is limited by [`DEPTH_MAX`] with an error of
//! its own, comments may be allowed, and text is written with Jackson's escapes. A syntax error names line and column.

use indexmap::IndexMap;

mod read;
mod write;

pub use read::{ReadError, read, read_first, read_with_comments};
pub use write::{Spelling, double_text, quoted, write_double};

/// The deepest nesting that is read. A parse, a comparison or a drop of a document of this depth fits the stack of a
/// thread (2 MiB) in a debug build, which a test shows.
pub const DEPTH_MAX: usize = 500;

/// The members of an object in the order of the text.
pub type Members = IndexMap<String, Node>;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as it is spelled.
    Number(Box<str>),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Node>),
    /// An object.
    Object(Members),
}

impl Node {
    /// The member called `name` of an object.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_object()?.get(name)
    }

    /// The string, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, when it is an array.
    pub fn as_array(&self) -> Option<&[Node]> {
        match self {
            Node::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members, when it is an object.
    pub fn as_object(&self) -> Option<&Members> {
        match self {
            Node::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The number, when it is one without fraction and exponent that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Node::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The nearest double, when it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Node::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is a number without fraction and exponent, of any size.
    pub fn is_integer(&self) -> bool {
        matches!(self, Node::Number(text) if !text.contains(['.', 'e', 'E']))
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "boolean",
            Node::Number(_) => "number",
            Node::String(_) => "string",
            Node::Array(_) => "array",
            Node::Object(_) => "object",
        }
    }

    /// As a value of `serde_json`; a number beyond a double's range becomes `null`.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Node::Null => Value::Null,
            Node::Bool(yes) => Value::Bool(*yes),
            Node::Number(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Node::String(text) => Value::String(text.clone()),
            Node::Array(elements) => Value::Array(elements.iter().map(Node::to_value).collect()),
            Node::Object(members) => {
                Value::Object(members.iter().map(|(name, node)| (name.clone(), node.to_value())).collect())
            }
        }
    }

    /// From a value of `serde_json`.
    pub fn from_value(value: &serde_json::Value) -> Node {
        use serde_json::Value;
        match value {
            Value::Null => Node::Null,
            Value::Bool(yes) => Node::Bool(*yes),
            Value::Number(number) => Node::Number(number.to_string().into()),
            Value::String(text) => Node::String(text.clone()),
            Value::Array(elements) => Node::Array(elements.iter().map(Node::from_value).collect()),
            Value::Object(members) => {
                Node::Object(members.iter().map(|(name, value)| (name.clone(), Node::from_value(value))).collect())
            }
        }
    }

    /// Compact text.
    pub fn text(&self, spelling: Spelling) -> String {
        let mut text = String::new();
        write::write(self, spelling, &mut text);
        text
    }

    /// Appends the compact text.
    pub fn write(&self, spelling: Spelling, output: &mut String) {
        write::write(self, spelling, output);
    }
}

/// Appends `segment` to a JSON pointer (RFC 6901).
pub fn push_pointer(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}
