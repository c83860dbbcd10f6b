//! Statements as written.

use indexmap::IndexMap;

use super::{Duration, Expression, Literal, Location, Name, Query};
use crate::types::SqlType;

/// `WITH (...)`: names in upper case, values as written.
pub type Properties = IndexMap<String, Literal>;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `CREATE STREAM|TABLE name (elements) WITH (...)`.
    CreateSource(CreateSource),
    /// `CREATE STREAM|TABLE name WITH (...) AS query`.
    CreateAsSelect(CreateAsSelect),
    /// `INSERT INTO target WITH (...) query`.
    InsertInto(InsertInto),
    /// `INSERT INTO target (columns) VALUES (...)`.
    InsertValues(InsertValues),
    /// A query on its own: pull without EMIT, push with.
    Query(Query),
    /// `DROP STREAM|TABLE`.
    DropSource(DropSource),
    /// `ALTER STREAM|TABLE`.
    AlterSource(AlterSource),
    /// `CREATE TYPE`.
    CreateType {
        /// Its name.
        name: Name,
        /// What it stands for.
        definition: SqlType,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP TYPE`.
    DropType {
        /// Its name.
        name: Name,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CREATE SOURCE|SINK CONNECTOR`.
    CreateConnector(CreateConnector),
    /// `DROP CONNECTOR`.
    DropConnector {
        /// Its name.
        name: Name,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `DESCRIBE CONNECTOR`.
    DescribeConnector {
        /// Its name.
        name: Name,
    },
    /// `SHOW|LIST ...`.
    Show(Show),
    /// `DESCRIBE source`.
    Describe {
        /// The source.
        source: Name,
        /// `EXTENDED`.
        extended: bool,
        /// Where the name stands.
        location: Location,
    },
    /// `DESCRIBE FUNCTION`.
    DescribeFunction {
        /// Its name.
        name: Name,
    },
    /// `DESCRIBE STREAMS|TABLES`.
    DescribeSources {
        /// Streams or tables.
        kind: SourceKind,
        /// `EXTENDED`.
        extended: bool,
    },
    /// `EXPLAIN query_id`.
    ExplainQuery {
        /// Id of the query.
        id: Name,
    },
    /// `EXPLAIN statement`.
    ExplainStatement(Box<Statement>),
    /// `PRINT topic`.
    Print(Print),
    /// `TERMINATE`; `None` is `ALL`.
    Terminate(Option<Name>),
    /// `PAUSE`; `None` is `ALL`.
    Pause(Option<Name>),
    /// `RESUME`; `None` is `ALL`.
    Resume(Option<Name>),
    /// `SET 'name' = 'value'`.
    Set {
        /// Name of the property.
        name: String,
        /// Its value.
        value: String,
    },
    /// `UNSET 'name'`.
    Unset {
        /// Name of the property.
        name: String,
    },
    /// `ALTER SYSTEM 'name' = 'value'`.
    AlterSystem {
        /// Name of the property.
        name: String,
        /// Its value.
        value: String,
    },
    /// `DEFINE name = 'value'`.
    Define {
        /// Name of the variable.
        name: Name,
        /// Its value.
        value: String,
    },
    /// `UNDEFINE name`.
    Undefine {
        /// Name of the variable.
        name: Name,
    },
    /// `ASSERT TOPIC`.
    AssertTopic(AssertTopic),
    /// `ASSERT SCHEMA`.
    AssertSchema(AssertSchema),
    /// `ASSERT VALUES target (columns) VALUES (...)`, in tests only.
    AssertValues(InsertValues),
    /// `ASSERT NULL VALUES target (columns) KEY (...)`, in tests only.
    AssertTombstone(InsertValues),
    /// `ASSERT STREAM|TABLE name (elements) WITH (...)`, in tests only.
    AssertSource(CreateSource),
}

/// Stream or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// `STREAM`.
    Stream,
    /// `TABLE`.
    Table,
}

/// `CREATE [OR REPLACE] [SOURCE] STREAM|TABLE [IF NOT EXISTS] name (elements) WITH (...)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// Its name.
    pub name: Name,
    /// Columns as given; empty where they are to be inferred.
    pub elements: Vec<TableElement>,
    /// `WITH`.
    pub properties: Properties,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `SOURCE`: read-only.
    pub is_source: bool,
    /// Where the name stands.
    pub location: Location,
}

/// One column of a `CREATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableElement {
    /// Name of the column.
    pub name: Name,
    /// Its type.
    pub column_type: SqlType,
    /// Key, primary key, header or neither.
    pub constraint: ColumnConstraint,
    /// Where it stands.
    pub location: Location,
}

/// What a column is beside a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnConstraint {
    /// A column of the value.
    None,
    /// `KEY`, of streams.
    Key,
    /// `PRIMARY KEY`, of tables.
    PrimaryKey,
    /// `HEADERS`: all headers.
    Headers,
    /// `HEADER('name')`: the last header of this name.
    Header(String),
}

/// `CREATE [OR REPLACE] STREAM|TABLE [IF NOT EXISTS] name WITH (...) AS query`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateAsSelect {
    /// Stream or table.
    pub kind: SourceKind,
    /// Its name.
    pub name: Name,
    /// `WITH`.
    pub properties: Properties,
    /// What fills it.
    pub query: Query,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Where the name stands.
    pub location: Location,
}

/// `INSERT INTO target WITH (...) query`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertInto {
    /// The stream that is filled too.
    pub target: Name,
    /// `WITH`.
    pub properties: Properties,
    /// What fills it.
    pub query: Query,
    /// Where the name stands.
    pub location: Location,
}

/// `INSERT INTO target (columns) VALUES (values)`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertValues {
    /// Stream or table.
    pub target: Name,
    /// Columns as given; empty means all in order.
    pub columns: Vec<Name>,
    /// One expression for each column.
    pub values: Vec<Expression>,
    /// Where the name stands.
    pub location: Location,
}

/// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// Its name.
    pub name: Name,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// `DELETE TOPIC`.
    pub delete_topic: bool,
    /// Where the name stands.
    pub location: Location,
}

/// `ALTER STREAM|TABLE name ADD [COLUMN] column type, ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// Its name.
    pub name: Name,
    /// The new columns.
    pub additions: Vec<(Name, SqlType)>,
}

/// `CREATE SOURCE|SINK CONNECTOR [IF NOT EXISTS] name WITH (...)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateConnector {
    /// Its name.
    pub name: Name,
    /// Source or sink.
    pub direction: ConnectorDirection,
    /// Its configuration; names keep their case.
    pub config: IndexMap<String, Literal>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
}

/// Which way a connector works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectorDirection {
    /// Into Kafka.
    Source,
    /// Out of Kafka.
    Sink,
}

/// `SHOW|LIST ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// `STREAMS`.
    Streams {
        /// `EXTENDED`.
        extended: bool,
    },
    /// `TABLES`.
    Tables {
        /// `EXTENDED`.
        extended: bool,
    },
    /// `TOPICS`.
    Topics {
        /// `ALL`: internal ones too.
        all: bool,
        /// `EXTENDED`.
        extended: bool,
    },
    /// `QUERIES`.
    Queries {
        /// `EXTENDED`.
        extended: bool,
    },
    /// `PROPERTIES`.
    Properties,
    /// `FUNCTIONS`.
    Functions,
    /// `TYPES`.
    Types,
    /// `VARIABLES`.
    Variables,
    /// `CONNECTORS`; `None` is both directions.
    Connectors(Option<ConnectorDirection>),
    /// `CONNECTOR PLUGINS`.
    ConnectorPlugins,
}

/// `PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The topic, as written.
    pub topic: String,
    /// `FROM BEGINNING`.
    pub from_beginning: bool,
    /// `INTERVAL` or `SAMPLE`: every nth record.
    pub interval: Option<i32>,
    /// `LIMIT`.
    pub limit: Option<i32>,
}

/// `ASSERT [NOT EXISTS] TOPIC name WITH (...) TIMEOUT n unit`.
#[derive(Clone, Debug, PartialEq)]
pub struct AssertTopic {
    /// The topic, as written.
    pub topic: String,
    /// What it must be like.
    pub properties: Properties,
    /// `TIMEOUT`.
    pub timeout: Option<Duration>,
    /// Whether it must exist, or must not.
    pub exists: bool,
}

/// `ASSERT [NOT EXISTS] SCHEMA SUBJECT name ID n TIMEOUT n unit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertSchema {
    /// `SUBJECT`.
    pub subject: Option<String>,
    /// `ID`.
    pub id: Option<i32>,
    /// `TIMEOUT`.
    pub timeout: Option<Duration>,
    /// Whether it must exist, or must not.
    pub exists: bool,
}

impl SourceKind {
    /// `STREAM` or `TABLE`.
    pub fn text(self) -> &'static str {
        match self {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        }
    }

    /// `Stream` or `Table`, at the head of messages.
    pub fn title(self) -> &'static str {
        match self {
            SourceKind::Stream => "Stream",
            SourceKind::Table => "Table",
        }
    }
}
