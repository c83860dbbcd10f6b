//! `ksql-test-runner`: statements, input records and expected output records of users, in files of their own.

use std::path::{Path, PathBuf};

use crate::formats::json_text::Json;
use crate::harness::case::{Case, read_records};
use crate::harness::vectors::run_case;

/// The files of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFiles {
    /// The statements.
    pub statements: PathBuf,
    /// `{"inputs": [...]}`.
    pub inputs: PathBuf,
    /// `{"outputs": [...]}`.
    pub outputs: PathBuf,
}

/// Runs a test in this process.
///
/// # Errors
/// A file that cannot be read, a statement that fails, or the first record that is not as expected.
pub fn run(files: &TestFiles) -> Result<(), String> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let (statements, inputs, outputs) = (read(&files.statements)?, read(&files.inputs)?, read(&files.outputs)?);
    run_texts(&statements, &inputs, &outputs)
}

/// Runs a test whose files have been read.
///
/// # Errors
/// As [`run`].
pub fn run_texts(statements: &str, inputs: &str, outputs: &str) -> Result<(), String> {
    let records = |text, member: &str| {
        read_records(text, member).map_err(|error| format!("the file with the {member} is not JSON: {error}"))
    };
    run_case(&Case {
        name: "ksql-test-runner".to_owned(),
        statements: vec![statements.to_owned()],
        properties: Vec::new(),
        topics: Vec::new(),
        inputs: records(inputs, "inputs")?,
        outputs: records(outputs, "outputs")?,
        has_outputs: true,
        failure: None,
        post: Json::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENTS: &str =
        "CREATE STREAM orders (id INT KEY, amount INT) WITH (kafka_topic='orders', value_format='JSON');
        CREATE TABLE totals AS SELECT id, SUM(amount) AS total FROM orders GROUP BY id;";
    const INPUTS: &str = r#"{"inputs": [
        {"topic": "orders", "key": 1, "value": {"amount": 2}},
        {"topic": "orders", "key": 1, "value": {"amount": 3}, "timestamp": 5}
    ]}"#;

    #[test]
    fn records_are_compared_in_order() {
        let outputs = r#"{"outputs": [
            {"topic": "TOTALS", "key": 1, "value": {"TOTAL": 2}, "timestamp": 0},
            {"topic": "TOTALS", "key": 1, "value": {"TOTAL": 5}, "timestamp": 5}
        ]}"#;
        assert_eq!(run_texts(STATEMENTS, INPUTS, outputs), Ok(()));
        let wrong = outputs.replace("\"TOTAL\": 5", "\"TOTAL\": 6");
        assert!(
            run_texts(STATEMENTS, INPUTS, &wrong).unwrap_err().contains("TOTALS[1]: value $.TOTAL: expected 6, got 5")
        );
        let missing = r#"{"outputs": [{"topic": "TOTALS", "key": 1, "value": {"TOTAL": 2}}]}"#;
        assert!(run_texts(STATEMENTS, INPUTS, missing).unwrap_err().contains("expected 1 records, got 2"));
    }

    #[test]
    fn statements_that_fail_are_told() {
        let failure = run_texts("CREATE STREAM s AS SELECT * FROM nowhere;", INPUTS, "{}").unwrap_err();
        assert!(failure.contains("NOWHERE does not exist"), "{failure}");
    }
}
