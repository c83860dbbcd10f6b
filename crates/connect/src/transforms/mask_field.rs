//! `MaskField`: fields without what they say.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{get, into_values, put, require_map, require_struct};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::number::{decimal_to_long, parse_decimal};
use crate::data::{DataError, Struct, Typed, Value};
use crate::record::Record;

const PURPOSE: &str = "mask fields";

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.MaskField$Key",
            "org.apache.kafka.connect.transforms.MaskField$Value",
        ],
        def: ConfigDef::new(vec![
            ConfigKey::required("fields", ConfigType::List, Importance::High, "Names of the fields to mask.")
                .checked(Rule::SomeElements),
            ConfigKey::nullable(
                "replacement",
                ConfigType::String,
                Importance::Low,
                "What numbers and texts become; without it they become 0 and empty.",
            )
            .checked(Rule::NonEmpty),
            replace_null_with_default(),
        ]),
        create: |parsed, side| {
            let fields = parsed.get_list("fields").to_vec();
            let replacement = parsed.get_string("replacement").map(str::to_owned);
            on_side(side, MaskField { fields, replacement, replace_null: parsed.get_bool(REPLACE_NULL) })
        },
    }
}

struct MaskField {
    fields: Vec<String>,
    replacement: Option<String>,
    replace_null: bool,
}

impl Change for MaskField {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        let Some(schema) = typed.schema else {
            let mut entries = require_map(typed.value, PURPOSE)?;
            for field in &self.fields {
                let masked = self.masked(get(&entries, field))?;
                put(&mut entries, field, masked);
            }
            return Ok(Typed::schemaless(Value::Map(entries)));
        };
        let mut values = into_values(require_struct(typed.value, PURPOSE)?, self.replace_null);
        for (value, field) in values.iter_mut().zip(schema.fields()) {
            if self.fields.iter().any(|name| **name == *field.name) {
                *value = self.masked(value)?;
            }
        }
        Ok(Typed::new(schema.clone(), Value::Struct(Struct::new(schema, values)?)))
    }
}

impl MaskField {
    fn masked(&self, value: &Value) -> Result<Value, DataError> {
        match &self.replacement {
            _ if value.is_null() => Ok(Value::Null),
            None => nothing(value),
            Some(replacement) => replaced(value, replacement),
        }
    }
}

fn nothing(value: &Value) -> Result<Value, DataError> {
    Ok(match value {
        Value::Boolean(_) => Value::Boolean(false),
        Value::Int8(_) => Value::Int8(0),
        Value::Int16(_) => Value::Int16(0),
        Value::Int32(_) => Value::Int32(0),
        Value::Int64(_) => Value::Int64(0),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        // The scale stays that of the schema.
        Value::Decimal(decimal) => Value::Decimal(BigDecimal::new(BigInt::ZERO, decimal.as_bigint_and_exponent().1)),
        Value::Date(_) => Value::Date(0),
        Value::Time(_) => Value::Time(0),
        Value::Timestamp(_) => Value::Timestamp(0),
        Value::String(_) => Value::String(String::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Map(_) => Value::Map(Vec::new()),
        Value::Null | Value::Bytes(_) | Value::Struct(_) => {
            let class = value.java_class();
            return Err(DataError::new(format!("Cannot mask value of type: class {class}")));
        }
    })
}

fn replaced(value: &Value, replacement: &str) -> Result<Value, DataError> {
    let no_number = || DataError::new(format!("Unable to convert {replacement} (class java.lang.String) to a number"));
    let decimal = || parse_decimal(replacement).ok_or_else(no_number);
    let long = || decimal().map(|decimal| decimal_to_long(&decimal));
    let double = || decimal()?.to_string().parse::<f64>().map_err(|_| no_number());
    Ok(match value {
        Value::Int8(_) => Value::Int8(long()? as i8),
        Value::Int16(_) => Value::Int16(long()? as i16),
        Value::Int32(_) => Value::Int32(long()? as i32),
        Value::Int64(_) => Value::Int64(long()?),
        Value::Float32(_) => Value::Float32(double()? as f32),
        Value::Float64(_) => Value::Float64(double()?),
        Value::String(_) => Value::String(replacement.to_owned()),
        Value::Decimal(_) => Value::Decimal(decimal()?),
        value => {
            let class = value.java_class();
            return Err(DataError::new(format!("Cannot mask value of type class {class} with custom replacement.")));
        }
    })
}
