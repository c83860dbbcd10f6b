//! An engine in memory: topics are lists, queries run when they are told to.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::ast::{CreateAsSelect, InsertInto, Statement, format_statement};
use crate::catalog::{Catalog, QueryEntry, Settings, Source, StatementError, alter, define};
use crate::formats::registry::{MemoryRegistry, SchemaRegistry};
use crate::formats::{self, CodecContext, Side};
use crate::operators::{Context, NoLog};
use crate::parser;
use crate::planner::build::{LONE_ROWS_INTERVAL, Task, build};
use crate::planner::step::Step;
use crate::planner::{self, sink};
use crate::runtime::insert;
use crate::runtime::reader::SourceReader;
use crate::runtime::writer::SinkWriter;
use crate::runtime::{RawRecord, RecordError};
use crate::state::KeptStateStores;

/// Partitions of a topic of which nobody says how many it has.
pub const DEFAULT_PARTITIONS: i32 = 4;

/// A topic in memory. Its records are all in one partition.
#[derive(Debug, Clone, Default)]
pub struct MemoryTopic {
    /// How many partitions it says it has.
    pub partitions: i32,
    /// The records in their order.
    pub records: Vec<RawRecord>,
}

/// A persistent query.
pub struct MemoryQuery {
    /// Its id.
    pub id: String,
    /// Its steps.
    pub step: Step,
    /// What it writes.
    pub sink: Source,
    task: Task,
    readers: Vec<SourceReader>,
    writer: SinkWriter,
    /// The latest time of a record.
    stream_time: i64,
}

impl MemoryQuery {
    /// The topics that it reads.
    pub fn source_topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = Vec::new();
        for entry in &self.task.entries {
            if !topics.contains(&entry.source.topic) {
                topics.push(entry.source.topic.clone());
            }
        }
        topics
    }

    /// Handles one record of `topic` and gives the records that it writes.
    ///
    /// # Errors
    /// What ends the query.
    pub fn process(&mut self, topic: &str, record: &RawRecord) -> Result<Vec<RawRecord>, RecordError> {
        let mut context = Context { log: &NoLog, wall_clock_ms: 0 };
        let mut written = Vec::new();
        for (entry, reader) in self.task.entries.iter().zip(&self.readers) {
            if entry.source.topic != topic {
                continue;
            }
            let Some(change) = reader.read(record, &NoLog)? else { continue };
            self.stream_time = self.stream_time.max(change.timestamp);
            let mut changes = Vec::new();
            let processed = self.task.graph.process(entry.edge, change, &mut context, &mut changes);
            processed.map_err(|error| RecordError(error.to_string()))?;
            for change in changes {
                written.extend(self.writer.write_at(&change, self.stream_time, &NoLog)?);
            }
        }
        Ok(written)
    }
}

/// Why `ASSERT VALUES` and the like, which only test files have, are no statements: told at their second word.
fn test_statement(text: &str) -> StatementError {
    let rest = text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    let before = &text[..text.len() - rest.len()];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let place = format!("{line}:{column}");
    StatementError(format!("line {place}: Syntax Error\nSyntax error at or near '{word}' at line {place}"))
}

/// The engine.
pub struct MemoryEngine {
    /// Streams, tables, types.
    pub catalog: Catalog,
    /// Properties of the session.
    pub settings: Settings,
    /// The schemas.
    pub registry: Arc<MemoryRegistry>,
    /// The topics.
    pub topics: IndexMap<String, MemoryTopic>,
    /// The persistent queries in the order of their creation.
    pub queries: Vec<MemoryQuery>,
    next_query: usize,
    /// What queries remember; a query that takes the place of another goes on with it.
    state: HashMap<String, KeptStateStores>,
}

impl MemoryEngine {
    /// An engine without anything.
    pub fn new(settings: Settings) -> Self {
        MemoryEngine {
            catalog: Catalog::default(),
            settings,
            registry: Arc::new(MemoryRegistry::default()),
            topics: IndexMap::new(),
            queries: Vec::new(),
            next_query: 0,
            state: HashMap::new(),
        }
    }

    fn registry(&self) -> Arc<dyn SchemaRegistry> {
        self.registry.clone()
    }

    /// Runs all statements of a text.
    ///
    /// # Errors
    /// The first statement that fails; those before it stay.
    pub fn execute(&mut self, sql: &str) -> Result<(), StatementError> {
        let statements = parser::parse(sql).map_err(|error| with_statement(error.to_string(), sql))?;
        for parsed in statements {
            let prepared = self.prepare(&parsed)?;
            self.apply(&prepared, &parsed.text)?;
        }
        Ok(())
    }

    /// Builds a statement, with the types that are known by now.
    ///
    /// # Errors
    /// A statement that says what cannot be.
    pub fn prepare(&self, parsed: &parser::ParsedStatement) -> Result<Statement, StatementError> {
        let types = |name: &str| self.catalog.custom_type(name).cloned();
        parsed.prepare(&types).map_err(|error| with_statement(error.to_string(), &parsed.text))
    }

    /// Runs a statement of which `text` is the text.
    ///
    /// # Errors
    /// A statement that is refused.
    pub fn apply(&mut self, statement: &Statement, text: &str) -> Result<(), StatementError> {
        self.statement(statement, text).map_err(|error| self.told(error, statement, text))
    }

    /// An error with its statement: queries in their normal form.
    fn told(&self, error: StatementError, statement: &Statement, text: &str) -> StatementError {
        let normal = match statement {
            Statement::CreateAsSelect(create) => planner::normal_form(&create.query, &self.catalog)
                .map(|query| Statement::CreateAsSelect(CreateAsSelect { query, ..create.clone() })),
            _ => return with_statement(error.0, text),
        };
        let normal = normal.ok().and_then(|normal| format_statement(&normal));
        with_statement(error.0, normal.as_deref().unwrap_or(text))
    }

    /// Registers the schemas of the sources that a text declares in full, as if their topics had been there before.
    /// What cannot be declared is left to [`MemoryEngine::execute`] to say.
    pub fn declare(&self, sql: &str) {
        let types = |_: &str| None;
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        for parsed in parser::parse(sql).unwrap_or_default() {
            if let Ok(Statement::CreateSource(create)) = parsed.prepare(&types)
                && let Ok(source) = define::define(&create, &parsed.text, &self.settings, &registry)
            {
                // A schema that the registry refuses is refused again when the statement runs.
                let _ = self.register(&source, false);
            }
        }
    }

    fn statement(&mut self, statement: &Statement, text: &str) -> Result<(), StatementError> {
        match statement {
            Statement::CreateSource(create) => {
                define::prepared(create)?;
                if create.if_not_exists && self.catalog.source(&create.name).is_some() {
                    return Ok(());
                }
                alter::check_name(&create.name, (create.kind, create.is_source), create.or_replace, &self.catalog)?;
                let source = define::define(create, text, &self.settings, &self.registry())?;
                alter::check_free(&source, create.or_replace, &self.catalog)?;
                self.register(&source, false)?;
                let partitions = Some(self.topic(&source));
                self.catalog.put_source(Source { partitions, ..source });
                Ok(())
            }
            Statement::CreateAsSelect(create) => self.create_as_select(create, text),
            Statement::InsertInto(insert) => self.insert_into(insert, text),
            Statement::InsertValues(values) => {
                let (topic, record) = insert::record(values, &self.catalog, &self.settings, &self.registry(), 0)?;
                self.topics.entry(topic).or_default().records.push(record);
                Ok(())
            }
            Statement::DropSource(drop) => {
                let dropped = self.catalog.drop_source(drop)?;
                if let Some(id) = dropped.and_then(|source| source.created_by) {
                    self.queries.retain(|query| query.id != id);
                    self.state.remove(&id);
                }
                Ok(())
            }
            Statement::AlterSource(alter) => {
                let altered = alter::altered(self.catalog.source(&alter.name), alter)?;
                self.catalog.put_source(altered);
                Ok(())
            }
            Statement::CreateType { name, definition, if_not_exists } => {
                self.catalog.add_type(name.clone(), definition.clone(), *if_not_exists).map(|_| ())
            }
            Statement::DropType { name, if_exists } => self.catalog.drop_type(name, *if_exists).map(|_| ()),
            Statement::Set { name, value } => {
                self.settings.set(name.clone(), value.clone());
                Ok(())
            }
            Statement::Unset { name } => {
                self.settings.unset(name);
                Ok(())
            }
            Statement::Terminate(id) => {
                let gone = |query: &str| id.as_ref().is_none_or(|id| **id == *query);
                self.queries.retain(|query| !gone(&query.id));
                let ids: Vec<_> = self.catalog.queries().map(|query| query.id.clone()).filter(|id| gone(id)).collect();
                ids.iter().for_each(|id| drop(self.catalog.remove_query(id)));
                Ok(())
            }
            Statement::Define { .. } | Statement::Undefine { .. } => Ok(()),
            Statement::AssertValues(_) | Statement::AssertTombstone(_) | Statement::AssertSource(_) => {
                Err(test_statement(text))
            }
            _ => Err(StatementError::new("This statement is answered by servers only.")),
        }
    }

    /// Registers the schemas of a source: always of a sink, else only where the topic has none yet.
    fn register(&self, source: &Source, always: bool) -> Result<(), StatementError> {
        let registry = self.registry();
        for (side, spec, fields) in [
            (Side::Key, &source.key_format, source.key_fields()),
            (Side::Value, &source.value_format, source.value_fields()),
        ] {
            let context = CodecContext { topic: source.topic.clone(), side, registry: registry.clone() };
            if always || spec.schema_id.is_some() || registry.latest(&context.subject())?.is_none() {
                formats::register(spec, &fields, &context)?;
            }
        }
        Ok(())
    }

    /// Makes the topic of a source unless it is there, and answers how many partitions it has.
    fn topic(&mut self, source: &Source) -> i32 {
        let partitions = source.partitions;
        let topic = self.topics.entry(source.topic.clone()).or_default();
        if topic.partitions == 0 {
            topic.partitions = partitions.unwrap_or(DEFAULT_PARTITIONS);
        }
        topic.partitions
    }

    fn create_as_select(&mut self, create: &CreateAsSelect, text: &str) -> Result<(), StatementError> {
        sink::prepared(create)?;
        if create.if_not_exists && self.catalog.source(&create.name).is_some() {
            return Ok(());
        }
        let planned = planner::plan(&create.query, Some(&create.name), &self.catalog, &self.settings)
            .map_err(sink::undetermined)?;
        sink::check_writers(&create.name, &self.catalog).map_err(sink::undetermined)?;
        let mut source = sink::create(create, &planned, text, &self.settings, &self.registry())?;
        let kind = if create.kind == crate::ast::SourceKind::Stream { "CSAS" } else { "CTAS" };
        // The query that filled it until now is replaced with it.
        let old = self.catalog.source(&create.name).and_then(|old| old.created_by.clone());
        alter::check_sink(&source, create.or_replace, &self.catalog)?;
        let id = match planner::upgrade::continued(old.as_deref(), &planned.step, &self.catalog, &self.settings)? {
            Some(old) => old,
            None => sink::query_id(kind, Some(&create.name), &create.properties, self.next_query)?,
        };
        source.created_by = Some(id.clone());
        if let Some(old) = old {
            self.queries.retain(|query| query.id != old);
            self.catalog.remove_query(&old);
        }
        self.register(&source, true)?;
        self.start(id, planned.step, source.clone(), text)?;
        let partitions = Some(self.topic(&source));
        self.catalog.put_source(Source { partitions, ..source });
        Ok(())
    }

    fn insert_into(&mut self, insert: &InsertInto, text: &str) -> Result<(), StatementError> {
        let target = sink::target(insert, &self.catalog)?.clone();
        let query = sink::fitted(&insert.query, &target);
        let mut planned = planner::plan(&query, Some(&insert.target), &self.catalog, &self.settings)?;
        let target = sink::insert(&target, &mut planned)?;
        let id = sink::query_id("INSERTQUERY", None, &insert.properties, self.next_query)?;
        self.start(id, planned.step, target, text)
    }

    fn start(&mut self, id: String, step: Step, sink: Source, text: &str) -> Result<(), StatementError> {
        let failed = |error: crate::state::StateError| StatementError(error.to_string());
        let mut settings = self.settings.clone();
        if settings.get(LONE_ROWS_INTERVAL).is_none() {
            // The clock stands still: what waits for it would never come.
            settings.set(LONE_ROWS_INTERVAL.to_owned(), "0".to_owned());
        }
        let task = build(&step, &settings, self.state.entry(id.clone()).or_default()).map_err(failed)?;
        let registry = self.registry();
        let readers = task.entries.iter().map(|entry| entry.reader(&self.settings, &registry));
        let readers = readers.collect::<Result<_, _>>()?;
        let writer = SinkWriter::new(&sink, &registry)?;
        self.catalog.add_query(QueryEntry::new(&id, &sink.name, &step, text));
        self.queries.retain(|query| query.id != id);
        self.queries.push(MemoryQuery { id, step, sink, task, readers, writer, stream_time: i64::MIN });
        self.next_query += 1;
        Ok(())
    }

    /// Adds a record to a topic.
    pub fn produce(&mut self, topic: &str, mut record: RawRecord) {
        let topic = self.topics.entry(topic.to_owned()).or_default();
        record.offset = topic.records.len() as i64;
        topic.records.push(record);
    }

    /// Adds a record to a topic and lets it pass through all queries, one after the other as far as it reaches.
    ///
    /// # Errors
    /// The first query that fails.
    pub fn feed(&mut self, topic: &str, record: RawRecord) -> Result<(), RecordError> {
        let mut waiting = VecDeque::from([(topic.to_owned(), record)]);
        while let Some((topic, mut record)) = waiting.pop_front() {
            let stored = self.topics.entry(topic.clone()).or_default();
            record.offset = stored.records.len() as i64;
            stored.records.push(record.clone());
            for query in &mut self.queries {
                if query.source_topics().contains(&topic) {
                    let written = query.process(&topic, &record)?;
                    waiting.extend(written.into_iter().map(|record| (query.sink.topic.clone(), record)));
                }
            }
        }
        Ok(())
    }

    /// Runs all queries in the order of their creation: each handles `inputs` in their order, as far as they are of its
    /// topics, then what other queries have written to its other topics.
    ///
    /// # Errors
    /// The first query that fails.
    pub fn run(&mut self, inputs: &[(String, RawRecord)]) -> Result<(), RecordError> {
        let is_input = |topic: &str| inputs.iter().any(|(input, _)| input == topic);
        for query in &mut self.queries {
            let topics = query.source_topics();
            let mut records: Vec<(String, RawRecord)> =
                inputs.iter().filter(|(topic, _)| topics.contains(topic)).cloned().collect();
            for topic in topics.iter().filter(|topic| !is_input(topic)) {
                let written = self.topics.get(topic).map(|topic| topic.records.clone()).unwrap_or_default();
                records.extend(written.into_iter().map(|record| (topic.clone(), record)));
            }
            for (topic, record) in records {
                for mut written in query.process(&topic, &record)? {
                    let sink = self.topics.entry(query.sink.topic.clone()).or_default();
                    written.offset = sink.records.len() as i64;
                    sink.records.push(written);
                }
            }
        }
        Ok(())
    }
}

fn with_statement(message: String, text: &str) -> StatementError {
    if message.contains("\nStatement: ") {
        return StatementError(message);
    }
    StatementError(format!("{message}\nStatement: {text}"))
}
