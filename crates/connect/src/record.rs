//! Records on their way between a topic and a system outside.

use std::sync::Arc;

use crate::data::Typed;

pub use crate::source_map::SourceMap;

/// A header of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Its name; several headers may have one.
    pub key: String,
    /// Its value.
    pub value: Typed,
}

/// A record of a source or a sink; transforms and converters know only what both have.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The topic it goes to or comes from.
    pub topic: Arc<str>,
    /// The partition; `None`: the producer chooses.
    pub partition: Option<i32>,
    /// Key.
    pub key: Typed,
    /// Value.
    pub value: Typed,
    /// Milliseconds since the epoch; `None`: now.
    pub timestamp: Option<i64>,
    /// Headers in order.
    pub headers: Vec<Header>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a record comes from; transforms do not change this.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A system outside: what is committed once the record is in its topic. Shared by the records of one partition.
    Source {
        /// Which part of the system, such as a table.
        partition: Arc<SourceMap>,
        /// Where to go on after this record.
        offset: SourceMap,
    },
    /// A topic, with the address that the record had before any transform.
    Sink {
        /// Topic before any transform.
        topic: Arc<str>,
        /// Partition before any transform.
        partition: i32,
        /// Offset.
        offset: i64,
        /// Whether the timestamp is the time of appending.
        log_append_time: bool,
    },
}
