//! Executes commands in the order of the topic: every server comes to the same catalog.

use std::sync::Arc;

use milena_sql::ast::Statement;
use milena_sql::catalog::{Catalog, Settings, StatementError};
use milena_sql::definition::{Circumstances, Defined, PersistentQuery, define};
use milena_sql::formats::registry::SchemaRegistry;
use milena_sql::parser;

use super::metastore::{CommandState, CommandStatus, Damage, Metastore};
use super::record::{Command, CommandId, TERMINATE_CLUSTER};

/// What running queries have to do about a command.
pub enum Effect {
    /// A query is new.
    Start {
        /// The query.
        query: Box<PersistentQuery>,
        /// What it was created with.
        settings: Settings,
    },
    /// A query is gone.
    Stop(String),
    /// A query, or all of them, rests.
    Pause(Option<String>),
    /// A query, or all of them, goes on.
    Resume(Option<String>),
}

/// What a statement would do or has done.
pub struct Outcome {
    /// In words, for whoever issued the statement.
    pub message: String,
    /// The query that it started.
    pub query_id: Option<String>,
    /// What running queries have to do.
    pub effects: Vec<Effect>,
    /// The source that was made, where its topic and schemas have to be too.
    pub made: Option<Box<milena_sql::catalog::Source>>,
    /// Whether nothing was to be done.
    pub is_noop: bool,
}

/// Executes `statement` on `catalog`.
///
/// # Errors
/// A statement that is refused; the catalog is as before then.
pub fn execute(
    statement: &Statement,
    text: &str,
    catalog: &mut Catalog,
    circumstances: &Circumstances,
) -> Result<Outcome, StatementError> {
    if let Statement::Pause(id) | Statement::Resume(id) = statement {
        return paused(statement, id.as_deref(), catalog);
    }
    let own_query = match statement {
        Statement::DropSource(drop) => catalog.source(&drop.name).and_then(|source| source.created_by.clone()),
        _ => None,
    };
    let defined = define(statement, text, catalog, circumstances)
        .ok_or_else(|| StatementError(format!("Statement is no command: {text}")))??;
    let done = |message: String| Outcome { message, query_id: None, effects: Vec::new(), made: None, is_noop: false };
    Ok(match defined {
        Defined::Source(source) => {
            let message = format!("{} created", source.kind.title());
            Outcome { made: Some(source), ..done(message) }
        }
        Defined::Query { query, replaces } => {
            let id = query.id.clone();
            let makes_source = matches!(statement, Statement::CreateAsSelect(_) | Statement::CreateSource(_));
            let made = makes_source.then(|| Box::new(query.sink.clone()));
            let message = match query.only_keeps_state {
                true => format!("{} created", query.sink.kind.title()),
                false => format!("Created query with ID {id}"),
            };
            // A query that goes on under its id takes over what it has.
            let mut effects: Vec<Effect> = replaces.filter(|old| *old != id).map(Effect::Stop).into_iter().collect();
            effects.push(Effect::Start { query, settings: circumstances.settings.clone() });
            Outcome { query_id: Some(id), effects, made, ..done(message) }
        }
        Defined::Altered(source) => done(format!("{} altered successfully.", source.kind.title())),
        Defined::Dropped { source: Some(source) } => {
            let message = format!("Source `{}` (topic: {}) was dropped.", source.name, source.topic);
            Outcome { effects: own_query.map(Effect::Stop).into_iter().collect(), ..done(message) }
        }
        Defined::Dropped { source: None } => {
            let name = if let Statement::DropSource(drop) = statement { drop.name.to_string() } else { String::new() };
            Outcome { is_noop: true, ..done(format!("Source `{name}` does not exist.")) }
        }
        Defined::Type(name) => {
            let definition = catalog.custom_type(&name).map(ToString::to_string).unwrap_or_default();
            done(format!("Registered custom type with name '{name}' and SQL type {definition}"))
        }
        Defined::DroppedType(name) => done(format!("Dropped type '{name}'")),
        Defined::Terminated(ids) => {
            let effects = ids.into_iter().map(Effect::Stop).collect();
            Outcome { effects, ..done("Query terminated.".to_owned()) }
        }
        Defined::Nothing(message) => Outcome { is_noop: true, ..done(message) },
    })
}

fn paused(statement: &Statement, id: Option<&str>, catalog: &Catalog) -> Result<Outcome, StatementError> {
    if let Some(id) = id
        && !catalog.queries().any(|query| query.id == id)
    {
        return Err(StatementError(format!("Unknown queryId: {id}")));
    }
    let id = id.map(str::to_owned);
    let (message, effect) = match statement {
        Statement::Pause(_) => ("Query paused.", Effect::Pause(id)),
        _ => ("Query resumed.", Effect::Resume(id)),
    };
    Ok(Outcome { message: message.to_owned(), query_id: None, effects: vec![effect], made: None, is_noop: false })
}

/// Executes the commands of the topic on the metastore.
pub struct Executor {
    /// What they change.
    pub metastore: Arc<Metastore>,
    /// The schemas.
    pub registry: Arc<dyn SchemaRegistry>,
    /// Properties of the server.
    pub settings: Settings,
}

impl Executor {
    /// Executes the record at `offset`. May block on the registry. What cannot be executed is noted as its status: the
    /// servers that come to it all come to the same.
    ///
    /// # Errors
    /// A record that is no command.
    pub fn record(&self, offset: i64, key: &[u8], value: Option<&[u8]>) -> Result<Vec<Effect>, Damage> {
        let id = serde_json::from_slice::<String>(key).unwrap_or_else(|_| String::from_utf8_lossy(key).into_owned());
        let Some(value) = value else { return Ok(Vec::new()) };
        let command: Command = serde_json::from_slice(value).map_err(|error| {
            tracing::error!(offset, id, "a record of the command topic cannot be read: {error}");
            Damage::Unreadable
        })?;
        if command.statement == TERMINATE_CLUSTER {
            return Ok(self.end(&id));
        }
        match self.command(offset, &command) {
            Ok((ids, outcome)) => {
                for effect in &outcome.effects {
                    if let Effect::Stop(query) = effect {
                        self.terminated(query);
                    }
                }
                self.note(&ids, CommandState::Success, outcome.message, outcome.query_id);
                Ok(outcome.effects)
            }
            Err(error) => {
                tracing::warn!(offset, id, "a command cannot be executed: {error}");
                self.note(&id, CommandState::Error, error.0, None);
                Ok(Vec::new())
            }
        }
    }

    /// Forgets everything; all queries end.
    fn end(&self, id: &str) -> Vec<Effect> {
        let catalog = self.metastore.catalog();
        let stops = catalog.queries().map(|query| Effect::Stop(query.id.clone())).collect();
        self.metastore.set_catalog(Catalog::default());
        self.metastore.terminated();
        self.note(id, CommandState::Success, "Cluster terminated.".to_owned(), None);
        stops
    }

    fn command(&self, offset: i64, command: &Command) -> Result<(String, Outcome), StatementError> {
        let mut catalog = (*self.metastore.catalog()).clone();
        let parsed = parser::parse(&command.statement).map_err(|error| StatementError(error.to_string()))?;
        let [parsed] = parsed.as_slice() else {
            return Err(StatementError("a command is one statement".to_owned()));
        };
        let types = |name: &str| catalog.custom_type(name).cloned();
        let statement = parsed.prepare(&types).map_err(|error| StatementError(error.to_string()))?;
        let id = CommandId::of(&statement).map(|id| id.to_string()).unwrap_or_default();
        let mut settings = self.settings.clone();
        for (name, value) in command.overrides() {
            settings.set(name, value);
        }
        let circumstances = Circumstances {
            settings,
            registry: self.registry.clone(),
            number: usize::try_from(offset).unwrap_or_default(),
            partitions: command.partitions(),
        };
        let outcome = execute(&statement, &parsed.text, &mut catalog, &circumstances)?;
        self.metastore.set_catalog(catalog);
        Ok((id, outcome))
    }

    fn note(&self, id: &str, state: CommandState, message: String, query_id: Option<String>) {
        self.metastore.set_status(id, CommandStatus { message, state, query_id });
    }

    /// The statement that has started a query shows that it is over.
    fn terminated(&self, query: &str) {
        for (id, status) in self.metastore.statuses() {
            if status.query_id.as_deref() == Some(query) {
                let message = "Query terminated".to_owned();
                self.note(&id, CommandState::Terminated, message, status.query_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use milena_sql::formats::registry::MemoryRegistry;

    use super::*;

    fn executor() -> Executor {
        Executor {
            metastore: Arc::default(),
            registry: Arc::new(MemoryRegistry::default()),
            settings: Settings::default(),
        }
    }

    fn run(executor: &Executor, offset: i64, key: &str, sql: &str) -> Vec<Effect> {
        let command = Command::new(sql, BTreeMap::new(), BTreeMap::new(), Some(3));
        let value = serde_json::to_vec(&command).unwrap();
        executor.record(offset, format!("\"{key}\"").as_bytes(), Some(&value)).unwrap()
    }

    const CREATE: &str = "CREATE STREAM a (id STRING KEY, n INT) WITH (kafka_topic='a', value_format='JSON');";

    #[test]
    fn queries_are_numbered_by_their_place_in_the_topic() {
        let executor = executor();
        assert!(run(&executor, 0, "stream/`A`/create", CREATE).is_empty());
        let effects = run(&executor, 7, "stream/`B`/create", "CREATE STREAM b AS SELECT * FROM a WHERE n > 1;");
        assert!(matches!(&effects[..], [Effect::Start { query, .. }] if query.id == "CSAS_B_7"));
        let status = executor.metastore.status("stream/`B`/create").unwrap();
        assert_eq!(status.json()["queryId"], "CSAS_B_7");
        assert_eq!(executor.metastore.catalog().source("A").unwrap().partitions, Some(3));

        let effects = run(&executor, 8, "stream/`B`/drop", "DROP STREAM b;");
        assert!(matches!(&effects[..], [Effect::Stop(id)] if id == "CSAS_B_7"));
        assert_eq!(executor.metastore.status("stream/`B`/create").unwrap().state, CommandState::Terminated);
    }

    #[test]
    fn what_cannot_be_executed_is_told_and_changes_nothing() {
        let executor = executor();
        run(&executor, 0, "stream/`A`/create", CREATE);
        assert!(run(&executor, 1, "stream/`A`/create", CREATE).is_empty());
        let status = executor.metastore.status("stream/`A`/create").unwrap();
        assert_eq!(status.state, CommandState::Error);
        assert!(status.message.contains("already exists"), "{}", status.message);
        assert!(matches!(executor.record(2, b"\"x\"", Some(b"{")), Err(Damage::Unreadable)));
        assert_eq!(executor.metastore.catalog().sources().count(), 1);
    }

    #[test]
    fn a_replacement_goes_on_with_the_state_or_is_refused() {
        let executor = executor();
        run(&executor, 0, "stream/`A`/create", CREATE);
        let table = "CREATE TABLE t (id STRING PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');";
        run(&executor, 1, "table/`T`/create", table);
        run(
            &executor,
            2,
            "table/`C`/create",
            "CREATE TABLE c AS SELECT n, COUNT(*) AS m FROM a WHERE n > 0 GROUP BY n;",
        );
        run(&executor, 3, "stream/`J`/create", "CREATE STREAM j AS SELECT a.id, a.n FROM a JOIN t ON a.id = t.id;");

        let counts = "CREATE OR REPLACE TABLE c AS SELECT n, COUNT(*) AS m FROM a WHERE n > 1 GROUP BY n;";
        let effects = run(&executor, 4, "table/`C`/create", counts);
        assert!(matches!(&effects[..], [Effect::Start { query, .. }] if query.id == "CTAS_C_2"));
        let joined = "CREATE OR REPLACE STREAM j AS SELECT a.id, a.n, t.n AS o FROM a JOIN t ON a.id = t.id;";
        assert!(run(&executor, 5, "stream/`J`/create", joined).is_empty());
        assert_eq!(executor.metastore.status("stream/`J`/create").unwrap().state, CommandState::Error);

        let sums = "CREATE OR REPLACE TABLE c AS SELECT n, SUM(n) AS m FROM a GROUP BY n;";
        assert!(run(&executor, 6, "table/`C`/create", sums).is_empty());
        let status = executor.metastore.status("table/`C`/create").unwrap();
        assert_eq!(status.state, CommandState::Error);
        assert!(status.message.contains("upgrade"), "{}", status.message);
        assert!(executor.metastore.catalog().queries().any(|query| query.id == "CTAS_C_2"));
    }

    #[test]
    fn queries_rest_and_go_on_by_their_ids() {
        let executor = executor();
        run(&executor, 0, "stream/`A`/create", CREATE);
        run(&executor, 1, "stream/`B`/create", "CREATE STREAM b AS SELECT * FROM a;");
        let effects = run(&executor, 2, "pause/CSAS_B_1/execute", "PAUSE CSAS_B_1;");
        assert!(matches!(&effects[..], [Effect::Pause(Some(id))] if id == "CSAS_B_1"));
        assert!(matches!(&run(&executor, 3, "resume/ALL/execute", "RESUME ALL;")[..], [Effect::Resume(None)]));
        run(&executor, 4, "pause/NO/execute", "PAUSE NO;");
        assert_eq!(executor.metastore.status("pause/NO/execute").unwrap().message, "Unknown queryId: NO");
    }
}
