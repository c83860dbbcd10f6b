//! Expressions made ready to run: names become column indexes, types are found and checked, and what is left is a
//! closure over a row.
//!
//! The messages are those that users of the language know. A failure while a row is computed makes the expression null
//! and leaves an entry in [`EvalContext::take_errors`], for the processing log. Casts, elements of constructors and calls
//! within calls catch the failures of what they are made of: they become null alone, unless the whole must not be null
//! then ([`OnFailure`]).

mod arithmetic;
mod call;
mod cast;
mod coercion;
mod comparison;
mod compile;
mod magic;
mod strict;

use std::borrow::Cow;
use std::sync::Arc;

use crate::ast::{ColumnReference, Expression, Name};
use crate::types::SqlType;
use crate::value::Value;

pub use call::CompiledLambda;
pub use cast::{Cast, cast};
pub use coercion::coerce;
pub use magic::rewrite_time_comparisons;
pub use strict::strictly;

/// What an expression does to a row.
pub type Evaluator = Arc<dyn Fn(&[Value], &mut EvalContext) -> Result<Value, EvalError> + Send + Sync>;

/// An expression that is ready to run.
#[derive(Clone)]
pub struct TypedExpression {
    /// Type of its values; `None` where it is nothing but null.
    pub sql_type: Option<SqlType>,
    evaluator: Evaluator,
    /// The value, where it is the same for all rows.
    constant: Option<Value>,
    /// The column, where it is nothing but one.
    column: Option<usize>,
}

/// The columns that an expression may name, by their position in the row.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The columns in the order of the row.
    pub columns: Vec<ScopeColumn>,
    /// How functions behave.
    pub settings: FunctionSettings,
    /// What expressions are for.
    pub purpose: Purpose,
}

/// What an expression is for, which messages of types that only its computation needs begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A column of a result.
    #[default]
    Select,
    /// A condition.
    Predicate,
    /// A new key.
    SelectKey,
    /// A group.
    GroupBy,
    /// An argument of a table function.
    TableFunction,
    /// A value to insert or to look up.
    Constant,
}

/// A column that an expression may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeColumn {
    /// Alias of its source; `None` answers to every qualifier.
    pub source: Option<Name>,
    /// Name of the column.
    pub name: Name,
    /// Its type.
    pub column_type: SqlType,
}

/// Settings that change what functions give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSettings {
    /// `ksql.functions.substring.legacy.args`: positions count from 0 and the third argument is an end.
    pub legacy_substring: bool,
    /// `ksql.functions.collect_list.limit`: most elements of a COLLECT_LIST.
    pub collect_list_limit: usize,
    /// `ksql.functions.collect_set.limit`: most elements of a COLLECT_SET.
    pub collect_set_limit: usize,
    /// `ksql.cast.strings.preserve.nulls`: a CAST of null to STRING is null, not `null`.
    pub null_casts: bool,
    /// `ksql.nested.error.set.null`: parts of expressions that fail are null alone.
    pub null_parts: bool,
}

impl Default for FunctionSettings {
    fn default() -> FunctionSettings {
        FunctionSettings {
            legacy_substring: false,
            collect_list_limit: usize::MAX,
            collect_set_limit: usize::MAX,
            null_casts: true,
            null_parts: true,
        }
    }
}

/// What evaluation needs beside the row; one for each thread, used again for every row.
#[derive(Debug, Default)]
pub struct EvalContext {
    locals: Vec<Value>,
    errors: Vec<FailedPart>,
    on_failure: OnFailure,
}

/// What becomes of a part of an expression that has no value for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is null.
    #[default]
    Null,
    /// The whole expression has none: a condition that cannot be computed does not hold, a group is none.
    Whole,
}

/// A part of an expression that is null for a row because it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedPart {
    /// What it is, as the processing log says: a type, a function, `array item`. Empty for the whole.
    pub part: Arc<str>,
    /// Why it failed.
    pub error: EvalError,
}

/// Why an expression has no value for a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(pub Cow<'static, str>);

/// Why an expression cannot be made ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

impl TypedExpression {
    fn new(
        sql_type: Option<SqlType>,
        evaluator: impl Fn(&[Value], &mut EvalContext) -> Result<Value, EvalError> + Send + Sync + 'static,
    ) -> TypedExpression {
        TypedExpression { sql_type, evaluator: Arc::new(evaluator), constant: None, column: None }
    }

    fn constant(sql_type: Option<SqlType>, value: Value) -> TypedExpression {
        let constant = Some(value.clone());
        TypedExpression { sql_type, evaluator: Arc::new(move |_, _| Ok(value.clone())), constant, column: None }
    }

    /// The value for a row; an error is told as it is.
    pub fn try_evaluate(&self, row: &[Value], context: &mut EvalContext) -> Result<Value, EvalError> {
        match (self.column, &self.constant) {
            (Some(index), _) => Ok(row.get(index).cloned().unwrap_or_default()),
            (None, Some(constant)) => Ok(constant.clone()),
            (None, None) => (self.evaluator)(row, context),
        }
    }

    /// The value for a row, not copied where it stands in the row already.
    fn view<'a>(&'a self, row: &'a [Value], context: &mut EvalContext) -> Result<Cow<'a, Value>, EvalError> {
        match (self.column, &self.constant) {
            (Some(index), _) => Ok(row.get(index).map_or(Cow::Owned(Value::Null), Cow::Borrowed)),
            (None, Some(constant)) => Ok(Cow::Borrowed(constant)),
            (None, None) => (self.evaluator)(row, context).map(Cow::Owned),
        }
    }

    /// The value for a row; an error makes it null and is kept in the context.
    pub fn evaluate(&self, row: &[Value], context: &mut EvalContext) -> Value {
        self.try_evaluate(row, context).unwrap_or_else(|error| {
            context.errors.push(FailedPart { part: Arc::from(""), error });
            Value::Null
        })
    }

    /// The expression as a part that may be null alone where it fails; `part` is its name in the log.
    fn or_null(self, part: &str) -> TypedExpression {
        if self.column.is_some() || self.constant.is_some() {
            return self;
        }
        let part: Arc<str> = Arc::from(part);
        TypedExpression::new(self.sql_type.clone(), move |row, context| self.nested(&part, row, context))
    }

    /// Whether a row satisfies the expression as a condition: null and errors do not.
    pub fn holds(&self, row: &[Value], context: &mut EvalContext) -> bool {
        context.on_failure = OnFailure::Whole;
        let holds = matches!(self.evaluate(row, context), Value::Boolean(true));
        context.on_failure = OnFailure::Null;
        holds
    }

    /// The value for a row as a part that may be null alone; an error that makes it null is kept in the context.
    fn nested(&self, part: &Arc<str>, row: &[Value], context: &mut EvalContext) -> Result<Value, EvalError> {
        let value = self.try_evaluate(row, context);
        context.caught(part, value)
    }

    /// The value, where it is the same for all rows.
    pub fn constant_value(&self) -> Option<&Value> {
        self.constant.as_ref()
    }

    /// The position of the column, where the expression is nothing but one.
    pub fn column_index(&self) -> Option<usize> {
        self.column
    }
}

impl std::fmt::Debug for TypedExpression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedExpression").field("sql_type", &self.sql_type).finish_non_exhaustive()
    }
}

impl Scope {
    /// Columns of one source, all of which answer to every qualifier.
    pub fn of<N: Into<Name>>(columns: impl IntoIterator<Item = (N, SqlType)>) -> Scope {
        let columns = columns
            .into_iter()
            .map(|(name, column_type)| ScopeColumn { source: None, name: name.into(), column_type })
            .collect();
        Scope { columns, ..Scope::default() }
    }

    /// Position and type of a column.
    pub fn resolve(&self, column: &ColumnReference) -> Option<(usize, &SqlType)> {
        let matches = |known: &ScopeColumn| {
            known.name == column.name
                && match (&known.source, &column.source) {
                    (Some(known), Some(wanted)) => known == wanted,
                    _ => true,
                }
        };
        let index = self.columns.iter().position(matches)?;
        Some((index, &self.columns[index].column_type))
    }

    /// Makes an expression ready for rows of these columns.
    pub fn compile(&self, expression: &Expression) -> Result<TypedExpression, ExpressionError> {
        compile::Compiler::new(self).compile(expression)
    }

    /// Type of an expression's values; `None` where it is nothing but null.
    pub fn type_of(&self, expression: &Expression) -> Result<Option<SqlType>, ExpressionError> {
        Ok(self.compile(expression)?.sql_type)
    }

    /// Makes a condition ready: the expression of a WHERE or HAVING, which must be a BOOLEAN.
    pub fn compile_condition(&self, clause: &str, condition: &Expression) -> Result<TypedExpression, ExpressionError> {
        let scope = Scope { purpose: Purpose::Predicate, ..self.clone() };
        let late = Purpose::Predicate.prefix();
        let compiled = scope.compile(condition).map_err(|error| match error.0.starts_with(late) {
            true => error,
            false => ExpressionError(format!("Error in {clause} expression: {error}")),
        })?;
        match &compiled.sql_type {
            Some(SqlType::Boolean) => Ok(compiled),
            found => Err(ExpressionError(format!(
                "Type error in {clause} expression: Should evaluate to boolean but is {condition} ({}) instead.",
                type_text(found.as_ref())
            ))),
        }
    }
}

impl EvalContext {
    /// A context without errors.
    pub fn new() -> EvalContext {
        EvalContext::default()
    }

    /// A context for expressions whose parts fail as said.
    pub fn with(on_failure: OnFailure) -> EvalContext {
        EvalContext { on_failure, ..EvalContext::default() }
    }

    /// From now on parts fail as said.
    pub fn set_on_failure(&mut self, on_failure: OnFailure) {
        self.on_failure = on_failure;
    }

    /// The value of a part; an error is kept and makes the part null, if it may be null alone.
    fn caught(&mut self, part: &Arc<str>, value: Result<Value, EvalError>) -> Result<Value, EvalError> {
        match (value, self.on_failure) {
            (Err(error), OnFailure::Null) => {
                self.errors.push(FailedPart { part: part.clone(), error });
                Ok(Value::Null)
            }
            (value, _) => value,
        }
    }

    /// What has failed since the last call; empties the list.
    pub fn take_errors(&mut self) -> Vec<FailedPart> {
        std::mem::take(&mut self.errors)
    }

    /// The value of a parameter of a lambda.
    fn local(&self, slot: usize) -> Value {
        self.locals.get(slot).cloned().unwrap_or_default()
    }

    /// Gives parameters of a lambda, beginning at `slot`, their values.
    pub(crate) fn set_locals(&mut self, slot: usize, values: &[Value]) {
        let end = slot + values.len();
        if self.locals.len() < end {
            self.locals.resize(end, Value::Null);
        }
        self.locals[slot..end].clone_from_slice(values);
    }
}

impl EvalError {
    /// An error with this message.
    pub fn new(message: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError(message.into())
    }

    /// What operators cannot do without is null.
    fn null_operand() -> EvalError {
        EvalError::new("an operand is null")
    }
}

impl Purpose {
    /// What messages begin with.
    fn prefix(self) -> &'static str {
        match self {
            Purpose::Select => "Invalid Select: ",
            Purpose::Predicate => "Invalid Predicate: ",
            Purpose::SelectKey => "Invalid SelectKey: ",
            Purpose::GroupBy => "Invalid Group By: ",
            Purpose::TableFunction => "Invalid Table function: ",
            Purpose::Constant => "Invalid insert value: ",
        }
    }

    /// What becomes of parts that fail.
    pub fn on_failure(self) -> OnFailure {
        match self {
            Purpose::Select | Purpose::SelectKey | Purpose::TableFunction => OnFailure::Null,
            Purpose::Predicate | Purpose::GroupBy | Purpose::Constant => OnFailure::Whole,
        }
    }
}

/// A type, or `null` for what is nothing but null.
pub(crate) fn type_text(sql_type: Option<&SqlType>) -> String {
    sql_type.map_or_else(|| "null".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
