//! The [`Type`] of a JSON Schema.
//!
//! A node of a schema may say several things at once (a type, alternatives, values it may have). They count as if each
//! stood in an `allOf`, of which the properties of objects are taken together, and of anything else what says most.

use std::cell::Cell;

use indexmap::IndexMap;
use milena_schema::document::{Node, Spelling};
use milena_schema::json::{JsonSchema, Place, References};

use super::model::{Kind, Property, Type};
use crate::formats::FormatError;
use crate::formats::coercion::Written;
use crate::formats::json_text::Json;
use crate::types::{DecimalType, SqlType};
use crate::value::sort_as_hashed;

/// Schemas nest no deeper.
const DEPTH_MAX: usize = 64;
/// Most nodes that are looked at: references can make a small text describe more than anybody can hold.
const NODES_MAX: usize = 20_000;
/// The field of an alternative, with its number behind it.
const ALTERNATIVE: &str = "io.confluent.connect.json.OneOf.field.";
/// What names of logical types begin with.
const LOGICAL: &str = "org.apache.kafka.connect.data.";

/// What `schema` says of values.
///
/// # Errors
/// A schema that says nothing of them, or too much.
pub(super) fn type_of(schema: &JsonSchema) -> Result<Type, FormatError> {
    let walker = Walker { references: schema.references(), nodes: Cell::new(0) };
    let root = walker.references.root(schema);
    walker.node(root, root.node, false, 0)
}

/// One of the things that a node says.
#[derive(Clone, Copy)]
enum Part<'a> {
    Type(&'a str),
    /// One of several types.
    Types(&'a [Node]),
    AllOf(&'a [Node]),
    /// `oneOf`, `anyOf`
    Choice(&'a [Node]),
    Enum,
    Const,
    Nothing(&'static str),
}

/// Members that imply a type where none is stated.
const IMPLIED: [(&str, &[&str]); 4] = [
    (
        "object",
        &[
            "properties",
            "required",
            "minProperties",
            "maxProperties",
            "dependencies",
            "patternProperties",
            "additionalProperties",
            "propertyNames",
        ],
    ),
    ("array", &["items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"]),
    ("string", &["minLength", "maxLength", "pattern", "format"]),
    ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
];

/// What a node says.
fn parts(node: &Node) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let list = |name| node.get(name).and_then(Node::as_array);
    parts.extend(list("allOf").map(Part::AllOf));
    parts.extend(["anyOf", "oneOf"].into_iter().filter_map(list).map(Part::Choice));
    parts.extend(node.get("enum").map(|_| Part::Enum));
    parts.extend(node.get("const").map(|_| Part::Const));
    parts.extend(node.get("not").map(|_| Part::Nothing("NotSchema")));
    match node.get("type") {
        Some(Node::Array(types)) => match types.as_slice() {
            [only] => parts.extend(only.as_str().map(Part::Type)),
            _ => parts.push(Part::Types(types)),
        },
        Some(stated) => parts.extend(stated.as_str().map(Part::Type)),
        None => {}
    }
    let stated = node.get("type").and_then(Node::as_str);
    let implied = |(name, members): &(&'static str, &[&str])| {
        let is_stated = stated == Some(name) || (stated, *name) == (Some("integer"), "number");
        let is_open = node.get("type").and_then(Node::as_array).is_none();
        (!is_stated && is_open && members.iter().any(|member| node.get(member).is_some())).then_some(Part::Type(name))
    };
    parts.extend(IMPLIED.iter().filter_map(implied));
    parts
}

fn is_null(node: &Node) -> bool {
    node.get("type").and_then(Node::as_str) == Some("null")
}

fn unsupported(kind: &str) -> FormatError {
    FormatError(format!("Unsupported schema type org.everit.json.schema.{kind}"))
}

/// The properties of an object as a hash table has them.
fn properties(node: &Node) -> Vec<(&str, &Node)> {
    let properties = node.get("properties").and_then(Node::as_object).into_iter().flatten();
    let mut properties: Vec<_> = properties.map(|(name, property)| (name.as_str(), property)).collect();
    // What no index puts in order comes as it lies in a hash map of Java.
    sort_as_hashed(&mut properties, 16, |(name, _)| milena_stdx::java_string_hash(name));
    properties
}

/// Walks a schema through its references.
struct Walker<'a> {
    references: References<'a>,
    nodes: Cell<usize>,
}

impl<'a> Walker<'a> {
    fn node(&self, place: Place<'a>, node: &'a Node, is_optional: bool, depth: usize) -> Result<Type, FormatError> {
        self.nodes.set(self.nodes.get() + 1);
        if depth > DEPTH_MAX || self.nodes.get() > NODES_MAX {
            return Err(FormatError::new("the schema is nested too deeply, or contains itself"));
        }
        let place = self.place(place, node)?;
        match (place.node, parts(place.node).as_slice()) {
            (Node::Bool(true), _) => Err(unsupported("TrueSchema")),
            (Node::Bool(false), _) => Err(unsupported("FalseSchema")),
            (_, []) => Err(unsupported("EmptySchema")),
            (_, [only]) => self.part(place, *only, true, is_optional, depth),
            (_, several) => self.all_of(place, several, is_optional, depth),
        }
    }

    /// A node within that of `place`, or what it refers to.
    fn place(&self, place: Place<'a>, node: &'a Node) -> Result<Place<'a>, FormatError> {
        self.references.within(place, node).ok_or_else(|| FormatError::new("a $ref of the schema leads nowhere"))
    }

    /// What a node says, with what else it says `of itself` (title, default) if that is all.
    fn part(
        &self,
        place: Place<'a>,
        part: Part<'a>,
        of_itself: bool,
        is_optional: bool,
        depth: usize,
    ) -> Result<Type, FormatError> {
        let node = place.node;
        let kind = match part {
            Part::AllOf(nodes) => return self.all_of_nodes(place, nodes, is_optional, depth),
            Part::Choice(nodes) => return self.choice(place, nodes, is_optional, depth),
            Part::Types(types) => return self.types(place, types, is_optional, depth),
            Part::Nothing(name) => return Err(unsupported(name)),
            Part::Const => return Err(unsupported("ConstSchema")),
            Part::Enum => Kind::Text,
            Part::Type(name) => self.kind(place, name, of_itself, depth)?,
        };
        let default = node.get("default").filter(|default| of_itself && !matches!(default, Node::Null));
        let default = default.and_then(|node| {
            let text = node.text(Spelling::AsRead);
            Json::read(&text).ok().map(Json::into_owned)
        });
        Ok(Type { kind, is_optional, default })
    }

    /// What a type says.
    fn kind(&self, place: Place<'a>, name: &str, of_itself: bool, depth: usize) -> Result<Kind, FormatError> {
        let node = place.node;
        let text = |name: &str| node.get(name).filter(|_| of_itself).and_then(Node::as_str);
        let connect_type = text("connect.type");
        let logical = text("title").and_then(|title| title.strip_prefix(LOGICAL));
        Ok(match (name, connect_type) {
            ("boolean", _) => Kind::Boolean,
            ("integer" | "number", Some("int8")) => Kind::Whole(Written::Int8),
            ("integer" | "number", Some("int16")) => Kind::Whole(Written::Int16),
            ("integer" | "number", Some("int32")) => match logical {
                Some("Date") => Kind::Date,
                Some("Time") => Kind::Time,
                _ => Kind::Whole(Written::Int32),
            },
            ("integer" | "number", Some("int64")) => match logical {
                Some("Timestamp") => Kind::Timestamp,
                _ => Kind::Whole(Written::Int64),
            },
            ("integer" | "number", Some("float32")) => Kind::Fraction(Written::Float32),
            ("integer" | "number", Some("float64")) => Kind::Fraction(Written::Float64),
            ("integer" | "number" | "string", Some("bytes")) => match logical {
                Some("Decimal") => Kind::Decimal(decimal(node)?),
                _ => Kind::Bytes,
            },
            ("integer" | "number", Some(other)) => return Err(FormatError(format!("Unsupported type {other}"))),
            ("integer", None) => Kind::Whole(Written::Int64),
            ("number", None) => Kind::Fraction(Written::Float64),
            ("string", _) => Kind::Text,
            ("array", connect_type) => self.array(place, connect_type == Some("map"), depth)?,
            ("object", Some("map")) => {
                let values = node.get("additionalProperties").ok_or_else(|| FormatError::new("a map has no values"))?;
                let key = Type { kind: Kind::Text, is_optional: false, default: None };
                Kind::Map { entries: false, key: key.into(), value: self.node(place, values, false, depth + 1)?.into() }
            }
            ("object", _) => Kind::Object(self.object(place, depth)?),
            _ => return Err(unsupported("NullSchema")),
        })
    }

    fn array(&self, place: Place<'a>, is_map: bool, depth: usize) -> Result<Kind, FormatError> {
        let items = place.node.get("items").filter(|items| items.as_array().is_none());
        let items = items.ok_or_else(|| FormatError::new("Array schema did not specify the items type"))?;
        let members = items.get("properties").filter(|_| is_map);
        let entry = members.map(|members| (members.get("key"), members.get("value")));
        let Some(entry) = entry else { return Ok(Kind::Array(self.node(place, items, false, depth + 1)?.into())) };
        let (Some(key), Some(value)) = entry else { return Err(FormatError::new("a map has no key and value")) };
        let place = self.place(place, items)?;
        Ok(Kind::Map {
            entries: true,
            key: self.node(place, key, false, depth + 1)?.into(),
            value: self.node(place, value, false, depth + 1)?.into(),
        })
    }

    /// The properties of an object in the order of its columns.
    fn object(&self, place: Place<'a>, depth: usize) -> Result<Vec<Property>, FormatError> {
        let index = |(position, (_, property)): &(usize, (&str, &Node))| {
            property.get("connect.index").and_then(Node::as_i64).unwrap_or(*position as i64)
        };
        let mut indexed: Vec<_> = properties(place.node).into_iter().enumerate().collect();
        indexed.sort_by_key(index);
        let property = |(_, (name, node)): (usize, (&'a str, &'a Node))| {
            Ok(Property::new(name, self.node(place, node, false, depth + 1)?))
        };
        indexed.into_iter().map(property).collect()
    }

    /// One of several nodes, of which null makes it optional.
    fn choice(
        &self,
        place: Place<'a>,
        nodes: &'a [Node],
        is_optional: bool,
        depth: usize,
    ) -> Result<Type, FormatError> {
        match nodes {
            [null, only] | [only, null] if is_null(null) && !is_null(only) => {
                return self.node(place, only, true, depth + 1);
            }
            _ => {}
        }
        let has_null = nodes.iter().any(is_null);
        let mut others: Vec<_> = nodes.iter().filter(|node| !is_null(node)).collect();
        // Alternatives that are none themselves come last.
        let is_combined = |node: &Node| ["oneOf", "anyOf", "allOf"].iter().any(|name| node.get(name).is_some());
        others.sort_by_key(|node| !is_combined(node));
        let alternatives = others.into_iter().map(|node| self.node(place, node, true, depth + 1));
        numbered(alternatives, is_optional || has_null)
    }

    /// One of several types.
    fn types(&self, place: Place<'a>, types: &'a [Node], is_optional: bool, depth: usize) -> Result<Type, FormatError> {
        let names: Vec<_> = types.iter().filter_map(Node::as_str).collect();
        let others: Vec<_> = names.iter().copied().filter(|name| *name != "null").collect();
        let has_null = others.len() < names.len();
        let alternative = |name| self.part(place, Part::Type(name), true, true, depth + 1);
        match others.as_slice() {
            [only] if has_null => alternative(only),
            _ => numbered(others.into_iter().map(alternative), is_optional || has_null),
        }
    }

    fn all_of_nodes(
        &self,
        place: Place<'a>,
        nodes: &'a [Node],
        is_optional: bool,
        depth: usize,
    ) -> Result<Type, FormatError> {
        let mut found = Vec::new();
        for node in nodes {
            let place = self.place(place, node)?;
            match parts(place.node).as_slice() {
                [only] => found.push((place, *only, true)),
                // What says several things is an `allOf` itself.
                several => found.extend(several.iter().map(|part| (place, *part, false))),
            }
        }
        self.most(place, &found, is_optional, depth)
    }

    fn all_of(
        &self,
        place: Place<'a>,
        parts: &[Part<'a>],
        is_optional: bool,
        depth: usize,
    ) -> Result<Type, FormatError> {
        let parts: Vec<_> = parts.iter().map(|part| (place, *part, false)).collect();
        self.most(place, &parts, is_optional, depth)
    }

    /// What says most of several things that hold at once: properties, alternatives, a type rather than its values.
    fn most(
        &self,
        place: Place<'a>,
        parts: &[(Place<'a>, Part<'a>, bool)],
        is_optional: bool,
        depth: usize,
    ) -> Result<Type, FormatError> {
        let mut members = IndexMap::new();
        for (place, part, _) in parts {
            self.collect(*place, *part, depth, &mut members)?;
        }
        if !members.is_empty() {
            let property = |(name, (place, node)): (&str, (Place<'a>, &'a Node))| {
                Ok(Property::new(name, self.node(place, node, false, depth + 1)?))
            };
            let properties = members.into_iter().map(property).collect::<Result<_, FormatError>>()?;
            return Ok(Type { kind: Kind::Object(properties), is_optional, default: None });
        }
        let is_a = |part: &Part<'_>, names: &[&str]| matches!(part, Part::Type(name) if names.contains(name));
        let find = |wanted: &dyn Fn(&Part<'_>) -> bool| parts.iter().rfind(|(_, part, _)| wanted(part)).copied();
        let combined = find(&|part| matches!(part, Part::Choice(_) | Part::AllOf(_) | Part::Types(_)));
        let number = find(&|part| is_a(part, &["number", "integer"]));
        let text = find(&|part| is_a(part, &["string"]));
        let listed = find(&|part| matches!(part, Part::Enum));
        let constant = find(&|part| matches!(part, Part::Const));
        let chosen = combined.or_else(|| match (constant, listed) {
            (Some(_), _) => text.or(number),
            (None, Some(_)) => listed.filter(|_| text.is_some()).or(number),
            (None, None) => number.filter(|_| text.is_some()).or(text),
        });
        let Some((from, part, of_itself)) = chosen else {
            return Err(FormatError(format!("Unsupported criterion allOf for {}", place.node.text(Spelling::AsRead))));
        };
        self.part(from, part, of_itself, is_optional, depth + 1)
    }

    /// Adds the properties of objects that hold at once.
    fn collect(
        &self,
        place: Place<'a>,
        part: Part<'a>,
        depth: usize,
        members: &mut IndexMap<&'a str, (Place<'a>, &'a Node)>,
    ) -> Result<(), FormatError> {
        self.nodes.set(self.nodes.get() + 1);
        if depth > DEPTH_MAX || self.nodes.get() > NODES_MAX {
            return Err(FormatError::new("the schema is nested too deeply, or contains itself"));
        }
        match part {
            Part::Type("object") => {
                members.extend(properties(place.node).into_iter().map(|(name, node)| (name, (place, node))));
            }
            Part::AllOf(nodes) => {
                for node in nodes {
                    let place = self.place(place, node)?;
                    for part in parts(place.node) {
                        self.collect(place, part, depth + 1, members)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Alternatives as a struct with one field each.
fn numbered(types: impl Iterator<Item = Result<Type, FormatError>>, is_optional: bool) -> Result<Type, FormatError> {
    let property =
        |(index, of): (usize, Result<Type, FormatError>)| Ok(Property::new(format!("{ALTERNATIVE}{index}"), of?));
    let choices = types.enumerate().map(property).collect::<Result<_, FormatError>>()?;
    Ok(Type { kind: Kind::Choice(choices), is_optional, default: None })
}

/// The digits that a node states of its decimals.
fn decimal(node: &Node) -> Result<DecimalType, FormatError> {
    let parameter = |name: &str| {
        let value = node.get("connect.parameters")?.get(name)?;
        value.as_str().and_then(|text| text.parse().ok()).or_else(|| u32::try_from(value.as_i64()?).ok())
    };
    let precision = parameter("connect.decimal.precision").unwrap_or(64);
    match SqlType::decimal(precision, parameter("scale").unwrap_or(0)).map_err(FormatError::new)? {
        SqlType::Decimal(decimal) => Ok(decimal),
        _ => Err(FormatError::new("no decimal")),
    }
}
