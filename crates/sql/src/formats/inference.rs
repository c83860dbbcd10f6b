//! Columns of a registered schema.

use milena_schema::{ParsedSchema, SchemaType};

use super::json::column_list;
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
/// No such schema; a schema of another format; types that SQL does not have; several columns of a key.
pub fn infer(spec: &FormatSpec, context: &CodecContext) -> Result<Inferred, FormatError> {
    infer_for(spec, context, Some(&context.topic))
}

/// As [`infer`], for a statement that states this topic, or none.
///
/// # Errors
/// As [`infer`].
pub fn infer_for(spec: &FormatSpec, context: &CodecContext, topic: Option<&str>) -> Result<Inferred, FormatError> {
    let found = match spec.schema_id {
        Some(id) => context.registry.by_id(id)?,
        None => context.registry.latest(&context.subject())?,
    };
    let schema = found.ok_or_else(|| unknown(spec, context.side, topic))?;
    let place = place(spec, topic);
    check_format(spec, context.side, &place, &schema.schema)?;
    let fields =
        columns(spec, context.side, spec.unwraps(context.side), &schema.schema).map_err(|FormatError(reason)| {
            FormatError(format!(
                "Unable to verify if the {} schema for {place} is compatible with ksqlDB.\nReason: {reason}\n\nPlease see \
             https://github.com/confluentinc/ksql/issues/ to see if this particular reason is already known.\nIf not, \
             please log a new issue, including this full error message.\nSchema:{}",
                context.side.name(),
                schema.schema.canonical()
            ))
        })?;
    if context.side == Side::Key && fields.len() > 1 {
        return Err(FormatError(format!(
            "The key schema for {place} contains multiple columns, which is not supported by ksqlDB at this time.\nSchema:{}",
            schema.schema.canonical()
        )));
    }
    Ok(Inferred { fields, schema })
}

/// The columns of a side that a schema describes, of what stands alone when `unwrapped`.
///
/// # Errors
/// Types that SQL does not have; a value that stands alone where none is expected.
pub fn columns(
    spec: &FormatSpec,
    side: Side,
    unwrapped: bool,
    schema: &ParsedSchema,
) -> Result<Vec<Field>, FormatError> {
    let single = match side {
        Side::Key => SINGLE_KEY,
        Side::Value => SINGLE_VALUE,
    };
    let mut fields = fields(schema, spec.full_name.as_deref(), single)?;
    // What stands alone is one column, even if it is a record.
    if unwrapped && !is_single(schema) {
        let record = SqlType::structure(fields.into_iter().map(|field| (field.name, field.field_type)));
        fields = vec![Field { name: single.into(), field_type: record }];
    }
    if side == Side::Value && is_single(schema) && !unwrapped {
        return Err(FormatError::new(
            "Schema returned from schema registry is anonymous type. To use this schema with ksqlDB, set \
             'WRAP_SINGLE_VALUE=false' in the WITH clause properties.",
        ));
    }
    let described = column_list(&fields);
    let fields: Vec<Field> = fields.into_iter().filter_map(supported).collect();
    if fields.is_empty() {
        return Err(FormatError(format!(
            "Schema does not include any columns with types that ksqlDB supports.\nschema: {described}"
        )));
    }
    Ok(if spec.schema_id.is_some() { fields } else { fields.into_iter().map(upper_case).collect() })
}

/// The topic and the id by which a schema is looked for.
fn place(spec: &FormatSpec, topic: Option<&str>) -> String {
    let topic = topic.map(|topic| format!("topic: {topic}"));
    let id = spec.schema_id.map(|id| format!("schema id: {id}"));
    topic.into_iter().chain(id).collect::<Vec<_>>().join(", ")
}

fn unknown(spec: &FormatSpec, side: Side, topic: Option<&str>) -> FormatError {
    const MORE_CAUSES: &str = "- Messages on the topic have not been serialized using a Confluent Schema Registry supported \
         serializer\n\t-> See https://docs.confluent.io/current/schema-registry/docs/serializer-formatter.html\n- The schema \
         is registered on a different instance of the Schema Registry\n\t-> Use the REST API to list available \
         subjects\thttps://docs.confluent.io/current/schema-registry/docs/api.html#get--subjects\n- You do not have \
         permissions to access the Schema Registry.\n\t-> See \
         https://docs.confluent.io/current/schema-registry/docs/security.html";
    let side = side.name();
    let id = spec.schema_id.map(|id| format!("Schema Id: {id}\n")).unwrap_or_default();
    FormatError(match (topic, spec.schema_id) {
        (None, Some(number)) => format!(
            "Schema for message {side}s on schema id'{number} does not exist in the Schema Registry.\n{id}Possible causes \
             include:\n- Schema Id Optional[{number}]\n{MORE_CAUSES}"
        ),
        (topic, _) => {
            let topic = topic.unwrap_or_default();
            format!(
                "Schema for message {side}s on topic '{topic}' does not exist in the Schema Registry.\nSubject: \
                 {topic}-{side}\n{id}Possible causes include:\n- The topic itself does not exist\n\t-> Use SHOW TOPICS; to \
                 check\n- Messages on the topic are not serialized using a format Schema Registry supports\n\t-> Use PRINT \
                 '{topic}' FROM BEGINNING; to verify\n{MORE_CAUSES}"
            )
        }
    })
}

/// Refuses a schema of which it is not clear which of its messages is meant.
///
/// # Errors
/// Several messages and no name.
pub fn check_definitions(schema: &ParsedSchema, side: Side) -> Result<(), FormatError> {
    let Some(protobuf) = schema.as_protobuf() else { return Ok(()) };
    let names = protobuf_schema::definitions(protobuf);
    if names.len() < 2 {
        return Ok(());
    }
    let (title, property) = match side {
        Side::Key => ("Key", "KEY_SCHEMA_FULL_NAME"),
        Side::Value => ("Value", "VALUE_SCHEMA_FULL_NAME"),
    };
    let names: Vec<_> = names.iter().map(|name| format!("- {name}")).collect();
    Err(FormatError(format!(
        "{title} schema has multiple schema definitions. \n\n{}\n\nPlease specify a schema full name in the WITH clause \
         using {property}",
        names.join("\n")
    )))
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

/// The field, without what no SQL type describes: maps with keys that are no whole numbers, truths or strings.
fn supported(field: Field) -> Option<Field> {
    Some(Field { field_type: supported_type(&field.field_type)?, name: field.name })
}

fn supported_type(field_type: &SqlType) -> Option<SqlType> {
    Some(match field_type {
        SqlType::Map(key, value) => {
            if matches!(
                supported_type(key)?,
                SqlType::Double
                    | SqlType::Decimal(_)
                    | SqlType::Bytes
                    | SqlType::Array(_)
                    | SqlType::Map(..)
                    | SqlType::Struct(_)
            ) {
                return None;
            }
            SqlType::map(SqlType::String, supported_type(value)?)
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

fn check_format(spec: &FormatSpec, side: Side, place: &str, schema: &ParsedSchema) -> Result<(), FormatError> {
    let expected = match spec.format {
        Format::Avro => SchemaType::Avro,
        Format::JsonSr => SchemaType::Json,
        Format::Protobuf => SchemaType::Protobuf,
        _ => return Ok(()),
    };
    let actual = schema.schema_type();
    if actual == expected {
        return Ok(());
    }
    let (title, property) = match side {
        Side::Key => ("Key", "KEY_FORMAT"),
        Side::Value => ("Value", "VALUE_FORMAT"),
    };
    Err(FormatError(format!(
        "{title} schema is not in the expected format. You may want to set {property} to '{actual}'.\n{place}\nexpected format: \
         {expected}\nactual format from Schema Registry: {actual}"
    )))
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

    use super::*;
    use crate::formats::registry::MemoryRegistry;

    fn inferred(format: Format, schema_type: SchemaType, text: &str) -> Result<Vec<String>, FormatError> {
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
        let found = inferred(Format::JsonSr, SchemaType::Json, text).unwrap();
        assert_eq!(found, ["A STRUCT<`X` BIGINT>", "B ARRAY<BIGINT>"]);
        let lost = r##"{"type":"object","properties":{"a":{"$ref":"#/definitions/none"}}}"##;
        assert!(inferred(Format::JsonSr, SchemaType::Json, lost).is_err());
    }

    #[test]
    fn older_schemas_of_connectors_tell_their_name_of_a_time_alone() {
        let text = r#"{"type":"record","name":"M","fields":[{"name":"d","type":{"type":"int","connect.version":1,
            "connect.name":"org.apache.kafka.connect.data.Date"}},{"name":"t","type":{"type":"long",
            "connect.name":"org.apache.kafka.connect.data.Timestamp"}},{"name":"n","type":{"type":"int",
            "connect.name":"org.apache.kafka.connect.data.Timestamp"}}]}"#;
        let found = inferred(Format::Avro, SchemaType::Avro, text).unwrap();
        assert_eq!(found, ["D DATE", "T TIMESTAMP", "N INTEGER"]);
    }

    #[test]
    fn keys_of_maps_become_text_where_they_can() {
        let text = "syntax = \"proto3\"; message M { int32 a = 1; map<int32, string> b = 2; N n = 3; \
                    message N { map<int64, string> c = 1; string d = 2; } }";
        let found = inferred(Format::Protobuf, SchemaType::Protobuf, text).unwrap();
        assert_eq!(found, ["A INTEGER", "B MAP<STRING, STRING>", "N STRUCT<`C` MAP<STRING, STRING>, `D` STRING>"]);
        let text = r#"{"type":"record","name":"M","fields":[{"name":"b","type":{"type":"array","items":{"type":"record",
            "name":"e","connect.internal.type":"MapEntry","fields":[{"name":"key","type":"double"},{"name":"value",
            "type":"int"}]}}}]}"#;
        let error = inferred(Format::Avro, SchemaType::Avro, text).unwrap_err();
        assert!(error.0.contains("does not include any columns with types"), "{error}");
    }

    #[test]
    fn a_value_that_stands_alone_must_be_said_to() {
        let error = inferred(Format::Avro, SchemaType::Avro, "\"int\"").unwrap_err();
        assert!(error.0.contains("anonymous type"), "{error}");
    }
}
