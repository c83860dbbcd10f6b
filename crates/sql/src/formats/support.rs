//! Which columns a format can hold, and what is said of those it cannot.

use super::{Format, FormatError, FormatSpec, Side, avro_schema};
use crate::catalog::schema::{Column, Schema};
use crate::types::SqlType;

/// Checks that the formats can hold the columns of their side.
///
/// # Errors
/// The first column that a format does not support; columns that no key may have.
pub fn check_schema(schema: &Schema, key: &FormatSpec, value: &FormatSpec) -> Result<(), FormatError> {
    for column in schema.keys() {
        if column.column_type.contains_map() {
            return Err(FormatError(format!(
                "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior \
                 due to inconsistent serialization. Key column name: `{}`. Column type: {}. See \
                 https://github.com/confluentinc/ksql/issues/6621 for more.",
                column.name, column.column_type
            )));
        }
    }
    check_side(&schema.keys().iter().collect::<Vec<_>>(), key, Side::Key)?;
    check_side(&schema.values().collect::<Vec<_>>(), value, Side::Value)
}

/// Checks the columns of one side.
///
/// # Errors
/// As [`check_schema`].
pub fn check_side(columns: &[&Column], spec: &FormatSpec, side: Side) -> Result<(), FormatError> {
    let Err(FormatError(reason)) = check_columns(columns, spec) else { return Ok(()) };
    let title = match side {
        Side::Key => "Key",
        Side::Value => "Value",
    };
    let features = if columns.len() == 1 && spec.unwraps(side) {
        "UNWRAP_SINGLES"
    } else if columns.len() == 1 && spec.wrap == Some(true) {
        "WRAP_SINGLES"
    } else {
        ""
    };
    Err(FormatError(format!(
        "{title} format does not support schema.\nformat: {}\nschema: Persistence{{columns=[{}], \
         features=[{features}]}}\nreason: {reason}",
        spec.format,
        list(columns)
    )))
}

fn list(columns: &[&Column]) -> String {
    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn check_columns(columns: &[&Column], spec: &FormatSpec) -> Result<(), FormatError> {
    let unsupported = |column_type: &SqlType| {
        let name = column_type.base_name();
        Err(FormatError(format!("The '{}' format does not support type '{name}'", spec.format)))
    };
    match spec.format {
        Format::None if !columns.is_empty() => Err(FormatError(format!(
            "The 'NONE' format can only be used when no columns are defined. Got: [{}]",
            list(columns)
        ))),
        Format::None => Ok(()),
        Format::Kafka => {
            if columns.len() > 1 {
                return Err(FormatError(format!(
                    "The 'KAFKA' format only supports a single field. Got: [{}]",
                    list(columns)
                )));
            }
            for column in columns {
                match column.column_type {
                    SqlType::Integer | SqlType::Bigint | SqlType::Double | SqlType::String | SqlType::Bytes => {}
                    ref other => return unsupported(other),
                }
            }
            Ok(())
        }
        Format::Delimited => {
            for column in columns {
                if matches!(column.column_type, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)) {
                    return unsupported(&column.column_type);
                }
            }
            Ok(())
        }
        Format::Json | Format::JsonSr | Format::Protobuf | Format::ProtobufNoSr => {
            let name = spec.format.name();
            columns.iter().try_for_each(|column| text_map_keys(&column.column_type, name))
        }
        Format::Avro => columns.iter().try_for_each(|column| {
            text_map_keys(&column.column_type, "Avro")?;
            let field = super::Field { name: column.name.clone(), field_type: column.column_type.clone() };
            avro_schema::schema_text(&[field], avro_schema::VALUE_RECORD, false).map(|_| ())
        }),
    }
}

/// Checks that the keys of all maps are strings, which member names are.
fn text_map_keys(column_type: &SqlType, format: &str) -> Result<(), FormatError> {
    match column_type {
        SqlType::Map(key, _) if **key != SqlType::String => {
            Err(FormatError(format!("{format} only supports MAP types with STRING keys")))
        }
        SqlType::Map(_, value) => text_map_keys(value, format),
        SqlType::Array(element) => text_map_keys(element, format),
        SqlType::Struct(structure) => {
            structure.fields.iter().try_for_each(|field| text_map_keys(&field.field_type, format))
        }
        _ => Ok(()),
    }
}
