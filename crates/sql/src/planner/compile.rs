//! Expressions over the rows of a step: the border between planning and [`crate::expression`], [`crate::functions`].

use std::cell::RefCell;
use std::sync::Arc;

use crate::ast::{Expression, FunctionCall};
use crate::catalog::{Settings, StatementError};
use crate::expression::{
    EvalContext, ExpressionError, FunctionSettings, OnFailure, Purpose, Scope, ScopeColumn, TypedExpression, coerce,
    rewrite_time_comparisons, strictly,
};
use crate::functions::{AggregateArgument, Aggregator, date_format, registry};
use crate::operators::aggregate::{AggregateCall, Aggregation};
use crate::operators::evaluator::{Evaluator, note_failed_parts};
use crate::planner::scope::free_columns;
use crate::planner::step::StepColumn;
use crate::types::SqlType;
use crate::value::Value;

thread_local! {
    static CONTEXT: RefCell<EvalContext> = RefCell::new(EvalContext::new());
}

impl From<ExpressionError> for StatementError {
    fn from(error: ExpressionError) -> Self {
        StatementError(error.0)
    }
}

/// How functions behave, as the properties say.
pub fn function_settings(settings: &Settings) -> FunctionSettings {
    let limit = |name: &str| {
        let configured = settings.integer(name).and_then(|limit| usize::try_from(limit).ok());
        configured.unwrap_or(usize::MAX)
    };
    FunctionSettings {
        legacy_substring: settings.is_true("ksql.functions.substring.legacy.args", false),
        collect_list_limit: limit("ksql.functions.collect_list.limit"),
        collect_set_limit: limit("ksql.functions.collect_set.limit"),
        null_casts: settings.is_true("ksql.cast.strings.preserve.nulls", true),
        null_parts: settings.is_true("ksql.nested.error.set.null", true),
    }
}

fn scope(row: &[StepColumn], purpose: Purpose, settings: &Settings) -> Scope {
    let column = |column: &StepColumn| ScopeColumn {
        source: None,
        name: column.name.clone(),
        column_type: column.column_type.clone(),
    };
    Scope { columns: row.iter().map(column).collect(), settings: function_settings(settings), purpose }
}

/// Makes an expression over rows of `row` ready that is a column of a result.
///
/// # Errors
/// Columns that rows do not have, types that do not fit.
pub fn compile(expression: &Expression, row: &[StepColumn], settings: &Settings) -> Result<Evaluator, StatementError> {
    compile_for(Purpose::Select, expression, row, settings)
}

/// Makes an expression over rows of `row` ready.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(
    purpose: Purpose,
    expression: &Expression,
    row: &[StepColumn],
    settings: &Settings,
) -> Result<Evaluator, StatementError> {
    let scope = scope(row, purpose, settings);
    let compiled = scope.compile(expression)?;
    let text = expression.to_string();
    let on_failure = if scope.settings.null_parts { purpose.on_failure() } else { OnFailure::Whole };
    let evaluator = evaluator(compiled, &text, on_failure).reading(columns(expression, &scope)).over(row_types(row));
    Ok(match purpose {
        Purpose::SelectKey => {
            evaluator.failing("PartitionBy", format!("Error computing new key from expression {text}"))
        }
        _ => evaluator,
    })
}

/// Makes a predicate ready; `ROWTIME` and the bounds of windows may be compared with text.
///
/// # Errors
/// As [`compile`], in the words of the clause; an expression that is no condition.
pub fn compile_condition(
    expression: &Expression,
    clause: &str,
    row: &[StepColumn],
    settings: &Settings,
) -> Result<Evaluator, StatementError> {
    let condition = rewrite_time_comparisons(expression)?;
    let scope = scope(row, Purpose::Predicate, settings);
    let compiled = scope.compile_condition(clause, &condition)?;
    let text = expression.to_string();
    let evaluator = evaluator(compiled, &text, Purpose::Predicate.on_failure());
    let evaluator = evaluator.reading(columns(&condition, &scope)).over(row_types(row));
    let step = if clause == "HAVING" { "Aggregate.HavingFilter" } else { "WhereFilter" };
    Ok(evaluator.failing(step, format!("Error evaluating predicate {text}")))
}

fn row_types(row: &[StepColumn]) -> Arc<[SqlType]> {
    row.iter().map(|column| column.column_type.clone()).collect()
}

/// The positions of the columns that an expression names. Parameters of lambdas may be taken for columns.
fn columns(expression: &Expression, scope: &Scope) -> Vec<usize> {
    let mut columns = Vec::new();
    expression.walk(&mut |part| {
        if let Expression::Column(column) = part {
            columns.extend(scope.resolve(column).map(|(position, _)| position));
        }
    });
    columns
}

fn evaluator(compiled: TypedExpression, text: &str, on_failure: OnFailure) -> Evaluator {
    if let Some(position) = compiled.column_index()
        && let Some(value_type) = compiled.sql_type.clone()
    {
        return Evaluator::column(position, value_type, text);
    }
    let value_type = compiled.sql_type.clone();
    let evaluate = move |row: &[Value]| {
        CONTEXT.with_borrow_mut(|context| {
            context.set_on_failure(on_failure);
            let value = compiled.try_evaluate(row, context).map_err(|error| error.0);
            // What became null within the expression is part of its value; the log tells of it.
            note_failed_parts(context.take_errors());
            value
        })
    };
    Evaluator::new(value_type, text, Arc::new(evaluate))
}

/// Whether there is a function of this name.
pub fn is_function(name: &str) -> bool {
    registry().find(name).is_some()
}

/// Whether a function aggregates rows.
pub fn is_aggregate(name: &str) -> bool {
    registry().is_aggregate(name)
}

/// Whether a function makes rows.
pub fn is_table_function(name: &str) -> bool {
    registry().is_table_function(name)
}

/// An aggregate with what planning has to know of it.
pub struct ResolvedAggregate {
    /// The function with its arguments.
    pub call: AggregateCall,
    /// The type of its results.
    pub value_type: SqlType,
    /// The type of its state.
    pub state_type: SqlType,
    /// Whether rows of tables can be undone.
    pub can_undo: bool,
}

/// Makes an aggregate over rows of `row` ready.
///
/// # Errors
/// Arguments that the function does not take.
pub fn aggregation(
    call: &FunctionCall,
    row: &[StepColumn],
    settings: &Settings,
) -> Result<ResolvedAggregate, StatementError> {
    let scope = scope(row, Purpose::Select, settings);
    let mut evaluators = Vec::new();
    let mut arguments = Vec::new();
    for argument in &call.arguments {
        let compiled = scope.compile(argument)?;
        let constant = compiled.constant_value().filter(|_| matches!(argument, Expression::Literal(_))).cloned();
        let text = argument.to_string();
        arguments.push(AggregateArgument { sql_type: compiled.sql_type.clone(), constant, text: text.clone() });
        evaluators.push(evaluator(compiled, &text, OnFailure::Null).reading(columns(argument, &scope)));
    }
    let aggregator = registry().aggregator(&call.name, &arguments, &scope.settings).map_err(StatementError)?;
    Ok(ResolvedAggregate {
        value_type: aggregator.result_type(),
        state_type: aggregator.state_type(),
        can_undo: aggregator.supports_undo(),
        call: AggregateCall {
            function: Arc::new(Function(aggregator)),
            arguments: evaluators,
            text: Expression::Function(call.clone()).to_string(),
        },
    })
}

/// An aggregate function as operators call it.
struct Function(Box<dyn Aggregator>);

impl Aggregation for Function {
    fn initial(&self) -> Value {
        self.0.initialize()
    }

    fn add(&self, state: Value, arguments: &[Value]) -> Result<Value, String> {
        self.0.accumulate(arguments, state).map_err(|error| error.0.into_owned())
    }

    fn undo(&self, state: Value, arguments: &[Value]) -> Result<Value, String> {
        match self.0.undo(arguments, &state) {
            Some(undone) => undone.map_err(|error| error.0.into_owned()),
            None => Ok(state),
        }
    }

    fn merge(&self, one: Value, other: Value) -> Result<Value, String> {
        self.0.merge(one, other).map_err(|error| error.0.into_owned())
    }

    fn result(&self, state: &Value) -> Value {
        self.0.result(state)
    }
}

/// Makes a table function over rows of `row` ready: its values are arrays of what becomes rows of the given type.
///
/// # Errors
/// Arguments that the function does not take.
pub fn table_function(
    call: &FunctionCall,
    row: &[StepColumn],
    settings: &Settings,
) -> Result<(Evaluator, SqlType), StatementError> {
    let compiled = |argument: &Expression| compile_for(Purpose::TableFunction, argument, row, settings);
    let arguments = call.arguments.iter().map(compiled);
    let arguments: Vec<Evaluator> = arguments.collect::<Result<_, _>>()?;
    let types: Vec<_> = arguments.iter().map(|argument| argument.value_type.clone()).collect();
    let function = registry().table_function(&call.name, &types).map_err(StatementError)?;
    let row_type = function.return_type.clone();
    let whole = Expression::Function(call.clone());
    let (text, reads) = (whole.to_string(), columns(&whole, &scope(row, Purpose::TableFunction, settings)));
    let evaluate = move |row: &[Value]| {
        // The function decides what it makes of an argument that cannot be computed.
        let values: Vec<Value> = arguments.iter().map(|argument| argument.try_value(row).unwrap_or_default()).collect();
        function.call(&values).map(Value::array).map_err(|error| error.0)
    };
    let evaluator = Evaluator::new(Some(SqlType::array(row_type.clone())), &text, Arc::new(evaluate));
    Ok((evaluator.reading(reads).over(row_types(row)), row_type))
}

/// The value of an expression without columns, as a column of `target` takes it.
///
/// # Errors
/// A value that does not fit.
pub fn constant(
    expression: &Expression,
    target: &SqlType,
    column: &str,
    settings: &Settings,
) -> Result<Value, StatementError> {
    if expression.is_null_literal() {
        return Ok(Value::Null);
    }
    let scope = scope(&[], Purpose::Constant, settings);
    let coerced = coerce(expression, target, &scope).map_err(|error| {
        let found = scope.type_of(expression).ok().flatten();
        let found = found.map_or_else(|| "null".to_owned(), |found| found.to_string());
        StatementError(format!("Expected type {target} for field `{column}` but got {found} ({expression}). {error}"))
    })?;
    let compiled = scope.compile(&coerced)?;
    if compiled.sql_type.as_ref().is_some_and(|found| found != target && !found.can_implicitly_cast(target)) {
        let found = compiled.sql_type.map_or_else(|| "null".to_owned(), |found| found.to_string());
        return Err(StatementError(format!(
            "Expected type {target} for field `{column}` but got {found} ({expression})"
        )));
    }
    let mut context = EvalContext::with(OnFailure::Whole);
    let value = compiled.try_evaluate(&[], &mut context).map_err(|error| StatementError(error.0.into_owned()))?;
    Ok(value)
}

/// The value of an expression without columns, as a column of `target` takes it without a change; `operation` is what
/// wants it.
///
/// # Errors
/// Columns in the expression, a value of another type.
pub fn strict_constant(
    expression: &Expression,
    target: &SqlType,
    column: &str,
    operation: &str,
    settings: &Settings,
) -> Result<Value, StatementError> {
    if expression.is_null_literal() {
        return Ok(Value::Null);
    }
    if !free_columns(expression).is_empty() {
        return Err(StatementError(format!("Unsupported column reference in {operation}: {expression}")));
    }
    let evaluator = compile_for(Purpose::Constant, expression, &[], settings)?;
    let Some(found) = &evaluator.value_type else { return Ok(Value::Null) };
    let value = evaluator.try_value(&[]).map_err(|cause| StatementError(cause.into_owned()))?;
    strictly(&value, found, target).ok_or_else(|| {
        let form = match (found, target) {
            (SqlType::String, SqlType::Timestamp) => ". Timestamp format must be yyyy-mm-ddThh:mm:ss[.S]",
            (SqlType::String, SqlType::Time) => ". Time format must be hh:mm:ss[.S]",
            (SqlType::String, SqlType::Date) => ". Date format must be yyyy-mm-dd",
            _ => "",
        };
        let (kind, shown) = (found.base_name(), value.text(found));
        StatementError(format!("Expected type {target} for field `{column}` but got {kind}({shown}){form}"))
    })
}

/// Milliseconds of a text in the format of a `TIMESTAMP_FORMAT`.
///
/// # Errors
/// Text of another form.
pub fn parse_time(text: &str, format: &str) -> Result<i64, String> {
    date_format::parse_timestamp(text, format, "UTC").map_err(|error| error.0.into_owned())
}
