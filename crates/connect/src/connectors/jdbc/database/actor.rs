//! The task that owns a connection.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{BATCH_BYTES, Column, DatabaseError, Row, TableFilter, TableId};
use crate::plugin::Waiting;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, DatabaseError>>;
/// Where rows go: batches that are not empty, an empty one at the end.
pub(super) type RowSender = mpsc::Sender<Result<Vec<Row>, DatabaseError>>;

/// What a connection is asked.
pub(super) enum Command {
    Query { sql: String, params: Row, batch_rows: usize, columns: Reply<Arc<[Column]>>, rows: RowSender },
    Execute { sql: String, rows: Vec<Row>, reply: Reply<u64> },
    Run { sql: String, reply: Reply<()> },
    CopyIn { sql: String, data: Bytes, reply: Reply<u64> },
    Tables { filter: TableFilter, reply: Reply<Vec<TableId>> },
    Columns { table: TableId, reply: Reply<Vec<Column>> },
    Close { reply: Reply<()> },
}

/// Whether a connection can be used further.
pub(super) enum After {
    Continue,
    Close,
}

/// What a driver of a network database can do.
pub(super) trait Driver: Send + 'static {
    /// Answers the columns, then sends the rows.
    fn query<'a>(
        &'a mut self,
        sql: &'a str,
        params: Row,
        columns: Reply<Arc<[Column]>>,
        rows: Batches,
    ) -> Waiting<'a, After>;
    fn execute<'a>(&'a mut self, sql: &'a str, rows: Vec<Row>) -> Waiting<'a, Result<u64, DatabaseError>>;
    fn run<'a>(&'a mut self, sql: &'a str) -> Waiting<'a, Result<(), DatabaseError>>;
    fn copy_in<'a>(&'a mut self, sql: &'a str, data: Bytes) -> Waiting<'a, Result<u64, DatabaseError>>;
    fn tables(&mut self, filter: TableFilter) -> Waiting<'_, Result<Vec<TableId>, DatabaseError>>;
    fn columns(&mut self, table: TableId) -> Waiting<'_, Result<Vec<Column>, DatabaseError>>;
    fn close(self: Box<Self>) -> Waiting<'static, ()>;
}

/// Starts the task of a connection.
pub(super) fn spawn(driver: impl Driver) -> mpsc::Sender<Command> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(work(Box::new(driver), receiver));
    sender
}

async fn work(mut driver: Box<impl Driver>, mut commands: mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        let after = match command {
            Command::Query { sql, params, batch_rows, columns, rows } => {
                driver.query(&sql, params, columns, Batches::new(rows, batch_rows)).await
            }
            Command::Execute { sql, rows, reply } => answer(reply, driver.execute(&sql, rows).await),
            Command::Run { sql, reply } => answer(reply, driver.run(&sql).await),
            Command::CopyIn { sql, data, reply } => answer(reply, driver.copy_in(&sql, data).await),
            Command::Tables { filter, reply } => answer(reply, driver.tables(filter).await),
            Command::Columns { table, reply } => answer(reply, driver.columns(table).await),
            Command::Close { reply } => {
                driver.close().await;
                answer(reply, Ok(()));
                return;
            }
        };
        if let After::Close = after {
            break;
        }
    }
    driver.close().await;
}

/// Hands an answer over. After a lost connection nothing more can be asked; when nobody waits for the answer any more it
/// is not known what was done, so an open transaction must not go on.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, DatabaseError>) -> After {
    let is_lost = matches!(result, Err(DatabaseError::Connection(_)));
    match reply.send(result) {
        Ok(()) if !is_lost => After::Continue,
        _ => After::Close,
    }
}

/// For how many rows of a batch room is made at once.
const ROWS_AT_ONCE: usize = 1000;

/// Collects rows into batches.
pub(super) struct Batches {
    sender: RowSender,
    rows: Vec<Row>,
    bytes: usize,
    batch_rows: usize,
}

impl Batches {
    pub fn new(sender: RowSender, batch_rows: usize) -> Batches {
        Batches { sender, rows: Vec::new(), bytes: 0, batch_rows }
    }

    /// Adds a row; `true`: the batch must be taken with [`take`](Self::take) and sent.
    pub fn push(&mut self, row: Row) -> bool {
        if self.rows.is_empty() {
            self.rows.reserve(self.batch_rows.min(ROWS_AT_ONCE));
        }
        self.bytes += row.iter().map(super::SqlValue::weight).sum::<usize>();
        self.rows.push(row);
        self.rows.len() >= self.batch_rows || self.bytes >= BATCH_BYTES
    }

    /// The rows so far.
    pub fn take(&mut self) -> Vec<Row> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }

    /// Where batches go.
    pub fn sender(&self) -> &RowSender {
        &self.sender
    }

    /// Sends a row, waiting when enough is read ahead. `Close`: nobody wants it, or it could not be read, and the rest of the
    /// rows would have to be read before the connection could be used again.
    pub async fn send(&mut self, row: Result<Row, DatabaseError>) -> After {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let rows = self.take();
                if rows.is_empty() || self.sender.send(Ok(rows)).await.is_ok() {
                    let _ = self.sender.send(Err(error)).await;
                }
                return After::Close;
            }
        };
        if self.push(row) {
            let rows = self.take();
            return after(self.sender.send(Ok(rows)).await.is_ok());
        }
        After::Continue
    }

    /// Sends what is left, and the end or an error.
    pub async fn finish(mut self, result: Result<(), DatabaseError>) -> After {
        let rows = self.take();
        if !rows.is_empty() && self.sender.send(Ok(rows)).await.is_err() {
            return After::Close;
        }
        let is_lost = matches!(result, Err(DatabaseError::Connection(_)));
        let sent = self.sender.send(result.map(|()| Vec::new())).await.is_ok();
        after(sent && !is_lost)
    }
}

fn after(goes_on: bool) -> After {
    if goes_on { After::Continue } else { After::Close }
}
