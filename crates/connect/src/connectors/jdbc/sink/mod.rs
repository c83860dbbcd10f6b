//! The JDBC sink: records of topics into tables.
//!
//! ```text
//! record ── layout (which columns) ── convert (values) ──► change
//! changes ── plan (those of one kind together) ── tables (make, extend) ── writer (statements) ──► database
//! ```

mod config;
mod convert;
mod copy;
mod ddl;
mod error;
mod layout;
mod offsets;
mod plan;
mod statement;
mod tables;
mod task;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use crate::config::def::{ConfigDef, ConfigValue};
use crate::plugin::{
    Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, SameTasks, Settings, Sink, SinkTask, TaskError,
    Waiting,
};

/// The sink as a plugin.
pub struct JdbcSink;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn ConnectorPlugin>> {
    vec![Arc::new(JdbcSink)]
}

impl ConnectorPlugin for JdbcSink {
    fn classes(&self) -> &'static [&'static str] {
        &["io.confluent.connect.jdbc.JdbcSinkConnector", "io.aiven.connect.jdbc.JdbcSinkConnector"]
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        &config::DEF
    }

    fn validate<'a>(&'a self, settings: &'a Settings, values: &'a mut Vec<ConfigValue>) -> Waiting<'a, ()> {
        config::validate(settings, values);
        Box::pin(async {})
    }

    fn create(&self, settings: &Settings, _context: ConnectorContext) -> Result<Box<dyn Connector>, TaskError> {
        config::SinkConfig::parse(settings)?;
        Ok(SameTasks::as_many_as_wanted(settings))
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for JdbcSink {
    fn task(&self) -> Box<dyn SinkTask> {
        Box::new(task::JdbcSinkTask::default())
    }
}
