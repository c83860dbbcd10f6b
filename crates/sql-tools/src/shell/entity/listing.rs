//! What `SHOW` answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{sql_type, string, strings};
use crate::table::Table;

fn members<'a>(entity: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    entity[name].as_array().into_iter().flatten()
}

fn cells(entry: &Value, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| string(&entry[*name])).collect()
}

/// Streams or tables.
pub fn sources(entity: &Value, member: &str, name: &str) -> String {
    let headings = [name, "Kafka Topic", "Key Format", "Value Format", "Windowed"];
    let mut rows: Vec<Vec<String>> = members(entity, member)
        .map(|source| cells(source, &["name", "topic", "keyFormat", "valueFormat", "isWindowed"]))
        .collect();
    rows.sort();
    Table::with_rows(&headings, rows).render()
}

/// Queries.
pub fn queries(entity: &Value) -> String {
    let headings = ["Query ID", "Query Type", "Status", "Sink Name", "Sink Kafka Topic", "Query String"];
    let rows = members(entity, "queries").map(|query| {
        let text = string(&query["queryString"]);
        vec![
            string(&query["id"]),
            string(&query["queryType"]),
            status_counts(query),
            strings(&query["sinks"]),
            strings(&query["sinkKafkaTopics"]),
            text.split_whitespace().collect::<Vec<_>>().join(" "),
        ]
    });
    let table = Table::with_rows(&headings, rows).render();
    format!("{table}\nFor detailed information on a Query run: EXPLAIN <Query ID>;")
}

/// `RUNNING:2,ERROR:1`: on how many servers a query is in which state.
fn status_counts(query: &Value) -> String {
    let counts = query["statusCount"].as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(state, count)| format!("{state}:{count}")).collect();
    if counts.is_empty() { string(&query["state"]) } else { counts.join(",") }
}

/// Topics.
pub fn topics(entity: &Value, extended: bool) -> String {
    let headings = ["Kafka Topic", "Partitions", "Partition Replicas", "Consumers", "ConsumerGroups"];
    let mut rows: Vec<Vec<String>> = members(entity, "topics")
        .map(|topic| {
            let replicas: Vec<String> = members(topic, "replicaInfo").map(string).collect();
            let all_the_same = replicas.windows(2).all(|pair| pair[0] == pair[1]);
            let shown = if all_the_same {
                replicas.first().map_or("0", String::as_str).to_owned()
            } else {
                replicas.join(", ")
            };
            let mut row = vec![string(&topic["name"]), replicas.len().to_string(), shown];
            if extended {
                row.extend(cells(topic, &["consumerCount", "consumerGroupCount"]));
            }
            row
        })
        .collect();
    rows.sort();
    Table::with_rows(&headings[..if extended { 5 } else { 3 }], rows).render()
}

/// Properties, and who has set them when they are not as usual.
pub fn properties(entity: &Value) -> String {
    let headings = ["Property", "Scope", "Default override", "Effective Value"];
    let in_list = |list: &str, name: &str| members(entity, list).any(|entry| entry == name);
    let mut rows: Vec<Vec<String>> = match &entity["properties"] {
        Value::Array(properties) => properties
            .iter()
            .map(|property| {
                let name = string(&property["name"]);
                let override_by = if in_list("overwrittenProperties", &name) {
                    "SESSION"
                } else if in_list("defaultProperties", &name) {
                    ""
                } else {
                    "SERVER"
                };
                let value = if property["value"].is_null() { "NULL".to_owned() } else { string(&property["value"]) };
                vec![name, string(&property["scope"]), override_by.to_owned(), value]
            })
            .collect(),
        // Servers of long ago answer an object.
        Value::Object(properties) => properties
            .iter()
            .map(|(name, value)| vec![name.clone(), String::new(), String::new(), string(value)])
            .collect(),
        _ => Vec::new(),
    };
    rows.sort();
    Table::with_rows(&headings, rows).render()
}

/// Functions, one category after the other.
pub fn functions(entity: &Value) -> String {
    let mut functions: Vec<Vec<String>> =
        members(entity, "functions").map(|function| cells(function, &["category", "name"])).collect();
    functions.sort();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for function in functions {
        if rows.last().is_some_and(|last| last[1] != function[0]) {
            rows.push(vec![" ".to_owned(), " ".to_owned()]);
        }
        rows.push(function.into_iter().rev().collect());
    }
    let table = Table::with_rows(&["Function Name", "Category"], rows).render();
    format!("{table}\nFor detailed information about a function, run: DESCRIBE FUNCTION <Function Name>;")
}

/// Types that users have named.
pub fn types(entity: &Value) -> String {
    let named: BTreeMap<&String, &Value> = entity["types"].as_object().into_iter().flatten().collect();
    let rows = named.into_iter().map(|(name, schema)| vec![name.clone(), sql_type(schema)]);
    Table::with_rows(&["Type Name", "Schema"], rows).render()
}

/// Variables.
pub fn variables(entity: &Value) -> String {
    let mut rows: Vec<Vec<String>> =
        members(entity, "variables").map(|variable| cells(variable, &["name", "value"])).collect();
    rows.sort();
    Table::with_rows(&["Variable Name", "Value"], rows).render()
}

/// `SOURCE` or `SINK`.
fn kind(connector: &Value) -> String {
    connector["type"].as_str().map_or_else(|| "UNKNOWN".to_owned(), str::to_uppercase)
}

/// Connectors.
pub fn connectors(entity: &Value) -> String {
    let rows = members(entity, "connectors").map(|connector| {
        vec![string(&connector["name"]), kind(connector), string(&connector["className"]), string(&connector["state"])]
    });
    Table::with_rows(&["Connector Name", "Type", "Class", "Status"], rows).render()
}

/// Kinds of connectors.
pub fn connector_plugins(entity: &Value) -> String {
    let rows = members(entity, "connectorsPlugins")
        .map(|plugin| vec![string(&plugin["className"]), kind(plugin), string(&plugin["version"])]);
    Table::with_rows(&["Class", "Type", "Version"], rows).render()
}
