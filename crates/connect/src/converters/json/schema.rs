//! Schemas as JSON, in the members and the order of the original.

use std::fmt::Write as _;

use milena_schema::document::{self, Node, Spelling};

use super::write::quoted;
use super::{Options, no_json, read, write};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, validate_value};

/// A schema as JSON text.
///
/// # Errors
/// A default that is not of the schema.
pub(super) fn write(schema: &SchemaRef, options: Options) -> Result<String, DataError> {
    let mut output = String::new();
    write_to(schema, None, options, &mut output)?;
    Ok(output)
}

fn write_to(schema: &SchemaRef, field: Option<&str>, options: Options, output: &mut String) -> Result<(), DataError> {
    output.push_str("{\"type\":\"");
    output.push_str(type_name(&schema.kind));
    output.push('"');
    match &schema.kind {
        Kind::Array(items) => {
            output.push_str(",\"items\":");
            write_to(items, None, options, output)?;
        }
        Kind::Map(keys, values) => {
            output.push_str(",\"keys\":");
            write_to(keys, None, options, output)?;
            output.push_str(",\"values\":");
            write_to(values, None, options, output)?;
        }
        Kind::Struct(fields) => {
            output.push_str(",\"fields\":[");
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    output.push(',');
                }
                write_to(&field.schema, Some(&field.name), options, output)?;
            }
            output.push(']');
        }
        _ => {}
    }
    output.push_str(if schema.optional { ",\"optional\":true" } else { ",\"optional\":false" });
    let mut member = |name: &str, text: &str| {
        output.push_str(",\"");
        output.push_str(name);
        output.push_str("\":");
        quoted(text, output);
    };
    if let Some(name) = &schema.name {
        member("name", name);
    }
    if let Some(version) = schema.version {
        // Writing to a string cannot fail.
        let _ = write!(output, ",\"version\":{version}");
    }
    if let Some(doc) = &schema.doc {
        output.push_str(",\"doc\":");
        quoted(doc, output);
    }
    if !schema.parameters.is_empty() {
        output.push_str(",\"parameters\":{");
        for (index, (key, value)) in schema.parameters.iter().enumerate() {
            if index > 0 {
                output.push(',');
            }
            quoted(key, output);
            output.push(':');
            quoted(value, output);
        }
        output.push('}');
    }
    if let Some(default) = &schema.default {
        output.push_str(",\"default\":");
        write::value(Some(schema), default, options, output)?;
    }
    if let Some(field) = field {
        output.push_str(",\"field\":");
        quoted(field, output);
    }
    output.push('}');
    Ok(())
}

fn type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Int8 => "int8",
        Kind::Int16 => "int16",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        Kind::Boolean => "boolean",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Array(_) => "array",
        Kind::Map(..) => "map",
        Kind::Struct(_) => "struct",
    }
}

/// The schema of a JSON text; `None` for `null`.
///
/// # Errors
/// Text that is no JSON or no schema.
pub(super) fn read(text: &str, options: Options) -> Result<Option<SchemaRef>, DataError> {
    match document::read(text).map_err(no_json)? {
        Node::Null => Ok(None),
        node => of_node(&node, options).map(|schema| Some(schema.into())),
    }
}

fn of_node(node: &Node, options: Options) -> Result<Schema, DataError> {
    let kind = node.get("type").and_then(Node::as_str);
    let kind = kind.ok_or_else(|| DataError::new("Schema must contain 'type' field"))?;
    let part = |name: &str, missing: &str| match node.get(name) {
        Some(part) if *part != Node::Null => of_node(part, options),
        _ => Err(DataError::new(missing)),
    };
    let mut schema = match kind {
        "boolean" => Schema::new(Kind::Boolean),
        "int8" => Schema::new(Kind::Int8),
        "int16" => Schema::new(Kind::Int16),
        "int32" => Schema::new(Kind::Int32),
        "int64" => Schema::new(Kind::Int64),
        "float" => Schema::new(Kind::Float32),
        "double" => Schema::new(Kind::Float64),
        "bytes" => Schema::new(Kind::Bytes),
        "string" => Schema::new(Kind::String),
        "array" => {
            let items = part("items", "Array schema did not specify the element type")?;
            Schema::new(Kind::Array(items.into()))
        }
        "map" => {
            let keys = part("keys", "Map schema did not specify the key type")?;
            let values = part("values", "Map schema did not specify the value type")?;
            Schema::new(Kind::Map(keys.into(), values.into()))
        }
        "struct" => structure(node, options)?,
        other => return Err(DataError::new(format!("Unknown schema type: {other}"))),
    };
    metadata(&mut schema, node)?;
    if let Some(default) = node.get("default") {
        // The schema is complete but for the default itself, which may be null where null is allowed.
        let typed = SchemaRef::from(schema.clone());
        let value = read::whole(&default.text(Spelling::AsRead), Some(&typed), options)?;
        let refused = |error: DataError| DataError::new(format!("Invalid default value: {error}"));
        validate_value(None, &schema, &value).map_err(refused)?;
        schema.default = (!value.is_null()).then_some(value);
    }
    Ok(schema)
}

fn structure(node: &Node, options: Options) -> Result<Schema, DataError> {
    let no_array = || DataError::new("Struct schema's \"fields\" argument is not an array.");
    let nodes = node.get("fields").and_then(Node::as_array).ok_or_else(no_array)?;
    let mut fields: Vec<Field> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let no_name = || DataError::new("Struct schema's field name not specified properly");
        let name = node.get("field").and_then(Node::as_str).ok_or_else(no_name)?;
        fields.push(Field::new(name, of_node(node, options)?));
    }
    let schema = Schema::structure(fields);
    for (index, field) in schema.fields().iter().enumerate() {
        if schema.field_index(&field.name) != Some(index) {
            let text = format!("Cannot create field because of field name duplication {}", field.name);
            return Err(DataError::new(text));
        }
    }
    Ok(schema)
}

fn metadata(schema: &mut Schema, node: &Node) -> Result<(), DataError> {
    schema.optional = node.get("optional") == Some(&Node::Bool(true));
    schema.name = node.get("name").and_then(Node::as_str).map(Into::into);
    schema.version = node.get("version").and_then(Node::as_i64).map(|version| version as i32);
    schema.doc = node.get("doc").and_then(Node::as_str).map(Into::into);
    for (key, value) in node.get("parameters").and_then(Node::as_object).into_iter().flatten() {
        let value = value.as_str().ok_or_else(|| DataError::new("Schema parameters must have string values."))?;
        schema.parameters.insert(key.clone(), value.to_owned());
    }
    Ok(())
}
