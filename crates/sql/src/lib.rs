//! Streaming SQL: streams and tables over topics, in the language and API of ksqlDB.
//!
//! ```text
//! text ──lexer──▶ tokens ──parser──▶ ast ──expression (analysis)──▶ closures over rows of values
//! ```
//!
//! - [`types`], [`value`]: what columns hold.
//! - [`lexer`], [`parser`], [`ast`]: what a statement says.
//! - [`expression`], [`functions`]: what expressions mean and compute.
//!
//! ```text
//! statement ──catalog──▶ sources ──planner──▶ steps ──build──▶ operators over state
//!                        record ──runtime::reader──▶ change ──operators──▶ changes ──runtime::writer──▶ record
//! ```
//!
//! - [`catalog`]: which streams, tables, types and queries exist; what `CREATE`, `ALTER` and `DROP` may do.
//! - [`definition`]: what `CREATE`, `ALTER`, `DROP` and `TERMINATE` make of the catalog and of queries.
//! - [`formats`]: keys and values between bytes and columns, with and without a schema registry.
//! - [`planner`]: from a query to a tree of steps. [`operators`], [`state`]: what steps do and remember.
//! - [`runtime`]: what stands between topics and operators. [`harness`]: all of it in one process, without Kafka.

pub mod ast;
pub mod catalog;
pub mod definition;
pub mod expression;
pub mod formats;
pub mod functions;
pub mod harness;
pub mod lexer;
pub mod operators;
pub mod parser;
pub mod planner;
pub mod reference;
pub mod runtime;
pub mod state;
pub mod types;
pub mod value;
