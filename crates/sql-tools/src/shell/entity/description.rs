//! What `DESCRIBE` and `EXPLAIN` answer.

use serde_json::Value;

use super::{sql_type, string};
use crate::table::{Table, padded};

/// Width of the names in `Name                 : value`.
const NAME_WIDTH: usize = 20;
/// Types are filled up to this width before what a column is besides.
const TYPE_WIDTH: usize = 16;

fn property(name: &str, value: &str) -> String {
    format!("{} : {value}", padded(name, NAME_WIDTH))
}

/// A heading over a line of dashes.
fn section(title: &str) -> String {
    format!("\n{title}\n{}", "-".repeat(title.len()))
}

/// A stream or table.
pub fn source(source: &Value) -> String {
    let mut lines = vec![property("Name", &string(&source["name"]))];
    if source["extended"] != true {
        lines.push(fields(source));
        lines.push("For runtime statistics and query details run: DESCRIBE <Stream,Table> EXTENDED;".to_owned());
        return lines.join("\n");
    }
    let timestamp = string(&source["timestamp"]);
    let timestamp = if timestamp.is_empty() { "Not set - using <ROWTIME>".to_owned() } else { timestamp };
    let topic = format!(
        "{} (partitions: {}, replication: {})",
        string(&source["topic"]),
        string(&source["partitions"]),
        string(&source["replication"])
    );
    lines.push(property("Type", &string(&source["type"])));
    if let Some(window) = source["windowType"].as_str() {
        lines.push(property("Window type", window));
    }
    lines.push(property("Timestamp field", &timestamp));
    lines.push(property("Key format", &string(&source["keyFormat"])));
    lines.push(property("Value format", &string(&source["valueFormat"])));
    lines.push(property("Kafka topic", &topic));
    lines.push(property("Statement", &string(&source["statement"])));
    lines.push(String::new());
    lines.push(fields(source));
    let kind = string(&source["type"]);
    names_of(&mut lines, &source["sourceConstraints"], "Sources that have a DROP constraint on this source");
    queries(&mut lines, &source["readQueries"], &format!("Queries that read from this {kind}"));
    queries(&mut lines, &source["writeQueries"], &format!("Queries that write from this {kind}"));
    statistics(&mut lines, source);
    consumer_groups(&mut lines, &source["queryOffsetSummaries"]);
    lines.join("\n")
}

fn fields(source: &Value) -> String {
    let all = source["fields"].as_array().into_iter().flatten();
    let rows = all.map(|field| vec![string(&field["name"]), column_type(field, source)]);
    Table::with_rows(&["Field", "Type"], rows).render()
}

/// `VARCHAR(STRING)  (primary key)`
fn column_type(field: &Value, source: &Value) -> String {
    let base = sql_type(&field["schema"]);
    let is_table = source["type"] == "TABLE";
    let kind = match field["type"].as_str() {
        Some("KEY") => {
            let key = if is_table { "primary key" } else { "key" };
            match source["windowType"].as_str() {
                Some(window) => format!("({key}) (Window type: {window})"),
                None => format!("({key})"),
            }
        }
        Some("HEADER") => match field["headerKey"].as_str() {
            Some(name) => format!("(header('{name}'))"),
            None => "(headers)".to_owned(),
        },
        _ => return base,
    };
    format!("{} {kind}", padded(&base, TYPE_WIDTH))
}

fn names_of(lines: &mut Vec<String>, names: &Value, title: &str) {
    let names: Vec<String> = names.as_array().into_iter().flatten().map(string).collect();
    if !names.is_empty() {
        lines.push(section(title));
        lines.extend(names);
    }
}

fn queries(lines: &mut Vec<String>, queries: &Value, title: &str) {
    let queries = queries.as_array().map(Vec::as_slice).unwrap_or_default();
    if queries.is_empty() {
        return;
    }
    lines.push(section(title));
    for query in queries {
        let text = string(&query["queryString"]);
        lines.push(format!("{} ({}) : {text}", string(&query["id"]), string(&query["state"])));
    }
    lines.push("\nFor query topology and execution plan please run: EXPLAIN <QueryId>".to_owned());
}

fn statistics(lines: &mut Vec<String>, source: &Value) {
    lines.push(section("Local runtime statistics"));
    for name in ["statistics", "errorStats"] {
        let text = string(&source[name]);
        if !text.is_empty() {
            lines.push(text);
        }
    }
    lines.push(format!(
        "(Statistics of the local KSQL server interaction with the Kafka topic {})",
        string(&source["topic"])
    ));
}

fn consumer_groups(lines: &mut Vec<String>, summaries: &Value) {
    let summaries = summaries.as_array().map(Vec::as_slice).unwrap_or_default();
    if summaries.is_empty() {
        return;
    }
    lines.push("\nConsumer Groups summary:".to_owned());
    for summary in summaries {
        lines.push(String::new());
        lines.push(property("Consumer Group", &string(&summary["groupId"])));
        for topic in summary["topicSummaries"].as_array().into_iter().flatten() {
            lines.push(String::new());
            lines.push(property("Kafka topic", &string(&topic["kafkaTopic"])));
            let offsets = topic["offsets"].as_array().map(Vec::as_slice).unwrap_or_default();
            let position = |offset: &Value, name: &str| offset[name].as_i64().unwrap_or_default();
            let lag = |offset: &Value| position(offset, "logEndOffset") - position(offset, "consumerOffset");
            lines.push(property("Max lag", &offsets.iter().map(lag).max().unwrap_or_default().to_string()));
            let rows = offsets.iter().map(|offset| {
                let names = ["partition", "logStartOffset", "logEndOffset", "consumerOffset"];
                names.iter().map(|name| string(&offset[*name])).chain([lag(offset).to_string()]).collect()
            });
            lines.push(String::new());
            lines.push(Table::with_rows(&["Partition", "Start Offset", "End Offset", "Offset", "Lag"], rows).render());
        }
    }
}

/// A query.
pub fn query(query: &Value) -> String {
    let mut lines = vec![
        property("ID", &string(&query["id"])),
        property("Query Type", &string(&query["queryType"])),
        property("SQL", &string(&query["statementText"])),
    ];
    let hosts = query["ksqlHostQueryStatus"].as_object().into_iter().flatten();
    let hosts: Vec<String> = hosts.map(|(host, state)| format!("{host}={}", string(state))).collect();
    if !hosts.is_empty() {
        lines.push(property("Host Query Status", &format!("{{{}}}", hosts.join(", "))));
    }
    lines.push(String::new());
    lines.push(fields(query));
    names_of(&mut lines, &query["sources"], "Sources that this query reads from: ");
    names_of(&mut lines, &query["sinks"], "Sinks that this query writes to: ");
    for (member, title) in [("executionPlan", "Execution plan"), ("topology", "Processing topology")] {
        let text = string(&query[member]);
        if !text.is_empty() {
            lines.push(section(&padded(title, NAME_WIDTH)));
            lines.push(text.trim_end().to_owned());
        }
    }
    let overridden: Vec<Vec<String>> = query["overriddenProperties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| vec![name.clone(), string(value)])
        .collect();
    if !overridden.is_empty() {
        lines.push(section("Overridden Properties"));
        lines.push(Table::with_rows(&["Property", "Value"], overridden).render());
    }
    let errors: Vec<Vec<String>> = query["queryErrors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| ["timestamp", "type", "errorMessage"].iter().map(|name| string(&error[*name])).collect())
        .collect();
    if !errors.is_empty() {
        lines.push(section("Query Errors"));
        lines.push(Table::with_rows(&["Timestamp", "Type", "Message"], errors).render());
    }
    lines.join("\n")
}

/// A connector and its tasks.
pub fn connector(entity: &Value) -> String {
    let status = &entity["status"];
    let mut lines = vec![
        property("Name", &string(&status["name"])),
        property("Class", &string(&entity["connectorClass"])),
        property("Type", &string(&status["type"])),
        property("State", &string(&status["connector"]["state"])),
        property("WorkerId", &string(&status["connector"]["worker_id"])),
    ];
    let trace = string(&status["connector"]["trace"]);
    if !trace.is_empty() {
        lines.push(property("Trace", &trace));
    }
    let tasks = status["tasks"].as_array().into_iter().flatten();
    let tasks = tasks.map(|task| ["id", "state", "trace"].iter().map(|name| string(&task[*name])).collect());
    lines.push(String::new());
    lines.push(Table::with_rows(&["Task ID", "State", "Error Trace"], tasks).render());
    let sources = entity["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !sources.is_empty() {
        let names = ["name", "topic", "type", "keyFormat", "valueFormat"];
        let rows = sources.iter().map(|source| names.iter().map(|name| string(&source[*name])).collect());
        lines.push(String::new());
        lines.push(
            Table::with_rows(&["KSQL Source Name", "Kafka Topic", "Type", "Key Format", "Value Format"], rows).render(),
        );
    }
    let topics = entity["topics"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !topics.is_empty() {
        lines.push(String::new());
        lines.push(Table::with_rows(&["Related Topics"], topics.iter().map(|topic| vec![string(topic)])).render());
    }
    lines.join("\n")
}
