//! Commands: statements that all servers of a service execute, in the order of the command topic.
//!
//! ```text
//!   statement ── checked on a copy of the catalog ──► topic, schemas ──► command topic
//!                                                                             │ log: every server, from its beginning
//!                         status ◄── Metastore (catalog, statuses) ◄── execute
//!                                        └──► effects: queries start and end
//!   backup: a copy of the topic in a file, if wanted
//! ```

pub mod backup;
pub mod execute;
pub mod log;
pub mod metastore;
pub mod record;

pub use record::{Command, CommandId};
