//! `CREATE STREAM|TABLE name (columns) WITH (...)`: from the statement to the [`Source`].

use std::sync::Arc;

use crate::ast::{ColumnConstraint, CreateSource, Name, SourceKind, TableElement};
use crate::catalog::schema::{Column, Namespace, Schema};
use crate::catalog::source::{Source, TimestampColumn};
use crate::catalog::with::With;
use crate::catalog::{Settings, StatementError};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{CodecContext, Field, Format, FormatSpec, Side, avro_schema, inference, support};
use crate::types::SqlType;

/// Columns that every source has besides its own.
pub const PSEUDO_COLUMNS: [&str; 3] = ["ROWTIME", "ROWPARTITION", "ROWOFFSET"];
/// Columns of windowed sources.
pub const WINDOW_BOUNDS: [&str; 2] = ["WINDOWSTART", "WINDOWEND"];

/// Whether no column may be called so.
pub fn is_reserved(name: &str) -> bool {
    PSEUDO_COLUMNS.contains(&name) || WINDOW_BOUNDS.contains(&name)
}

/// Makes the source that a statement creates.
///
/// # Errors
/// Columns or properties that make no source; a schema that cannot be inferred.
pub fn define(
    statement: &CreateSource,
    text: &str,
    settings: &Settings,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<Source, StatementError> {
    let with = With::read(&statement.properties)?;
    let topic = with
        .topic
        .clone()
        .ok_or_else(|| StatementError::new("Missing required property \"KAFKA_TOPIC\" which has no default value."))?;
    let mut key_format = with.key_spec(None, settings)?;
    let mut value_format = with.value_spec(None, settings)?;
    let columns = columns(statement, (&mut key_format, &mut value_format), &topic, registry)?;
    if key_format.format == Format::Avro && key_format.full_name.is_none() {
        key_format.full_name = Some(avro_schema::key_record(&statement.name));
    }
    let schema = Schema::new(columns);
    check_columns(statement, &schema)?;
    value_format.wrap = wrapping(value_format.wrap, &schema, &value_format, settings)?;
    support::check_schema(&schema, &key_format, &value_format)?;
    if with.window.is_some() && schema.keys().is_empty() {
        return Err(StatementError::new("Windowed sources require a key column."));
    }
    Ok(Source {
        name: statement.name.clone(),
        kind: statement.kind,
        timestamp: timestamp_column(&with, &schema)?,
        schema,
        topic,
        partitions: with.partitions,
        replicas: with.replicas,
        key_format,
        value_format,
        window: with.window,
        read_only: statement.is_source,
        created_by: None,
        statement: text.to_owned(),
    })
}

/// The columns stated, and those of the registry for the sides of which none is stated. A schema that is given by its id
/// gives its name as well.
fn columns(
    statement: &CreateSource,
    (key_format, value_format): (&mut FormatSpec, &mut FormatSpec),
    topic: &str,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<Vec<Column>, StatementError> {
    let mut columns: Vec<Column> = statement.elements.iter().map(column).collect();
    let mut found = Vec::new();
    for (side, spec) in [(Side::Key, key_format), (Side::Value, value_format)] {
        let namespace = if side == Side::Key { Namespace::Key } else { Namespace::Value };
        let is_stated = statement.elements.iter().map(column).any(|column| column.namespace == namespace);
        if spec.schema_id.is_some() {
            check_schema_id(side, spec, is_stated)?;
        }
        if is_stated || !spec.format.has_registry() {
            continue;
        }
        let context = CodecContext { topic: topic.to_owned(), side, registry: registry.clone() };
        found.push((side, inference::infer(spec, &context)?, spec));
    }
    for (side, inferred, spec) in found {
        if spec.full_name.is_none() {
            inference::check_definitions(&inferred.schema.schema, side)?;
            spec.full_name = spec.schema_id.and_then(|_| inferred.schema.schema.record_name());
        }
        columns.extend(inferred.fields.into_iter().map(|field| inferred_column(side, field)));
    }
    if columns.is_empty() {
        return Err(StatementError::new("The statement does not define any columns."));
    }
    Ok(columns)
}

/// Checks that the side for which a schema is given takes its columns from there.
fn check_schema_id(side: Side, spec: &FormatSpec, has_columns: bool) -> Result<(), StatementError> {
    let (property, format) = match side {
        Side::Key => ("KEY_SCHEMA_ID", "KEY_FORMAT"),
        Side::Value => ("VALUE_SCHEMA_ID", "VALUE_FORMAT"),
    };
    if !spec.format.has_registry() {
        return Err(StatementError(format!(
            "{format} should support schema inference when {property} is provided. Current format is {}.",
            spec.format
        )));
    }
    if has_columns {
        return Err(StatementError(format!("Table elements and {property} cannot both exist for create statement.")));
    }
    Ok(())
}

fn inferred_column(side: Side, field: Field) -> Column {
    match side {
        Side::Key => Column::key(field.name, field.field_type),
        Side::Value => Column::value(field.name, field.field_type),
    }
}

/// The column that a statement declares.
pub(crate) fn column(element: &TableElement) -> Column {
    let namespace = match &element.constraint {
        ColumnConstraint::None => Namespace::Value,
        ColumnConstraint::Key | ColumnConstraint::PrimaryKey => Namespace::Key,
        ColumnConstraint::Headers => Namespace::Headers,
        ColumnConstraint::Header(name) => Namespace::Header(name.clone()),
    };
    Column { name: element.name.clone(), column_type: element.column_type.clone(), namespace }
}

fn check_columns(statement: &CreateSource, schema: &Schema) -> Result<(), StatementError> {
    for element in &statement.elements {
        let place = element.location.prefix();
        match (statement.kind, &element.constraint) {
            (SourceKind::Table, ColumnConstraint::Key) => {
                return Err(StatementError(format!(
                    "{place}Column `{}` is a 'KEY' column: please use 'PRIMARY KEY' for tables.\nTables have PRIMARY \
                     KEYs, which are unique and NON NULL.\nStreams have KEYs, which have no uniqueness or NON NULL \
                     constraints.",
                    element.name
                )));
            }
            (SourceKind::Stream, ColumnConstraint::PrimaryKey) => {
                return Err(StatementError(format!(
                    "{place}Column `{}` is a 'PRIMARY KEY' column: please use 'KEY' for streams.\nTables have PRIMARY \
                     KEYs, which are unique and NON NULL.\nStreams have KEYs, which have no uniqueness or NON NULL \
                     constraints.",
                    element.name
                )));
            }
            _ => {}
        }
    }
    let mut seen: Vec<&Name> = Vec::new();
    for column in schema.columns() {
        if is_reserved(&column.name) {
            return Err(StatementError(format!(
                "'{}' is a reserved column name. You cannot use it as a name for a column.",
                column.name
            )));
        }
        if seen.contains(&&column.name) {
            return Err(StatementError(format!("Duplicate column names: {}", column.name)));
        }
        seen.push(&column.name);
        check_header_type(column)?;
    }
    check_headers_once(schema)?;
    if statement.kind == SourceKind::Table && schema.keys().is_empty() {
        return Err(StatementError::new("Tables require a PRIMARY KEY. Please define the PRIMARY KEY."));
    }
    Ok(())
}

/// All headers once, and each header once.
fn check_headers_once(schema: &Schema) -> Result<(), StatementError> {
    let mut seen: Vec<&Namespace> = Vec::new();
    for column in schema.headers() {
        if seen.contains(&&column.namespace) {
            let what = match &column.namespace {
                Namespace::Header(name) => format!("HEADER('{name}')"),
                _ => "HEADERS".to_owned(),
            };
            return Err(StatementError(format!("Schema already contains a {what} column.")));
        }
        seen.push(&column.namespace);
    }
    Ok(())
}

fn check_header_type(column: &Column) -> Result<(), StatementError> {
    let (what, expected) = match &column.namespace {
        Namespace::Headers => (
            "HEADERS".to_owned(),
            SqlType::array(SqlType::structure([("KEY", SqlType::String), ("VALUE", SqlType::Bytes)])),
        ),
        Namespace::Header(name) => (format!("HEADER('{name}')"), SqlType::Bytes),
        Namespace::Key | Namespace::Value => return Ok(()),
    };
    if column.column_type == expected {
        return Ok(());
    }
    Err(StatementError(format!("Invalid type for {what} column: expected {expected}, got {}", column.column_type)))
}

/// Whether a single value column is wrapped, when anybody says so.
///
/// # Errors
/// `WRAP_SINGLE_VALUE` where it means nothing.
pub fn wrapping(
    stated: Option<bool>,
    schema: &Schema,
    spec: &FormatSpec,
    settings: &Settings,
) -> Result<Option<bool>, StatementError> {
    let single = schema.values().count() == 1;
    let Some(wrap) = stated else {
        let default = settings.wrap_single_values().filter(|wrap| match wrap {
            true => spec.format.can_wrap(),
            false => spec.format.can_unwrap(),
        });
        return Ok(default.filter(|_| single));
    };
    let fits = if wrap { spec.format.can_wrap() } else { spec.format.can_unwrap() };
    if !fits {
        return Err(StatementError(format!(
            "Format '{}' does not support 'WRAP_SINGLE_VALUE' set to '{wrap}'.",
            spec.format
        )));
    }
    if !single {
        return Err(StatementError::new("'WRAP_SINGLE_VALUE' is only valid for single-field value schemas"));
    }
    Ok(Some(wrap))
}

/// The column that `TIMESTAMP` names.
///
/// # Errors
/// A column that does not exist or is no time.
pub fn timestamp_column(with: &With, schema: &Schema) -> Result<Option<TimestampColumn>, StatementError> {
    let Some(name) = &with.timestamp else { return Ok(None) };
    let column = schema.find(name).ok_or_else(|| {
        StatementError(format!("The TIMESTAMP column set in the WITH clause does not exist in the schema: '{name}'"))
    })?;
    let format = with.timestamp_format.clone();
    match (&column.column_type, &format) {
        (SqlType::String, Some(_)) | (SqlType::Bigint | SqlType::Timestamp, None) => {}
        (SqlType::String, None) => {
            return Err(StatementError(format!(
                "A String timestamp field has been specified without also specifying the timestamp_format: '{name}'. \
                 Timestamp column, `{name}`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format \
                 specified."
            )));
        }
        (other, Some(_)) => {
            return Err(StatementError(format!(
                "'TIMESTAMP_FORMAT' set, but the TIMESTAMP column `{name}` is {other}, not STRING"
            )));
        }
        (other, None) => {
            return Err(StatementError(format!(
                "Timestamp column, `{name}`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format \
                 specified, but is {other}"
            )));
        }
    }
    Ok(Some(TimestampColumn { column: column.name.clone(), format }))
}
