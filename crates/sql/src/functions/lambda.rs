//! Functions that take lambdas.

use super::{Category, Registry};
use crate::value::{MapValue, Value};

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(Category::Lambda, "transform", "Each element, or each key and value, as the lambdas make it.")
        .nullable("(values ARRAY<T>, f (T) => U) ARRAY<U>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = Vec::with_capacity(c.array(0).len());
            for element in c.array(0) {
                output.push(c.lambda(0, std::slice::from_ref(element))?);
            }
            Ok(Value::array(output))
        })
        .nullable("(map MAP<K, V>, key (K, V) => L, value (K, V) => W) MAP<L, W>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = MapValue::new();
            for (key, value) in c.map(0).iter() {
                let entry = [key.clone(), value.clone()];
                let new_key = c.lambda(0, &entry)?;
                let new_value = c.lambda(1, &entry)?;
                if output.insert(new_key, new_value).is_some() {
                    return Err(crate::expression::EvalError::new("Duplicate key in the map that TRANSFORM makes"));
                }
            }
            Ok(Value::map(output))
        });
    registry
        .scalar(Category::Lambda, "filter", "The elements, or entries, for which the lambda is true.")
        .nullable("(values ARRAY<T>, f (T) => BOOLEAN) ARRAY<T>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = Vec::new();
            for element in c.array(0) {
                if c.lambda(0, std::slice::from_ref(element))? == Value::Boolean(true) {
                    output.push(element.clone());
                }
            }
            Ok(Value::array(output))
        })
        .nullable("(map MAP<K, V>, f (K, V) => BOOLEAN) MAP<K, V>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = MapValue::new();
            for (key, value) in c.map(0).iter() {
                if c.lambda(0, &[key.clone(), value.clone()])? == Value::Boolean(true) {
                    output.insert(key.clone(), value.clone());
                }
            }
            Ok(Value::map(output))
        });
    registry
        .scalar(
            Category::Lambda,
            "reduce",
            "What the lambda makes of a state and each element, or entry, in turn; the state is the result.",
        )
        .nullable("(values ARRAY<T>, state S, f (S, T) => S) S", |c| {
            let mut state = c.value(1).clone();
            if state.is_null() {
                return Ok(Value::Null);
            }
            for element in c.array(0) {
                state = c.lambda(0, &[state, element.clone()])?;
            }
            Ok(state)
        })
        .nullable("(map MAP<K, V>, state S, f (S, K, V) => S) S", |c| {
            let mut state = c.value(1).clone();
            if state.is_null() {
                return Ok(Value::Null);
            }
            for (key, value) in c.map(0).iter() {
                state = c.lambda(0, &[state, key.clone(), value.clone()])?;
            }
            Ok(state)
        });
}
