//! One connection to a database.
//!
//! ```text
//!   Database ── commands ──► a task (SQLite: a thread) that owns the driver's connection
//!   RowStream ◄── batches of rows, bounded ──┘
//! ```
//!
//! The connection belongs to a task of its own, so every method here can be dropped while it waits without leaving a
//! statement half sent, and rows are read while earlier ones are worked on. At most [`BATCHES_AHEAD`] batches wait in
//! memory, however large the table is. A [`RowStream`] that is dropped before its end ends the connection: reading
//! millions of rows that nobody wants costs more than a new connection.
//!
//! When a connection is lost every call answers [`DatabaseError::Connection`]; [`Database::connect`] makes a new one.

mod actor;
mod column;
mod error;
mod mysql;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;
mod tls;
mod value;

pub use column::{Column, SqlType, TableFilter, TableId};
pub use error::DatabaseError;
pub use value::{SqlValue, parse_decimal};

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::url::JdbcUrl;
use actor::{Command, Reply};

/// A row, in the order of the columns.
pub type Row = Vec<SqlValue>;

/// Batches that are read ahead of whoever takes them.
pub const BATCHES_AHEAD: usize = 2;

/// Bytes after which a batch is handed over although it has fewer rows than asked for.
const BATCH_BYTES: usize = 1024 * 1024;

/// A connection. Calls are worked on one after the other.
#[derive(Clone)]
pub struct Database {
    commands: mpsc::Sender<Command>,
    dialect: Dialect,
}

impl Database {
    /// Connects, trying the hosts of the URL in turn.
    ///
    /// # Errors
    /// The last host's answer.
    pub async fn connect(url: &JdbcUrl) -> Result<Database, DatabaseError> {
        let commands = match url.dialect {
            Dialect::MySql => actor::spawn(mysql::MySql::connect(url).await?),
            Dialect::Postgres => actor::spawn(postgres::Postgres::connect(url).await?),
            Dialect::Sqlite => sqlite::spawn(url).await?,
        };
        Ok(Database { commands, dialect: url.dialect })
    }

    /// The kind of database.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }

    /// Starts a query; rows come in batches of at most `batch_rows`.
    ///
    /// # Errors
    /// A statement that the database refuses.
    pub async fn query(&self, sql: &str, params: Vec<SqlValue>, batch_rows: usize) -> Result<RowStream, DatabaseError> {
        let (rows, receiver) = mpsc::channel(BATCHES_AHEAD);
        let sql = sql.to_owned();
        let columns = self
            .ask(|reply| Command::Query { sql, params, batch_rows: batch_rows.max(1), columns: reply, rows })
            .await?;
        Ok(RowStream { columns, receiver, ended: false })
    }

    /// All rows of a query; for results that are known to be small.
    ///
    /// # Errors
    /// A statement that the database refuses.
    pub async fn query_all(
        &self,
        sql: &str,
        params: Vec<SqlValue>,
    ) -> Result<(Arc<[Column]>, Vec<Row>), DatabaseError> {
        let mut stream = self.query(sql, params, 1000).await?;
        let mut rows = Vec::new();
        while let Some(batch) = stream.next().await? {
            rows.extend(batch);
        }
        Ok((stream.columns, rows))
    }

    /// Runs a statement that answers no rows; returns how many rows it has changed.
    ///
    /// # Errors
    /// A statement that the database refuses.
    pub async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64, DatabaseError> {
        self.execute_batch(sql, vec![params]).await
    }

    /// Runs one statement with several rows of parameters, in order, without waiting for one answer after the other
    /// where the database can do that. Returns how many rows were changed together. After an error it is not known
    /// which rows were taken: use a transaction.
    ///
    /// # Errors
    /// The first row that the database refuses.
    pub async fn execute_batch(&self, sql: &str, rows: Vec<Row>) -> Result<u64, DatabaseError> {
        let sql = sql.to_owned();
        self.ask(|reply| Command::Execute { sql, rows, reply }).await
    }

    /// Runs statements as they are, without parameters and without preparing them: DDL, settings of the session.
    ///
    /// # Errors
    /// A statement that the database refuses.
    pub async fn run(&self, sql: &str) -> Result<(), DatabaseError> {
        let sql = sql.to_owned();
        self.ask(|reply| Command::Run { sql, reply }).await
    }

    /// Starts a transaction.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn begin(&self) -> Result<(), DatabaseError> {
        self.run(if self.dialect == Dialect::MySql { "START TRANSACTION" } else { "BEGIN" }).await
    }

    /// Makes a transaction last.
    ///
    /// # Errors
    /// When it did not last, or nobody knows (the connection was lost).
    pub async fn commit(&self) -> Result<(), DatabaseError> {
        self.run("COMMIT").await
    }

    /// Undoes a transaction.
    ///
    /// # Errors
    /// A lost connection, which undoes it too.
    pub async fn rollback(&self) -> Result<(), DatabaseError> {
        self.run("ROLLBACK").await
    }

    /// Sends the data of a `COPY .. FROM STDIN`; returns how many rows there were. PostgreSQL only.
    ///
    /// # Errors
    /// Data that the database refuses; another database.
    pub async fn copy_in(&self, sql: &str, data: Bytes) -> Result<u64, DatabaseError> {
        let sql = sql.to_owned();
        self.ask(|reply| Command::CopyIn { sql, data, reply }).await
    }

    /// Tables.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn tables(&self, filter: TableFilter) -> Result<Vec<TableId>, DatabaseError> {
        self.ask(|reply| Command::Tables { filter, reply }).await
    }

    /// Columns of a table in their order; none when there is no such table.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn columns(&self, table: &TableId) -> Result<Vec<Column>, DatabaseError> {
        let table = table.clone();
        self.ask(|reply| Command::Columns { table, reply }).await
    }

    /// What the database's clock shows: a [`SqlValue::Moment`] where it knows its zone, otherwise a
    /// [`SqlValue::DateTime`].
    ///
    /// # Errors
    /// A lost connection.
    pub async fn current_time(&self) -> Result<SqlValue, DatabaseError> {
        let (_, rows) = self.query_all(self.dialect.current_time_query(), Vec::new()).await?;
        let value = rows.into_iter().next().and_then(|row| row.into_iter().next());
        match value {
            Some(SqlValue::Text(text)) => text
                .parse()
                .map(SqlValue::DateTime)
                .map_err(|_| DatabaseError::Unusable(format!("{text} is no date and time"))),
            Some(value) => Ok(value),
            None => Err(DatabaseError::Unusable("The database does not say what time it is".to_owned())),
        }
    }

    /// Closes the connection; what was not committed is undone.
    pub async fn close(self) {
        // A connection that is gone already needs no closing.
        let _ = self.ask(|reply| Command::Close { reply }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, DatabaseError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }
}

fn lost() -> DatabaseError {
    DatabaseError::Connection("The connection to the database was lost".to_owned())
}

/// The rows of a query.
pub struct RowStream {
    columns: Arc<[Column]>,
    receiver: mpsc::Receiver<Result<Vec<Row>, DatabaseError>>,
    ended: bool,
}

impl RowStream {
    /// The columns.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The next rows, never none; `None` at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// A connection that was lost, or a row that cannot be read; the stream has ended then.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, DatabaseError> {
        if self.ended {
            return Ok(None);
        }
        match self.receiver.recv().await {
            Some(Ok(rows)) if rows.is_empty() => {
                self.ended = true;
                Ok(None)
            }
            Some(Ok(rows)) => Ok(Some(rows)),
            Some(Err(error)) => {
                self.ended = true;
                Err(error)
            }
            None => {
                self.ended = true;
                Err(lost())
            }
        }
    }
}
