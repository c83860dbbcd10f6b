//! The schema as data: messages, their fields, and in which versions each exists.

use std::fmt;

/// Everything the schema files say.
#[derive(Debug)]
pub struct Schema {
    /// Requests with their responses, by key.
    pub apis: Vec<Api>,
    /// Messages that are stored or embedded.
    pub data: Vec<Message>,
    /// Error codes, ascending.
    pub errors: Vec<ErrorCode>,
}

/// One API: `## 0 Produce [broker]`.
#[derive(Debug)]
pub struct Api {
    pub key: i16,
    pub name: String,
    pub on_broker: bool,
    pub request: Message,
    pub response: Message,
}

/// One message with all its versions.
#[derive(Debug)]
pub struct Message {
    pub name: String,
    pub versions: Versions,
    /// First flexible version.
    pub flexible: Option<i16>,
    pub fields: Vec<Field>,
    /// Structs named with `<Name> = {..}`.
    pub named: Vec<(String, Vec<Field>)>,
}

/// A range of versions; without `last` up to the message's last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: Option<i16>,
}

impl Versions {
    pub const ALL: Versions = Versions { first: 0, last: None };

    /// The condition on `version` under which this range applies, given the message's own range;
    /// `None` when it always does.
    pub fn condition(self, whole: Versions) -> Option<String> {
        let first = (self.first > whole.first).then_some(self.first);
        let last = self.last.filter(|last| Some(*last) < whole.last);
        match (first, last) {
            (None, None) => None,
            (Some(first), None) => Some(format!("version >= {first}")),
            (None, Some(last)) if last == whole.first => Some(format!("version == {last}")),
            (None, Some(last)) => Some(format!("version <= {last}")),
            (Some(first), Some(last)) if first == last => Some(format!("version == {first}")),
            (Some(first), Some(last)) => Some(format!("({first}..={last}).contains(&version)")),
        }
    }

    /// The overlap with `whole`.
    pub fn within(self, whole: Versions) -> Versions {
        let last = match (self.last, whole.last) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Versions { first: self.first.max(whole.first), last }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            None => write!(f, "versions {}+", self.first),
            Some(last) if last == self.first => write!(f, "version {last}"),
            Some(last) => write!(f, "versions {}-{last}", self.first),
        }
    }
}

/// One field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    /// Versions in which the field may be null.
    pub nullable: Option<Versions>,
    /// The default as written; `None` for 0, "", false and empty.
    pub default: Option<String>,
    pub tag: Option<u32>,
}

/// Type of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    Uuid,
    Str,
    Bytes,
    Records,
    Array(Box<Type>),
    /// A struct written in place; `names::resolve` turns it into `Named`.
    Inline(Fields),
    Named(String),
}

/// Fields of an in-place struct.
#[derive(Debug, Clone)]
pub struct Fields(pub Vec<Field>);

impl PartialEq for Fields {
    fn eq(&self, _: &Fields) -> bool {
        false
    }
}

/// One error code.
#[derive(Debug)]
pub struct ErrorCode {
    pub code: i16,
    pub name: String,
    pub retriable: bool,
    pub exception: String,
    pub message: String,
}

/// A struct to generate: the message itself first, then the structs inside it.
#[derive(Debug)]
pub struct Struct {
    pub name: String,
    /// What it is, for its doc comment.
    pub doc: String,
    pub fields: Vec<Field>,
}
