//! Streams, tables and queries as JSON.

use milena_sql::ast::SourceKind;
use milena_sql::catalog::{Catalog, QueryEntry, Source};
use serde_json::{Value, json};

use super::schema;
use crate::kafka::topics::TopicShape;
use crate::queries::push::Listed;
use crate::queries::states::QueryStates;

/// An entry of `SHOW STREAMS` or `SHOW TABLES`.
pub fn listed(source: &Source) -> Value {
    json!({
        "type": source.kind.text(),
        "name": &*source.name,
        "topic": source.topic,
        "keyFormat": source.key_format.format.name(),
        "valueFormat": source.value_format.format.name(),
        "isWindowed": source.window.is_some(),
    })
}

/// `DESCRIBE`. Without the shape of the topic it is not told what depends on the source.
pub fn described(
    source: &Source,
    catalog: &Catalog,
    states: &QueryStates,
    topic: Option<TopicShape>,
    extended: bool,
) -> Value {
    let queries = |wanted: &dyn Fn(&QueryEntry) -> bool| -> Vec<Value> {
        catalog.queries().filter(|query| wanted(query)).map(|query| listed_query(query, catalog, states)).collect()
    };
    let readers = queries(&|query| query.sources.contains(&source.name));
    let writers = queries(&|query| query.sink == source.name && sink_of(query, catalog).is_some());
    let constraints: Vec<&str> = catalog
        .sources()
        .filter(|_| topic.is_some())
        .filter(|other| *other.name != *source.name)
        .filter(|other| {
            let own = other.created_by.as_deref();
            catalog.queries().any(|query| Some(query.id.as_str()) == own && query.sources.contains(&source.name))
        })
        .map(|other| &*other.name)
        .collect();
    json!({
        "name": &*source.name,
        "windowType": source.window.map(|window| window.shape.name()),
        "readQueries": readers,
        "writeQueries": writers,
        "fields": schema::fields(source),
        "type": source.kind.text(),
        "timestamp": source.timestamp.as_ref().map_or("", |timestamp| &*timestamp.column),
        "statistics": "",
        "errorStats": "",
        "extended": extended,
        "keyFormat": source.key_format.format.name(),
        "valueFormat": source.value_format.format.name(),
        "topic": source.topic,
        "partitions": topic.map_or(0, |topic| topic.partitions),
        "replication": topic.map_or(0, |topic| topic.replicas),
        "statement": source.statement,
        "queryOffsetSummaries": [],
        "sourceConstraints": constraints,
        "clusterStatistics": [],
        "clusterErrorStats": [],
    })
}

/// An entry of `SHOW QUERIES`.
pub fn listed_query(query: &QueryEntry, catalog: &Catalog, states: &QueryStates) -> Value {
    let sink = sink_of(query, catalog);
    json!({
        "queryString": query.statement,
        "sinks": sink.iter().map(|sink| &*sink.name).collect::<Vec<_>>(),
        "sinkKafkaTopics": sink.iter().map(|sink| sink.topic.as_str()).collect::<Vec<_>>(),
        "id": query.id,
        "statusCount": states.counts(&query.id),
        "queryType": "PERSISTENT",
        "state": summary([states.state(&query.id).name()]),
    })
}

/// What a query writes; queries that keep the state of source tables write nothing.
pub fn sink_of<'a>(query: &QueryEntry, catalog: &'a Catalog) -> Option<&'a Source> {
    catalog.source(&query.sink).filter(|sink| !sink.read_only)
}

/// The states that a query has on servers in one word, as older clients want it.
pub fn summary<'a>(states: impl IntoIterator<Item = &'a str>) -> &'static str {
    const ERROR: &str = "ERROR";
    if states.into_iter().any(|state| state == ERROR) { ERROR } else { "RUNNING" }
}

/// An entry of `SHOW QUERIES` for a query of a client that is reading.
pub fn listed_push_query(query: &Listed) -> Value {
    json!({
        "queryString": query.statement,
        "sinks": [],
        "sinkKafkaTopics": [],
        "id": query.id,
        "statusCount": { "RUNNING": 1 },
        "queryType": "PUSH",
        "state": "RUNNING",
    })
}

/// The sources of a kind, by name.
pub fn of_kind(catalog: &Catalog, kind: SourceKind) -> Vec<&Source> {
    let mut sources: Vec<_> = catalog.sources().filter(|source| source.kind == kind).collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}
