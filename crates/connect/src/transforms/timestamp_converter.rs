//! `TimestampConverter`: moments as text, numbers or logical types.

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{SchemaCache, get, into_values, put, require_map, require_struct, structure_like};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::date_format::{DateFormat, MILLIS_PER_DAY};
use crate::data::{DataError, Field, Kind, Schema, Struct, Typed, Value, logical};
use crate::record::Record;

const PURPOSE: &str = "converting timestamp formats";

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.TimestampConverter$Key",
            "org.apache.kafka.connect.transforms.TimestampConverter$Value",
        ],
        def: ConfigDef::new(vec![
            ConfigKey::with_default(
                "field",
                ConfigType::String,
                "",
                Importance::High,
                "The field with the timestamp; empty when the whole key or value is one.",
            ),
            ConfigKey::required("target.type", ConfigType::String, Importance::High, "What it becomes.")
                .checked(Rule::OneOf(&["string", "unix", "Date", "Time", "Timestamp"])),
            ConfigKey::with_default(
                "format",
                ConfigType::String,
                "",
                Importance::Medium,
                "Pattern of java.text.SimpleDateFormat, in UTC, of the text that is written or read.",
            ),
            ConfigKey::with_default(
                "unix.precision",
                ConfigType::String,
                "milliseconds",
                Importance::Low,
                "Unit of numbers that are written or read. What is finer than milliseconds is lost.",
            )
            .checked(Rule::OneOf(&["nanoseconds", "microseconds", "milliseconds", "seconds"])),
            replace_null_with_default(),
        ]),
        create: |parsed, side| {
            let pattern = parsed.get_text("format");
            let target = Form::new(parsed.get_text("target.type"));
            if target == Form::Text && pattern.trim().is_empty() {
                return Err(DataError::new(
                    "TimestampConverter requires format option to be specified when using string timestamps",
                ));
            }
            let format = if pattern.trim().is_empty() { None } else { Some(DateFormat::new(pattern)) };
            let format = format.transpose().map_err(|error| {
                DataError::new(format!(
                    "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: \
                     {pattern}: {error}"
                ))
            })?;
            let convert = Convert { target, format, precision: Precision::new(parsed.get_text("unix.precision")) };
            let field = parsed.get_text("field").to_owned();
            let replace_null = parsed.get_bool(REPLACE_NULL);
            on_side(side, TimestampConverter { field, convert, replace_null, schemas: SchemaCache::default() })
        },
    }
}

struct TimestampConverter {
    field: String,
    convert: Convert,
    replace_null: bool,
    schemas: SchemaCache,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Nanos,
    Micros,
    Millis,
    Seconds,
}

struct Convert {
    target: Form,
    format: Option<DateFormat>,
    precision: Precision,
}

impl Change for TimestampConverter {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        let Some(schema) = typed.schema else { return self.schemaless(typed.value).map(Typed::schemaless) };
        let target = self.convert.target;
        if self.field.is_empty() {
            let form = Form::of_schema(&schema)?;
            let updated = target.schema(schema.optional);
            return Ok(Typed::new(updated.into(), self.convert.convert(form, typed.value)?));
        }
        let value = match typed.value {
            Value::Null => None,
            value => Some(require_struct(value, PURPOSE)?),
        };
        let name = &self.field;
        let updated = self.schemas.get(&schema, |schema| updated_schema(schema, name, target))?;
        let Some(value) = value else { return Ok(Typed::new(updated, Value::Null)) };
        let mut values = into_values(value, self.replace_null);
        if let Some(index) = schema.field_index(name)
            && let (Some(value), Some(field)) = (values.get_mut(index), schema.fields().get(index))
        {
            let form = Form::of_schema(&field.schema)?;
            *value = self.convert.convert(form, std::mem::replace(value, Value::Null))?;
        }
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, values)?)))
    }
}

impl TimestampConverter {
    fn schemaless(&self, value: Value) -> Result<Value, DataError> {
        if value.is_null() {
            return Ok(value);
        }
        if self.field.is_empty() {
            return self.convert.inferred(value);
        }
        let mut entries = require_map(value, PURPOSE)?;
        let converted = match get(&entries, &self.field) {
            Value::Null => Value::Null,
            value => self.convert.inferred(value.clone())?,
        };
        put(&mut entries, &self.field, converted);
        Ok(Value::Map(entries))
    }
}

fn updated_schema(schema: &Schema, name: &str, target: Form) -> Result<Schema, DataError> {
    let fields = schema.fields().iter().map(|field| match &*field.name {
        known if known == name => Field::new(name, target.schema(field.schema.optional)),
        _ => field.clone(),
    });
    let mut updated = structure_like(schema, fields.collect())?;
    updated.optional = schema.optional;
    Ok(updated)
}

impl Form {
    fn new(name: &str) -> Form {
        match name {
            "string" => Form::Text,
            "unix" => Form::Unix,
            "Date" => Form::Date,
            "Time" => Form::Time,
            _ => Form::Timestamp,
        }
    }

    fn of_schema(schema: &Schema) -> Result<Form, DataError> {
        Ok(match (schema.name.as_deref(), &schema.kind) {
            (Some(logical::TIMESTAMP), _) => Form::Timestamp,
            (Some(logical::DATE), _) => Form::Date,
            (Some(logical::TIME), _) => Form::Time,
            (_, Kind::String) => Form::Text,
            (_, Kind::Int64) => Form::Unix,
            _ => {
                let text = format!("Schema {schema} does not correspond to a known timestamp type format");
                return Err(DataError::new(text));
            }
        })
    }

    fn schema(self, optional: bool) -> Schema {
        let schema = match self {
            Form::Text => Schema::new(Kind::String),
            Form::Unix => Schema::new(Kind::Int64),
            Form::Date => logical::date(),
            Form::Time => logical::time(),
            Form::Timestamp => logical::timestamp(),
        };
        Schema { optional, ..schema }
    }
}

impl Convert {
    fn inferred(&self, value: Value) -> Result<Value, DataError> {
        let form = match &value {
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => Form::Timestamp,
            Value::Int64(_) => Form::Unix,
            Value::String(_) => Form::Text,
            value => {
                let class = value.java_class();
                let text = format!("TimestampConverter does not support class {class} objects as timestamps");
                return Err(DataError::new(text));
            }
        };
        self.convert(form, value)
    }

    fn convert(&self, form: Form, value: Value) -> Result<Value, DataError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let millis = self.millis(form, &value)?;
        Ok(match self.target {
            Form::Text => Value::String(self.format.as_ref().map(|format| format.format(millis)).unwrap_or_default()),
            Form::Unix => Value::Int64(self.precision.of_millis(millis)),
            Form::Date => Value::Date(millis.div_euclid(MILLIS_PER_DAY) as i32),
            Form::Time => Value::Time(millis.rem_euclid(MILLIS_PER_DAY) as i32),
            Form::Timestamp => Value::Timestamp(millis),
        })
    }

    fn millis(&self, form: Form, value: &Value) -> Result<i64, DataError> {
        let class = value.java_class();
        match (form, value) {
            (Form::Text, Value::String(text)) => {
                let Some(format) = &self.format else {
                    return Err(DataError::new(
                        "TimestampConverter requires format option to be specified when using string timestamps",
                    ));
                };
                format.parse(text).map_err(|_| {
                    let pattern = format.pattern();
                    DataError::new(format!(
                        "Could not parse timestamp: value ({text}) does not match pattern ({pattern})"
                    ))
                })
            }
            (Form::Text, _) => {
                Err(DataError::new(format!("Expected string timestamp to be a String, but found class {class}")))
            }
            (Form::Unix, Value::Int64(number)) => Ok(self.precision.to_millis(*number)),
            (Form::Unix, _) => {
                Err(DataError::new(format!("Expected Unix timestamp to be a Long, but found class {class}")))
            }
            (form, value) => value.epoch_millis().ok_or_else(|| {
                DataError::new(format!("Expected {form:?} to be a java.util.Date, but found class {class}"))
            }),
        }
    }
}

impl Precision {
    fn new(name: &str) -> Precision {
        match name {
            "nanoseconds" => Precision::Nanos,
            "microseconds" => Precision::Micros,
            "seconds" => Precision::Seconds,
            _ => Precision::Millis,
        }
    }

    /// As Java's `TimeUnit`: cut towards zero, at the limits where it does not fit.
    fn of_millis(self, millis: i64) -> i64 {
        match self {
            Precision::Nanos => millis.saturating_mul(1_000_000),
            Precision::Micros => millis.saturating_mul(1000),
            Precision::Millis => millis,
            Precision::Seconds => millis / 1000,
        }
    }

    fn to_millis(self, number: i64) -> i64 {
        match self {
            Precision::Nanos => number / 1_000_000,
            Precision::Micros => number / 1000,
            Precision::Millis => number,
            Precision::Seconds => number.saturating_mul(1000),
        }
    }
}
