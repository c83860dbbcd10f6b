//! `WITH (...)`: the properties of a source or sink, read and checked.

use crate::ast::{Literal, Properties, TimeUnit};
use crate::catalog::source::{WindowInfo, WindowShape};
use crate::catalog::{Settings, StatementError};
use crate::formats::{Format, FormatSpec, NullableRepresentation};
use crate::functions::date_format::Pattern;

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
    /// `QUERY_ID`.
    pub query_id: Option<String>,
}

/// The properties that a statement may have, with what they mean to users.
pub const PROPERTIES: &[(&str, &str)] = &[
    ("KAFKA_TOPIC", "the topic; of a query's result the name of the stream or table unless given"),
    ("PARTITIONS", "partitions of a topic that is to be created"),
    ("REPLICAS", "replicas of a topic that is to be created"),
    ("RETENTION_MS", "how long a topic that is to be created keeps records"),
    ("CLEANUP_POLICY", "`delete` or `compact`, of a topic that is to be created"),
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
    ("SOURCED_BY_CONNECTOR", "the connector that writes the topic; for information"),
    ("QUERY_ID", "the id of the query that the statement starts"),
];

impl With {
    /// Reads the properties of a statement.
    ///
    /// # Errors
    /// Names that nobody knows, values of the wrong type, and combinations that contradict each other.
    pub fn read(properties: &Properties) -> Result<With, StatementError> {
        if let Some(unknown) =
            properties.keys().find(|name| !PROPERTIES.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)))
        {
            return Err(invalid_property(unknown));
        }
        let reader = Reader { properties };
        for side in ["KEY_FORMAT", "VALUE_FORMAT"] {
            if reader.get("FORMAT").is_some() && reader.get(side).is_some() {
                return Err(StatementError(format!(
                    "Cannot supply both '{side}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. \
                     Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
                )));
            }
        }
        if reader.get("VALUE_AVRO_SCHEMA_FULL_NAME").is_some() && reader.get("VALUE_SCHEMA_FULL_NAME").is_some() {
            return Err(StatementError::new(
                "Cannot supply both 'VALUE_AVRO_SCHEMA_FULL_NAME' and 'VALUE_SCHEMA_FULL_NAME' properties. Please only set \
                 'VALUE_SCHEMA_FULL_NAME'.",
            ));
        }
        let format = reader.format("FORMAT")?;
        Ok(With {
            topic: reader.text("KAFKA_TOPIC"),
            partitions: reader.integer("PARTITIONS")?,
            replicas: reader.integer("REPLICAS")?,
            retention_ms: reader.integer("RETENTION_MS")?,
            key_format: reader.format("KEY_FORMAT")?.or(format),
            value_format: reader.format("VALUE_FORMAT")?.or(format),
            key_delimiter: reader.delimiter("KEY_DELIMITER")?,
            value_delimiter: reader.delimiter("VALUE_DELIMITER")?,
            wrap: reader.boolean("WRAP_SINGLE_VALUE")?,
            timestamp: reader.text("TIMESTAMP").map(|name| identifier(&name)),
            timestamp_format: reader.time_pattern("TIMESTAMP_FORMAT")?,
            window: reader.window()?,
            key_schema_id: reader.integer("KEY_SCHEMA_ID")?,
            value_schema_id: reader.integer("VALUE_SCHEMA_ID")?,
            key_full_name: reader.full_name("KEY_SCHEMA_FULL_NAME")?,
            value_full_name: match reader.full_name("VALUE_SCHEMA_FULL_NAME")? {
                Some(name) => Some(name),
                None => reader.full_name("VALUE_AVRO_SCHEMA_FULL_NAME")?,
            },
            key_nullable: reader.nullable("KEY_PROTOBUF_NULLABLE_REPRESENTATION")?,
            value_nullable: reader.nullable("VALUE_PROTOBUF_NULLABLE_REPRESENTATION")?,
            query_id: reader.text("QUERY_ID").map(|id| id.to_uppercase()),
        })
    }

    /// Reads the properties of `CREATE ... AS SELECT`: windows come from the query, not from them.
    ///
    /// # Errors
    /// As [`With::read`]; a property that only sources have.
    pub fn read_for_query(properties: &Properties) -> Result<With, StatementError> {
        const SOURCE_ONLY: [&str; 3] = ["WINDOW_TYPE", "WINDOW_SIZE", "SOURCED_BY_CONNECTOR"];
        let foreign = properties.keys().find(|name| SOURCE_ONLY.iter().any(|known| known.eq_ignore_ascii_case(name)));
        foreign.map_or_else(|| With::read(properties), |name| Err(invalid_property(name)))
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

fn invalid_property(name: &str) -> StatementError {
    StatementError(format!(
        "Failed to prepare statement: Invalid config variable(s) in the WITH clause: {}",
        name.to_ascii_uppercase()
    ))
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

/// A column name in a property: quoted names keep their case.
fn identifier(text: &str) -> String {
    match text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(quoted) => quoted.replace("``", "`"),
        None => text.to_uppercase(),
    }
}

struct Reader<'a> {
    properties: &'a Properties,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<&Literal> {
        self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|literal| match literal {
            Literal::String(text) => text.to_string(),
            other => other.to_string(),
        })
    }

    fn integer<N: TryFrom<i64>>(&self, name: &str) -> Result<Option<N>, StatementError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.trim().parse::<i64>().ok().and_then(|number| N::try_from(number).ok());
        number.map(Some).ok_or_else(|| {
            StatementError(format!(
                "Failed to prepare statement: Invalid value {text} for configuration {name}: Not a number of type INT"
            ))
        })
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, StatementError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(StatementError(format!(
                "Failed to prepare statement: Invalid value {text} for configuration {name}: Expected value to be \
                 either true or false"
            ))),
        }
    }

    fn format(&self, name: &str) -> Result<Option<Format>, StatementError> {
        self.text(name).map(|text| text.parse()).transpose().map_err(StatementError::from)
    }

    fn delimiter(&self, name: &str) -> Result<Option<char>, StatementError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let refused = |why: String| {
            Err(StatementError(format!("Failed to prepare statement: Configuration {name} is invalid: {why}")))
        };
        if text.trim().is_empty() {
            return refused(
                "Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use the special \
                 values 'TAB' or 'SPACE'\nExample valid value: ';'"
                    .to_owned(),
            );
        }
        let mut characters = text.chars();
        match (text.as_str(), characters.next(), characters.next()) {
            ("TAB", _, _) => Ok(Some('\t')),
            ("SPACE", _, _) => Ok(Some(' ')),
            (_, Some(single), None) => Ok(Some(single)),
            _ => refused(format!(
                "Invalid delimiter value: '{text}'. Delimiter must be a single character or TAB,SPACE\nExample valid value: ';'"
            )),
        }
    }

    fn full_name(&self, name: &str) -> Result<Option<String>, StatementError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if text.trim().is_empty() {
            return Err(StatementError(format!(
                "fullSchemaName cannot be empty. Format configuration: {{fullSchemaName={text}}}"
            )));
        }
        Ok(Some(text))
    }

    fn time_pattern(&self, name: &str) -> Result<Option<String>, StatementError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        Pattern::new(&text).map_err(|error| {
            StatementError(format!(
                "Failed to prepare statement: Invalid datatime format for config:{name}, reason:{error}, value:{text}"
            ))
        })?;
        Ok(Some(text))
    }

    fn nullable(&self, name: &str) -> Result<Option<NullableRepresentation>, StatementError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_uppercase().as_str() {
            "OPTIONAL" => Ok(Some(NullableRepresentation::Optional)),
            "WRAPPER" => Ok(Some(NullableRepresentation::Wrapper)),
            _ => Err(StatementError(format!(
                "Failed to prepare statement: Invalid value {text} for configuration {name}: String must be one of: \
                 OPTIONAL, WRAPPER, null"
            ))),
        }
    }

    fn window(&self) -> Result<Option<WindowInfo>, StatementError> {
        let size = self.text("WINDOW_SIZE");
        let Some(shape) = self.text("WINDOW_TYPE") else {
            return match size {
                Some(_) => Err(StatementError::new("'WINDOW_SIZE' should not be set when 'WINDOW_TYPE' is not set.")),
                None => Ok(None),
            };
        };
        let shape = match shape.to_uppercase().as_str() {
            "TUMBLING" => WindowShape::Tumbling,
            "HOPPING" => WindowShape::Hopping,
            "SESSION" => WindowShape::Session,
            other => {
                return Err(StatementError(format!(
                    "Failed to prepare statement: Invalid value {other} for configuration WINDOW_TYPE: String must be \
                     one of: SESSION, HOPPING, TUMBLING, null"
                )));
            }
        };
        let size_ms = match (shape, size) {
            (WindowShape::Session, Some(_)) => {
                return Err(StatementError::new("'WINDOW_SIZE' should not be set for SESSION windows."));
            }
            (WindowShape::Session, None) => None,
            (_, None) => {
                return Err(StatementError(format!(
                    "{} windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: \
                     'WINDOW_SIZE'='10 SECONDS'",
                    shape.name()
                )));
            }
            (_, Some(size)) => Some(duration_ms(&size)?),
        };
        Ok(Some(WindowInfo { shape, size_ms }))
    }
}

/// `20 SECONDS` in milliseconds.
fn duration_ms(text: &str) -> Result<i64, StatementError> {
    let refused = || {
        StatementError(format!(
            "Configuration WINDOW_SIZE is invalid: Invalid duration: '{text}'. Expected format: '<value> <unit>', e.g. \
             '10 SECONDS'"
        ))
    };
    let (count, unit) = text.trim().split_once(' ').ok_or_else(refused)?;
    let unit = TimeUnit::parse(unit.trim()).and_then(TimeUnit::milliseconds).ok_or_else(refused)?;
    count.parse::<i64>().ok().and_then(|count| count.checked_mul(unit)).ok_or_else(refused)
}
