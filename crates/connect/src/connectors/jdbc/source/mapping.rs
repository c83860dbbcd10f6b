//! Columns and their values as schemas and values of Connect.

use std::sync::Arc;

use bigdecimal::{BigDecimal, ToPrimitive};
use bytes::Bytes;

use super::clock::{self, Clock, Moment};
use super::config::{KeyMode, SourceConfig};
use crate::connectors::jdbc::database::{Column, Row, SqlType, SqlValue, parse_decimal};
use crate::connectors::jdbc::dialect::Dialect;
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Struct, Typed, Value, logical};

/// Digits of a decimal, as the Avro converter wants to know them.
const PRECISION: &str = "connect.decimal.precision";
/// Digits after the point where the column does not say how many it has (PostgreSQL's plain `numeric`).
const UNBOUNDED_SCALE: i32 = 38;

/// What becomes of decimals (`numeric.mapping`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumericMapping {
    fit: Fit,
    /// Columns that the database calls DECIMAL too.
    with_decimal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    None,
    PrecisionOnly,
    Best,
    EagerDouble,
}

impl NumericMapping {
    /// Values of the setting.
    pub const SETTINGS: &'static [&'static str] = &[
        "none",
        "precision_only",
        "best_fit",
        "best_fit_eager_double",
        "precision_only_with_decimal",
        "best_fit_with_decimal",
        "best_fit_eager_double_with_decimal",
    ];

    /// The value of the setting.
    pub fn from_setting(text: &str) -> Option<NumericMapping> {
        let text = text.to_ascii_lowercase();
        let (name, with_decimal) = match text.strip_suffix("_with_decimal") {
            Some(name) => (name, true),
            None => (text.as_str(), false),
        };
        let fit = match name {
            "none" if !with_decimal => Fit::None,
            "precision_only" => Fit::PrecisionOnly,
            "best_fit" => Fit::Best,
            "best_fit_eager_double" => Fit::EagerDouble,
            _ => return None,
        };
        Some(NumericMapping { fit, with_decimal })
    }

    fn reader(self, column: &Column) -> Reader {
        let (precision, scale) = (column.precision, column.scale);
        let is_unbounded = precision == 0;
        let decimal = Reader::Decimal(if is_unbounded { UNBOUNDED_SCALE } else { scale });
        if column.kind == SqlType::Decimal && !self.with_decimal {
            return decimal;
        }
        match self.fit {
            Fit::None => decimal,
            Fit::PrecisionOnly if scale == 0 && !is_unbounded => integer(precision).unwrap_or(decimal),
            Fit::PrecisionOnly => decimal,
            Fit::Best | Fit::EagerDouble if is_unbounded => Reader::Float64,
            Fit::EagerDouble if scale > 0 => Reader::Float64,
            Fit::Best | Fit::EagerDouble if scale <= 0 => integer(precision).unwrap_or(decimal),
            Fit::Best | Fit::EagerDouble if precision <= 18 => Reader::Float64,
            Fit::Best | Fit::EagerDouble => decimal,
        }
    }
}

/// The smallest integer that has room for this many digits.
fn integer(precision: u32) -> Option<Reader> {
    Some(match precision {
        0..=2 => Reader::Int8,
        3..=4 => Reader::Int16,
        5..=9 => Reader::Int32,
        10..=18 => Reader::Int64,
        _ => return None,
    })
}

/// How dates with times are written (`timestamp.granularity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampGranularity {
    /// Connect's Timestamp, in milliseconds.
    Logical,
    /// Microseconds since the epoch.
    MicrosLong,
    /// The same as text.
    MicrosString,
    /// What the clock in `db.timezone` shows, with microseconds.
    MicrosIso,
    /// Nanoseconds since the epoch.
    NanosLong,
    /// The same as text.
    NanosString,
    /// What the clock in `db.timezone` shows, with nanoseconds.
    NanosIso,
}

impl TimestampGranularity {
    /// Values of the setting.
    pub const SETTINGS: &'static [&'static str] = &[
        "connect_logical",
        "nanos_long",
        "nanos_string",
        "nanos_iso_datetime_string",
        "micros_long",
        "micros_string",
        "micros_iso_datetime_string",
    ];

    /// The value of the setting.
    pub fn from_setting(text: &str) -> Option<TimestampGranularity> {
        Some(match text.to_ascii_lowercase().as_str() {
            "connect_logical" => TimestampGranularity::Logical,
            "nanos_long" => TimestampGranularity::NanosLong,
            "nanos_string" => TimestampGranularity::NanosString,
            "nanos_iso_datetime_string" => TimestampGranularity::NanosIso,
            "micros_long" => TimestampGranularity::MicrosLong,
            "micros_string" => TimestampGranularity::MicrosString,
            "micros_iso_datetime_string" => TimestampGranularity::MicrosIso,
            _ => return None,
        })
    }

    fn schema(self) -> Schema {
        match self {
            TimestampGranularity::Logical => logical::timestamp(),
            TimestampGranularity::MicrosLong | TimestampGranularity::NanosLong => Schema::new(Kind::Int64),
            _ => Schema::new(Kind::String),
        }
    }

    fn value(self, moment: Moment, clock: &Clock) -> Value {
        match self {
            TimestampGranularity::Logical => Value::Timestamp(moment.millis()),
            TimestampGranularity::MicrosLong => Value::Int64(moment.micros()),
            TimestampGranularity::MicrosString => Value::String(moment.micros().to_string()),
            TimestampGranularity::MicrosIso => {
                Value::String(clock.shows(moment).0.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string())
            }
            TimestampGranularity::NanosLong => Value::Int64(moment.nanos()),
            TimestampGranularity::NanosString => Value::String(moment.nanos().to_string()),
            TimestampGranularity::NanosIso => {
                Value::String(clock.shows(moment).0.strftime("%Y-%m-%dT%H:%M:%S%.9f").to_string())
            }
        }
    }
}

/// What a column is read as.
#[derive(Debug, Clone, PartialEq)]
enum Reader {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal(i32),
    String,
    Bytes,
    Date,
    Time,
    Timestamp,
    Array(Box<Reader>),
}

/// How the rows of one result become records.
#[derive(Debug)]
pub(super) struct RowMapping {
    schema: SchemaRef,
    /// One for each column; `None`: it is left out.
    fields: Vec<Option<(Arc<str>, Reader)>>,
    key: Option<KeyMapping>,
    clock: Clock,
    granularity: TimestampGranularity,
}

#[derive(Debug)]
struct KeyMapping {
    schema: SchemaRef,
    /// Positions of the fields in the value.
    fields: Vec<usize>,
}

impl RowMapping {
    /// The mapping of a result with these columns; `name` is the struct's.
    ///
    /// # Errors
    /// Columns of the key that are not there.
    pub fn new(
        columns: &[Column],
        name: Option<&str>,
        dialect: Dialect,
        config: &SourceConfig,
    ) -> Result<RowMapping, DataError> {
        let mut fields = Vec::with_capacity(columns.len());
        let mut schemas = Vec::with_capacity(columns.len());
        let mut key_columns = Vec::new();
        for column in columns {
            let Some(reader) = reader(column, dialect, config) else {
                tracing::warn!(
                    "column {} of type {} is left out: Connect has no such type",
                    column.name,
                    column.type_name
                );
                fields.push(None);
                continue;
            };
            let mut schema = field_schema(&reader, column, config.granularity);
            schema.optional = column.nullable;
            let name: Arc<str> = column.name.as_str().into();
            if column.primary_key {
                key_columns.push(column.name.clone());
            }
            schemas.push(Field::new(Arc::clone(&name), schema));
            fields.push(Some((name, reader)));
        }
        let schema = Schema::structure(schemas);
        let key_columns = match &config.key {
            KeyMode::None => Vec::new(),
            KeyMode::PrimaryKey => key_columns,
            KeyMode::Columns(columns) => columns.clone(),
        };
        let key = KeyMapping::new(&schema, &key_columns)?;
        let schema = Arc::new(match name {
            Some(name) => schema.named(name),
            None => schema,
        });
        let clock = Clock::new(config.zone.clone(), config.julian);
        Ok(RowMapping { schema, fields, key, clock, granularity: config.granularity })
    }

    /// Key and value of a row.
    ///
    /// # Errors
    /// A value that its column's type in Connect has no room for.
    pub fn read(&self, row: Row) -> Result<(Typed, Typed), DataError> {
        let mut values = Vec::with_capacity(self.fields.len());
        for (value, field) in row.into_iter().zip(&self.fields) {
            if let Some((name, reader)) = field {
                values.push(self.value(value, reader).map_err(|why| DataError::new(format!("Column {name}: {why}")))?);
            }
        }
        let key = self.key.as_ref().map_or_else(|| Ok(Typed::null()), |key| key.read(&values))?;
        let value = Value::Struct(Struct::new(Arc::clone(&self.schema), values)?);
        Ok((key, Typed::new(Arc::clone(&self.schema), value)))
    }

    fn value(&self, value: SqlValue, reader: &Reader) -> Result<Value, String> {
        Ok(match (reader, value) {
            (_, SqlValue::Null) => Value::Null,
            (Reader::Int32, SqlValue::Int(value)) => Value::Int32(narrow(value)?),
            (Reader::Int64, SqlValue::Int(value)) => Value::Int64(value),
            (Reader::Int64, SqlValue::UInt(value)) => Value::Int64(narrow(value)?),
            (Reader::Int16, SqlValue::Int(value)) => Value::Int16(narrow(value)?),
            // Eight bits of a BIT column have no sign.
            (Reader::Int8, SqlValue::Int(value @ 128..=255)) => Value::Int8((value as u8).cast_signed()),
            (Reader::Int8, SqlValue::Int(value)) => Value::Int8(narrow(value)?),
            (Reader::String, SqlValue::Text(text)) => Value::String(text),
            (Reader::Bytes, SqlValue::Bytes(bytes)) => Value::Bytes(bytes),
            (Reader::Boolean, SqlValue::Bool(value)) => Value::Boolean(value),
            (Reader::Float64, SqlValue::Double(value)) => Value::Float64(value),
            (Reader::Float32, SqlValue::Float(value)) => Value::Float32(value),
            (Reader::Decimal(scale), SqlValue::Decimal(value)) => Value::Decimal(with_scale(value, *scale)?),
            (Reader::Date, SqlValue::Date(date)) => Value::Date(self.clock.days(date)),
            (Reader::Time, SqlValue::Time(time)) => Value::Time(clock::millis_of_day(time)),
            (Reader::Timestamp, value) => self.granularity.value(moment(&value, &self.clock)?, &self.clock),
            (Reader::Array(element), SqlValue::Array(values)) => {
                let values: Result<Vec<Value>, String> =
                    values.into_iter().map(|value| self.value(value, element)).collect();
                Value::Array(values?)
            }
            (reader, value) => self.converted(value, reader)?,
        })
    }

    /// Values that are not of the type that the column was declared with, which SQLite allows.
    fn converted(&self, value: SqlValue, reader: &Reader) -> Result<Value, String> {
        let refused = || format!("{value:?} is not of the column's type {reader:?}");
        let number = |value: &SqlValue| decimal_of(value).ok_or_else(refused);
        let whole = |value: &SqlValue| {
            let number = number(value)?;
            if number.is_integer() { number.to_i64().ok_or_else(refused) } else { Err(refused()) }
        };
        Ok(match reader {
            Reader::Int8 => Value::Int8(narrow(whole(&value)?)?),
            Reader::Int16 => Value::Int16(narrow(whole(&value)?)?),
            Reader::Int32 => Value::Int32(narrow(whole(&value)?)?),
            Reader::Int64 => Value::Int64(whole(&value)?),
            Reader::Boolean => Value::Boolean(match &value {
                SqlValue::Text(text) if text.eq_ignore_ascii_case("true") => true,
                SqlValue::Text(text) if text.eq_ignore_ascii_case("false") => false,
                value => whole(value)? != 0,
            }),
            #[expect(clippy::cast_possible_truncation, reason = "the schema has no more digits")]
            Reader::Float32 => Value::Float32(double_of(&value).ok_or_else(refused)? as f32),
            Reader::Float64 => Value::Float64(double_of(&value).ok_or_else(refused)?),
            Reader::Decimal(scale) => Value::Decimal(with_scale(number(&value)?, *scale)?),
            Reader::String => Value::String(text_of(value)),
            Reader::Bytes => Value::Bytes(match value {
                SqlValue::Text(text) => Bytes::from(text),
                other => Bytes::from(text_of(other)),
            }),
            Reader::Date => match &value {
                SqlValue::Text(text) => {
                    Value::Date(self.clock.days(text.get(..10).and_then(|day| day.parse().ok()).ok_or_else(refused)?))
                }
                value => {
                    let days = moment(value, &self.clock)?.seconds.div_euclid(86_400);
                    Value::Date(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
                }
            },
            Reader::Time => match &value {
                SqlValue::Text(text) => Value::Time(clock::millis_of_day(text.parse().map_err(|_| refused())?)),
                value => Value::Time(narrow(whole(value)?.rem_euclid(86_400_000))?),
            },
            Reader::Timestamp | Reader::Array(_) => return Err(refused()),
        })
    }
}

impl KeyMapping {
    fn new(schema: &Schema, columns: &[String]) -> Result<Option<KeyMapping>, DataError> {
        let mut fields = Vec::new();
        for column in columns {
            let index = schema
                .field_index(column)
                .or_else(|| schema.fields().iter().position(|field| field.name.eq_ignore_ascii_case(column)));
            fields
                .push(index.ok_or_else(|| DataError::new(format!("The key's column {column} is not in the result")))?);
        }
        let of = |index: &usize| schema.fields().get(*index).cloned();
        Ok(match fields.as_slice() {
            [] => None,
            [one] => of(one).map(|field| KeyMapping { schema: field.schema, fields: vec![*one] }),
            several => {
                let schema = Arc::new(Schema::structure(several.iter().filter_map(of).collect()));
                Some(KeyMapping { schema, fields })
            }
        })
    }

    fn read(&self, values: &[Value]) -> Result<Typed, DataError> {
        let mut parts = self.fields.iter().filter_map(|index| values.get(*index).cloned());
        let value = match &self.schema.kind {
            Kind::Struct(_) => Value::Struct(Struct::new(Arc::clone(&self.schema), parts.collect())?),
            _ => parts.next().unwrap_or(Value::Null),
        };
        Ok(Typed::new(Arc::clone(&self.schema), value))
    }
}

/// What a column is read as; `None`: not at all.
fn reader(column: &Column, dialect: Dialect, config: &SourceConfig) -> Option<Reader> {
    let sized = |signed: Reader, unsigned: Reader| if column.signed { signed } else { unsigned };
    Some(match &column.kind {
        SqlType::Boolean => Reader::Boolean,
        SqlType::Bit(1) if dialect == Dialect::Postgres => Reader::Boolean,
        SqlType::Bit(1) if column.type_name == "tinyint" => sized(Reader::Int8, Reader::Int16),
        SqlType::Bit(0..=8) => Reader::Int8,
        SqlType::Bit(_) | SqlType::Binary => Reader::Bytes,
        SqlType::TinyInt => sized(Reader::Int8, Reader::Int16),
        SqlType::SmallInt => sized(Reader::Int16, Reader::Int32),
        SqlType::Integer => sized(Reader::Int32, Reader::Int64),
        SqlType::BigInt => Reader::Int64,
        SqlType::Real => Reader::Float32,
        SqlType::Double => Reader::Float64,
        SqlType::Numeric | SqlType::Decimal => config.numeric.reader(column),
        SqlType::Text => Reader::String,
        SqlType::Date => Reader::Date,
        SqlType::Time => Reader::Time,
        SqlType::DateTime | SqlType::Moment => Reader::Timestamp,
        SqlType::Array(element) if config.arrays => {
            let element = Column { kind: (**element).clone(), ..column.clone() };
            Reader::Array(Box::new(reader(&element, dialect, config)?))
        }
        SqlType::Array(_) | SqlType::Other => return None,
    })
}

fn field_schema(reader: &Reader, column: &Column, granularity: TimestampGranularity) -> Schema {
    match reader {
        Reader::Boolean => Schema::new(Kind::Boolean),
        Reader::Int8 => Schema::new(Kind::Int8),
        Reader::Int16 => Schema::new(Kind::Int16),
        Reader::Int32 => Schema::new(Kind::Int32),
        Reader::Int64 => Schema::new(Kind::Int64),
        Reader::Float32 => Schema::new(Kind::Float32),
        Reader::Float64 => Schema::new(Kind::Float64),
        Reader::Decimal(scale) => match column.precision {
            0 => logical::decimal(*scale),
            precision => logical::decimal(*scale).parameter(PRECISION, precision.to_string()),
        },
        Reader::String => Schema::new(Kind::String),
        Reader::Bytes => Schema::new(Kind::Bytes),
        Reader::Date => logical::date(),
        Reader::Time => logical::time(),
        Reader::Timestamp => granularity.schema(),
        Reader::Array(element) => {
            Schema::new(Kind::Array(Arc::new(field_schema(element, column, granularity).optional())))
        }
    }
}

/// The moment of a date with a time, in whichever way the database has stored it.
pub(super) fn moment(value: &SqlValue, clock: &Clock) -> Result<Moment, String> {
    Ok(match value {
        SqlValue::DateTime(shown) => clock.moment(*shown),
        SqlValue::Date(date) => clock.moment(date.to_datetime(jiff::civil::Time::midnight())),
        SqlValue::Moment { clock: shown, ahead } => {
            let as_utc = Clock::new(jiff::tz::TimeZone::UTC, false).moment(*shown);
            Moment { seconds: as_utc.seconds - i64::from(*ahead), nanos: as_utc.nanos }
        }
        SqlValue::Infinity(after) => clock::infinity(*after),
        SqlValue::Text(text) => clock::parse(text, clock).ok_or_else(|| format!("{text} is no date and time"))?,
        SqlValue::Int(millis) => Moment::from_millis(*millis),
        SqlValue::Double(number) => clock::of_julian_day(*number),
        other => return Err(format!("{other:?} is no date and time")),
    })
}

fn narrow<T: Copy + std::fmt::Display, U: TryFrom<T>>(value: T) -> Result<U, String> {
    U::try_from(value).map_err(|_| format!("{value} is out of the range of the type that the column is mapped to"))
}

fn decimal_of(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Decimal(value) => Some(value.clone()),
        SqlValue::Int(value) => Some(BigDecimal::from(*value)),
        SqlValue::UInt(value) => Some(BigDecimal::from(*value)),
        SqlValue::Bool(value) => Some(BigDecimal::from(i64::from(*value))),
        // What is printed is what was meant: 0.1 is stored as a number that is a little more.
        SqlValue::Double(value) => parse_decimal(&value.to_string()),
        SqlValue::Float(value) => parse_decimal(&value.to_string()),
        SqlValue::Text(text) => parse_decimal(text.trim()),
        _ => None,
    }
}

fn double_of(value: &SqlValue) -> Option<f64> {
    match value {
        SqlValue::Double(value) => Some(*value),
        SqlValue::Float(value) => Some(f64::from(*value)),
        value => decimal_of(value)?.to_f64(),
    }
}

fn text_of(value: SqlValue) -> String {
    match value {
        SqlValue::Text(text) => text,
        SqlValue::Int(value) => value.to_string(),
        SqlValue::UInt(value) => value.to_string(),
        SqlValue::Bool(value) => value.to_string(),
        SqlValue::Float(value) => value.to_string(),
        SqlValue::Double(value) => value.to_string(),
        SqlValue::Decimal(value) => value.to_plain_string(),
        SqlValue::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        SqlValue::Date(date) => date.to_string(),
        SqlValue::Time(time) => time.to_string(),
        SqlValue::DateTime(clock) | SqlValue::Moment { clock, .. } => clock.to_string(),
        SqlValue::Infinity(after) => if after { "infinity" } else { "-infinity" }.to_owned(),
        SqlValue::Null | SqlValue::Array(_) => String::new(),
    }
}

/// The same number with exactly this many digits after the point.
fn with_scale(value: BigDecimal, scale: i32) -> Result<BigDecimal, String> {
    let scale = i64::from(scale);
    if value.fractional_digit_count() == scale {
        return Ok(value);
    }
    let scaled = value.with_scale(scale);
    if scaled != value {
        return Err(format!(
            "{} has more than {scale} digits after the point; numeric.mapping=best_fit reads such columns as numbers with \
             a floating point",
            value.to_plain_string()
        ));
    }
    Ok(scaled)
}
