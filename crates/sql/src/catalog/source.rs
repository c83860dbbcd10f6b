//! A stream or a table.

use crate::ast::{Name, SourceKind};
use crate::catalog::schema::{Column, Schema};
use crate::formats::{Field, FormatSpec};

/// The shape of the windows of a windowed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowShape {
    /// Windows side by side.
    Tumbling,
    /// Windows that overlap.
    Hopping,
    /// Sessions.
    Session,
}

impl WindowShape {
    /// As statements spell it.
    pub fn name(self) -> &'static str {
        match self {
            WindowShape::Tumbling => "TUMBLING",
            WindowShape::Hopping => "HOPPING",
            WindowShape::Session => "SESSION",
        }
    }
}

/// The windows of a windowed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowInfo {
    /// Their shape.
    pub shape: WindowShape,
    /// Their length; sessions have none.
    pub size_ms: Option<i64>,
}

impl WindowInfo {
    /// Whether windows are sessions.
    pub fn is_session(self) -> bool {
        self.shape == WindowShape::Session
    }
}

/// The column that tells the time of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampColumn {
    /// Its name.
    pub column: Name,
    /// How its text is read, of string columns.
    pub format: Option<String>,
}

/// A stream or table over a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: Name,
    /// Stream or table.
    pub kind: SourceKind,
    /// Its columns.
    pub schema: Schema,
    /// Its topic.
    pub topic: String,
    /// How many partitions the topic is to have, where stated.
    pub partitions: Option<i32>,
    /// How many replicas the topic is to have, where stated.
    pub replicas: Option<i16>,
    /// How keys are written.
    pub key_format: FormatSpec,
    /// How values are written.
    pub value_format: FormatSpec,
    /// The windows of its keys.
    pub window: Option<WindowInfo>,
    /// What tells the time of a record.
    pub timestamp: Option<TimestampColumn>,
    /// Whether it was created with `SOURCE`.
    pub read_only: bool,
    /// The id of the query that it was created with.
    pub created_by: Option<String>,
    /// The text of the statement that created it.
    pub statement: String,
}

impl Source {
    /// The columns of the key, as codecs see them.
    pub fn key_fields(&self) -> Vec<Field> {
        self.schema.keys().iter().map(field).collect()
    }

    /// The columns of the value, as codecs see them.
    pub fn value_fields(&self) -> Vec<Field> {
        self.schema.values().map(field).collect()
    }

    /// Whether keys have session windows.
    pub fn is_session(&self) -> bool {
        self.window.is_some_and(WindowInfo::is_session)
    }
}

fn field(column: &Column) -> Field {
    Field { name: column.name.clone(), field_type: column.column_type.clone() }
}
