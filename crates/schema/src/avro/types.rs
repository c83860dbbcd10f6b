//! The model of a parsed Avro schema: types in one table, referring to each other by index, so that recursive schemas
//! need neither pointers nor special cases.

use std::fmt;

use crate::document::{Members, Node};

/// Index of a type in the table of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(super) u32);

impl TypeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One type. Every mention of a primitive is a type of its own; a named type is the same type wherever it is named.
#[derive(Debug, Clone)]
pub struct Type {
    /// What it is.
    pub kind: Kind,
    /// Properties beyond those of its kind, in the order of the text; among them `logicalType`.
    pub properties: Members,
}

/// What a type is.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the primitives are what their names say")]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// Elements of one type.
    Array(TypeId),
    /// Values of one type under string keys.
    Map(TypeId),
    /// One of several types.
    Union(Vec<TypeId>),
    /// Named fields.
    Record(Record),
    /// One of several symbols.
    Enum(Enum),
    /// A fixed number of bytes.
    Fixed(Fixed),
}

/// What records, enums and fixed types have in common.
#[derive(Debug, Clone)]
pub struct Naming {
    /// The name.
    pub name: Name,
    /// Documentation.
    pub doc: Option<String>,
    /// Other names a reader knows it by.
    pub aliases: Vec<Name>,
}

/// A record or error.
#[derive(Debug, Clone)]
pub struct Record {
    /// Name, documentation, aliases.
    pub naming: Naming,
    /// Whether it was declared as `error`.
    pub is_error: bool,
    /// The fields in order.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_id: TypeId,
    /// Documentation.
    pub doc: Option<String>,
    /// The default value as JSON.
    pub default: Option<Node>,
    /// How records sort by it.
    pub order: Order,
    /// Names of a writer's field that a reader takes for this one.
    pub aliases: Vec<String>,
    /// Properties beyond the above, in the order of the text.
    pub properties: Members,
}

/// How records sort by a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "as in the text")]
pub enum Order {
    #[default]
    Ascending,
    Descending,
    Ignore,
}

/// An enum.
#[derive(Debug, Clone)]
pub struct Enum {
    /// Name, documentation, aliases.
    pub naming: Naming,
    /// The symbols in order.
    pub symbols: Vec<String>,
    /// What a reader takes an unknown symbol for.
    pub default: Option<String>,
}

/// A fixed number of bytes.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// Name, documentation, aliases.
    pub naming: Naming,
    /// The number of bytes.
    pub size: usize,
}

/// The full name of a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    full: String,
    /// Where the simple name starts in `full`.
    simple_at: usize,
}

impl Name {
    /// `text` when it has a dot, else `text` inside `namespace`. An empty namespace is none.
    pub fn new(text: &str, namespace: Option<&str>) -> Name {
        if let Some(dot) = text.rfind('.') {
            // A leading dot states the empty namespace.
            let full = if dot == 0 { &text[1..] } else { text };
            return Name { full: full.to_owned(), simple_at: if dot == 0 { 0 } else { dot + 1 } };
        }
        match namespace.filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => Name { full: format!("{namespace}.{text}"), simple_at: namespace.len() + 1 },
            None => Name { full: text.to_owned(), simple_at: 0 },
        }
    }

    /// With namespace.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// Without namespace.
    pub fn simple(&self) -> &str {
        &self.full[self.simple_at..]
    }

    /// The namespace, when there is one.
    pub fn namespace(&self) -> Option<&str> {
        self.simple_at.checked_sub(1).map(|dot| &self.full[..dot])
    }

    /// The shortest spelling that means this name inside `namespace`.
    pub(super) fn relative_to(&self, namespace: Option<&str>) -> &str {
        let own = self.namespace();
        if own.is_some() && own == namespace && !RESERVED_NAMES.contains(&self.simple()) {
            self.simple()
        } else {
            &self.full
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// Names that mean a type of the language when they stand alone.
const RESERVED_NAMES: [&str; 14] = [
    "record", "enum", "array", "map", "union", "fixed", "string", "bytes", "int", "long", "float", "double", "boolean",
    "null",
];

impl Kind {
    /// The primitive called `name`.
    pub(super) fn primitive(name: &str) -> Option<Kind> {
        Some(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            _ => return None,
        })
    }

    /// As schemas call it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Record(_) => "record",
            Kind::Enum(_) => "enum",
            Kind::Fixed(_) => "fixed",
        }
    }

    /// Name, documentation and aliases of a named type.
    pub fn naming(&self) -> Option<&Naming> {
        match self {
            Kind::Record(record) => Some(&record.naming),
            Kind::Enum(symbols) => Some(&symbols.naming),
            Kind::Fixed(fixed) => Some(&fixed.naming),
            _ => None,
        }
    }

    /// How a union branch is labelled in JSON: the full name of a named type, else the name of the type.
    pub fn label(&self) -> &str {
        self.naming().map_or(self.name(), |naming| naming.name.full())
    }

    /// The types it is made of, for rewriting.
    pub(super) fn children_mut(&mut self) -> Vec<&mut TypeId> {
        match self {
            Kind::Array(child) | Kind::Map(child) => vec![child],
            Kind::Union(branches) => branches.iter_mut().collect(),
            Kind::Record(record) => record.fields.iter_mut().map(|field| &mut field.type_id).collect(),
            _ => Vec::new(),
        }
    }
}

impl Order {
    /// As schemas spell it.
    pub fn name(self) -> &'static str {
        match self {
            Order::Ascending => "ascending",
            Order::Descending => "descending",
            Order::Ignore => "ignore",
        }
    }
}

/// Whether `type` carries a logical type that the specification defines for it, with valid attributes.
pub(super) fn has_valid_logical_type(schema: &Type) -> bool {
    let Some(logical) = schema.properties.get("logicalType").and_then(Node::as_str) else {
        return false;
    };
    match (&schema.kind, logical) {
        (Kind::Bytes, "decimal") => valid_decimal(&schema.properties, None),
        (Kind::Fixed(fixed), "decimal") => valid_decimal(&schema.properties, Some(fixed.size)),
        (Kind::Fixed(fixed), "uuid") => fixed.size == 16,
        (Kind::Fixed(fixed), "duration") => fixed.size == 12,
        (Kind::Bytes, "big-decimal") | (Kind::String, "uuid") | (Kind::Int, "date" | "time-millis") => true,
        (Kind::Long, other) => matches!(
            other,
            "time-micros"
                | "timestamp-millis"
                | "timestamp-micros"
                | "timestamp-nanos"
                | "local-timestamp-millis"
                | "local-timestamp-micros"
                | "local-timestamp-nanos"
        ),
        _ => false,
    }
}

fn valid_decimal(properties: &Members, size: Option<usize>) -> bool {
    let precision = properties.get("precision").and_then(Node::as_i64).unwrap_or(0);
    let scale = properties.get("scale").map_or(Some(0), Node::as_i64);
    // Digits that fit a two's complement number of that many bytes.
    let digits_max = size.map_or(f64::INFINITY, |size| (((8 * size) as f64 - 1.0) * 2_f64.log10()).floor());
    precision > 0 && precision as f64 <= digits_max && scale.is_some_and(|scale| (0..=precision).contains(&scale))
}
