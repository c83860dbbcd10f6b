//! What is known: streams, tables, types and the queries that fill them.
//!
//! [`Catalog`] holds it; [`with`] reads `WITH (...)`; [`define`] makes a [`Source`] of a `CREATE` statement. Everything here
//! is metadata: no record is read or written.

use indexmap::IndexMap;

use crate::ast::{DropSource, Name, Statement};
use crate::formats::FormatError;
use crate::planner::scope;
use crate::planner::step::Step;
use crate::types::SqlType;

pub mod alter;
pub mod define;
mod property;
pub mod schema;
pub mod settings;
pub mod source;
pub mod with;

pub use settings::Settings;
pub use source::{Source, TimestampColumn, WindowInfo, WindowShape};

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatementError(pub String);

impl StatementError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        StatementError(message.into())
    }
}

impl From<FormatError> for StatementError {
    fn from(error: FormatError) -> Self {
        StatementError(error.0)
    }
}

/// A persistent query, as far as the catalog has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryEntry {
    /// Its id.
    pub id: String,
    /// What it writes.
    pub sink: Name,
    /// What it reads.
    pub sources: Vec<Name>,
    /// The columns of what it reads, as they were when it was created.
    pub read: Vec<schema::Schema>,
    /// Its text.
    pub statement: String,
}

impl QueryEntry {
    /// Of a query with these steps.
    pub fn new(id: &str, sink: &Name, step: &Step, statement: &str) -> QueryEntry {
        let mut sources: Vec<Name> = Vec::new();
        for source in step.sources() {
            if !sources.contains(&source.name) {
                sources.push(source.name.clone());
            }
        }
        QueryEntry {
            id: id.to_owned(),
            sink: sink.clone(),
            sources,
            read: step.sources().into_iter().map(|source| source.schema.clone()).collect(),
            statement: statement.to_owned(),
        }
    }
}

/// Streams, tables, types and queries. Cheap enough to clone for a statement that must not leave traces when it fails.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    sources: IndexMap<Name, Source>,
    types: IndexMap<Name, SqlType>,
    queries: IndexMap<String, QueryEntry>,
}

impl Catalog {
    /// The stream or table called `name`.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.get(name)
    }

    /// All streams and tables in the order of their creation.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values()
    }

    /// Adds a stream or table, or replaces the one of its name.
    pub fn put_source(&mut self, source: Source) {
        self.sources.insert(source.name.clone(), source);
    }

    /// Removes a stream or table. Its own writing query goes with it.
    ///
    /// # Errors
    /// No such source, one of the other kind, or one that queries use.
    pub fn drop_source(&mut self, drop: &DropSource) -> Result<Option<Source>, StatementError> {
        let name = &drop.name;
        let Some(source) = self.sources.get(name) else {
            if drop.if_exists {
                return Ok(None);
            }
            let hint = scope::hint_of_kind(name, drop.kind, self);
            return Err(StatementError(format!("{} {name} does not exist.{hint}", drop.kind.title())));
        };
        if source.kind != drop.kind {
            return Err(StatementError(format!(
                "Incompatible data source type is {}, but statement was DROP {}",
                source.kind.text().to_lowercase(),
                drop.kind.text().to_lowercase()
            )));
        }
        if drop.delete_topic && source.read_only {
            return Err(StatementError(format!("Cannot delete topic for read-only source: {name}")));
        }
        let own = source.created_by.clone();
        let readers: Vec<_> = self
            .queries
            .values()
            .filter(|query| query.sources.contains(name) && Some(&query.id) != own.as_ref())
            .collect();
        let writers: Vec<_> =
            self.queries.values().filter(|query| query.sink == *name && Some(&query.id) != own.as_ref()).collect();
        let mut dependents = self.made_of(name);
        dependents.sort();
        if !dependents.is_empty() {
            return Err(StatementError(format!(
                "Cannot drop {name}.\nThe following streams and/or tables read from this source: [{}].\nYou need to drop \
                 them before dropping {name}.",
                dependents.join(", ")
            )));
        }
        if !readers.is_empty() || !writers.is_empty() {
            let list =
                |queries: &[&QueryEntry]| queries.iter().map(|query| query.id.as_str()).collect::<Vec<_>>().join(", ");
            return Err(StatementError(format!(
                "Cannot drop {name}.\nThe following queries read from this source: [{}].\nThe following queries write \
                 into this source: [{}].\nYou need to terminate them before dropping {name}.",
                list(&readers),
                list(&writers)
            )));
        }
        if let Some(own) = own {
            self.queries.shift_remove(&own);
        }
        Ok(self.sources.shift_remove(name))
    }

    /// The streams and tables that `CREATE ... AS SELECT` made of a source, whether their queries still run or not.
    fn made_of(&self, name: &str) -> Vec<String> {
        let reads = |source: &&Source| {
            let types = |name: &str| self.custom_type(name).cloned();
            let statement = crate::parser::parse_one(&source.statement, &types);
            let Ok(Statement::CreateAsSelect(create)) = statement else { return false };
            source.created_by.is_some() && create.query.from.sources().iter().any(|read| &*read.name == name)
        };
        self.sources.values().filter(reads).map(|source| source.name.to_string()).collect()
    }

    /// The custom type called `name`, in any case.
    pub fn custom_type(&self, name: &str) -> Option<&SqlType> {
        self.types.get(name.to_uppercase().as_str())
    }

    /// All custom types by name.
    pub fn custom_types(&self) -> impl Iterator<Item = (&Name, &SqlType)> {
        self.types.iter()
    }

    /// Adds a custom type; answers whether it is new.
    ///
    /// # Errors
    /// A name that is taken, without `IF NOT EXISTS`.
    pub fn add_type(&mut self, name: Name, definition: SqlType, if_not_exists: bool) -> Result<bool, StatementError> {
        if let Some(known) = self.custom_type(&name) {
            if if_not_exists {
                return Ok(false);
            }
            return Err(StatementError(format!(
                "Cannot register custom type '{name}' since it is already registered with type: {known}"
            )));
        }
        self.types.insert(name.to_uppercase().into(), definition);
        Ok(true)
    }

    /// Removes a custom type; answers whether it was there.
    ///
    /// # Errors
    /// No such type, without `IF EXISTS`.
    pub fn drop_type(&mut self, name: &str, if_exists: bool) -> Result<bool, StatementError> {
        match self.types.shift_remove(name.to_uppercase().as_str()) {
            Some(_) => Ok(true),
            None if if_exists => Ok(false),
            None => Err(StatementError(format!("Type {name} does not exist."))),
        }
    }

    /// The persistent queries.
    pub fn queries(&self) -> impl Iterator<Item = &QueryEntry> {
        self.queries.values()
    }

    /// Adds a persistent query.
    pub fn add_query(&mut self, query: QueryEntry) {
        self.queries.insert(query.id.clone(), query);
    }

    /// Removes a persistent query.
    pub fn remove_query(&mut self, id: &str) -> Option<QueryEntry> {
        self.queries.shift_remove(id)
    }
}
