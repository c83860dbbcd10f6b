//! Statements and records in one process, without Kafka: for tests of users (`ksql-test-runner`) and of this crate.
//!
//! [`engine`] holds topics and queries in memory, [`case`] reads files of test cases, [`records`] turns their JSON into
//! records and back, [`compare`] says where two records differ, [`vectors`] runs whole directories. [`sql_tests`] runs
//! files of tests that are statements from beginning to end.

pub mod case;
pub mod compare;
pub mod engine;
pub mod post;
pub mod records;
pub mod sql_tests;
pub mod test_runner;
pub mod vectors;

#[cfg(test)]
mod scenarios;
