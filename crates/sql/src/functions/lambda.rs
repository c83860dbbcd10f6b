//! Functions that take lambdas.

use super::{Category, Registry};
use crate::expression::EvalError;
use crate::value::{MapValue, Value};

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(Category::Lambda, "transform", "Each element, or each key and value, as the lambdas make it.")
        .nullable("(array ARRAY<T>, function (T) => R) ARRAY<R>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = Vec::with_capacity(c.array(0).len());
            for element in c.array(0) {
                output.push(c.lambda(0, std::slice::from_ref(element))?);
            }
            Ok(Value::array(output))
        })
        .nullable("(map MAP<K, V>, biFunction1 (K, V) => R, biFunction2 (K, V) => T) MAP<R, T>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = MapValue::roomy();
            for (key, value) in c.map(0).in_hash_order() {
                let entry = [key.clone(), value.clone()];
                let new_key = c.lambda(0, &entry)?;
                let new_value = no_null(c.lambda(1, &entry)?)?;
                if output.insert(new_key, new_value).is_some() {
                    return Err(EvalError::new("Duplicate key in the map that TRANSFORM makes"));
                }
            }
            Ok(Value::map(output))
        });
    registry
        .scalar(Category::Lambda, "filter", "The elements, or entries, for which the lambda is true.")
        .nullable("(array ARRAY<T>, function (T) => BOOLEAN) ARRAY<T>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = Vec::new();
            for element in c.array(0) {
                if no_null(c.lambda(0, std::slice::from_ref(element))?)? == Value::Boolean(true) {
                    output.push(element.clone());
                }
            }
            Ok(Value::array(output))
        })
        .nullable("(map MAP<K, V>, biFunction (K, V) => BOOLEAN) MAP<K, V>", |c| {
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let mut output = MapValue::roomy();
            for (key, value) in c.map(0).in_hash_order() {
                if no_null(c.lambda(0, &[key.clone(), value.clone()])?)? == Value::Boolean(true) {
                    output.insert(key.clone(), no_null(value.clone())?);
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
        .nullable("(list ARRAY<T>, initialState S, biFunction (S, T) => S) S", |c| {
            let mut state = c.value(1).clone();
            if state.is_null() {
                return Ok(Value::Null);
            }
            for element in c.array(0) {
                state = c.lambda(0, &[state, element.clone()])?;
            }
            Ok(state)
        })
        .nullable("(map MAP<K, V>, initialState S, triFunction (S, K, V) => S) S", |c| {
            let mut state = c.value(1).clone();
            if state.is_null() {
                return Ok(Value::Null);
            }
            for (key, value) in c.map(0).in_hash_order() {
                state = c.lambda(0, &[state, key.clone(), value.clone()])?;
            }
            Ok(state)
        });
}

/// What the functions cannot work with: a condition that is null, and a null that is to be a map's value.
fn no_null(value: Value) -> Result<Value, EvalError> {
    if value.is_null() {
        Err(EvalError::new("A lambda's result, or a value of the new map, is null"))
    } else {
        Ok(value)
    }
}
