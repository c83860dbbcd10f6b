//! Values as Java's `toString` prints them: what `StringConverter` writes and a file sink shows.

use std::fmt::{Display, Formatter, Result};

use super::number::{decimal_text, double_text, float_text};
use super::{Struct, Value, date_format};

/// How `java.util.Date` prints itself, in UTC.
const DATE_PATTERN: &str = "EEE MMM dd HH:mm:ss zzz yyyy";

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Int8(value) => value.fmt(f),
            Value::Int16(value) => value.fmt(f),
            Value::Int32(value) => value.fmt(f),
            Value::Int64(value) => value.fmt(f),
            Value::Float32(value) => f.write_str(&float_text(*value)),
            Value::Float64(value) => f.write_str(&double_text(*value)),
            Value::Boolean(value) => value.fmt(f),
            Value::String(value) => f.write_str(value),
            // Java shows no bytes either.
            Value::Bytes(bytes) => write!(f, "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()),
            Value::Decimal(value) => f.write_str(&decimal_text(value)),
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
                let text = self.epoch_millis().and_then(|millis| date_format::format(DATE_PATTERN, millis).ok());
                f.write_str(&text.unwrap_or_default())
            }
            Value::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}={value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Value::Struct(value) => value.fmt(f),
        }
    }
}

impl Display for Struct {
    /// `Struct{a=1,b=x}`; fields that are null are left out.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Struct{")?;
        let set = self.schema().fields().iter().zip(self.values()).filter(|(_, value)| !value.is_null());
        for (index, (field, value)) in set.enumerate() {
            write!(f, "{}{}={value}", if index == 0 { "" } else { "," }, field.name)?;
        }
        f.write_str("}")
    }
}

impl Value {
    /// Milliseconds since the epoch of a logical Date, Time or Timestamp.
    pub fn epoch_millis(&self) -> Option<i64> {
        match self {
            Value::Date(days) => Some(i64::from(*days) * date_format::MILLIS_PER_DAY),
            Value::Time(millis) => Some(i64::from(*millis)),
            Value::Timestamp(millis) => Some(*millis),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Field, Kind, Schema};
    use super::*;

    #[test]
    fn values_print_as_in_java() {
        let text = |text: &str| Value::String(text.to_owned());
        let map = Value::Map(vec![(text("a"), Value::Int64(1)), (text("b"), Value::Float64(1e10))]);
        assert_eq!(map.to_string(), "{a=1, b=1.0E10}");
        let array = Value::Array(vec![Value::Null, Value::Boolean(true), text("x")]);
        assert_eq!(array.to_string(), "[null, true, x]");
        assert_eq!(Value::Timestamp(1_627_815_857_123).to_string(), "Sun Aug 01 11:04:17 UTC 2021");
        let optional = |kind| Schema::new(kind).optional();
        let fields = vec![
            Field::new("a", optional(Kind::Int32)),
            Field::new("n", optional(Kind::Int32)),
            Field::new("b", optional(Kind::String)),
        ];
        let schema = Arc::new(Schema::structure(fields));
        let value = Struct::new(schema, vec![Value::Int32(1), Value::Null, text("x")]).unwrap();
        assert_eq!(value.to_string(), "Struct{a=1,b=x}");
    }
}
