//! Queries at work on Kafka.

mod cleanup;
mod clients;
pub mod failure;
pub mod forwarding;
mod inputs;
mod layout;
pub mod limits;
mod opening;
pub mod persistent;
pub mod processing_log;
pub mod pull;
pub mod push;
pub mod rows;
mod scalable;
pub mod spill;
pub mod states;
pub mod statistics;
pub mod tables;
mod task;
pub mod transient;
mod worker;
