//! What happens to records between sources and sinks: one file per operator.
//!
//! An [`Operator`] gets [`Change`]s of the rows of its inputs and gives changes of its own, each of which is handled before
//! the next record comes. State is in stores of [`crate::state`]; nothing here knows Kafka. [`graph`] connects operators.

use std::sync::Arc;

use crate::state::StateError;
use crate::state::codec;
use crate::value::Value;

pub use processing_log::{NoLog, ProcessingLog};

pub mod aggregate;
pub mod append_key;
pub mod evaluator;
pub mod filter;
pub mod flat_map;
pub mod graph;
pub mod keep;
pub mod key_order;
pub mod processing_log;
pub mod project;
pub mod repartition;
pub mod retention;
pub mod session_aggregate;
pub mod stream_join;
pub mod stream_table_join;
mod stream_time;
pub mod subscription;
pub mod table_join;
pub mod table_source;
#[cfg(test)]
mod tests;
pub mod window_aggregate;

/// The columns of a row, in the order of the schema of its step.
pub type Row = Arc<[Value]>;

/// The headers of a record.
pub type Headers = Arc<[(String, Option<Vec<u8>>)]>;

/// The window of a windowed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowBounds {
    /// First millisecond.
    pub start: i64,
    /// Exclusive end of a time window; the last event of a session.
    pub end: i64,
}

/// Bytes that most keys have room in.
const KEY_BYTES: usize = 48;

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The columns of the key; `None` for a record without key.
    pub columns: Option<Row>,
    /// The window, of windowed keys.
    pub window: Option<WindowBounds>,
}

impl Key {
    /// A key without window.
    pub fn plain(columns: Vec<Value>) -> Key {
        Key::of(columns.into())
    }

    /// A key without window.
    pub fn of(columns: Row) -> Key {
        Key { columns: Some(columns), window: None }
    }

    /// Whether there is nothing to find the row by: no key, or one that is null.
    pub fn is_null(&self) -> bool {
        self.columns.as_ref().is_none_or(|columns| matches!(&**columns, [Value::Null]))
    }

    /// The key as stores sort it. Of time windows only the start counts, as in their bytes on a topic.
    pub fn bytes(&self, session: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        codec::write_values(self.columns.as_deref().unwrap_or_default(), &mut bytes);
        if let Some(window) = self.window {
            bytes.extend(codec::time_bytes(window.start));
            if session {
                bytes.extend(codec::time_bytes(window.end));
            }
        }
        bytes
    }
}

/// A new row of a stream, or a row of a table that changes.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose row.
    pub key: Key,
    /// The row; `None` for a record with a null value, of a table: the row is gone.
    pub new: Option<Row>,
    /// Of tables: the row before.
    pub old: Option<Row>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers of the record that caused the change.
    pub headers: Headers,
}

impl Change {
    /// The same change with another row.
    pub fn with_row(&self, new: Option<Row>, old: Option<Row>) -> Change {
        Change { new, old, ..self.clone() }
    }
}

/// Why a change cannot be processed. The query fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// State that cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// State that this version did not write.
    #[error("state of operator {0} cannot be read")]
    Corrupt(&'static str),
    /// A function that gives up instead of giving null.
    #[error("Exception caught in process. {0}")]
    Function(String),
}

/// What operators share while a change passes through them.
pub struct Context<'a> {
    /// Where errors go.
    pub log: &'a dyn ProcessingLog,
    /// The clock, in milliseconds: results that come with the passing of time are at most as frequent as configured.
    pub wall_clock_ms: i64,
}

/// A step of a query.
pub trait Operator: Send {
    /// Handles a change of input `input` and appends what follows to `output`, in order.
    ///
    /// # Errors
    /// State that fails; the query cannot go on.
    fn process(
        &mut self,
        input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError>;

    /// Takes up what [`Operator::leave`] left in its stores. They hold now what they held at the last commit.
    ///
    /// # Errors
    /// State that cannot be read.
    fn resume(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Leaves in its stores what it knows beside them, before they are committed.
    ///
    /// # Errors
    /// State that cannot be written.
    fn leave(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}
