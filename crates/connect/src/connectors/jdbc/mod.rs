//! Connectors between topics and relational databases: MariaDB and MySQL, PostgreSQL, SQLite, through native drivers.
//!
//! ```text
//!   url ──► database (one connection: rows in, statements out) ◄── dialect (what their SQL does not have in common)
//!                 ▲
//!        source ──┴── sink
//! ```

pub mod database;
pub mod dialect;
pub mod sink;
pub mod source;
pub mod url;
mod zone;

use std::sync::Arc;

use crate::plugin::ConnectorPlugin;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn ConnectorPlugin>> {
    let mut plugins: Vec<Arc<dyn ConnectorPlugin>> = vec![Arc::new(source::JdbcSource::new())];
    plugins.extend(sink::plugins());
    plugins
}
