//! What `DESCRIBE` and `EXPLAIN` answer.

use jiff::Timestamp;
use jiff::tz::TimeZone;
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

/// A heading over a line of so many dashes.
fn section(title: &str, dashes: usize) -> String {
    format!("\n{}\n{}", padded(title, NAME_WIDTH), padded(&"-".repeat(dashes), NAME_WIDTH))
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
    lines.push(property("Type", &string(&source["type"])));
    lines.push(property("Timestamp field", &timestamp));
    lines.push(property("Key format", &string(&source["keyFormat"])));
    lines.push(property("Value format", &string(&source["valueFormat"])));
    lines.extend(topic(source));
    lines.push(property("Statement", &string(&source["statement"])));
    lines.push(String::new());
    lines.push(fields(source));
    let kind = string(&source["type"]);
    names_of(&mut lines, &source["sourceConstraints"], "Sources that have a DROP constraint on this source", 50, None);
    queries(&mut lines, &source["readQueries"], &format!("Queries that read from this {kind}"));
    queries(&mut lines, &source["writeQueries"], &format!("Queries that write from this {kind}"));
    statistics(&mut lines, source);
    consumer_groups(&mut lines, &source["queryOffsetSummaries"]);
    lines.join("\n")
}

/// The topic; how large it is only where that is known.
fn topic(source: &Value) -> Option<String> {
    let name = string(&source["topic"]);
    let size = format!(" (partitions: {}, replication: {})", source["partitions"], source["replication"]);
    let size = if source["partitions"].as_i64() == Some(0) { String::new() } else { size };
    (!name.is_empty()).then(|| property("Kafka topic", &format!("{name}{size}")))
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

fn names_of(lines: &mut Vec<String>, names: &Value, title: &str, dashes: usize, hint: Option<&str>) {
    let names: Vec<String> = names.as_array().into_iter().flatten().map(string).collect();
    if !names.is_empty() {
        lines.push(section(title, dashes));
        lines.extend(names);
        lines.extend(hint.map(|hint| format!("\n{hint}")));
    }
}

fn queries(lines: &mut Vec<String>, queries: &Value, title: &str) {
    let queries = queries.as_array().map(Vec::as_slice).unwrap_or_default();
    if queries.is_empty() {
        return;
    }
    lines.push(section(title, 35));
    for query in queries {
        let text = string(&query["queryString"]).split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("{} ({}) : {text}", string(&query["id"]), string(&query["state"])));
    }
    lines.push("\nFor query topology and execution plan please run: EXPLAIN <QueryId>".to_owned());
}

/// What is counted: of each server, or of this one alone.
fn statistics(lines: &mut Vec<String>, source: &Value) {
    let counted = ["clusterStatistics", "clusterErrorStats"].map(|member| source[member].as_array());
    let mut rows: Vec<Vec<String>> = counted.into_iter().flatten().flatten().map(statistic).collect();
    if rows.is_empty() {
        lines.push(section("Local runtime statistics", 24));
        lines.extend(["statistics", "errorStats"].map(|name| string(&source[name])));
    } else {
        rows.sort();
        lines.push(section("Runtime statistics by host", 25));
        lines.push(Table::with_rows(&["Host", "Metric", "Value", "Last Message"], rows).render());
    }
    lines.push(format!(
        "(Statistics of the local KSQL server interaction with the Kafka topic {})",
        string(&source["topic"])
    ));
}

fn statistic(counted: &Value) -> Vec<String> {
    let value = format!("{:10.0}", counted["value"].as_f64().unwrap_or_default());
    vec![string(&counted["host"]), string(&counted["name"]), value, string(&counted["timestamp"])]
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
        if summary["topicSummaries"].as_array().is_none_or(Vec::is_empty) {
            lines.push("<no offsets committed by this group yet>".to_owned());
        }
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
    let mut lines = vec![property("ID", &string(&query["id"])), property("Query Type", &string(&query["queryType"]))];
    let text = string(&query["statementText"]);
    if !text.is_empty() {
        lines.push(property("SQL", &text));
    }
    let hosts = query["ksqlHostQueryStatus"].as_object().into_iter().flatten();
    let hosts: Vec<String> = hosts.map(|(host, state)| format!("{host}={}", string(state))).collect();
    if !hosts.is_empty() {
        lines.push(property("Host Query Status", &format!("{{{}}}", hosts.join(", "))));
    }
    lines.push(String::new());
    if query["fields"].as_array().is_some_and(|fields| !fields.is_empty()) {
        lines.push(fields(query));
    }
    let hint = "For source description please run: DESCRIBE [EXTENDED] <SourceId>";
    names_of(&mut lines, &query["sources"], "Sources that this query reads from: ", 35, Some(hint));
    let hint = "For sink description please run: DESCRIBE [EXTENDED] <SinkId>";
    names_of(&mut lines, &query["sinks"], "Sinks that this query writes to: ", 35, Some(hint));
    for (member, title) in [("executionPlan", "Execution plan"), ("topology", "Processing topology")] {
        let text = string(&query[member]);
        if !text.is_empty() {
            lines.push(section(title, title.len()));
            lines.push(text.trim_end().to_owned());
        }
    }
    overridden(&mut lines, &query["overriddenProperties"]);
    lines.push(String::new());
    for error in query["queryErrors"].as_array().into_iter().flatten() {
        lines.push(property("Error Date", &date(error["timestamp"].as_i64().unwrap_or_default())));
        lines.push(property("Error Details", &string(&error["errorMessage"])));
        lines.push(property("Error Type", &string(&error["type"])));
    }
    lines.join("\n")
}

/// A time of here.
fn date(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %I:%M:%S,%3f (%Z)").to_string()
}

fn overridden(lines: &mut Vec<String>, properties: &Value) {
    let rows = properties.as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = rows.map(|(name, value)| vec![name.clone(), string(value)]).collect();
    if !rows.is_empty() {
        lines.push(section("Overridden Properties", 21));
        lines.push(Table::with_rows(&["Property", "Value"], rows).render());
    }
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
    let tasks = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !tasks.is_empty() {
        let rows = tasks.iter().map(|task| ["id", "state", "trace"].iter().map(|name| string(&task[*name])).collect());
        lines.push(String::new());
        lines.push(Table::with_rows(&["Task ID", "State", "Error Trace"], rows).render());
    }
    let sources = entity["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !sources.is_empty() {
        let names = ["name", "topic", "type"];
        let rows = sources.iter().map(|source| names.iter().map(|name| string(&source[*name])).collect());
        lines.push(String::new());
        lines.push(Table::with_rows(&["KSQL Source Name", "Kafka Topic", "Type"], rows).render());
    }
    let topics = entity["topics"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !topics.is_empty() {
        lines.push(String::new());
        lines.push(Table::with_rows(&["Related Topics"], topics.iter().map(|topic| vec![string(topic)])).render());
    }
    lines.join("\n")
}
