//! EARLIEST_BY_OFFSET, LATEST_BY_OFFSET.

use std::sync::atomic::{AtomicI64, Ordering};

use super::{AggregateArgument, Aggregator, first, into_elements, literal, type_of};
use crate::expression::{EvalError, FunctionSettings};
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::Value;

/// Numbers the rows in the order in which they come, so that merged sessions know which of their values came first.
static SEQUENCE: AtomicI64 = AtomicI64::new(0);

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "EARLIEST_BY_OFFSET",
        "The first value, or an array of the first n values, in the order of offsets; nulls are left out unless the last \
         argument is false.",
        &[
            ("(val1 T) T", |arguments, _| build(arguments, Side::Earliest, None, None)),
            ("(val1 T, ignoreNulls BOOLEAN) T", |arguments, _| build(arguments, Side::Earliest, None, Some(1))),
            ("(val1 T, earliestN INT) ARRAY<T>", |arguments, _| build(arguments, Side::Earliest, Some(1), None)),
            ("(val1 T, earliestN INT, ignoreNulls BOOLEAN) ARRAY<T>", |arguments, _: &FunctionSettings| {
                build(arguments, Side::Earliest, Some(1), Some(2))
            }),
        ],
    );
    registry.aggregate(
        "LATEST_BY_OFFSET",
        "The last value, or an array of the last n values, in the order of offsets; nulls are left out unless the last \
         argument is false.",
        &[
            ("(val1 T) T", |arguments, _| build(arguments, Side::Latest, None, None)),
            ("(val1 T, ignoreNulls BOOLEAN) T", |arguments, _| build(arguments, Side::Latest, None, Some(1))),
            ("(val1 T, latestN INT) ARRAY<T>", |arguments, _| build(arguments, Side::Latest, Some(1), None)),
            ("(val1 T, latestN INT, ignoreNulls BOOLEAN) ARRAY<T>", |arguments, _: &FunctionSettings| {
                build(arguments, Side::Latest, Some(1), Some(2))
            }),
        ],
    );
}

fn build(
    arguments: &[AggregateArgument],
    side: Side,
    count_at: Option<usize>,
    nulls_at: Option<usize>,
) -> Result<Box<dyn Aggregator>, String> {
    let (name, several) = match side {
        Side::Earliest => ("EARLIEST_BY_OFFSET", "earliestN"),
        Side::Latest => ("LATEST_BY_OFFSET", "latestN"),
    };
    let count = match count_at {
        Some(index) => {
            let count = literal(arguments, index, name)?.as_i64().unwrap_or(0);
            let message = || format!("Failed to invoke UDAF factory method: {several} must be 1 or greater");
            Some(usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(message)?)
        }
        None => None,
    };
    let ignore_nulls = match nulls_at {
        Some(index) => literal(arguments, index, name)?.as_bool().unwrap_or(true),
        None => true,
    };
    Ok(Box::new(ByOffset { value_type: type_of(arguments, 0)?, side, count, ignore_nulls }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Earliest,
    Latest,
}

/// Its state: the values that count, each with its number, the first to come first.
#[derive(Debug)]
struct ByOffset {
    value_type: SqlType,
    side: Side,
    /// How many make an array; `None` for a single one.
    count: Option<usize>,
    ignore_nulls: bool,
}

impl ByOffset {
    /// The entries that count of those in order: the first, or the last, so many.
    fn trim(&self, mut entries: Vec<Value>, side: Side) -> Value {
        let limit = self.count.unwrap_or(1);
        if entries.len() > limit {
            match side {
                Side::Earliest => entries.truncate(limit),
                Side::Latest => {
                    entries.drain(..entries.len() - limit);
                }
            }
        }
        Value::array(entries)
    }
}

impl Aggregator for ByOffset {
    fn state_type(&self) -> SqlType {
        SqlType::array(SqlType::structure([("SEQ", SqlType::Bigint), ("VAL", self.value_type.clone())]))
    }

    fn result_type(&self) -> SqlType {
        if self.count.is_some() { SqlType::array(self.value_type.clone()) } else { self.value_type.clone() }
    }

    fn initialize(&self) -> Value {
        Value::array(Vec::new())
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        let value = first(arguments);
        let full = state.as_array().is_some_and(|entries| entries.len() >= self.count.unwrap_or(1));
        if (value.is_null() && self.ignore_nulls) || (full && self.side == Side::Earliest) {
            return Ok(state);
        }
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let mut entries = into_elements(state);
        entries.push(Value::structure(vec![Value::Bigint(sequence), value.clone()]));
        Ok(self.trim(entries, self.side))
    }

    /// Of several values those stay that came first, even where the latest are asked for: that is what users know.
    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let mut entries = into_elements(earlier);
        entries.extend(into_elements(later));
        entries.sort_by_key(|entry| entry.as_struct().and_then(<[Value]>::first).and_then(Value::as_i64));
        Ok(self.trim(entries, if self.count.is_some() { Side::Earliest } else { self.side }))
    }

    fn result(&self, state: &Value) -> Value {
        let mut values = state
            .as_array()
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.as_struct().and_then(|fields| fields.get(1)).cloned().unwrap_or_default());
        if self.count.is_some() { Value::array(values.collect()) } else { values.next().unwrap_or_default() }
    }
}
