//! Where the result of a query goes, and how it is written.

use std::borrow::Cow;
use std::sync::Arc;

use bigdecimal::BigDecimal;

use crate::ast::{CreateAsSelect, Expression, InsertInto, Literal, Properties, Query, SelectItem, SourceKind};
use crate::catalog::define::{timestamp_column, wrapping};
use crate::catalog::schema::{Column, Schema};
use crate::catalog::source::Source;
use crate::catalog::with::With;
use crate::catalog::{Catalog, Settings, StatementError};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{self, CodecContext, Format, FormatSpec, Side, avro_schema, inference, support};
use crate::operators::evaluator::Evaluator;
use crate::planner::PlannedQuery;
use crate::planner::scope::{hint, unprepared};
use crate::planner::step::StepKind;
use crate::types::{DecimalType, SqlType};
use crate::value::{Value, fit_decimal};

/// What ids begin with that no statement states.
const OWN_ID_PREFIXES: [&str; 4] = ["INSERTQUERY_", "CTAS_", "CSAS_", "CST_"];

/// The stream or table that `CREATE ... AS SELECT` makes.
///
/// # Errors
/// A result of the other kind; properties and formats that do not fit it.
pub fn create(
    statement: &CreateAsSelect,
    planned: &PlannedQuery,
    text: &str,
    settings: &Settings,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<Source, StatementError> {
    let with = prepared(statement)?;
    let left = &planned.scope.sources[0].source;
    let schema = planned.schema.clone();
    let topic = with.topic.clone().unwrap_or_else(|| format!("{}{}", settings.topic_prefix(), statement.name));
    let timestamp = timestamp_column(&with, &schema).map_err(undetermined)?;
    with.check_cleanup(statement.kind == SourceKind::Table && statement.query.window.is_none())?;
    planned.check_key().map_err(undetermined)?;
    check_kind(statement.kind, planned.step.schema.kind).map_err(undetermined)?;
    let mut key_format = key_format(&with, left, &schema, statement, settings).map_err(undetermined)?;
    let mut value_format = with.value_spec(Some(&left.value_format), settings)?;
    value_format.wrap = wrapping(with.wrap, &schema, &value_format, settings)?;
    support::check_schema(&schema, &key_format, &value_format).map_err(|error| undetermined(error.into()))?;
    for (side, spec) in [(Side::Key, &mut key_format), (Side::Value, &mut value_format)] {
        check_physical(&schema, side, spec, with.topic.as_deref(), registry)?;
    }
    let integer = |name| settings.integer(name);
    Ok(Source {
        name: statement.name.clone(),
        kind: statement.kind,
        timestamp,
        schema,
        topic,
        partitions: with
            .partitions
            .or(integer("ksql.sink.partitions").and_then(|n| n.try_into().ok()))
            .or(left.partitions),
        replicas: with.replicas.or(integer("ksql.sink.replicas").and_then(|n| n.try_into().ok())).or(left.replicas),
        key_format,
        value_format,
        window: planned.step.schema.window,
        read_only: false,
        created_by: None,
        statement: text.to_owned(),
    })
}

/// Why it is not known what a query would write, from what is wrong with it. What is wrong with a statement before its query
/// is looked at stays as it is.
pub fn undetermined(error: StatementError) -> StatementError {
    match ["Failed to prepare statement: ", "Exception while preparing statement: "]
        .iter()
        .any(|at| error.0.starts_with(at))
    {
        true => error,
        false => StatementError(format!("Could not determine output schema for query due to error: {error}")),
    }
}

/// The properties, after what can be said of the statement without knowing anything else.
///
/// # Errors
/// Properties that no result has; a `LIMIT`.
pub fn prepared(statement: &CreateAsSelect) -> Result<With, StatementError> {
    if statement.query.limit.is_some() {
        return Err(StatementError(format!(
            "Failed to prepare statement: CREATE {} AS SELECT statements don't support LIMIT clause.",
            statement.kind.text()
        )));
    }
    With::read_for_query(&statement.properties)
}

fn check_kind(wanted: SourceKind, is: SourceKind) -> Result<(), StatementError> {
    if wanted == is {
        return Ok(());
    }
    let (is, other) = match is {
        SourceKind::Table => ("TABLE", "TABLE"),
        SourceKind::Stream => ("STREAM", "STREAM"),
    };
    Err(StatementError(format!(
        "Invalid result type. Your SELECT query produces a {is}. Please use CREATE {other} AS SELECT statement instead."
    )))
}

fn key_format(
    with: &With,
    left: &Source,
    schema: &Schema,
    statement: &CreateAsSelect,
    settings: &Settings,
) -> Result<FormatSpec, StatementError> {
    let partition_by = statement.query.partition_by.iter().flat_map(|by| &by.expressions);
    let partitions_by_null = partition_by.into_iter().any(|by| *by == Expression::Literal(Literal::Null));
    let mut spec = with.key_spec(Some(&left.key_format), settings)?;
    if partitions_by_null {
        if spec.format != Format::None && with.key_format.is_some() {
            return Err(StatementError::new("Key format specified for stream without key columns."));
        }
        return Ok(FormatSpec::plain(Format::None));
    }
    // What had no key gets one now.
    if with.key_format.is_none() && spec.format == Format::None && !schema.keys().is_empty() {
        return Ok(FormatSpec::plain(settings.default_key_format().parse()?));
    }
    if spec.format == Format::Avro && spec.full_name.is_none() {
        spec.full_name = Some(avro_schema::key_record(&statement.name));
    }
    Ok(spec)
}

/// Checks that the columns are those of the registered schema that is to be written, whose name the format gets.
fn check_physical(
    schema: &Schema,
    side: Side,
    spec: &mut FormatSpec,
    topic: Option<&str>,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<(), StatementError> {
    if spec.schema_id.is_none() {
        return Ok(());
    }
    let context = CodecContext { topic: topic.unwrap_or_default().to_owned(), side, registry: registry.clone() };
    let inferred = inference::infer_for(spec, &context, topic)?;
    let columns: Vec<Column> = match side {
        Side::Key => schema.keys().to_vec(),
        Side::Value => schema.values().cloned().collect(),
    };
    let column = |field: &crate::formats::Field| match side {
        Side::Key => Column::key(field.name.clone(), field.field_type.clone()),
        Side::Value => Column::value(field.name.clone(), field.field_type.clone()),
    };
    let physical: Vec<Column> = inferred.fields.iter().map(column).collect();
    // Further fields of the schema stay without a value.
    let changed = columns.iter().enumerate().filter(|(position, column)| physical.get(*position) != Some(*column));
    let changed: Vec<_> = changed.map(|(_, column)| column.to_string()).collect();
    if changed.is_empty() {
        if spec.full_name.is_none() {
            spec.full_name = inferred.schema.schema.record_name();
        }
        return Ok(());
    }
    let list: Vec<_> = physical.iter().map(ToString::to_string).collect();
    Err(StatementError(format!(
        "The following {} columns are changed, missing or reordered: [{}]. Schema from schema registry is [{}]",
        side.name(),
        changed.join(", "),
        list.join(", ")
    )))
}

/// Checks that a source that is to be made anew is filled by one query.
///
/// # Errors
/// Several queries that write into it.
pub fn check_writers(name: &str, catalog: &Catalog) -> Result<(), StatementError> {
    let writers: Vec<_> =
        catalog.queries().filter(|query| &*query.sink == name).map(|query| query.id.as_str()).collect();
    match writers.as_slice() {
        [] | [_] => Ok(()),
        several => Err(StatementError(format!(
            "REPLACE for sink `{name}` is not supported because there are multiple queries writing into it: [{}]",
            several.join(", ")
        ))),
    }
}

/// The stream that `INSERT INTO ... SELECT` is to write, before its query is looked at.
///
/// # Errors
/// No such stream, a table, columns that nobody writes.
pub fn target<'a>(insert: &InsertInto, catalog: &'a Catalog) -> Result<&'a Source, StatementError> {
    let name = &insert.target;
    let target = catalog.source(name).ok_or_else(|| {
        let place = insert.location.prefix();
        unprepared(format_args!("{place}Source `{name}` does not exist.{}", hint(name, catalog)))
    })?;
    if target.kind == SourceKind::Table {
        return Err(unprepared(format_args!(
            "INSERT INTO can only be used to insert into a stream. {name} is a table."
        )));
    }
    if target.schema.headers().next().is_some() {
        return Err(unprepared(format_args!("Cannot insert into {name} because it has header columns")));
    }
    Ok(target)
}

/// The query with literals as decimals where the column of the stream at their place is one that can hold them.
pub fn fitted(query: &Query, target: &Source) -> Query {
    let mut fitted = query.clone();
    for (item, column) in fitted.select.iter_mut().zip(target.schema.columns()) {
        if let (SelectItem::Expression { expression, .. }, SqlType::Decimal(wanted)) = (item, &column.column_type)
            && let Expression::Literal(literal) = expression
            && let Some(decimal) = as_decimal(literal, *wanted)
        {
            *expression = Expression::Literal(Literal::Decimal(decimal));
        }
    }
    fitted
}

/// The number with as many digits after the point as `wanted`, if it loses none.
fn as_decimal(literal: &Literal, wanted: DecimalType) -> Option<BigDecimal> {
    let number = match literal {
        Literal::Integer(number) => BigDecimal::from(*number),
        Literal::Bigint(number) => BigDecimal::from(*number),
        Literal::Double(number) => number.to_string().parse().ok()?,
        Literal::Decimal(number) => number.clone(),
        _ => return None,
    };
    fit_decimal(&number, wanted).filter(|fitted| *fitted == number)
}

/// The stream that `INSERT INTO ... SELECT` writes.
///
/// # Errors
/// A stream that only reads, or columns that are not those of the result.
pub fn insert(target: &Source, planned: &mut PlannedQuery) -> Result<Source, StatementError> {
    planned.check_key()?;
    let name = &target.name;
    if planned.step.schema.kind == SourceKind::Table {
        return Err(StatementError(format!(
            "Incompatible data sink and query result. Data sink ({name}) type is KSTREAM but select query result is \
             KTABLE."
        )));
    }
    let columns = planned.schema.columns().iter().zip(target.schema.columns());
    let fits = |(from, to): (&Column, &Column)| {
        let is_decimal =
            matches!(from.column_type, SqlType::Decimal(_)) && matches!(to.column_type, SqlType::Decimal(_));
        let is_type =
            from.column_type == to.column_type || is_decimal && from.column_type.can_implicitly_cast(&to.column_type);
        from.name == to.name && from.namespace == to.namespace && is_type
    };
    if planned.schema.columns().len() != target.schema.columns().len() || !columns.into_iter().all(fits) {
        return Err(StatementError(format!(
            "Incompatible schema between results and sink.\nResult schema is {}\nSink schema is {}",
            planned.schema, target.schema
        )));
    }
    if target.read_only {
        return Err(StatementError(format!("Cannot insert into read-only stream: {name}")));
    }
    if let StepKind::Project { columns, .. } = &mut planned.step.kind {
        for (column, wanted) in columns.iter_mut().zip(target.schema.values()) {
            *column = widened(column, &wanted.column_type);
        }
    }
    Ok(target.clone())
}

/// The column with its numbers as another type.
fn widened(column: &Evaluator, target: &SqlType) -> Evaluator {
    if column.value_type.as_ref() == Some(target) {
        return column.clone();
    }
    let (inner, wanted) = (column.clone(), target.clone());
    let evaluate = move |row: &[Value]| {
        let value = inner.try_value(row)?;
        formats::widen(value, &wanted).map_err(|error| Cow::Owned(error.0))
    };
    let widened = Evaluator::new(Some(target.clone()), column.text(), Arc::new(evaluate));
    match column.reads() {
        Some(columns) => widened.reading(columns.iter().copied()),
        None => widened,
    }
}

/// The id of a query: what it does, what it writes and the number of its statement.
///
/// # Errors
/// A stated id that is none.
pub fn query_id(
    kind: &str,
    sink: Option<&str>,
    properties: &Properties,
    number: usize,
) -> Result<String, StatementError> {
    if sink.is_none()
        && let Some(id) = With::read_for_insert(properties)?.query_id
    {
        check_query_id(&id)?;
        return Ok(id);
    }
    Ok(match sink {
        Some(sink) => format!("{kind}_{}_{number}", sink.to_uppercase()),
        None => format!("{kind}_{number}"),
    })
}

/// Checks an id that a statement states.
fn check_query_id(id: &str) -> Result<(), StatementError> {
    if OWN_ID_PREFIXES.iter().any(|prefix| id.starts_with(prefix)) {
        return Err(StatementError(format!(
            "Query IDs must not start with a reserved query ID prefix ({}). Got '{id}'.",
            OWN_ID_PREFIXES.join(", ")
        )));
    }
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if id.is_empty() || !id.chars().all(is_allowed) {
        return Err(StatementError(format!("Query IDs may contain only alphanumeric characters and '_'. Got: '{id}'")));
    }
    Ok(())
}
