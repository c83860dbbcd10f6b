//! Runs test cases and says which pass.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use milena_schema::{ResolvedReference, SchemaType};

use crate::catalog::Settings;
use crate::formats::json_text::Json;
use crate::formats::registry::SchemaRegistry;
use crate::functions::trial;
use crate::harness::case::{Case, CaseRecord, CaseSchema, CaseTopic, read_cases};
use crate::harness::compare::{Exactness, difference};
use crate::harness::engine::{DEFAULT_PARTITIONS, MemoryEngine, MemoryTopic};
use crate::harness::{post, records};
use crate::runtime::RawRecord;

/// How one case ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The file without its directory.
    pub file: String,
    /// The name of the case.
    pub name: String,
    /// Why it failed; `None` when it passed.
    pub failure: Option<String>,
}

/// Runs all cases of all `.json` files of a directory, in the order of their names.
///
/// # Errors
/// A directory or file that cannot be read.
pub fn run_directory(directory: &Path) -> std::io::Result<Vec<Outcome>> {
    let mut files: Vec<_> = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut outcomes = Vec::new();
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            outcomes.extend(run_file(&name, &std::fs::read_to_string(file.path())?));
        }
    }
    Ok(outcomes)
}

/// Runs all cases of the text of a file.
pub fn run_file(file: &str, text: &str) -> Vec<Outcome> {
    let cases = match read_cases(text) {
        Ok(cases) => cases,
        Err(error) => {
            let failure = Some(format!("not a file of cases: {error}"));
            return vec![Outcome { file: file.to_owned(), name: String::new(), failure }];
        }
    };
    let outcome = |case: &Case<'_>| {
        let run = catch_unwind(AssertUnwindSafe(|| run_case(case)));
        let result = run.unwrap_or_else(|panic| Err(format!("panicked: {}", panic_text(panic.as_ref()))));
        Outcome { file: file.to_owned(), name: case.name.clone(), failure: result.err() }
    };
    cases.iter().map(outcome).collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Runs one case.
///
/// # Errors
/// What is not as the case expects.
pub fn run_case(case: &Case<'_>) -> Result<(), String> {
    trial::begin_case();
    let mut settings = Settings::default();
    for (name, value) in &case.properties {
        settings.set(name.clone(), value.clone());
    }
    let mut engine = MemoryEngine::new(settings);
    engine.declare(&case.statements.join("\n"));
    for topic in &case.topics {
        add_topic(&mut engine, topic)?;
    }
    let run = run_statements(&mut engine, case).and_then(|()| run_records(&mut engine, case));
    match (&case.failure, run) {
        (None, Err(failure)) => Err(failure),
        (None, Ok(())) => {
            check_outputs(&engine, case)?;
            post::check(&case.post, &engine)
        }
        (Some(expected), Ok(())) => Err(format!("expected a failure: {:?}", expected.message)),
        (Some(expected), Err(failure)) => {
            for part in [&expected.message, &expected.cause].into_iter().flatten() {
                if !failure.contains(part.as_str()) {
                    return Err(format!("expected failure {part:?}, got {failure:?}"));
                }
            }
            Ok(())
        }
    }
}

fn run_statements(engine: &mut MemoryEngine, case: &Case<'_>) -> Result<(), String> {
    // One text, so that places in messages count lines as users of a script do.
    engine.execute(&case.statements.join("\n")).map_err(|error| error.0)
}

fn add_topic(engine: &mut MemoryEngine, topic: &CaseTopic<'_>) -> Result<(), String> {
    let partitions = topic.partitions.and_then(|count| i32::try_from(count).ok()).unwrap_or(DEFAULT_PARTITIONS);
    engine.topics.insert(topic.name.clone(), MemoryTopic { partitions, records: Vec::new() });
    for (side, schema) in [("key", &topic.key), ("value", &topic.value)] {
        if let Some(schema) = schema {
            register(engine, &format!("{}-{side}", topic.name), schema)?;
        }
    }
    Ok(())
}

fn register(engine: &MemoryEngine, subject: &str, schema: &CaseSchema<'_>) -> Result<(), String> {
    let schema_type = match schema.format.to_uppercase().as_str() {
        "AVRO" => SchemaType::Avro,
        "PROTOBUF" => SchemaType::Protobuf,
        "JSON_SR" | "JSON" => SchemaType::Json,
        // Other formats know no schemas.
        _ => return Ok(()),
    };
    let text = |schema: &Json<'_>| match schema_type {
        SchemaType::Protobuf => super::case::scalar_text(schema),
        _ => schema.text(),
    };
    let references: Vec<_> = schema
        .references
        .iter()
        .map(|(name, schema)| ResolvedReference { name: name.clone(), schema: text(schema), direct: true })
        .collect();
    let id = schema.id.and_then(|id| i32::try_from(id).ok());
    let added = engine.registry.add(subject, schema_type, &text(&schema.schema), &references, id);
    added.map(|_| ()).map_err(|error| format!("schema of {subject}: {error}"))
}

fn run_records(engine: &mut MemoryEngine, case: &Case<'_>) -> Result<(), String> {
    let registry: Arc<dyn SchemaRegistry> = engine.registry.clone();
    let mut inputs: Vec<(String, RawRecord)> = Vec::new();
    let mut offsets: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
    for input in &case.inputs {
        let Some(source) = engine.catalog.sources().find(|source| source.topic == input.topic) else { continue };
        let mut record = records::raw_record(input, source, &registry)
            .map_err(|error| format!("input {}: {error}", input.value.text()))?;
        let offset = offsets.entry(input.topic.clone()).or_default();
        record.offset = *offset;
        *offset += 1;
        inputs.push((input.topic.clone(), record));
    }
    engine.run(&inputs).map_err(|error| error.to_string())
}

fn check_outputs(engine: &MemoryEngine, case: &Case<'_>) -> Result<(), String> {
    let mut topics: Vec<&str> = Vec::new();
    for output in &case.outputs {
        if !topics.contains(&output.topic.as_str()) {
            topics.push(&output.topic);
        }
    }
    // A case that expects nothing at all expects nothing of any query.
    if case.has_outputs && case.outputs.is_empty() {
        topics.extend(engine.queries.iter().map(|query| query.sink.topic.as_str()));
    }
    for topic in topics {
        let expected: Vec<_> = case.outputs.iter().filter(|output| output.topic == topic).collect();
        let actual = engine.topics.get(topic).map(|topic| topic.records.as_slice()).unwrap_or_default();
        check_topic(engine, case, topic, &expected, actual)?;
    }
    Ok(())
}

fn check_topic(
    engine: &MemoryEngine,
    case: &Case<'_>,
    topic: &str,
    expected: &[&CaseRecord<'_>],
    actual: &[RawRecord],
) -> Result<(), String> {
    let registry: Arc<dyn SchemaRegistry> = engine.registry.clone();
    let written = engine.queries.iter().map(|query| &query.sink).find(|sink| sink.topic == topic);
    let source = written.or_else(|| engine.catalog.sources().find(|source| source.topic == topic));
    let Some(source) = source else { return Err(format!("no source over topic {topic}")) };
    let (key_format, value_format) = records::sides(source, &registry);
    let mut shown = Vec::new();
    let mut failure = None;
    let only_inserts = case.inputs.is_empty();
    let exact = case.properties.iter().all(|(name, value)| name != "use.exact.numeric.comparison" || value == "true");
    for (position, record) in actual.iter().enumerate() {
        let (key, window) = records::unwindowed(record.key.as_deref(), source.window);
        let (key, key_doubles) = key_format.json(key.as_deref()).map_err(|error| format!("output key: {error}"))?;
        let (value, value_doubles) =
            value_format.json(record.value.as_deref()).map_err(|error| format!("output value: {error}"))?;
        shown.push(format!("{} -> {} @{} {window:?}", key.text(), value.text(), record.timestamp));
        let Some(expected) = expected.get(position) else { continue };
        let exactness = |doubles| Exactness { scale: exact, doubles };
        let headers: Vec<(String, Option<String>)> = record
            .headers
            .iter()
            .map(|(name, value)| {
                use base64::Engine as _;
                (name.clone(), value.as_ref().map(|value| base64::engine::general_purpose::STANDARD.encode(value)))
            })
            .collect();
        let wrong_time =
            expected.timestamp.is_some_and(|wanted| wanted != record.timestamp && !(only_inserts && wanted == 0));
        let found = difference(&expected.key, &key, exactness(key_doubles))
            .map(|found| format!("key {found}"))
            .or_else(|| {
                difference(&expected.value, &value, exactness(value_doubles)).map(|found| format!("value {found}"))
            })
            .or_else(|| {
                wrong_time.then(|| format!("timestamp: expected {:?}, got {}", expected.timestamp, record.timestamp))
            })
            .or_else(|| {
                (expected.window != window).then(|| format!("window: expected {:?}, got {window:?}", expected.window))
            })
            .or_else(|| {
                let wanted = expected.headers.clone().unwrap_or_default();
                (wanted != headers).then(|| format!("headers: expected {wanted:?}, got {headers:?}"))
            });
        if let Some(found) = found {
            failure.get_or_insert(format!("{topic}[{position}]: {found}"));
        }
    }
    if expected.len() != actual.len() {
        let wanted: Vec<_> = expected
            .iter()
            .map(|record| format!("{} -> {} @{:?}", record.key.text(), record.value.text(), record.timestamp))
            .collect();
        return Err(format!(
            "{topic}: expected {} records, got {}\n  expected: {}\n  actual:   {}",
            expected.len(),
            actual.len(),
            wanted.join("\n            "),
            shown.join("\n            ")
        ));
    }
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str) {
        let outcomes = run_file(file, text);
        let failures: Vec<_> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(!outcomes.is_empty() && failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn formats_take_refuse_and_register_what_they_should() {
        check("formats", include_str!("../../tests/cases/formats.json"));
    }

    #[test]
    fn functions_take_refuse_and_give_what_they_should() {
        check("functions", include_str!("../../tests/cases/functions.json"));
    }

    #[test]
    fn statements_mean_what_they_should_or_are_refused() {
        check("statements", include_str!("../../tests/cases/statements.json"));
    }
}
