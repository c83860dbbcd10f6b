//! What tables and their columns are.

/// Name of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TableId {
    /// MySQL's database.
    pub catalog: Option<String>,
    /// PostgreSQL's schema.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
}

impl TableId {
    /// A table of whichever catalog and schema the connection has.
    pub fn named(name: impl Into<String>) -> TableId {
        TableId { name: name.into(), ..TableId::default() }
    }

    /// Catalog, schema and name, those that are there.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [self.catalog.as_deref(), self.schema.as_deref(), Some(self.name.as_str())].into_iter().flatten()
    }
}

/// `catalog.schema.name`, without quotes.
impl std::fmt::Display for TableId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for part in self.parts() {
            write!(f, "{separator}{part}")?;
            separator = ".";
        }
        Ok(())
    }
}

/// Which tables to list.
#[derive(Debug, Clone, Default)]
pub struct TableFilter {
    /// `LIKE` pattern of the catalog; `None`: the connection's.
    pub catalog: Option<String>,
    /// `LIKE` pattern of the schema; `None`: all but the database's own.
    pub schema: Option<String>,
    /// `TABLE`, `VIEW`, `PARTITIONED TABLE`, `MATERIALIZED VIEW`, `FOREIGN TABLE`, in capitals. Empty: `TABLE`.
    pub types: Vec<String>,
}

/// Type of a column, as JDBC tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlType {
    /// Truth values.
    Boolean,
    /// This many bits; MySQL's `tinyint(1)` counts as one.
    Bit(u32),
    /// 8 bits.
    TinyInt,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// Floating point, 32 bits.
    Real,
    /// Floating point, 64 bits.
    Double,
    /// Decimal, called NUMERIC by the database.
    Numeric,
    /// Decimal, called DECIMAL by the database.
    Decimal,
    /// Text of any kind, also JSON, UUID, XML and enumerations.
    Text,
    /// Bytes of any kind.
    Binary,
    /// A day.
    Date,
    /// A time of the day.
    Time,
    /// A day and a time without a zone.
    DateTime,
    /// A moment.
    Moment,
    /// Values of one type.
    Array(Box<SqlType>),
    /// Whatever else: the database's name of it is in [`Column::type_name`].
    Other,
}

/// A column of a table or of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its label.
    pub name: String,
    /// Type.
    pub kind: SqlType,
    /// What the database calls the type, in its own spelling: `int`, `int4`, `uuid`.
    pub type_name: String,
    /// Digits of a decimal; 0 when it is not said.
    pub precision: u32,
    /// Digits after the point of a decimal.
    pub scale: i32,
    /// Whether numbers have a sign.
    pub signed: bool,
    /// Whether null is a value; `true` when it is not known.
    pub nullable: bool,
    /// Whether the database counts it up itself.
    pub auto_increment: bool,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
    /// Whether a row can be inserted without it: it has a default, or is computed.
    pub has_default: bool,
}

impl Column {
    /// A column of which only name and type are known.
    pub fn new(name: impl Into<String>, kind: SqlType, type_name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            kind,
            type_name: type_name.into(),
            precision: 0,
            scale: 0,
            signed: true,
            nullable: true,
            auto_increment: false,
            primary_key: false,
            has_default: false,
        }
    }
}
