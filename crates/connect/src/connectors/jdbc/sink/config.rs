//! Settings of the sink.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::super::database::TableId;
use super::super::dialect::{Dialect, Quoting};
use super::super::url::JdbcUrl;
use super::super::zone::time_zone;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Importance, Rule, Width};
use crate::data::DataError;
use crate::plugin::Settings;

/// Names of the columns that hold where a record comes from, unless `pk.fields` says others.
const KAFKA_COLUMNS: [&str; 3] = ["__connect_topic", "__connect_partition", "__connect_offset"];

/// How rows get into tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertMode {
    /// A new row for each record.
    Insert,
    /// A new row, or new values for the row with that key.
    Upsert,
    /// New values for the row with that key, if there is one.
    Update,
}

/// Where the primary key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMode {
    /// There is none.
    None,
    /// Topic, partition and offset of the record, in columns of these names.
    Kafka([String; 3]),
    /// The record's key: the only column's name of a primitive key, or these fields of a struct, all when there are none.
    RecordKey(Vec<String>),
    /// These fields of the record's value, all when there are none.
    RecordValue(Vec<String>),
}

/// How fine the numbers in `timestamp.fields.list` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampPrecision {
    /// Millionths of a second.
    Microseconds,
    /// Billionths.
    Nanoseconds,
}

/// What the settings say.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// The database.
    pub url: JdbcUrl,
    /// Connections that are tried for one retry.
    pub connection_attempts: u32,
    /// Pause between them.
    pub connection_backoff: Duration,
    /// How rows get into tables.
    pub insert_mode: InsertMode,
    /// Where the primary key comes from.
    pub key_mode: KeyMode,
    /// Rows of one statement at most.
    pub batch_size: usize,
    /// Whether a record without a value deletes the row with its key.
    pub delete_enabled: bool,
    /// Fields of the value that are written; all when there are none. Key fields are always.
    pub fields_whitelist: Vec<String>,
    /// Whether missing tables are created.
    pub auto_create: bool,
    /// Whether missing columns are added.
    pub auto_evolve: bool,
    /// Times that records are tried again.
    pub max_retries: u32,
    /// Pause before.
    pub retry_backoff: Duration,
    /// Zone in which columns without a zone hold timestamps.
    pub time_zone: TimeZone,
    /// Whether a field's default stands for its null.
    pub replace_null_with_default: bool,
    /// Fields that hold timestamps as numbers or digits.
    pub timestamp_fields: Vec<String>,
    /// What these numbers count.
    pub timestamp_precision: TimestampPrecision,
    /// Column of values that are plain strings.
    pub string_column: String,
    /// Whether names are quoted.
    pub quoting: Quoting,
    /// Whether error texts of the database, which may quote values, are kept out of logs and status.
    pub trim_sensitive_log: bool,
    /// Whether values without a schema are written by their shape.
    pub infer_schemaless: bool,
    /// Table that remembers which offsets are written, so that each record has its effect once in every mode.
    pub offsets_table: Option<TableId>,
    table_name_format: String,
}

impl SinkConfig {
    /// The settings of a task or connector.
    ///
    /// # Errors
    /// The first setting that is wrong, or that contradicts another; the text names it.
    pub fn parse(settings: &Settings) -> Result<SinkConfig, DataError> {
        let parsed = DEF.parse(settings)?;
        if let Some((name, error)) = contradictions(settings).into_iter().next() {
            return Err(DataError::new(format!("Invalid value for configuration {name}: {error}")));
        }
        let url = JdbcUrl::from_settings(settings)
            .map_err(|error| DataError::new(format!("Invalid value for configuration connection.url: {error}")))?;
        let list = |name: &str| -> Vec<String> {
            parsed.get_list(name).iter().filter(|element| !element.is_empty()).cloned().collect()
        };
        let milliseconds = |name: &str| Duration::from_millis(u64::try_from(parsed.get_long(name)).unwrap_or_default());
        let count = |name: &str| u32::try_from(parsed.get_long(name)).unwrap_or_default();
        let fields = list("pk.fields");
        let zone = parsed.get_text("db.timezone");
        Ok(SinkConfig {
            connection_attempts: count("connection.attempts").max(1),
            connection_backoff: milliseconds("connection.backoff.ms"),
            insert_mode: match parsed.get_text("insert.mode").to_ascii_lowercase().as_str() {
                "upsert" => InsertMode::Upsert,
                "update" => InsertMode::Update,
                _ => InsertMode::Insert,
            },
            key_mode: match parsed.get_text("pk.mode").to_ascii_lowercase().as_str() {
                "kafka" => KeyMode::Kafka(fields.try_into().unwrap_or_else(|_| KAFKA_COLUMNS.map(str::to_owned))),
                "record_key" => KeyMode::RecordKey(fields),
                "record_value" => KeyMode::RecordValue(fields),
                _ => KeyMode::None,
            },
            batch_size: parsed.get_usize("batch.size").max(1),
            delete_enabled: parsed.get_bool("delete.enabled"),
            fields_whitelist: list("fields.whitelist"),
            auto_create: parsed.get_bool("auto.create"),
            auto_evolve: parsed.get_bool("auto.evolve"),
            max_retries: count("max.retries"),
            retry_backoff: milliseconds("retry.backoff.ms"),
            time_zone: time_zone(zone).ok_or_else(|| {
                DataError::new(format!("Invalid value {zone} for configuration db.timezone: {UNKNOWN_ZONE}"))
            })?,
            replace_null_with_default: parsed.get_bool("replace.null.with.default"),
            timestamp_fields: list("timestamp.fields.list"),
            timestamp_precision: match parsed.get_text("timestamp.precision.mode").to_ascii_lowercase().as_str() {
                "nanoseconds" => TimestampPrecision::Nanoseconds,
                _ => TimestampPrecision::Microseconds,
            },
            string_column: parsed.get_text("string.output.value.column.name").to_owned(),
            quoting: Quoting::from_setting(parsed.get_text("quote.sql.identifiers")),
            trim_sensitive_log: parsed.get_bool("trim.sensitive.log"),
            infer_schemaless: parsed.get_text("schemaless.values").eq_ignore_ascii_case("infer"),
            offsets_table: Some(parsed.get_text("offsets.table"))
                .filter(|name| !name.is_empty())
                .map(|name| url.dialect.parse_table(name)),
            table_name_format: parsed.get_text("table.name.format").to_owned(),
            url,
        })
    }

    /// The kind of database.
    pub fn dialect(&self) -> Dialect {
        self.url.dialect
    }

    /// The table that a topic goes to.
    ///
    /// # Errors
    /// A topic of which `table.name.format` makes no name.
    pub fn table(&self, topic: &str) -> Result<TableId, DataError> {
        let text = self.table_name_format.replace("${topic}", topic);
        let table = self.dialect().parse_table(&text);
        if table.name.is_empty() {
            let format = &self.table_name_format;
            return Err(DataError::new(format!(
                "Table name for the topic '{topic}' is empty: table.name.format={format} makes '{text}' of it"
            )));
        }
        // PostgreSQL would cut the name, so that two topics could share a table.
        let is_too_long = match self.dialect() {
            Dialect::MySql => table.name.chars().count() > 64,
            Dialect::Postgres => table.name.len() > 63,
            Dialect::Sqlite => false,
        };
        if is_too_long {
            return Err(DataError::new(format!(
                "Table name '{}' for the topic '{topic}' is longer than the database takes: set table.name.format, or \
                 rename the topic with the transform RegexRouter",
                table.name
            )));
        }
        Ok(table)
    }

    /// A name as it stands in a statement.
    pub fn quote(&self, name: &str) -> String {
        self.dialect().quote(name, self.quoting)
    }

    /// A table as it stands in a statement.
    pub fn quote_table(&self, table: &TableId) -> String {
        self.dialect().quote_table(table, self.quoting)
    }
}

const UNKNOWN_ZONE: &str = "Invalid time zone identifier";

/// Adds what the table of settings cannot check to the values it has checked.
pub fn validate(settings: &Settings, values: &mut [ConfigValue]) {
    let mut add = |name: &str, error: String| {
        if let Some(value) = values.iter_mut().find(|value| value.name == name) {
            value.errors.push(error);
        }
    };
    let has_url = settings.get("connection.url").is_some_and(|url| !url.trim().is_empty());
    if has_url && let Err(error) = JdbcUrl::from_settings(settings) {
        add("connection.url", format!("Invalid value for configuration connection.url: {error}"));
    }
    for (name, error) in contradictions(settings) {
        add(name, format!("Invalid value for configuration {name}: {error}"));
    }
}

/// Settings that cannot be together, with what to change.
fn contradictions(settings: &Settings) -> Vec<(&'static str, String)> {
    let get = |name: &str| settings.get(name).map(|value| value.trim().to_ascii_lowercase()).unwrap_or_default();
    let key_mode = Some(get("pk.mode")).filter(|mode| !mode.is_empty()).unwrap_or_else(|| "none".to_owned());
    let fields = get("pk.fields").split(',').filter(|field| !field.trim().is_empty()).count();
    let mut errors = Vec::new();
    if get("delete.enabled") == "true" && key_mode != "record_key" {
        errors.push((
            "delete.enabled",
            format!("deletes need the record's key as primary key: set pk.mode=record_key (it is {key_mode})"),
        ));
    }
    let insert_mode = get("insert.mode");
    if key_mode == "none" && matches!(insert_mode.as_str(), "upsert" | "update") {
        errors.push((
            "pk.mode",
            format!("insert.mode={insert_mode} needs a primary key: set pk.mode to record_key, record_value or kafka"),
        ));
    }
    if key_mode == "kafka" && fields != 0 && fields != 3 {
        errors.push((
            "pk.fields",
            format!(
                "with pk.mode=kafka it must be empty or name three columns (topic, partition, offset), not {fields}"
            ),
        ));
    }
    if !get("connection.url").is_empty()
        && time_zone(settings.get("db.timezone").map_or("UTC", String::as_str)).is_none()
    {
        errors.push(("db.timezone", UNKNOWN_ZONE.to_owned()));
    }
    errors
}

/// The table of settings.
pub static DEF: LazyLock<ConfigDef> = LazyLock::new(|| ConfigDef::new(keys()));

const CONNECTION: &str = "Connection";
const WRITES: &str = "Writes";
const MAPPING: &str = "Data Mapping";
const DDL: &str = "DDL Support";
const RETRIES: &str = "Retries";

fn keys() -> Vec<ConfigKey> {
    [connection_keys(), write_keys(), mapping_keys(), ddl_and_retry_keys()].concat()
}

fn connection_keys() -> Vec<ConfigKey> {
    use ConfigType::{Int, Long, Password, String};
    use Importance::{High, Low, Medium};
    vec![
        ConfigKey::required(
            "connection.url",
            String,
            High,
            "JDBC connection URL, such as jdbc:mysql://localhost:3306/mydb, jdbc:mariadb://.., jdbc:postgresql://localhost/mydb or jdbc:sqlite:mydb.db.",
        )
        .checked(Rule::NonEmpty)
        .shown(CONNECTION, 1, Width::Long, "JDBC URL"),
        ConfigKey::nullable("connection.user", String, High, "JDBC connection user.").shown(
            CONNECTION,
            2,
            Width::Medium,
            "JDBC User",
        ),
        ConfigKey::nullable("connection.password", Password, High, "JDBC connection password.").shown(
            CONNECTION,
            3,
            Width::Medium,
            "JDBC Password",
        ),
        ConfigKey::with_default(
            "dialect.name",
            String,
            "",
            Low,
            "Name of the database dialect, for users of other runtimes; it follows from connection.url and must agree with it.",
        )
        .shown(CONNECTION, 4, Width::Long, "Database Dialect"),
        ConfigKey::with_default("connection.attempts", Int, "3", Low, "Connections that are tried before it counts as one of max.retries.")
            .checked(Rule::AtLeast(1))
            .shown(CONNECTION, 5, Width::Short, "JDBC connection attempts"),
        ConfigKey::with_default("connection.backoff.ms", Long, "10000", Low, "Pause in milliseconds between connection attempts.")
            .checked(Rule::AtLeast(0))
            .shown(CONNECTION, 6, Width::Short, "JDBC connection backoff (millis)"),
        ConfigKey::with_default(
            "table.types",
            ConfigType::List,
            "TABLE",
            Low,
            "Types of the tables that are written to (TABLE, PARTITIONED_TABLE, VIEW). Any relation that can be written to is accepted.",
        )
        .shown(CONNECTION, 7, Width::Medium, "Table Types"),
        ConfigKey::with_default("trim.sensitive.log", ConfigType::Boolean, "false", Medium,
            "Keeps the texts of database errors, which may quote values of records, out of logs and status.")
            .shown(CONNECTION, 8, Width::Short, "Trim Sensitive Log"),
    ]
}

fn write_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Int, String};
    use Importance::{High, Low, Medium};
    vec![
        ConfigKey::with_default(
            "insert.mode",
            String,
            "insert",
            High,
            "insert: a new row for each record. upsert: a new row, or new values for the row with that primary key, so that records may come twice. update: new values for the row with that primary key, if there is one.",
        )
        .checked(Rule::OneOfIgnoringCase(&["insert", "upsert", "update"]))
        .shown(WRITES, 1, Width::Medium, "Insert Mode"),
        ConfigKey::with_default("batch.size", Int, "3000", Medium, "Rows that are written together into a table at most.")
            .checked(Rule::AtLeast(0))
            .shown(WRITES, 2, Width::Short, "Batch Size"),
        ConfigKey::with_default(
            "delete.enabled",
            Boolean,
            "false",
            Medium,
            "Whether a record without a value deletes the row with its key. Needs pk.mode=record_key.",
        )
        .shown(WRITES, 3, Width::Short, "Enable deletes")
        .dependents(&["pk.mode"]),
        ConfigKey::with_default(
            "offsets.table",
            String,
            "",
            Low,
            "Table in which the sink remembers, in the transaction of the rows, which offsets it has written; records that come again are skipped, so that each has its effect once in every insert.mode, with or without a primary key. Created when it is missing. Empty: none.",
        )
        .shown(WRITES, 4, Width::Medium, "Offsets Table"),
    ]
}

fn mapping_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, List, String};
    use Importance::{High, Low, Medium};
    vec![
        ConfigKey::with_default(
            "table.name.format",
            String,
            "${topic}",
            Medium,
            "Name of the table; ${topic} stands for the topic. May name the schema: kafka.${topic}.",
        )
        .checked(Rule::NonEmpty)
        .shown(MAPPING, 1, Width::Long, "Table Name Format"),
        ConfigKey::with_default(
            "pk.mode",
            String,
            "none",
            High,
            "none: no primary key. kafka: topic, partition and offset of the record. record_key: the record's key. record_value: fields of the record's value.",
        )
        .checked(Rule::OneOfIgnoringCase(&["none", "kafka", "record_key", "record_value"]))
        .shown(MAPPING, 2, Width::Medium, "Primary Key Mode"),
        ConfigKey::with_default(
            "pk.fields",
            List,
            "",
            Medium,
            "kafka: three names of columns, otherwise __connect_topic,__connect_partition,__connect_offset. record_key: the column of a primitive key, or fields of a struct (empty: all). record_value: fields of the value (empty: all).",
        )
        .shown(MAPPING, 3, Width::Long, "Primary Key Fields"),
        ConfigKey::with_default(
            "fields.whitelist",
            List,
            "",
            Medium,
            "Fields of the value that are written; empty: all. Fields of the primary key are always written.",
        )
        .shown(MAPPING, 4, Width::Long, "Fields Whitelist"),
        ConfigKey::with_default("db.timezone", String, "UTC", Medium, "Zone in which columns without a time zone hold timestamps.")
            .shown(MAPPING, 5, Width::Medium, "DB Time Zone"),
        ConfigKey::with_default(
            "date.timezone",
            String,
            "DB_TIMEZONE",
            Medium,
            "For users of other runtimes, where a day can shift with the zone. Here a day is written as it is, whatever this says.",
        )
        .checked(Rule::OneOfIgnoringCase(&["DB_TIMEZONE", "UTC"]))
        .shown(MAPPING, 6, Width::Medium, "Date Time Zone"),
        ConfigKey::with_default("replace.null.with.default", Boolean, "true", Medium, "Whether the default of a field stands for its null.")
            .shown(MAPPING, 7, Width::Short, "Replace Null With Default"),
        ConfigKey::with_default(
            "timestamp.fields.list",
            List,
            "",
            Medium,
            "Fields that hold timestamps as INT64 or as digits in a STRING, in units of timestamp.precision.mode since 1970.",
        )
        .shown(MAPPING, 8, Width::Long, "Timestamp Fields"),
        ConfigKey::with_default("timestamp.precision.mode", String, "microseconds", Medium, "What the numbers in timestamp.fields.list count.")
            .checked(Rule::OneOfIgnoringCase(&["microseconds", "nanoseconds"]))
            .shown(MAPPING, 9, Width::Medium, "Timestamp Precision"),
        ConfigKey::with_default(
            "string.output.value.column.name",
            String,
            "record_value",
            Low,
            "Column of values that are plain strings with the schema STRING.",
        )
        .checked(Rule::NonEmpty)
        .shown(MAPPING, 10, Width::Medium, "String Value Column"),
        ConfigKey::with_default(
            "schemaless.values",
            String,
            "fail",
            Low,
            "Values without a schema, such as JSON with value.converter.schemas.enable=false. fail: they are an error. infer: the columns follow from the names and types in each object; nested objects and arrays are written as JSON text.",
        )
        .checked(Rule::OneOfIgnoringCase(&["fail", "infer"]))
        .shown(MAPPING, 11, Width::Medium, "Values Without A Schema"),
    ]
}

fn ddl_and_retry_keys() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Int, String};
    use Importance::Medium;
    vec![
        ConfigKey::with_default(
            "auto.create",
            Boolean,
            "false",
            Medium,
            "Whether a missing table is created from the first record's schema.",
        )
        .shown(DDL, 1, Width::Short, "Auto-Create"),
        ConfigKey::with_default(
            "auto.evolve",
            Boolean,
            "false",
            Medium,
            "Whether columns are added for fields that a table does not have. Columns are never changed or dropped.",
        )
        .shown(DDL, 2, Width::Short, "Auto-Evolve"),
        ConfigKey::with_default(
            "quote.sql.identifiers",
            String,
            "ALWAYS",
            Medium,
            "Whether names of tables and columns are quoted.",
        )
        .checked(Rule::OneOfIgnoringCase(&["ALWAYS", "NEVER"]))
        .shown(DDL, 3, Width::Medium, "Quote Identifiers"),
        ConfigKey::with_default(
            "max.retries",
            Int,
            "10",
            Medium,
            "Times that records are tried again before the task fails.",
        )
        .checked(Rule::AtLeast(0))
        .shown(RETRIES, 1, Width::Short, "Maximum Retries"),
        ConfigKey::with_default(
            "retry.backoff.ms",
            Int,
            "3000",
            Medium,
            "Pause in milliseconds before records are tried again.",
        )
        .checked(Rule::AtLeast(0))
        .shown(RETRIES, 2, Width::Short, "Retry Backoff (millis)"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let url = ("connection.url", "jdbc:mysql://root:geheim@localhost/mydb");
        std::iter::once(&url).chain(pairs).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn parse(pairs: &[(&str, &str)]) -> SinkConfig {
        SinkConfig::parse(&settings(pairs)).expect("settings")
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        SinkConfig::parse(&settings(pairs)).expect_err("no settings").to_string()
    }

    #[test]
    fn defaults_are_those_of_the_original() {
        let config = parse(&[]);
        assert_eq!((config.insert_mode, &config.key_mode), (InsertMode::Insert, &KeyMode::None));
        assert_eq!((config.batch_size, config.max_retries, config.connection_attempts), (3000, 10, 3));
        assert_eq!(config.retry_backoff, Duration::from_secs(3));
        assert!(
            !config.auto_create && !config.auto_evolve && !config.delete_enabled && config.replace_null_with_default
        );
        assert_eq!(config.table("users").expect("a name"), TableId::named("users"));
    }

    #[test]
    fn kafka_coordinates_have_three_columns() {
        assert_eq!(parse(&[("pk.mode", "kafka")]).key_mode, KeyMode::Kafka(KAFKA_COLUMNS.map(str::to_owned)));
        let named = parse(&[("pk.mode", "kafka"), ("pk.fields", "t, p,o")]).key_mode;
        assert_eq!(named, KeyMode::Kafka(["t", "p", "o"].map(str::to_owned)));
        assert!(refused(&[("pk.mode", "kafka"), ("pk.fields", "a,b")]).contains("pk.fields"));
    }

    #[test]
    fn contradictions_name_the_setting_to_change() {
        assert!(refused(&[("delete.enabled", "true")]).contains("set pk.mode=record_key (it is none)"));
        assert!(refused(&[("insert.mode", "upsert")]).contains("insert.mode=upsert needs a primary key: set pk.mode"));
        assert!(refused(&[("db.timezone", "Mars/Olympus")]).contains("db.timezone"));
        assert!(refused(&[("connection.url", "jdbc:oracle:thin:geheim")]).contains("connection.url"));
        assert!(!refused(&[("connection.url", "jdbc:oracle:thin:geheim")]).contains("geheim"));
    }

    #[test]
    fn validation_puts_errors_at_their_settings() {
        let settings = settings(&[("delete.enabled", "true"), ("insert.mode", "sideways")]);
        let mut values = DEF.validate(&settings);
        validate(&settings, &mut values);
        let wrong: Vec<&str> =
            values.iter().filter(|value| !value.errors.is_empty()).map(|value| &*value.name).collect();
        assert_eq!(wrong, ["insert.mode", "delete.enabled"]);
    }

    #[test]
    fn tables_may_have_a_schema_and_zones_an_offset() {
        let config = parse(&[("table.name.format", "shop.kafka_${topic}"), ("db.timezone", "+09:00")]);
        let table = config.table("users").expect("a name");
        assert_eq!((table.catalog.as_deref(), &*table.name), (Some("shop"), "kafka_users"));
        let error = config.table(&"x".repeat(70)).expect_err("too long").to_string();
        assert!(error.contains("table.name.format"), "{error}");
        assert_eq!(config.time_zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds(), 9 * 3600);
        assert!(parse(&[("db.timezone", "Asia/Seoul")]).time_zone.iana_name().is_some());
    }
}
