//! Headless mode (`ksql.queries.file`): the statements come from a file and from nowhere else.
//!
//! Nothing is written into a command topic: every start executes the file anew, in its order, so that queries keep their ids
//! and go on where their groups are, as long as statements are only added at the end.

use std::path::Path;
use std::sync::Arc;

use milena_sql::ast::Statement;
use tokio::sync::mpsc;

use crate::command::execute::Effect;
use crate::command::metastore::Damage;
use crate::error::{Failure, Result};
use crate::session::Session;
use crate::state::Server;
use crate::statements;

/// Executes the file. What fails ends it: the queries before go on, `/healthcheck` tells that something is wrong.
pub async fn run(server: &Arc<Server>, file: &Path, effects: &mpsc::UnboundedSender<Effect>) {
    // Statements wait for a catalog that knows everything of the past; there is no past.
    server.metastore.advance(0, true);
    if let Err(failure) = execute(server, file, effects).await {
        let statement = failure.statement.as_deref().unwrap_or_default();
        tracing::error!(file = %file.display(), statement, "ksql.queries.file: {failure}");
        server.metastore.damaged(Damage::Script);
    }
}

async fn execute(server: &Arc<Server>, file: &Path, effects: &mpsc::UnboundedSender<Effect>) -> Result<()> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let unreadable = |reason: String| Failure::new(Failure::SERVER, reason);
    let text = read.map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))?;
    let mut session = Session::default();
    for (number, parsed) in statements::parse(server, &text, &session)?.iter().enumerate() {
        let statement = statements::prepare(parsed, &server.catalog())?;
        match &statement {
            Statement::Set { name, value } => session.set_as_operator(name, value, &parsed.text)?,
            Statement::Unset { name } => session.unset(name, &parsed.text)?,
            // Variables have been put in.
            Statement::Define { .. } | Statement::Undefine { .. } => {}
            Statement::CreateSource(_)
            | Statement::CreateAsSelect(_)
            | Statement::InsertInto(_)
            | Statement::CreateType { .. }
            | Statement::DropType { .. }
            | Statement::DropSource(_)
            | Statement::AlterSource(_) => {
                let caused = statements::apply(server, parsed, &statement, &session, number).await;
                for effect in caused.map_err(|failure| failure.of(&parsed.text))? {
                    // Fails only at the end of the server.
                    let _ = effects.send(effect);
                }
            }
            _ => {
                return Err(Failure::statement(
                    "Only statements of definition can stand in ksql.queries.file",
                    &parsed.text,
                ));
            }
        }
    }
    Ok(())
}
