//! Runs the test cases of a directory that `MILENA_SQL_VECTORS` names; without it there is nothing to do.
//!
//! Prints how many pass, by file, and writes what fails to the file that `MILENA_SQL_VECTORS_REPORT` names
//! (`target/sql-vectors.txt` otherwise). `MILENA_SQL_VECTORS_MIN` is the share in percent below which the test fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use milena_sql::harness::vectors::run_directory;

#[test]
fn cases_of_a_directory_pass() {
    let Ok(directory) = std::env::var("MILENA_SQL_VECTORS") else {
        println!("MILENA_SQL_VECTORS is not set: no cases to run");
        return;
    };
    let outcomes = run_directory(directory.as_ref()).expect("a directory of cases");
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut report = String::new();
    for outcome in &outcomes {
        let (passed, total) = files.entry(&outcome.file).or_default();
        *total += 1;
        match &outcome.failure {
            None => *passed += 1,
            Some(failure) => {
                let _ = writeln!(report, "{} | {} | {failure}", outcome.file, outcome.name);
            }
        }
    }
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/sql-vectors.txt");
    let path = std::env::var("MILENA_SQL_VECTORS_REPORT").unwrap_or_else(|_| target.to_owned());
    std::fs::write(&path, report).expect("a report");
    for (file, (passed, total)) in files.iter().filter(|(_, (passed, total))| passed < total) {
        println!("{file}: {passed}/{total}");
    }
    let passed = outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
    println!("{passed}/{} passed; failures in {path}", outcomes.len());
    let least = std::env::var("MILENA_SQL_VECTORS_MIN").ok().and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    assert!(passed * 100 >= least * outcomes.len(), "{passed} of {} passed", outcomes.len());
}
