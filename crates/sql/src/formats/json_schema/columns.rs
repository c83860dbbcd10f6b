//! What a JSON Schema says of columns.

use milena_schema::document::Node;
use milena_schema::json::{JsonSchema, Place, References};

use super::shape::{Choice, Property, Shape};
use crate::formats::{Field, FormatError};
use crate::types::SqlType;

/// Schemas nest no deeper.
const DEPTH_MAX: usize = 64;
/// The field of an alternative, with its number behind it.
const ALTERNATIVE: &str = "io.confluent.connect.json.OneOf.field.";

/// The columns that a schema describes: the properties of an object, else one called `single`.
///
/// # Errors
/// A schema that no SQL type describes.
pub fn fields(schema: &JsonSchema, single: &str) -> Result<Vec<Field>, FormatError> {
    let walker = Walker { references: schema.references() };
    let root = walker.references.root(schema);
    let root = walker.value(root, root.node)?;
    let is_map = root.node.get("connect.type").and_then(Node::as_str) == Some("map");
    if type_name(root.node) == Some("object") && !is_map && root.node.get("properties").is_some() {
        return walker.object_fields(root, 0);
    }
    Ok(vec![Field { name: single.into(), field_type: walker.sql_type(root, root.node, 0)? }])
}

/// How values of a schema are written.
///
/// # Errors
/// A schema that no SQL type describes.
pub(super) fn shape(schema: &JsonSchema) -> Result<Shape, FormatError> {
    let walker = Walker { references: schema.references() };
    let root = walker.references.root(schema);
    walker.shape(root, root.node, 0)
}

/// The alternatives of a node, in order; none when it has none.
fn alternatives(node: &Node) -> &[Node] {
    let stated = ["oneOf", "anyOf"].into_iter().find_map(|key| node.get(key).and_then(Node::as_array));
    stated.unwrap_or_default()
}

fn is_null(node: &Node) -> bool {
    node.get("type").and_then(Node::as_str) == Some("null")
}

/// The one alternative beside null; nothing without.
fn without_null(node: &Node) -> Option<&Node> {
    match alternatives(node) {
        [null, only] | [only, null] if is_null(null) && !is_null(only) => Some(only),
        _ => None,
    }
}

/// Whether a value may be null.
fn is_optional(node: &Node) -> bool {
    let among = |types: &[Node]| types.iter().any(|name| name.as_str() == Some("null"));
    alternatives(node).iter().any(is_null) || node.get("type").and_then(Node::as_array).is_some_and(among)
}

/// Where `HashMap` of Java has its members: what no index puts in order comes in that of its buckets.
fn hashed(names: &mut [(&str, &Node)]) {
    let mut buckets = 16_u32;
    while names.len() > buckets as usize * 3 / 4 {
        buckets *= 2;
    }
    let hash =
        |name: &str| name.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    names.sort_by_key(|(name, _)| {
        let hash = hash(name);
        (hash ^ (hash >> 16)) & (buckets - 1)
    });
}

fn type_name(node: &Node) -> Option<&str> {
    let implied = || {
        let implied = [("properties", "object"), ("items", "array")];
        implied.into_iter().find(|(key, _)| node.get(key).is_some()).map(|(_, name)| name)
    };
    let Some(stated) = node.get("type") else { return implied() };
    let among = stated.as_array().into_iter().flatten().filter_map(Node::as_str);
    stated.as_str().or_else(|| among.into_iter().find(|name| *name != "null"))
}

/// Walks a schema through its references.
struct Walker<'a> {
    references: References<'a>,
}

impl<'a> Walker<'a> {
    /// What a node within that of `place` describes when it is not null.
    fn value(&self, place: Place<'a>, node: &'a Node) -> Result<Place<'a>, FormatError> {
        let nowhere = || FormatError::new("a $ref of the schema leads nowhere");
        let place = self.references.within(place, node).ok_or_else(nowhere)?;
        match without_null(place.node) {
            Some(only) => self.references.within(place, only).ok_or_else(nowhere),
            None => Ok(place),
        }
    }

    /// The properties of an object in the order of its columns.
    fn properties(place: Place<'a>) -> Vec<(&'a str, &'a Node)> {
        let properties = place.node.get("properties").and_then(Node::as_object).into_iter().flatten();
        let mut properties: Vec<_> = properties.map(|(name, property)| (name.as_str(), property)).collect();
        hashed(&mut properties);
        let index = |(position, (_, property)): &(usize, (&str, &Node))| {
            property.get("connect.index").and_then(Node::as_i64).unwrap_or(*position as i64)
        };
        let mut indexed: Vec<_> = properties.into_iter().enumerate().collect();
        indexed.sort_by_key(index);
        indexed.into_iter().map(|(_, property)| property).collect()
    }

    fn object_fields(&self, place: Place<'a>, depth: usize) -> Result<Vec<Field>, FormatError> {
        let field = |(name, property): (&'a str, &'a Node)| {
            Ok(Field { name: name.into(), field_type: self.sql_type(place, property, depth + 1)? })
        };
        Self::properties(place).into_iter().map(field).collect()
    }

    /// The types that a node leaves the choice of.
    fn choices(&self, place: Place<'a>, depth: usize) -> Result<Vec<(String, SqlType, &'a Node)>, FormatError> {
        let others = alternatives(place.node).iter().filter(|node| !is_null(node));
        let choice = |(index, node): (usize, &'a Node)| {
            Ok((format!("{ALTERNATIVE}{index}"), self.sql_type(place, node, depth + 1)?, node))
        };
        others.enumerate().map(choice).collect()
    }

    fn shape(&self, place: Place<'a>, node: &'a Node, depth: usize) -> Result<Shape, FormatError> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let place = self.value(place, node)?;
        let node = place.node;
        if !alternatives(node).is_empty() {
            let choice = |(name, sql_type, node): (String, SqlType, &'a Node)| {
                Ok(Choice { name, sql_type, shape: self.shape(place, node, depth + 1)? })
            };
            let choices = self.choices(place, depth)?.into_iter().map(choice);
            return Ok(Shape::Choice(choices.collect::<Result<_, FormatError>>()?));
        }
        let is_map = node.get("connect.type").and_then(Node::as_str) == Some("map");
        let of = |inner: Option<&'a Node>| inner.map_or(Ok(Shape::Plain), |inner| self.shape(place, inner, depth + 1));
        Ok(match type_name(node) {
            Some("array") if is_map => {
                let entry = node.get("items").and_then(|items| items.get("properties"));
                Shape::Map { entries: true, value: of(entry.and_then(|entry| entry.get("value")))?.into() }
            }
            Some("object") if is_map => {
                Shape::Map { entries: false, value: of(node.get("additionalProperties"))?.into() }
            }
            Some("array") => Shape::Array(of(node.get("items"))?.into()),
            Some("object") => {
                let property = |(name, node): (&'a str, &'a Node)| {
                    let sql_type = self.sql_type(place, node, depth + 1)?;
                    let inner = self.value(place, node)?.node;
                    Ok(Property {
                        name: name.to_owned(),
                        shape: self.shape(place, node, depth + 1)?,
                        required: !is_optional(node) && !is_optional(inner),
                        default: inner.get("default").cloned(),
                        sql_type,
                    })
                };
                let properties = Self::properties(place).into_iter().map(property);
                Shape::Object(properties.collect::<Result<_, FormatError>>()?)
            }
            _ => Shape::Plain,
        })
    }

    fn sql_type(&self, place: Place<'a>, node: &'a Node, depth: usize) -> Result<SqlType, FormatError> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let place = self.value(place, node)?;
        let node = place.node;
        let text = |name: &str| node.get(name).and_then(Node::as_str);
        let parameter = |name: &str| {
            let value = node.get("connect.parameters")?.get(name)?;
            value.as_str().and_then(|text| text.parse().ok()).or_else(|| u32::try_from(value.as_i64()?).ok())
        };
        match text("title") {
            Some("org.apache.kafka.connect.data.Decimal") => {
                let precision = parameter("connect.decimal.precision").unwrap_or(64);
                return SqlType::decimal(precision, parameter("scale").unwrap_or(0)).map_err(FormatError::new);
            }
            Some("org.apache.kafka.connect.data.Date") => return Ok(SqlType::Date),
            Some("org.apache.kafka.connect.data.Time") => return Ok(SqlType::Time),
            Some("org.apache.kafka.connect.data.Timestamp") => return Ok(SqlType::Timestamp),
            _ => {}
        }
        if !alternatives(node).is_empty() {
            let choices = self.choices(place, depth)?.into_iter();
            return Ok(SqlType::structure(choices.map(|(name, sql_type, _)| (name, sql_type))));
        }
        let connect_type = text("connect.type");
        Ok(match (type_name(node), connect_type) {
            (Some("boolean"), _) => SqlType::Boolean,
            (Some("integer"), Some("int8" | "int16" | "int32")) => SqlType::Integer,
            (Some("integer"), _) => SqlType::Bigint,
            (Some("number"), _) => SqlType::Double,
            (Some("string"), Some("bytes")) => SqlType::Bytes,
            (Some("string"), _) => SqlType::String,
            (Some("array"), Some("map")) => {
                let entry = node.get("items").map(|items| self.value(place, items)).transpose()?;
                let members = entry.and_then(|entry| Some((entry, entry.node.get("properties")?)));
                match members.map(|(entry, members)| (entry, members.get("key"), members.get("value"))) {
                    Some((entry, Some(key), Some(value))) => {
                        SqlType::map(self.sql_type(entry, key, depth + 1)?, self.sql_type(entry, value, depth + 1)?)
                    }
                    _ => return Err(FormatError::new("a map has no key and value")),
                }
            }
            (Some("array"), _) => {
                let items = node.get("items").ok_or_else(|| FormatError::new("an array has no items"))?;
                SqlType::array(self.sql_type(place, items, depth + 1)?)
            }
            (Some("object"), Some("map")) => {
                let values = node.get("additionalProperties").ok_or_else(|| FormatError::new("a map has no values"))?;
                SqlType::map(SqlType::String, self.sql_type(place, values, depth + 1)?)
            }
            (Some("object"), _) => {
                let fields = self.object_fields(place, depth)?;
                SqlType::structure(fields.into_iter().map(|field| (field.name, field.field_type)))
            }
            (None, _) if node.get("enum").is_some() => SqlType::String,
            (other, _) => return Err(FormatError(format!("no SQL type for a JSON Schema of type {other:?}"))),
        })
    }
}

fn too_deep() -> FormatError {
    FormatError::new("the schema is nested too deeply")
}
