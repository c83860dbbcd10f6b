//! Schemas of Connect as JSON Schema and back.

use indexmap::IndexMap;
use milena_schema::document::Node;
use serde_json::{Map, Value as Json, json};

use super::super::parameters_json;
use super::{JsonSchema, ONE_OF, value};
use crate::data::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef};

/// Schemas nest no deeper; a reference counts as a step, so that circles end.
const DEPTH_MAX: usize = 100;
/// A schema whose references multiply has more parts than its text shows; beyond this it is refused.
const PARTS_MAX: usize = 100_000;

/// A schema as a JSON Schema.
pub(super) fn write(schema: &SchemaRef, options: JsonSchema) -> Result<Map<String, Json>, DataError> {
    let one = one(schema, options)?;
    if !schema.optional {
        return Ok(one);
    }
    let mut members = Map::new();
    members.insert("oneOf".to_owned(), json!([{"type": "null"}, one]));
    if let Some(default) = &schema.default {
        members.insert("default".to_owned(), value::write(schema, default, options)?);
    }
    Ok(members)
}

fn one(schema: &SchemaRef, options: JsonSchema) -> Result<Map<String, Json>, DataError> {
    let mut members = Map::new();
    let numeric = options.numeric_decimals && schema.is_named(DECIMAL);
    let (kind, connect_type) = match &schema.kind {
        Kind::Int8 => ("integer", Some("int8")),
        Kind::Int16 => ("integer", Some("int16")),
        Kind::Int32 => ("integer", Some("int32")),
        Kind::Int64 => ("integer", Some("int64")),
        Kind::Float32 => ("number", Some("float32")),
        Kind::Float64 => ("number", Some("float64")),
        Kind::Boolean => ("boolean", None),
        Kind::String => ("string", None),
        Kind::Bytes if numeric => ("number", Some("bytes")),
        Kind::Bytes => ("string", Some("bytes")),
        Kind::Array(_) => ("array", None),
        Kind::Map(keys, _) if keys.kind == Kind::String && !keys.optional => ("object", Some("map")),
        Kind::Map(..) => ("array", Some("map")),
        Kind::Struct(_) if schema.is_named(ONE_OF) => return alternatives(schema, options),
        Kind::Struct(_) => ("object", None),
    };
    members.insert("type".to_owned(), kind.into());
    if let Some(name) = &schema.name {
        members.insert("title".to_owned(), name.as_ref().into());
    }
    match &schema.kind {
        Kind::Array(items) => {
            members.insert("items".to_owned(), Json::Object(write(items, options)?));
        }
        Kind::Map(_, values) if kind == "object" => {
            members.insert("additionalProperties".to_owned(), Json::Object(write(values, options)?));
        }
        Kind::Map(keys, values) => {
            let entry = json!({
                "type": "object", "properties": {"key": write(keys, options)?, "value": write(values, options)?}
            });
            members.insert("items".to_owned(), entry);
        }
        Kind::Struct(fields) => properties(fields, options, &mut members)?,
        _ => {}
    }
    if let Some(default) = schema.default.as_ref().filter(|_| !schema.optional) {
        members.insert("default".to_owned(), value::write(schema, default, options)?);
    }
    if let Some(version) = schema.version {
        members.insert("connect.version".to_owned(), version.into());
    }
    if let Some(doc) = &schema.doc {
        members.insert("description".to_owned(), doc.as_ref().into());
    }
    if !schema.parameters.is_empty() {
        members.insert("connect.parameters".to_owned(), parameters_json(schema));
    }
    if let Some(connect_type) = connect_type {
        members.insert("connect.type".to_owned(), connect_type.into());
    }
    Ok(members)
}

fn properties(fields: &[Field], options: JsonSchema, members: &mut Map<String, Json>) -> Result<(), DataError> {
    let mut properties = Map::new();
    for (index, field) in fields.iter().enumerate() {
        let mut property = write(&field.schema, options)?;
        property.insert("connect.index".to_owned(), index.into());
        properties.insert(field.name.to_string(), Json::Object(property));
    }
    members.insert("properties".to_owned(), Json::Object(properties));
    if options.optional_unless_required {
        let required: Vec<&str> =
            fields.iter().filter(|field| !field.schema.optional).map(|field| &*field.name).collect();
        if !required.is_empty() {
            members.insert("required".to_owned(), json!(required));
        }
    }
    if !options.open {
        members.insert("additionalProperties".to_owned(), Json::Bool(false));
    }
    Ok(())
}

fn alternatives(schema: &SchemaRef, options: JsonSchema) -> Result<Map<String, Json>, DataError> {
    let alternatives: Result<Vec<Json>, DataError> =
        schema.fields().iter().map(|field| one(&field.schema, options).map(Json::Object)).collect();
    Ok(Map::from_iter([("oneOf".to_owned(), Json::Array(alternatives?))]))
}

/// The schema that values of a JSON Schema have.
pub(super) fn read(document: &Node, options: JsonSchema) -> Result<SchemaRef, DataError> {
    let mut reader = Reader { document, options, left: PARTS_MAX };
    Ok(reader.of_node(document, 0)?.into())
}

struct Reader<'a> {
    document: &'a Node,
    options: JsonSchema,
    left: usize,
}

impl<'a> Reader<'a> {
    fn of_node(&mut self, node: &'a Node, depth: usize) -> Result<Schema, DataError> {
        self.left = self.left.saturating_sub(1);
        if depth > DEPTH_MAX || self.left == 0 {
            return Err(DataError::new("The schema refers to itself or is nested too deeply, which Connect's cannot"));
        }
        if let Some(reference) = node.get("$ref").and_then(Node::as_str) {
            return self.of_node(self.resolve(reference)?, depth + 1);
        }
        let combined = ["oneOf", "anyOf"].into_iter().find_map(|keyword| node.get(keyword).and_then(Node::as_array));
        let mut schema = match combined {
            Some(alternatives) => self.alternatives(alternatives, depth)?,
            None => match node.get("allOf").and_then(Node::as_array) {
                Some([only]) => self.of_node(only, depth + 1)?,
                _ => self.typed(node, depth)?,
            },
        };
        metadata(node, &mut schema);
        if let Some(default) = node.get("default").filter(|default| **default != Node::Null) {
            let plain: SchemaRef = schema.clone().into();
            schema.default = value::read(&plain, default.to_value()).ok().filter(|value| !value.is_null());
        }
        Ok(schema)
    }

    /// `#/definitions/a`, `#/$defs/a`, `#`.
    fn resolve(&self, reference: &str) -> Result<&'a Node, DataError> {
        let missing = || DataError::new(format!("Reference {reference} leads nowhere in the schema"));
        let pointer = reference.strip_prefix('#').ok_or_else(missing)?;
        let mut node = self.document;
        for segment in pointer.split('/').skip(1) {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            node = node.get(&segment).ok_or_else(missing)?;
        }
        Ok(node)
    }

    fn alternatives(&mut self, nodes: &'a [Node], depth: usize) -> Result<Schema, DataError> {
        let is_null = |node: &&Node| node.get("type").and_then(Node::as_str) == Some("null");
        let others: Vec<&Node> = nodes.iter().filter(|node| !is_null(node)).collect();
        let optional = others.len() < nodes.len();
        let mut schema = if let [only] = others[..] {
            self.of_node(only, depth + 1)?
        } else {
            let mut fields = Vec::with_capacity(others.len());
            for (index, node) in others.into_iter().enumerate() {
                let schema = self.of_node(node, depth + 1)?.optional();
                fields.push(Field::new(format!("{ONE_OF}.field.{index}"), schema));
            }
            Schema::structure(fields).named(ONE_OF)
        };
        schema.optional |= optional;
        Ok(schema)
    }

    fn typed(&mut self, node: &'a Node, depth: usize) -> Result<Schema, DataError> {
        let connect_type = node.get("connect.type").and_then(Node::as_str);
        let (kind, optional) = match node.get("type") {
            Some(Node::String(kind)) => (kind.as_str(), false),
            Some(Node::Array(kinds)) => {
                let mut others = kinds.iter().filter_map(Node::as_str).filter(|kind| *kind != "null");
                let kind = others.next().unwrap_or("string");
                if others.next().is_some() {
                    return Err(DataError::new("A schema of several types is not one of Connect: use oneOf"));
                }
                (kind, kinds.iter().any(|kind| kind.as_str() == Some("null")))
            }
            _ if node.get("properties").is_some() => ("object", false),
            // An enum, or nothing that says more.
            _ => ("string", false),
        };
        let mut schema = match (kind, connect_type) {
            (_, Some("bytes")) => Schema::new(Kind::Bytes),
            ("integer", Some("int8")) => Schema::new(Kind::Int8),
            ("integer", Some("int16")) => Schema::new(Kind::Int16),
            ("integer", Some("int32")) => Schema::new(Kind::Int32),
            ("integer", _) => Schema::new(Kind::Int64),
            ("number", Some("float32")) => Schema::new(Kind::Float32),
            ("number", _) => Schema::new(Kind::Float64),
            ("boolean", _) => Schema::new(Kind::Boolean),
            ("array", connect_type) => self.array(node, connect_type == Some("map"), depth)?,
            ("object", connect_type) => self.object(node, connect_type == Some("map"), depth)?,
            ("null", _) => Schema::new(Kind::String).optional(),
            _ => Schema::new(Kind::String),
        };
        schema.optional |= optional;
        Ok(schema)
    }

    fn array(&mut self, node: &'a Node, is_map: bool, depth: usize) -> Result<Schema, DataError> {
        let items = node.get("items");
        let entry = items.filter(|_| is_map).and_then(|items| items.get("properties"));
        if let Some(entry) = entry
            && let (Some(key), Some(value)) = (entry.get("key"), entry.get("value"))
        {
            let (key, value) = (self.of_node(key, depth + 1)?, self.of_node(value, depth + 1)?);
            return Ok(Schema::new(Kind::Map(key.into(), value.into())));
        }
        let items = match items {
            Some(items) => self.of_node(items, depth + 1)?,
            None => Schema::new(Kind::String).optional(),
        };
        Ok(Schema::new(Kind::Array(items.into())))
    }

    fn object(&mut self, node: &'a Node, is_map: bool, depth: usize) -> Result<Schema, DataError> {
        let properties = node.get("properties").and_then(Node::as_object);
        let values = node.get("additionalProperties").filter(|values| values.as_object().is_some());
        if let (true, Some(values)) = (is_map || properties.is_none(), values) {
            let values = self.of_node(values, depth + 1)?;
            return Ok(Schema::new(Kind::Map(Schema::new(Kind::String).into(), values.into())));
        }
        let required: Vec<&str> =
            node.get("required").and_then(Node::as_array).into_iter().flatten().filter_map(Node::as_str).collect();
        let mut fields = Vec::new();
        for (name, property) in properties.into_iter().flatten() {
            let mut schema = self.of_node(property, depth + 1)?;
            schema.optional |= self.options.optional_unless_required && !required.contains(&name.as_str());
            let place = property.get("connect.index").and_then(Node::as_i64).unwrap_or(i64::MAX);
            fields.push((place, Field::new(name.as_str(), schema)));
        }
        // A stable sort: those without a place stay as they are written.
        fields.sort_by_key(|(place, _)| *place);
        Ok(Schema::structure(fields.into_iter().map(|(_, field)| field).collect()))
    }
}

fn metadata(node: &Node, schema: &mut Schema) {
    if let Some(title) = node.get("title").and_then(Node::as_str) {
        let is_logical = matches!(title, DECIMAL | DATE | TIME | TIMESTAMP);
        let fits = match title {
            DECIMAL => schema.kind == Kind::Bytes,
            DATE | TIME => schema.kind == Kind::Int32,
            TIMESTAMP => schema.kind == Kind::Int64,
            _ => true,
        };
        if fits || !is_logical {
            schema.name = Some(title.into());
        }
    }
    if let Some(version) = node.get("connect.version").and_then(Node::as_i64) {
        schema.version = Some(version as i32);
    }
    if let Some(doc) = node.get("description").and_then(Node::as_str) {
        schema.doc = Some(doc.into());
    }
    if let Some(parameters) = node.get("connect.parameters").and_then(Node::as_object) {
        let text = |(key, value): (&String, &Node)| Some((key.clone(), value.as_str()?.to_owned()));
        schema.parameters = parameters.iter().filter_map(text).collect::<IndexMap<String, String>>();
    }
}
