//! Records of topics as rows and back: what stands at both ends of the operators of a query.

use bytes::Bytes;

use crate::operators::Headers;

pub mod channel;
pub mod insert;
pub mod reader;
pub mod writer;

/// A record as a topic holds it. Those that were read together share their memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The headers.
    pub headers: Headers,
    /// The partition it is in.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// Why a record ends a query instead of being skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(pub String);
