//! What a `.proto` file says, in the grouping and order that its canonical text is printed from.
//!
//! Names are kept as they are written; [`super::types`] resolves them. Comments are not kept.

/// A `.proto` file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProtoFile {
    /// What the `syntax` line states, if there is one.
    pub syntax: Option<Syntax>,
    /// The package.
    pub package: Option<String>,
    /// Plain imports.
    pub imports: Vec<String>,
    /// `import public`.
    pub public_imports: Vec<String>,
    /// `import weak`.
    pub weak_imports: Vec<String>,
    /// File options.
    pub options: Vec<OptionEntry>,
    /// Top-level messages and enums in the order of the text.
    pub types: Vec<TypeDecl>,
    /// Top-level `extend` blocks.
    pub extends: Vec<Extend>,
    /// Services.
    pub services: Vec<Service>,
}

impl ProtoFile {
    /// Every imported path: plain, public, weak.
    pub fn all_imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().chain(&self.public_imports).chain(&self.weak_imports).map(String::as_str)
    }

    /// Whether a file without labels on its fields is meant: only `proto3` allows that.
    pub fn is_proto3(&self) -> bool {
        self.syntax == Some(Syntax::Proto3)
    }
}

/// The language version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `proto2`, also meant by a file that states none.
    Proto2,
    /// `proto3`
    Proto3,
}

impl Syntax {
    /// As the `syntax` line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Syntax::Proto2 => "proto2",
            Syntax::Proto3 => "proto3",
        }
    }
}

/// A message or an enum.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeDecl {
    /// `message`
    Message(Message),
    /// `enum`
    Enum(Enum),
}

impl TypeDecl {
    /// The unqualified name.
    pub fn name(&self) -> &str {
        match self {
            TypeDecl::Message(message) => &message.name,
            TypeDecl::Enum(decl) => &decl.name,
        }
    }

    /// The message, when it is one.
    pub fn as_message(&self) -> Option<&Message> {
        match self {
            TypeDecl::Message(message) => Some(message),
            TypeDecl::Enum(_) => None,
        }
    }

    /// The message, when it is one.
    pub fn as_message_mut(&mut self) -> Option<&mut Message> {
        match self {
            TypeDecl::Message(message) => Some(message),
            TypeDecl::Enum(_) => None,
        }
    }

    /// The enum, when it is one.
    pub fn as_enum(&self) -> Option<&Enum> {
        match self {
            TypeDecl::Message(_) => None,
            TypeDecl::Enum(decl) => Some(decl),
        }
    }
}

/// The messages of a list of types, in order: their positions are the message indexes of the wire format.
pub fn messages(types: &[TypeDecl]) -> impl Iterator<Item = &Message> {
    types.iter().filter_map(TypeDecl::as_message)
}

/// The enums of a list of types, in order.
pub fn enums(types: &[TypeDecl]) -> impl Iterator<Item = &Enum> {
    types.iter().filter_map(TypeDecl::as_enum)
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The unqualified name.
    pub name: String,
    /// `reserved` lines.
    pub reserved: Vec<Reserved>,
    /// Message options.
    pub options: Vec<OptionEntry>,
    /// Fields outside of oneofs.
    pub fields: Vec<Field>,
    /// Oneofs with at least one field.
    pub oneofs: Vec<OneOf>,
    /// Groups outside of oneofs (proto2).
    pub groups: Vec<Group>,
    /// `extensions` lines.
    pub extensions: Vec<Extensions>,
    /// Nested `extend` blocks.
    pub extends: Vec<Extend>,
    /// Nested messages and enums.
    pub types: Vec<TypeDecl>,
}

impl Message {
    /// The option `map_entry`: an entry of a map that a descriptor spells as a message.
    pub fn is_map_entry(&self) -> bool {
        self.options.iter().any(|option| {
            !option.parenthesized && option.name == "map_entry" && option.value == OptionValue::Bool("true".to_owned())
        })
    }

    /// Key and value type of a [map entry](Self::is_map_entry).
    pub fn map_entry_types(&self) -> Option<(&str, &str)> {
        if !self.is_map_entry() {
            return None;
        }
        let plain = |number| match self.fields.iter().find(|field| field.number == number)?.field_type {
            FieldType::Plain(ref name) => Some(name.as_str()),
            FieldType::Map { .. } => None,
        };
        Some((plain(1)?, plain(2)?))
    }

    /// Fields inside and outside of oneofs.
    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().chain(self.oneofs.iter().flat_map(|oneof| &oneof.fields))
    }
}

/// How often a field may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `optional`
    Optional,
    /// `required`, proto2 only.
    Required,
    /// `repeated`
    Repeated,
}

impl Label {
    /// The keyword.
    pub fn name(self) -> &'static str {
        match self {
            Label::Optional => "optional",
            Label::Required => "required",
            Label::Repeated => "repeated",
        }
    }
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// A scalar, or the name of a message or enum as it is written.
    Plain(String),
    /// `map<key, value>`
    Map {
        /// A scalar.
        key: String,
        /// A scalar or a name.
        value: String,
    },
}

/// The names of the scalar types.
pub const SCALARS: [&str; 15] = [
    "bool", "bytes", "double", "fixed32", "fixed64", "float", "int32", "int64", "sfixed32", "sfixed64", "sint32",
    "sint64", "string", "uint32", "uint64",
];

/// Whether `name` is a scalar type.
pub fn is_scalar(name: &str) -> bool {
    SCALARS.contains(&name)
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What precedes the type.
    pub label: Option<Label>,
    /// The type.
    pub field_type: FieldType,
    /// The name.
    pub name: String,
    /// The number.
    pub number: i32,
    /// Options but `default` and `json_name`.
    pub options: Vec<OptionEntry>,
    /// The option `default`, as text without quotes.
    pub default: Option<String>,
    /// The option `json_name`.
    pub json_name: Option<String>,
}

/// A oneof.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOf {
    /// The name.
    pub name: String,
    /// Its options.
    pub options: Vec<OptionEntry>,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its groups (proto2).
    pub groups: Vec<Group>,
}

/// A group: a field and its message in one (proto2).
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What precedes `group`.
    pub label: Option<Label>,
    /// The name of the message; the field has the same in lower case.
    pub name: String,
    /// The number.
    pub number: i32,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One value of a `reserved` or `extensions` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeValue {
    /// A field name.
    Name(String),
    /// A number.
    Number(i32),
    /// Numbers, both ends included; [`NUMBER_MAX`] is spelled `max`.
    Range(i32, i32),
}

/// The largest field number, which `max` stands for.
pub const NUMBER_MAX: i32 = 536_870_911;

/// A `reserved` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Names and numbers.
    pub values: Vec<RangeValue>,
}

/// An `extensions` line.
#[derive(Debug, Clone, PartialEq)]
pub struct Extensions {
    /// Numbers.
    pub values: Vec<RangeValue>,
    /// Its options.
    pub options: Vec<OptionEntry>,
}

/// An `extend` block.
#[derive(Debug, Clone, PartialEq)]
pub struct Extend {
    /// The extended message as it is written.
    pub name: String,
    /// The fields added to it.
    pub fields: Vec<Field>,
}

/// An enum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Enum {
    /// The unqualified name.
    pub name: String,
    /// `reserved` lines.
    pub reserved: Vec<Reserved>,
    /// Enum options.
    pub options: Vec<OptionEntry>,
    /// The constants.
    pub constants: Vec<EnumConstant>,
}

/// A constant of an enum.
#[derive(Debug, Clone, PartialEq)]
pub struct EnumConstant {
    /// The name.
    pub name: String,
    /// The number.
    pub number: i32,
    /// Its options.
    pub options: Vec<OptionEntry>,
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The name.
    pub name: String,
    /// Its options.
    pub options: Vec<OptionEntry>,
    /// Its methods.
    pub rpcs: Vec<Rpc>,
}

/// A method of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Rpc {
    /// The name.
    pub name: String,
    /// The message sent, as written.
    pub request: String,
    /// Whether a stream of them is sent.
    pub request_streaming: bool,
    /// The message answered, as written.
    pub response: String,
    /// Whether a stream of them is answered.
    pub response_streaming: bool,
    /// Its options.
    pub options: Vec<OptionEntry>,
}

/// An option: `name = value`, `(extension).path = value`.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionEntry {
    /// The name without parentheses.
    pub name: String,
    /// Whether it names an extension.
    pub parenthesized: bool,
    /// What follows the name after a dot: fields inside the option's message.
    pub path: Vec<String>,
    /// The value.
    pub value: OptionValue,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OptionValue {
    /// A string, unescaped.
    String(String),
    /// `true` or `false`.
    Bool(String),
    /// An enum constant or any other word (`inf`, `nan`).
    Enum(String),
    /// A number as it is spelled.
    Number(String),
    /// A message in text format; a name given several times has become a list.
    Map(Vec<(String, OptionValue)>),
    /// A list.
    List(Vec<OptionValue>),
}

impl OptionValue {
    /// The text of a value that is not composed.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            OptionValue::String(text)
            | OptionValue::Bool(text)
            | OptionValue::Enum(text)
            | OptionValue::Number(text) => Some(text),
            OptionValue::Map(_) | OptionValue::List(_) => None,
        }
    }
}
