//! The source: rows of tables, or of a query, as records.
//!
//! ```text
//!   connector ── looks for tables, spreads them over tasks
//!   task ── one connection, its tables in turn ──► statement (what is new?) ──► mapping (row ► record) ──► offset
//! ```
//!
//! Rows stream: at most two batches of a table are in memory. A lost connection is made anew and the query asked again
//! from the last offset, so nothing is lost; in the modes without a number that grows, rows may come twice.

mod clock;
mod columns;
mod config;
mod connector;
mod mapping;
mod offset;
mod reading;
mod statement;
mod tables;
mod task;
#[cfg(test)]
mod tests;
mod validate;

use crate::config::def::{ConfigDef, ConfigValue};
use crate::plugin::{
    Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, ExactlyOnceSupport, Settings, Source, SourceTask,
    TaskError, Waiting,
};
use crate::record::SourceMap;

/// The kind of connector.
pub struct JdbcSource {
    config: ConfigDef,
}

impl JdbcSource {
    /// It.
    pub fn new() -> JdbcSource {
        JdbcSource { config: config::definition() }
    }
}

impl Default for JdbcSource {
    fn default() -> Self {
        JdbcSource::new()
    }
}

impl ConnectorPlugin for JdbcSource {
    fn classes(&self) -> &'static [&'static str] {
        &["io.confluent.connect.jdbc.JdbcSourceConnector", "io.aiven.connect.jdbc.JdbcSourceConnector"]
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        &self.config
    }

    fn validate<'a>(&'a self, settings: &'a Settings, values: &'a mut Vec<ConfigValue>) -> Waiting<'a, ()> {
        Box::pin(validate::validate(settings, values))
    }

    fn create(&self, settings: &Settings, context: ConnectorContext) -> Result<Box<dyn Connector>, TaskError> {
        Ok(Box::new(connector::JdbcSourceConnector::new(settings, context)?))
    }

    fn source(&self) -> Option<&dyn Source> {
        Some(self)
    }
}

impl Source for JdbcSource {
    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(task::JdbcSourceTask::default())
    }

    fn exactly_once(&self, settings: &Settings) -> ExactlyOnceSupport {
        // Without a number the last rows of one time may be read again.
        match settings.get("mode").map(String::as_str) {
            Some("incrementing" | "timestamp+incrementing") => ExactlyOnceSupport::Supported,
            _ => ExactlyOnceSupport::Unsupported,
        }
    }

    fn alter_offsets(
        &self,
        _settings: &Settings,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<bool, TaskError> {
        for (partition, offset) in offsets {
            offset::check(partition, offset.as_ref()).map_err(TaskError::Fatal)?;
        }
        Ok(true)
    }
}
