//! PostgreSQL, through `tokio-postgres`.
//!
//! Rows stream from the socket in the binary format; the server waits while nobody takes them. Parameters that are not
//! exactly of the type that the statement wants travel as text, so strings go into `uuid`, `jsonb` or an enumeration, as
//! with pgjdbc's `stringtype=unspecified`.

mod parameter;
mod read;

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{SinkExt, Stream};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow, Statement};

use super::actor::{After, Batches, Driver, Reply, answer};
use super::tls::{PostgresTls, TlsMode, TlsSettings};
use super::{Column, DatabaseError, Row, SqlType, TableFilter, TableId};
use crate::connectors::jdbc::dialect::{Dialect, Quoting};
use crate::connectors::jdbc::url::JdbcUrl;
use crate::plugin::Waiting;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Statements that are kept prepared.
const STATEMENTS: usize = 64;
/// Statements that are sent before the first answer is waited for.
const IN_FLIGHT: usize = 1000;

/// A connection.
pub(super) struct Postgres {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Postgres {
    /// Connects to the first host that answers and is what `targetServerType` asks for.
    pub async fn connect(url: &JdbcUrl) -> Result<Postgres, DatabaseError> {
        let tls = tls_settings(url);
        let config = config(url, tls.mode);
        let client = if tls.mode == TlsMode::Disable {
            let (client, connection) = config.connect(NoTls).await.map_err(|error| not_connected(url, error))?;
            tokio::spawn(connection);
            client
        } else {
            let connector = PostgresTls(Arc::new(tls.client_config()?));
            let (client, connection) = config.connect(connector).await.map_err(|error| not_connected(url, error))?;
            tokio::spawn(connection);
            client
        };
        Ok(Postgres { client, statements: HashMap::new() })
    }

    async fn stream(&mut self, sql: &str, params: Row, reply: Reply<Arc<[Column]>>, mut batches: Batches) -> After {
        // Prepared anew each time: the columns of `SELECT *` may have changed since.
        let (columns, rows) = match self.start(sql, params).await {
            Ok(started) => started,
            Err(error) => return answer(reply, Err(error)),
        };
        if reply.send(Ok(Arc::clone(&columns))).is_err() {
            return After::Close;
        }
        let mut rows = pin!(rows);
        let ended = loop {
            let row = match next(rows.as_mut()).await {
                Some(Ok(row)) => row,
                Some(Err(error)) => break Err(refused(error)),
                None => break Ok(()),
            };
            if let After::Close = batches.send(read::row(&row, &columns)).await {
                return After::Close;
            }
        };
        batches.finish(ended).await
    }

    async fn start(
        &self,
        sql: &str,
        params: Row,
    ) -> Result<
        (Arc<[Column]>, impl Stream<Item = Result<tokio_postgres::Row, tokio_postgres::Error>> + use<>),
        DatabaseError,
    > {
        let statement = self.client.prepare(sql).await.map_err(refused)?;
        let columns = self.describe(&statement).await?;
        let rows = self.client.query_raw(&statement, params).await.map_err(refused)?;
        Ok((columns, rows))
    }

    /// The columns of a statement, with what the catalog knows of those that come from tables.
    async fn describe(&self, statement: &Statement) -> Result<Arc<[Column]>, DatabaseError> {
        let mut tables: Vec<u32> = statement.columns().iter().filter_map(tokio_postgres::Column::table_oid).collect();
        tables.sort_unstable();
        tables.dedup();
        let mut known = HashMap::new();
        if !tables.is_empty() {
            let tables: Vec<String> = tables.iter().map(u32::to_string).collect();
            let sql = format!("{ATTRIBUTES} WHERE a.attrelid IN ({}) AND a.attnum > 0", tables.join(","));
            for row in self.simple(&sql).await? {
                let attribute = Attribute::new(&row);
                known.insert((attribute.table, attribute.number), attribute);
            }
        }
        let columns = statement.columns().iter().map(|column| {
            let mut described = described(column.name(), column.type_(), column.type_modifier());
            let key = column.table_oid().zip(column.column_id().map(i32::from));
            if let Some(attribute) = key.and_then(|key| known.get(&key)) {
                attribute.apply(&mut described);
            }
            described
        });
        Ok(columns.collect())
    }

    async fn simple(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, DatabaseError> {
        let messages = self.client.simple_query(sql).await.map_err(refused)?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    async fn prepared(&mut self, sql: &str) -> Result<Statement, DatabaseError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let statement = self.client.prepare(sql).await.map_err(refused)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn execute_rows(&mut self, sql: &str, rows: Vec<Row>) -> Result<u64, DatabaseError> {
        let statement = self.prepared(sql).await?;
        let mut rows = rows.into_iter();
        let mut changed = 0;
        loop {
            let sent = rows.by_ref().take(IN_FLIGHT).map(|row| self.client.execute_raw(&statement, row));
            let counts = try_join_all(sent).await;
            match counts {
                Ok(counts) if counts.is_empty() => return Ok(changed),
                Ok(counts) => changed += counts.iter().sum::<u64>(),
                Err(error) => {
                    // It may be the statement that no longer fits the tables.
                    self.statements.remove(sql);
                    return Err(refused(error));
                }
            }
        }
    }
}

/// What the catalog says of columns.
const ATTRIBUTES: &str = "SELECT a.attrelid, a.attnum, a.attnotnull, \
    a.attidentity <> '' OR COALESCE(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false), \
    d.adbin IS NOT NULL OR a.attidentity <> '', \
    EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)), \
    a.attname, a.atttypid, a.atttypmod, t.typname, t.typtype, t.typbasetype, t.typtypmod \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum";

struct Attribute {
    table: u32,
    number: i32,
    not_null: bool,
    auto_increment: bool,
    has_default: bool,
    primary_key: bool,
}

impl Attribute {
    fn new(row: &SimpleQueryRow) -> Attribute {
        let flag = |index: usize| row.get(index) == Some("t");
        Attribute {
            table: parsed(row, 0),
            number: parsed(row, 1),
            not_null: flag(2),
            auto_increment: flag(3),
            has_default: flag(4),
            primary_key: flag(5),
        }
    }

    fn apply(&self, column: &mut Column) {
        column.nullable = !self.not_null;
        column.auto_increment = self.auto_increment;
        column.has_default = self.has_default;
        column.primary_key = self.primary_key;
    }
}

fn parsed<T: std::str::FromStr + Default>(row: &SimpleQueryRow, index: usize) -> T {
    row.get(index).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A column of the catalog.
fn from_catalog(row: &SimpleQueryRow) -> Column {
    let (name, type_name) = (row.get(6).unwrap_or_default(), row.get(9).unwrap_or_default());
    let mut column = match (Type::from_oid(parsed(row, 7)), row.get(10)) {
        (Some(kind), _) => described(name, &kind, parsed(row, 8)),
        (None, Some("d")) => match Type::from_oid(parsed(row, 11)) {
            Some(base) => described(name, &base, parsed(row, 12)),
            None => Column::new(name, SqlType::Other, type_name),
        },
        (None, Some("e")) => Column::new(name, SqlType::Text, type_name),
        _ => Column::new(name, if is_text_extension(type_name) { SqlType::Text } else { SqlType::Other }, type_name),
    };
    column.type_name = type_name.to_owned();
    Attribute::new(row).apply(&mut column);
    column
}

fn is_text_extension(name: &str) -> bool {
    name == "citext"
}

fn described(name: &str, kind: &Type, modifier: i32) -> Column {
    let mut column = Column::new(name, sql_type(kind, modifier), kind.name());
    if column.kind == SqlType::Numeric && modifier >= 4 {
        let modifier = modifier - 4;
        column.precision = u32::try_from(modifier >> 16).unwrap_or(0);
        // The scale has 11 bits and a sign since PostgreSQL 15.
        column.scale = ((modifier & 0x7ff) ^ 1024) - 1024;
    }
    column
}

fn sql_type(kind: &Type, modifier: i32) -> SqlType {
    match *kind {
        Type::BOOL => SqlType::Boolean,
        Type::INT2 => SqlType::SmallInt,
        Type::INT4 => SqlType::Integer,
        Type::INT8 | Type::OID => SqlType::BigInt,
        Type::FLOAT4 => SqlType::Real,
        Type::FLOAT8 => SqlType::Double,
        Type::NUMERIC => SqlType::Numeric,
        Type::BIT => SqlType::Bit(u32::try_from(modifier).unwrap_or(1)),
        Type::BYTEA => SqlType::Binary,
        Type::DATE => SqlType::Date,
        Type::TIME | Type::TIMETZ => SqlType::Time,
        Type::TIMESTAMP => SqlType::DateTime,
        Type::TIMESTAMPTZ => SqlType::Moment,
        Type::CHAR
        | Type::BPCHAR
        | Type::VARCHAR
        | Type::TEXT
        | Type::NAME
        | Type::UUID
        | Type::JSON
        | Type::JSONB
        | Type::XML
        | Type::UNKNOWN => SqlType::Text,
        _ => match kind.kind() {
            Kind::Enum(_) => SqlType::Text,
            Kind::Domain(base) => sql_type(base, modifier),
            Kind::Array(element) => SqlType::Array(Box::new(sql_type(element, -1))),
            _ if is_text_extension(kind.name()) => SqlType::Text,
            _ => SqlType::Other,
        },
    }
}

async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

fn tls_settings(url: &JdbcUrl) -> TlsSettings {
    let mode = match url.property("sslmode").map(str::to_ascii_lowercase).as_deref() {
        Some("disable") => TlsMode::Disable,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyCa,
        Some("verify-full") => TlsMode::VerifyFull,
        Some(_) => TlsMode::Prefer,
        // As pgjdbc: who says ssl=true means a server that can be trusted.
        None if url.property("ssl").is_some() && url.flag("ssl", true) => TlsMode::VerifyFull,
        None => TlsMode::Prefer,
    };
    let file = |name: &str| url.property(name).filter(|path| !path.is_empty()).map(str::to_owned);
    TlsSettings { mode, root: file("sslrootcert"), certificate: file("sslcert"), key: file("sslkey") }
}

fn config(url: &JdbcUrl, mode: TlsMode) -> Config {
    let mut config = Config::new();
    for (host, port) in &url.hosts {
        config.host(host).port(*port);
    }
    if let Some(user) = &url.user {
        config.user(user);
    }
    if let Some(password) = url.password() {
        config.password(password);
    }
    if let Some(database) = url.database.as_deref().or(url.user.as_deref()) {
        config.dbname(database);
    }
    let mut options = url.property("options").unwrap_or_default().to_owned();
    if let Some(schema) = url.property("currentSchema") {
        let escaped = schema.replace('\\', "\\\\").replace(' ', "\\ ");
        options.push_str(&format!(" -c search_path={escaped}"));
    }
    if !options.is_empty() {
        config.options(options.trim());
    }
    let seconds = Duration::from_secs(1);
    config
        .application_name(url.property("ApplicationName").unwrap_or("Milena Connect"))
        .connect_timeout(url.duration("connectTimeout", seconds).unwrap_or(CONNECT_TIMEOUT))
        .keepalives_idle(Duration::from_secs(30))
        .ssl_mode(match mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        })
        .target_session_attrs(match url.property("targetServerType") {
            Some("primary" | "master") => TargetSessionAttrs::ReadWrite,
            Some("secondary" | "slave") => TargetSessionAttrs::ReadOnly,
            _ => TargetSessionAttrs::Any,
        });
    config
}

fn not_connected(url: &JdbcUrl, error: tokio_postgres::Error) -> DatabaseError {
    match refused(error) {
        DatabaseError::Connection(text) => DatabaseError::Connection(format!("{url}: {text}")),
        DatabaseError::Unusable(text) => DatabaseError::Unusable(format!("{url}: {text}")),
        error => error,
    }
}

fn refused(error: tokio_postgres::Error) -> DatabaseError {
    if let Some(answer) = error.as_db_error() {
        let detail = answer.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let message = format!("{}{detail}", answer.message());
        return DatabaseError::Refused { message, state: answer.code().code().to_owned(), code: 0 };
    }
    let source = std::error::Error::source(&error);
    let text = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    let is_io = source.is_some_and(|source| source.is::<std::io::Error>());
    // Timeouts have neither a source nor a kind that could be asked for.
    if error.is_closed() || is_io || text.contains("connect") || text.contains("timed out") {
        DatabaseError::Connection(text)
    } else {
        DatabaseError::Unusable(text)
    }
}

impl Driver for Postgres {
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
        Box::pin(self.execute_rows(sql, rows))
    }

    fn run<'a>(&'a mut self, sql: &'a str) -> Waiting<'a, Result<(), DatabaseError>> {
        Box::pin(async move { self.client.batch_execute(sql).await.map_err(refused) })
    }

    fn copy_in<'a>(&'a mut self, sql: &'a str, data: Bytes) -> Waiting<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            let mut sink = pin!(self.client.copy_in::<_, Bytes>(sql).await.map_err(refused)?);
            sink.send(data).await.map_err(refused)?;
            sink.as_mut().finish().await.map_err(refused)
        })
    }

    fn tables(&mut self, filter: TableFilter) -> Waiting<'_, Result<Vec<TableId>, DatabaseError>> {
        Box::pin(async move {
            let kinds = filter.types.iter().filter_map(|kind| match kind.as_str() {
                "TABLE" => Some("'r'"),
                "PARTITIONED TABLE" => Some("'p'"),
                "VIEW" => Some("'v'"),
                "MATERIALIZED VIEW" => Some("'m'"),
                "FOREIGN TABLE" => Some("'f'"),
                _ => None,
            });
            let kinds: Vec<&str> = if filter.types.is_empty() { vec!["'r'"] } else { kinds.collect() };
            if kinds.is_empty() {
                return Ok(Vec::new());
            }
            let mut sql = format!(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind IN ({})",
                kinds.join(",")
            );
            match &filter.schema {
                Some(pattern) => sql.push_str(&format!(" AND n.nspname LIKE {}", literal(pattern))),
                None => sql.push_str(" AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"),
            }
            if let Some(pattern) = &filter.catalog {
                sql.push_str(&format!(" AND current_database() LIKE {}", literal(pattern)));
            }
            sql.push_str(" ORDER BY 1, 2");
            let rows = self.simple(&sql).await?;
            let table = |row: &SimpleQueryRow| TableId {
                catalog: None,
                schema: row.get(0).map(str::to_owned),
                name: row.get(1).unwrap_or_default().to_owned(),
            };
            Ok(rows.iter().map(table).collect())
        })
    }

    fn columns(&mut self, table: TableId) -> Waiting<'_, Result<Vec<Column>, DatabaseError>> {
        Box::pin(async move {
            let table = TableId { catalog: None, ..table };
            let name = literal(&Dialect::Postgres.quote_table(&table, Quoting::Always));
            let sql = format!(
                "{ATTRIBUTES} WHERE a.attrelid = to_regclass({name}) AND a.attnum > 0 AND NOT a.attisdropped \
                 ORDER BY a.attnum"
            );
            Ok(self.simple(&sql).await?.iter().map(from_catalog).collect())
        })
    }

    fn close(self: Box<Self>) -> Waiting<'static, ()> {
        // Dropping the client says farewell.
        Box::pin(async {})
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
