//! `milena ksql-test-runner` and `milena run-ksql-test`: tests of streaming SQL in files, without a server.

use std::process::ExitCode;

use milena_sql::harness::sql_tests;
use milena_sql::harness::test_runner::{TestFiles, run as run_test};

use crate::cli::{RunSqlTestsArguments, SqlTestRunnerArguments};

/// Runs the test and says how it ended; exit code 1 when it failed.
pub fn run(arguments: &SqlTestRunnerArguments) -> ExitCode {
    let files = TestFiles {
        statements: arguments.sql_file.clone(),
        inputs: arguments.input_file.clone(),
        outputs: arguments.output_file.clone(),
    };
    match run_test(&files) {
        Ok(()) => {
            println!("\t >>> Test passed!");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("\t>>>>> Test failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all tests of a directory and says how each ended; exit code 1 when one failed, or when there is none.
pub fn run_directory(arguments: &RunSqlTestsArguments) -> ExitCode {
    let outcomes = match sql_tests::run_directory(&arguments.test_directory) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            println!("{}: {error}", arguments.test_directory.display());
            return ExitCode::FAILURE;
        }
    };
    for outcome in &outcomes {
        match &outcome.failure {
            None => println!(">>> Test passed! {} - {}", outcome.file, outcome.name),
            Some(failure) => println!(">>>>> Test failed: {} - {}\n{failure}", outcome.file, outcome.name),
        }
    }
    let passed = outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
    println!("{passed} of {} tests passed", outcomes.len());
    if passed == outcomes.len() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
