//! Functions of arrays.

use std::collections::HashSet;

use super::{Call, Category, Registry};
use crate::expression::EvalError;
use crate::types::SqlType;
use crate::value::Value;

/// Most elements that GENERATE_SERIES gives.
const MAX_SERIES: i64 = 10_000_000;

pub(super) fn register(registry: &mut Registry) {
    sets(registry);
    measures(registry);
    parts(registry);
    series(registry);
}

fn sets(registry: &mut Registry) {
    registry
        .scalar(Category::Array, "array_concat", "The elements of both arrays; a null array counts as empty.")
        .nullable("(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", |c| {
            if c.is_null(0) && c.is_null(1) {
                return Ok(Value::Null);
            }
            Ok(Value::array([c.array(0), c.array(1)].concat()))
        });
    registry
        .scalar(Category::Array, "array_distinct", "Each element once, in the order of the first of each.")
        .strict("(input ARRAY<T>) ARRAY<T>", |c| Ok(Value::array(distinct(c.array(0).iter()))));
    registry
        .scalar(Category::Array, "array_except", "Each element of the first array that the second does not have, once.")
        .strict("(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", |c| {
            let right: HashSet<_> = c.array(1).iter().collect();
            Ok(Value::array(distinct(c.array(0).iter().filter(|value| !right.contains(value)))))
        });
    registry.scalar(Category::Array, "array_intersect", "Each element that both arrays have, once.").strict(
        "(left ARRAY<T>, right ARRAY<T>) ARRAY<T>",
        |c| {
            let right: HashSet<_> = c.array(1).iter().collect();
            Ok(Value::array(distinct(c.array(0).iter().filter(|value| right.contains(value)))))
        },
    );
    registry
        .scalar(Category::Array, "array_union", "Each element that one of the arrays has, once.")
        .strict("(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", |c| {
            Ok(Value::array(distinct(c.array(0).iter().chain(c.array(1)))))
        });
    registry.scalar(Category::Array, "array_remove", "The array without the elements that equal the value.").nullable(
        "(array ARRAY<T>, victim T) ARRAY<T>",
        |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            Ok(Value::array(c.array(0).iter().filter(|value| *value != c.value(1)).cloned().collect()))
        },
    );
}

fn distinct<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).cloned().collect()
}

fn measures(registry: &mut Registry) {
    registry
        .scalar(Category::Array, "ARRAY_CONTAINS", "Whether the array has an element that equals the value.")
        .nullable("(array ARRAY<T>, val T) BOOLEAN", |c| {
            Ok(Value::Boolean(!c.is_null(0) && c.array(0).contains(c.value(1))))
        });
    registry
        .scalar(Category::Array, "ARRAY_LENGTH", "The number of elements.")
        .strict("(array ARRAY<T>) INT", |c| Ok(Value::Int(c.array(0).len() as i32)));
    registry
        .scalar(Category::Array, "array_max", "The greatest element; nulls are left out.")
        .strict("(input ARRAY<T>) T", |c| Ok(ordered(c, 1)?.max().cloned().unwrap_or_default()));
    registry
        .scalar(Category::Array, "array_min", "The least element; nulls are left out.")
        .strict("(input ARRAY<T>) T", |c| Ok(ordered(c, 1)?.min().cloned().unwrap_or_default()));
}

/// The elements that are not null; they must have an order if there are so many.
fn ordered<'a>(c: &Call<'a>, compared: usize) -> Result<impl Iterator<Item = &'a Value> + use<'a>, EvalError> {
    let elements = c.array(0).iter().filter(|value| !value.is_null());
    let unordered = |value: &Value| matches!(value, Value::Array(_) | Value::Map(_) | Value::Struct(_));
    if elements.clone().nth(compared - 1).is_some_and(unordered) {
        return Err(EvalError::new(format!("Values of type {} have no order", c.argument_type(0))));
    }
    Ok(elements)
}

fn parts(registry: &mut Registry) {
    registry
        .scalar(
            Category::Array,
            "ARRAY_JOIN",
            "The elements as texts with a separator, a comma unless given, between them.",
        )
        .nullable("(array ARRAY<T>) STRING", |c| join(c, ","))
        .nullable("(array ARRAY<T>, delimiter STRING) STRING", |c| join(c, c.str(1)));
    registry
        .scalar(Category::Array, "array_sort", "The elements in order, 'ASC' unless 'DESC' is given; nulls come last.")
        .strict("(input ARRAY<T>) ARRAY<T>", |c| sorted(c, false))
        .strict("(input ARRAY<T>, direction STRING) ARRAY<T>", |c| match c.str(1).to_uppercase().as_str() {
            "ASC" | "ASCENDING" => sorted(c, false),
            "DESC" | "DESCENDING" => sorted(c, true),
            _ => Ok(Value::Null),
        });
    registry
        .scalar(
            Category::Array,
            "slice",
            "The elements from one position to another, both counted from 1 and inclusive.",
        )
        .nullable("(in ARRAY<T>, from INT, to INT) ARRAY<T>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let total = c.array(0).len();
            let from = if c.is_null(1) { 0 } else { c.long(1) - 1 };
            let to = if c.is_null(2) { total as i64 } else { c.long(2) };
            // What lies outside has no answer, as users know it.
            let span = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            Ok(span
                .filter(|(from, to)| from <= to && *to <= total)
                .map_or(Value::Null, |(from, to)| Value::array(c.array(0)[from..to].to_vec())))
        });
}

fn join(c: &Call<'_>, separator: &str) -> Result<Value, EvalError> {
    if c.is_null(0) {
        return Ok(Value::Null);
    }
    let element_type = match c.argument_type(0) {
        SqlType::Array(element) => element,
        other => other,
    };
    let simple = matches!(element_type, SqlType::Boolean | SqlType::String) || element_type.is_number();
    if !simple && c.array(0).iter().any(|value| !value.is_null()) {
        return Err(EvalError::new(format!("ARRAY_JOIN has no text for elements of type {element_type}")));
    }
    let texts: Vec<_> = c.array(0).iter().map(|value| value.text(element_type)).collect();
    Ok(Value::from(texts.join(separator)))
}

fn sorted(c: &Call<'_>, descending: bool) -> Result<Value, EvalError> {
    let mut values: Vec<Value> = ordered(c, 2)?.cloned().collect();
    values.sort();
    if descending {
        values.reverse();
    }
    values.resize(c.array(0).len(), Value::Null);
    Ok(Value::array(values))
}

fn series(registry: &mut Registry) {
    registry
        .scalar(
            Category::Array,
            "GENERATE_SERIES",
            "The numbers from one to another, both inclusive, one or a given step apart.",
        )
        .strict("(start INT, end INT) ARRAY<INT>", |c| numbers(c, None, |n| Value::Int(n as i32)))
        .strict("(start BIGINT, end BIGINT) ARRAY<BIGINT>", |c| numbers(c, None, Value::Bigint))
        .strict("(start INT, end INT, step INT) ARRAY<INT>", |c| numbers(c, Some(c.long(2)), |n| Value::Int(n as i32)))
        .strict("(start BIGINT, end BIGINT, step INT) ARRAY<BIGINT>", |c| numbers(c, Some(c.long(2)), Value::Bigint));
}

fn numbers(c: &Call<'_>, step: Option<i64>, value: fn(i64) -> Value) -> Result<Value, EvalError> {
    let (from, to) = (c.long(0), c.long(1));
    let step = step.unwrap_or(if from <= to { 1 } else { -1 });
    if step == 0 {
        return Err(EvalError::new("GENERATE_SERIES step cannot be zero"));
    }
    if (from < to && step < 0) || (from > to && step > 0) {
        return Err(EvalError::new("GENERATE_SERIES step has wrong sign"));
    }
    let count = (i128::from(to) - i128::from(from)) / i128::from(step) + 1;
    let count = i64::try_from(count).ok().filter(|count| *count <= MAX_SERIES);
    let Some(count) = count else {
        return Err(EvalError::new(format!("GENERATE_SERIES gives at most {MAX_SERIES} numbers")));
    };
    Ok(Value::array((0..count).map(|index| value(from.wrapping_add(index.wrapping_mul(step)))).collect()))
}
