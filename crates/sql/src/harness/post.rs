//! What test cases say about sources and topics after their statements.

use milena_schema::{ParseOptions, ParsedSchema};

use crate::ast::{ColumnConstraint, SourceKind};
use crate::catalog::Source;
use crate::catalog::schema::{Column, Namespace, Schema};
use crate::formats::json_text::Json;
use crate::formats::registry::SchemaRegistry as _;
use crate::formats::{FormatSpec, Side};
use crate::harness::case::scalar_text;
use crate::harness::engine::MemoryEngine;
use crate::parser;

/// Checks the conditions; answers the first that does not hold.
///
/// # Errors
/// The condition in words.
pub fn check(post: &Json<'_>, engine: &MemoryEngine) -> Result<(), String> {
    for expected in post.get("sources").map(Json::elements).unwrap_or_default() {
        let name = expected.get("name").map(scalar_text).unwrap_or_default();
        let source = engine.catalog.source(&name).ok_or_else(|| format!("post: no source {name}"))?;
        check_source(expected, source).map_err(|message| format!("post: source {name}: {message}"))?;
    }
    let Some(topics) = post.get("topics") else { return Ok(()) };
    let names = topic_names(engine);
    if let Some(blacklist) = topics.get("blacklist").map(scalar_text) {
        let pattern = regex::Regex::new(&format!("^(?:{blacklist})$")).map_err(|error| error.to_string())?;
        if let Some(name) = names.iter().find(|name| pattern.is_match(name)) {
            return Err(format!("post: topic {name} matches {blacklist}"));
        }
    }
    for expected in topics.get("topics").map(Json::elements).unwrap_or_default() {
        let name = expected.get("name").map(scalar_text).unwrap_or_default();
        // How changelog topics are numbered is an accident of the original's library.
        if name.ends_with("-changelog") {
            continue;
        }
        if !names.contains(&name) {
            return Err(format!("post: no topic {name} among {names:?}"));
        }
        check_topic(&name, expected, engine).map_err(|message| format!("post: topic {name}: {message}"))?;
    }
    Ok(())
}

/// All topics, those within queries too.
fn topic_names(engine: &MemoryEngine) -> Vec<String> {
    let mut names: Vec<String> = engine.topics.keys().cloned().collect();
    for query in &engine.queries {
        let service = engine.settings.get("ksql.service.id").unwrap_or("some.ksql.service.id");
        let internal = query.step.internal_topics();
        names.extend(internal.into_iter().map(|topic| format!("_confluent-ksql-{service}query_{}-{topic}", query.id)));
    }
    names
}

fn check_source(expected: &Json<'_>, source: &Source) -> Result<(), String> {
    let kind = if source.kind == SourceKind::Stream { "stream" } else { "table" };
    match expected.get("type").map(scalar_text) {
        Some(wanted) if !wanted.eq_ignore_ascii_case(kind) => return Err(format!("is a {kind}")),
        _ => {}
    }
    if let Some(text) = expected.get("schema").filter(|schema| !schema.is_null()).map(scalar_text) {
        let wanted = schema(&text)?;
        if wanted != source.schema {
            return Err(format!("expected schema {wanted}, got {}", source.schema));
        }
    }
    if let Some(wanted) = expected.get("keyFormat").filter(|format| !format.is_null()) {
        check_format(wanted, &source.key_format, Side::Key)?;
        if let Some(shape) = wanted.get("windowType").filter(|shape| !shape.is_null()).map(scalar_text) {
            let is = source.window.map_or("none", |window| window.shape.name());
            if shape != is {
                return Err(format!("expected {shape} windows, got {is}"));
            }
        }
        if let Some(size) = wanted.get("windowSize").and_then(Json::as_i64)
            && source.window.and_then(|window| window.size_ms) != Some(size)
        {
            return Err(format!("expected windows of {size} ms"));
        }
    }
    if let Some(wanted) = expected.get("valueFormat").filter(|format| !format.is_null()) {
        check_format(wanted, &source.value_format, Side::Value)?;
    }
    let counts = (source.schema.keys().len(), source.schema.values().count());
    for (name, spec, side, count) in [
        ("keyFeatures", &source.key_format, Side::Key, counts.0),
        ("valueFeatures", &source.value_format, Side::Value, counts.1),
    ] {
        if let Some(wanted) = expected.get(name) {
            check_features(wanted, spec, side, count)?;
        }
    }
    match expected.get("isSource") {
        Some(Json::Bool(wanted)) if *wanted != source.read_only => Err(format!("isSource is {}", source.read_only)),
        _ => Ok(()),
    }
}

fn check_features(wanted: &Json<'_>, spec: &FormatSpec, side: Side, columns: usize) -> Result<(), String> {
    let wanted: Vec<String> = wanted.elements().iter().map(scalar_text).collect();
    let is: Vec<&str> = spec.feature(side, columns).into_iter().collect();
    if wanted == is { Ok(()) } else { Err(format!("expected {} features {wanted:?}, got {is:?}", side.name())) }
}

fn check_format(wanted: &Json<'_>, spec: &FormatSpec, side: Side) -> Result<(), String> {
    let (format, properties) = match wanted {
        Json::String(format) => (format.to_string(), None),
        other => (other.get("format").map(scalar_text).unwrap_or_default(), other.get("properties")),
    };
    if !format.is_empty() && format != spec.format.name() {
        return Err(format!("expected {} format {format}, got {}", side.name(), spec.format));
    }
    for (name, value) in properties.map(Json::members).unwrap_or_default() {
        let is = match name.as_ref() {
            "fullSchemaName" => spec.full_name.clone(),
            "delimiter" => spec.delimiter.map(|delimiter| delimiter.to_string()),
            "schemaId" => spec.schema_id.map(|id| id.to_string()),
            "nullableRepresentation" => spec.nullable.map(|nullable| nullable.name().to_owned()),
            _ => continue,
        };
        if is.as_deref().is_none_or(|is| !is.eq_ignore_ascii_case(&scalar_text(value))) {
            return Err(format!("expected {name} = {}, got {is:?}", value.text()));
        }
    }
    Ok(())
}

/// A schema as test cases write it: `ID BIGINT KEY, NAME STRING`.
fn schema(text: &str) -> Result<Schema, String> {
    let elements = parser::parse_columns(text, &|_| None).map_err(|error| format!("{error}: {text}"))?;
    Ok(Schema::new(elements.into_iter().map(|element| Column {
        name: element.name,
        column_type: element.column_type,
        namespace: match element.constraint {
            ColumnConstraint::Key | ColumnConstraint::PrimaryKey => Namespace::Key,
            ColumnConstraint::None => Namespace::Value,
            ColumnConstraint::Headers => Namespace::Headers,
            ColumnConstraint::Header(name) => Namespace::Header(name),
        },
    })))
}

/// Checks the newest schema of a subject. Topics within queries have none here: their rows are not written.
fn check_schema(subject: &str, wanted: &Json<'_>, engine: &MemoryEngine) -> Result<(), String> {
    if subject.starts_with("_confluent-ksql-") {
        return Ok(());
    }
    let registered = engine.registry.latest(subject).map_err(|error| error.to_string())?;
    let registered = registered.ok_or_else(|| format!("no schema for {subject}"))?;
    let text = match wanted {
        Json::String(text) if registered.schema.as_protobuf().is_some() => text.to_string(),
        other => other.text(),
    };
    let wanted = ParsedSchema::parse(registered.schema.schema_type(), &text, &[], &ParseOptions::STORED);
    let wanted = wanted.map_err(|error| error.to_string())?;
    if wanted.normalized() == registered.schema.normalized() {
        return Ok(());
    }
    Err(format!("expected schema {}, got {}", wanted.canonical(), registered.schema.canonical()))
}

fn check_topic(name: &str, expected: &Json<'_>, engine: &MemoryEngine) -> Result<(), String> {
    if let (Some(wanted), Some(topic)) = (expected.get("partitions").and_then(Json::as_i64), engine.topics.get(name))
        && wanted != i64::from(topic.partitions)
    {
        return Err(format!("expected {wanted} partitions, got {}", topic.partitions));
    }
    for side in ["key", "value"] {
        let subject = format!("{name}-{side}");
        if let Some(wanted) = expected.get(&format!("{side}Schema")).filter(|schema| !schema.is_null()) {
            check_schema(&subject, wanted, engine)?;
        }
    }
    let Some(source) = engine.catalog.sources().find(|source| source.topic == name) else { return Ok(()) };
    for (side, member, spec) in
        [(Side::Key, "keyFormat", &source.key_format), (Side::Value, "valueFormat", &source.value_format)]
    {
        if let Some(wanted) = expected.get(member).filter(|format| !format.is_null()) {
            check_format(wanted, spec, side)?;
        }
    }
    Ok(())
}
