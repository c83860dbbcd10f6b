//! Tables as they are: the rows of a persistent query's result, read from the state that its last part keeps anyway.
//!
//! What `GROUP BY` or a table source keeps is a step or two before the result: the filters and projections in between are
//! applied when rows are read. Where rows of the result are nowhere in the state, as after joins, the last part keeps them
//! in a store of its own ([`KEPT`]).

use crate::catalog::{Source, WindowInfo};
use crate::formats::registry::{MemoryRegistry, SchemaRegistry};
use crate::formats::{self, CodecContext, Format, FormatError, FormatSpec, RowCodec, Side};
use crate::operators::aggregate::{Aggregates, GroupState};
use crate::operators::evaluator::Evaluator;
use crate::operators::retention::Horizon;
use crate::operators::table_source::{read_row, read_timed_row};
use crate::operators::{Key, OperatorError, ProcessingLog, Row, WindowBounds};
use crate::planner::step::{Step, StepKind};
use crate::state::codec::{read_time, read_values, write_values};
use crate::value::Value;
use crate::{ast::SourceKind, catalog::define::PSEUDO_COLUMNS};

/// The name of the store that is made only to be read.
pub const KEPT: &str = "result";

/// How the rows of a result are read from the state of the part that writes it.
pub struct View {
    base: Base,
    /// From the state to the result.
    steps: Vec<RowStep>,
    window: Option<WindowInfo>,
    /// What has expired, although it may not be deleted yet.
    horizon: Option<Horizon>,
    keys: usize,
    values: usize,
    /// What values become on their way through the format of the sink, where that knows no nulls.
    through: Option<Box<dyn RowCodec>>,
}

/// What the state holds.
enum Base {
    Aggregate(Aggregates),
    /// The position of the time in rows of a table source.
    Source {
        time: usize,
    },
    Kept,
}

enum RowStep {
    Filter(Evaluator),
    Project(Vec<Evaluator>),
}

/// A row of a result.
#[derive(Debug, Clone)]
pub struct ViewRow {
    /// Its key.
    pub key: Key,
    /// The value columns.
    pub row: Row,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// Whether the result of `step` is in no other state, so that it is kept for readers. Only tables are read.
pub fn is_kept(step: &Step) -> bool {
    step.schema.kind == SourceKind::Table && matches!(base(step).0, Base::Kept)
}

/// The state below the filters and projections of `step`, and those from below to above.
fn base(step: &Step) -> (Base, Vec<RowStep>) {
    match &step.kind {
        StepKind::Aggregate { aggregates, .. } => (Base::Aggregate(aggregates.clone()), Vec::new()),
        StepKind::Source(source) if source.kind == SourceKind::Table => {
            let time = step.schema.position(PSEUDO_COLUMNS[0]);
            time.map_or((Base::Kept, Vec::new()), |time| (Base::Source { time }, Vec::new()))
        }
        StepKind::Filter { input, predicate } => above(input, RowStep::Filter(predicate.clone())),
        StepKind::Project { input, columns } => above(input, RowStep::Project(columns.clone())),
        _ => (Base::Kept, Vec::new()),
    }
}

fn above(input: &Step, step: RowStep) -> (Base, Vec<RowStep>) {
    match base(input) {
        (Base::Kept, _) => (Base::Kept, Vec::new()),
        (base, mut steps) => {
            steps.push(step);
            (base, steps)
        }
    }
}

impl View {
    /// The result of a query's last step, which `sink` describes.
    ///
    /// # Errors
    /// A format that cannot hold the columns.
    pub fn new(step: &Step, sink: &Source) -> Result<View, FormatError> {
        let (base, mut steps) = base(step);
        if sink.read_only {
            // The table is its own source: its rows are there as they are.
            steps.clear();
        }
        let through = match sink.value_format.format {
            Format::Protobuf | Format::ProtobufNoSr if !sink.read_only => Some(through_protobuf(sink)?),
            _ => None,
        };
        let keys = sink.schema.keys().len();
        let values = match sink.read_only {
            // With what is read from headers.
            true => sink.schema.others().count(),
            false => sink.schema.values().count(),
        };
        Ok(View { base, steps, window: sink.window, horizon: None, keys, values, through })
    }

    /// Leaves out windows that have expired.
    pub fn with_horizon(self, horizon: Option<Horizon>) -> View {
        View { horizon, ..self }
    }

    /// How many columns the key has.
    pub fn key_columns(&self) -> usize {
        self.keys
    }

    /// The row of an entry of the state; `None` for one that is not part of the result.
    ///
    /// # Errors
    /// State that this version did not write.
    pub fn row(&self, key: &[u8], value: &[u8], log: &dyn ProcessingLog) -> Result<Option<ViewRow>, OperatorError> {
        let key = self.key(key).ok_or(OperatorError::Corrupt("view"))?;
        if self.has_expired(&key) {
            return Ok(None);
        }
        let (timestamp, mut row) = match &self.base {
            Base::Aggregate(aggregates) => {
                let state = GroupState::read(value)?;
                (state.timestamp, aggregates.row(&key, &state.states))
            }
            Base::Source { time } => {
                let row = read_row(value)?;
                (row.get(*time).and_then(Value::as_i64).unwrap_or_default(), row)
            }
            Base::Kept => read_timed_row(value)?,
        };
        for step in &self.steps {
            match step {
                RowStep::Filter(predicate) if !predicate.holds(&row, log) => return Ok(None),
                RowStep::Filter(_) => {}
                RowStep::Project(columns) => row = columns.iter().map(|column| column.value(&row, log)).collect(),
            }
        }
        // Rows of a source begin with its value columns.
        if row.len() > self.values {
            row = row[..self.values].into();
        }
        if let Some(codec) = &self.through {
            let written = codec.encode(&row).ok().flatten();
            let read = written.and_then(|bytes| codec.decode(&bytes).ok().flatten());
            row = read.map_or(row, Row::from);
        }
        Ok(Some(ViewRow { key, row, timestamp }))
    }

    /// What the keys of entries begin with that have these key columns. Without windows nothing follows.
    pub fn key_prefix(columns: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_values(columns, &mut bytes);
        bytes
    }

    /// Whether several entries have the same key columns.
    pub fn is_windowed(&self) -> bool {
        self.window.is_some()
    }

    /// Time windows expire by their starts, sessions by their ends.
    fn has_expired(&self, key: &Key) -> bool {
        let time = key.window.map(|window| if self.is_session() { window.end } else { window.start });
        let horizon = self.horizon.as_ref().filter(|_| matches!(self.base, Base::Aggregate(_)));
        matches!((horizon, time), (Some(horizon), Some(time)) if horizon.is_past(time))
    }

    fn is_session(&self) -> bool {
        self.window.is_some_and(WindowInfo::is_session)
    }

    fn key(&self, mut bytes: &[u8]) -> Option<Key> {
        let columns = read_values(&mut bytes)?;
        let window = match self.window {
            None => None,
            Some(info) => {
                let start = read_time(&mut bytes)?;
                let end = match info.size_ms {
                    Some(size) => start.saturating_add(size),
                    None => read_time(&mut bytes)?,
                };
                Some(WindowBounds { start, end })
            }
        };
        Some(Key { columns: Some(columns.into()), window })
    }
}

/// Protobuf without a registry writes the same values.
fn through_protobuf(sink: &Source) -> Result<Box<dyn RowCodec>, FormatError> {
    let registry: std::sync::Arc<dyn SchemaRegistry> = std::sync::Arc::new(MemoryRegistry::default());
    let context = CodecContext { topic: sink.topic.clone(), side: Side::Value, registry };
    let spec =
        FormatSpec { format: Format::ProtobufNoSr, schema_id: None, full_name: None, ..sink.value_format.clone() };
    formats::open(&spec, sink.value_fields(), &context)
}
