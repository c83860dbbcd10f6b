//! Functions of many rows.
//!
//! A function keeps its state as one [`Value`] of a known type, so that stores and changelogs can hold it as they hold
//! rows. Rows of a table come back to be undone, which not every function can.

mod collect;
mod distinct;
mod moments;
mod numbers;
mod offset;
mod top;

use super::{AggregateBody, Argument, Category, FunctionDefinition, FunctionKind, Overload, Registry, Variants};
use crate::expression::{EvalError, FunctionSettings};
use crate::types::SqlType;
use crate::value::Value;

/// An aggregate function that is ready for its arguments.
pub trait Aggregator: Send + Sync + std::fmt::Debug {
    /// Type of the state.
    fn state_type(&self) -> SqlType;

    /// Type of the result.
    fn result_type(&self) -> SqlType;

    /// The state before any row.
    fn initialize(&self) -> Value;

    /// The state after a row with these arguments; an error stops the query, as the state would be wrong from here on.
    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError>;

    /// The state without a row with these arguments; `None` where the function cannot do that.
    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        let _ = (arguments, state);
        None
    }

    /// Whether rows can be undone, which tables need.
    fn supports_undo(&self) -> bool {
        false
    }

    /// The state of the rows of both, as of two sessions that become one; `earlier` began first.
    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError>;

    /// The result of a state.
    fn result(&self, state: &Value) -> Value;
}

/// An argument of an aggregate function.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateArgument {
    /// Its type; `None` where it is nothing but null.
    pub sql_type: Option<SqlType>,
    /// Its value, where it is a literal.
    pub constant: Option<Value>,
    /// How it is written.
    pub text: String,
}

impl AggregateArgument {
    /// An argument that differs from row to row.
    pub fn column(sql_type: SqlType) -> AggregateArgument {
        AggregateArgument { sql_type: Some(sql_type), constant: None, text: String::new() }
    }

    /// An argument that is the same for all rows.
    pub fn constant(sql_type: SqlType, value: Value) -> AggregateArgument {
        AggregateArgument { sql_type: Some(sql_type), constant: Some(value), text: String::new() }
    }
}

impl Registry {
    /// The aggregate function of this name for these arguments; the error is the message for the user.
    pub fn aggregator(
        &self,
        name: &str,
        arguments: &[AggregateArgument],
        settings: &FunctionSettings,
    ) -> Result<Box<dyn Aggregator>, String> {
        let function = self.find(name).ok_or_else(|| format!("Can't find any functions with the name '{name}'"))?;
        let FunctionKind::Aggregate(variants) = &function.kind else {
            return Err(format!("{name} is not an aggregate function"));
        };
        let types: Vec<_> = arguments.iter().map(|argument| Argument::Value(argument.sql_type.clone())).collect();
        let resolved = function.resolve(&variants.overloads, &types)?;
        // What an argument is converted to is what the function works on.
        let arguments: Vec<_> = arguments
            .iter()
            .enumerate()
            .map(|(position, argument)| AggregateArgument {
                sql_type: resolved.argument_type(position).or_else(|| argument.sql_type.clone()),
                ..argument.clone()
            })
            .collect();
        (resolved.overload.body)(&arguments, settings)
    }

    pub(super) fn aggregate(
        &mut self,
        name: &'static str,
        description: &'static str,
        overloads: &[(&str, AggregateBody)],
    ) {
        let overloads = overloads.iter().map(|(signature, body)| Overload::new(signature, false, *body)).collect();
        let kind = FunctionKind::Aggregate(Variants { overloads });
        self.add(FunctionDefinition { name, category: Category::Aggregate, description, kind });
    }
}

pub(super) fn register(registry: &mut Registry) {
    collect::register(registry);
    distinct::register(registry);
    moments::register(registry);
    numbers::register(registry);
    offset::register(registry);
    top::register(registry);
}

/// Type of an argument.
fn type_of(arguments: &[AggregateArgument], index: usize) -> Result<SqlType, String> {
    let found = arguments.get(index).and_then(|argument| argument.sql_type.clone());
    found.ok_or_else(|| {
        "The argument of an aggregate function must not be NULL: cast it to the type that is meant".into()
    })
}

/// Value of an argument that must be a literal.
fn literal<'a>(arguments: &'a [AggregateArgument], index: usize, function: &str) -> Result<&'a Value, String> {
    let argument = arguments.get(index);
    argument.and_then(|argument| argument.constant.as_ref()).ok_or_else(|| {
        format!(
            "Parameter {} passed to function {function} must be a literal constant, but was expression: '{}'",
            index + 1,
            argument.map_or("", |argument| &argument.text)
        )
    })
}

/// The elements of a state that is an array.
fn into_elements(state: Value) -> Vec<Value> {
    match state {
        Value::Array(elements) => std::sync::Arc::unwrap_or_clone(elements),
        _ => Vec::new(),
    }
}

fn first(arguments: &[Value]) -> &Value {
    arguments.first().unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests;
