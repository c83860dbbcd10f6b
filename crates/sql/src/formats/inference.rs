//! Columns of a registered schema.

use milena_schema::ParsedSchema;

use super::registry::RegisteredSchema;
use super::{CodecContext, Field, Format, FormatError, FormatSpec, Side, avro_schema, json_schema, protobuf_schema};
use crate::types::SqlType;

/// The column of a value that is not a record.
const SINGLE_VALUE: &str = "ROWVAL";
/// The column of a key that is not a record.
const SINGLE_KEY: &str = "ROWKEY";

/// The columns of a side of a topic, with the schema they were taken from.
#[derive(Debug, Clone)]
pub struct Inferred {
    /// The columns. Names are upper case, unless a schema id was given.
    pub fields: Vec<Field>,
    /// The schema.
    pub schema: RegisteredSchema,
}

/// Takes the columns from the schema that `spec` names, or the latest one of the topic.
///
/// # Errors
/// No such schema; a schema of another format; types that SQL does not have.
pub fn infer(spec: &FormatSpec, context: &CodecContext) -> Result<Inferred, FormatError> {
    let subject = context.subject();
    let found = match spec.schema_id {
        Some(id) => context.registry.by_id(id)?,
        None => context.registry.latest(&subject)?,
    };
    let schema = found.ok_or_else(|| {
        let side = context.side.name();
        FormatError(format!(
            "Schema for message {side}s on topic '{}' does not exist in the Schema Registry.\nSubject: {subject}\n\
             Possible causes include:\n- The topic itself does not exist\n- Messages on the topic are not serialized \
             using a format Schema Registry supports\n- The schema is registered on a different instance",
            context.topic
        ))
    })?;
    let single = match context.side {
        Side::Key => SINGLE_KEY,
        Side::Value => SINGLE_VALUE,
    };
    let mut fields = fields(&schema.schema, spec.full_name.as_deref(), single)?;
    // What stands alone is one column, even if it is a record.
    if spec.unwraps(context.side) && spec.format.can_unwrap() && !is_single(&schema.schema) {
        let record = SqlType::structure(fields.into_iter().map(|field| (field.name, field.field_type)));
        fields = vec![Field { name: single.into(), field_type: record }];
    }
    let alone = context.side == Side::Value && is_single(&schema.schema) && !spec.unwraps(context.side);
    if alone {
        return Err(FormatError::new(
            "Schema returned from schema registry is anonymous type. To use this schema with ksqlDB, set \
             'WRAP_SINGLE_VALUE=false' in the WITH clause properties.",
        ));
    }
    let fields: Vec<Field> = fields.into_iter().filter_map(supported).collect();
    if fields.is_empty() {
        return Err(FormatError::new("Schema does not include any columns with types that ksqlDB supports."));
    }
    let fields = if spec.schema_id.is_some() { fields } else { fields.into_iter().map(upper_case).collect() };
    check_format(spec.format, &schema.schema)?;
    Ok(Inferred { fields, schema })
}

/// The columns that a schema of any format describes.
///
/// # Errors
/// Types that SQL does not have.
pub fn fields(schema: &ParsedSchema, full_name: Option<&str>, single: &str) -> Result<Vec<Field>, FormatError> {
    match (schema.as_avro(), schema.as_json(), schema.as_protobuf()) {
        (Some(avro), _, _) => avro_schema::fields(avro, single),
        (_, Some(json), _) => json_schema::fields(json, single),
        (_, _, Some(protobuf)) => protobuf_schema::fields(protobuf, full_name),
        _ => Err(FormatError::new("a schema of no known format")),
    }
}

/// Whether the schema describes one value that stands alone.
pub fn is_single(schema: &ParsedSchema) -> bool {
    let marker = "\u{0}";
    fields(schema, None, marker).is_ok_and(|fields| matches!(fields.as_slice(), [field] if &*field.name == marker))
}

/// The field, without what no SQL type describes: maps with keys that are no strings.
fn supported(field: Field) -> Option<Field> {
    Some(Field { field_type: supported_type(&field.field_type)?, name: field.name })
}

fn supported_type(field_type: &SqlType) -> Option<SqlType> {
    Some(match field_type {
        SqlType::Map(key, value) => {
            (**key == SqlType::String).then(|| Some(SqlType::map(SqlType::String, supported_type(value)?)))??
        }
        SqlType::Array(element) => SqlType::array(supported_type(element)?),
        SqlType::Struct(structure) => {
            let fields = structure.fields.iter();
            let fields = fields.filter_map(|field| Some((field.name.clone(), supported_type(&field.field_type)?)));
            SqlType::structure(fields)
        }
        other => other.clone(),
    })
}

fn check_format(format: Format, schema: &ParsedSchema) -> Result<(), FormatError> {
    let fits = match format {
        Format::Avro => schema.as_avro().is_some(),
        Format::JsonSr => schema.as_json().is_some(),
        Format::Protobuf => schema.as_protobuf().is_some(),
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(FormatError(format!("the registered schema is {}, not {format}", schema.schema_type())))
    }
}

fn upper_case(field: Field) -> Field {
    Field { name: field.name.to_uppercase().into(), field_type: upper_case_type(&field.field_type) }
}

fn upper_case_type(field_type: &SqlType) -> SqlType {
    match field_type {
        SqlType::Array(element) => SqlType::array(upper_case_type(element)),
        SqlType::Map(key, value) => SqlType::map(upper_case_type(key), upper_case_type(value)),
        SqlType::Struct(structure) => SqlType::structure(
            structure.fields.iter().map(|field| (field.name.to_uppercase(), upper_case_type(&field.field_type))),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use milena_schema::SchemaType;

    use super::*;
    use crate::formats::registry::MemoryRegistry;

    fn columns(format: Format, schema_type: SchemaType, text: &str) -> Result<Vec<String>, FormatError> {
        let registry = MemoryRegistry::default();
        registry.add("t-value", schema_type, text, &[], None).unwrap();
        let context = CodecContext { topic: "t".to_owned(), side: Side::Value, registry: Arc::new(registry) };
        let inferred = infer(&FormatSpec::plain(format), &context)?;
        Ok(inferred.fields.iter().map(|field| format!("{} {}", field.name, field.field_type)).collect())
    }

    #[test]
    fn references_of_json_schemas_are_followed() {
        let text = r##"{"type":"object","definitions":{"n":{"type":"integer"},"p":{"type":"object","properties":
            {"x":{"$ref":"#/definitions/n"}}}},"properties":{"a":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/p"}]},
            "b":{"type":"array","items":{"$ref":"#/definitions/n"}}}}"##;
        let found = columns(Format::JsonSr, SchemaType::Json, text).unwrap();
        assert_eq!(found, ["A STRUCT<`X` BIGINT>", "B ARRAY<BIGINT>"]);
        let lost = r##"{"type":"object","properties":{"a":{"$ref":"#/definitions/none"}}}"##;
        assert!(columns(Format::JsonSr, SchemaType::Json, lost).is_err());
    }

    #[test]
    fn columns_that_sql_has_no_type_for_are_left_out() {
        let text = "syntax = \"proto3\"; message M { int32 a = 1; map<int32, string> b = 2; N n = 3; \
                    message N { map<int64, string> c = 1; string d = 2; } }";
        let found = columns(Format::Protobuf, SchemaType::Protobuf, text).unwrap();
        assert_eq!(found, ["A INTEGER", "N STRUCT<`D` STRING>"]);
        let text = "syntax = \"proto3\"; message M { map<int32, string> b = 2; }";
        let error = columns(Format::Protobuf, SchemaType::Protobuf, text).unwrap_err();
        assert!(error.0.contains("does not include any columns with types"), "{error}");
    }

    #[test]
    fn a_value_that_stands_alone_must_be_said_to() {
        let error = columns(Format::Avro, SchemaType::Avro, "\"int\"").unwrap_err();
        assert!(error.0.contains("anonymous type"), "{error}");
    }
}
