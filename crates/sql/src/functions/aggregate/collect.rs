//! COLLECT_LIST, COLLECT_SET, HISTOGRAM, ATTR.

use std::sync::Arc;

use super::{Aggregator, first, into_elements, type_of};
use crate::expression::EvalError;
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::{MapValue, Value};

/// Most entries of a HISTOGRAM.
const HISTOGRAM_LIMIT: usize = 1000;

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "collect_list",
        "An array of all values, nulls too.",
        &[("(val1 T) ARRAY<T>", |arguments, settings| {
            let limit = settings.collect_list_limit;
            Ok(Box::new(Collect { element: type_of(arguments, 0)?, limit, distinct: false }))
        })],
    );
    registry.aggregate(
        "collect_set",
        "An array that has every value once, null too.",
        &[("(val1 T) ARRAY<T>", |arguments, settings| {
            let limit = settings.collect_set_limit;
            Ok(Box::new(Collect { element: type_of(arguments, 0)?, limit, distinct: true }))
        })],
    );
    registry.aggregate(
        "histogram",
        "A map from each value to how often it came, of the first 1000 values.",
        &[("(val1 STRING) MAP<STRING, BIGINT>", |_, _| Ok(Box::new(Histogram)))],
    );
    registry.aggregate(
        "ATTR",
        "The value, where it is the same in all rows of the group; otherwise null.",
        &[("(val1 T) T", |arguments, _| Ok(Box::new(Attr { value_type: type_of(arguments, 0)? })))],
    );
}

#[derive(Debug)]
struct Collect {
    element: SqlType,
    limit: usize,
    distinct: bool,
}

impl Collect {
    fn add(&self, elements: &mut Vec<Value>, value: Value) {
        if elements.len() < self.limit && !(self.distinct && elements.contains(&value)) {
            elements.push(value);
        }
    }
}

impl Aggregator for Collect {
    fn state_type(&self) -> SqlType {
        SqlType::array(self.element.clone())
    }

    fn result_type(&self) -> SqlType {
        self.state_type()
    }

    fn initialize(&self) -> Value {
        Value::array(Vec::new())
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        let mut elements = into_elements(state);
        self.add(&mut elements, first(arguments).clone());
        Ok(Value::array(elements))
    }

    /// The last of equal values goes, as it cannot be known which one the row brought.
    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        if self.distinct {
            return None;
        }
        let mut elements = into_elements(state.clone());
        if let Some(index) = elements.iter().rposition(|element| element == first(arguments)) {
            elements.remove(index);
        }
        Some(Ok(Value::array(elements)))
    }

    fn supports_undo(&self) -> bool {
        !self.distinct
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let mut elements = into_elements(earlier);
        for value in into_elements(later) {
            self.add(&mut elements, value);
        }
        Ok(Value::array(elements))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}

#[derive(Debug)]
struct Histogram;

impl Histogram {
    fn add(entries: &mut MapValue, value: &Value, change: i64) {
        let count = entries.get(value).and_then(Value::as_i64);
        match count.unwrap_or(0) + change {
            ..1 => {
                entries.remove(value);
            }
            new if count.is_some() || entries.len() < HISTOGRAM_LIMIT => {
                entries.insert(value.clone(), Value::Bigint(new));
            }
            _ => {}
        }
    }

    fn entries(state: &Value) -> MapValue {
        state.as_map().cloned().unwrap_or_default()
    }
}

impl Aggregator for Histogram {
    fn state_type(&self) -> SqlType {
        SqlType::map(SqlType::String, SqlType::Bigint)
    }

    fn result_type(&self) -> SqlType {
        self.state_type()
    }

    fn initialize(&self) -> Value {
        Value::map(MapValue::roomy())
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        let value = first(arguments);
        let mut entries = match state {
            Value::Map(entries) => Arc::unwrap_or_clone(entries),
            _ => MapValue::roomy(),
        };
        match value {
            // Users know that a null is there as a text, but not how often.
            Value::Null if entries.get(&Value::from("null")).is_some() => {}
            Value::Null => Self::add(&mut entries, &Value::from("null"), 1),
            value => Self::add(&mut entries, value, 1),
        }
        Ok(Value::map(entries))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        let value = first(arguments);
        let mut entries = Self::entries(state);
        if !value.is_null() {
            Self::add(&mut entries, value, -1);
        }
        Some(Ok(Value::map(entries)))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let mut entries = Self::entries(&earlier);
        for (value, count) in Self::entries(&later).iter() {
            Self::add(&mut entries, value, count.as_i64().unwrap_or(0));
        }
        Ok(Value::map(entries))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}

/// Its state: each value with how often it came.
#[derive(Debug)]
struct Attr {
    value_type: SqlType,
}

impl Attr {
    fn moved(state: Value, value: &Value, change: i64) -> Value {
        let mut entries = into_elements(state);
        let known = entries.iter().position(|entry| entry.as_struct().and_then(<[Value]>::first) == Some(value));
        let count = |entry: &Value| entry.as_struct().and_then(|fields| fields.get(1)).and_then(Value::as_i64);
        match known {
            Some(index) => {
                let new = count(&entries[index]).unwrap_or(0) + change;
                if new > 0 {
                    entries[index] = Value::structure(vec![value.clone(), Value::Bigint(new)]);
                } else {
                    entries.remove(index);
                }
            }
            None if change > 0 => entries.push(Value::structure(vec![value.clone(), Value::Bigint(change)])),
            None => {}
        }
        Value::array(entries)
    }
}

impl Aggregator for Attr {
    fn state_type(&self) -> SqlType {
        SqlType::array(SqlType::structure([("VALUE", self.value_type.clone()), ("COUNT", SqlType::Bigint)]))
    }

    fn result_type(&self) -> SqlType {
        self.value_type.clone()
    }

    fn initialize(&self) -> Value {
        Value::array(Vec::new())
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        Ok(Self::moved(state, first(arguments), 1))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        Some(Ok(Self::moved(state.clone(), first(arguments), -1)))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let mut state = earlier;
        for entry in into_elements(later) {
            if let Some([value, count]) = entry.as_struct() {
                state = Self::moved(state, value, count.as_i64().unwrap_or(0));
            }
        }
        Ok(state)
    }

    fn result(&self, state: &Value) -> Value {
        match state.as_array() {
            Some([only]) => only.as_struct().and_then(<[Value]>::first).cloned().unwrap_or_default(),
            _ => Value::Null,
        }
    }
}
