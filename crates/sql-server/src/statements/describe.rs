//! `DESCRIBE` and `EXPLAIN`.

use milena_sql::ast::{Query, SourceKind, Statement, quote_identifier};
use milena_sql::catalog::QueryEntry;
use milena_sql::planner::{self, PlannedQuery};
use serde_json::{Value, json};

use super::{Call, offsets};
use crate::cluster::asking::ask_others;
use crate::entities::source::{described, of_kind};
use crate::entities::{entity, functions, merged, plan, schema, statistics};
use crate::error::{Failure, Result};
use crate::kafka::topics;
use crate::queries::states::QueryError;

/// `DESCRIBE source [EXTENDED]`.
pub async fn source(call: &Call<'_>, name: &str, extended: bool) -> Result<Value> {
    let mut description = description(call, name, extended).await?;
    if extended {
        for (_, answer) in ask_others(call.server, call.text, &call.session).await {
            merged::add_statistics(&mut description, answer.as_ref().map(|answer| &answer["sourceDescription"]));
        }
    }
    Ok(entity("sourceDescription", call.text, json!({ "sourceDescription": description })))
}

/// `DESCRIBE STREAMS|TABLES [EXTENDED]`.
pub async fn sources(call: &Call<'_>, kind: SourceKind, extended: bool) -> Result<Value> {
    let mut descriptions = Vec::new();
    for source in of_kind(&call.catalog, kind) {
        descriptions.push(description(call, &source.name, extended).await?);
    }
    Ok(entity("source_descriptions", call.text, json!({ "sourceDescriptions": descriptions })))
}

async fn description(call: &Call<'_>, name: &str, extended: bool) -> Result<Value> {
    let Some(source) = call.catalog.source(name) else {
        let hint = planner::scope::hint(name, &call.catalog);
        let message = format!("Could not find STREAM/TABLE '{name}' in the Metastore{hint}");
        return Err(Failure::statement(message, call.text));
    };
    let states = &call.server.query_states;
    if !extended {
        return Ok(described(source, &call.catalog, states, None, false));
    }
    let cluster = call.server.cluster().await?;
    let shape = topics::shape(&cluster, &source.topic).await?;
    let mut summaries = Vec::new();
    for query in call.catalog.queries().filter(|query| query.sink == source.name) {
        summaries.extend(offsets::summary(&cluster, &group_of(call, &query.id)).await?);
    }
    let mut description = described(source, &call.catalog, states, shape, true);
    description["queryOffsetSummaries"] = summaries.into();
    statistics::describe(&mut description, &states.of_topic(&source.topic), call.server.peers.own_host());
    Ok(description)
}

/// The consumer group of a query.
fn group_of(call: &Call<'_>, id: &str) -> String {
    format!("{}{id}", call.server.config.query_prefix())
}

/// `DESCRIBE FUNCTION name`.
pub fn function(call: &Call<'_>, name: &str) -> Result<Value> {
    let unknown = || Failure::statement(format!("Can't find any functions with the name '{name}'"), call.text);
    Ok(entity("describe_function", call.text, functions::described(name).ok_or_else(unknown)?))
}

/// `EXPLAIN id`.
pub async fn query(call: &Call<'_>, id: &str) -> Result<Value> {
    let found = call.catalog.queries().find(|query| query.id.eq_ignore_ascii_case(id));
    let unknown = || {
        let message = format!("Query with id:{id} does not exist, use SHOW QUERIES to view the full set of queries.");
        Failure::statement(message, call.text)
    };
    let mut description = persistent(call, found.ok_or_else(unknown)?)?;
    for (host, answer) in ask_others(call.server, call.text, &call.session).await {
        let other = answer.as_ref().map(|answer| &answer["queryDescription"]);
        merged::add_query_status(&mut description, &host, other);
    }
    Ok(entity("queryDescription", call.text, json!({ "queryDescription": description })))
}

/// `SHOW QUERIES EXTENDED`.
pub async fn queries(call: &Call<'_>) -> Result<Value> {
    let mut descriptions: Vec<Value> =
        call.catalog.queries().map(|query| persistent(call, query)).collect::<Result<_>>()?;
    for (host, answer) in ask_others(call.server, call.text, &call.session).await {
        let others = answer.as_ref().and_then(|answer| answer["queryDescriptions"].as_array());
        for description in &mut descriptions {
            let same = |other: &&Value| other["id"] == description["id"];
            let other = others.and_then(|others| others.iter().find(same));
            merged::add_query_status(description, &host, other);
        }
    }
    Ok(entity("query_descriptions", call.text, json!({ "queryDescriptions": descriptions })))
}

/// `EXPLAIN statement`.
pub fn statement(call: &Call<'_>, explained: &Statement) -> Result<Value> {
    let query = query_of(explained)
        .ok_or_else(|| Failure::statement("The provided statement does not run a ksql query", call.text))?;
    let planned = planner::plan(query, None, &call.catalog, &call.settings)?;
    let description = explanation("", call.text, &planned, None);
    Ok(entity("queryDescription", call.text, json!({ "queryDescription": description })))
}

fn query_of(statement: &Statement) -> Option<&Query> {
    match statement {
        Statement::Query(query) => Some(query),
        Statement::CreateAsSelect(create) => Some(&create.query),
        Statement::InsertInto(insert) => Some(&insert.query),
        _ => None,
    }
}

fn persistent(call: &Call<'_>, entry: &QueryEntry) -> Result<Value> {
    let types = |name: &str| call.catalog.custom_type(name).cloned();
    let parsed = milena_sql::parser::parse_one(&entry.statement, &types);
    let parsed = parsed.map_err(|error| Failure::statement(error.to_string(), call.text))?;
    // A source table has no SELECT of its own: its query keeps all of it.
    let all = || {
        milena_sql::parser::parse_one(&format!("SELECT * FROM {} EMIT CHANGES;", quote_identifier(&entry.sink)), &types)
    };
    let all = if query_of(&parsed).is_none() { all().ok() } else { None };
    let query = query_of(all.as_ref().unwrap_or(&parsed));
    let query = query.ok_or_else(|| Failure::new(Failure::SERVER, "a query without SELECT"))?;
    let planned = planner::plan(query, None, &call.catalog, &call.settings)?;
    let sink = call.catalog.source(&entry.sink);
    let topic = sink.map_or_else(|| entry.sink.to_string(), |sink| sink.topic.clone());
    let group = group_of(call, &entry.id);
    let mut description = explanation(&entry.id, &entry.statement, &planned, Some((&group, &topic)));
    // The columns are those of the sink, whose key may be another one.
    if let Some(sink) = sink {
        description["fields"] = schema::fields(sink);
        description["windowType"] = sink.window.map(|window| window.shape.name()).into();
    }
    description["sinks"] = json!([&*entry.sink]);
    let state = call.server.query_states.state(&entry.id).name();
    description["state"] = state.into();
    description["ksqlHostQueryStatus"] = json!({ call.server.peers.own_host(): state });
    if let Some(status) = call.server.query_states.get(&entry.id) {
        description["queryErrors"] = status.errors().iter().map(QueryError::json).collect();
    }
    description["consumerGroupId"] = group.into();
    Ok(description)
}

/// A query as `EXPLAIN` shows it; `written` is the group and the sink's topic of one that runs.
fn explanation(id: &str, text: &str, planned: &PlannedQuery, written: Option<(&str, &str)>) -> Value {
    let mut sources: Vec<&str> = Vec::new();
    for source in planned.step.sources() {
        if !sources.contains(&&*source.name) {
            sources.push(&source.name);
        }
    }
    let (group, topic) = written.unzip();
    json!({
        "id": id,
        "statementText": text,
        "windowType": planned.step.schema.window.map(|window| window.shape.name()),
        "fields": schema::columns(planned.schema.columns()),
        "sources": sources,
        "sinks": [],
        "topology": plan::topology(&planned.step, group.unwrap_or("transient"), topic),
        "executionPlan": plan::execution_plan(&planned.step, if id.is_empty() { "transient" } else { id }, topic.is_some()),
        "overriddenProperties": {},
        "ksqlHostQueryStatus": {},
        "queryType": if written.is_some() { "PERSISTENT" } else { "PUSH" },
        "queryErrors": [],
        "tasksMetadata": [],
        "consumerGroupId": Value::Null,
        "state": Value::Null,
    })
}
