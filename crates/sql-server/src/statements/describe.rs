//! `DESCRIBE` and `EXPLAIN`.

use milena_sql::ast::{Query, SourceKind, Statement, quote_identifier};
use milena_sql::catalog::{QueryEntry, Source};
use milena_sql::planner::{self, PlannedQuery};
use milena_stdx::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{Call, issue, offsets};
use crate::cluster::asking::ask_others;
use crate::entities::source::{described, of_kind, sink_of, summary};
use crate::entities::{entity, functions, merged, plan, schema, statistics, with_warnings};
use crate::error::{Failure, Result};
use crate::kafka::topics;
use crate::queries::states::QueryError;
use crate::queries::transient;

/// What stands before a statement that is explained.
const EXPLAIN: &str = "EXPLAIN ";

/// `DESCRIBE source [EXTENDED]`.
pub async fn source(call: &Call<'_>, name: &str, extended: bool) -> Result<Value> {
    let (mut description, warnings) = description(call, name, extended).await?;
    if extended {
        for (_, answer) in ask_others(call.server, call.text, &call.session).await {
            merged::add_statistics(&mut description, answer.as_ref().map(|answer| &answer["sourceDescription"]));
        }
    }
    Ok(with_warnings("sourceDescription", call.text, json!({ "sourceDescription": description }), &warnings))
}

/// `DESCRIBE STREAMS|TABLES [EXTENDED]`.
pub async fn sources(call: &Call<'_>, kind: SourceKind, extended: bool) -> Result<Value> {
    let (mut descriptions, mut warnings) = (Vec::new(), Vec::new());
    for source in of_kind(&call.catalog, kind) {
        let (description, own) = description(call, &source.name, extended).await?;
        descriptions.push(description);
        warnings.extend(own);
    }
    let members = json!({ "sourceDescriptions": descriptions });
    Ok(with_warnings("source_descriptions", call.text, members, &warnings))
}

/// Whether there is a source.
///
/// # Errors
/// There is none.
pub fn check_source(call: &Call<'_>, name: &str) -> Result<()> {
    source_of(call, name).map(|_| ())
}

fn source_of<'a>(call: &'a Call<'_>, name: &str) -> Result<&'a Source> {
    call.catalog.source(name).ok_or_else(|| {
        let hint = planner::scope::hint(name, &call.catalog);
        Failure::statement(format!("Could not find STREAM/TABLE '{name}' in the Metastore{hint}"), call.text)
    })
}

/// The description of a source, and warnings about what could not be found out.
async fn description(call: &Call<'_>, name: &str, extended: bool) -> Result<(Value, Vec<String>)> {
    let source = source_of(call, name)?;
    let states = &call.server.query_states;
    let cluster = call.server.cluster().await?;
    let shape = topics::shape(&cluster, &source.topic).await.ok().flatten();
    let mut warnings = Vec::new();
    if shape.is_none() {
        warnings.push(format!("Error from Kafka: Failed to Describe Kafka Topic(s): [{}]", source.topic));
    }
    if !extended {
        return Ok((described(source, &call.catalog, states, shape, false), warnings));
    }
    let mut summaries = Vec::new();
    let writes = |query: &&QueryEntry| query.sink == source.name && sink_of(query, &call.catalog).is_some();
    for query in call.catalog.queries().filter(writes) {
        summaries.push(offsets::summary(&cluster, &group_of(call, &query.id)).await?);
    }
    let mut description = described(source, &call.catalog, states, shape, true);
    description["queryOffsetSummaries"] = summaries.into();
    statistics::describe(&mut description, &states.of_topic(&source.topic), call.server.peers.own_host());
    Ok((description, warnings))
}

/// The consumer group of a query.
fn group_of(call: &Call<'_>, id: &str) -> String {
    format!("{}{id}", call.server.config.query_prefix())
}

/// `DESCRIBE FUNCTION name`.
pub fn function(call: &Call<'_>, name: &str) -> Result<Value> {
    let unknown = || Failure::request(format!("Can't find any functions with the name '{name}'"));
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
pub async fn statement(call: &Call<'_>, explained: &Statement) -> Result<Value> {
    let query = query_of(explained)
        .ok_or_else(|| Failure::statement("The provided statement does not run a ksql query", call.text))?;
    let planned = planner::plan(query, None, &call.catalog, &call.settings)?;
    let text = call.text.get(EXPLAIN.len()..).unwrap_or_default();
    let mut description = match explained {
        Statement::Query(_) => {
            let id = transient::id_of(&planned, false);
            let group = format!("{}_{}", call.server.config.transient_group(&id), SystemClock.now_ms());
            explanation(&Explained { id: &id, text, group: &group, sink: None }, &planned)
        }
        _ => {
            let (id, sink) = issue::foreseen(call, explained).await?;
            let (group, written) = (group_of(call, &id), Some((&*sink.name, sink.topic.as_str())));
            let mut description = explanation(&Explained { id: &id, text, group: &group, sink: written }, &planned);
            description["sinks"] = json!([&*sink.name]);
            description["windowType"] = sink.window.map(|window| window.shape.name()).into();
            description
        }
    };
    description["overriddenProperties"] = json!(call.session.properties);
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
    let written = sink_of(entry, &call.catalog);
    let topic = sink.map_or(&*entry.sink, |sink| sink.topic.as_str());
    let group = group_of(call, &entry.id);
    let told = Explained { id: &entry.id, text: &entry.statement, group: &group, sink: Some((&entry.sink, topic)) };
    let mut description = explanation(&told, &planned);
    // The columns are those of the sink, whose key may be another one.
    if let Some(sink) = sink {
        description["fields"] = schema::fields(sink);
        description["windowType"] = written.and(sink.window).map(|window| window.shape.name()).into();
    }
    description["sinks"] = written.iter().map(|sink| &*sink.name).collect();
    let state = call.server.query_states.state(&entry.id).name();
    description["state"] = summary([state]).into();
    description["ksqlHostQueryStatus"] = json!({ call.server.peers.own_host(): state });
    if let Some(status) = call.server.query_states.get(&entry.id) {
        description["queryErrors"] = status.errors().iter().map(QueryError::json).collect();
    }
    Ok(description)
}

/// What a query is called.
struct Explained<'a> {
    id: &'a str,
    text: &'a str,
    /// Its consumer group.
    group: &'a str,
    /// What it writes, and its topic; `None` for queries of clients.
    sink: Option<(&'a str, &'a str)>,
}

/// A query as `EXPLAIN` shows it, as far as it does not matter whether it runs.
fn explanation(of: &Explained<'_>, planned: &PlannedQuery) -> Value {
    let mut sources: Vec<&str> = Vec::new();
    for source in planned.step.sources() {
        if !sources.contains(&&*source.name) {
            sources.push(&source.name);
        }
    }
    json!({
        "id": of.id,
        "statementText": of.text,
        "windowType": planned.step.schema.window.map(|window| window.shape.name()),
        "fields": schema::columns(planned.schema.columns()),
        "sources": sources,
        "sinks": [],
        "topology": plan::topology(&planned.step, of.group, of.sink.map(|(_, topic)| topic)),
        "executionPlan": plan::execution_plan(&planned.step, of.id, of.sink.map(|(name, _)| name)),
        "overriddenProperties": {},
        "ksqlHostQueryStatus": {},
        "queryType": if of.sink.is_some() { "PERSISTENT" } else { "PUSH" },
        "queryErrors": [],
        "tasksMetadata": [],
        "consumerGroupId": of.group,
        "state": Value::Null,
    })
}
