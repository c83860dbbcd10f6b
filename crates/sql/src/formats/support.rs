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
    let features = spec.feature(side, columns.len()).unwrap_or_default();
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
                    ref other => {
                        let name = other.base_name();
                        return Err(FormatError(format!("The 'KAFKA' format does not support type '{name}'")));
                    }
                }
            }
            Ok(())
        }
        Format::Delimited => {
            for column in columns {
                if matches!(column.column_type, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)) {
                    return Err(FormatError(format!(
                        "The 'DELIMITED' format does not support type '{}', column: `{}`",
                        column.column_type.base_name(),
                        column.name
                    )));
                }
            }
            Ok(())
        }
        Format::Json | Format::JsonSr => text_map_keys(columns, "JSON only supports MAP types with STRING keys"),
        Format::Protobuf | Format::ProtobufNoSr => text_map_keys(
            columns,
            "PROTOBUF format only supports MAP types with STRING keys. See https://github.com/confluentinc/ksql/issues/6177.",
        ),
        Format::Avro => {
            let field =
                |column: &&Column| super::Field { name: column.name.clone(), field_type: column.column_type.clone() };
            let fields: Vec<_> = columns.iter().map(field).collect();
            avro_schema::schema_text(&fields, spec.full_name.as_deref().unwrap_or(avro_schema::VALUE_RECORD), false)?;
            text_map_keys(columns, "Avro only supports MAPs with STRING keys")
        }
    }
}

/// Checks that the keys of all maps are strings, which member names are.
fn text_map_keys(columns: &[&Column], refusal: &str) -> Result<(), FormatError> {
    let has_others = columns.iter().any(|column| has_other_map_keys(&column.column_type));
    if has_others { Err(FormatError::new(refusal)) } else { Ok(()) }
}

fn has_other_map_keys(column_type: &SqlType) -> bool {
    match column_type {
        SqlType::Map(key, value) => **key != SqlType::String || has_other_map_keys(value),
        SqlType::Array(element) => has_other_map_keys(element),
        SqlType::Struct(structure) => structure.fields.iter().any(|field| has_other_map_keys(&field.field_type)),
        _ => false,
    }
}
