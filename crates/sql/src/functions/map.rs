//! Functions of maps.

use super::{Category, Registry};
use crate::types::SqlType;
use crate::value::{MapValue, Value};

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(Category::Map, "as_map", "A map of an array of keys and one of values, as far as the shorter goes.")
        .strict("(keys ARRAY<STRING>, values ARRAY<T>) MAP<STRING, T>", |c| {
            let entries = c.array(0).iter().cloned().zip(c.array(1).iter().cloned());
            Ok(Value::map(entries.collect()))
        });
    registry.scalar(Category::Map, "map_keys", "The keys of the map.").strict("(map MAP<K, V>) ARRAY<K>", |c| {
        Ok(Value::array(c.map(0).in_hash_order().into_iter().map(|(key, _)| key.clone()).collect()))
    });
    registry.scalar(Category::Map, "map_values", "The values of the map.").strict("(map MAP<K, V>) ARRAY<V>", |c| {
        Ok(Value::array(c.map(0).in_hash_order().into_iter().map(|(_, value)| value.clone()).collect()))
    });
    registry
        .scalar(Category::Map, "map_union", "The entries of both maps; where both have a key, the second map's.")
        .nullable("(left MAP<K, V>, right MAP<K, V>) MAP<K, V>", |c| {
            if c.is_null(0) && c.is_null(1) {
                return Ok(Value::Null);
            }
            let both = c.map(0).iter().chain(c.map(1).iter());
            Ok(Value::map(both.map(|(key, value)| (key.clone(), value.clone())).collect::<MapValue>()))
        });
    registry
        .scalar(
            Category::Map,
            "entries",
            "An array of structs with K and V, one for each entry, in the order of the keys if asked.",
        )
        .strict("(map MAP<K, V>, sorted BOOLEAN) ARRAY<STRUCT>", |c| {
            let mut entries = c.map(0).in_hash_order();
            if c.value(1).as_bool() == Some(true) {
                entries.sort_by_key(|(key, _)| *key);
            }
            let entries = entries.into_iter().map(|(key, value)| Value::structure(vec![key.clone(), value.clone()]));
            Ok(Value::array(entries.collect()))
        })
        .returning(|arguments| match arguments.first() {
            Some(Some(SqlType::Map(key, value))) => {
                let entry = SqlType::structure([("K", (**key).clone()), ("V", (**value).clone())]);
                Ok(SqlType::array(entry))
            }
            _ => Err("The argument must be a MAP".to_owned()),
        });
}
