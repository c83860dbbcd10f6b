//! Values that are taken as they are: what INSERT VALUES and look-ups by key accept. Numbers become wider where that loses
//! nothing, texts become the dates, times and bytes that they spell, and parts of values follow the same rules.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cast;
use crate::types::SqlType;
use crate::value::{MapValue, Value, fit_decimal};

/// The value of type `from` as one of type `to`; `None` where that would change it.
pub fn strictly(value: &Value, from: &SqlType, to: &SqlType) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    match (from, to) {
        (SqlType::Integer, SqlType::Bigint) => value.as_i64().map(Value::Bigint),
        (SqlType::Integer | SqlType::Bigint | SqlType::Decimal(_), SqlType::Decimal(target)) => {
            let number = value.as_decimal()?;
            fit_decimal(&number, *target).filter(|fitted| *fitted == number).map(Value::decimal)
        }
        (SqlType::Integer | SqlType::Bigint | SqlType::Decimal(_), SqlType::Double) => {
            value.as_f64().map(Value::Double)
        }
        (SqlType::String, SqlType::Bytes) => STANDARD.decode(value.as_str()?.trim()).ok().map(Value::bytes),
        (SqlType::String, to) if to.is_time() => {
            cast(&SqlType::String, to).ok()?(&Value::string(value.as_str()?.trim())).ok()
        }
        (SqlType::Array(from), SqlType::Array(to)) => {
            let elements = value.as_array()?.iter().map(|element| strictly(element, from, to));
            elements.collect::<Option<_>>().map(Value::array)
        }
        (SqlType::Map(from_key, from_value), SqlType::Map(to_key, to_value)) => {
            let mut entries = MapValue::new();
            for (key, entry) in value.as_map()?.iter() {
                entries.insert(strictly(key, from_key, to_key)?, strictly(entry, from_value, to_value)?);
            }
            Some(Value::map(entries))
        }
        // Fields that are missing are null, others are left out.
        (SqlType::Struct(from), SqlType::Struct(to)) => {
            let given = value.as_struct()?;
            let fields = to.fields.iter().map(|field| match from.index_of(&field.name) {
                Some(place) => strictly(given.get(place)?, &from.fields[place].field_type, &field.field_type),
                None => Some(Value::Null),
            });
            fields.collect::<Option<_>>().map(Value::structure)
        }
        (from, to) => (from == to).then(|| value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Value {
        Value::decimal(text.parse().unwrap())
    }

    #[test]
    fn numbers_become_wider_where_nothing_is_lost() {
        let small = SqlType::decimal(4, 2).unwrap();
        assert_eq!(strictly(&Value::Int(3), &SqlType::Integer, &SqlType::Bigint), Some(Value::Bigint(3)));
        assert_eq!(strictly(&Value::Bigint(3), &SqlType::Bigint, &SqlType::Integer), None);
        assert_eq!(strictly(&decimal("1.5"), &SqlType::decimal(2, 1).unwrap(), &small), Some(decimal("1.50")));
        assert_eq!(strictly(&decimal("1.234"), &SqlType::decimal(4, 3).unwrap(), &small), None);
        assert_eq!(strictly(&Value::Int(100), &SqlType::Integer, &small), None);
        assert_eq!(strictly(&decimal("1.5"), &small, &SqlType::Double), Some(Value::Double(1.5)));
    }

    #[test]
    fn texts_spell_dates_and_bytes_and_nothing_else() {
        let text = |text: &str, to: SqlType| strictly(&Value::string(text), &SqlType::String, &to);
        assert_eq!(text(" 1970-01-02 ", SqlType::Date), Some(Value::Date(1)));
        assert_eq!(text("1970-13-02", SqlType::Date), None);
        assert_eq!(text("YQ==", SqlType::Bytes), Some(Value::bytes(b"a")));
        assert_eq!(text("a", SqlType::Bytes), None);
        assert_eq!(text("1", SqlType::Integer), None);
        assert_eq!(text("true", SqlType::Boolean), None);
    }

    #[test]
    fn parts_follow_the_same_rules() {
        let list = |of: SqlType| SqlType::array(of);
        let ints = Value::array(vec![Value::Int(1), Value::Null]);
        let wide = Value::array(vec![Value::Bigint(1), Value::Null]);
        assert_eq!(strictly(&ints, &list(SqlType::Integer), &list(SqlType::Bigint)), Some(wide));
        assert_eq!(strictly(&ints, &list(SqlType::Integer), &list(SqlType::String)), None);
        let from = SqlType::structure([("A", SqlType::Integer), ("X", SqlType::Integer)]);
        let to = SqlType::structure([("B", SqlType::String), ("A", SqlType::Bigint)]);
        let given = Value::structure(vec![Value::Int(1), Value::Int(2)]);
        assert_eq!(strictly(&given, &from, &to), Some(Value::structure(vec![Value::Null, Value::Bigint(1)])));
    }
}
