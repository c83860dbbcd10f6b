//! `CREATE OR REPLACE` and `ALTER`: what may change of a source that exists.

use crate::ast::{AlterSource, SourceKind};
use crate::catalog::StatementError;
use crate::catalog::schema::{Column, Schema};
use crate::catalog::source::Source;
use crate::formats::{Format, FormatSpec, Side};

/// Checks that `new` may take the place of `old`.
///
/// # Errors
/// What is not compatible.
pub fn check_replacement(old: &Source, new: &Source) -> Result<(), StatementError> {
    let kind = |source: &Source| source.kind.text().to_lowercase();
    if old.read_only || new.read_only {
        return Err(StatementError(format!(
            "Cannot add {} '{}': CREATE OR REPLACE is not supported on source {}s.",
            kind(new),
            new.name,
            kind(old)
        )));
    }
    let refused =
        |why: String| Err(StatementError(format!("Cannot upgrade data source: DataSource '{}' ({why})", new.name)));
    if old.kind != new.kind {
        let kind = |source: &Source| if source.kind == SourceKind::Stream { "KSTREAM" } else { "KTABLE" };
        return refused(format!("has type = {} which is not upgradeable to {}", kind(old), kind(new)));
    }
    let same_topic = old.topic == new.topic
        && old.key_format == new.key_format
        && old.window == new.window
        && old.value_format.format == new.value_format.format
        && old.value_format.delimiter == new.value_format.delimiter;
    if !same_topic {
        return refused(format!("has topic = {} which is not upgradeable to {}", topic_text(old), topic_text(new)));
    }
    check_schema(old, &new.schema)
}

/// The topic of a source with how it is written, as messages show it.
fn topic_text(source: &Source) -> String {
    let spec_text = |spec: &FormatSpec| {
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
    };
    let features = |spec: &FormatSpec, side: Side, columns: usize| {
        format!("[{}]", spec.feature(side, columns).unwrap_or_default())
    };
    let window = match source.window {
        None => "Optional.empty".to_owned(),
        Some(window) => {
            let size = window.size_ms.map_or("Optional.empty".to_owned(), |size| format!("Optional[{size} ms]"));
            format!("Optional[WindowInfo{{type={}, size={size}}}]", window.shape.name())
        }
    };
    format!(
        "KsqlTopic{{kafkaTopicName='{}', keyFormat=KeyFormat{{format={}, features={}, window={window}}}, \
         valueFormat=ValueFormat{{format={}, features={}}}}}",
        source.topic,
        spec_text(&source.key_format),
        features(&source.key_format, Side::Key, source.schema.keys().len()),
        spec_text(&source.value_format),
        features(&source.value_format, Side::Value, source.schema.values().count()),
    )
}

fn check_schema(old: &Source, new: &Schema) -> Result<(), StatementError> {
    let changed: Vec<String> = old
        .schema
        .columns()
        .iter()
        .filter(|column| new.find(&column.name) != Some(column))
        .map(ToString::to_string)
        .collect();
    if changed.is_empty() && old.schema.keys() == new.keys() {
        return Ok(());
    }
    Err(StatementError(format!(
        "Cannot upgrade data source: DataSource '{}' has schema = {} which is not upgradeable to {new}. (The following \
         columns are changed, missing or reordered: [{}])",
        old.name,
        old.schema,
        changed.join(", ")
    )))
}

/// The source with the columns that `ALTER ... ADD` adds.
///
/// # Errors
/// A source that cannot be altered; columns that are there already.
pub fn altered(source: Option<&Source>, statement: &AlterSource) -> Result<Source, StatementError> {
    let source = source.ok_or_else(|| StatementError(format!("Source {} does not exist.", statement.name)))?;
    if source.kind != statement.kind {
        return Err(StatementError(format!(
            "Incompatible data source type is {}, but statement was ALTER {}",
            source.kind.text(),
            statement.kind.text()
        )));
    }
    let what = if source.kind == SourceKind::Stream { "stream" } else { "table" };
    if source.created_by.is_some() {
        return Err(StatementError::new("ALTER command is not supported for CREATE ... AS statements."));
    }
    if source.read_only {
        return Err(StatementError(format!(
            "Cannot alter {what} '{}': ALTER operations are not supported on source {what}s.",
            source.name
        )));
    }
    let mut columns = source.schema.columns().to_vec();
    for (name, column_type) in &statement.additions {
        if columns.iter().any(|column| column.name == *name) {
            return Err(StatementError(format!(
                "Cannot add column `{name}` to schema. A column with the same name already exists."
            )));
        }
        columns.push(Column::value(name.clone(), column_type.clone()));
    }
    Ok(Source { schema: Schema::new(columns), ..source.clone() })
}
