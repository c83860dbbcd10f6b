//! The steps of a query, as a tree from the sink to the sources.
//!
//! Steps hold compiled expressions but no state: [`build`](super::build) makes operators of them as often as tasks need
//! their own.

use crate::ast::{Name, SourceKind};
use crate::catalog::{Source, WindowInfo};
use crate::formats::Format;
use crate::operators::aggregate::Aggregates;
use crate::operators::evaluator::Evaluator;
use crate::planner::aggregate_input::AggregateInput;
use crate::types::SqlType;

/// A column of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepColumn {
    /// Its name within the query.
    pub name: Name,
    /// Its type.
    pub column_type: SqlType,
}

impl StepColumn {
    /// A column.
    pub fn new(name: impl Into<Name>, column_type: SqlType) -> Self {
        StepColumn { name: name.into(), column_type }
    }
}

/// A column of the key of a step, under all names that rows know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// The columns of the row that hold it; the first is preferred. After a join both sides do.
    pub names: Vec<Name>,
    /// The texts of expressions that it equals without being in a column: what was joined on.
    pub equals: Vec<String>,
    /// Its type.
    pub column_type: SqlType,
}

impl KeyColumn {
    /// In the column `name`.
    pub fn new(name: Name, column_type: SqlType) -> Self {
        KeyColumn { names: vec![name], equals: Vec::new(), column_type }
    }
}

/// What a step gives.
#[derive(Debug, Clone)]
pub struct StepSchema {
    /// A stream or a table.
    pub kind: SourceKind,
    /// The key.
    pub key: Vec<KeyColumn>,
    /// The columns of rows.
    pub row: Vec<StepColumn>,
    /// The windows of the key.
    pub window: Option<WindowInfo>,
    /// How keys are written where rows go through a topic.
    pub key_format: Format,
}

impl StepSchema {
    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.row.iter().position(|column| &*column.name == name)
    }

    /// The only column of the key, if there is just one.
    pub fn single_key(&self) -> Option<&KeyColumn> {
        match self.key.as_slice() {
            [key] => Some(key),
            _ => None,
        }
    }

    /// Where rows hold the columns of the key; `None` for those they do not hold.
    pub fn key_positions(&self) -> Vec<Option<usize>> {
        self.key.iter().map(|key| key.names.first().and_then(|name| self.position(name))).collect()
    }

    /// Whether keys have session windows.
    pub fn is_session(&self) -> bool {
        self.window.is_some_and(WindowInfo::is_session)
    }
}

/// A step with what it gives.
#[derive(Clone)]
pub struct Step {
    /// What it gives.
    pub schema: StepSchema,
    /// What it does.
    pub kind: StepKind,
}

/// Windows of an aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregateWindow {
    /// Their shape and length.
    pub info: WindowInfo,
    /// From the start of one to the start of the next; of sessions the gap.
    pub advance_ms: i64,
    /// How late records may be.
    pub grace_ms: i64,
    /// How long windows are kept: as long as they take records, or as stated.
    pub retention_ms: i64,
    /// Whether only closed windows come out.
    pub final_only: bool,
}

/// How close the rows of a stream-stream join must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinWindow {
    /// How much earlier than the left row the right one may be.
    pub before_ms: i64,
    /// How much later.
    pub after_ms: i64,
    /// How late rows may be.
    pub grace_ms: i64,
    /// Whether lone rows wait for the end of the window: with a stated grace period.
    pub wait: bool,
}

/// What a step does.
#[derive(Clone)]
pub enum StepKind {
    /// Reads a topic. Rows are the value columns, headers, pseudo columns, key columns and window bounds.
    Source(Box<Source>),
    /// Changes that another part of the same query has written into a topic of its own.
    Channel {
        /// What the topic's name ends with.
        topic: String,
        /// Whether the rows are those of a stream, which may get more columns while some of them are in the topic.
        grows: bool,
    },
    /// `WHERE`, `HAVING`.
    Filter {
        /// What is filtered.
        input: Box<Step>,
        /// What rows must fulfil.
        predicate: Evaluator,
    },
    /// `SELECT`.
    Project {
        /// Of what.
        input: Box<Step>,
        /// The columns.
        columns: Vec<Evaluator>,
    },
    /// Table functions.
    FlatMap {
        /// Of what.
        input: Box<Step>,
        /// The functions.
        functions: Vec<Evaluator>,
    },
    /// A stream with another key, through a topic of its own.
    Repartition {
        /// What gets the key.
        input: Box<Step>,
        /// The key.
        key: Vec<Evaluator>,
        /// Which columns of the key rows get as a new column.
        append: Vec<bool>,
        /// What the topic's name ends with; none where the sink's topic is the next one anyway.
        topic: Option<String>,
    },
    /// `GROUP BY`.
    Aggregate {
        /// What is grouped.
        input: Box<Step>,
        /// Groups and functions.
        aggregates: Aggregates,
        /// What it takes from its input.
        takes: AggregateInput,
        /// Windows.
        window: Option<AggregateWindow>,
        /// Whether rows go through a topic first, since the groups are not their keys.
        repartition: bool,
    },
    /// Two streams.
    StreamJoin {
        /// Left and right.
        inputs: [Box<Step>; 2],
        /// Which rows stay without a partner.
        outer: [bool; 2],
        /// How close rows must be.
        window: JoinWindow,
    },
    /// A stream and a table.
    StreamTableJoin {
        /// Stream and table.
        inputs: [Box<Step>; 2],
        /// Whether rows of the stream stay without a partner.
        left: bool,
    },
    /// Two tables on their primary keys.
    TableJoin {
        /// Left and right.
        inputs: [Box<Step>; 2],
        /// Which rows stay without a partner.
        outer: [bool; 2],
    },
    /// Two tables, where the left knows the primary key of the right.
    ForeignKeyJoin {
        /// Left and right.
        inputs: [Box<Step>; 2],
        /// The foreign key.
        foreign_key: Evaluator,
        /// Whether rows of the left stay without a partner.
        outer: bool,
    },
    /// Rows of the left of a foreign-key join, numbered, on their way to the rows of the right. Only in parts of a query.
    Subscribe {
        /// The left.
        input: Box<Step>,
        /// The foreign key.
        foreign_key: Evaluator,
        /// Whether rows without foreign key stay.
        outer: bool,
    },
    /// Numbered rows of the left and the rows of the right that they name. Only in parts of a query.
    SubscriptionJoin {
        /// Numbered rows of the left; the right.
        inputs: [Box<Step>; 2],
        /// The foreign key.
        foreign_key: Evaluator,
        /// The left, before its rows were numbered.
        left: Box<StepSchema>,
        /// Whether rows of the left stay without a partner.
        outer: bool,
    },
    /// Of numbered results by the key of the left those of the latest number. Only in parts of a query.
    LatestResult {
        /// The results.
        input: Box<Step>,
    },
    /// The same key in another format, through a topic of its own.
    Rewrite {
        /// What gets rewritten.
        input: Box<Step>,
        /// What the topic's name ends with.
        topic: String,
    },
    /// The key again as a column `ROWKEY`, where no column of a side is the key.
    AppendKey {
        /// To what.
        input: Box<Step>,
        /// The column that it replaces: that of an earlier join. None for one more.
        at: Option<usize>,
    },
}

impl Step {
    /// The steps that this one takes from.
    pub fn inputs(&self) -> Vec<&Step> {
        match &self.kind {
            StepKind::Source(_) | StepKind::Channel { .. } => Vec::new(),
            StepKind::Filter { input, .. }
            | StepKind::Project { input, .. }
            | StepKind::FlatMap { input, .. }
            | StepKind::Repartition { input, .. }
            | StepKind::Aggregate { input, .. }
            | StepKind::Rewrite { input, .. }
            | StepKind::Subscribe { input, .. }
            | StepKind::LatestResult { input }
            | StepKind::AppendKey { input, .. } => vec![input],
            StepKind::StreamJoin { inputs, .. }
            | StepKind::StreamTableJoin { inputs, .. }
            | StepKind::TableJoin { inputs, .. }
            | StepKind::SubscriptionJoin { inputs, .. }
            | StepKind::ForeignKeyJoin { inputs, .. } => inputs.iter().map(|input| &**input).collect(),
        }
    }

    /// The sources from the left.
    pub fn sources(&self) -> Vec<&Source> {
        match &self.kind {
            StepKind::Source(source) => vec![source],
            _ => self.inputs().into_iter().flat_map(Step::sources).collect(),
        }
    }

    /// What the names of the query's own topics end with.
    pub fn internal_topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.inputs().into_iter().flat_map(Step::internal_topics).collect();
        match &self.kind {
            StepKind::Repartition { topic: Some(topic), .. } | StepKind::Rewrite { topic, .. } => {
                topics.push(topic.clone());
            }
            StepKind::Aggregate { repartition, .. } => {
                if *repartition {
                    topics.push("Aggregate-GroupBy-repartition".to_owned());
                }
                topics.push("Aggregate-Aggregate-Materialize-changelog".to_owned());
            }
            _ => {}
        }
        topics
    }
}
