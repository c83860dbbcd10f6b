//! Statements that change something: checked, prepared, written into the command topic, waited for.

use std::collections::HashSet;

use milena_sql::ast::{
    ColumnConstraint, CreateSource, DropSource, SourceKind, Statement, TableElement, format_statement,
};
use milena_sql::catalog::schema::{Column, Namespace};
use milena_sql::catalog::{Catalog, Source, StatementError};
use milena_sql::definition::{Circumstances, register_schemas};
use serde_json::{Value, json};

use super::Call;
use super::checks::{check_count, check_linked, check_switches, deprecation, doomed};
use super::topic::{self, topic};
use crate::command::execute::{Effect, Outcome, execute};
use crate::command::metastore::CommandStatus;
use crate::command::{Command, CommandId};
use crate::entities::with_warnings;
use crate::error::{Failure, Result};
use crate::kafka::topics;
use crate::session::Session;
use crate::terminate::{delete_subjects, subjects_of};

/// Executes a statement on every server, this one included, and answers what became of it.
pub async fn issue(call: &Call<'_>, statement: &Statement, id: CommandId, session: &Session) -> Result<Value> {
    let connected = call.server.ready().await?;
    call.server.undamaged()?;
    if call.server.config.queries_file.is_some() {
        let message = "This server runs in headless mode: its statements come from ksql.queries.file alone.";
        return Err(Failure::statement(message, call.text));
    }
    let _turn = call.server.issuing.lock().await;
    let end = connected.log.end().await?;
    call.server.executed_before(end).await?;
    let call = &Call { catalog: call.server.catalog(), ..call.clone() };
    check_switches(call, statement)?;
    check_linked(call, statement)?;
    let outcome = checked(call, statement, end).await?;
    let creates = matches!(statement, Statement::CreateSource(_) | Statement::CreateAsSelect(_));
    if outcome.is_noop && creates {
        return Ok(with_warnings("warning_entity", call.text, json!({ "message": outcome.message }), &[]));
    }
    let mut partitions = None;
    if let Some(source) = &outcome.made {
        let is_sink = matches!(statement, Statement::CreateAsSelect(_));
        partitions = Some(topic(&connected, source, statement).await?);
        schemas(call, source, is_sink).await?;
    }
    let topic_to_delete = match statement {
        Statement::DropSource(drop) if drop.delete_topic => doomed(call, &drop.name)?,
        _ => None,
    };
    let text =
        outcome.made.as_deref().map_or_else(|| told(statement, call.text), |made| replayed(statement, made, call.text));
    let command = Command::new(&text, session.properties.clone(), Default::default(), partitions);
    let offset = connected.log.append(&id, &command).await?;
    let key = id.to_string();
    let executed = call.server.executed_before(offset + 1).await;
    let status = match executed {
        Ok(()) => call.server.metastore.status(&key).unwrap_or_else(CommandStatus::queued),
        Err(_) => CommandStatus::queued(),
    };
    if let (Some(source), Ok(())) = (topic_to_delete, executed) {
        // What still writes the topic would only find it gone.
        for effect in &outcome.effects {
            if let Effect::Stop(query) = effect {
                let ended = call.server.query_states.ended(query);
                let _ = tokio::time::timeout(call.server.config.response_timeout, ended).await;
            }
        }
        topics::delete(&connected.kafka.cluster, &source.topic).await?;
        delete_subjects(call.server, &source.topic).await;
    }
    let members = json!({ "commandId": key, "commandStatus": status.json(), "commandSequenceNumber": offset });
    let warnings: Vec<String> = deprecation(statement, &call.catalog).map(str::to_owned).into_iter().collect();
    Ok(with_warnings("currentStatus", &text, members, &warnings))
}

/// What a statement that starts a query would start: the query's id, and its sink.
///
/// # Errors
/// A statement that would be refused.
pub async fn foreseen(call: &Call<'_>, statement: &Statement) -> Result<(String, Source)> {
    let end = call.server.ready().await?.log.end().await?;
    let (outcome, catalog) = executed(call, statement, end, None).await?;
    let sink = match (&outcome.made, statement) {
        (Some(made), _) => Some((**made).clone()),
        (None, Statement::InsertInto(insert)) => catalog.source(&insert.target).cloned(),
        _ => None,
    };
    let started = outcome.query_id.zip(sink);
    started.ok_or_else(|| Failure::statement("The provided statement did not run a ksql query", call.text))
}

/// The text of a statement in answers and for servers: what this server does alone is no part of it.
fn told(statement: &Statement, text: &str) -> String {
    match statement {
        Statement::DropSource(drop) if drop.delete_topic => {
            let without = Statement::DropSource(DropSource { delete_topic: false, ..drop.clone() });
            format_statement(&without).map_or_else(|| text.to_owned(), |without| format!("{without};"))
        }
        _ => text.to_owned(),
    }
}

/// The text that servers execute: with the columns that were taken from the registry, which may say something else when
/// the text is read again. What a schema id names never changes.
fn replayed(statement: &Statement, made: &Source, text: &str) -> String {
    let Statement::CreateSource(create) = statement else { return text.to_owned() };
    let is_stated = |column: &Column| create.elements.iter().any(|element| element.name == column.name);
    let is_named = |column: &Column| match column.namespace {
        Namespace::Key => made.key_format.schema_id.is_some(),
        _ => made.value_format.schema_id.is_some(),
    };
    let elements: Vec<TableElement> = made
        .schema
        .columns()
        .iter()
        .filter(|column| is_stated(column) || !is_named(column))
        .map(|column| element(column, create))
        .collect();
    if elements.len() == create.elements.len() {
        return text.to_owned();
    }
    let stated = Statement::CreateSource(CreateSource { elements, ..create.clone() });
    format_statement(&stated).map_or_else(|| text.to_owned(), |stated| format!("{stated};"))
}

fn element(column: &Column, create: &CreateSource) -> TableElement {
    let constraint = match (&column.namespace, create.kind) {
        (Namespace::Value, _) => ColumnConstraint::None,
        (Namespace::Key, SourceKind::Stream) => ColumnConstraint::Key,
        (Namespace::Key, SourceKind::Table) => ColumnConstraint::PrimaryKey,
        (Namespace::Headers, _) => ColumnConstraint::Headers,
        (Namespace::Header(name), _) => ColumnConstraint::Header(name.clone()),
    };
    TableElement {
        name: column.name.clone(),
        column_type: column.column_type.clone(),
        constraint,
        location: create.location,
    }
}

/// Executes a statement on this server alone, for good.
pub async fn apply(call: &Call<'_>, statement: &Statement, number: usize) -> Result<Vec<Effect>> {
    check_switches(call, statement)?;
    let connected = call.server.ready().await?;
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let (outcome, catalog) = executed(call, statement, number, None).await?;
    let Some(source) = outcome.made.filter(|_| !outcome.is_noop) else {
        call.server.metastore.set_catalog(catalog);
        return Ok(outcome.effects);
    };
    let is_sink = matches!(statement, Statement::CreateAsSelect(_));
    let partitions = topic(&connected, &source, statement).await?;
    schemas(call, &source, is_sink).await?;
    let (outcome, catalog) = executed(call, statement, number, Some(partitions)).await?;
    call.server.metastore.set_catalog(catalog);
    Ok(outcome.effects)
}

/// What the statement would do now.
async fn checked(call: &Call<'_>, statement: &Statement, number: i64) -> Result<Outcome> {
    let (outcome, catalog) = executed(call, statement, number, None).await?;
    if matches!(statement, Statement::CreateAsSelect(_) | Statement::InsertInto(_)) {
        check_count(call, catalog.queries().count())?;
    }
    Ok(outcome)
}

/// Executes a statement on the catalog and the registry of the call alone, which nobody else looks at, the `number`th in the
/// command topic: no topic is made, and none deleted: `deleted` names those that would be. The catalog as it would be.
///
/// # Errors
/// A statement that would be refused.
pub async fn rehearsed(
    call: &Call<'_>,
    statement: &Statement,
    number: i64,
    deleted: &mut HashSet<String>,
) -> Result<Catalog> {
    check_switches(call, statement)?;
    check_linked(call, statement)?;
    if let Statement::DropSource(drop) = statement
        && drop.delete_topic
        && let Some(source) = doomed(call, &drop.name)?
    {
        for subject in subjects_of(&source.topic) {
            call.registry.delete(&subject).map_err(StatementError::from)?;
        }
        deleted.insert(source.topic);
    }
    let outcome = checked(call, statement, number).await?;
    let mut partitions = None;
    if let Some(source) = outcome.made.filter(|_| !outcome.is_noop) {
        let is_sink = matches!(statement, Statement::CreateAsSelect(_));
        let connected = call.server.ready().await?;
        partitions = Some(topic::partitions(&connected, &source, statement, &call.catalog, deleted).await?);
        schemas(call, &source, is_sink).await?;
    }
    executed(call, statement, number, partitions).await.map(|(_, catalog)| catalog)
}

/// What the statement would do now, and the catalog as it would be.
async fn executed(
    call: &Call<'_>,
    statement: &Statement,
    number: i64,
    partitions: Option<i32>,
) -> Result<(Outcome, Catalog)> {
    let mut catalog = (*call.catalog).clone();
    let circumstances = Circumstances {
        settings: call.settings.clone(),
        registry: call.registry.clone(),
        number: usize::try_from(number).unwrap_or_default(),
        partitions,
    };
    let (statement, text) = (statement.clone(), call.text.to_owned());
    // The registry may be asked, which blocks.
    let checking = move || {
        let outcome = execute(&statement, &text, &mut catalog, &circumstances);
        outcome.map(|outcome| (outcome, catalog))
    };
    let checked = tokio::task::spawn_blocking(checking).await;
    let checked = checked.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))?;
    Ok(checked?)
}

async fn schemas(call: &Call<'_>, source: &Source, is_sink: bool) -> Result<()> {
    let (source, registry) = (source.clone(), call.registry.clone());
    let registered = tokio::task::spawn_blocking(move || register_schemas(&source, is_sink, &registry)).await;
    registered.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))??;
    Ok(())
}
