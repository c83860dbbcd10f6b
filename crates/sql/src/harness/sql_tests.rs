//! `run-ksql-test`: files of tests in SQL alone.
//!
//! A file is split at its lines `--@test: name`. The statements of a test run one by one; a record that `INSERT INTO ...
//! VALUES` makes passes through all queries at once, and `ASSERT VALUES` takes the next record of a topic. With
//! `--@expected.error: type` or `--@expected.message: text` the test passes when a statement fails, with that text in
//! its message.

use std::collections::HashMap;
use std::path::Path;

use crate::ast::{CreateSource, InsertValues, Name, Statement};
use crate::catalog::define::column;
use crate::catalog::schema::Schema;
use crate::catalog::with::With;
use crate::catalog::{Settings, Source};
use crate::formats::registry::SchemaRegistry;
use crate::harness::engine::MemoryEngine;
use crate::operators::{Change, NoLog};
use crate::parser;
use crate::planner::compile::constant;
use crate::planner::scope::ScopeSource;
use crate::runtime::insert;
use crate::runtime::reader::SourceReader;

/// One test of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlTest {
    /// What stands behind `--@test:`.
    pub name: String,
    /// The line of the file on which it begins, from 1.
    pub line: usize,
    /// The statements, with the lines of the directives among them.
    pub sql: String,
    /// Whether a statement is to fail.
    pub fails: bool,
    /// What the message of the failure holds.
    pub messages: Vec<String>,
}

/// How one test ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The file without its directory.
    pub file: String,
    /// The test.
    pub name: String,
    /// Why it failed; `None` when it passed.
    pub failure: Option<String>,
}

/// The tests of a file, in their order.
///
/// # Errors
/// Statements before the first `--@test:`.
pub fn read_tests(text: &str) -> Result<Vec<SqlTest>, String> {
    let mut tests: Vec<SqlTest> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let directive = line.trim().strip_prefix("--@").and_then(|rest| rest.split_once(':'));
        if let Some(("test", name)) = directive {
            let (name, sql) = (name.trim().to_owned(), String::new());
            tests.push(SqlTest { name, line: number + 1, sql, fails: false, messages: Vec::new() });
        }
        let blank = line.trim().is_empty() || line.trim_start().starts_with("--");
        let Some(test) = tests.last_mut() else {
            if blank {
                continue;
            }
            return Err(format!("line {}: statements must follow a line --@test: name", number + 1));
        };
        test.sql.push_str(line);
        test.sql.push('\n');
        match directive {
            Some(("expected.error", _)) => test.fails = true,
            Some(("expected.message", message)) => {
                test.fails = true;
                test.messages.push(message.trim().to_owned());
            }
            _ => {}
        }
    }
    Ok(tests)
}

/// Runs all tests of all `.sql` files below a directory, in the order of their names.
///
/// # Errors
/// A directory or file that cannot be read.
pub fn run_directory(directory: &Path) -> std::io::Result<Vec<Outcome>> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut outcomes = Vec::new();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            outcomes.extend(run_directory(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            outcomes.extend(run_file(&entry.file_name().to_string_lossy(), &std::fs::read_to_string(&path)?));
        }
    }
    Ok(outcomes)
}

/// Runs all tests of the text of a file.
pub fn run_file(file: &str, text: &str) -> Vec<Outcome> {
    match read_tests(text) {
        Ok(tests) => tests
            .iter()
            .map(|test| Outcome { file: file.to_owned(), name: test.name.clone(), failure: run_test(test).err() })
            .collect(),
        Err(failure) => vec![Outcome { file: file.to_owned(), name: String::new(), failure: Some(failure) }],
    }
}

/// Runs one test.
///
/// # Errors
/// The statement that fails, or that nothing fails where something should.
pub fn run_test(test: &SqlTest) -> Result<(), String> {
    let run = Run::new().all(&test.sql);
    match (test.fails, run) {
        (false, run) => run,
        (true, Ok(())) => Err(format!("expected a failure: {}", test.messages.join(" "))),
        (true, Err(failure)) => match test.messages.iter().find(|message| !failure.contains(message.as_str())) {
            Some(missing) => Err(format!("expected failure {missing:?}, got {failure:?}")),
            None => Ok(()),
        },
    }
}

/// A test that runs: an engine, and how far the topics have been looked at.
struct Run {
    engine: MemoryEngine,
    asserted: HashMap<String, usize>,
}

impl Run {
    fn new() -> Run {
        Run { engine: MemoryEngine::new(Settings::default()), asserted: HashMap::new() }
    }

    fn all(mut self, sql: &str) -> Result<(), String> {
        let parsed = parser::parse(sql).map_err(|error| error.to_string())?;
        for parsed in parsed {
            let statement = self.engine.prepare(&parsed).map_err(|error| error.0)?;
            self.statement(&statement, &parsed.text)
                .map_err(|failure| format!("line {}: {failure}", parsed.location.line))?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement, text: &str) -> Result<(), String> {
        match statement {
            Statement::InsertValues(values) => {
                let registry = self.registry();
                let MemoryEngine { catalog, settings, .. } = &self.engine;
                let record = insert::record(values, catalog, settings, &registry, 0);
                let (topic, record) = record.map_err(|error| error.0)?;
                self.engine.feed(&topic, record).map_err(|error| error.to_string())
            }
            Statement::AssertValues(values) => self.assert_row(values, false),
            Statement::AssertTombstone(values) => self.assert_row(values, true),
            Statement::AssertSource(expected) => self.assert_source(expected),
            other => self.engine.apply(other, text).map_err(|error| error.0),
        }
    }

    fn registry(&self) -> std::sync::Arc<dyn SchemaRegistry> {
        self.engine.registry.clone()
    }

    fn source(&self, name: &Name) -> Result<&Source, String> {
        self.engine.catalog.source(name).ok_or_else(|| format!("{name} does not exist."))
    }

    /// Compares the next record of the topic of a source with the values that are stated.
    fn assert_row(&mut self, expected: &InsertValues, tombstone: bool) -> Result<(), String> {
        let source = self.source(&expected.target)?.clone();
        let position = self.asserted.entry(source.topic.clone()).or_default();
        let records = self.engine.topics.get(&source.topic).map(|topic| topic.records.as_slice()).unwrap_or_default();
        let Some(record) = records.get(*position) else {
            return Err(format!(
                "Expected another record for {}, but there are no more than {}",
                source.name,
                records.len()
            ));
        };
        *position += 1;
        let reader = SourceReader::new(&source, &self.engine.settings, &self.registry()).map_err(|error| error.0)?;
        let change = reader.read(record, &NoLog).map_err(|error| error.to_string())?;
        let change = change.ok_or_else(|| format!("the record of {} cannot be read", source.name))?;
        if tombstone != change.new.is_none() {
            let (wanted, is) = if tombstone { ("a tombstone", "a row") } else { ("a row", "a tombstone") };
            return Err(format!("Expected {wanted} for {}, got {is}", source.name));
        }
        self.compare(expected, source, &change)
    }

    fn compare(&self, expected: &InsertValues, source: Source, change: &Change) -> Result<(), String> {
        let schema = source.schema.clone();
        let columns: Vec<Name> = match expected.columns.is_empty() {
            true => schema.keys().iter().chain(schema.values()).map(|column| column.name.clone()).collect(),
            false => expected.columns.clone(),
        };
        if columns.len() != expected.values.len() {
            return Err(format!("{} columns, but {} values", columns.len(), expected.values.len()));
        }
        let row = ScopeSource { alias: source.name.clone(), source }.row();
        for (name, expression) in columns.iter().zip(&expected.values) {
            let position = row.iter().position(|column| column.name == *name);
            let position = position.ok_or_else(|| format!("Column name(s) `{name}` does not exist."))?;
            let column_type = &row[position].column_type;
            let wanted = constant(expression, column_type, name, &self.engine.settings).map_err(|error| error.0)?;
            let key = schema.keys().iter().position(|column| column.name == *name);
            let is = match (&change.new, key) {
                (Some(new), _) => new.get(position).cloned(),
                (None, Some(key)) => change.key.columns.as_ref().and_then(|columns| columns.get(key)).cloned(),
                (None, None) => None,
            };
            let is = is.unwrap_or_default();
            if wanted != is {
                let text = |value: &crate::value::Value| match value.is_null() {
                    true => "null".to_owned(),
                    false => value.text(column_type),
                };
                return Err(format!(
                    "Expected record does not match actual: column {name}: expected {}, got {}",
                    text(&wanted),
                    text(&is)
                ));
            }
        }
        Ok(())
    }

    /// Compares kind, columns and properties of a source with those that are stated.
    fn assert_source(&self, expected: &CreateSource) -> Result<(), String> {
        let source = self.source(&expected.name)?;
        let with = With::read(&expected.properties).map_err(|error| error.0)?;
        let name = &source.name;
        let differs = |what: &str, wanted: String, is: String| {
            if wanted == is {
                return Ok(());
            }
            Err(format!("Expected {what} does not match actual for source {name}.\n\tExpected: {wanted}\n\tGot: {is}"))
        };
        differs("type", expected.kind.text().to_owned(), source.kind.text().to_owned())?;
        if !expected.elements.is_empty() {
            let wanted = Schema::new(expected.elements.iter().map(column));
            differs("schema", wanted.to_string(), source.schema.to_string())?;
        }
        if let Some(topic) = &with.topic {
            differs("kafka topic", topic.clone(), source.topic.clone())?;
        }
        if let Some(format) = with.key_format {
            differs("key format", format.to_string(), source.key_format.format.to_string())?;
        }
        if let Some(format) = with.value_format {
            differs("value format", format.to_string(), source.value_format.format.to_string())?;
        }
        if with.window.is_some() {
            differs("window", format!("{:?}", with.window), format!("{:?}", source.window))?;
        }
        if let Some(column) = &with.timestamp {
            let is = source.timestamp.as_ref().map(|timestamp| timestamp.column.to_string());
            differs("timestamp column", column.clone(), is.unwrap_or_default())?;
        }
        if let Some(format) = &with.timestamp_format {
            let is = source.timestamp.as_ref().and_then(|timestamp| timestamp.format.clone());
            differs("timestamp format", format.clone(), is.unwrap_or_default())?;
        }
        match with.wrap {
            Some(wrap) => differs(
                "wrap single value",
                wrap.to_string(),
                source
                    .value_format
                    .wrap
                    .unwrap_or(!source.value_format.unwraps(crate::formats::Side::Value))
                    .to_string(),
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(text: &str) -> Vec<String> {
        run_file("test.sql", text).into_iter().filter_map(|outcome| outcome.failure).collect()
    }

    const SOURCES: &str =
        "CREATE STREAM clicks (id INT KEY, page STRING) WITH (kafka_topic='clicks', value_format='JSON');
        CREATE TABLE counts AS SELECT id, COUNT(*) AS n FROM clicks WHERE page <> 'x' GROUP BY id;\n";

    #[test]
    fn records_are_asserted_one_after_the_other() {
        let passes = format!(
            "-- A comment first.\n--@test: counts\n{SOURCES}
            INSERT INTO clicks (rowtime, id, page) VALUES (5, 1, 'a');
            INSERT INTO clicks VALUES (1, 'b');
            ASSERT VALUES counts (rowtime, id, n) VALUES (5, 1, 1);
            ASSERT VALUES counts VALUES (1, 2);
            ASSERT VALUES clicks (id, page) VALUES (1, 'a');
            ASSERT TABLE counts (id INT PRIMARY KEY, n BIGINT) WITH (kafka_topic='COUNTS', value_format='JSON');"
        );
        assert_eq!(failures(&passes), [""; 0]);
        let wrong = passes.replace("counts VALUES (1, 2)", "counts VALUES (1, 3)");
        assert!(failures(&wrong)[0].contains("column N: expected 3, got 2"));
        let missing = format!("{passes}\nASSERT VALUES counts VALUES (1, 3);");
        assert!(failures(&missing)[0].contains("no more than 2"));
        assert!(failures(&passes.replace("n BIGINT)", "n INT)"))[0].contains("Expected schema does not match"));
    }

    #[test]
    fn tombstones_are_asserted_by_their_key() {
        let test = "--@test: rows that leave a filter
            CREATE TABLE t (k STRING PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
            CREATE TABLE big AS SELECT k, n FROM t WHERE n > 1;
            INSERT INTO t VALUES ('a', 2);
            INSERT INTO t VALUES ('a', 1);
            ASSERT VALUES big VALUES ('a', 2);
            ASSERT NULL VALUES big (k) KEY ('a');";
        assert_eq!(failures(test), [""; 0]);
        assert!(failures(&test.replace("KEY ('a')", "KEY ('b')"))[0].contains("expected b, got a"));
    }

    #[test]
    fn a_query_that_takes_the_place_of_another_keeps_its_state() {
        let test = format!(
            "--@test: a new filter\n{SOURCES}
            INSERT INTO clicks VALUES (1, 'a');
            ASSERT VALUES counts VALUES (1, 1);
            CREATE OR REPLACE TABLE counts AS SELECT id, COUNT(*) AS n FROM clicks WHERE page <> 'y' GROUP BY id;
            INSERT INTO clicks VALUES (1, 'x');
            ASSERT VALUES counts VALUES (1, 2);"
        );
        assert_eq!(failures(&test), [""; 0]);
    }

    #[test]
    fn failures_are_expected_by_their_message() {
        let test = |message: &str, query: &str| {
            format!(
                "--@test: refused\n--@expected.error: io.confluent.ksql.util.KsqlException\n--@expected.message: {message}
                {SOURCES}
                CREATE STREAM copy AS SELECT id, page FROM clicks;
                CREATE STREAM more (id INT KEY, page STRING) WITH (kafka_topic='more', value_format='JSON');
                CREATE OR REPLACE {query};"
            )
        };
        for (message, query) in [
            ("are changed, missing or reordered: [`PAGE` STRING])", "STREAM copy AS SELECT id, 1 AS page FROM clicks"),
            ("must have matching topicName. Values differ: clicks vs. more", "STREAM copy AS SELECT * FROM more"),
            (
                "has topic = KsqlTopic{kafkaTopicName='COUNTS'",
                "TABLE counts AS SELECT id, COUNT(*) AS n FROM clicks WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY id",
            ),
            (
                "StreamAggregate must have matching aggregate functions",
                "TABLE counts AS SELECT id, COUNT(*) AS n, MAX(page) AS m FROM clicks GROUP BY id",
            ),
            (
                "has topic = KsqlTopic{kafkaTopicName='COPY'",
                "STREAM copy WITH (kafka_topic='y') AS SELECT * FROM clicks",
            ),
        ] {
            assert_eq!(failures(&test(message, query)), [""; 0], "{query}");
        }
        assert!(failures(&test("anything else", "STREAM copy AS SELECT * FROM more"))[0].contains("got"));
        assert!(failures("--@test: nothing fails\n--@expected.message: x\n")[0].contains("expected a failure"));
        assert!(failures("SET 'a'='b';\n--@test: late")[0].contains("line 1"));
    }
}
