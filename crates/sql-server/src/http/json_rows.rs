//! Rows that clients write as JSON objects: names in any case, numbers only where they lose nothing.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use milena_sql::catalog::Source;
use milena_sql::catalog::schema::Column;
use milena_sql::formats::json_text::Json;
use milena_sql::operators::{Change, Key, Row};
use milena_sql::types::SqlType;
use milena_sql::value::{MapValue, Value as Cell, fit_decimal, parse_date_time};
use milena_stdx::{Clock as _, SystemClock};

use crate::error::{Failure, Result};

/// A name as statements know it: in capitals unless it is in back-ticks or double quotes.
pub fn name_of(text: &str) -> String {
    for quote in ['`', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote)) {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    text.to_uppercase()
}

/// The row that a line means, at the time of now. Members that are no columns are passed over, columns without a member are
/// null, but for those of the key.
///
/// # Errors
/// 40000: a line that is no JSON object, a value that its column cannot take.
pub fn row(source: &Source, line: &[u8]) -> Result<Change> {
    let refused = |message: String| Failure::new(Failure::BAD_REQUEST, message);
    let text = std::str::from_utf8(line).ok().and_then(|text| Json::read(text).ok());
    let Some(Json::Object(members)) = text else {
        return Err(refused("Invalid JSON in inserts stream".to_owned()));
    };
    let mut named: Vec<(String, &Json<'_>)> = Vec::with_capacity(members.len());
    for (name, value) in &members {
        let name = name_of(name);
        if named.iter().any(|(known, _)| *known == name) {
            return Err(refused(format!("Found non-unique column name: {name}")));
        }
        named.push((name, value));
    }
    let cell = |column: &Column| -> Result<Cell> {
        let Some((_, value)) = named.iter().find(|(name, _)| **name == *column.name) else { return Ok(Cell::Null) };
        coerced(value, &column.column_type).ok_or_else(|| {
            refused(format!("Can't coerce a field of type {} into type {}", class_of(value), column.column_type))
        })
    };
    let key_cell = |column: &Column| match cell(column)? {
        Cell::Null => Err(refused(format!("Key field must be specified: {}", column.name))),
        found => Ok(found),
    };
    let key: Vec<Cell> = source.schema.keys().iter().map(key_cell).collect::<Result<_>>()?;
    let new: Row = source.schema.values().map(cell).collect::<Result<_>>()?;
    let columns = (!key.is_empty()).then(|| key.into());
    let key = Key { columns, window: None };
    Ok(Change { key, new: Some(new), old: None, timestamp: SystemClock.now_ms(), headers: [].into() })
}

/// The value as a column takes it; `None` when it cannot.
fn coerced(value: &Json<'_>, to: &SqlType) -> Option<Cell> {
    Some(match (to, value) {
        (_, Json::Null) => Cell::Null,
        (SqlType::Boolean, Json::Bool(truth)) => Cell::Boolean(*truth),
        (SqlType::Integer, Json::Number(number)) => Cell::Int(number.parse().ok()?),
        (SqlType::Bigint, Json::Number(number)) => Cell::Bigint(number.parse().ok()?),
        (SqlType::Double, Json::Number(number)) => Cell::Double(number.parse().ok()?),
        (SqlType::Decimal(to), Json::Number(text) | Json::String(text)) => {
            Cell::decimal(fit_decimal(&BigDecimal::from_str(text).ok()?, *to)?)
        }
        (SqlType::String, Json::String(text)) => Cell::from(&**text),
        (SqlType::Bytes, Json::String(text)) => Cell::bytes(STANDARD.decode(text.as_bytes()).ok()?),
        (SqlType::Date, Json::String(text)) => Cell::Date(parse_date_time::date(text).ok()?),
        (SqlType::Time, Json::String(text)) => Cell::Time(parse_date_time::time(text).ok()?),
        (SqlType::Timestamp, Json::String(text)) => Cell::Timestamp(parse_date_time::timestamp(text).ok()?),
        (SqlType::Array(element), Json::Array(elements)) => {
            Cell::array(elements.iter().map(|value| coerced(value, element)).collect::<Option<_>>()?)
        }
        (SqlType::Map(key_type, value_type), Json::Object(members)) => {
            let mut entries = MapValue::new();
            for (name, value) in members {
                let key = coerced(&Json::String(name.clone()), key_type)?;
                entries.insert(key, coerced(value, value_type)?);
            }
            Cell::map(entries)
        }
        (SqlType::Struct(structure), Json::Object(members)) => {
            let named: Vec<_> = members.iter().map(|(name, value)| (name_of(name), value)).collect();
            let fields = structure.fields.iter().map(|field| {
                let member = named.iter().find(|(name, _)| **name == *field.name);
                member.map_or(Some(Cell::Null), |(_, value)| coerced(value, &field.field_type))
            });
            Cell::structure(fields.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The class that the API names in its messages.
fn class_of(value: &Json<'_>) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "class java.lang.Boolean",
        Json::Number(number) if number.parse::<i32>().is_ok() => "class java.lang.Integer",
        Json::Number(number) if number.parse::<i64>().is_ok() => "class java.lang.Long",
        Json::Number(_) => "class java.lang.Double",
        Json::String(_) => "class java.lang.String",
        Json::Array(_) => "class io.vertx.core.json.JsonArray",
        Json::Object(_) => "class io.vertx.core.json.JsonObject",
    }
}

#[cfg(test)]
mod tests {
    use milena_sql::types::DecimalType;

    use super::*;

    fn read(text: &str, to: &SqlType) -> Option<Cell> {
        coerced(&Json::read(text).unwrap(), to)
    }

    #[test]
    fn names_are_in_capitals_unless_quoted() {
        assert_eq!((name_of("orders"), name_of("`Orders`")), ("ORDERS".to_owned(), "Orders".to_owned()));
        assert_eq!(name_of("\"a``b\""), "a``b");
        assert_eq!(name_of("`a``b`"), "a`b");
    }

    #[test]
    fn numbers_only_grow() {
        assert!(matches!(read("3", &SqlType::Double), Some(Cell::Double(3.0))));
        assert!(read("3.5", &SqlType::Integer).is_none() && read("3000000000", &SqlType::Integer).is_none());
        assert!(read("\"3\"", &SqlType::Integer).is_none() && read("3", &SqlType::String).is_none());
        let money = SqlType::Decimal(DecimalType { precision: 5, scale: 2 });
        for text in ["1.235", "\"1.235\""] {
            assert_eq!(read(text, &money).unwrap().as_decimal().unwrap().to_string(), "1.24");
        }
        assert!(read("12345", &money).is_none());
        // Exponents are not written out.
        assert!(read("1e999999999", &money).is_none());
        assert_eq!(read("1e-999999999", &money).unwrap().as_decimal(), Some(BigDecimal::from(0)));
    }

    #[test]
    fn structures_are_taken_whole_or_not_at_all() {
        let inner = SqlType::structure([("A", SqlType::Integer), ("b", SqlType::Date)]);
        let value = read(r#"{"a":1,"`b`":"1970-01-02","more":true}"#, &inner).unwrap();
        let expected = Cell::structure(vec![Cell::Int(1), Cell::Date(1)]);
        assert_eq!(format!("{value:?}"), format!("{expected:?}"));
        assert!(read(r#"[{"a":1},{"a":"x"}]"#, &SqlType::array(inner)).is_none());
    }
}
