//! `CREATE STREAM|TABLE name (columns) WITH (...)`: from the statement to the [`Source`].

use std::sync::Arc;

use crate::ast::{ColumnConstraint, CreateSource, Name, SourceKind, TableElement};
use crate::catalog::schema::{Column, Namespace, Schema};
use crate::catalog::source::{Source, TimestampColumn};
use crate::catalog::with::With;
use crate::catalog::{Settings, StatementError};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{
    CodecContext, Field, Format, FormatSpec, Side, avro_schema, inference, inference::Inferred, support,
};
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
    let with = prepared(statement)?;
    let topic = with.topic.clone().unwrap_or_default();
    let mut key_format = with.key_spec(None, settings)?;
    let mut value_format = with.value_spec(None, settings)?;
    let columns = columns(statement, (&mut key_format, &mut value_format), &topic, registry)?;
    if key_format.format == Format::Avro && key_format.full_name.is_none() {
        key_format.full_name = Some(avro_schema::key_record(&statement.name));
    }
    let schema = Schema::new(columns);
    with.check_cleanup(statement.kind == SourceKind::Table)?;
    check_columns(statement, &with, &schema)?;
    let timestamp = timestamp_column(&with, &schema)?;
    value_format.wrap = wrapping(value_format.wrap, &schema, &value_format, settings)?;
    support::check_schema(&schema, &key_format, &value_format)?;
    if with.window.is_some() && schema.keys().is_empty() {
        return Err(StatementError::new("Windowed sources require a key column."));
    }
    Ok(Source {
        name: statement.name.clone(),
        kind: statement.kind,
        timestamp,
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

/// The properties, after what can be said of the statement without knowing anything else.
///
/// # Errors
/// Columns or properties that no source has.
pub fn prepared(statement: &CreateSource) -> Result<With, StatementError> {
    for element in &statement.elements {
        check_header_type(&column(element))?;
    }
    let names = statement.elements.iter().map(|element| &element.name);
    check_names(names).map_err(|error| StatementError(format!("Failed to prepare statement: {error}")))?;
    let with = With::read(&statement.properties)?;
    check_constraints(statement)?;
    Ok(with)
}

/// The columns stated, and those of the registry for the sides of which none is stated. A schema that is given by its id
/// gives its name as well.
fn columns(
    statement: &CreateSource,
    (key_format, value_format): (&mut FormatSpec, &mut FormatSpec),
    topic: &str,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<Vec<Column>, StatementError> {
    let stated = |side: Side| {
        let namespace = if side == Side::Key { Namespace::Key } else { Namespace::Value };
        let of_side = statement.elements.iter().map(column).filter(move |column| column.namespace == namespace);
        of_side.collect::<Vec<_>>()
    };
    let infer = |side: Side, spec: &FormatSpec| {
        if !is_inferred(spec, side, !stated(side).is_empty())? {
            return Ok(None);
        }
        let context = CodecContext { topic: topic.to_owned(), side, registry: registry.clone() };
        Ok::<_, StatementError>(Some(inference::infer(spec, &context)?))
    };
    let named = |side: Side, spec: &mut FormatSpec, inferred: Option<Inferred>| {
        let Some(inferred) = inferred else { return Ok(None) };
        if spec.full_name.is_none() {
            inference::check_definitions(&inferred.schema.schema, side)?;
            spec.full_name = spec.schema_id.and_then(|_| inferred.schema.schema.record_name());
        }
        Ok::<_, StatementError>(Some(inferred.fields))
    };
    let (keys, values) = (infer(Side::Key, key_format)?, infer(Side::Value, value_format)?);
    let (keys, values) = (named(Side::Key, key_format, keys)?, named(Side::Value, value_format, values)?);
    if keys.is_none() && values.is_none() {
        if statement.elements.is_empty() {
            return Err(StatementError::new("The statement does not define any columns."));
        }
        return Ok(statement.elements.iter().map(column).collect());
    }
    let is_header = |column: &Column| matches!(column.namespace, Namespace::Headers | Namespace::Header(_));
    let mut columns: Vec<Column> = statement.elements.iter().map(column).filter(is_header).collect();
    for (side, inferred) in [(Side::Key, keys), (Side::Value, values)] {
        match inferred {
            Some(fields) => columns.extend(fields.into_iter().map(|field| inferred_column(side, field))),
            None => columns.extend(stated(side)),
        }
    }
    check_names(columns.iter().map(|column| &column.name))?;
    Ok(columns)
}

/// Whether the columns of a side come from a registered schema.
///
/// # Errors
/// A schema id that cannot be used, or that contradicts columns that are stated.
fn is_inferred(spec: &FormatSpec, side: Side, has_columns: bool) -> Result<bool, StatementError> {
    let has_id = spec.schema_id.is_some();
    let (property, format) = match side {
        Side::Key => ("KEY_SCHEMA_ID", "KEY_FORMAT"),
        Side::Value => ("VALUE_SCHEMA_ID", "VALUE_FORMAT"),
    };
    if has_id && !spec.format.has_registry() {
        return Err(StatementError(format!(
            "{format} should support schema inference when {property} is provided. Current format is {}.",
            spec.format
        )));
    }
    if has_id && has_columns {
        return Err(StatementError(format!("Table elements and {property} cannot both exist for create statement.")));
    }
    Ok(!has_columns && spec.format.has_registry())
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

/// Checks that no two columns have one name.
fn check_names<'n>(names: impl Iterator<Item = &'n Name>) -> Result<(), StatementError> {
    let mut seen: Vec<&Name> = Vec::new();
    let mut twice: Vec<String> = Vec::new();
    for name in names {
        let quoted = format!("`{name}`");
        if seen.contains(&name) && !twice.contains(&quoted) {
            twice.push(quoted);
        }
        seen.push(name);
    }
    if twice.is_empty() { Ok(()) } else { Err(StatementError(format!("Duplicate column names: {}", twice.join(", ")))) }
}

/// Checks that tables have `PRIMARY KEY`s and streams have `KEY`s.
fn check_constraints(statement: &CreateSource) -> Result<(), StatementError> {
    let (wrong, is, should_be) = match statement.kind {
        SourceKind::Table => (ColumnConstraint::Key, "KEY", "'PRIMARY KEY' for tables"),
        SourceKind::Stream => (ColumnConstraint::PrimaryKey, "PRIMARY KEY", "'KEY' for streams"),
    };
    match statement.elements.iter().find(|element| element.constraint == wrong) {
        None => Ok(()),
        Some(element) => Err(StatementError(format!(
            "{}Column `{}` is a '{is}' column: please use {should_be}.\nTables have PRIMARY KEYs, which are unique and \
             NON NULL.\nStreams have KEYs, which have no uniqueness or NON NULL constraints.",
            element.location.prefix(),
            element.name
        ))),
    }
}

fn check_columns(statement: &CreateSource, with: &With, schema: &Schema) -> Result<(), StatementError> {
    if let Some(column) = schema.columns().iter().find(|column| is_reserved(&column.name)) {
        return Err(StatementError(format!(
            "'{}' is a reserved column name. You cannot use it as a name for a column.",
            column.name
        )));
    }
    check_headers_once(schema)?;
    if statement.kind == SourceKind::Table && schema.keys().is_empty() {
        let partial = format!(
            "\nUse a partial schema to define the primary key and still load the value columns from the Schema Registry, \
             for example:\n\tCREATE TABLE {} (ID INT PRIMARY KEY) WITH (...);",
            statement.name
        );
        return Err(StatementError(format!(
            "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.{}",
            if with.value_schema_id.is_some() { &partial } else { "" }
        )));
    }
    Ok(())
}

/// No header twice, and none behind the column of all headers.
fn check_headers_once(schema: &Schema) -> Result<(), StatementError> {
    let mut seen: Vec<&Namespace> = Vec::new();
    for column in schema.headers() {
        if seen.contains(&&Namespace::Headers) {
            return Err(StatementError::new("Schema already contains a HEADERS column."));
        }
        if let (Namespace::Header(name), true) = (&column.namespace, seen.contains(&&column.namespace)) {
            return Err(StatementError(format!("Schema already contains a HEADER('{name}') column.")));
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
    Err(StatementError(format!(
        "Failed to prepare statement: Invalid type for {what} column: expected {expected}, got {}",
        column.column_type
    )))
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
            return Err(StatementError::new(
                "A String timestamp field has been specified without also specifying the timestamp_format",
            ));
        }
        (_, Some(_)) => {
            return Err(StatementError::new(
                "'TIMESTAMP_FORMAT' set in the WITH clause can only be used when the timestamp column is of type STRING.",
            ));
        }
        (_, None) => {
            return Err(StatementError(format!(
                "Timestamp column, `{name}`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format \
                 specified."
            )));
        }
    }
    Ok(Some(TimestampColumn { column: column.name.clone(), format }))
}
