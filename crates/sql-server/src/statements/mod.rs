//! Statements of a request, one after the other: what each does, and what is answered.

mod assert;
mod connectors;
mod describe;
mod insert;
mod issue;
mod offsets;
pub mod properties;
mod show;
mod variables;

use std::sync::Arc;

use milena_sql::ast::Statement;
use milena_sql::catalog::{Catalog, Settings};
use milena_sql::parser::{self, ParsedStatement};
use serde_json::{Value, json};

use crate::command::CommandId;
use crate::command::execute::Effect;
use crate::entities::entity;
use crate::error::{Failure, Result};
use crate::session::Session;
use crate::state::Server;

/// Executes all statements of `sql`; the answers in their order. `SET`, `DEFINE` and the like last to the end of the text.
///
/// # Errors
/// The first statement that fails, with the answers to those before it, which stay.
pub async fn execute(server: &Arc<Server>, sql: &str, session: &mut Session) -> Result<Vec<Value>> {
    let mut answers = Vec::new();
    for parsed in parse(server, sql, session)? {
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
    let call = Call { server, text: &parsed.text, settings, catalog: server.catalog(), session: session.clone() };
    issue::apply(&call, statement, number).await
}

/// What a statement is executed with.
pub(crate) struct Call<'a> {
    pub server: &'a Arc<Server>,
    /// Its text, with the `;`.
    pub text: &'a str,
    /// Properties of the server with those of the session over them.
    pub settings: Settings,
    /// The catalog when its turn came.
    pub catalog: Arc<Catalog>,
    /// Whose call it is.
    pub session: Session,
}

async fn one(server: &Arc<Server>, parsed: &ParsedStatement, session: &mut Session) -> Result<Option<Value>> {
    server.ready().await?;
    let catalog = server.catalog();
    let statement = prepare(parsed, &catalog)?;
    let settings = session.settings(&server.config.settings);
    let call = Call { server, text: &parsed.text, settings, catalog, session: session.clone() };
    // Those of clients are this server's alone: other servers need not hear of it.
    if let Statement::Terminate(Some(query)) = &statement
        && let Some(id) = server.push_queries.terminate(query)
    {
        let members = json!({ "queryId": id, "wasTerminated": true });
        return Ok(Some(entity("terminate_query", &parsed.text, members)));
    }
    if let Some(id) = CommandId::of(&statement) {
        return issue::issue(&call, &statement, id, session).await.map(Some);
    }
    match &statement {
        Statement::InsertValues(values) => insert::insert(&call, values).await.map(|()| None),
        Statement::Set { name, value } => {
            properties::check_settable(name, &server.config.denied_overrides)?;
            session.set(name, value.clone(), &server.config.denied_overrides)?;
            Ok(None)
        }
        Statement::Unset { name } => {
            session.unset(name);
            Ok(None)
        }
        Statement::Define { name, value } => {
            variables::define(&mut session.variables, name, value.clone());
            Ok(None)
        }
        Statement::Undefine { name } => {
            variables::undefine(&mut session.variables, name);
            Ok(None)
        }
        Statement::Show(what) => show::show(&call, *what, session).await.map(Some),
        Statement::Describe { source, extended, .. } => describe::source(&call, source, *extended).await.map(Some),
        Statement::DescribeSources { kind, extended } => describe::sources(&call, *kind, *extended).await.map(Some),
        Statement::DescribeFunction { name } => describe::function(&call, name).map(Some),
        Statement::ExplainQuery { id } => describe::query(&call, id).await.map(Some),
        Statement::ExplainStatement(explained) => describe::statement(&call, explained).map(Some),
        Statement::AssertTopic(wanted) => assert::topic(&call, wanted).await.map(Some),
        Statement::AssertSchema(wanted) => assert::schema(&call, wanted).await.map(Some),
        Statement::Query(_) | Statement::Print(_) => Err(Failure {
            statement: Some(parsed.text.clone()),
            ..Failure::new(
                Failure::QUERY_ENDPOINT,
                "The following statement types should be issued to the websocket endpoint '/query':\n\t* PRINT\n\t* SELECT",
            )
        }),
        Statement::CreateConnector(create) => connectors::create(&call, create).await.map(Some),
        Statement::DropConnector { name, if_exists } => connectors::drop(&call, name, *if_exists).await.map(Some),
        Statement::DescribeConnector { name } => connectors::describe(&call, name).await.map(Some),
        Statement::AlterSystem { name, .. } => Err(Failure::statement(
            format!(
                "ALTER SYSTEM is not supported by this server: set {name} in its configuration and start it again."
            ),
            &parsed.text,
        )),
        _ => Err(Failure::statement("This statement is not supported by this server.", &parsed.text)),
    }
}
