//! `GROUP BY` without windows, of streams and of tables, and what all aggregations share.
//!
//! The row of a group is its key columns, then one column per aggregate function. Every change comes out at once.

use std::sync::Arc;

use super::evaluator::Evaluator;
use super::processing_log::Failed;
use super::{Change, Context, Key, Operator, OperatorError, ProcessingLog, Row, WindowBounds};
use crate::state::{StateStore, codec};
use crate::value::Value;

/// An aggregate function with its arguments resolved.
pub trait Aggregation: Send + Sync {
    /// The state of a group without rows.
    fn initial(&self) -> Value;

    /// The state with the row that has these arguments.
    ///
    /// # Errors
    /// A function that gives up, as SUM does when it overflows.
    fn add(&self, state: Value, arguments: &[Value]) -> Result<Value, String>;

    /// The state without the row that had these arguments. Only functions of tables are asked.
    ///
    /// # Errors
    /// As [`Aggregation::add`].
    fn undo(&self, state: Value, arguments: &[Value]) -> Result<Value, String>;

    /// The state of two sessions that have become one.
    ///
    /// # Errors
    /// As [`Aggregation::add`].
    fn merge(&self, one: Value, other: Value) -> Result<Value, String>;

    /// What the group shows.
    fn result(&self, state: &Value) -> Value;
}

/// One aggregate of a projection.
#[derive(Clone)]
pub struct AggregateCall {
    /// The function.
    pub function: Arc<dyn Aggregation>,
    /// Its arguments, over rows of the input.
    pub arguments: Vec<Evaluator>,
    /// The call as statements spell it.
    pub text: String,
}

/// The aggregates of a projection over rows of one input.
#[derive(Clone)]
pub struct Aggregates {
    /// The grouping expressions.
    pub key: Vec<Evaluator>,
    /// The aggregates.
    pub calls: Vec<AggregateCall>,
}

/// What a store holds of a group.
#[derive(Debug, Clone)]
pub(crate) struct GroupState {
    pub timestamp: i64,
    pub states: Vec<Value>,
}

/// Bytes that most groups have room in.
const GROUP_BYTES: usize = 32;

impl GroupState {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(GROUP_BYTES);
        bytes.extend(codec::time_bytes(self.timestamp));
        codec::write_values(&self.states, &mut bytes);
        bytes
    }

    pub(crate) fn read(mut bytes: &[u8]) -> Result<GroupState, OperatorError> {
        let timestamp = codec::read_time(&mut bytes).ok_or(OperatorError::Corrupt("aggregate"))?;
        let states = codec::read_values(&mut bytes).ok_or(OperatorError::Corrupt("aggregate"))?;
        Ok(GroupState { timestamp, states })
    }
}

impl Aggregates {
    /// The group of a row; `None` for rows of which a grouping expression is null.
    pub(super) fn group(&self, row: &[Value], log: &dyn ProcessingLog) -> Option<Row> {
        let column = |(index, column): (usize, &Evaluator)| {
            const EXCLUDED: &str = "The source row will be excluded from the table.";
            let (message, cause) = match column.try_value(row) {
                Ok(Value::Null) => (format!("Group-by column with index {index} resolved to null. {EXCLUDED}"), None),
                Ok(value) => return value,
                Err(cause) => {
                    (format!("Error calculating group-by column with index {index}. {EXCLUDED}"), Some(cause))
                }
            };
            let (message, cause) = (message.as_str(), cause.as_deref());
            log.failure("Aggregate.GroupBy", &Failed { message, cause, row: &|| column.shown(row) });
            Value::Null
        };
        let group: Row = self.key.iter().enumerate().map(column).collect();
        (!group.iter().any(Value::is_null)).then_some(group)
    }

    pub(super) fn initial(&self) -> Vec<Value> {
        self.calls.iter().map(|call| call.function.initial()).collect()
    }

    /// The states with `row` added.
    pub(super) fn add(
        &self,
        states: Vec<Value>,
        row: &[Value],
        log: &dyn ProcessingLog,
    ) -> Result<Vec<Value>, OperatorError> {
        self.each(states, |call, state| call.with_values(row, log, |values| call.function.add(state, values)))
    }

    fn undo(&self, states: Vec<Value>, row: &[Value], log: &dyn ProcessingLog) -> Result<Vec<Value>, OperatorError> {
        self.each(states, |call, state| call.with_values(row, log, |values| call.function.undo(state, values)))
    }

    pub(super) fn merge(&self, one: Vec<Value>, other: Vec<Value>) -> Result<Vec<Value>, OperatorError> {
        let mut others = other.into_iter();
        self.each(one, |call, state| call.function.merge(state, others.next().unwrap_or_default()))
    }

    fn each(
        &self,
        mut states: Vec<Value>,
        mut change: impl FnMut(&AggregateCall, Value) -> Result<Value, String>,
    ) -> Result<Vec<Value>, OperatorError> {
        for (call, state) in self.calls.iter().zip(&mut states) {
            *state = change(call, std::mem::take(state)).map_err(OperatorError::Function)?;
        }
        Ok(states)
    }

    /// What the row of a group is said to have been before its first record: nothing but what the functions begin with.
    pub(super) fn initial_row(&self, window: Option<WindowBounds>) -> Row {
        let key = Key { columns: Some(vec![Value::Null; self.key.len()].into()), window };
        self.row(&key, &self.initial())
    }

    /// The row of a group: its key, then what its functions show; then the window's bounds, if there is one.
    pub(crate) fn row(&self, key: &Key, states: &[Value]) -> Row {
        let columns = key.columns.as_deref().unwrap_or_default();
        let mut row = Vec::with_capacity(columns.len() + states.len() + 2);
        row.extend_from_slice(columns);
        row.extend(self.calls.iter().zip(states).map(|(call, state)| call.function.result(state)));
        if let Some(window) = key.window {
            row.extend([Value::Bigint(window.start), Value::Bigint(window.end)]);
        }
        row.into()
    }
}

impl AggregateCall {
    /// Calls `function` with the values of the arguments.
    fn with_values<T>(&self, row: &[Value], log: &dyn ProcessingLog, function: impl FnOnce(&[Value]) -> T) -> T {
        match self.arguments.as_slice() {
            // Most functions have one argument, which needs no list.
            [argument] => function(&[argument.value(row, log)]),
            arguments => function(&arguments.iter().map(|argument| argument.value(row, log)).collect::<Vec<_>>()),
        }
    }
}

/// Groups the rows of a stream.
pub struct StreamAggregate {
    /// Groups and functions.
    pub aggregates: Aggregates,
    /// The groups.
    pub store: Box<dyn StateStore>,
    /// Whether somebody looks at what the rows were before.
    pub old: bool,
}

impl Operator for StreamAggregate {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let Some(row) = &change.new else { return Ok(()) };
        let Some(group) = self.aggregates.group(row, context.log) else { return Ok(()) };
        let key = Key::of(group);
        let bytes = key.bytes(false);
        let before = self.store.get(&bytes)?.map(|bytes| GroupState::read(&bytes)).transpose()?;
        let old = self.old.then(|| match &before {
            Some(before) => self.aggregates.row(&key, &before.states),
            None => self.aggregates.initial_row(None),
        });
        let (timestamp, states) = match before {
            Some(before) => (before.timestamp.max(change.timestamp), before.states),
            None => (change.timestamp, self.aggregates.initial()),
        };
        let states = self.aggregates.add(states, row, context.log)?;
        let new = self.aggregates.row(&key, &states);
        self.store.put(&bytes, &GroupState { timestamp, states }.bytes())?;
        output.push(Change { key, new: Some(new), old, timestamp, headers: change.headers });
        Ok(())
    }
}

/// Groups the rows of a table: what a row added is undone when the row changes or goes.
pub struct TableAggregate {
    /// Groups and functions.
    pub aggregates: Aggregates,
    /// The groups.
    pub store: Box<dyn StateStore>,
    /// Whether somebody looks at what the rows were before.
    pub old: bool,
}

impl TableAggregate {
    /// Undoes `old` and adds `new` in one group.
    fn update(&mut self, group: Row, change: &Change, context: &Context<'_>) -> Result<Option<Change>, OperatorError> {
        let key = Key::of(group);
        let bytes = key.bytes(false);
        let before = self.store.get(&bytes)?.map(|bytes| GroupState::read(&bytes)).transpose()?;
        let mut states = before.as_ref().map(|before| before.states.clone());
        if let (Some(known), Some(old)) = (states.take(), &change.old) {
            states = Some(self.aggregates.undo(known, old, context.log)?);
        } else if let Some(before) = &before {
            states = Some(before.states.clone());
        }
        if let Some(new) = &change.new {
            let known = states.unwrap_or_else(|| self.aggregates.initial());
            states = Some(self.aggregates.add(known, new, context.log)?);
        }
        let timestamp = before.as_ref().map_or(change.timestamp, |before| before.timestamp.max(change.timestamp));
        let old = before.filter(|_| self.old).map(|before| self.aggregates.row(&key, &before.states));
        let new = states.as_ref().map(|states| self.aggregates.row(&key, states));
        match states {
            Some(states) => self.store.put(&bytes, &GroupState { timestamp, states }.bytes())?,
            None => self.store.delete(&bytes)?,
        }
        Ok(Some(Change { key, new, old, timestamp, headers: change.headers.clone() }))
    }
}

impl Operator for TableAggregate {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let group = |row: &Option<Row>| row.as_ref().and_then(|row| self.aggregates.group(row, context.log));
        match (group(&change.old), group(&change.new)) {
            (Some(old), Some(new)) if old == new => output.extend(self.update(new, &change, context)?),
            (old, new) => {
                if let Some(group) = old {
                    output.extend(self.update(group, &change.with_row(None, change.old.clone()), context)?);
                }
                if let Some(group) = new {
                    output.extend(self.update(group, &change.with_row(change.new.clone(), None), context)?);
                }
            }
        }
        Ok(())
    }
}
