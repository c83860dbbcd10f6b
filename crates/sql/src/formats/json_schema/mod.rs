//! `JSON_SR`: JSON behind the id of a JSON Schema, and JSON Schemas of columns and back.

mod extract;
mod model;
mod read;
mod write;

use std::sync::OnceLock;

use milena_schema::json::JsonSchema;
use milena_schema::{SchemaType, wire};
use serde_json::{Map, Value as Document, json};

use super::json::JsonCodec;
use super::json_text::Json;
use super::readers::Readers;
use super::registry::RegisteredSchema;
use super::{CodecContext, Field, FormatError, FormatSpec, RowCodec};
use crate::types::SqlType;
use crate::value::Value;

use model::{Kind, Type};

/// The codec.
pub struct JsonSchemaCodec {
    json: JsonCodec,
    fields: Vec<Field>,
    unwrapped: bool,
    text: String,
    schema_id: Option<i32>,
    context: CodecContext,
    writer: OnceLock<Writer>,
    readers: Readers<Type>,
}

struct Writer {
    id: i32,
    of: Type,
    /// Whether `JSON` writes the same.
    is_plain: bool,
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
            readers: Readers::default(),
        })
    }

    fn writer(&self) -> Result<&Writer, FormatError> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let mut writer = match self.schema_id {
            Some(id) => Writer { id, of: type_of(&self.registered(id)?)?, is_plain: false },
            None => {
                let id = self.context.registry.register(&self.context.subject(), SchemaType::Json, &self.text)?.id;
                let of = Type::of_columns(&self.fields, self.unwrapped);
                Writer { id, is_plain: of.is_plain(), of }
            }
        };
        writer.of.match_columns(&self.fields, self.unwrapped);
        Ok(self.writer.get_or_init(|| writer))
    }

    /// What a schema says, with the columns of this codec.
    fn matched(&self, registered: &RegisteredSchema) -> Result<Type, FormatError> {
        let mut of = type_of(registered)?;
        of.match_columns(&self.fields, self.unwrapped);
        Ok(of)
    }

    fn registered(&self, id: i32) -> Result<RegisteredSchema, FormatError> {
        self.context.registry.by_id(id)?.ok_or_else(|| FormatError(format!("Schema {id} not found")))
    }
}

fn type_of(registered: &RegisteredSchema) -> Result<Type, FormatError> {
    match registered.schema.as_json() {
        Some(schema) => extract::type_of(schema),
        None => Err(FormatError(format!("schema {} is not a JSON Schema", registered.id))),
    }
}

/// The columns that a schema describes: the members of an object, else one called `single`.
///
/// # Errors
/// A schema that no SQL type describes.
pub fn fields(schema: &JsonSchema, single: &str) -> Result<Vec<Field>, FormatError> {
    extract::type_of(schema).map(|of| of.fields(single))
}

/// What people would write for a record, as the schema wants it: maps as entries, scalars as text where it has text.
///
/// # Errors
/// A schema that no SQL type describes.
pub fn as_written<'a>(registered: &RegisteredSchema, json: Json<'a>) -> Result<Json<'a>, FormatError> {
    type_of(registered).map(|of| written(&of, json))
}

fn written<'a>(of: &Type, json: Json<'a>) -> Json<'a> {
    match (&of.kind, json) {
        (Kind::Text, Json::Number(text)) => Json::String(text),
        (Kind::Text, Json::Bool(truth)) => Json::String(truth.to_string().into()),
        (Kind::Array(element), Json::Array(elements)) => {
            Json::Array(elements.into_iter().map(|json| written(element, json)).collect())
        }
        (Kind::Map { entries, value, .. }, Json::Object(members)) => {
            let members = members.into_iter().map(|(name, json)| (name, written(value, json)));
            if !entries {
                return Json::Object(members.collect());
            }
            let entry = |(name, json)| Json::Object(vec![("key".into(), Json::String(name)), ("value".into(), json)]);
            Json::Array(members.map(entry).collect())
        }
        (Kind::Object(properties), Json::Object(members)) => {
            let member = |(name, json)| match properties.iter().find(|property| property.name == name) {
                Some(property) => (name, written(&property.of, json)),
                None => (name, json),
            };
            Json::Object(members.into_iter().map(member).collect())
        }
        (Kind::Choice(choices), json) => match choices.iter().find(|choice| read::fits(&choice.of, &json)) {
            Some(choice) => written(&choice.of, json),
            None => json,
        },
        (_, json) => json,
    }
}

impl RowCodec for JsonSchemaCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        if self.unwrapped && row.first().is_none_or(Value::is_null) {
            return Ok(None);
        }
        let writer = self.writer()?;
        let mut output = wire::prefix(writer.id).to_vec();
        if writer.is_plain {
            let Some(json) = self.json.encode(row)? else { return Ok(None) };
            output.extend(json);
        } else {
            let mut text = String::new();
            write::row(&writer.of, row, &self.fields, self.unwrapped, &mut text)?;
            output.extend(text.into_bytes());
        }
        Ok(Some(output))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        let framed = wire::split_prefix(bytes).map_err(FormatError::new)?;
        // Schemas without a number are not looked up: such JSON is read as any other.
        let wire::SchemaId::Id(id) = framed.schema_id else { return self.json.decode(framed.rest) };
        let of = self.readers.get(id, &*self.context.registry, |registered| self.matched(&registered))?;
        let text = std::str::from_utf8(framed.rest).map_err(FormatError::new)?;
        let json = Json::read_first(text).map_err(|error| FormatError(error.message))?.unwrap_or(Json::Null);
        read::row(&of, &json, &self.fields, self.unwrapped).map(Some)
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

#[cfg(test)]
mod tests;
