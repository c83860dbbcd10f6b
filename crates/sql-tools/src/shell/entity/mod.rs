//! A server's answers to statements as text for people, by their `@type`.

mod description;
mod function;
mod listing;

use serde_json::Value;

use crate::table::Table;

/// The text of an answer, for a terminal of `width` columns.
pub fn render(entity: &Value, width: usize) -> String {
    let mut text = by_type(entity, width);
    for warning in entity["warnings"].as_array().into_iter().flatten() {
        text.push_str(&format!("\nWARNING: {}", string(&warning["message"])));
    }
    text
}

fn by_type(entity: &Value, width: usize) -> String {
    match entity["@type"].as_str().unwrap_or_default() {
        "currentStatus" => {
            let message = string(&entity["commandStatus"]["message"]);
            Table::message(message.lines().next().unwrap_or_default())
        }
        "warning_entity" => Table::message(&string(&entity["message"])),
        "terminate_query" => Table::message(&format!("Terminated query \"{}\"", string(&entity["queryId"]))),
        "streams" => listing::sources(entity, "streams", "Stream Name"),
        "tables" => listing::sources(entity, "tables", "Table Name"),
        "queries" => listing::queries(entity),
        "kafka_topics" => listing::topics(entity, false),
        "kafka_topics_extended" => listing::topics(entity, true),
        "properties" => listing::properties(entity),
        "function_names" => listing::functions(entity),
        "type_list" => listing::types(entity),
        "variables" => listing::variables(entity),
        "connector_list" => listing::connectors(entity),
        "connector_plugins_list" => listing::connector_plugins(entity),
        "connector_info" => Table::message(&format!("Created connector {}", string(&entity["info"]["name"]))),
        "drop_connector" => Table::message(&format!("Dropped connector \"{}\"", string(&entity["connectorName"]))),
        "connector_description" => description::connector(entity),
        "sourceDescription" => description::source(&entity["sourceDescription"]),
        "source_descriptions" => {
            let all = entity["sourceDescriptions"].as_array().into_iter().flatten();
            all.map(description::source).collect::<Vec<_>>().join("\n\n")
        }
        "queryDescription" => description::query(&entity["queryDescription"]),
        "query_descriptions" => {
            let all = entity["queryDescriptions"].as_array().into_iter().flatten();
            all.map(description::query).collect::<Vec<_>>().join("\n\n")
        }
        "describe_function" => function::described(entity, width),
        "assert_topic" => asserted("Topic", &string(&entity["topicName"]), entity),
        "assert_schema" => {
            let parts = ["subject", "id"];
            let given = parts.iter().filter(|member| !entity[**member].is_null());
            let words: Vec<String> = given.map(|member| format!("{member} {}", string(&entity[*member]))).collect();
            asserted("Schema with", &words.join(" "), entity)
        }
        _ => pretty(entity),
    }
}

fn asserted(what: &str, which: &str, entity: &Value) -> String {
    let verb = if entity["exists"] == false { "does not exist" } else { "exists" };
    format!("{what} {which} {verb}.")
}

/// An answer as JSON over several lines.
pub fn pretty(value: &Value) -> String {
    // A JSON value always has a text.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A text without quotes, anything else as JSON, nothing for null.
fn string(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The texts of an array, separated by commas.
fn strings(value: &Value) -> String {
    value.as_array().into_iter().flatten().map(string).collect::<Vec<_>>().join(",")
}

/// A type as descriptions show it: strings as `VARCHAR(STRING)`, nested ones too.
fn sql_type(schema: &Value) -> String {
    let base = schema["type"].as_str().unwrap_or_default();
    let member = &schema["memberSchema"];
    match base {
        "STRING" => "VARCHAR(STRING)".to_owned(),
        "ARRAY" => format!("ARRAY<{}>", sql_type(member)),
        "MAP" => format!("MAP<STRING, {}>", sql_type(member)),
        "STRUCT" => {
            let fields = schema["fields"].as_array().into_iter().flatten();
            let fields: Vec<String> =
                fields.map(|field| format!("{} {}", string(&field["name"]), sql_type(&field["schema"]))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        "DECIMAL" => {
            let parameters = &schema["parameters"];
            format!("DECIMAL({}, {})", string(&parameters["precision"]), string(&parameters["scale"]))
        }
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests;
