//! Operators of the steps of a query, connected, with their state.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Source, WindowShape};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{Field, FormatError};
use crate::operators::aggregate::{StreamAggregate, TableAggregate};
use crate::operators::append_key::AppendKey;
use crate::operators::evaluator::Evaluator;
use crate::operators::filter::Filter;
use crate::operators::flat_map::FlatMap;
use crate::operators::graph::{Edge, Graph};
use crate::operators::keep::Keep;
use crate::operators::key_order::KeyOrder;
use crate::operators::project::Project;
use crate::operators::repartition::Repartition;
use crate::operators::retention::{Horizon, Retention};
use crate::operators::session_aggregate::SessionAggregate;
use crate::operators::stream_join::{LoneRows, StreamJoin, StreamSide};
use crate::operators::stream_table_join::StreamTableJoin;
use crate::operators::subscription::{LatestResult, Subscribe, SubscriptionJoin};
use crate::operators::table_join::{TableJoin, TableSide};
use crate::operators::table_source::TableSource;
use crate::operators::window_aggregate::{Emission, WindowAggregate};
use crate::planner::step::{KeyColumn, Step, StepKind, StepSchema};
use crate::planner::view::{KEPT, is_kept};
use crate::runtime::channel::RowShape;
use crate::runtime::reader::SourceReader;
use crate::state::{StateError, StateStore, StateStores};
use crate::{ast::SourceKind, catalog::Settings, catalog::define::PSEUDO_COLUMNS};

/// The setting of how much time of the clock passes between two looks for lone rows of joins.
pub const LONE_ROWS_INTERVAL: &str = "ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__";
/// Between two looks for what comes with the passing of stream time, in milliseconds, unless configured.
const EMIT_INTERVAL_MS: i64 = 1000;

/// Where the records of a source go in.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The source.
    pub source: Source,
    /// Its place in the graph; none when nothing happens between source and sink.
    pub edge: Option<Edge>,
    /// The columns of its rows that operators look at; `None` for all.
    wanted: Columns,
}

impl Entry {
    /// What reads the records of the source. Columns that no operator looks at may be null.
    ///
    /// # Errors
    /// Formats that cannot hold the columns.
    pub fn reader(&self, settings: &Settings, registry: &Arc<dyn SchemaRegistry>) -> Result<SourceReader, FormatError> {
        let mut reader = SourceReader::new(&self.source, settings, registry)?;
        // The log shows whole rows.
        if let Some(wanted) = &self.wanted
            && !settings.is_true("ksql.logging.processing.rows.include", false)
        {
            reader.leave_out_all_but(wanted);
        }
        Ok(reader)
    }
}

/// Where the records of a topic of the query's own go in.
#[derive(Debug, Clone)]
pub struct ChannelEntry {
    /// What the topic's name ends with.
    pub topic: String,
    /// How its rows look.
    pub shape: RowShape,
    /// The place in the graph; none when nothing happens between the topic and the sink.
    pub edge: Option<Edge>,
}

/// Positions of columns in a row; `None` for all.
type Columns = Option<BTreeSet<usize>>;

/// What a consumer looks at.
#[derive(Debug, Clone)]
struct Wanted {
    columns: Columns,
    /// Whether it looks at what rows of a table were before.
    old: bool,
}

impl Wanted {
    /// Everything.
    const ALL: Wanted = Wanted { columns: None, old: true };

    /// All columns, of new rows alone.
    const NEW: Wanted = Wanted { columns: None, old: false };

    /// No column.
    fn nothing(old: bool) -> Wanted {
        Wanted { columns: Some(BTreeSet::new()), old }
    }

    /// That, and the columns that expressions look at.
    fn read_by<'a>(self, expressions: impl IntoIterator<Item = &'a Evaluator>) -> Wanted {
        let read = |mut columns: BTreeSet<usize>| {
            for expression in expressions {
                columns.extend(expression.reads()?);
            }
            Some(columns)
        };
        Wanted { columns: self.columns.and_then(read), old: self.old }
    }

    /// Those of the columns that are in the first `width`, and those behind, counted from there.
    fn split(self, width: usize) -> [Wanted; 2] {
        let Some(mut first) = self.columns else { return [self.clone(), self] };
        let second = first.split_off(&width);
        let second = second.into_iter().map(|position| position - width).collect();
        [first, second].map(|columns| Wanted { columns: Some(columns), old: self.old })
    }
}

/// The operators of a query.
pub struct Task {
    /// The operators.
    pub graph: Graph,
    /// The sources from the left.
    pub entries: Vec<Entry>,
    /// The topics of the query's own that it reads, with where their changes go in.
    pub channels: Vec<ChannelEntry>,
    /// What of its windows has expired, of windowed aggregations.
    pub horizon: Option<Horizon>,
}

/// Builds the operators of `step` over stores of `stores`.
///
/// # Errors
/// A store that cannot be opened.
pub fn build(step: &Step, settings: &Settings, stores: &mut dyn StateStores) -> Result<Task, StateError> {
    let mut builder = Builder::new(settings, stores);
    builder.step(step, None, Wanted::ALL)?;
    Ok(builder.task())
}

/// Builds the operators of `step`, such that its result can be read with a [`View`](super::view::View): from the first
/// store that is opened. Its changes need not tell what rows were before.
///
/// # Errors
/// As [`build`].
pub fn build_readable(step: &Step, settings: &Settings, stores: &mut dyn StateStores) -> Result<Task, StateError> {
    let mut builder = Builder::new(settings, stores);
    let mut consumer = None;
    if is_kept(step) {
        let keep = Keep { store: builder.store(KEPT)?, session: step.schema.is_session() };
        consumer = Some(Edge { node: builder.add(keep, None), input: 0 });
    }
    builder.step(step, consumer, Wanted::NEW)?;
    Ok(builder.task())
}

struct Builder<'a> {
    graph: Graph,
    entries: Vec<Entry>,
    channels: Vec<ChannelEntry>,
    settings: &'a Settings,
    stores: &'a mut dyn StateStores,
    next_store: usize,
    horizon: Option<Horizon>,
}

impl<'a> Builder<'a> {
    fn new(settings: &'a Settings, stores: &'a mut dyn StateStores) -> Self {
        let (graph, entries, channels) = (Graph::default(), Vec::new(), Vec::new());
        Builder { graph, entries, channels, settings, stores, next_store: 0, horizon: None }
    }

    fn task(self) -> Task {
        Task { graph: self.graph, entries: self.entries, channels: self.channels, horizon: self.horizon }
    }

    fn store(&mut self, name: &str) -> Result<Box<dyn StateStore>, StateError> {
        let number = self.next_store;
        self.next_store += 1;
        self.stores.open(&format!("{name}-{number:04}"))
    }

    /// Adds the operators of `step`, whose changes go to `consumer`, which looks at the columns `wanted`.
    fn step(&mut self, step: &Step, consumer: Option<Edge>, wanted: Wanted) -> Result<(), StateError> {
        let session = step.schema.is_session();
        match &step.kind {
            StepKind::Source(source) => self.source(source, consumer, wanted),
            StepKind::Channel { topic, grows } => {
                let at = step.schema.position(PSEUDO_COLUMNS[0]).filter(|_| *grows);
                let shape = RowShape { width: step.schema.row.len(), grows_at: at };
                self.channels.push(ChannelEntry { topic: topic.clone(), shape, edge: consumer });
                Ok(())
            }
            StepKind::Filter { input, predicate } => {
                let table = input.schema.kind == SourceKind::Table;
                let wanted = Wanted { old: table, ..wanted.read_by([predicate]) };
                let knows_old = !matches!(input.kind, StepKind::ForeignKeyJoin { .. } | StepKind::LatestResult { .. });
                self.single(Filter { predicate: predicate.clone(), table, knows_old }, input, consumer, wanted)
            }
            StepKind::Project { input, columns } => {
                let operator = Project { columns: columns.clone(), old: wanted.old };
                self.single(operator, input, consumer, Wanted::nothing(wanted.old).read_by(columns))
            }
            StepKind::FlatMap { input, functions } => {
                let [wanted, _] = wanted.split(input.schema.row.len());
                let wanted = wanted.read_by(functions);
                self.single(FlatMap { functions: functions.clone() }, input, consumer, wanted)
            }
            // Rows are not written in between, so that only their topic would differ.
            StepKind::Rewrite { input, .. } => self.step(input, consumer, wanted),
            StepKind::AppendKey { input, at } => {
                let [wanted, _] = wanted.split(input.schema.row.len());
                self.single(AppendKey { at: *at }, input, consumer, wanted)
            }
            StepKind::Subscribe { input, foreign_key, outer } => {
                let numbers = self.store("subscribe")?;
                let foreign_key = foreign_key.clone();
                self.single(Subscribe { foreign_key, outer: *outer, numbers }, input, consumer, Wanted::ALL)
            }
            StepKind::SubscriptionJoin { inputs, foreign_key, left, outer } => {
                let operator = self.subscription_join(foreign_key, [left, &inputs[1].schema], *outer)?;
                self.double(operator, inputs, consumer, [Wanted::ALL, Wanted::ALL])
            }
            StepKind::LatestResult { input } => {
                let results = self.store("foreign-key-results")?;
                self.single(LatestResult::new(results), input, consumer, Wanted::ALL)
            }
            StepKind::Repartition { input, key, append, .. } => {
                let operator = Repartition {
                    key: key.clone(),
                    append: append.clone(),
                    old_key: input.schema.key_positions(),
                    width: input.schema.row.len(),
                };
                let [wanted, _] = wanted.split(input.schema.row.len());
                self.single(operator, input, consumer, wanted.read_by(key))
            }
            StepKind::Aggregate { .. } => self.aggregate(step, consumer, wanted.old),
            StepKind::StreamJoin { inputs, outer, window } => {
                let mut side = |input: usize, before_ms, after_ms| -> Result<StreamSide, StateError> {
                    Ok(StreamSide {
                        store: self.store("stream-join")?,
                        width: inputs[input].schema.row.len(),
                        outer: outer[input],
                        before_ms,
                        after_ms,
                    })
                };
                let sides = [side(0, window.before_ms, window.after_ms)?, side(1, window.after_ms, window.before_ms)?];
                let lone = match window.wait && (outer[0] || outer[1]) {
                    false => None,
                    true => {
                        let store = self.store("stream-join-lone")?;
                        let interval_ms = self.emit_interval_ms(LONE_ROWS_INTERVAL);
                        Some(LoneRows::new(store, key_order(&step.schema), interval_ms))
                    }
                };
                let wanted = wanted.split(inputs[0].schema.row.len());
                self.double(StreamJoin::new(sides, lone, window.grace_ms, session), inputs, consumer, wanted)
            }
            StepKind::StreamTableJoin { inputs, left } => {
                let store = self.store("stream-table-join")?;
                let table_width = inputs[1].schema.row.len();
                let [stream, table] = wanted.split(inputs[0].schema.row.len());
                let table_wanted = table.columns.map(|table| (0..table_width).map(|at| table.contains(&at)).collect());
                let node =
                    self.add(StreamTableJoin { store, left: *left, table_width, table_wanted, session }, consumer);
                self.step(&inputs[0], Some(Edge { node, input: 0 }), stream)?;
                let edge = Some(Edge { node, input: 1 });
                match &inputs[1].kind {
                    // The join remembers the rows itself and does not ask what they were before.
                    StepKind::Source(source) => {
                        self.entries.push(Entry { source: (**source).clone(), edge, wanted: None });
                        Ok(())
                    }
                    _ => self.step(&inputs[1], edge, Wanted::NEW),
                }
            }
            StepKind::TableJoin { inputs, outer } => {
                let mut side = |input: usize| -> Result<TableSide, StateError> {
                    let width = inputs[input].schema.row.len();
                    Ok(TableSide { store: self.store("table-join")?, width, outer: outer[input] })
                };
                let sides = [side(0)?, side(1)?];
                self.double(TableJoin { sides, session }, inputs, consumer, [Wanted::ALL, Wanted::ALL])
            }
            StepKind::ForeignKeyJoin { inputs: [left, right], foreign_key, outer } => {
                let latest = LatestResult::new(self.store("foreign-key-results")?);
                let consumer = Some(Edge { node: self.add(latest, consumer), input: 0 });
                let join = self.subscription_join(foreign_key, [&left.schema, &right.schema], *outer)?;
                let node = self.add(join, consumer);
                let numbers = self.store("subscribe")?;
                let subscribe = Subscribe { foreign_key: foreign_key.clone(), outer: *outer, numbers };
                self.single(subscribe, left, Some(Edge { node, input: 0 }), Wanted::ALL)?;
                self.step(right, Some(Edge { node, input: 1 }), Wanted::ALL)
            }
        }
    }

    fn subscription_join(
        &mut self,
        foreign_key: &Evaluator,
        [left, right]: [&StepSchema; 2],
        outer: bool,
    ) -> Result<SubscriptionJoin, StateError> {
        Ok(SubscriptionJoin {
            foreign_key: foreign_key.clone(),
            subscriptions: self.store("foreign-key-subscriptions")?,
            order: key_order(left),
            right: self.store("foreign-key-right")?,
            widths: [left.row.len(), right.row.len()],
            outer,
        })
    }

    /// How much time of the clock passes between two results that come with the passing of stream time.
    fn emit_interval_ms(&self, setting: &str) -> i64 {
        self.settings.integer(setting).unwrap_or(EMIT_INTERVAL_MS)
    }

    fn source(&mut self, source: &Source, consumer: Option<Edge>, wanted: Wanted) -> Result<(), StateError> {
        let (edge, wanted) = match source.kind {
            SourceKind::Stream => (consumer, wanted.columns),
            // Rows of tables are remembered, longer than it is known what for.
            SourceKind::Table => {
                let operator = TableSource { store: self.store("table")?, session: source.is_session() };
                let node = self.add(operator, consumer);
                (Some(Edge { node, input: 0 }), None)
            }
        };
        self.entries.push(Entry { source: source.clone(), edge, wanted });
        Ok(())
    }

    fn add(&mut self, operator: impl crate::operators::Operator + 'static, consumer: Option<Edge>) -> usize {
        let node = self.graph.add(Box::new(operator));
        if let Some(consumer) = consumer {
            self.graph.connect(node, consumer);
        }
        node
    }

    fn single(
        &mut self,
        operator: impl crate::operators::Operator + 'static,
        input: &Step,
        consumer: Option<Edge>,
        wanted: Wanted,
    ) -> Result<(), StateError> {
        let node = self.add(operator, consumer);
        self.step(input, Some(Edge { node, input: 0 }), wanted)
    }

    fn double(
        &mut self,
        operator: impl crate::operators::Operator + 'static,
        inputs: &[Box<Step>; 2],
        consumer: Option<Edge>,
        [left, right]: [Wanted; 2],
    ) -> Result<(), StateError> {
        let node = self.add(operator, consumer);
        self.step(&inputs[0], Some(Edge { node, input: 0 }), left)?;
        self.step(&inputs[1], Some(Edge { node, input: 1 }), right)
    }

    fn aggregate(&mut self, step: &Step, consumer: Option<Edge>, old: bool) -> Result<(), StateError> {
        let StepKind::Aggregate { input, aggregates, window, .. } = &step.kind else { return Ok(()) };
        let arguments = aggregates.calls.iter().flat_map(|call| &call.arguments);
        // What a row of a table was before is undone in its group.
        let wanted = Wanted::nothing(true).read_by(aggregates.key.iter().chain(arguments));
        let aggregates = aggregates.clone();
        let store = self.store("aggregate")?;
        let Some(window) = window else {
            return match input.schema.kind {
                SourceKind::Stream => self.single(StreamAggregate { aggregates, store, old }, input, consumer, wanted),
                SourceKind::Table => self.single(TableAggregate { aggregates, store, old }, input, consumer, wanted),
            };
        };
        let emission = match window.final_only {
            false => Emission::Changes { old },
            true => {
                let name = "ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__";
                Emission::Final { interval_ms: self.emit_interval_ms(name) }
            }
        };
        let by_time = (self.store("aggregate-by-time")?, key_order(&step.schema));
        let retention = Retention::new(window.retention_ms);
        self.horizon = Some(retention.horizon());
        if window.info.shape == WindowShape::Session {
            let times = (window.advance_ms, window.grace_ms);
            let operator = SessionAggregate::new(aggregates, times, emission, retention, store, by_time);
            return self.single(operator, input, consumer, wanted);
        }
        let times = (window.info.size_ms.unwrap_or_default(), window.advance_ms, window.grace_ms);
        let operator = WindowAggregate::new(aggregates, times, emission, retention, store, by_time);
        self.single(operator, input, consumer, wanted)
    }
}

/// The order of the keys of a step.
fn key_order(schema: &StepSchema) -> KeyOrder {
    let field = |(at, key): (usize, &KeyColumn)| Field {
        name: key.names.first().cloned().unwrap_or_else(|| format!("K{at}").into()),
        field_type: key.column_type.clone(),
    };
    let fields = schema.key.iter().enumerate().map(field).collect();
    KeyOrder::new(schema.key_format, fields, schema.is_session())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Statement;
    use crate::catalog::{Catalog, define::define};
    use crate::formats::registry::MemoryRegistry;
    use crate::operators::NoLog;
    use crate::parser::parse_one;
    use crate::planner::plan;
    use crate::runtime::RawRecord;
    use crate::state::MemoryStateStores;
    use crate::value::Value;

    /// The texts of the columns A, B and C in rows of the stream.
    fn read(sql: &str) -> Vec<Value> {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        let (mut catalog, settings) = (Catalog::default(), Settings::default());
        for text in [
            "CREATE STREAM s (id STRING KEY, a STRING, b STRING, c STRING) WITH (kafka_topic='s', value_format='JSON');",
            "CREATE TABLE t (id STRING PRIMARY KEY, d STRING) WITH (kafka_topic='t', value_format='JSON');",
        ] {
            let Statement::CreateSource(create) = parse_one(text, &|_| None).unwrap() else { panic!("{text}") };
            catalog.put_source(define(&create, text, &settings, &registry).unwrap());
        }
        let Statement::Query(query) = parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
        let step = plan(&query, None, &catalog, &settings).unwrap().step;
        let task = build(&step, &settings, &mut MemoryStateStores).unwrap();
        let entry = task.entries.iter().find(|entry| &*entry.source.topic == "s").unwrap();
        let (key, value) = (Some("k".into()), Some(r#"{"a":"1","b":"2","c":"3"}"#.into()));
        let record = RawRecord { key, value, timestamp: 0, headers: [].into(), partition: 0, offset: 0 };
        let change = entry.reader(&settings, &registry).unwrap().read(&record, &NoLog).unwrap().unwrap();
        change.new.unwrap()[..3].to_vec()
    }

    #[test]
    fn text_that_no_operator_looks_at_is_not_made() {
        let (a, b, c) = (Value::from("1"), Value::from("2"), Value::from("3"));
        let null = || Value::Null;
        assert_eq!(read("SELECT UCASE(a) FROM s WHERE c = 'x' EMIT CHANGES;"), [a.clone(), null(), c.clone()]);
        assert_eq!(read("SELECT * FROM s EMIT CHANGES;"), [a.clone(), b.clone(), c.clone()]);
        assert_eq!(read("SELECT id, COUNT(*) FROM s GROUP BY id EMIT CHANGES;"), [null(), null(), null()]);
        assert_eq!(read("SELECT b, MAX(LEN(c)) FROM s GROUP BY b EMIT CHANGES;"), [null(), b.clone(), c.clone()]);
        assert_eq!(read("SELECT a, d FROM s JOIN t ON s.id = t.id EMIT CHANGES;"), [a.clone(), null(), null()]);
        assert_eq!(read("SELECT a FROM s PARTITION BY b EMIT CHANGES;"), [a, b, null()]);
    }
}
