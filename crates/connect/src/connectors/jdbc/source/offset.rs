//! Partitions and offsets as the original writes them.
//!
//! ```text
//! partition  {"protocol":"1","table":"mydb.users"}     {"table":"users"} (older)     {"query":"query"}
//! offset     {"timestamp_nanos":500000000,"incrementing":7,"timestamp":1627815857500}, those that the mode has
//! ```

use std::sync::Arc;

use serde_json::Value as Json;

use super::clock::Moment;
use crate::connectors::jdbc::database::TableId;
use crate::connectors::jdbc::dialect::Dialect;
use crate::connectors::jdbc::url::JdbcUrl;
use crate::record::SourceMap;

const TABLE: &str = "table";
const QUERY: &str = "query";
const PROTOCOL: &str = "protocol";
const INCREMENTING: &str = "incrementing";
const TIMESTAMP: &str = "timestamp";
const TIMESTAMP_NANOS: &str = "timestamp_nanos";

/// How far a table was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offset {
    /// The last number.
    pub incrementing: Option<i64>,
    /// The last time; all rows that carry it were read, unless there is a number too.
    pub timestamp: Option<Moment>,
}

impl Offset {
    /// From what was committed.
    pub fn from_map(map: &SourceMap) -> Offset {
        let number = |key: &str| map.get(key).and_then(Json::as_i64);
        let timestamp = number(TIMESTAMP).map(|millis| {
            let moment = Moment::from_millis(millis);
            // Within the second, as Java's Timestamp has them.
            let nanos = number(TIMESTAMP_NANOS).and_then(|nanos| u32::try_from(nanos).ok());
            Moment { nanos: nanos.filter(|nanos| *nanos < 1_000_000_000).unwrap_or(moment.nanos), ..moment }
        });
        Offset { incrementing: number(INCREMENTING), timestamp }
    }

    /// As it is committed.
    pub fn to_map(self) -> SourceMap {
        // Some ten thousand of them may be under way at once.
        let fields = 2 * usize::from(self.timestamp.is_some()) + usize::from(self.incrementing.is_some());
        let mut map = SourceMap::with_capacity(fields);
        if let Some(moment) = self.timestamp {
            map.insert(TIMESTAMP_NANOS, moment.nanos);
        }
        if let Some(number) = self.incrementing {
            map.insert(INCREMENTING, number);
        }
        if let Some(moment) = self.timestamp {
            map.insert(TIMESTAMP, moment.millis());
        }
        map
    }
}

/// Partitions under which the offset of a table may be found; the first is the one that is written.
pub(super) fn of_table(table: &TableId, url: &JdbcUrl) -> Vec<SourceMap> {
    let mut names = vec![table.to_string()];
    if url.dialect == Dialect::Postgres && table.catalog.is_none() {
        // Newer versions of Java's driver put the database in front.
        names.extend(url.database.as_ref().map(|database| format!("{database}.{table}")));
    }
    let mut partitions: Vec<SourceMap> = names
        .into_iter()
        .map(|name| [(PROTOCOL, "1".to_owned()), (TABLE, name)])
        .map(|pairs| pairs.into_iter().map(|(key, value)| (key, Json::from(value))).collect())
        .collect();
    partitions.push(SourceMap::of(TABLE, table.name.as_str()));
    partitions
}

/// The partition of a query.
pub(super) fn of_query() -> Vec<SourceMap> {
    vec![SourceMap::of(QUERY, QUERY)]
}

/// The first of the partitions that has an offset, in their order.
pub(super) fn newest(partitions: &[SourceMap], found: &[(SourceMap, SourceMap)]) -> Option<Offset> {
    let of = |partition: &SourceMap| found.iter().find(|(other, _)| other == partition);
    partitions.iter().find_map(of).map(|(_, offset)| Offset::from_map(offset))
}

/// What is wrong with a partition or an offset that a user wants to write.
pub(super) fn check(partition: &SourceMap, offset: Option<&SourceMap>) -> Result<(), String> {
    let is_text = |key: &str| partition.get(key).is_some_and(Json::is_string);
    if !is_text(TABLE) && !is_text(QUERY) {
        return Err(format!(
            "Partitions are {{\"{PROTOCOL}\":\"1\",\"{TABLE}\":\"<catalog.schema.table>\"}} or {{\"{QUERY}\":\"{QUERY}\"}}"
        ));
    }
    let Some(offset) = offset else { return Ok(()) };
    for (key, value) in offset.iter() {
        if ![INCREMENTING, TIMESTAMP, TIMESTAMP_NANOS].contains(&key) {
            return Err(format!("Offsets have the keys {INCREMENTING}, {TIMESTAMP} and {TIMESTAMP_NANOS}, not {key}"));
        }
        if value.as_i64().is_none() {
            return Err(format!("{key} of an offset is an integer, not {value}"));
        }
    }
    Ok(())
}

/// The partition that is written.
pub(super) fn shared(partitions: &[SourceMap]) -> Arc<SourceMap> {
    Arc::new(partitions.first().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> SourceMap {
        let map: serde_json::Map<String, Json> = serde_json::from_str(text).expect("a map");
        map.into_iter().collect()
    }

    #[test]
    fn offsets_come_back_as_they_were_written() {
        let offset = Offset { incrementing: Some(7), timestamp: Some(Moment { seconds: 1, nanos: 500_000_123 }) };
        let written = offset.to_map();
        assert!(written.iter().eq(map(r#"{"timestamp_nanos":500000123,"incrementing":7,"timestamp":1500}"#).iter()));
        assert_eq!(Offset::from_map(&written), offset);
        assert_eq!(Offset::from_map(&map(r#"{"incrementing":3}"#)), Offset { incrementing: Some(3), timestamp: None });
        let without_nanos = Offset::from_map(&map(r#"{"timestamp":1500}"#));
        assert_eq!(without_nanos.timestamp, Some(Moment { seconds: 1, nanos: 500_000_000 }));
    }

    #[test]
    fn the_newer_protocol_wins() {
        let url = JdbcUrl::parse("jdbc:postgresql://h/shop").expect("a URL");
        let table = TableId { catalog: None, schema: Some("public".to_owned()), name: "users".to_owned() };
        let partitions = of_table(&table, &url);
        assert_eq!(partitions[0], map(r#"{"protocol":"1","table":"public.users"}"#));
        assert_eq!(partitions[1], map(r#"{"protocol":"1","table":"shop.public.users"}"#));
        assert_eq!(partitions[2], map(r#"{"table":"users"}"#));
        let old = (partitions[2].clone(), map(r#"{"incrementing":1}"#));
        let new = (partitions[0].clone(), map(r#"{"incrementing":2}"#));
        assert_eq!(newest(&partitions, &[old.clone(), new]).and_then(|offset| offset.incrementing), Some(2));
        assert_eq!(newest(&partitions, &[old]).and_then(|offset| offset.incrementing), Some(1));
        assert_eq!(newest(&partitions, &[]), None);
    }

    #[test]
    fn offsets_that_nobody_would_understand_are_refused() {
        let table = map(r#"{"protocol":"1","table":"a.b"}"#);
        assert_eq!(check(&table, Some(&map(r#"{"incrementing":1}"#))), Ok(()));
        assert_eq!(check(&table, None), Ok(()));
        assert!(check(&map(r#"{"file":"x"}"#), None).is_err());
        assert!(check(&table, Some(&map(r#"{"position":1}"#))).is_err());
        assert!(check(&table, Some(&map(r#"{"incrementing":"1"}"#))).is_err());
    }
}
