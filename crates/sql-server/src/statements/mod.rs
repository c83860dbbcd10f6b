//! Statements of a request, one after the other: what each does, and what is answered.

mod assert;
mod checks;
mod connectors;
mod describe;
mod insert;
mod issue;
mod offsets;
mod properties;
mod rehearsal;
mod show;
mod topic;
mod variables;

use std::sync::Arc;

use milena_sql::ast::Statement;
use milena_sql::catalog::{Catalog, Settings};
use milena_sql::formats::registry::SchemaRegistry;
use milena_sql::parser::{self, ParsedStatement};
use serde_json::{Value, json};

use crate::cluster::asking::ask_others;
use crate::command::CommandId;
use crate::command::execute::Effect;
use crate::entities::entity;
use crate::error::{Failure, Result};
use crate::registry::Asked;
use crate::session::Session;
use crate::state::Server;

/// Why `ALTER SYSTEM` is refused, as by default: every query runs for itself here.
const RUNTIMES_ARE_NOT_SHARED: &str = "Cannot alter system configs when KSQL_SHARED_RUNTIME_ENABLED is turned off.";

/// Executes all statements of `sql`; the answers in their order. `SET`, `DEFINE` and the like last to the end of the text.
///
/// # Errors
/// The first statement that fails, with the answers to those before it, which stay.
pub async fn execute(server: &Arc<Server>, sql: &str, session: &mut Session) -> Result<Vec<Value>> {
    let mut answers = Vec::new();
    let statements = parse(server, sql, session)?;
    if statements.len() > 1 {
        rehearsal::rehearse(server, &statements, session).await?;
    }
    for parsed in statements {
        match one(server, &parsed, session).await {
            Ok(answer) => answers.extend(answer),
            Err(failure) => return Err(Failure { entities: answers, ..failure.of(&parsed.text) }),
        }
    }
    Ok(answers)
}

/// The statements of a text, after variables have been put in.
///
/// # Errors
/// A text that is no statement.
pub fn parse(server: &Server, sql: &str, session: &Session) -> Result<Vec<ParsedStatement>> {
    let refused = |error: parser::ParseError| Failure::statement(error.to_string(), sql);
    let substitutes = session.settings(&server.config.settings).is_true("ksql.variable.substitution.enable", true);
    if substitutes && sql.contains("${") {
        let sql = variables::substituted(sql, &session.variables).map_err(refused)?;
        return parser::parse(&sql).map_err(refused);
    }
    parser::parse(sql).map_err(refused)
}

/// The statement, now that everything before it has been executed.
///
/// # Errors
/// A statement that says what cannot be.
pub fn prepare(parsed: &ParsedStatement, catalog: &Catalog) -> Result<Statement> {
    let types = |name: &str| catalog.custom_type(name).cloned();
    parsed.prepare(&types).map_err(|error| Failure::statement(error.to_string(), &parsed.text))
}

/// Executes a statement of a headless server; what running queries have to do about it.
///
/// # Errors
/// A statement that is refused; what Kafka and the registry say.
pub async fn apply(
    server: &Arc<Server>,
    parsed: &ParsedStatement,
    statement: &Statement,
    session: &Session,
    number: usize,
) -> Result<Vec<Effect>> {
    let settings = session.settings(&server.config.settings);
    let (catalog, registry) = (server.catalog(), server.registry.clone());
    let call = Call { server, text: &parsed.text, settings, catalog, registry, session: session.clone() };
    issue::apply(&call, statement, number).await
}

/// What a statement is executed with.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub server: &'a Arc<Server>,
    /// Its text, with the `;`.
    pub text: &'a str,
    /// Properties of the server with those of the session over them.
    pub settings: Settings,
    /// The catalog when its turn came.
    pub catalog: Arc<Catalog>,
    /// The registry; calls block.
    pub registry: Arc<dyn SchemaRegistry>,
    /// Whose call it is.
    pub session: Session,
}

async fn one(server: &Arc<Server>, parsed: &ParsedStatement, session: &mut Session) -> Result<Option<Value>> {
    server.ready().await?;
    let catalog = server.catalog();
    let statement = prepare(parsed, &catalog)?;
    // What others may see of it.
    let text = parsed.masked(&statement);
    let settings = session.settings(&server.config.settings);
    let registry = Arc::new(Asked::new(server.registry.clone()));
    let call = Call { server, text: &text, settings, catalog, registry: registry.clone(), session: session.clone() };
    answered(&call, &statement, session).await.map_err(|failure| registry.reason(failure).of(&text))
}

async fn answered(call: &Call<'_>, statement: &Statement, session: &mut Session) -> Result<Option<Value>> {
    let Call { server, text, .. } = call;
    // Those of clients are this server's alone: other servers need not hear of it.
    if let Statement::Terminate(Some(query)) = statement
        && let Some(id) = end_query_of_client(call, query).await?
    {
        let members = json!({ "queryId": id, "wasTerminated": true });
        return Ok(Some(entity("terminate_query", text, members)));
    }
    if let Some(id) = CommandId::of(statement) {
        return issue::issue(call, statement, id, session).await.map(Some);
    }
    match statement {
        Statement::InsertValues(values) => insert::insert(call, values).await.map(|()| None),
        Statement::Set { name, value } => {
            session.set(name, value, &server.config.denied_overrides, text).map(|()| None)
        }
        Statement::Unset { name } => session.unset(name, text).map(|()| None),
        Statement::Define { name, value } => {
            variables::define(&mut session.variables, name, value.clone());
            Ok(None)
        }
        Statement::Undefine { name } => Ok(undefine(session, name, text)),
        Statement::Show(what) => show::show(call, *what, session).await.map(Some),
        Statement::Describe { source, extended, .. } => describe::source(call, source, *extended).await.map(Some),
        Statement::DescribeSources { kind, extended } => describe::sources(call, *kind, *extended).await.map(Some),
        Statement::DescribeFunction { name } => describe::function(call, name).map(Some),
        Statement::ExplainQuery { id } => describe::query(call, id).await.map(Some),
        Statement::ExplainStatement(explained) => describe::statement(call, explained).await.map(Some),
        Statement::AssertTopic(wanted) => assert::topic(call, wanted).await.map(Some),
        Statement::AssertSchema(wanted) => assert::schema(call, wanted).await.map(Some),
        Statement::CreateConnector(create) => connectors::create(call, create).await.map(Some),
        Statement::DropConnector { name, if_exists } => connectors::drop(call, name, *if_exists).await.map(Some),
        Statement::DescribeConnector { name } => connectors::describe(call, name).await.map(Some),
        Statement::AlterSystem { .. } => Err(unwritten(text, RUNTIMES_ARE_NOT_SHARED)),
        other => unsupported(other, text).map_or(Ok(None), Err),
    }
}

/// Why a statement is not for this endpoint, if it is not.
fn unsupported(statement: &Statement, text: &str) -> Option<Failure> {
    match statement {
        Statement::Query(_) | Statement::Print(_) => Some(Failure {
            statement: Some(text.to_owned()),
            ..Failure::new(
                Failure::QUERY_ENDPOINT,
                "The following statement types should be issued to the websocket endpoint '/query':\n\t* PRINT\n\t* SELECT",
            )
        }),
        // For tests.
        Statement::AssertValues(_) | Statement::AssertTombstone(_) | Statement::AssertSource(_) => {
            Some(Failure::statement("Do not know how to validate statement of this type.", text))
        }
        _ => None,
    }
}

/// Ends a query of a client, here or where it runs; its id. `None` for queries that are others.
///
/// # Errors
/// A query that no server has.
async fn end_query_of_client(call: &Call<'_>, query: &str) -> Result<Option<String>> {
    if let Some(id) = call.server.push_queries.terminate(query) {
        return Ok(Some(id));
    }
    if !query.to_lowercase().contains("transient_") {
        return Ok(None);
    }
    let answers = ask_others(call.server, call.text, &call.session).await;
    if answers.iter().flat_map(|(_, answer)| answer).any(|answer| answer["wasTerminated"] == true) {
        return Ok(Some(query.to_owned()));
    }
    Err(Failure::request(format!("Failed to terminate query with query ID: '{query}'")))
}

/// `UNDEFINE`; a warning about a variable that is not there.
fn undefine(session: &mut Session, name: &str, text: &str) -> Option<Value> {
    if variables::undefine(&mut session.variables, name) {
        return None;
    }
    let message = format!("Cannot undefine variable '{name}' which was never defined");
    Some(entity("warning_entity", text, json!({ "message": message })))
}

/// A command that could not be issued.
fn unwritten(text: &str, reason: &str) -> Failure {
    let message = format!("Could not write the statement '{text}' into the command topic.");
    Failure { statement: Some(text.to_owned()), ..Failure::new(Failure::SERVER, message) }.caused_by(reason)
}
