//! Columns as JSON that a schema describes.

use crate::formats::avro::Named;
use crate::formats::json;
use crate::formats::json_text::write_string;
use crate::formats::{Field, FormatError};
use crate::types::SqlType;
use crate::value::Value;

use super::model::{Kind, Property, Type};

/// Appends a record of `fields`; of the one that stands alone when `unwrapped`.
///
/// # Errors
/// Columns that the schema does not have; null where it allows none.
pub(super) fn row(
    of: &Type,
    row: &[Value],
    fields: &[Field],
    unwrapped: bool,
    output: &mut String,
) -> Result<(), FormatError> {
    match (&of.kind, fields, row) {
        (_, [field], [value]) if unwrapped => write(of, value, &field.field_type, output),
        (Kind::Object(properties), fields, row) => members(properties, row, fields, output),
        (Kind::Choice(choices), fields, row) => choice(choices, row, fields, output),
        _ => Err(FormatError::new("the schema is not of an object")),
    }
}

fn write(of: &Type, value: &Value, field_type: &SqlType, output: &mut String) -> Result<(), FormatError> {
    if value.is_null() {
        return null(of, output);
    }
    match (&of.kind, value, field_type) {
        (Kind::Array(element), Value::Array(elements), SqlType::Array(element_type)) => {
            list('[', elements.iter(), ']', output, |value, output| write(element, value, element_type, output))
        }
        (Kind::Map { entries: true, key: key_of, value: of }, Value::Map(map), SqlType::Map(key_type, value_type)) => {
            list('[', map.iter(), ']', output, |(key, value), output| {
                output.push_str("{\"key\":");
                write(key_of, key, key_type, output)?;
                output.push_str(",\"value\":");
                write(of, value, value_type, output)?;
                output.push('}');
                Ok(())
            })
        }
        (Kind::Map { value: of, .. }, Value::Map(map), SqlType::Map(key_type, value_type)) => {
            list('{', map.iter(), '}', output, |(key, value), output| {
                write_string(&key.text(key_type), output);
                output.push(':');
                write(of, value, value_type, output)
            })
        }
        (Kind::Object(properties), Value::Struct(row), SqlType::Struct(structure)) => {
            members(properties, row, &structure.fields, output)
        }
        (Kind::Choice(choices), Value::Struct(row), SqlType::Struct(structure)) => {
            choice(choices, row, &structure.fields, output)
        }
        (_, value, field_type) => {
            json::write(value, field_type, output);
            Ok(())
        }
    }
}

/// What stands for null.
fn null(of: &Type, output: &mut String) -> Result<(), FormatError> {
    match &of.default {
        Some(default) => default.write(output),
        None if of.is_optional => output.push_str("null"),
        None => {
            const MISSING: &str = "null value for field that is required and has no default value";
            return Err(FormatError(format!("Conversion error: {MISSING}")));
        }
    }
    Ok(())
}

fn list<T>(
    open: char,
    parts: impl Iterator<Item = T>,
    close: char,
    output: &mut String,
    mut write: impl FnMut(T, &mut String) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    output.push(open);
    for (index, part) in parts.enumerate() {
        if index > 0 {
            output.push(',');
        }
        write(part, output)?;
    }
    output.push(close);
    Ok(())
}

/// The members of an object, of the columns `row`.
fn members(
    properties: &[Property],
    row: &[Value],
    fields: &[impl Named],
    output: &mut String,
) -> Result<(), FormatError> {
    let mut known = 0;
    list('{', properties.iter(), '}', output, |property, output| {
        write_string(&property.name, output);
        output.push(':');
        let column = property.column;
        known += usize::from(column.is_some());
        match column.and_then(|column| Some((row.get(column)?, fields.get(column)?.field_type()))) {
            Some((value, _)) if value.is_null() && !property.of.is_optional => Err(FormatError(format!(
                "Invalid value: null used for required field: \"{}\", schema type: {}",
                property.name,
                property.of.written().name().to_uppercase()
            ))),
            Some((value, field_type)) => write(&property.of, value, field_type, output),
            None => null(&property.of, output),
        }
    })?;
    if known == fields.len() {
        return Ok(());
    }
    let is_known = |column: &str| properties.iter().any(|property| json::is_called(&property.name, column));
    match fields.iter().find(|field| !is_known(field.name())) {
        Some(unknown) => Err(unknown_field(unknown.name())),
        None => Ok(()),
    }
}

/// The one field that is set of a struct that stands for several types.
fn choice(choices: &[Property], row: &[Value], fields: &[impl Named], output: &mut String) -> Result<(), FormatError> {
    let Some((field, value)) = fields.iter().zip(row).find(|(_, value)| !value.is_null()) else {
        output.push_str("null");
        return Ok(());
    };
    match choices.iter().find(|choice| json::is_called(&choice.name, field.name())) {
        Some(choice) => write(&choice.of, value, field.field_type(), output),
        None => Err(unknown_field(field.name())),
    }
}

fn unknown_field(name: &str) -> FormatError {
    FormatError(format!("Schema from Schema Registry misses field with name: {name}"))
}
