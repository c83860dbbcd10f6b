//! `WITH (...)`: the properties of a source or sink, read and checked.

use crate::ast::Properties;
use crate::catalog::property::{self, Reader};
use crate::catalog::source::WindowInfo;
use crate::catalog::{Settings, StatementError};
use crate::formats::{Format, FormatSpec, NullableRepresentation};

/// What `WITH (...)` says. Everything is optional here; who needs what is decided by the statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct With {
    /// `KAFKA_TOPIC`.
    pub topic: Option<String>,
    /// `PARTITIONS`.
    pub partitions: Option<i32>,
    /// `REPLICAS`.
    pub replicas: Option<i16>,
    /// `RETENTION_MS`.
    pub retention_ms: Option<i64>,
    /// `KEY_FORMAT` or `FORMAT`.
    pub key_format: Option<Format>,
    /// `VALUE_FORMAT` or `FORMAT`.
    pub value_format: Option<Format>,
    /// `KEY_DELIMITER`.
    pub key_delimiter: Option<char>,
    /// `VALUE_DELIMITER`.
    pub value_delimiter: Option<char>,
    /// `WRAP_SINGLE_VALUE`.
    pub wrap: Option<bool>,
    /// `TIMESTAMP`.
    pub timestamp: Option<String>,
    /// `TIMESTAMP_FORMAT`.
    pub timestamp_format: Option<String>,
    /// `WINDOW_TYPE` and `WINDOW_SIZE`.
    pub window: Option<WindowInfo>,
    /// `KEY_SCHEMA_ID`.
    pub key_schema_id: Option<i32>,
    /// `VALUE_SCHEMA_ID`.
    pub value_schema_id: Option<i32>,
    /// `KEY_SCHEMA_FULL_NAME`.
    pub key_full_name: Option<String>,
    /// `VALUE_SCHEMA_FULL_NAME` or `VALUE_AVRO_SCHEMA_FULL_NAME`.
    pub value_full_name: Option<String>,
    /// `KEY_PROTOBUF_NULLABLE_REPRESENTATION`.
    pub key_nullable: Option<NullableRepresentation>,
    /// `VALUE_PROTOBUF_NULLABLE_REPRESENTATION`.
    pub value_nullable: Option<NullableRepresentation>,
    /// `CLEANUP_POLICY`.
    pub cleanup_policy: Option<String>,
    /// `QUERY_ID`.
    pub query_id: Option<String>,
}

/// The properties that a statement may have, with what they mean to users.
pub const PROPERTIES: &[(&str, &str)] = &[
    ("KAFKA_TOPIC", "the topic; of a query's result the name of the stream or table unless given"),
    ("PARTITIONS", "partitions of a topic that is to be created"),
    ("REPLICAS", "replicas of a topic that is to be created"),
    ("RETENTION_MS", "how long a topic that is to be created keeps records"),
    (
        "CLEANUP_POLICY",
        "refused: streams have `delete`, tables `compact`, tables of windows that queries make `compact,delete`",
    ),
    ("FORMAT", "the format of keys and values"),
    ("KEY_FORMAT", "the format of keys"),
    ("VALUE_FORMAT", "the format of values"),
    ("KEY_DELIMITER", "what separates columns of DELIMITED keys: one character, `SPACE` or `TAB`"),
    ("VALUE_DELIMITER", "what separates columns of DELIMITED values"),
    ("WRAP_SINGLE_VALUE", "whether the only column of a value is a member of a record, or stands alone"),
    ("TIMESTAMP", "the column that tells the time of a record"),
    ("TIMESTAMP_FORMAT", "the pattern of a TIMESTAMP column of texts"),
    ("WINDOW_TYPE", "`TUMBLING`, `HOPPING` or `SESSION`: how the keys of the topic are windowed"),
    ("WINDOW_SIZE", "the length of the windows, such as `10 SECONDS`; not of sessions"),
    ("KEY_SCHEMA_ID", "the registered schema of keys"),
    ("VALUE_SCHEMA_ID", "the registered schema of values"),
    ("KEY_SCHEMA_FULL_NAME", "the record or message of keys within their schema"),
    ("VALUE_SCHEMA_FULL_NAME", "the record or message of values within their schema"),
    ("VALUE_AVRO_SCHEMA_FULL_NAME", "an older name of VALUE_SCHEMA_FULL_NAME"),
    ("KEY_PROTOBUF_NULLABLE_REPRESENTATION", "`OPTIONAL` or `WRAPPER`: how Protobuf keys tell null from a default"),
    ("VALUE_PROTOBUF_NULLABLE_REPRESENTATION", "the same of values"),
    ("SOURCE_CONNECTOR", "an older name of SOURCED_BY_CONNECTOR"),
    ("SOURCED_BY_CONNECTOR", "the connector that writes the topic; for information"),
    ("QUERY_ID", "the id of the query that the statement starts"),
];

fn is_property(name: &str) -> bool {
    PROPERTIES.iter().any(|(known, _)| *known == name)
}

/// Properties that only `CREATE STREAM|TABLE` without a query has.
const SOURCE_ONLY: [&str; 4] = ["WINDOW_TYPE", "WINDOW_SIZE", "SOURCE_CONNECTOR", "SOURCED_BY_CONNECTOR"];

impl With {
    /// Reads the properties of `CREATE STREAM|TABLE`.
    ///
    /// # Errors
    /// Names that nobody knows, values of the wrong type, and combinations that contradict each other.
    pub fn read(properties: &Properties) -> Result<With, StatementError> {
        let reader = Reader::new(properties);
        let windows = (reader.one_of("WINDOW_TYPE", &property::WINDOW_TYPES)?, reader.duration_ms("WINDOW_SIZE")?);
        if reader.get("KAFKA_TOPIC").is_none() {
            let missing = "Missing required property \"KAFKA_TOPIC\" which has no default value.";
            return Err(property::refused(missing));
        }
        let with = With::common(&reader)?;
        property::check_known(properties, |name| name != "QUERY_ID" && is_property(name))?;
        reader.check_contradictions()?;
        let with = With { window: property::window(windows)?, ..with };
        with.formats(&reader, |name| name.to_uppercase())
    }

    /// Reads the properties of `CREATE ... AS SELECT`: windows come from the query, not from them.
    ///
    /// # Errors
    /// As [`With::read`]; a property that only sources have.
    pub fn read_for_query(properties: &Properties) -> Result<With, StatementError> {
        let reader = Reader::new(properties);
        let with = With::common(&reader)?;
        property::check_known(properties, |name| {
            name != "QUERY_ID" && !SOURCE_ONLY.contains(&name) && is_property(name)
        })?;
        reader.check_contradictions()?;
        with.formats(&reader, str::to_owned)
    }

    /// Reads the properties of `INSERT INTO ... SELECT`, which may name its query.
    ///
    /// # Errors
    /// Any other property.
    pub fn read_for_insert(properties: &Properties) -> Result<With, StatementError> {
        let query_id = Reader::new(properties).text("QUERY_ID")?.map(|id| id.to_uppercase());
        property::check_known(properties, |name| name == "QUERY_ID")?;
        Ok(With { query_id, ..With::default() })
    }

    /// The properties that statements with and without a query have. What is wrong first in this order is told.
    fn common(reader: &Reader<'_>) -> Result<With, StatementError> {
        Ok(With {
            topic: reader.topic()?,
            partitions: reader.integer("PARTITIONS")?,
            replicas: reader.small_integer("REPLICAS")?,
            retention_ms: reader.long("RETENTION_MS")?,
            timestamp: reader.column("TIMESTAMP")?,
            timestamp_format: reader.time_pattern("TIMESTAMP_FORMAT")?,
            wrap: reader.boolean("WRAP_SINGLE_VALUE")?,
            key_nullable: reader.nullable("KEY_PROTOBUF_NULLABLE_REPRESENTATION")?,
            value_nullable: reader.nullable("VALUE_PROTOBUF_NULLABLE_REPRESENTATION")?,
            key_full_name: reader.text("KEY_SCHEMA_FULL_NAME")?,
            value_full_name: match reader.text("VALUE_AVRO_SCHEMA_FULL_NAME")? {
                Some(name) => Some(name),
                None => reader.text("VALUE_SCHEMA_FULL_NAME")?,
            },
            key_delimiter: reader.delimiter("KEY_DELIMITER")?,
            value_delimiter: reader.delimiter("VALUE_DELIMITER")?,
            key_schema_id: reader.integer("KEY_SCHEMA_ID")?,
            value_schema_id: reader.integer("VALUE_SCHEMA_ID")?,
            cleanup_policy: reader.text("CLEANUP_POLICY")?,
            ..With::default()
        })
    }

    /// With the formats; `shown` is how the name of one that nobody knows is told.
    fn formats(self, reader: &Reader<'_>, shown: impl Fn(&str) -> String) -> Result<With, StatementError> {
        let read = |name: &str| -> Result<Option<Format>, StatementError> {
            let Some(text) = reader.text(name)? else { return Ok(None) };
            text.parse().map(Some).map_err(|_| StatementError(format!("Unknown format: {}", shown(&text))))
        };
        let both = read("FORMAT")?;
        Ok(With { key_format: read("KEY_FORMAT")?.or(both), value_format: read("VALUE_FORMAT")?.or(both), ..self })
    }

    /// Checks that nothing is said of how the topic is cleaned up: what it holds decides that.
    ///
    /// # Errors
    /// `CLEANUP_POLICY`; `RETENTION_MS` of a topic that is compacted.
    pub fn check_cleanup(&self, is_compacted: bool) -> Result<(), StatementError> {
        if self.cleanup_policy.is_some() {
            return Err(StatementError::new(
                "Invalid config variable in the WITH clause: CLEANUP_POLICY.\nThe CLEANUP_POLICY config is \
                 automatically inferred based on the type of source (STREAM or TABLE).\nUsers can't set the \
                 CLEANUP_POLICY config manually.",
            ));
        }
        if is_compacted && self.retention_ms.is_some() {
            return Err(StatementError::new(
                "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention.",
            ));
        }
        Ok(())
    }

    /// How keys are written, where the statement or `inherited` say so.
    pub fn key_spec(&self, inherited: Option<&FormatSpec>, settings: &Settings) -> Result<FormatSpec, StatementError> {
        let same = inherited.filter(|spec| self.key_format.is_none_or(|format| format == spec.format));
        let format = match (self.key_format, inherited) {
            (Some(format), _) => format,
            (None, Some(spec)) => spec.format,
            (None, None) => settings.default_key_format().parse()?,
        };
        let stated = [
            ("fullSchemaName", self.key_full_name.is_some()),
            ("delimiter", self.key_delimiter.is_some()),
            // Sources without a query are told otherwise.
            ("schemaId", self.key_schema_id.is_some() && inherited.is_some()),
        ];
        check_nullable("KEY_PROTOBUF_NULLABLE_REPRESENTATION", self.key_nullable, format)?;
        check_stated(format, &stated)?;
        check_name(format, self.key_full_name.as_deref())?;
        let same = Inherited::of(same);
        Ok(FormatSpec {
            format,
            delimiter: self.key_delimiter.or(same.delimiter),
            full_name: self.key_full_name.clone().or(same.full_name),
            schema_id: self.key_schema_id,
            nullable: self.key_nullable.or(same.nullable),
            wrap: None,
        })
    }

    /// How values are written, where the statement or `inherited` say so.
    ///
    /// # Errors
    /// No format at all.
    pub fn value_spec(
        &self,
        inherited: Option<&FormatSpec>,
        settings: &Settings,
    ) -> Result<FormatSpec, StatementError> {
        let same = inherited.filter(|spec| self.value_format.is_none_or(|format| format == spec.format));
        let format = match (self.value_format, inherited, settings.default_value_format()) {
            (Some(format), _, _) => format,
            (None, Some(spec), _) => spec.format,
            (None, None, Some(default)) => default.parse()?,
            (None, None, None) => {
                return Err(StatementError::new(
                    "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set a \
                     default via the 'ksql.persistence.default.format.value' config.",
                ));
            }
        };
        let stated = [
            ("fullSchemaName", self.value_full_name.is_some()),
            ("delimiter", self.value_delimiter.is_some()),
            // Sources without a query are told otherwise.
            ("schemaId", self.value_schema_id.is_some() && inherited.is_some()),
        ];
        check_nullable("VALUE_PROTOBUF_NULLABLE_REPRESENTATION", self.value_nullable, format)?;
        check_stated(format, &stated)?;
        check_name(format, self.value_full_name.as_deref())?;
        let same = Inherited::of(same);
        Ok(FormatSpec {
            format,
            delimiter: self.value_delimiter.or(same.delimiter),
            full_name: self.value_full_name.clone().or(same.full_name),
            schema_id: self.value_schema_id,
            nullable: self.value_nullable.or(same.nullable),
            wrap: self.wrap,
        })
    }
}

/// What a sink takes from a source of the same format.
#[derive(Default)]
struct Inherited {
    delimiter: Option<char>,
    full_name: Option<String>,
    nullable: Option<NullableRepresentation>,
}

impl Inherited {
    fn of(spec: Option<&FormatSpec>) -> Self {
        match spec {
            Some(spec) if spec.format == Format::Delimited => {
                Inherited { delimiter: spec.delimiter, ..Inherited::default() }
            }
            Some(spec) if spec.format == Format::Protobuf => {
                Inherited { full_name: spec.full_name.clone(), ..Inherited::default() }
            }
            Some(spec) if spec.format == Format::ProtobufNoSr => {
                Inherited { nullable: spec.nullable, ..Inherited::default() }
            }
            _ => Inherited::default(),
        }
    }
}

/// Checks that only Protobuf is told how nulls are represented.
fn check_nullable(
    property: &str,
    stated: Option<NullableRepresentation>,
    format: Format,
) -> Result<(), StatementError> {
    if stated.is_none() || matches!(format, Format::Protobuf | Format::ProtobufNoSr) {
        return Ok(());
    }
    Err(StatementError(format!("Property {property} can only be enabled with protobuf format")))
}

/// Checks that a format has all that is stated of it.
fn check_stated(format: Format, stated: &[(&str, bool)]) -> Result<(), StatementError> {
    let supported: &[&str] = match format {
        Format::Delimited => &["delimiter"],
        Format::Avro | Format::JsonSr | Format::Protobuf => &["fullSchemaName", "schemaId"],
        Format::Json | Format::Kafka | Format::None | Format::ProtobufNoSr => &[],
    };
    let foreign = stated.iter().filter(|(name, is_stated)| *is_stated && !supported.contains(name));
    let foreign: Vec<_> = foreign.map(|(name, _)| *name).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(StatementError(format!("{format} does not support the following configs: [{}]", foreign.join(", "))))
}

/// Checks that a name that is stated is one.
fn check_name(format: Format, full_name: Option<&str>) -> Result<(), StatementError> {
    match full_name {
        Some(blank) if blank.trim().is_empty() => Err(StatementError(format!(
            "fullSchemaName cannot be empty. Format configuration: {{fullSchemaName={blank}{}}}",
            if format == Format::Protobuf { ", unwrapPrimitives=true" } else { "" }
        ))),
        _ => Ok(()),
    }
}
