//! Answers as people see them.

use serde_json::json;

use super::*;

fn shown(entity: &Value) -> String {
    render(entity, 80)
}

#[test]
fn keys_headers_and_nested_types_are_described() {
    let entity = json!({ "@type": "sourceDescription", "sourceDescription": {
        "name": "T", "type": "TABLE", "windowType": null, "extended": false, "fields": [
            { "name": "ID", "schema": { "type": "STRING" }, "type": "KEY" },
            { "name": "H", "schema": { "type": "BYTES" }, "type": "HEADER", "headerKey": "h" },
            { "name": "A", "schema": { "type": "ARRAY", "memberSchema": { "type": "STRUCT", "fields": [
                { "name": "D", "schema": { "type": "DECIMAL", "parameters": { "precision": 4, "scale": 2 } } },
                { "name": "M", "schema": { "type": "MAP", "memberSchema": { "type": "STRING" } } } ] } } },
        ] } });
    let text = shown(&entity);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "Name                 : T");
    assert_eq!(lines[3], " ID    | VARCHAR(STRING)  (primary key)");
    assert_eq!(lines[4], " H     | BYTES            (header('h'))");
    assert_eq!(lines[5], " A     | ARRAY<STRUCT<D DECIMAL(4, 2), M MAP<STRING, VARCHAR(STRING)>>>");
    assert_eq!(lines[7], "For runtime statistics and query details run: DESCRIBE <Stream,Table> EXTENDED;");
}

#[test]
fn listings_have_their_headings_even_when_they_are_empty() {
    let text = shown(&json!({ "@type": "streams", "streams": [] }));
    assert_eq!(text.lines().next(), Some(" Stream Name | Kafka Topic | Key Format | Value Format | Windowed "));
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn topics_show_replicas_once_when_all_partitions_have_as_many() {
    let topics = json!({ "@type": "kafka_topics", "topics": [
        { "name": "b", "replicaInfo": [1, 1] }, { "name": "a", "replicaInfo": [1, 3] } ] });
    let text = shown(&topics);
    let rows: Vec<&str> = text.lines().skip(2).map(str::trim_end).collect();
    assert_eq!(rows[0], " a           | 2          | 1, 3");
    assert_eq!(rows[1], " b           | 2          | 1");
}

#[test]
fn kinds_of_connectors_are_listed() {
    let plugins = json!({ "@type": "connector_plugins_list", "connectorsPlugins": [
        { "className": "a.Sink", "type": "sink", "version": "1" }] });
    let text = shown(&plugins);
    assert_eq!(text.lines().nth(2).map(str::trim_end), Some(" a.Sink | SINK | 1"), "{text}");
}

#[test]
fn queries_show_where_they_run_and_their_text_in_one_line() {
    let queries = json!({ "@type": "queries", "queries": [{
        "id": "CSAS_S_1", "queryType": "PERSISTENT", "statusCount": { "RUNNING": 2 }, "sinks": ["S"],
        "sinkKafkaTopics": ["S"], "queryString": "CREATE STREAM S\n  AS SELECT 1;" }] });
    let text = shown(&queries);
    assert!(
        text.contains(
            " CSAS_S_1 | PERSISTENT | RUNNING:2 | S         | S                | CREATE STREAM S AS SELECT 1; "
        ),
        "{text}"
    );
    assert!(text.ends_with("EXPLAIN <Query ID>;"));
}

#[test]
fn who_has_set_a_property_is_told() {
    let properties = json!({ "@type": "properties", "overwrittenProperties": ["a"], "defaultProperties": ["b"], "properties": [
        { "name": "a", "scope": "KSQL", "value": "1" }, { "name": "b", "scope": "KSQL", "value": "2" },
        { "name": "c", "scope": "KAFKA", "value": null } ] });
    let text = shown(&properties);
    let rows: Vec<&str> = text.lines().skip(2).take(3).map(str::trim_end).collect();
    assert_eq!(rows[0], " a        | KSQL  | SESSION          | 1");
    assert_eq!(rows[1], " b        | KSQL  |                  | 2");
    assert_eq!(rows[2], " c        | KAFKA | SERVER           | NULL");
}

#[test]
fn messages_come_with_their_warnings() {
    let text = shown(&json!({ "@type": "currentStatus", "commandStatus": { "message": "Stream created" },
        "warnings": [{ "message": "careful" }] }));
    assert!(text.contains(" Stream created "), "{text}");
    assert!(text.ends_with("WARNING: careful"), "{text}");
}

#[test]
fn answers_of_unknown_types_are_shown_as_they_are() {
    let text = shown(&json!({ "@type": "of_tomorrow", "a": 1 }));
    assert!(text.contains("\"a\": 1"), "{text}");
}
