//! What statements are refused for that neither their words nor the catalog show: settings of the server, and what hangs
//! together.

use milena_sql::ast::{ColumnConstraint, Join, Relation, SourceKind, Statement, TableElement};
use milena_sql::catalog::{Catalog, QueryEntry, Source};

use super::Call;
use crate::entities::source::sink_of;
use crate::error::{Failure, Result};

/// What the server does not do as it is configured.
pub fn check_switches(call: &Call<'_>, statement: &Statement) -> Result<()> {
    let config = &call.server.config;
    match statement {
        Statement::CreateSource(create) if !config.settings.is_true("ksql.headers.columns.enabled", true) => {
            let is_header = |element: &TableElement| {
                matches!(element.constraint, ColumnConstraint::Headers | ColumnConstraint::Header(_))
            };
            if create.elements.iter().any(is_header) {
                let kind = create.kind.title();
                let message = format!("Cannot create {kind} because schema with headers columns is disabled.");
                return Err(Failure::request(message));
            }
        }
        Statement::CreateSource(create)
            if create.is_source && !config.settings.is_true("ksql.source.table.materialization.enabled", true) =>
        {
            let message = "Cannot execute command because source table materialization is disabled.";
            return Err(Failure::statement(message, call.text));
        }
        Statement::InsertInto(insert) => {
            let target = call.catalog.source(&insert.target);
            if let Some(target) = target.filter(|target| config.read_only_topics.is_match(&target.topic)) {
                return Err(Failure::request(format!("Cannot insert into read-only topic: {}", target.topic)));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Queries that keep the state of source tables are there as long as those.
pub fn check_linked(call: &Call<'_>, statement: &Statement) -> Result<()> {
    let (doing, id) = match statement {
        Statement::Terminate(Some(id)) => ("terminate", id),
        Statement::Pause(Some(id)) => ("pause", id),
        Statement::Resume(Some(id)) => ("resume", id),
        _ => return Ok(()),
    };
    let is_linked = |query: &QueryEntry| *query.id == **id && sink_of(query, &call.catalog).is_none();
    match call.catalog.queries().any(is_linked) {
        true => {
            let message = format!("Cannot {doing} query '{id}' because it is linked to a source table.");
            Err(Failure::statement(message, call.text))
        }
        false => Ok(()),
    }
}

/// Refuses a query that is one too many; `count` are those that there would be.
pub fn check_count(call: &Call<'_>, count: usize) -> Result<()> {
    const LIMIT: &str = "ksql.query.persistent.active.limit";
    let limit = call.server.config.settings.integer(LIMIT).unwrap_or(i64::from(i32::MAX));
    if i64::try_from(count).is_ok_and(|count| count <= limit) {
        return Ok(());
    }
    let text = call.text;
    Err(Failure::request(format!(
        "Not executing statement(s) '{text}' as it would cause the number of active, persistent queries to exceed the \
         configured limit. Use the TERMINATE command to terminate existing queries, or increase the '{LIMIT}' setting via the \
         'ksql-server.properties' file. Current persistent query count: {count}. Configured limit: {limit}.\nStatement: {text}"
    )))
}

/// The source whose topic is to be deleted with it; nothing else may lie over the topic.
pub fn doomed(call: &Call<'_>, name: &str) -> Result<Option<Source>> {
    let catalog = &call.catalog;
    let Some(source) = catalog.source(name) else { return Ok(None) };
    let shares = |other: &&Source| other.topic == source.topic && other.name != source.name;
    let mut others: Vec<&str> = catalog.sources().filter(shares).map(|other| &*other.name).collect();
    if others.is_empty() {
        return Ok(Some(source.clone()));
    }
    others.sort_unstable();
    let (others, topic) = (others.join(", "), &source.topic);
    let message = format!("Refusing to delete topic. Found other data sources ({others}) using topic {topic}");
    Err(Failure { statement: Some(call.text.to_owned()), ..Failure::new(Failure::SERVER, message) })
}

/// Words about what is going to be refused one day.
pub fn deprecation(statement: &Statement, catalog: &Catalog) -> Option<&'static str> {
    let Statement::CreateAsSelect(create) = statement else { return None };
    let Relation::Join { first, joins } = &create.query.from else { return None };
    let is_stream = |name: &str| catalog.source(name).is_some_and(|source| source.kind == SourceKind::Stream);
    let lacks_grace =
        |join: &Join| is_stream(&join.right.name) && join.within.is_none_or(|within| within.grace.is_none());
    (is_stream(&first.name) && joins.iter().any(lacks_grace)).then_some(
        "DEPRECATION NOTICE: Stream-stream joins statements without a GRACE PERIOD will not be accepted in a future ksqlDB \
         version.\nPlease use the GRACE PERIOD clause as specified in \
         https://docs.ksqldb.io/en/latest/developer-guide/ksqldb-reference/select-push-query/",
    )
}
