//! TOPK, TOPKDISTINCT.

use super::{AggregateArgument, AggregateBody, Aggregator, into_elements, literal, type_of};
use crate::expression::EvalError;
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    let body: AggregateBody = |arguments, _| top(arguments, false);
    registry.aggregate(
        "TOPK",
        "An array of the k greatest values, the greatest first; with other columns, of structs of the value and these.",
        &[
            ("(val1 INT, val2 ANY..., k INT) ARRAY<S>", body),
            ("(val1 BIGINT, val2 ANY..., k INT) ARRAY<S>", body),
            ("(val1 DOUBLE, val2 ANY..., k INT) ARRAY<S>", body),
            ("(val1 STRING, val2 ANY..., k INT) ARRAY<S>", body),
        ],
    );
    let body: AggregateBody = |arguments, _| top(arguments, true);
    registry.aggregate(
        "TOPKDISTINCT",
        "An array of the k greatest different values, the greatest first.",
        &[
            ("(val1 INT, k INT) ARRAY<INT>", body),
            ("(val1 BIGINT, k INT) ARRAY<BIGINT>", body),
            ("(val1 DOUBLE, k INT) ARRAY<DOUBLE>", body),
            ("(val1 STRING, k INT) ARRAY<STRING>", body),
            ("(val1 DECIMAL, k INT) ARRAY<DECIMAL>", body),
            ("(val1 DATE, k INT) ARRAY<DATE>", body),
            ("(val1 TIME, k INT) ARRAY<TIME>", body),
            ("(val1 TIMESTAMP, k INT) ARRAY<TIMESTAMP>", body),
            ("(val1 BYTES, k INT) ARRAY<BYTES>", body),
        ],
    );
}

fn top(arguments: &[AggregateArgument], distinct: bool) -> Result<Box<dyn Aggregator>, String> {
    let name = if distinct { "TOPKDISTINCT" } else { "TOPK" };
    let last = arguments.len().saturating_sub(1);
    let count = literal(arguments, last, name)?.as_i64().unwrap_or(0);
    let count = match count {
        0 => return Err(format!("{name} needs a k of at least 1")),
        // Less than nothing is no limit.
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    let value_type = type_of(arguments, 0)?;
    let mut fields = vec![("sort_col".to_owned(), value_type.clone())];
    for index in 1..last {
        fields.push((format!("col{}", index - 1), type_of(arguments, index)?));
    }
    let element = if last > 1 { SqlType::structure(fields) } else { value_type };
    Ok(Box::new(Top { element, count, distinct, structs: last > 1 }))
}

/// Its state is its result: the values in order.
#[derive(Debug)]
struct Top {
    element: SqlType,
    count: usize,
    distinct: bool,
    /// Whether elements are structs with the value first.
    structs: bool,
}

impl Top {
    fn sort_value<'a>(&self, element: &'a Value) -> &'a Value {
        if !self.structs {
            return element;
        }
        element.as_struct().and_then(<[Value]>::first).unwrap_or(&Value::Null)
    }

    /// An equal value stands behind those that came before.
    fn add(&self, elements: &mut Vec<Value>, new: Value) {
        let at = elements.partition_point(|known| self.sort_value(known) >= self.sort_value(&new));
        if self.distinct && at > 0 && self.sort_value(&elements[at - 1]) == self.sort_value(&new) {
            return;
        }
        if at < self.count {
            elements.insert(at, new);
            elements.truncate(self.count);
        }
    }
}

impl Aggregator for Top {
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
        let Some((value, rest)) = arguments.split_first() else { return Ok(state) };
        if value.is_null() {
            return Ok(state);
        }
        let new = if self.structs {
            let others = rest.split_last().map(|(_, others)| others).unwrap_or_default();
            Value::structure(std::iter::once(value).chain(others).cloned().collect())
        } else {
            value.clone()
        };
        let mut elements = into_elements(state);
        self.add(&mut elements, new);
        Ok(Value::array(elements))
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let mut elements = into_elements(earlier);
        for element in into_elements(later) {
            self.add(&mut elements, element);
        }
        Ok(Value::array(elements))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}
