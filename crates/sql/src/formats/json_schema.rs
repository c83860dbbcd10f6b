//! `JSON_SR`: JSON behind the id of a JSON Schema, and JSON Schemas of columns and back.

use std::sync::OnceLock;

use milena_schema::document::Node;
use milena_schema::json::{JsonSchema, Place, References};
use milena_schema::{SchemaType, wire};
use serde_json::{Map, Value as Document, json};

use super::json::JsonCodec;
use super::{CodecContext, Field, FormatError, FormatSpec, RowCodec};
use crate::types::SqlType;
use crate::value::Value;

/// The codec.
pub struct JsonSchemaCodec {
    json: JsonCodec,
    text: String,
    schema_id: Option<i32>,
    context: CodecContext,
    writer: OnceLock<i32>,
}

impl JsonSchemaCodec {
    /// For `fields`.
    ///
    /// # Errors
    /// None today.
    pub fn new(fields: Vec<Field>, spec: &FormatSpec, context: &CodecContext) -> Result<Self, FormatError> {
        let unwrapped = spec.unwraps(context.side) && fields.len() == 1;
        Ok(JsonSchemaCodec {
            text: schema_text(&fields, unwrapped),
            json: JsonCodec::new(fields, unwrapped),
            schema_id: spec.schema_id,
            context: context.clone(),
            writer: OnceLock::new(),
        })
    }

    fn writer(&self) -> Result<i32, FormatError> {
        if let Some(id) = self.writer.get() {
            return Ok(*id);
        }
        let id = match self.schema_id {
            Some(id) => id,
            None => self.context.registry.register(&self.context.subject(), SchemaType::Json, &self.text)?.id,
        };
        Ok(*self.writer.get_or_init(|| id))
    }
}

impl RowCodec for JsonSchemaCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        let Some(json) = self.json.encode(row)? else { return Ok(None) };
        let mut output = wire::prefix(self.writer()?).to_vec();
        output.extend(json);
        Ok(Some(output))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        self.json.decode(wire::split_prefix(bytes).map_err(FormatError::new)?.rest)
    }

    fn leave_out(&mut self, columns: &[usize]) {
        self.json.leave_out(columns);
    }
}

/// The schema of an object with `fields`, all of which may be null; of the field that stands alone when `unwrapped`.
pub fn schema_text(fields: &[Field], unwrapped: bool) -> String {
    let schema = match fields {
        [field] if unwrapped => optional(schema(&field.field_type), None),
        _ => object(fields.iter().map(|field| (&*field.name, &field.field_type))),
    };
    Document::Object(schema).to_string()
}

type Members = Map<String, Document>;

fn object<'f>(fields: impl Iterator<Item = (&'f str, &'f SqlType)>) -> Members {
    let properties: Members = fields
        .enumerate()
        .map(|(index, (name, field_type))| {
            (name.to_owned(), Document::Object(optional(schema(field_type), Some(index))))
        })
        .collect();
    members(json!({"type": "object", "properties": properties}))
}

fn optional(schema: Members, index: Option<usize>) -> Members {
    let mut optional = Members::new();
    if let Some(index) = index {
        optional.insert("connect.index".to_owned(), json!(index));
    }
    optional.insert("oneOf".to_owned(), json!([{"type": "null"}, schema]));
    optional
}

fn schema(field_type: &SqlType) -> Members {
    members(match field_type {
        SqlType::Boolean => json!({"type": "boolean"}),
        SqlType::Integer => json!({"type": "integer", "connect.type": "int32"}),
        SqlType::Bigint => json!({"type": "integer", "connect.type": "int64"}),
        SqlType::Double => json!({"type": "number", "connect.type": "float64"}),
        SqlType::String => json!({"type": "string"}),
        SqlType::Bytes => json!({"type": "string", "connect.type": "bytes"}),
        SqlType::Decimal(decimal) => json!({
            "type": "number",
            "title": "org.apache.kafka.connect.data.Decimal",
            "connect.version": 1,
            "connect.type": "bytes",
            "connect.parameters": {
                "scale": decimal.scale.to_string(),
                "connect.decimal.precision": decimal.precision.to_string(),
            },
        }),
        SqlType::Date => time("Date", "int32"),
        SqlType::Time => time("Time", "int32"),
        SqlType::Timestamp => time("Timestamp", "int64"),
        SqlType::Array(element) => json!({"type": "array", "items": optional(schema(element), None)}),
        SqlType::Map(key, value) if **key == SqlType::String => json!({
            "type": "object",
            "connect.type": "map",
            "additionalProperties": optional(schema(value), None),
        }),
        SqlType::Map(key, value) => json!({
            "type": "array",
            "connect.type": "map",
            "items": {"type": "object", "properties": {
                "key": optional(schema(key), Some(0)),
                "value": optional(schema(value), Some(1)),
            }},
        }),
        SqlType::Struct(structure) => {
            Document::Object(object(structure.fields.iter().map(|field| (&*field.name, &field.field_type))))
        }
    })
}

fn time(name: &str, connect_type: &str) -> Document {
    json!({
        "type": "integer",
        "title": format!("org.apache.kafka.connect.data.{name}"),
        "connect.version": 1,
        "connect.type": connect_type,
    })
}

fn members(document: Document) -> Members {
    match document {
        Document::Object(members) => members,
        _ => Members::new(),
    }
}

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

/// The one alternative that is not null; nothing without alternatives.
fn without_null(node: &Node) -> Option<&Node> {
    for key in ["oneOf", "anyOf"] {
        if let Some(alternatives) = node.get(key).and_then(Node::as_array) {
            let mut others = alternatives.iter().filter(|node| type_name(node) != Some("null"));
            if let (Some(only), None) = (others.next(), others.next()) {
                return Some(only);
            }
        }
    }
    None
}

fn type_name(node: &Node) -> Option<&str> {
    let stated = node.get("type")?;
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

    fn object_fields(&self, place: Place<'a>, depth: usize) -> Result<Vec<Field>, FormatError> {
        let mut fields = Vec::new();
        if let Some(properties) = place.node.get("properties").and_then(Node::as_object) {
            for (position, (name, property)) in properties.iter().enumerate() {
                let index = property.get("connect.index").and_then(Node::as_i64).unwrap_or(position as i64);
                let field_type = self.sql_type(place, property, depth + 1)?;
                fields.push((index, Field { name: name.as_str().into(), field_type }));
            }
        }
        fields.sort_by_key(|(index, _)| *index);
        Ok(fields.into_iter().map(|(_, field)| field).collect())
    }

    fn sql_type(&self, place: Place<'a>, node: &'a Node, depth: usize) -> Result<SqlType, FormatError> {
        if depth > 64 {
            return Err(FormatError::new("the schema is nested too deeply"));
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
