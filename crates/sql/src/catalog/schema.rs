//! The columns of a source or of a step of a query.

use std::fmt;

use crate::ast::Name;
use crate::types::SqlType;

/// Where a column lives in a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// In the key.
    Key,
    /// In the value.
    Value,
    /// All headers, as an array of structs.
    Headers,
    /// The last header with this name.
    Header(String),
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// The name in its exact case.
    pub name: Name,
    /// The type.
    pub column_type: SqlType,
    /// Where it lives.
    pub namespace: Namespace,
}

impl Column {
    /// A column of the key.
    pub fn key(name: impl Into<Name>, column_type: SqlType) -> Self {
        Column { name: name.into(), column_type, namespace: Namespace::Key }
    }

    /// A column of the value.
    pub fn value(name: impl Into<Name>, column_type: SqlType) -> Self {
        Column { name: name.into(), column_type, namespace: Namespace::Value }
    }
}

/// Columns in their order, which is the one that users see: those of the key may stand anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    columns: Vec<Column>,
    /// The columns of the key once more.
    keys: Vec<Column>,
}

impl Schema {
    /// Of `columns` in their order.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        let columns: Vec<Column> = columns.into_iter().collect();
        let keys = columns.iter().filter(|column| column.namespace == Namespace::Key).cloned().collect();
        Schema { columns, keys }
    }

    /// All columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns of the key.
    pub fn keys(&self) -> &[Column] {
        &self.keys
    }

    /// The columns that are no part of the key: rows begin with them.
    pub fn others(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.namespace != Namespace::Key)
    }

    /// The columns that are written into the value.
    pub fn values(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.namespace == Namespace::Value)
    }

    /// The columns that are read from headers.
    pub fn headers(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| matches!(column.namespace, Namespace::Headers | Namespace::Header(_)))
    }

    /// The column with exactly this name.
    pub fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.name.replace('`', "``"), self.column_type)?;
        match &self.namespace {
            Namespace::Key => f.write_str(" KEY"),
            Namespace::Value => Ok(()),
            Namespace::Headers => f.write_str(" HEADERS"),
            Namespace::Header(name) => write!(f, " HEADER('{name}')"),
        }
    }
}

/// As messages and `DESCRIBE` show it: `` `ID` BIGINT KEY, `NAME` STRING ``.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, column) in self.columns.iter().enumerate() {
            write!(f, "{}{column}", if position == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
