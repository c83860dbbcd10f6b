//! Settings of the source.

use std::time::Duration;

use jiff::tz::TimeZone;
use regex::Regex;

use super::columns::ColumnRules;
use super::mapping::{NumericMapping, TimestampGranularity};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule, Width};
use crate::connectors::jdbc::dialect::{Dialect, Quoting};
use crate::connectors::jdbc::zone::time_zone;
use crate::plugin::{Settings, TaskError};

const DATABASE: &str = "Database";
const MODE: &str = "Mode";
const CONNECTOR: &str = "Connector";

/// How rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    /// By a number that grows.
    pub incrementing: bool,
    /// By the time of the last change.
    pub timestamp: bool,
}

impl Mode {
    /// All rows each time.
    pub fn is_bulk(self) -> bool {
        !self.incrementing && !self.timestamp
    }

    fn from_setting(text: &str) -> Option<Mode> {
        Some(match text {
            "bulk" => Mode { incrementing: false, timestamp: false },
            "incrementing" => Mode { incrementing: true, timestamp: false },
            "timestamp" => Mode { incrementing: false, timestamp: true },
            "timestamp+incrementing" => Mode { incrementing: true, timestamp: true },
            _ => return None,
        })
    }
}

/// What the key of records is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyMode {
    /// Records have none.
    None,
    /// The columns of the primary key.
    PrimaryKey,
    /// These columns.
    Columns(Vec<String>),
}

/// Which tables are read.
#[derive(Debug, Clone)]
pub(super) struct TableChoice {
    /// Names, with or without catalog and schema; empty: all.
    pub whitelist: Vec<String>,
    /// Names that are left out.
    pub blacklist: Vec<String>,
    /// Patterns of full names; empty: all.
    pub include: Vec<Regex>,
    /// Patterns of full names that are left out.
    pub exclude: Vec<Regex>,
    /// `TABLE`, `VIEW` and so on.
    pub types: Vec<String>,
    /// `LIKE` pattern.
    pub catalog: Option<String>,
    /// `LIKE` pattern.
    pub schema: Option<String>,
}

/// The settings.
#[derive(Debug, Clone)]
pub(super) struct SourceConfig {
    pub mode: Mode,
    pub columns: ColumnRules,
    /// Milliseconds since the epoch; `None`: the beginning. -1: now.
    pub timestamp_initial: Option<i64>,
    pub timestamp_delay: Duration,
    pub granularity: TimestampGranularity,
    pub zone: TimeZone,
    /// Days before 1582-10-15 are of the Julian calendar, as in Java's old classes.
    pub julian: bool,
    pub tables: TableChoice,
    pub table_poll_interval: Duration,
    /// SQL instead of tables.
    pub query: Option<String>,
    pub query_suffix: String,
    pub query_attempts: Option<u32>,
    pub quoting: Quoting,
    pub topic_prefix: String,
    pub poll_interval: Duration,
    pub batch_rows: usize,
    pub numeric: NumericMapping,
    pub arrays: bool,
    pub validate_non_null: bool,
    pub isolation: Option<String>,
    pub key: KeyMode,
    pub connection: ConnectionRetry,
}

/// How often a connection is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionRetry {
    pub attempts: u32,
    pub backoff: Duration,
}

impl SourceConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first value that is wrong.
    pub fn new(settings: &Settings) -> Result<SourceConfig, TaskError> {
        let read = Reader(settings);
        let mode = read.text("mode");
        let mode = Mode::from_setting(mode).ok_or_else(|| {
            invalid("mode", mode, "it is one of bulk, incrementing, timestamp, timestamp+incrementing")
        })?;
        let query = [read.text("query"), read.text("query.masked")].into_iter().find(|query| !query.trim().is_empty());
        let attempts = read.number("query.retry.attempts")?;
        Ok(SourceConfig {
            mode,
            columns: ColumnRules::new(settings)?,
            timestamp_initial: read.optional("timestamp.initial")?,
            timestamp_delay: read.millis("timestamp.delay.interval.ms")?,
            granularity: read.parsed("timestamp.granularity", TimestampGranularity::from_setting)?,
            zone: read.parsed("db.timezone", time_zone)?,
            julian: !read.text("date.calendar.system").eq_ignore_ascii_case("PROLEPTIC_GREGORIAN"),
            tables: TableChoice {
                whitelist: read.list("table.whitelist"),
                blacklist: read.list("table.blacklist"),
                include: read.patterns("table.include.list")?,
                exclude: read.patterns("table.exclude.list")?,
                types: read.list("table.types").iter().map(|kind| kind.to_uppercase().replace('_', " ")).collect(),
                catalog: Some(read.text("catalog.pattern").to_owned()).filter(|pattern| !pattern.is_empty()),
                schema: Some(read.text("schema.pattern").to_owned()).filter(|pattern| !pattern.is_empty()),
            },
            table_poll_interval: read.millis("table.poll.interval.ms")?,
            query: query.map(|query| query.trim().trim_end_matches(';').to_owned()),
            query_suffix: read.text("query.suffix").trim().to_owned(),
            query_attempts: u32::try_from(attempts).ok(),
            quoting: Quoting::from_setting(read.text("quote.sql.identifiers")),
            topic_prefix: read.text("topic.prefix").to_owned(),
            poll_interval: read.millis("poll.interval.ms")?,
            batch_rows: usize::try_from(read.number("batch.max.rows")?).unwrap_or(1).max(1),
            numeric: read.numeric_mapping()?,
            arrays: read.flag("sql.complex.types.enable"),
            validate_non_null: read.flag("validate.non.null"),
            isolation: isolation(read.text("transaction.isolation.mode")),
            key: read.key()?,
            connection: ConnectionRetry {
                attempts: u32::try_from(read.number("connection.attempts")?).unwrap_or(1).max(1),
                backoff: read.millis("connection.backoff.ms")?,
            },
        })
    }
}

fn isolation(text: &str) -> Option<String> {
    let level = text.to_uppercase().replace('_', " ");
    matches!(&*level, "READ UNCOMMITTED" | "READ COMMITTED" | "REPEATABLE READ" | "SERIALIZABLE").then_some(level)
}

fn invalid(key: &str, value: &str, why: &str) -> TaskError {
    TaskError::fatal(format!("Invalid value {value} for configuration {key}: {why}"))
}

/// Values of settings, or their defaults.
struct Reader<'a>(&'a Settings);

impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> &'a str {
        match self.0.get(key) {
            Some(value) => value.trim(),
            None => default(key),
        }
    }

    fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, TaskError> {
        let text = self.text(key);
        parse(text).ok_or_else(|| invalid(key, text, "it is not one that is known"))
    }

    fn number(&self, key: &str) -> Result<i64, TaskError> {
        let text = self.text(key);
        text.parse().map_err(|_| invalid(key, text, "Not a number"))
    }

    fn optional(&self, key: &str) -> Result<Option<i64>, TaskError> {
        if self.text(key).is_empty() { Ok(None) } else { self.number(key).map(Some) }
    }

    fn millis(&self, key: &str) -> Result<Duration, TaskError> {
        Ok(Duration::from_millis(u64::try_from(self.number(key)?).unwrap_or(0)))
    }

    fn flag(&self, key: &str) -> bool {
        self.text(key).eq_ignore_ascii_case("true")
    }

    fn list(&self, key: &str) -> Vec<String> {
        list(self.text(key))
    }

    fn patterns(&self, key: &str) -> Result<Vec<Regex>, TaskError> {
        self.list(key).iter().map(|text| pattern(text).map_err(|why| invalid(key, text, &why))).collect()
    }

    fn numeric_mapping(&self) -> Result<NumericMapping, TaskError> {
        if !self.0.contains_key("numeric.mapping") && self.flag("numeric.precision.mapping") {
            return self.parsed("numeric.mapping", |_| NumericMapping::from_setting("precision_only"));
        }
        self.parsed("numeric.mapping", NumericMapping::from_setting)
    }

    fn key(&self) -> Result<KeyMode, TaskError> {
        let columns = self.list("key.columns");
        match self.text("key.mode").to_ascii_lowercase().as_str() {
            "none" if columns.is_empty() => Ok(KeyMode::None),
            "primary_key" => Ok(KeyMode::PrimaryKey),
            "none" | "columns" if !columns.is_empty() => Ok(KeyMode::Columns(columns)),
            "columns" => Err(invalid("key.columns", "", "key.mode=columns needs names of columns")),
            other => Err(invalid("key.mode", other, "it is one of none, primary_key, columns")),
        }
    }
}

/// Texts with commas between them.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// A pattern that must match the whole of a name.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{text})$")).map_err(|_| "it is no regular expression".to_owned())
}

fn default(key: &str) -> &'static str {
    keys().iter().find(|known| known.name == key).and_then(|known| known.default).unwrap_or_default()
}

/// The table of settings.
pub(super) fn definition() -> ConfigDef {
    ConfigDef { keys: keys().to_vec() }
}

fn keys() -> &'static [ConfigKey] {
    static KEYS: std::sync::OnceLock<Vec<ConfigKey>> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| {
        let mut keys = database_keys();
        keys.extend(mode_keys());
        keys.extend(connector_keys());
        keys
    })
}

fn valid_zone(_: &str, value: &str) -> Result<(), String> {
    time_zone(value).map(|_| ()).ok_or_else(|| format!("{value} is no time zone"))
}

fn valid_dialect(_: &str, value: &str) -> Result<(), String> {
    match value.is_empty() || Dialect::from_class(value).is_some() {
        true => Ok(()),
        false => Err(format!("there are {}", Dialect::CLASSES[1..].join(", "))),
    }
}

fn valid_patterns(_: &str, value: &str) -> Result<(), String> {
    list(value).iter().try_for_each(|text| pattern(text).map(|_| ()))
}

fn database_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Int, List, Long, Password, String};
    use Importance::{High, Low, Medium};
    vec![
        ConfigKey::required("connection.url", String, High, "The database, as a jdbc: URL of MySQL, MariaDB, PostgreSQL or SQLite.")
            .checked(Rule::NonEmpty)
            .shown(DATABASE, 1, Width::Long, "JDBC URL")
            .dependents(&["table.whitelist", "table.blacklist"]),
        ConfigKey::nullable("connection.user", String, High, "The user; one in the URL is second to it.")
            .shown(DATABASE, 2, Width::Long, "JDBC User"),
        ConfigKey::nullable("connection.password", Password, High, "The password; one in the URL is second to it.")
            .shown(DATABASE, 3, Width::Short, "JDBC Password"),
        ConfigKey::with_default("connection.attempts", Int, "3", Low, "How often a task that starts tries to connect.")
            .checked(Rule::AtLeast(1))
            .shown(DATABASE, 4, Width::Short, "JDBC connection attempts"),
        ConfigKey::with_default(
            "connection.backoff.ms",
            Long,
            "10000",
            Low,
            "The pause between attempts to connect. A task that has lost its connection starts with a shorter one and does \
             not give up, unless query.retry.attempts says so.",
        )
        .checked(Rule::AtLeast(0))
        .shown(DATABASE, 5, Width::Short, "JDBC connection backoff in milliseconds"),
        ConfigKey::with_default("catalog.pattern", String, "", Medium, "LIKE pattern of catalogs (MySQL: databases). Empty: the one of the URL.")
            .shown(DATABASE, 6, Width::Short, "Catalog pattern"),
        ConfigKey::with_default("schema.pattern", String, "", High, "LIKE pattern of schemas (PostgreSQL). Empty: all but the database's own.")
            .shown(DATABASE, 7, Width::Short, "Schema pattern"),
        ConfigKey::with_default("table.whitelist", List, "", Medium, "Tables that are read, with or without catalog and schema. Empty: all.")
            .shown(DATABASE, 8, Width::Long, "Table Whitelist"),
        ConfigKey::with_default("table.blacklist", List, "", Medium, "Tables that are not read.")
            .shown(DATABASE, 9, Width::Long, "Table Blacklist"),
        ConfigKey::with_default("table.include.list", List, "", Medium, "Regular expressions of full names of tables that are read.")
            .checked(Rule::Custom(valid_patterns))
            .shown(DATABASE, 10, Width::Long, "Table Include List"),
        ConfigKey::with_default("table.exclude.list", List, "", Medium, "Regular expressions of full names of tables that are not read.")
            .checked(Rule::Custom(valid_patterns))
            .shown(DATABASE, 11, Width::Long, "Table Exclude List"),
        ConfigKey::with_default("dialect.name", String, "", Low, "The Java class of a dialect; it must be the one of the URL.")
            .checked(Rule::Custom(valid_dialect))
            .shown(DATABASE, 12, Width::Long, "Database Dialect"),
        ConfigKey::with_default(
            "numeric.mapping",
            String,
            "none",
            Low,
            "How NUMERIC columns are mapped: none (Decimal), precision_only, best_fit, best_fit_eager_double; with \
             _with_decimal behind it DECIMAL columns too, which is what MySQL has.",
        )
        .checked(Rule::OneOfIgnoringCase(NumericMapping::SETTINGS))
        .shown(DATABASE, 13, Width::Short, "Map Numeric Values, Integral or Decimal, By Precision and Scale"),
        ConfigKey::with_default("numeric.precision.mapping", Boolean, "false", Low, "The older way to say numeric.mapping=precision_only.")
            .shown(DATABASE, 14, Width::Short, "Map Numeric Values By Precision (deprecated)"),
        ConfigKey::with_default("sql.complex.types.enable", Boolean, "false", Low, "Whether columns with arrays are read; otherwise they are left out.")
            .shown(DATABASE, 15, Width::Short, "Complex types"),
    ]
}

fn mode_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Int, List, Long, Password, String};
    use Importance::{High, Low, Medium};
    vec![
        ConfigKey::required(
            "mode",
            String,
            High,
            "How new rows are found: bulk, incrementing, timestamp, timestamp+incrementing.",
        )
        .checked(Rule::OneOf(&["bulk", "incrementing", "timestamp", "timestamp+incrementing"]))
        .shown(MODE, 1, Width::Medium, "Table Loading Mode")
        .dependents(&["incrementing.column.name", "timestamp.column.name", "validate.non.null"]),
        ConfigKey::with_default(
            "incrementing.column.name",
            String,
            "",
            Medium,
            "The column that grows with each row. Empty: the one that the database counts up.",
        )
        .shown(MODE, 2, Width::Medium, "Incrementing Column Name"),
        ConfigKey::with_default(
            "incrementing.column.mapping",
            List,
            "",
            Medium,
            "regex:column pairs for tables whose columns have different names.",
        )
        .shown(MODE, 3, Width::Medium, "Incrementing Column Mapping"),
        ConfigKey::with_default(
            "timestamp.column.name",
            List,
            "",
            Medium,
            "Columns with the time of the last change; of several the first that is not null counts.",
        )
        .shown(MODE, 4, Width::Medium, "Timestamp Column Name"),
        ConfigKey::with_default(
            "timestamp.columns.mapping",
            List,
            "",
            Medium,
            "regex:[column1|column2] pairs for tables whose columns have different names.",
        )
        .shown(MODE, 5, Width::Medium, "Timestamp Columns Mapping"),
        ConfigKey::nullable(
            "timestamp.initial",
            Long,
            Low,
            "Where to start, in milliseconds since the epoch; -1 is now.",
        )
        .shown(MODE, 6, Width::Medium, "Unix time value of initial timestamp"),
        ConfigKey::with_default(
            "validate.non.null",
            Boolean,
            "true",
            Low,
            "Whether a task refuses tables whose columns of the mode may be null.",
        )
        .shown(MODE, 7, Width::Short, "Validate Non Null"),
        ConfigKey::with_default(
            "query",
            String,
            "",
            Medium,
            "SQL to read instead of tables. A WHERE of its own must be inside of a subselect, unless the mode is bulk.",
        )
        .shown(MODE, 8, Width::Short, "Query"),
        ConfigKey::with_default("query.masked", Password, "", Medium, "As query, but hidden like a password.").shown(
            MODE,
            9,
            Width::Short,
            "Query (masked)",
        ),
        ConfigKey::with_default("query.suffix", String, "", Low, "SQL that is put behind each query.").shown(
            MODE,
            10,
            Width::Short,
            "Query suffix",
        ),
        ConfigKey::with_default(
            "query.retry.attempts",
            Int,
            "-1",
            Low,
            "How often a query is tried again; -1: without end.",
        )
        .checked(Rule::AtLeast(-1))
        .shown(MODE, 11, Width::Short, "Query retry attempts"),
        ConfigKey::with_default(
            "quote.sql.identifiers",
            String,
            "ALWAYS",
            Medium,
            "Whether names are quoted: ALWAYS, NEVER.",
        )
        .checked(Rule::OneOfIgnoringCase(&["always", "never"]))
        .shown(MODE, 12, Width::Medium, "Quote Identifiers"),
        ConfigKey::with_default("transaction.isolation.mode", String, "DEFAULT", Low, "Isolation of the queries.")
            .checked(Rule::OneOfIgnoringCase(&[
                "default",
                "read_uncommitted",
                "read_committed",
                "repeatable_read",
                "serializable",
            ]))
            .shown(MODE, 13, Width::Medium, "Transaction Isolation Mode"),
    ]
}

fn connector_keys() -> Vec<ConfigKey> {
    use ConfigType::{Int, List, Long, String};
    use Importance::{High, Low, Medium};
    vec![
        ConfigKey::with_default("table.types", List, "TABLE", Low, "TABLE, VIEW, PARTITIONED TABLE, MATERIALIZED VIEW, FOREIGN TABLE.")
            .shown(CONNECTOR, 1, Width::Medium, "Table Types"),
        ConfigKey::with_default("poll.interval.ms", Int, "5000", High, "The pause between two queries of a table.")
            .checked(Rule::AtLeast(0))
            .shown(CONNECTOR, 2, Width::Short, "Poll Interval (ms)"),
        ConfigKey::with_default("batch.max.rows", Int, "1000", Low, "Rows that a task hands over at once.")
            .checked(Rule::AtLeast(1))
            .shown(CONNECTOR, 3, Width::Short, "Max Rows Per Batch"),
        ConfigKey::with_default("table.poll.interval.ms", Long, "60000", Low, "How often new and removed tables are looked for.")
            .checked(Rule::AtLeast(1))
            .shown(CONNECTOR, 4, Width::Short, "Metadata Change Monitoring Interval (ms)"),
        ConfigKey::required("topic.prefix", String, High, "The topic is this and the table's name; with a query, this alone.")
            .shown(CONNECTOR, 5, Width::Medium, "Topic Prefix"),
        ConfigKey::with_default("timestamp.delay.interval.ms", Long, "0", High, "How long rows wait, so that transactions that are still open can end.")
            .checked(Rule::AtLeast(0))
            .shown(CONNECTOR, 6, Width::Medium, "Delay Interval (ms)"),
        ConfigKey::with_default("db.timezone", String, "UTC", Medium, "The zone of dates and times in columns that do not say one.")
            .checked(Rule::Custom(valid_zone))
            .shown(CONNECTOR, 7, Width::Medium, "DB time zone"),
        ConfigKey::with_default("timestamp.granularity", String, "connect_logical", Low, "How dates with times are written: Connect's Timestamp, or micro- or nanoseconds as numbers or text.")
            .checked(Rule::OneOfIgnoringCase(TimestampGranularity::SETTINGS))
            .shown(CONNECTOR, 8, Width::Medium, "Timestamp granularity for timestamp columns"),
        ConfigKey::with_default("date.calendar.system", String, "LEGACY", Low, "The calendar of days before 1582-10-15: LEGACY (Julian, as in Java) or PROLEPTIC_GREGORIAN.")
            .checked(Rule::OneOfIgnoringCase(&["legacy", "proleptic_gregorian"]))
            .shown(CONNECTOR, 9, Width::Medium, "Calendar system"),
        ConfigKey::with_default("key.mode", String, "none", Medium, "The key of records: none, primary_key, columns (those of key.columns). One column is the key itself, several are a struct.")
            .checked(Rule::OneOfIgnoringCase(&["none", "primary_key", "columns"]))
            .shown(CONNECTOR, 10, Width::Medium, "Key"),
        ConfigKey::with_default("key.columns", List, "", Medium, "Columns of the key.")
            .shown(CONNECTOR, 11, Width::Medium, "Key columns"),
        ConfigKey::with_default("max.buffer.size", Int, "0", Low, "Accepted; a task reads at most two batches ahead.")
            .checked(Rule::AtLeast(0))
            .shown(CONNECTOR, 12, Width::Short, "Maximum buffer size"),
        ConfigKey::with_default("poll.linger.ms", Long, "5000", Low, "Accepted; a task hands rows over as they come.")
            .checked(Rule::AtLeast(0))
            .shown(CONNECTOR, 13, Width::Short, "Poll linger"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let base = [("connection.url", "jdbc:mysql://h/d"), ("topic.prefix", "p_"), ("mode", "bulk")];
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let config = SourceConfig::new(&settings(&[])).expect("settings");
        assert!(config.mode.is_bulk());
        assert_eq!(config.batch_rows, 1000);
        assert_eq!(config.poll_interval, Duration::from_secs(5));
        assert_eq!(config.query_attempts, None);
        assert_eq!(config.zone, TimeZone::UTC);
        assert_eq!(config.tables.types, ["TABLE"]);
        assert_eq!(config.key, KeyMode::None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value) in
            [("mode", "fast"), ("db.timezone", "Mars/Olympus"), ("batch.max.rows", "many"), ("key.mode", "columns")]
        {
            let error = SourceConfig::new(&settings(&[(key, value)])).expect_err(key).to_string();
            assert!(error.contains("configuration"), "{error}");
        }
    }
}
