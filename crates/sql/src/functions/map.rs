//! Functions of maps.

use super::{Call, Category, Registry};
use crate::expression::EvalError;
use crate::types::SqlType;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(
            Category::Map,
            "AS_MAP",
            "A map of an array of keys and one of values; keys beyond the values have null.",
        )
        .strict("(keys ARRAY<STRING>, values ARRAY<T>) MAP<STRING, T>", |c| {
            let values = c.array(1).iter().cloned().chain(std::iter::repeat(Value::Null));
            Ok(Value::map(c.array(0).iter().cloned().zip(values).collect()))
        });
    registry
        .scalar(Category::Map, "map_keys", "The keys of the map.")
        .strict("(input MAP<STRING, T>) ARRAY<STRING>", |c| {
            Ok(Value::array(c.map(0).in_hash_order().into_iter().map(|(key, _)| key.clone()).collect()))
        });
    registry
        .scalar(Category::Map, "map_values", "The values of the map.")
        .strict("(input MAP<STRING, T>) ARRAY<T>", |c| {
            Ok(Value::array(c.map(0).in_hash_order().into_iter().map(|(_, value)| value.clone()).collect()))
        });
    registry
        .scalar(Category::Map, "map_union", "The entries of both maps; where both have a key, the second map's.")
        .nullable("(map1 MAP<STRING, T>, map2 MAP<STRING, T>) MAP<STRING, T>", |c| {
            if c.is_null(0) && c.is_null(1) {
                return Ok(Value::Null);
            }
            Ok(Value::map(c.map(0).union(c.map(1))))
        });
    registry
        .scalar(
            Category::Map,
            "ENTRIES",
            "An array of structs with K and V, one for each entry, in the order of the keys if asked.",
        )
        .strict("(map MAP<STRING, INT>, sorted BOOLEAN) ARRAY<STRUCT>", entries)
        .returning(|_| entry_type(SqlType::Integer))
        .strict("(map MAP<STRING, BIGINT>, sorted BOOLEAN) ARRAY<STRUCT>", entries)
        .returning(|_| entry_type(SqlType::Bigint))
        .strict("(map MAP<STRING, DOUBLE>, sorted BOOLEAN) ARRAY<STRUCT>", entries)
        .returning(|_| entry_type(SqlType::Double))
        .strict("(map MAP<STRING, BOOLEAN>, sorted BOOLEAN) ARRAY<STRUCT>", entries)
        .returning(|_| entry_type(SqlType::Boolean))
        .strict("(map MAP<STRING, STRING>, sorted BOOLEAN) ARRAY<STRUCT>", entries)
        .returning(|_| entry_type(SqlType::String));
}

fn entries(c: &mut Call<'_>) -> Result<Value, EvalError> {
    let mut entries = c.map(0).in_hash_order();
    if c.value(1).as_bool() == Some(true) {
        entries.sort_by_key(|(key, _)| *key);
    }
    let entries = entries.into_iter().map(|(key, value)| Value::structure(vec![key.clone(), value.clone()]));
    Ok(Value::array(entries.collect()))
}

fn entry_type(value: SqlType) -> Result<SqlType, String> {
    Ok(SqlType::array(SqlType::structure([("K", SqlType::String), ("V", value)])))
}
