//! Where sources have got to: the interface of its stores, and how keys and values are written.
//!
//! A key is the JSON array of the connector's name and the source's partition, a value the JSON object of its offset,
//! both without spaces and with the fields of a map in the order the source gave them (section 2.3 of the formats that
//! workers share: a worker of the original reads ours and we read its).

mod file;
mod java_map;
mod kafka;
mod layered;

pub use file::FileOffsetStore;
pub use kafka::{KafkaOffsetOptions, KafkaOffsetStore};
pub use layered::LayeredOffsetStore;

use std::sync::Arc;

use serde_json::Value;

use crate::plugin::Waiting;
use crate::record::SourceMap;

/// Offsets could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OffsetError {
    /// The store did not answer, or refused.
    #[error("{0}")]
    Store(String),
    /// A partition or an offset that is not what it must be.
    #[error("{0}")]
    Malformed(String),
}

/// Keeps offsets of sources.
pub trait OffsetStore: Send + Sync {
    /// The offsets of `partitions` of a connector, as new as the store is; partitions without one are left out.
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partitions: &'a [SourceMap],
    ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>>;

    /// All offsets of a connector.
    fn read_all<'a>(&'a self, connector: &'a str) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>>;

    /// Writes offsets; `None` deletes. Durable when this returns.
    fn write<'a>(
        &'a self,
        connector: &'a str,
        offsets: Vec<(Arc<SourceMap>, Option<SourceMap>)>,
    ) -> Waiting<'a, Result<(), OffsetError>>;

    /// The topic that holds them, for those who write to it in transactions of their own.
    fn topic(&self) -> Option<&str> {
        None
    }

    /// `offsets` were written to [`topic`](Self::topic) in a transaction of somebody else's that is committed.
    fn after_transaction<'a>(
        &'a self,
        _connector: &'a str,
        _offsets: Vec<(Arc<SourceMap>, Option<SourceMap>)>,
    ) -> Waiting<'a, Result<(), OffsetError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A key in the store.
pub fn encode_key(connector: &str, partition: &SourceMap) -> String {
    let name = Value::from(connector);
    format!("[{name},{}]", encode_map(partition))
}

/// A map of a source.
pub fn encode_map(map: &SourceMap) -> String {
    Value::Object(map.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()).to_string()
}

/// Connector and partition of a key; `None` for what is not a key of ours, such as those of very old workers.
pub fn decode_key(key: &[u8]) -> Option<(String, SourceMap)> {
    let (connector, partition) = serde_json::from_slice::<(String, serde_json::Map<String, Value>)>(key).ok()?;
    Some((connector, partition.into_iter().collect()))
}

/// The map in a value; `None` for null and for what is no map.
pub fn decode_map(value: &[u8]) -> Option<SourceMap> {
    let map: serde_json::Map<String, Value> = serde_json::from_slice(value).ok()?;
    Some(map.into_iter().collect())
}

/// What finds the offset of a partition: maps are equal whatever the order of their fields.
pub fn identity(connector: &str, partition: &SourceMap) -> String {
    let mut sorted = partition.clone();
    sorted.sort_keys();
    encode_key(connector, &sorted)
}

/// Refuses what the formats cannot hold: values are null, texts, numbers and booleans.
///
/// # Errors
/// The field that is something else.
pub fn check_map(map: &SourceMap) -> Result<(), OffsetError> {
    match map.iter().find(|(_, value)| value.is_array() || value.is_object()) {
        Some((field, _)) => Err(OffsetError::Malformed(format!(
            "Invalid value for field \"{field}\": partitions and offsets may only contain null, strings, numbers and booleans"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> SourceMap {
        decode_map(json.as_bytes()).unwrap()
    }

    #[test]
    fn keys_and_values_are_compact_json_in_the_order_of_the_source() {
        let partition = map(r#"{"protocol": "1", "table": "shop.users"}"#);
        assert_eq!(encode_key("jdbc-1", &partition), r#"["jdbc-1",{"protocol":"1","table":"shop.users"}]"#);
        assert_eq!(encode_map(&map(r#"{ "position" : 142 }"#)), r#"{"position":142}"#);
        let (connector, decoded) = decode_key(br#"["jdbc-1",{"protocol":"1","table":"shop.users"}]"#).unwrap();
        assert_eq!((connector.as_str(), decoded), ("jdbc-1", partition));
    }

    #[test]
    fn keys_of_others_are_passed_over() {
        assert!(decode_key(b"x").is_none());
        assert!(decode_key(br#"{"schema":null}"#).is_none());
        assert!(decode_map(b"null").is_none());
    }

    #[test]
    fn the_order_of_fields_does_not_matter_to_a_lookup() {
        assert_eq!(identity("c", &map(r#"{"b":1,"a":2}"#)), identity("c", &map(r#"{"a":2,"b":1}"#)));
    }

    #[test]
    fn nested_values_are_refused_by_name() {
        assert!(check_map(&map(r#"{"a":null,"b":"x","c":1.5,"d":true}"#)).is_ok());
        assert!(check_map(&map(r#"{"a":{"b":1}}"#)).unwrap_err().to_string().contains("\"a\""));
    }
}
