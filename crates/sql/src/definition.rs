//! What statements of definition do to the catalog: `CREATE`, `ALTER`, `DROP`, `INSERT INTO ... SELECT`, `TERMINATE`.
//!
//! [`define`] is deterministic: servers that apply the same statements in the same order to the same registry know the
//! same sources and queries. Topics and schemas are the callers' work.

use std::sync::Arc;

use crate::ast::{CreateAsSelect, CreateSource, InsertInto, Name, SourceKind, Statement, quote_identifier};
use crate::catalog::{Catalog, QueryEntry, Settings, Source, StatementError, alter, define as sources};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{self, CodecContext, Side};
use crate::parser::parse_one;
use crate::planner::step::Step;
use crate::planner::{self, sink};

/// What a statement is executed with.
#[derive(Clone)]
pub struct Circumstances {
    /// Properties of the server with those of the session over them.
    pub settings: Settings,
    /// The schemas.
    pub registry: Arc<dyn SchemaRegistry>,
    /// The number of the statement, which goes into the ids of queries.
    pub number: usize,
    /// How many partitions the topic of a new source has.
    pub partitions: Option<i32>,
}

/// What a statement has done.
pub enum Defined {
    /// A stream or table over a topic is new.
    Source(Box<Source>),
    /// A query is new, with the source that it fills, in the place of the query `replaces`.
    Query {
        /// The query.
        query: Box<PersistentQuery>,
        /// The query that filled the same source until now.
        replaces: Option<String>,
    },
    /// A stream or table was changed.
    Altered(Box<Source>),
    /// A stream or table is gone, and the query that filled it.
    Dropped {
        /// What is gone; `None` when it was not there.
        source: Option<Box<Source>>,
    },
    /// A custom type is new.
    Type(Name),
    /// A custom type is gone.
    DroppedType(Name),
    /// Queries are gone.
    Terminated(Vec<String>),
    /// Nothing: what was to be created is there already. The text tells so.
    Nothing(String),
}

/// A query that runs until it is terminated.
#[derive(Clone)]
pub struct PersistentQuery {
    /// Its id.
    pub id: String,
    /// Its steps.
    pub step: Step,
    /// What it writes.
    pub sink: Source,
    /// Its text.
    pub statement: String,
    /// Whether it writes nothing: it keeps the state of a source table, so that the table can be looked up.
    pub only_keeps_state: bool,
}

/// Applies a statement to `catalog`; `None` for statements that define nothing.
///
/// # Errors
/// A statement that is refused; the catalog is as before.
pub fn define(
    statement: &Statement,
    text: &str,
    catalog: &mut Catalog,
    circumstances: &Circumstances,
) -> Option<Result<Defined, StatementError>> {
    Some(match statement {
        Statement::CreateSource(create) => create_source(create, text, catalog, circumstances),
        Statement::CreateAsSelect(create) => create_as_select(create, text, catalog, circumstances),
        Statement::InsertInto(insert) => insert_into(insert, text, catalog, circumstances),
        Statement::DropSource(drop) => {
            catalog.drop_source(drop).map(|source| Defined::Dropped { source: source.map(Box::new) })
        }
        Statement::AlterSource(alter) => alter::altered(catalog.source(&alter.name), alter).map(|altered| {
            let altered = Source { statement: text.to_owned(), ..altered };
            catalog.put_source(altered.clone());
            Defined::Altered(Box::new(altered))
        }),
        Statement::CreateType { name, definition, if_not_exists } => {
            catalog.add_type(name.clone(), definition.clone(), *if_not_exists).map(|new| match new {
                true => Defined::Type(name.clone()),
                false => Defined::Nothing(already_registered(name, catalog)),
            })
        }
        Statement::DropType { name, if_exists } => {
            catalog.drop_type(name, *if_exists).map(|was_there| match was_there {
                true => Defined::DroppedType(name.clone()),
                false => Defined::Nothing(format!("Type '{name}' does not exist")),
            })
        }
        Statement::Terminate(id) => terminate(id.as_deref(), catalog),
        _ => return None,
    })
}

fn create_source(
    create: &CreateSource,
    text: &str,
    catalog: &mut Catalog,
    circumstances: &Circumstances,
) -> Result<Defined, StatementError> {
    sources::prepared(create)?;
    if create.if_not_exists
        && let Some(known) = catalog.source(&create.name)
    {
        return Ok(Defined::Nothing(exists(&create.name, create.kind, known)));
    }
    alter::check_name(&create.name, (create.kind, create.is_source), create.or_replace, catalog)?;
    let source = sources::define(create, text, &circumstances.settings, &circumstances.registry)?;
    alter::check_free(&source, create.or_replace, catalog)?;
    let source = Source { partitions: circumstances.partitions.or(source.partitions), ..source };
    if source.read_only
        && source.kind == SourceKind::Table
        && circumstances.settings.is_true("ksql.source.table.materialization.enabled", true)
    {
        return keep_state(source, text, catalog, circumstances);
    }
    catalog.put_source(source.clone());
    Ok(Defined::Source(Box::new(source)))
}

/// A source table with the query that keeps its state.
fn keep_state(
    mut source: Source,
    text: &str,
    catalog: &mut Catalog,
    circumstances: &Circumstances,
) -> Result<Defined, StatementError> {
    let id = format!("CST_{}_{}", source.name.to_uppercase(), circumstances.number);
    source.created_by = Some(id.clone());
    catalog.put_source(source.clone());
    let select = format!("SELECT * FROM {} EMIT CHANGES;", quote_identifier(&source.name));
    let parsed = parse_one(&select, &|_| None).map_err(|error| StatementError(error.to_string()))?;
    let Statement::Query(query) = parsed else { return Ok(Defined::Source(Box::new(source))) };
    let planned = planner::plan(&query, None, catalog, &circumstances.settings)?;
    let query =
        PersistentQuery { id, step: planned.step, sink: source, statement: text.to_owned(), only_keeps_state: true };
    catalog.add_query(QueryEntry::new(&query.id, &query.sink.name, &query.step, text));
    Ok(Defined::Query { query: Box::new(query), replaces: None })
}

fn create_as_select(
    create: &CreateAsSelect,
    text: &str,
    catalog: &mut Catalog,
    circumstances: &Circumstances,
) -> Result<Defined, StatementError> {
    sink::prepared(create)?;
    if create.if_not_exists
        && let Some(known) = catalog.source(&create.name)
    {
        return Ok(Defined::Nothing(exists(&create.name, create.kind, known)));
    }
    let Circumstances { settings, registry, number, partitions } = circumstances;
    let planned = planner::plan(&create.query, Some(&create.name), catalog, settings).map_err(sink::undetermined)?;
    sink::check_writers(&create.name, catalog).map_err(sink::undetermined)?;
    let mut source = sink::create(create, &planned, text, settings, registry)?;
    let kind = if create.kind == SourceKind::Stream { "CSAS" } else { "CTAS" };
    let replaces = catalog.source(&create.name).and_then(|old| old.created_by.clone());
    alter::check_sink(&source, create.or_replace, catalog)?;
    let id = match planner::upgrade::continued(replaces.as_deref(), &planned.step, catalog, settings)? {
        Some(old) => old,
        None => sink::query_id(kind, Some(&create.name), &create.properties, *number)?,
    };
    source.created_by = Some(id.clone());
    source.partitions = partitions.or(source.partitions);
    if let Some(old) = &replaces {
        catalog.remove_query(old);
    }
    catalog.put_source(source.clone());
    let query =
        PersistentQuery { id, step: planned.step, sink: source, statement: text.to_owned(), only_keeps_state: false };
    catalog.add_query(QueryEntry::new(&query.id, &query.sink.name, &query.step, text));
    Ok(Defined::Query { query: Box::new(query), replaces })
}

fn insert_into(
    insert: &InsertInto,
    text: &str,
    catalog: &mut Catalog,
    circumstances: &Circumstances,
) -> Result<Defined, StatementError> {
    let target = sink::target(insert, catalog)?.clone();
    let query = sink::fitted(&insert.query, &target);
    let mut planned = planner::plan(&query, Some(&insert.target), catalog, &circumstances.settings)?;
    let target = sink::insert(&target, &mut planned)?;
    let id = sink::query_id("INSERTQUERY", None, &insert.properties, circumstances.number)?;
    if catalog.queries().any(|query| query.id == id) {
        return Err(StatementError(format!("Query ID '{id}' already exists.")));
    }
    let query =
        PersistentQuery { id, step: planned.step, sink: target, statement: text.to_owned(), only_keeps_state: false };
    catalog.add_query(QueryEntry::new(&query.id, &query.sink.name, &query.step, text));
    Ok(Defined::Query { query: Box::new(query), replaces: None })
}

fn terminate(id: Option<&str>, catalog: &mut Catalog) -> Result<Defined, StatementError> {
    let ids: Vec<String> = catalog.queries().map(|query| query.id.clone()).collect();
    let gone: Vec<String> = ids.into_iter().filter(|query| id.is_none_or(|id| id == query)).collect();
    if let (Some(id), true) = (id, gone.is_empty()) {
        return Err(StatementError(format!("Unknown queryId: {id}")));
    }
    for id in &gone {
        catalog.remove_query(id);
    }
    Ok(Defined::Terminated(gone))
}

fn exists(name: &Name, kind: SourceKind, known: &Source) -> String {
    format!(
        "Cannot add {} `{name}`: A {} with the same name already exists.",
        kind.text().to_lowercase(),
        known.kind.text().to_lowercase()
    )
}

fn already_registered(name: &Name, catalog: &Catalog) -> String {
    let known = catalog.custom_type(name).map(ToString::to_string).unwrap_or_default();
    format!("{name} is already registered with type {known}")
}

/// Registers the schemas of a source: `always` those of a sink, else only where the topic has none yet.
///
/// # Errors
/// A registry that refuses.
pub fn register_schemas(
    source: &Source,
    always: bool,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<(), StatementError> {
    for (side, spec, fields) in [
        (Side::Key, &source.key_format, source.key_fields()),
        (Side::Value, &source.value_format, source.value_fields()),
    ] {
        if !spec.format.has_registry() {
            continue;
        }
        let context = CodecContext { topic: source.topic.clone(), side, registry: registry.clone() };
        if always || spec.schema_id.is_some() || registry.latest(&context.subject())?.is_none() {
            formats::register(spec, &fields, &context)?;
        }
    }
    Ok(())
}
