//! FileStream: lines of a file into a topic, records of topics into a file.
//!
//! For first steps, logs and tests. The classes are those of the original's `connect-file` module; positions are bytes, so
//! that a restart goes on behind the last line whatever the text.

mod lines;
mod sink;
mod source;
mod tail;

use std::sync::Arc;

pub use sink::FileStreamSink;
pub use source::FileStreamSource;

pub use lines::Lines;
pub use tail::{Tail, TailRead};

use crate::plugin::ConnectorPlugin;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn ConnectorPlugin>> {
    vec![Arc::new(FileStreamSink::new()), Arc::new(FileStreamSource::new())]
}
