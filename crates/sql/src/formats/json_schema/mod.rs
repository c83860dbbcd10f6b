//! `JSON_SR`: JSON behind the id of a JSON Schema, and JSON Schemas of columns and back.

mod columns;
mod shape;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use milena_schema::{SchemaType, wire};
use parking_lot::Mutex;
use serde_json::{Map, Value as Document, json};

use super::json::{JsonCodec, read_row};
use super::json_text::Json;
use super::registry::RegisteredSchema;
use super::{CodecContext, Field, FormatError, FormatSpec, RowCodec};
use crate::types::SqlType;
use crate::value::Value;

pub use columns::fields;
use shape::Shape;

/// The codec.
pub struct JsonSchemaCodec {
    json: JsonCodec,
    fields: Vec<Field>,
    unwrapped: bool,
    text: String,
    schema_id: Option<i32>,
    context: CodecContext,
    writer: OnceLock<(i32, Shape)>,
    readers: Mutex<HashMap<i32, Arc<Shape>>>,
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
            json: JsonCodec::new(fields.clone(), unwrapped),
            fields,
            unwrapped,
            schema_id: spec.schema_id,
            context: context.clone(),
            writer: OnceLock::new(),
            readers: Mutex::new(HashMap::new()),
        })
    }

    fn writer(&self) -> Result<&(i32, Shape), FormatError> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let writer = match self.schema_id {
            Some(id) => (id, shape(&self.registered(id)?)?),
            None => {
                let id = self.context.registry.register(&self.context.subject(), SchemaType::Json, &self.text)?.id;
                (id, Shape::of_columns(&self.fields, self.unwrapped))
            }
        };
        Ok(self.writer.get_or_init(|| writer))
    }

    fn registered(&self, id: i32) -> Result<RegisteredSchema, FormatError> {
        self.context.registry.by_id(id)?.ok_or_else(|| FormatError(format!("Schema {id} not found")))
    }

    fn reader(&self, id: i32) -> Result<Arc<Shape>, FormatError> {
        if let Some(known) = self.readers.lock().get(&id) {
            return Ok(known.clone());
        }
        // What a schema says that columns cannot is none of theirs.
        let shape = Arc::new(shape(&self.registered(id)?).unwrap_or(Shape::Plain));
        self.readers.lock().insert(id, shape.clone());
        Ok(shape)
    }
}

fn shape(registered: &RegisteredSchema) -> Result<Shape, FormatError> {
    match registered.schema.as_json() {
        Some(schema) => columns::shape(schema),
        None => Err(FormatError(format!("schema {} is not a JSON Schema", registered.id))),
    }
}

/// JSON that a schema describes as columns have it.
pub fn as_columns<'a>(registered: &RegisteredSchema, json: Json<'a>) -> Json<'a> {
    shape(registered).unwrap_or(Shape::Plain).read(json)
}

impl RowCodec for JsonSchemaCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        let Some(json) = self.json.encode(row)? else { return Ok(None) };
        let (id, shape) = self.writer()?;
        let mut output = wire::prefix(*id).to_vec();
        if self.schema_id.is_none() && shape.is_plain() {
            output.extend(json);
        } else {
            let text = String::from_utf8(json).map_err(FormatError::new)?;
            let json = Json::read(&text).map_err(FormatError::new)?;
            output.extend(shape.write(json)?.text().into_bytes());
        }
        Ok(Some(output))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        let framed = wire::split_prefix(bytes).map_err(FormatError::new)?;
        if let wire::SchemaId::Id(id) = framed.schema_id {
            let shape = self.reader(id)?;
            if !shape.is_plain() {
                let text = std::str::from_utf8(framed.rest).map_err(FormatError::new)?;
                let json = shape.read(Json::read(text).map_err(FormatError::new)?);
                return read_row(&json, &self.fields, self.unwrapped);
            }
        }
        self.json.decode(framed.rest)
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
