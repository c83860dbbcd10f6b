//! Statements of a request are executed when all of them can be: each is tried before the first is executed, on a catalog
//! and a registry that nobody else sees.

use std::collections::HashSet;
use std::sync::Arc;

use milena_schema::SchemaType;
use milena_sql::ast::Statement;
use milena_sql::catalog::Catalog;
use milena_sql::formats::FormatError;
use milena_sql::formats::registry::{MemoryRegistry, RegisteredSchema, SchemaRegistry};
use milena_sql::parser::ParsedStatement;
use parking_lot::Mutex;

use super::{Call, describe, insert, issue, prepare, unsupported};
use crate::command::CommandId;
use crate::error::Result;
use crate::registry::Asked;
use crate::session::Session;
use crate::state::Server;

/// Tries the statements in their order. What only other systems know is not asked.
///
/// # Errors
/// The first statement that would be refused.
pub async fn rehearse(server: &Arc<Server>, statements: &[ParsedStatement], session: &Session) -> Result<()> {
    let asked = Arc::new(Asked::new(server.registry.clone()));
    let registry: Arc<dyn SchemaRegistry> = Arc::new(Overlay::over(asked.clone()));
    let mut number = server.ready().await?.log.end().await?;
    // Servers that take no commands, or none any more, execute none that could be waited for.
    if server.config.queries_file.is_none() && server.undamaged().is_ok() {
        server.executed_before(number).await?;
    }
    let (mut catalog, mut session) = (server.catalog(), session.clone());
    let mut deleted = HashSet::new();
    for parsed in statements {
        let statement = prepare(parsed, &catalog)?;
        let text = parsed.masked(&statement);
        let settings = session.settings(&server.config.settings);
        let call = Call {
            server,
            text: &text,
            settings,
            catalog: catalog.clone(),
            registry: registry.clone(),
            session: session.clone(),
        };
        let tried = if CommandId::of(&statement).is_some() {
            number += 1;
            changed(&call, &statement, number - 1, &mut catalog, &mut deleted).await
        } else {
            unchanging(&call, &statement, &mut session).await
        };
        tried.map_err(|failure| asked.reason(failure).of(&text))?;
    }
    Ok(())
}

/// Tries a statement that changes the catalog; `deleted` are the topics that would be gone by then.
async fn changed(
    call: &Call<'_>,
    statement: &Statement,
    number: i64,
    catalog: &mut Arc<Catalog>,
    deleted: &mut HashSet<String>,
) -> Result<()> {
    // Queries of clients are in no catalog.
    if let Statement::Terminate(Some(id)) = statement
        && (call.server.push_queries.is_running(id) || id.to_lowercase().contains("transient_"))
    {
        return Ok(());
    }
    *catalog = Arc::new(issue::rehearsed(call, statement, number, deleted).await?);
    Ok(())
}

/// Tries any other statement.
async fn unchanging(call: &Call<'_>, statement: &Statement, session: &mut Session) -> Result<()> {
    match statement {
        Statement::InsertValues(values) => insert::made(call, values).await.map(|_| ()),
        Statement::Set { name, value } => session.set(name, value, &call.server.config.denied_overrides, call.text),
        Statement::Unset { name } => session.unset(name, call.text),
        Statement::Describe { source, .. } => describe::check_source(call, source),
        Statement::DescribeFunction { name } => describe::function(call, name).map(|_| ()),
        Statement::ExplainStatement(explained) => describe::statement(call, explained).await.map(|_| ()),
        other => unsupported(other, call.text).map_or(Ok(()), Err),
    }
}

/// A registry whose new schemas are in memory, and which only seems to have lost others.
struct Overlay {
    below: Arc<dyn SchemaRegistry>,
    new: MemoryRegistry,
    /// Subjects that are not there any more.
    deleted: Mutex<HashSet<String>>,
}

impl Overlay {
    fn over(below: Arc<dyn SchemaRegistry>) -> Overlay {
        Overlay { below, new: MemoryRegistry::default(), deleted: Mutex::default() }
    }
}

impl SchemaRegistry for Overlay {
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, FormatError> {
        match self.new.latest(subject)? {
            Some(new) => Ok(Some(new)),
            None if self.deleted.lock().contains(subject) => Ok(None),
            None => self.below.latest(subject),
        }
    }

    fn by_id(&self, id: i32) -> Result<Option<RegisteredSchema>, FormatError> {
        match self.new.by_id(id)? {
            Some(new) => Ok(Some(new)),
            None => self.below.by_id(id),
        }
    }

    fn register(&self, subject: &str, schema_type: SchemaType, text: &str) -> Result<RegisteredSchema, FormatError> {
        // Whether there is a registry at all.
        self.below.latest(subject)?;
        self.new.add(subject, schema_type, text, &[], Some(self.next_id()))
    }

    fn adopt(&self, subject: &str, registered: &RegisteredSchema) -> Result<(), FormatError> {
        self.new.adopt(subject, registered)
    }

    fn delete(&self, subject: &str) -> Result<(), FormatError> {
        self.deleted.lock().insert(subject.to_owned());
        self.new.delete(subject)
    }
}

impl Overlay {
    /// An id that no schema below has.
    fn next_id(&self) -> i32 {
        let mut id = i32::MAX;
        while matches!(self.new.by_id(id), Ok(Some(_))) {
            id -= 1;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_schemas_are_seen_and_leave_no_traces() {
        let below: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        let known = below.register("a-value", SchemaType::Avro, "\"int\"").unwrap();
        let overlay = Overlay::over(below.clone());
        let new = overlay.register("b-value", SchemaType::Avro, "\"string\"").unwrap();
        let newer = overlay.register("a-value", SchemaType::Avro, "\"long\"").unwrap();
        assert!(known.id != new.id && new.id != newer.id);
        assert_eq!(overlay.latest("a-value").unwrap().unwrap().id, newer.id);
        assert_eq!(overlay.latest("b-value").unwrap().unwrap().id, new.id);
        assert_eq!(overlay.by_id(known.id).unwrap().unwrap().id, known.id);
        assert_eq!(below.latest("a-value").unwrap().unwrap().id, known.id);
        assert!(below.latest("b-value").unwrap().is_none());
        overlay.adopt("c-value", &known).unwrap();
        assert_eq!(overlay.latest("c-value").unwrap().unwrap().id, known.id);
        assert!(below.latest("c-value").unwrap().is_none());
        for subject in ["a-value", "b-value"] {
            overlay.delete(subject).unwrap();
            assert!(overlay.latest(subject).unwrap().is_none());
        }
        assert!(below.latest("a-value").unwrap().is_some());
        let again = overlay.register("a-value", SchemaType::Avro, "\"string\"").unwrap();
        assert_eq!(overlay.latest("a-value").unwrap().unwrap().id, again.id);
    }
}
