//! Rows into tables, over one connection.
//!
//! Many rows go in one statement: for MySQL and MariaDB one `INSERT` of many rows, for PostgreSQL `COPY` (with `upsert`
//! into a temporary table and from there), for SQLite one prepared statement.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::database::{Database, DatabaseError, Row, SqlValue};
use super::super::dialect::Dialect;
use super::config::{InsertMode, SinkConfig};
use super::copy;
use super::error::{SinkError, is_duplicate};
use super::plan::{Change, Group};
use super::tables::{Resolved, Tables};

/// Rows from which `COPY` is worth its round trips.
const COPY_ROWS: usize = 8;
/// Bytes of one statement at most, if the server takes as many.
const STATEMENT_BYTES: usize = 4 * 1024 * 1024;

/// A connection and what is known of its tables.
pub struct Writer {
    database: Database,
    tables: Tables,
    stages: HashMap<usize, Stage>,
    stages_made: usize,
    statement_bytes: usize,
    is_in_transaction: bool,
}

/// A temporary table of PostgreSQL that takes rows on their way; empty after each transaction.
struct Stage {
    resolved: Arc<Resolved>,
    name: String,
    /// Whether this transaction has used it.
    is_used: bool,
}

impl Writer {
    /// Connects.
    ///
    /// # Errors
    /// The database's answer.
    pub async fn connect(config: &SinkConfig) -> Result<Writer, DatabaseError> {
        let database = Database::connect(&config.url).await?;
        let mut statement_bytes = STATEMENT_BYTES;
        if config.dialect() == Dialect::MySql {
            let (_, rows) = database.query_all("SELECT @@max_allowed_packet", Vec::new()).await?;
            let packet = rows.first().and_then(|row| row.first()).and_then(SqlValue::as_i64);
            let packet = packet.and_then(|packet| usize::try_from(packet).ok());
            statement_bytes = packet.map_or(statement_bytes, |packet| statement_bytes.min(packet / 2));
        }
        Ok(Writer {
            database,
            tables: Tables::default(),
            stages: HashMap::new(),
            stages_made: 0,
            statement_bytes,
            is_in_transaction: false,
        })
    }

    /// The connection.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Forgets what it knows of the tables.
    pub fn look_again(&mut self) {
        self.tables = Tables::default();
    }

    /// Closes the connection; what was not committed is undone.
    pub async fn close(self) {
        self.database.close().await;
    }

    /// Starts a transaction. Tables and columns must be there by now: in MySQL and MariaDB making them would end it.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&mut self) -> Result<(), SinkError> {
        self.stages.values_mut().for_each(|stage| stage.is_used = false);
        self.database.begin().await?;
        self.is_in_transaction = true;
        Ok(())
    }

    /// Makes the transaction last.
    ///
    /// # Errors
    /// When it did not, or nobody knows.
    pub async fn commit(&mut self) -> Result<(), SinkError> {
        self.database.commit().await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Undoes the transaction, if there is one.
    ///
    /// # Errors
    /// A lost connection, which undoes it too.
    pub async fn roll_back(&mut self) -> Result<(), SinkError> {
        if self.is_in_transaction {
            self.database.rollback().await?;
            self.is_in_transaction = false;
        }
        Ok(())
    }

    /// Makes what the changes need: tables, columns, temporary tables. Changes of tables that are not there, which only
    /// delete, are taken out.
    ///
    /// # Errors
    /// Tables or columns that are missing and that the settings do not let it make; the database's.
    pub async fn prepare(&mut self, config: &SinkConfig, groups: &mut Vec<Group>) -> Result<(), SinkError> {
        let mut needed = Vec::with_capacity(groups.len());
        for group in groups.iter() {
            let resolved = self.tables.resolve(&self.database, config, &group.layout, group.deletes).await?;
            if let Some(resolved) = &resolved
                && uses_stage(config, group)
            {
                self.stage(resolved).await;
            }
            needed.push(resolved.is_some());
        }
        let mut needed = needed.into_iter();
        groups.retain(|_| needed.next().unwrap_or(false));
        Ok(())
    }

    /// Writes groups in the transaction that was begun.
    ///
    /// # Errors
    /// The database's; the transaction must be undone then.
    pub async fn write(&mut self, config: &SinkConfig, groups: Vec<Group>) -> Result<(), SinkError> {
        for group in groups {
            let resolved = self.resolved(&group.layout)?;
            if group.deletes {
                self.delete(&resolved, group.rows, config.batch_size).await?;
                continue;
            }
            let mut rows = group.rows;
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(config.batch_size));
                self.write_rows(config, &resolved, rows).await?;
                rows = rest;
            }
        }
        Ok(())
    }

    async fn write_rows(
        &mut self,
        config: &SinkConfig,
        resolved: &Arc<Resolved>,
        rows: Vec<Row>,
    ) -> Result<(), SinkError> {
        let target = &resolved.target;
        match (config.dialect(), config.insert_mode) {
            (_, InsertMode::Update) => {
                let rows = rows.into_iter().map(|row| target.update_parameters(row)).collect();
                self.database.execute_batch(&target.write(InsertMode::Update, 1), rows).await?;
            }
            (Dialect::MySql, mode) => self.execute_chunks(rows, |rows| target.write(mode, rows)).await?,
            (Dialect::Postgres, InsertMode::Insert) if rows.len() >= COPY_ROWS => {
                self.copy(&target.table, resolved, &rows).await?;
            }
            (Dialect::Postgres, InsertMode::Upsert) if rows.len() >= COPY_ROWS => {
                self.upsert_by_copy(resolved, rows).await?;
            }
            (_, mode) => {
                self.database.execute_batch(&target.write(mode, 1), rows).await?;
            }
        }
        Ok(())
    }

    async fn delete(&mut self, resolved: &Resolved, rows: Vec<Row>, batch_size: usize) -> Result<(), SinkError> {
        let target = &resolved.target;
        if target.dialect != Dialect::MySql {
            self.database.execute_batch(&target.delete(), rows).await?;
            return Ok(());
        }
        let mut rows = rows;
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(batch_size));
            self.execute_chunks(rows, |rows| target.delete_all(rows)).await?;
            rows = rest;
        }
        Ok(())
    }

    /// Runs statements of several rows until all are written.
    async fn execute_chunks(&self, rows: Vec<Row>, sql: impl Fn(usize) -> String) -> Result<(), DatabaseError> {
        let width = rows.first().map_or(1, Vec::len).max(1);
        let most = self.database.dialect().max_parameters() / width;
        let weights: Vec<usize> = rows.iter().map(|row| row.iter().map(SqlValue::weight).sum()).collect();
        let mut rows = rows.into_iter();
        let mut done = 0;
        while done < weights.len() {
            let mut bytes = 0;
            let fitting = weights[done..]
                .iter()
                .take_while(|weight| {
                    bytes += **weight;
                    bytes <= self.statement_bytes
                })
                .count();
            // Statements are prepared once for each number of rows, which nearly always is that of a full `put`.
            let size = fitting.clamp(1, most.max(1));
            let parameters: Vec<SqlValue> = rows.by_ref().take(size).flatten().collect();
            self.database.execute(&sql(size), parameters).await?;
            done += size;
        }
        Ok(())
    }

    async fn copy(&self, table: &str, resolved: &Resolved, rows: &[Row]) -> Result<(), DatabaseError> {
        let sql = format!("COPY {table}({}) FROM STDIN", resolved.target.columns.join(","));
        let weight: usize = rows.iter().take(16).flatten().map(SqlValue::weight).sum();
        let capacity = weight * rows.len() / 16.min(rows.len()).max(1) / 2;
        self.database.copy_in(&sql, copy::encode(rows.iter().map(Vec::as_slice), &resolved.numbers, capacity)).await?;
        Ok(())
    }

    async fn upsert_by_copy(&mut self, resolved: &Arc<Resolved>, rows: Vec<Row>) -> Result<(), DatabaseError> {
        let target = &resolved.target;
        let Some(stage) = self.stages.get_mut(&stage_key(resolved)) else {
            // Without the right to make temporary tables.
            self.database.execute_batch(&target.write(InsertMode::Upsert, 1), rows).await?;
            return Ok(());
        };
        if stage.is_used {
            self.database.run(&format!("DELETE FROM {}", stage.name)).await?;
        }
        stage.is_used = true;
        let name = stage.name.clone();
        self.copy(&name, resolved, &rows).await?;
        let columns = target.columns.join(",");
        let sql =
            format!("INSERT INTO {}({columns}) SELECT {columns} FROM {name}{}", target.table, target.on_conflict());
        self.database.execute(&sql, Vec::new()).await?;
        Ok(())
    }

    /// Makes the temporary table of a layout, if the database lets it.
    async fn stage(&mut self, resolved: &Arc<Resolved>) {
        let key = stage_key(resolved);
        if self.stages.get(&key).is_some_and(|stage| Arc::ptr_eq(&stage.resolved, resolved)) {
            return;
        }
        let target = &resolved.target;
        self.stages_made += 1;
        let name = format!("pg_temp.milena_sink_{}", self.stages_made);
        let create = format!(
            "CREATE TEMPORARY TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA",
            name.trim_start_matches("pg_temp."),
            target.columns.join(","),
            target.table
        );
        match self.database.run(&create).await {
            Ok(()) => {
                self.stages.insert(key, Stage { resolved: resolved.clone(), name, is_used: false });
            }
            Err(error) => tracing::warn!("rows go into {} one by one: no temporary table: {error}", target.table),
        }
    }

    fn resolved(&self, layout: &Arc<super::layout::Layout>) -> Result<Arc<Resolved>, SinkError> {
        self.tables
            .find(layout)
            .ok_or_else(|| SinkError::Settings(format!("Table {} is used for too many kinds of records", layout.table)))
    }

    /// Makes the changes of a record within the transaction, so that its error leaves the others alone.
    /// `may_be_there`: first looks whether the row is there already, since an earlier run has written it.
    ///
    /// # Errors
    /// The database's: the transaction goes on, unless the connection is gone.
    pub async fn write_one(
        &mut self,
        config: &SinkConfig,
        change: Change,
        may_be_there: bool,
    ) -> Result<(), SinkError> {
        let resolved = match self.tables.find(&change.layout) {
            Some(resolved) => resolved,
            // A table to delete from that is not there.
            None => return Ok(()),
        };
        let target = &resolved.target;
        self.database.run("SAVEPOINT milena_record").await?;
        if may_be_there && self.is_there(&resolved, &change.row).await? {
            self.database.run("RELEASE SAVEPOINT milena_record").await?;
            return Ok(());
        }
        let result = if change.deletes {
            self.database.execute(&target.delete(), change.row.clone()).await
        } else {
            let row = match config.insert_mode {
                InsertMode::Update => target.update_parameters(change.row.clone()),
                _ => change.row.clone(),
            };
            self.database.execute(&target.write(config.insert_mode, 1), row).await
        };
        let Err(error) = result else {
            self.database.run("RELEASE SAVEPOINT milena_record").await?;
            return Ok(());
        };
        if !matches!(error, DatabaseError::Connection(_)) {
            self.database.run("ROLLBACK TO SAVEPOINT milena_record").await?;
            let is_insert = config.insert_mode == InsertMode::Insert && !change.deletes;
            if is_insert && is_duplicate(&error) && !may_be_there && self.is_there(&resolved, &change.row).await? {
                return Ok(());
            }
        }
        Err(error.into())
    }

    /// Whether a row is there already as the record says it.
    async fn is_there(&self, resolved: &Resolved, row: &[SqlValue]) -> Result<bool, DatabaseError> {
        let (sql, parameters) = resolved.target.exists(row, |index| resolved.compared.get(index) == Some(&true));
        match self.database.query_all(&sql, parameters).await {
            Ok((_, rows)) => Ok(!rows.is_empty()),
            Err(error @ DatabaseError::Connection(_)) => Err(error),
            Err(error) => {
                // Values that this database cannot compare: then nobody knows that the row is the same.
                tracing::debug!("cannot look for a row in {}: {error}", resolved.target.table);
                self.database.run("ROLLBACK TO SAVEPOINT milena_record").await?;
                Ok(false)
            }
        }
    }
}

fn uses_stage(config: &SinkConfig, group: &Group) -> bool {
    config.dialect() == Dialect::Postgres
        && config.insert_mode == InsertMode::Upsert
        && !group.deletes
        && group.rows.len() >= COPY_ROWS
}

/// Layouts live as long as they are resolved, so their address tells them apart.
fn stage_key(resolved: &Arc<Resolved>) -> usize {
    Arc::as_ptr(&resolved.layout).addr()
}
