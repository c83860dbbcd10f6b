//! MySQL and MariaDB, through `mysql_async`.
//!
//! Rows come in the binary protocol, one after the other from the socket. Dates and times are what the server's session
//! shows: nothing is converted here. `tinyint(1)` is [`SqlType::Bit`] as in Connector/J (`tinyInt1isBit`). A date of
//! zeros is null (`zeroDateTimeBehavior=CONVERT_TO_NULL`, the default here), the first day of year 1 (`ROUND`) or an
//! error (`EXCEPTION`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::civil::{Date, DateTime, Time};
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, SslOpts, Value};

use super::actor::{After, Batches, Driver, Reply, answer};
use super::tls::{TlsMode, TlsSettings};
use super::{Column, DatabaseError, Row, SqlType, SqlValue, TableFilter, TableId, parse_decimal};
use crate::connectors::jdbc::url::JdbcUrl;
use crate::plugin::Waiting;

/// Character set of what is no text.
const BINARY: u16 = 63;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection.
pub(super) struct MySql {
    conn: Conn,
    reading: Reading,
    current_catalog_only: bool,
}

/// How values are read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    tiny_int_is_bit: bool,
    zero_date: ZeroDate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ZeroDate {
    Null,
    Round,
    Refuse,
}

impl MySql {
    /// Connects to the first host that answers.
    pub async fn connect(url: &JdbcUrl) -> Result<MySql, DatabaseError> {
        let mut failure = super::lost();
        for (host, port) in &url.hosts {
            match connect_host(url, host, *port).await {
                Ok(conn) => return Ok(MySql::new(conn, url)),
                Err(error @ DatabaseError::Connection(_)) => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn new(conn: Conn, url: &JdbcUrl) -> MySql {
        let zero_date = match url.property("zeroDateTimeBehavior").map(str::to_ascii_uppercase).as_deref() {
            Some("ROUND") => ZeroDate::Round,
            Some("EXCEPTION") => ZeroDate::Refuse,
            _ => ZeroDate::Null,
        };
        MySql {
            conn,
            reading: Reading { tiny_int_is_bit: url.flag("tinyInt1isBit", true), zero_date },
            current_catalog_only: url.database.is_some(),
        }
    }

    async fn rows(&mut self, sql: &str, params: Row) -> Result<Vec<Vec<Value>>, DatabaseError> {
        let params = parameters(params)?;
        let rows: Vec<mysql_async::Row> = self.conn.exec(sql, params).await.map_err(refused)?;
        Ok(rows.into_iter().map(mysql_async::Row::unwrap).collect())
    }

    async fn stream(&mut self, sql: &str, params: Row, reply: Reply<Arc<[Column]>>, mut batches: Batches) -> After {
        let reading = self.reading;
        let started = match parameters(params) {
            Ok(params) => self.conn.exec_iter(sql, params).await.map_err(refused),
            Err(error) => Err(error),
        };
        let mut result = match started {
            Ok(result) => result,
            Err(error) => return answer(reply, Err(error)),
        };
        let columns: Arc<[Column]> = result.columns_ref().iter().map(|column| describe(column, reading)).collect();
        if reply.send(Ok(Arc::clone(&columns))).is_err() {
            return After::Close;
        }
        let ended = loop {
            let row = match result.next().await {
                Ok(Some(row)) => row,
                Ok(None) => break Ok(()),
                Err(error) => break Err(refused(error)),
            };
            if let After::Close = batches.send(read_row(row, &columns, reading)).await {
                return After::Close;
            }
        };
        batches.finish(ended).await
    }
}

async fn connect_host(url: &JdbcUrl, host: &str, port: u16) -> Result<Conn, DatabaseError> {
    let tls = tls_settings(url);
    let timeout = url.duration("connectTimeout", Duration::from_millis(1)).unwrap_or(CONNECT_TIMEOUT);
    let attempt = async |encrypted: bool| {
        let opts = options(url, host, port, encrypted.then_some(&tls))?;
        match tokio::time::timeout(timeout, Conn::new(opts)).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(ConnectError::Driver(error)),
            Err(_) => Err(ConnectError::Timeout),
        }
    };
    let result =
        match attempt(tls.mode != TlsMode::Disable).await {
            Err(ConnectError::Driver(mysql_async::Error::Driver(
                mysql_async::DriverError::NoClientSslFlagFromServer,
            ))) if tls.mode == TlsMode::Prefer => attempt(false).await,
            result => result,
        };
    result.map_err(|error| match error {
        ConnectError::Timeout => DatabaseError::Connection(format!("{host}:{port} does not answer within {timeout:?}")),
        ConnectError::Unusable(error) => error,
        ConnectError::Driver(error) => match refused(error) {
            DatabaseError::Connection(text) => DatabaseError::Connection(format!("{host}:{port}: {text}")),
            error => error,
        },
    })
}

enum ConnectError {
    Timeout,
    Unusable(DatabaseError),
    Driver(mysql_async::Error),
}

impl From<DatabaseError> for ConnectError {
    fn from(error: DatabaseError) -> ConnectError {
        ConnectError::Unusable(error)
    }
}

fn options(url: &JdbcUrl, host: &str, port: u16, tls: Option<&TlsSettings>) -> Result<Opts, DatabaseError> {
    let mut setup = Vec::new();
    if let Some(variables) = url.property("sessionVariables").filter(|text| !text.is_empty()) {
        setup.push(format!("SET SESSION {variables}"));
    }
    if url.flag("forceConnectionTimeZoneToSession", false)
        && let Some(zone) = url.first_property(&["connectionTimeZone", "serverTimezone"])
    {
        let zone = match zone {
            "LOCAL" | "SERVER" => "SYSTEM",
            "UTC" | "Z" => "+00:00",
            zone => zone,
        };
        setup.push(format!("SET SESSION time_zone = '{}'", zone.replace(['\'', '\\'], "")));
    }
    let builder = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .user(url.user.clone())
        .pass(url.password())
        .db_name(url.database.clone())
        // A user may be allowed from this host over TCP and not over the socket: JDBC knows TCP only.
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        // An UPDATE that finds its row but changes nothing has still found it.
        .client_found_rows(true)
        .setup(setup);
    let builder = match tls {
        Some(tls) => builder.ssl_opts(ssl_options(tls)?),
        None => builder,
    };
    Ok(builder.into())
}

fn ssl_options(tls: &TlsSettings) -> Result<SslOpts, DatabaseError> {
    // The driver builds its configuration from the process's provider of cryptography.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut options = SslOpts::default()
        .with_danger_accept_invalid_certs(tls.mode < TlsMode::VerifyCa)
        .with_danger_skip_domain_validation(tls.mode < TlsMode::VerifyFull);
    if let Some(root) = &tls.root {
        let pem = std::fs::read(root)
            .map_err(|error| DatabaseError::Unusable(format!("serverSslCert {root} cannot be read: {error}")))?;
        options = options.with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true);
    } else if tls.mode >= TlsMode::VerifyCa {
        let native = rustls_native_certs::load_native_certs().certs;
        options = options.with_root_certs(native.into_iter().map(|der| der.to_vec().into()).collect());
    }
    Ok(options)
}

/// Connector/J's `sslMode` and its older settings, and those of MariaDB's driver.
fn tls_settings(url: &JdbcUrl) -> TlsSettings {
    let by_name = url.property("sslMode").and_then(|mode| match mode.to_ascii_lowercase().replace('_', "-").as_str() {
        "disabled" | "disable" => Some(TlsMode::Disable),
        "preferred" => Some(TlsMode::Prefer),
        "required" | "trust" => Some(TlsMode::Require),
        "verify-ca" => Some(TlsMode::VerifyCa),
        "verify-identity" | "verify-full" => Some(TlsMode::VerifyFull),
        _ => None,
    });
    let mode = by_name.unwrap_or_else(|| {
        if !url.flag("useSSL", true) {
            TlsMode::Disable
        } else if url.flag("verifyServerCertificate", false) {
            TlsMode::VerifyCa
        } else if url.flag("requireSSL", false) || url.flag("trustServerCertificate", false) {
            TlsMode::Require
        } else {
            TlsMode::Prefer
        }
    });
    TlsSettings { mode, root: url.property("serverSslCert").map(str::to_owned), certificate: None, key: None }
}

fn refused(error: mysql_async::Error) -> DatabaseError {
    match error {
        mysql_async::Error::Server(error) => {
            DatabaseError::Refused { message: error.message, state: error.state, code: i32::from(error.code) }
        }
        mysql_async::Error::Io(error) => DatabaseError::Connection(error.to_string()),
        mysql_async::Error::Driver(mysql_async::DriverError::UnexpectedPacket { .. }) => {
            DatabaseError::Connection("The server sent what no statement asked for".to_owned())
        }
        mysql_async::Error::Driver(
            error @ (mysql_async::DriverError::StmtParamsMismatch { .. }
            | mysql_async::DriverError::StmtParamsNumberExceedsLimit { .. }
            | mysql_async::DriverError::PacketTooLarge
            | mysql_async::DriverError::UnknownAuthPlugin { .. }
            | mysql_async::DriverError::CleartextPluginDisabled
            | mysql_async::DriverError::NoClientSslFlagFromServer),
        ) => DatabaseError::Unusable(error.to_string()),
        error => DatabaseError::Connection(error.to_string()),
    }
}

impl Driver for MySql {
    fn query<'a>(
        &'a mut self,
        sql: &'a str,
        params: Row,
        columns: Reply<Arc<[Column]>>,
        rows: Batches,
    ) -> Waiting<'a, After> {
        Box::pin(self.stream(sql, params, columns, rows))
    }

    fn execute<'a>(&'a mut self, sql: &'a str, rows: Vec<Row>) -> Waiting<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            let statement = self.conn.prep(sql).await.map_err(refused)?;
            let mut changed = 0;
            for row in rows {
                self.conn.exec_drop(&statement, parameters(row)?).await.map_err(refused)?;
                changed += self.conn.affected_rows();
            }
            Ok(changed)
        })
    }

    fn run<'a>(&'a mut self, sql: &'a str) -> Waiting<'a, Result<(), DatabaseError>> {
        Box::pin(async move { self.conn.query_drop(sql).await.map_err(refused) })
    }

    fn copy_in<'a>(&'a mut self, _sql: &'a str, _data: Bytes) -> Waiting<'a, Result<u64, DatabaseError>> {
        Box::pin(async { Err(DatabaseError::Unusable("MySQL has no COPY".to_owned())) })
    }

    fn tables(&mut self, filter: TableFilter) -> Waiting<'_, Result<Vec<TableId>, DatabaseError>> {
        Box::pin(async move {
            let mut sql =
                "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE ".to_owned();
            let mut params = Vec::new();
            match filter.catalog {
                Some(pattern) => {
                    sql.push_str("table_schema LIKE ?");
                    params.push(SqlValue::Text(pattern));
                }
                None if self.current_catalog_only => sql.push_str("table_schema = DATABASE()"),
                None => {
                    sql.push_str("table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')")
                }
            }
            sql.push_str(" ORDER BY table_schema, table_name");
            let wanted = |kind: &str| {
                let kind = if kind == "BASE TABLE" { "TABLE" } else { kind };
                if filter.types.is_empty() { kind == "TABLE" } else { filter.types.iter().any(|wanted| wanted == kind) }
            };
            let rows = self.rows(&sql, params).await?;
            let tables = rows.into_iter().filter_map(|row| {
                let mut texts = row.into_iter().map(text);
                let (catalog, name, kind) = (texts.next()?, texts.next()?, texts.next()?);
                wanted(&kind).then_some(TableId { catalog: Some(catalog), schema: None, name })
            });
            Ok(tables.collect())
        })
    }

    fn columns(&mut self, table: TableId) -> Waiting<'_, Result<Vec<Column>, DatabaseError>> {
        Box::pin(async move {
            let mut params = vec![SqlValue::Text(table.name)];
            let catalog = match table.catalog.or(table.schema) {
                Some(catalog) => {
                    params.push(SqlValue::Text(catalog));
                    "?"
                }
                None => "DATABASE()",
            };
            let sql = format!(
                "SELECT column_name, data_type, column_type, numeric_precision, numeric_scale, is_nullable, extra, \
                 column_key, column_default IS NOT NULL FROM information_schema.columns \
                 WHERE table_name = ? AND table_schema = {catalog} ORDER BY ordinal_position"
            );
            let rows = self.rows(&sql, params).await?;
            let reading = self.reading;
            Ok(rows.into_iter().filter_map(|row| from_catalog(row, reading)).collect())
        })
    }

    fn close(self: Box<Self>) -> Waiting<'static, ()> {
        Box::pin(async move {
            // The server notices by itself when the farewell does not arrive.
            let _ = self.conn.disconnect().await;
        })
    }
}

fn text(value: Value) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::UInt(value) => i64::try_from(*value).ok(),
        _ => None,
    }
}

/// A column from a row of `information_schema.columns`.
fn from_catalog(row: Vec<Value>, reading: Reading) -> Option<Column> {
    let precision = number(row.get(3)?).unwrap_or(0);
    let scale = number(row.get(4)?).unwrap_or(0);
    let has_default = number(row.get(8)?) == Some(1);
    let mut texts = row.into_iter().map(text);
    let (name, data_type, column_type) = (texts.next()?, texts.next()?, texts.next()?.to_ascii_lowercase());
    let mut rest = texts.skip(2);
    let (is_nullable, extra, key) = (rest.next()?, rest.next()?.to_ascii_lowercase(), rest.next()?);
    let kind = match data_type.to_ascii_lowercase().as_str() {
        "tinyint" if reading.tiny_int_is_bit && column_type.starts_with("tinyint(1)") => SqlType::Bit(1),
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "mediumint" | "int" => SqlType::Integer,
        "bigint" => SqlType::BigInt,
        "float" => SqlType::Real,
        "double" => SqlType::Double,
        "decimal" => SqlType::Decimal,
        "bit" => SqlType::Bit(u32::try_from(precision).unwrap_or(1)),
        "date" | "year" => SqlType::Date,
        "time" => SqlType::Time,
        "datetime" | "timestamp" => SqlType::DateTime,
        name if name.ends_with("blob") || name.ends_with("binary") => SqlType::Binary,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" => SqlType::Binary,
        _ => SqlType::Text,
    };
    let auto_increment = extra.contains("auto_increment");
    Some(Column {
        name,
        kind,
        type_name: data_type,
        precision: u32::try_from(precision).unwrap_or(0),
        scale: i32::try_from(scale).unwrap_or(0),
        signed: !column_type.contains("unsigned"),
        nullable: is_nullable == "YES",
        auto_increment,
        primary_key: key == "PRI",
        has_default: has_default || auto_increment || extra.contains("generated"),
    })
}

/// A column of a result.
fn describe(column: &mysql_async::Column, reading: Reading) -> Column {
    let flags = column.flags();
    let is_text = column.character_set() != BINARY;
    let length = column.column_length();
    let (kind, type_name) = match column.column_type() {
        ColumnType::MYSQL_TYPE_TINY if length == 1 && reading.tiny_int_is_bit => (SqlType::Bit(1), "tinyint"),
        ColumnType::MYSQL_TYPE_TINY => (SqlType::TinyInt, "tinyint"),
        ColumnType::MYSQL_TYPE_SHORT => (SqlType::SmallInt, "smallint"),
        ColumnType::MYSQL_TYPE_LONG => (SqlType::Integer, "int"),
        ColumnType::MYSQL_TYPE_INT24 => (SqlType::Integer, "mediumint"),
        ColumnType::MYSQL_TYPE_LONGLONG => (SqlType::BigInt, "bigint"),
        ColumnType::MYSQL_TYPE_FLOAT => (SqlType::Real, "float"),
        ColumnType::MYSQL_TYPE_DOUBLE => (SqlType::Double, "double"),
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => (SqlType::Decimal, "decimal"),
        ColumnType::MYSQL_TYPE_BIT => (SqlType::Bit(length), "bit"),
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => (SqlType::Date, "date"),
        ColumnType::MYSQL_TYPE_YEAR => (SqlType::Date, "year"),
        ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => (SqlType::Time, "time"),
        ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => (SqlType::DateTime, "datetime"),
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => (SqlType::DateTime, "timestamp"),
        ColumnType::MYSQL_TYPE_JSON => (SqlType::Text, "json"),
        ColumnType::MYSQL_TYPE_ENUM => (SqlType::Text, "enum"),
        ColumnType::MYSQL_TYPE_SET => (SqlType::Text, "set"),
        ColumnType::MYSQL_TYPE_GEOMETRY => (SqlType::Binary, "geometry"),
        ColumnType::MYSQL_TYPE_STRING if is_text => (SqlType::Text, "char"),
        ColumnType::MYSQL_TYPE_STRING => (SqlType::Binary, "binary"),
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING if is_text => (SqlType::Text, "varchar"),
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING => (SqlType::Binary, "varbinary"),
        ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB
        | ColumnType::MYSQL_TYPE_BLOB
            if is_text =>
        {
            (SqlType::Text, "text")
        }
        ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB
        | ColumnType::MYSQL_TYPE_BLOB => (SqlType::Binary, "blob"),
        ColumnType::MYSQL_TYPE_NULL => (SqlType::Text, "null"),
        _ => (SqlType::Other, "unknown"),
    };
    let signed = !flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let scale = u32::from(column.decimals());
    let precision = match kind {
        // The length counts the point and the sign.
        SqlType::Decimal => length.saturating_sub(u32::from(scale > 0) + u32::from(signed)),
        _ => 0,
    };
    Column {
        name: column.name_str().into_owned(),
        kind,
        type_name: type_name.to_owned(),
        precision,
        scale: i32::try_from(scale).unwrap_or(0),
        signed,
        nullable: !flags.contains(ColumnFlags::NOT_NULL_FLAG),
        auto_increment: flags.contains(ColumnFlags::AUTO_INCREMENT_FLAG),
        primary_key: flags.contains(ColumnFlags::PRI_KEY_FLAG),
        has_default: !flags.contains(ColumnFlags::NO_DEFAULT_VALUE_FLAG),
    }
}

fn read_row(row: mysql_async::Row, columns: &[Column], reading: Reading) -> Result<Row, DatabaseError> {
    // Collected, a result would not know its length before the last value.
    let mut values = Vec::with_capacity(columns.len());
    for (value, column) in row.unwrap_raw().into_iter().zip(columns) {
        values.push(read(value.unwrap_or(Value::NULL), column, reading)?);
    }
    Ok(values)
}

fn read(value: Value, column: &Column, reading: Reading) -> Result<SqlValue, DatabaseError> {
    Ok(match value {
        Value::NULL => SqlValue::Null,
        Value::Int(year) if column.kind == SqlType::Date => return read_year(year, column, reading),
        Value::UInt(year) if column.kind == SqlType::Date => {
            return read_year(i64::try_from(year).unwrap_or(0), column, reading);
        }
        Value::Int(value) => SqlValue::Int(value),
        Value::UInt(value) => SqlValue::UInt(value),
        Value::Float(value) => SqlValue::Float(value),
        Value::Double(value) => SqlValue::Double(value),
        Value::Bytes(bytes) => match column.kind {
            SqlType::Decimal => std::str::from_utf8(&bytes)
                .ok()
                .and_then(parse_decimal)
                .map(SqlValue::Decimal)
                .ok_or_else(|| unreadable(column, "is no decimal number"))?,
            SqlType::Bit(length) if length <= 8 => {
                SqlValue::Int(bytes.iter().fold(0, |bits, byte| (bits << 8) | i64::from(*byte)))
            }
            SqlType::Binary | SqlType::Bit(_) | SqlType::Other => SqlValue::Bytes(bytes.into()),
            _ => SqlValue::Text(String::from_utf8(bytes).map_err(|_| unreadable(column, "is no UTF-8"))?),
        },
        Value::Date(0, 0, 0, ..) => return zero_date(column, reading),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let date = Date::new(small(year)?, small(month)?, small(day)?)
                .map_err(|_| unreadable(column, "is a date that no calendar has"))?;
            if column.kind == SqlType::Date {
                return Ok(SqlValue::Date(date));
            }
            let time = Time::new(small(hour)?, small(minute)?, small(second)?, nanos(micros))
                .map_err(|_| unreadable(column, "is a time that no clock has"))?;
            SqlValue::DateTime(DateTime::from_parts(date, time))
        }
        Value::Time(false, 0, hour, minute, second, micros) => {
            Time::new(small(hour)?, small(minute)?, small(second)?, nanos(micros))
                .map(SqlValue::Time)
                .map_err(|_| unreadable(column, "is a time that no clock has"))?
        }
        Value::Time(..) => return Err(unreadable(column, "is a TIME outside of one day")),
    })
}

fn read_year(year: i64, column: &Column, reading: Reading) -> Result<SqlValue, DatabaseError> {
    if year == 0 {
        return zero_date(column, reading);
    }
    Date::new(small(year)?, 1, 1).map(SqlValue::Date).map_err(|_| unreadable(column, "is a year that no calendar has"))
}

fn zero_date(column: &Column, reading: Reading) -> Result<SqlValue, DatabaseError> {
    match reading.zero_date {
        ZeroDate::Null if column.nullable => Ok(SqlValue::Null),
        ZeroDate::Round if column.kind == SqlType::Date => Ok(SqlValue::Date(Date::constant(1, 1, 1))),
        ZeroDate::Round => Ok(SqlValue::DateTime(DateTime::constant(1, 1, 1, 0, 0, 0, 0))),
        _ => Err(unreadable(column, "is a date of zeros; zeroDateTimeBehavior=ROUND in the URL makes it 0001-01-01")),
    }
}

fn unreadable(column: &Column, why: &str) -> DatabaseError {
    DatabaseError::Unusable(format!("A value of column {} ({}) {why}", column.name, column.type_name))
}

fn small<T, U: TryFrom<T>>(value: T) -> Result<U, DatabaseError> {
    U::try_from(value).map_err(|_| DatabaseError::Unusable("A date or time is out of range".to_owned()))
}

fn nanos(micros: u32) -> i32 {
    i32::try_from(micros.saturating_mul(1000)).unwrap_or(0)
}

fn parameters(row: Row) -> Result<Params, DatabaseError> {
    if row.is_empty() {
        return Ok(Params::Empty);
    }
    let values: Result<Vec<Value>, DatabaseError> = row.into_iter().map(write).collect();
    Ok(Params::Positional(values?))
}

fn write(value: SqlValue) -> Result<Value, DatabaseError> {
    Ok(match value {
        SqlValue::Null => Value::NULL,
        SqlValue::Bool(value) => Value::Int(i64::from(value)),
        SqlValue::Int(value) => Value::Int(value),
        SqlValue::UInt(value) => Value::UInt(value),
        SqlValue::Float(value) => Value::Float(value),
        SqlValue::Double(value) => Value::Double(value),
        SqlValue::Decimal(value) => Value::Bytes(value.to_plain_string().into_bytes()),
        SqlValue::Text(value) => Value::Bytes(value.into_bytes()),
        SqlValue::Bytes(value) => Value::Bytes(value.to_vec()),
        SqlValue::Date(date) => write_date(DateTime::from_parts(date, Time::midnight()))?,
        SqlValue::DateTime(clock) | SqlValue::Moment { clock, .. } => write_date(clock)?,
        SqlValue::Time(time) => {
            let micros = time.subsec_nanosecond() / 1000;
            Value::Time(false, 0, small(time.hour())?, small(time.minute())?, small(time.second())?, small(micros)?)
        }
        SqlValue::Infinity(_) => return Err(DatabaseError::Unusable("MySQL has no infinite dates".to_owned())),
        SqlValue::Array(_) => return Err(DatabaseError::Unusable("MySQL has no arrays".to_owned())),
    })
}

fn write_date(clock: DateTime) -> Result<Value, DatabaseError> {
    let micros = clock.subsec_nanosecond() / 1000;
    Ok(Value::Date(
        small(clock.year())?,
        small(clock.month())?,
        small(clock.day())?,
        small(clock.hour())?,
        small(clock.minute())?,
        small(clock.second())?,
        small(micros)?,
    ))
}
