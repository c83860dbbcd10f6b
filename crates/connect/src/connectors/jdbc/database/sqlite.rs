//! SQLite, through `rusqlite`, on a thread of its own.
//!
//! Types are those that the columns were declared with, read by SQLite's rules of affinity; values are what is stored,
//! which may be of another type: [`SqlValue`]s here are integers, floating point numbers, text and bytes only.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use super::actor::{After, Batches, Command, Reply, answer};
use super::{Column, DatabaseError, Row, SqlType, SqlValue, TableFilter, TableId};
use crate::connectors::jdbc::dialect::{Dialect, Quoting};
use crate::connectors::jdbc::url::JdbcUrl;

const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// Settings of the URL that are settings of SQLite.
const PRAGMAS: &[&str] = &["journal_mode", "synchronous", "foreign_keys", "cache_size"];

/// Opens the file and starts the thread that owns the connection.
pub(super) async fn spawn(url: &JdbcUrl) -> Result<mpsc::Sender<Command>, DatabaseError> {
    let (commands, receiver) = mpsc::channel(1);
    let (opened, answer) = oneshot::channel();
    let url = url.clone();
    std::thread::Builder::new()
        .name("connect-sqlite".to_owned())
        .spawn(move || match open(&url) {
            Ok(connection) => {
                if opened.send(Ok(())).is_ok() {
                    work(&connection, receiver);
                }
            }
            // Nobody waits for the answer when this fails.
            Err(error) => drop(opened.send(Err(error))),
        })
        .map_err(|error| DatabaseError::Connection(format!("There is no thread for SQLite: {error}")))?;
    answer.await.map_err(|_| super::lost())??;
    Ok(commands)
}

fn open(url: &JdbcUrl) -> Result<Connection, DatabaseError> {
    let file = url.database.as_deref().unwrap_or(":memory:");
    let connection = Connection::open_with_flags(file, OpenFlags::default()).map_err(refused)?;
    let timeout = url.duration("busy_timeout", Duration::from_millis(1)).unwrap_or(BUSY_TIMEOUT);
    connection.busy_timeout(timeout).map_err(refused)?;
    for name in PRAGMAS {
        if let Some(value) = url.property(name) {
            connection.pragma_update(None, name, value).map_err(refused)?;
        }
    }
    Ok(connection)
}

fn refused(error: rusqlite::Error) -> DatabaseError {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => DatabaseError::Refused {
            message: message.unwrap_or_else(|| code.to_string()),
            state: String::new(),
            code: code.extended_code,
        },
        rusqlite::Error::SqlInputError { error, msg, .. } => {
            DatabaseError::Refused { message: msg, state: String::new(), code: error.extended_code }
        }
        error => DatabaseError::Unusable(error.to_string()),
    }
}

fn work(connection: &Connection, mut commands: mpsc::Receiver<Command>) {
    while let Some(command) = commands.blocking_recv() {
        let after = match command {
            Command::Query { sql, params, batch_rows, columns, rows } => {
                query(connection, &sql, params, columns, Batches::new(rows, batch_rows))
            }
            Command::Execute { sql, rows, reply } => answer(reply, execute(connection, &sql, rows)),
            Command::Run { sql, reply } => answer(reply, connection.execute_batch(&sql).map_err(refused)),
            Command::CopyIn { reply, .. } => {
                answer(reply, Err(DatabaseError::Unusable("SQLite has no COPY".to_owned())))
            }
            Command::Tables { filter, reply } => answer(reply, tables(connection, &filter)),
            Command::Columns { table, reply } => answer(reply, columns(connection, &table)),
            Command::Close { reply } => {
                answer(reply, Ok(()));
                return;
            }
        };
        if let After::Close = after {
            return;
        }
    }
}

fn query(connection: &Connection, sql: &str, params: Row, reply: Reply<Arc<[Column]>>, mut batches: Batches) -> After {
    let statement = parameters(params).and_then(|params| Ok((connection.prepare(sql).map_err(refused)?, params)));
    let (mut statement, params) = match statement {
        Ok(statement) => statement,
        Err(error) => return answer(reply, Err(error)),
    };
    let mut rows = match statement.query(params_from_iter(params)) {
        Ok(rows) => rows,
        Err(error) => return answer(reply, Err(refused(error))),
    };
    // The columns are those that SQLite sees at the first step: another connection may have changed them before.
    let first = match rows.next() {
        Ok(Some(row)) => {
            let columns = with_origin(connection, row.as_ref());
            let first = read(row, columns.len());
            Some((columns, first))
        }
        Ok(None) => None,
        Err(error) => return answer(reply, Err(refused(error))),
    };
    let Some((columns, first)) = first else {
        drop(rows);
        return match reply.send(Ok(with_origin(connection, &statement))) {
            Ok(()) => send(&batches, Ok(Vec::new())),
            Err(_) => After::Close,
        };
    };
    let width = columns.len();
    if reply.send(Ok(columns)).is_err() {
        return After::Close;
    }
    let mut next = first.map(Some);
    let ended = loop {
        match next {
            Ok(Some(row)) => {
                if batches.push(row) {
                    let rows = batches.take();
                    if batches.sender().blocking_send(Ok(rows)).is_err() {
                        return After::Continue;
                    }
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        next = match rows.next() {
            Ok(Some(row)) => read(row, width).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(refused(error)),
        };
    };
    let rest = batches.take();
    if !rest.is_empty() && batches.sender().blocking_send(Ok(rest)).is_err() {
        return After::Continue;
    }
    send(&batches, ended.map(|()| Vec::new()))
}

/// Sends the end or an error; a receiver that is gone wants neither.
fn send(batches: &Batches, end: Result<Vec<Row>, DatabaseError>) -> After {
    let _ = batches.sender().blocking_send(end);
    After::Continue
}

/// The columns of a result, with what is known of the tables that they come from.
fn with_origin(connection: &Connection, statement: &rusqlite::Statement<'_>) -> Arc<[Column]> {
    let columns = statement.columns().zip(statement.columns_with_metadata()).map(|(column, origin)| {
        let mut column = described(column.name(), column.decl_type());
        if let Some((table, name)) = origin.table_name().zip(origin.origin_name())
            && let Ok((_, _, not_null, primary_key, auto_increment)) =
                connection.column_metadata(origin.database_name(), table, name)
        {
            column.nullable = !not_null;
            column.primary_key = primary_key;
            column.auto_increment = auto_increment;
            // The number of the row, by another name, is never null.
            if primary_key && column.type_name == "INTEGER" {
                column.nullable = false;
            }
        }
        column
    });
    columns.collect()
}

fn execute(connection: &Connection, sql: &str, rows: Vec<Row>) -> Result<u64, DatabaseError> {
    let mut statement = connection.prepare_cached(sql).map_err(refused)?;
    let mut changed = 0;
    for row in rows {
        changed += statement.execute(params_from_iter(parameters(row)?)).map_err(refused)?;
    }
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

fn tables(connection: &Connection, filter: &TableFilter) -> Result<Vec<TableId>, DatabaseError> {
    let wanted = |kind: &str| {
        if filter.types.is_empty() {
            kind == "table"
        } else {
            filter.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
        }
    };
    let sql = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' \
               ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare_cached(sql).map_err(refused)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let mut tables = Vec::new();
    for row in rows.map_err(refused)? {
        let (name, kind) = row.map_err(refused)?;
        if wanted(&kind) {
            tables.push(TableId::named(name));
        }
    }
    Ok(tables)
}

fn columns(connection: &Connection, table: &TableId) -> Result<Vec<Column>, DatabaseError> {
    let quoted = Dialect::Sqlite.quote(&table.name, Quoting::Always);
    let schema = table.catalog.as_deref().or(table.schema.as_deref());
    let schema =
        schema.map(|schema| format!("{}.", Dialect::Sqlite.quote(schema, Quoting::Always))).unwrap_or_default();
    let mut statement = connection.prepare(&format!("PRAGMA {schema}table_info({quoted})")).map_err(refused)?;
    let rows = statement.query_map([], |row| {
        let declared: String = row.get(2)?;
        let mut column = described(&row.get::<_, String>(1)?, Some(&declared));
        column.primary_key = row.get::<_, i64>(5)? > 0;
        column.nullable = !row.get::<_, bool>(3)?;
        column.has_default = !matches!(row.get_ref(4)?, ValueRef::Null);
        Ok((column, declared))
    });
    let rows: Result<Vec<(Column, String)>, rusqlite::Error> = rows.map_err(refused)?.collect();
    let rows = rows.map_err(refused)?;
    let keys = rows.iter().filter(|(column, _)| column.primary_key).count();
    let counted = rows.into_iter().map(|(mut column, declared)| {
        // The only integer key of a table is the number of the row: SQLite counts it up by itself.
        if keys == 1 && column.primary_key && declared.eq_ignore_ascii_case("INTEGER") {
            column.auto_increment = true;
            column.nullable = false;
            column.has_default = true;
        }
        column
    });
    Ok(counted.collect())
}

/// A column from how it was declared; without a declaration (an expression) it is text.
fn described(name: &str, declared: Option<&str>) -> Column {
    let declared = declared.unwrap_or_default();
    let (base, arguments) = declared.split_once('(').unwrap_or((declared, ""));
    let base = base.trim().to_ascii_uppercase();
    let mut numbers = arguments.trim_end_matches(')').split(',').filter_map(|number| number.trim().parse::<u32>().ok());
    let kind = match base.as_str() {
        "BOOLEAN" | "BOOL" => SqlType::Boolean,
        "TINYINT" => SqlType::TinyInt,
        "SMALLINT" | "INT2" => SqlType::SmallInt,
        "MEDIUMINT" | "INT4" => SqlType::Integer,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        "DATETIME" | "TIMESTAMP" => SqlType::DateTime,
        "DECIMAL" => SqlType::Decimal,
        "NUMERIC" => SqlType::Numeric,
        _ if base.contains("INT") => SqlType::BigInt,
        _ if base.contains("CHAR") || base.contains("CLOB") || base.contains("TEXT") => SqlType::Text,
        _ if base.contains("BLOB") || base.contains("BINARY") => SqlType::Binary,
        _ if base.contains("REAL") || base.contains("FLOA") || base.contains("DOUB") => SqlType::Double,
        _ => SqlType::Text,
    };
    let mut column = Column::new(name, kind, base);
    column.precision = numbers.next().unwrap_or(0);
    column.scale = numbers.next().and_then(|scale| i32::try_from(scale).ok()).unwrap_or(0);
    column
}

fn read(row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, DatabaseError> {
    let value = |index| {
        Ok(match row.get_ref(index).map_err(refused)? {
            ValueRef::Null => SqlValue::Null,
            ValueRef::Integer(value) => SqlValue::Int(value),
            ValueRef::Real(value) => SqlValue::Double(value),
            ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => SqlValue::Bytes(bytes.to_vec().into()),
        })
    };
    (0..columns).map(value).collect()
}

fn parameters(row: Row) -> Result<Vec<Value>, DatabaseError> {
    row.into_iter().map(write).collect()
}

fn write(value: SqlValue) -> Result<Value, DatabaseError> {
    Ok(match value {
        SqlValue::Null => Value::Null,
        SqlValue::Bool(value) => Value::Integer(value.into()),
        SqlValue::Int(value) => Value::Integer(value),
        SqlValue::UInt(value) => Value::Integer(
            i64::try_from(value).map_err(|_| DatabaseError::Unusable(format!("{value} has more than 63 bits")))?,
        ),
        SqlValue::Float(value) => Value::Real(value.into()),
        SqlValue::Double(value) => Value::Real(value),
        SqlValue::Decimal(value) => Value::Text(value.to_plain_string()),
        SqlValue::Text(value) => Value::Text(value),
        SqlValue::Bytes(value) => Value::Blob(value.to_vec()),
        SqlValue::Date(date) => Value::Text(date.to_string()),
        SqlValue::Time(time) => Value::Text(time.strftime("%H:%M:%S%.3f").to_string()),
        SqlValue::DateTime(clock) | SqlValue::Moment { clock, .. } => {
            Value::Text(clock.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
        }
        SqlValue::Infinity(_) => return Err(DatabaseError::Unusable("SQLite has no infinite dates".to_owned())),
        SqlValue::Array(_) => return Err(DatabaseError::Unusable("SQLite has no arrays".to_owned())),
    })
}
