//! `CREATE OR REPLACE` and `ALTER`: what may change of a source that exists.

use crate::ast::{AlterSource, Name, SourceKind};
use crate::catalog::schema::{Column, Schema};
use crate::catalog::source::Source;
use crate::catalog::{Catalog, StatementError};
use crate::formats::{Format, FormatSpec, Side};
use crate::planner::sink::undetermined;

/// Checks that the name of `new` is free, or that it may take the place of what has the name.
///
/// # Errors
/// A name that is taken; what is not compatible.
pub fn check_free(new: &Source, or_replace: bool, catalog: &Catalog) -> Result<(), StatementError> {
    check_name(&new.name, (new.kind, new.read_only), or_replace, catalog)?;
    catalog.source(&new.name).map_or(Ok(()), |known| check_replacement(known, new))
}

/// Checks that a source may have a name, whatever its columns are. `is_source` is one that only reads.
///
/// # Errors
/// A name that is taken, unless what has it may be replaced.
pub fn check_name(
    name: &Name,
    (kind, is_source): (SourceKind, bool),
    or_replace: bool,
    catalog: &Catalog,
) -> Result<(), StatementError> {
    let (known, text) = (catalog.source(name), |kind: SourceKind| kind.text().to_lowercase());
    if or_replace && (is_source || known.is_some_and(|known| known.read_only)) {
        return Err(StatementError(format!(
            "Cannot add {0} '{name}': CREATE OR REPLACE is not supported on source {0}s.",
            text(kind)
        )));
    }
    match known {
        Some(known) if !or_replace => Err(StatementError(format!(
            "Cannot add {} '{name}': A {} with the same name already exists",
            text(kind),
            text(known.kind)
        ))),
        _ => Ok(()),
    }
}

/// [`check_free`] for what a query fills.
///
/// # Errors
/// A name that is taken; what is not compatible.
pub fn check_sink(new: &Source, or_replace: bool, catalog: &Catalog) -> Result<(), StatementError> {
    match catalog.source(&new.name).filter(|known| or_replace && known.read_only) {
        Some(known) => Err(StatementError(format!(
            "Cannot insert into read-only {}: {}",
            known.kind.text().to_lowercase(),
            known.name
        ))),
        None => {
            check_name(&new.name, (new.kind, new.read_only), or_replace, catalog).map_err(undetermined)?;
            check_free(new, or_replace, catalog)
        }
    }
}

/// Checks that `new` may take the place of `old`: everything that may not change is told.
fn check_replacement(old: &Source, new: &Source) -> Result<(), StatementError> {
    let mut issues = Vec::new();
    let mut compare = |property: &str, text: fn(&Source) -> String| {
        if text(old) != text(new) {
            issues.push(issue(old, property, &text(old), &text(new)));
        }
    };
    compare("type", |source| if source.kind == SourceKind::Stream { "KSTREAM" } else { "KTABLE" }.to_owned());
    compare("topic", topic_text);
    compare("timestampColumn", timestamp_text);
    if let Some(why) = changed_columns(&old.schema, &new.schema) {
        let issue = issue(old, "schema", &old.schema.to_string(), &new.schema.to_string());
        issues.push(format!("{issue}. ({why})"));
    }
    if issues.is_empty() {
        return Ok(());
    }
    Err(StatementError(format!("Cannot upgrade data source: {}", issues.join("\n\tAND "))))
}

fn issue(source: &Source, property: &str, old: &str, new: &str) -> String {
    format!("DataSource '`{}`' has {property} = {old} which is not upgradeable to {new}", source.name)
}

/// The topic of a source with how it is written, as messages show it.
fn topic_text(source: &Source) -> String {
    let window = match source.window {
        None => "Optional.empty".to_owned(),
        Some(window) => {
            let size = window.size_ms.map_or("Optional.empty".to_owned(), |size| format!("Optional[{size}]"));
            format!("Optional[WindowInfo{{type={}, size={size}, emitStrategy=CHANGES}}]", window.shape.name())
        }
    };
    let [key, value] = formats(source);
    format!(
        "KsqlTopic{{kafkaTopicName='{}', keyFormat=KeyFormat{{{key}, window={window}}}, valueFormat=ValueFormat{{{value}}}}}",
        source.topic
    )
}

/// How the keys and the values of a source are written, as messages show it.
pub fn formats(source: &Source) -> [String; 2] {
    let text = |spec: &FormatSpec, side, columns| {
        format!("format={}, features=[{}]", format_text(spec), spec.feature(side, columns).unwrap_or_default())
    };
    [
        text(&source.key_format, Side::Key, source.schema.keys().len()),
        text(&source.value_format, Side::Value, source.schema.values().count()),
    ]
}

fn format_text(spec: &FormatSpec) -> String {
    let mut properties = Vec::new();
    if let Some(name) = &spec.full_name {
        properties.push(format!("fullSchemaName={name}"));
    }
    if let Some(delimiter) = spec.delimiter {
        properties.push(format!("delimiter={delimiter}"));
    }
    if spec.format == Format::Protobuf {
        properties.push("unwrapPrimitives=true".to_owned());
    }
    if let Some(nullable) = spec.nullable {
        properties.push(format!("nullableRepresentation={}", nullable.name()));
    }
    if let Some(id) = spec.schema_id {
        properties.push(format!("schemaId={id}"));
    }
    format!("FormatInfo{{format={}, properties={{{}}}}}", spec.format, properties.join(", "))
}

/// The column that tells the time, as messages show it.
pub fn timestamp_text(source: &Source) -> String {
    let Some(timestamp) = &source.timestamp else { return "Optional.empty".to_owned() };
    let format = timestamp.format.as_ref().map_or("Optional.empty".to_owned(), |format| format!("Optional[{format}]"));
    format!("Optional[TimestampColumn{{column=`{}`, format={format}}}]", timestamp.column)
}

/// What is said of columns that are not there any more, or not at their places.
fn changed_columns(old: &Schema, new: &Schema) -> Option<String> {
    let lost = |old: Vec<&Column>, new: Vec<&Column>| {
        let lost = old.into_iter().enumerate().filter(move |(position, column)| new.get(*position) != Some(column));
        lost.map(|(_, column)| column.to_string()).collect::<Vec<_>>()
    };
    let told = |which: &str, lost: &[String]| {
        let list = lost.join(", ");
        Some(format!("The following {which}columns are changed, missing or reordered: [{list}]"))
    };
    let keys = lost(old.keys().iter().collect(), new.keys().iter().collect());
    if !keys.is_empty() {
        return told("key ", &keys).map(|why| format!("Key columns must be identical. {why}"));
    }
    let mut others = lost(old.values().collect(), new.values().collect());
    others.extend(lost(old.headers().collect(), new.headers().collect()));
    if others.is_empty() { None } else { told("", &others) }
}

/// The source with the columns that `ALTER ... ADD` adds.
///
/// # Errors
/// A source that cannot be altered; columns that are there already.
pub fn altered(source: Option<&Source>, statement: &AlterSource) -> Result<Source, StatementError> {
    let source = source.ok_or_else(|| StatementError(format!("Source {} does not exist.", statement.name)))?;
    if source.read_only {
        return Err(StatementError(format!(
            "Cannot alter {0} '{1}': ALTER operations are not supported on source {0}s.",
            statement.kind.text().to_lowercase(),
            source.name
        )));
    }
    if source.kind != statement.kind {
        return Err(StatementError(format!(
            "Incompatible data source type is {}, but statement was ALTER {}",
            source.kind.text(),
            statement.kind.text()
        )));
    }
    if source.created_by.is_some() {
        return Err(StatementError::new("ALTER command is not supported for CREATE ... AS statements."));
    }
    let mut columns = source.schema.columns().to_vec();
    for (name, column_type) in &statement.additions {
        if source.schema.keys().iter().any(|key| key.name == *name) {
            return Err(StatementError::new("Schema contains duplicate column names"));
        }
        if columns.iter().any(|column| column.name == *name) {
            return Err(StatementError(format!(
                "Cannot add column `{name}` to schema. A column with the same name already exists."
            )));
        }
        columns.push(Column::value(name.clone(), column_type.clone()));
    }
    Ok(Source { schema: Schema::new(columns), ..source.clone() })
}
