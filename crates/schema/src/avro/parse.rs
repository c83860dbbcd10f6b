//! Avro schema text to [`Types`](super::Types).
//!
//! What is accepted and refused follows Avro's Java parser (1.12): a name may be used before it is defined, unknown
//! attributes become properties, comments are skipped. Every error names its place as a JSON pointer.

use std::collections::{HashMap, HashSet};

use super::canonical;
use super::default_value::{self, Steps};
use super::types::{Enum, Field, Fixed, Kind, Name, Naming, Order, Record, Type, TypeId};
use crate::document::{self, Members, Node, ReadError, Spelling, push_pointer};
use crate::{ResolvedReference, SchemaError, SchemaType};

/// Attributes of types that are no properties.
const TYPE_ATTRIBUTES: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
/// Attributes of fields that are no properties.
const FIELD_ATTRIBUTES: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

/// A parsed text: its types, where it starts, and the names its references define at their top.
#[derive(Debug)]
pub(super) struct Parsed {
    pub types: Vec<Type>,
    pub root: TypeId,
    pub reference_names: HashSet<String>,
}

/// Reads `references` and then `text`.
pub(super) fn parse(text: &str, references: &[ResolvedReference], strict: bool) -> Result<Parsed, SchemaError> {
    let mut parser = Parser::default();
    let mut reference_names = HashSet::new();
    for reference in references {
        let root = parser.text(&reference.schema, false).map_err(|error| match error {
            SchemaError::Invalid { schema_type, message } => SchemaError::Invalid {
                schema_type,
                message: format!("reference '{}' is invalid: {message}", reference.name),
            },
            other => other,
        })?;
        if let Some(naming) = parser.types[root.index()].kind.naming() {
            reference_names.insert(naming.name.full().to_owned());
        }
    }
    let root = parser.text(text, strict)?;
    Ok(Parsed { types: parser.types, root, reference_names })
}

#[derive(Default)]
struct Parser {
    types: Vec<Type>,
    names: HashMap<String, TypeId>,
    /// Names used before their definition.
    forward: Vec<Forward>,
    /// Definitions of names that are defined already.
    redefinitions: Vec<Redefinition>,
    /// Unions whose branches are compared once all names are known.
    unions: Vec<(TypeId, String)>,
    /// Records whose default values are checked once all names are known.
    records: Vec<(TypeId, String)>,
    /// How much of default values may still be looked at.
    steps: Steps,
    /// The place in the text.
    pointer: String,
}

/// A name used before its definition; `slot` is replaced when it is known.
struct Forward {
    slot: TypeId,
    name: Name,
    pointer: String,
}

/// A second definition of a name, which must be the same as the first.
struct Redefinition {
    first: TypeId,
    again: TypeId,
    pointer: String,
}

impl Parser {
    fn text(&mut self, text: &str, strict: bool) -> Result<TypeId, SchemaError> {
        if text.trim().is_empty() {
            return Err(SchemaError::invalid(SchemaType::Avro, "Empty schema"));
        }
        let node = document::read_with_comments(text).map_err(|error| match error {
            ReadError::TooDeep => SchemaError::TooDeep { limit: document::DEPTH_MAX },
            error => SchemaError::invalid(SchemaType::Avro, error.to_string()),
        })?;
        self.pointer.clear();
        let root = self.schema(&node, None)?;
        let root = self.link(root)?;
        self.check_unions()?;
        self.check_defaults(strict)?;
        Ok(root)
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T, SchemaError> {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        Err(SchemaError::invalid(SchemaType::Avro, format!("{message} (at {place})")))
    }

    /// Runs `body` with `segment` appended to the pointer.
    fn at<T>(
        &mut self,
        segment: &str,
        body: impl FnOnce(&mut Self) -> Result<T, SchemaError>,
    ) -> Result<T, SchemaError> {
        let length = self.pointer.len();
        push_pointer(&mut self.pointer, segment);
        let result = body(self)?;
        // Kept as it is on errors, which have taken their text from it already.
        self.pointer.truncate(length);
        Ok(result)
    }

    fn push(&mut self, kind: Kind, properties: Members) -> TypeId {
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.types.push(Type { kind, properties });
        id
    }

    fn schema(&mut self, node: &Node, namespace: Option<&str>) -> Result<TypeId, SchemaError> {
        match node {
            Node::String(name) => self.named(name, namespace),
            Node::Object(members) => self.object(node, members, namespace),
            Node::Array(branches) => self.union(branches, namespace),
            other => self.error(format_args!("Schema not yet supported: {}", shown(other))),
        }
    }

    /// A primitive or a type by its name.
    fn named(&mut self, name: &str, namespace: Option<&str>) -> Result<TypeId, SchemaError> {
        if let Some(primitive) = Kind::primitive(name) {
            return Ok(self.push(primitive, Members::new()));
        }
        let name = Name::new(name, namespace);
        if let Some(id) = self.lookup(&name) {
            return Ok(id);
        }
        let slot = self.push(Kind::Null, Members::new());
        self.forward.push(Forward { slot, name, pointer: self.pointer.clone() });
        Ok(slot)
    }

    /// A defined name, or else the same simple name without a namespace.
    fn lookup(&self, name: &Name) -> Option<TypeId> {
        self.names.get(name.full()).or_else(|| self.names.get(name.simple())).copied()
    }

    fn union(&mut self, nodes: &[Node], namespace: Option<&str>) -> Result<TypeId, SchemaError> {
        let mut branches = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            branches.push(self.at(&index.to_string(), |parser| {
                if matches!(node, Node::Array(_)) {
                    return parser.error("Nested union");
                }
                parser.schema(node, namespace)
            })?);
        }
        let id = self.push(Kind::Union(branches), Members::new());
        self.unions.push((id, self.pointer.clone()));
        Ok(id)
    }

    fn object(&mut self, node: &Node, members: &Members, namespace: Option<&str>) -> Result<TypeId, SchemaError> {
        let Some(kind) = members.get("type").and_then(Node::as_str) else {
            return self.error(format_args!("No type: {}", shown(node)));
        };
        match kind {
            "record" | "error" => self.record(node, members, namespace, kind == "error"),
            "enum" => self.enumeration(node, members, namespace),
            "fixed" => self.fixed(node, members, namespace),
            "array" => {
                let items = self.element(node, members, "items", "Array has no items type", namespace)?;
                Ok(self.push(Kind::Array(items), properties(members, &TYPE_ATTRIBUTES)))
            }
            "map" => {
                let values = self.element(node, members, "values", "Map has no values type", namespace)?;
                Ok(self.push(Kind::Map(values), properties(members, &TYPE_ATTRIBUTES)))
            }
            name => match Kind::primitive(name) {
                Some(primitive) => Ok(self.push(primitive, properties(members, &TYPE_ATTRIBUTES))),
                None => self.at("type", |parser| parser.named(name, namespace)),
            },
        }
    }

    fn element(
        &mut self,
        node: &Node,
        members: &Members,
        attribute: &str,
        missing: &str,
        namespace: Option<&str>,
    ) -> Result<TypeId, SchemaError> {
        let Some(element) = members.get(attribute) else {
            return self.error(format_args!("{missing}: {}", shown(node)));
        };
        self.at(attribute, |parser| parser.schema(element, namespace))
    }

    fn naming(&mut self, node: &Node, members: &Members, namespace: Option<&str>) -> Result<Naming, SchemaError> {
        let Some(text) = members.get("name").and_then(Node::as_str) else {
            return self.error(format_args!("No name in schema: {}", shown(node)));
        };
        let namespace = members.get("namespace").and_then(Node::as_str).or(namespace);
        let name = Name::new(text, namespace);
        self.at("name", |parser| parser.check_full_name(&name))?;
        let aliases = self.aliases(node, members)?;
        let aliases: Vec<Name> = aliases.iter().map(|alias| Name::new(alias, name.namespace())).collect();
        self.at("aliases", |parser| aliases.iter().try_for_each(|alias| parser.check_name(alias.simple())))?;
        let mut seen = HashSet::new();
        let aliases = aliases.iter().filter(|alias| seen.insert(alias.full())).cloned().collect();
        Ok(Naming { name, doc: text_of(members, "doc"), aliases })
    }

    fn aliases(&mut self, node: &Node, members: &Members) -> Result<Vec<String>, SchemaError> {
        let Some(aliases) = members.get("aliases") else {
            return Ok(Vec::new());
        };
        let Some(aliases) = aliases.as_array() else {
            return self.error(format_args!("aliases not an array: {}", shown(node)));
        };
        aliases
            .iter()
            .map(|alias| match alias.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => self.error(format_args!("alias not a string: {}", shown(alias))),
            })
            .collect()
    }

    fn check_full_name(&self, name: &Name) -> Result<(), SchemaError> {
        for part in name.namespace().into_iter().flat_map(|namespace| namespace.split('.')) {
            if let Err(reason) = valid_name(part) {
                return self.error(format_args!("Namespace part \"{part}\" is invalid: {reason}"));
            }
        }
        self.check_name(name.simple())?;
        if name.namespace().is_none() && Kind::primitive(name.simple()).is_some() {
            return self.error(format_args!("Schemas may not be named after primitives: {name}"));
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), SchemaError> {
        valid_name(name).or_else(|reason| self.error(reason))
    }

    fn define(&mut self, name: &Name, kind: Kind, properties: Members) -> TypeId {
        let id = self.push(kind, properties);
        match self.names.get(name.full()) {
            Some(first) => {
                self.redefinitions.push(Redefinition { first: *first, again: id, pointer: self.pointer.clone() })
            }
            None => {
                self.names.insert(name.full().to_owned(), id);
            }
        }
        id
    }

    fn record(
        &mut self,
        node: &Node,
        members: &Members,
        namespace: Option<&str>,
        is_error: bool,
    ) -> Result<TypeId, SchemaError> {
        let naming = self.naming(node, members, namespace)?;
        let name = naming.name.clone();
        // Known from here on, so that its fields can name it.
        let record = Record { naming, is_error, fields: Vec::new() };
        let id = self.define(&name, Kind::Record(record), properties(members, &TYPE_ATTRIBUTES));
        let Some(nodes) = members.get("fields").and_then(Node::as_array) else {
            return self.error(format_args!("Record has no fields: {}", shown(node)));
        };
        let fields = self.at("fields", |parser| parser.fields(nodes, &name))?;
        if let Kind::Record(record) = &mut self.types[id.index()].kind {
            record.fields = fields;
        }
        self.records.push((id, self.pointer.clone()));
        Ok(id)
    }

    fn fields(&mut self, nodes: &[Node], record: &Name) -> Result<Vec<Field>, SchemaError> {
        let mut fields: Vec<Field> = Vec::with_capacity(nodes.len());
        let mut names = HashSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let field = self.at(&index.to_string(), |parser| {
                let field = parser.field(node, record.namespace())?;
                if !names.insert(field.name.clone()) {
                    return parser.error(format_args!("Duplicate field {} in record {record}", field.name));
                }
                Ok(field)
            })?;
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(&mut self, node: &Node, namespace: Option<&str>) -> Result<Field, SchemaError> {
        let members = node.as_object();
        let Some((members, name)) = members.and_then(|members| Some((members, members.get("name")?.as_str()?))) else {
            return self.error(format_args!("No field name: {}", shown(node)));
        };
        self.at("name", |parser| parser.check_name(name))?;
        let Some(type_node) = members.get("type") else {
            return self.error(format_args!("No field type: {}", shown(node)));
        };
        let type_id = self.at("type", |parser| parser.schema(type_node, namespace))?;
        let order = match members.get("order").map(|order| order.as_str().map(str::to_ascii_lowercase)) {
            None => Order::Ascending,
            Some(order) => match order.as_deref() {
                Some("ascending") => Order::Ascending,
                Some("descending") => Order::Descending,
                Some("ignore") => Order::Ignore,
                _ => return self.error("order must be ascending, descending or ignore"),
            },
        };
        Ok(Field {
            name: name.to_owned(),
            type_id,
            doc: text_of(members, "doc"),
            default: members.get("default").cloned(),
            order,
            aliases: self.aliases(node, members)?,
            properties: properties(members, &FIELD_ATTRIBUTES),
        })
    }

    fn enumeration(&mut self, node: &Node, members: &Members, namespace: Option<&str>) -> Result<TypeId, SchemaError> {
        let naming = self.naming(node, members, namespace)?;
        let Some(nodes) = members.get("symbols").and_then(Node::as_array) else {
            return self.error(format_args!("Enum has no symbols: {}", shown(node)));
        };
        let mut symbols = Vec::with_capacity(nodes.len());
        let mut seen = HashSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let Some(symbol) = node.as_str() else {
                return self.error(format_args!("Enum symbol not a string: {}", shown(node)));
            };
            if let Err(reason) = valid_name(symbol) {
                return self.error(format_args!("{reason} (symbol {index})"));
            }
            if !seen.insert(symbol) {
                return self.error(format_args!("Duplicate enum symbol: {symbol}"));
            }
            symbols.push(symbol.to_owned());
        }
        let default = text_of(members, "default");
        if let Some(default) = default.as_deref().filter(|default| !seen.contains(default)) {
            let symbols = symbols.join(", ");
            return self.error(format_args!("The Enum Default: {default} is not in the enum symbol set: [{symbols}]"));
        }
        let name = naming.name.clone();
        let mut properties = properties(members, &TYPE_ATTRIBUTES);
        properties.shift_remove("default");
        Ok(self.define(&name, Kind::Enum(Enum { naming, symbols, default }), properties))
    }

    fn fixed(&mut self, node: &Node, members: &Members, namespace: Option<&str>) -> Result<TypeId, SchemaError> {
        let naming = self.naming(node, members, namespace)?;
        let size = members.get("size").and_then(Node::as_i64).and_then(|size| i32::try_from(size).ok());
        let Some(size) = size else {
            return self.error(format_args!("Invalid or no size: {}", shown(node)));
        };
        let Ok(size) = usize::try_from(size) else {
            return self.error(format_args!("Malformed data. Length is negative: {size}"));
        };
        let name = naming.name.clone();
        Ok(self.define(&name, Kind::Fixed(Fixed { naming, size }), properties(members, &TYPE_ATTRIBUTES)))
    }

    /// Replaces names that were used before their definition, and definitions that repeat an earlier one.
    fn link(&mut self, root: TypeId) -> Result<TypeId, SchemaError> {
        let mut targets: HashMap<TypeId, TypeId> = HashMap::new();
        for forward in std::mem::take(&mut self.forward) {
            let Some(target) = self.lookup(&forward.name) else {
                self.pointer = forward.pointer;
                return self.error(format_args!("Undefined schema: \"{}\" is not a defined name", forward.name));
            };
            targets.insert(forward.slot, target);
        }
        let root = self.replace(&targets, root);
        targets.clear();
        for Redefinition { first, again, pointer } in std::mem::take(&mut self.redefinitions) {
            if canonical::definition(&self.types, first) != canonical::definition(&self.types, again) {
                self.pointer = pointer;
                return self.error(format_args!("Can't redefine: {}", self.types[first.index()].kind.label()));
            }
            targets.insert(again, first);
        }
        Ok(self.replace(&targets, root))
    }

    fn replace(&mut self, targets: &HashMap<TypeId, TypeId>, root: TypeId) -> TypeId {
        if !targets.is_empty() {
            for schema in &mut self.types {
                for child in schema.kind.children_mut() {
                    *child = targets.get(child).copied().unwrap_or(*child);
                }
            }
        }
        targets.get(&root).copied().unwrap_or(root)
    }

    fn check_unions(&mut self) -> Result<(), SchemaError> {
        for (id, pointer) in std::mem::take(&mut self.unions) {
            let Kind::Union(branches) = &self.types[id.index()].kind else { continue };
            let mut labels = HashSet::new();
            let labels = branches.iter().map(|branch| &self.types[branch.index()].kind).find_map(|kind| {
                if matches!(kind, Kind::Union(_)) {
                    return Some("Nested union".to_owned());
                }
                (!labels.insert(kind.label())).then(|| format!("Duplicate in union: {}", kind.label()))
            });
            if let Some(message) = labels {
                self.pointer = pointer;
                return self.error(message);
            }
        }
        Ok(())
    }

    /// Numbers given as text become numbers; in a strict schema every default value must be one of its type.
    fn check_defaults(&mut self, strict: bool) -> Result<(), SchemaError> {
        for (id, pointer) in std::mem::take(&mut self.records) {
            let count = match &self.types[id.index()].kind {
                Kind::Record(record) => record.fields.len(),
                _ => 0,
            };
            for index in 0..count {
                self.pointer = format!("{pointer}/fields/{index}/default");
                self.check_default(id, index, strict)?;
            }
        }
        Ok(())
    }

    fn check_default(&mut self, record: TypeId, index: usize, strict: bool) -> Result<(), SchemaError> {
        let Kind::Record(Record { fields, .. }) = &self.types[record.index()].kind else {
            return Ok(());
        };
        let Some(default) = &fields[index].default else {
            return Ok(());
        };
        let kind = &self.types[fields[index].type_id.index()].kind;
        if let (Kind::Float | Kind::Double, Node::String(text)) = (kind, default) {
            let Some(number) = default_value::number_from_text(text) else {
                return self.error(format_args!("Invalid default for field {}: \"{text}\"", fields[index].name));
            };
            if let Kind::Record(Record { fields, .. }) = &mut self.types[record.index()].kind {
                fields[index].default = Some(number);
            }
            return Ok(());
        }
        if strict && !default_value::is_valid(&self.types, fields[index].type_id, default, &mut self.steps) {
            let (name, default) = (&fields[index].name, shown(default));
            return self.error(format_args!("Invalid default for field {name}: {default} not a {}", kind.label()));
        }
        Ok(())
    }
}

/// Whether `name` is a letter or `_`, followed by letters, digits and `_`.
fn valid_name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    match chars.next() {
        None => Err("Empty name".to_owned()),
        Some(first) if !(first.is_alphabetic() || first == '_') => Err(format!("Illegal initial character: {name}")),
        Some(_) if chars.all(|c| c.is_alphabetic() || c.is_numeric() || c == '_') => Ok(()),
        Some(_) => Err(format!("Illegal character in: {name}")),
    }
}

fn text_of(members: &Members, attribute: &str) -> Option<String> {
    members.get(attribute).and_then(Node::as_str).map(str::to_owned)
}

fn properties(members: &Members, attributes: &[&str]) -> Members {
    let custom = members.iter().filter(|(name, _)| !attributes.contains(&name.as_str()));
    custom.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The text of a node for a message, cut off where it gets long.
fn shown(node: &Node) -> String {
    const CHARS_MAX: usize = 200;
    let text = node.text(Spelling::AsRead);
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
