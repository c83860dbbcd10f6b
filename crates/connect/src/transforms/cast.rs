//! `Cast`: fields, or the whole key or value, to another type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{SchemaCache, copy_basics, field_value, get, put, require_map, require_struct, structure_like};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::literal::temporal_text;
use crate::data::number::decimal_to_long;
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Struct, Typed, Value};
use crate::record::Record;

const PURPOSE: &str = "cast types";
const OUTPUT: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";
const INPUT: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]";

pub(super) fn plugin() -> Plugin {
    let spec = ConfigKey::required(
        "spec",
        ConfigType::List,
        Importance::High,
        "Fields with the types to cast them to, as field1:type,field2:type, or one type for the whole key or value. \
         Types are int8, int16, int32, int64, float32, float64, boolean and string; bytes can only be cast to string.",
    );
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.Cast$Key", "org.apache.kafka.connect.transforms.Cast$Value"],
        def: ConfigDef::new(vec![
            spec.checked(Rule::Whole(|_, value| {
                let elements: Vec<&str> = value.split(',').filter(|_| !value.is_empty()).collect();
                Spec::new(&elements).map(|_| ())
            })),
            replace_null_with_default(),
        ]),
        create: |parsed, side| {
            let elements: Vec<&str> = parsed.get_list("spec").iter().map(String::as_str).collect();
            let spec = Spec::new(&elements).map_err(DataError::new)?;
            on_side(side, Cast { spec, replace_null: parsed.get_bool(REPLACE_NULL), schemas: SchemaCache::default() })
        },
    }
}

struct Cast {
    spec: Spec,
    replace_null: bool,
    schemas: SchemaCache,
}

enum Spec {
    Whole(Kind),
    Fields(Vec<(String, Kind)>),
}

impl Spec {
    fn new(elements: &[&str]) -> Result<Spec, String> {
        let mut fields = Vec::new();
        let mut whole = None;
        for element in elements {
            match element.split(':').collect::<Vec<&str>>()[..] {
                [kind] => whole = Some(output_kind(kind.trim())?),
                [field, kind] => fields.push((field.trim().to_owned(), output_kind(kind.trim())?)),
                _ => {
                    let given = elements.join(", ");
                    return Err(format!(
                        "Invalid value [{given}] for configuration renames: Invalid rename mapping: {element}"
                    ));
                }
            }
        }
        match whole {
            _ if elements.is_empty() => Err("Must specify at least one field to cast.".to_owned()),
            Some(_) if elements.len() > 1 => Err("Cast transformations that specify a type to cast the entire value \
                 to may only specify a single cast in their spec"
                .to_owned()),
            Some(kind) => Ok(Spec::Whole(kind)),
            None => Ok(Spec::Fields(fields)),
        }
    }
}

fn output_kind(name: &str) -> Result<Kind, String> {
    let upper = name.to_uppercase();
    Ok(match upper.as_str() {
        "INT8" => Kind::Int8,
        "INT16" => Kind::Int16,
        "INT32" => Kind::Int32,
        "INT64" => Kind::Int64,
        "FLOAT32" => Kind::Float32,
        "FLOAT64" => Kind::Float64,
        "BOOLEAN" => Kind::Boolean,
        "STRING" => Kind::String,
        "BYTES" | "ARRAY" | "MAP" | "STRUCT" => {
            return Err(format!(
                "Cast transformation does not support casting to {upper}; supported types are {OUTPUT}"
            ));
        }
        _ => return Err(format!("Invalid type found in casting spec: {name}")),
    })
}

impl Change for Cast {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        if typed.value.is_null() {
            return Ok(typed);
        }
        let Some(schema) = typed.schema else { return self.schemaless(typed.value).map(Typed::schemaless) };
        let spec = &self.spec;
        let updated = self.schemas.get(&schema, |schema| updated_schema(spec, schema))?;
        let casts = match spec {
            Spec::Whole(kind) => return Ok(Typed::new(updated, cast(Some(&schema), typed.value, kind)?)),
            Spec::Fields(casts) => casts,
        };
        let value = require_struct(typed.value, PURPOSE)?;
        let fields = schema.fields().iter().enumerate().map(|(index, field)| {
            let value = field_value(&value, index, self.replace_null);
            match cast_of(casts, &field.name) {
                Some(kind) => cast(Some(&field.schema), value, kind),
                None => Ok(value),
            }
        });
        let values: Result<Vec<Value>, DataError> = fields.collect();
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, values?)?)))
    }
}

impl Cast {
    fn schemaless(&self, value: Value) -> Result<Value, DataError> {
        let casts = match &self.spec {
            Spec::Whole(kind) => return cast(None, value, kind),
            Spec::Fields(casts) => casts,
        };
        let mut entries = require_map(value, PURPOSE)?;
        for (field, kind) in casts {
            let value = cast(None, get(&entries, field).clone(), kind)?;
            put(&mut entries, field, value);
        }
        Ok(Value::Map(entries))
    }
}

fn cast_of<'a>(casts: &'a [(String, Kind)], field: &str) -> Option<&'a Kind> {
    casts.iter().rev().find(|(name, _)| name == field).map(|(_, kind)| kind)
}

fn updated_schema(spec: &Spec, schema: &SchemaRef) -> Result<Schema, DataError> {
    let mut updated = match (spec, &schema.kind) {
        (Spec::Whole(kind), _) => {
            let mut updated = copy_basics(schema, Schema::new(kind.clone()));
            if let Some(default) = &schema.default {
                updated.default = Some(cast(Some(schema), default.clone(), kind)?);
            }
            updated
        }
        (Spec::Fields(casts), Kind::Struct(fields)) => {
            let field = |field: &Field| {
                let Some(kind) = cast_of(casts, &field.name) else { return Ok(field.clone()) };
                let mut updated = Schema::new(kind.clone());
                updated.optional = field.schema.optional;
                if let Some(default) = &field.schema.default {
                    updated.default = Some(cast(Some(&field.schema), default.clone(), kind)?);
                }
                Ok(Field::new(field.name.clone(), updated))
            };
            let fields: Result<Vec<Field>, DataError> = fields.iter().map(field).collect();
            structure_like(schema, fields?)?
        }
        _ => return Err(DataError::new("Cannot list fields on non-struct type")),
    };
    updated.optional = schema.optional;
    Ok(updated)
}

/// A value as one of another type, with Java's narrowing.
fn cast(schema: Option<&SchemaRef>, value: Value, target: &Kind) -> Result<Value, DataError> {
    if value.is_null() {
        return Ok(value);
    }
    check_input(schema, &value)?;
    if *target == Kind::String {
        return Ok(Value::String(match &value {
            Value::Bytes(bytes) => STANDARD.encode(bytes),
            value => value.epoch_millis().map_or_else(|| value.to_string(), temporal_text),
        }));
    }
    let number = match &value {
        Value::String(text) => return parse(text, target),
        Value::Boolean(value) => Number::Whole(i64::from(*value)),
        Value::Int8(value) => Number::Whole(i64::from(*value)),
        Value::Int16(value) => Number::Whole(i64::from(*value)),
        Value::Int32(value) | Value::Date(value) | Value::Time(value) => Number::Whole(i64::from(*value)),
        Value::Int64(value) | Value::Timestamp(value) => Number::Whole(*value),
        Value::Float32(value) => Number::Double(f64::from(*value)),
        Value::Float64(value) => Number::Double(*value),
        Value::Decimal(value) => Number::Decimal(value),
        value => {
            let class = value.java_class();
            return Err(DataError::new(format!("Unexpected type in Cast transformation: class {class}")));
        }
    };
    Ok(number.to(target))
}

fn check_input(schema: Option<&SchemaRef>, value: &Value) -> Result<(), DataError> {
    let kind = match (schema, value) {
        (Some(schema), _) => schema.type_name(),
        (None, Value::Array(_)) => "ARRAY",
        (None, Value::Map(_)) => "MAP",
        (None, Value::Struct(_)) => "STRUCT",
        (None, Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Decimal(_)) => {
            let class = value.java_class();
            return Err(DataError::new(format!(
                "Cast transformation was passed a value of type class {class} which is not supported by Connect's \
                 data API"
            )));
        }
        _ => return Ok(()),
    };
    if matches!(kind, "ARRAY" | "MAP" | "STRUCT") {
        let text = format!("Cast transformation does not support casting from {kind}; supported types are {INPUT}");
        return Err(DataError::new(text));
    }
    Ok(())
}

enum Number<'a> {
    Whole(i64),
    Double(f64),
    Decimal(&'a BigDecimal),
}

impl Number<'_> {
    fn to(&self, target: &Kind) -> Value {
        // Java narrows floating point to 32 or 64 bits, the nearest that fits, before it cuts bits off.
        let (int, long, double) = match self {
            Number::Whole(whole) => (*whole as i32, *whole, *whole as f64),
            Number::Double(double) => (*double as i32, *double as i64, *double),
            Number::Decimal(decimal) => {
                let long = decimal_to_long(decimal);
                (long as i32, long, decimal.to_string().parse().unwrap_or_default())
            }
        };
        match target {
            Kind::Int8 => Value::Int8(int as i8),
            Kind::Int16 => Value::Int16(int as i16),
            Kind::Int32 => Value::Int32(int),
            Kind::Int64 => Value::Int64(long),
            Kind::Float32 => Value::Float32(match self {
                Number::Whole(whole) => *whole as f32,
                _ => double as f32,
            }),
            Kind::Float64 => Value::Float64(double),
            _ => Value::Boolean(long != 0),
        }
    }
}

fn parse(text: &str, target: &Kind) -> Result<Value, DataError> {
    let parsed = match target {
        Kind::Int8 => text.parse().ok().map(Value::Int8),
        Kind::Int16 => text.parse().ok().map(Value::Int16),
        Kind::Int32 => text.parse().ok().map(Value::Int32),
        Kind::Int64 => text.parse().ok().map(Value::Int64),
        Kind::Float32 => float(text).map(Value::Float32),
        Kind::Float64 => float(text).map(Value::Float64),
        _ => Some(Value::Boolean(text.eq_ignore_ascii_case("true"))),
    };
    parsed.ok_or_else(|| DataError::new(format!("Value ({text}) was out of range for requested data type")))
}

/// As Java's `parseDouble`: blanks around it and a `d` or `f` behind it are left aside.
fn float<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    if matches!(text.trim_start_matches(['+', '-']), "NaN" | "Infinity") {
        return text.parse().ok();
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)).then(|| text.parse().ok()).flatten()
}
