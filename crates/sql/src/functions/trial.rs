//! Functions that test cases call and servers do not have: some fail on demand, some say which overload a call means,
//! some take any number of columns.

use std::cell::Cell;
use std::sync::LazyLock;

use super::aggregate::{AggregateArgument, Aggregator};
use super::{AggregateBody, Call, Category, FunctionDefinition, FunctionKind, Overload, Registry, Variants};
use crate::expression::EvalError;
use crate::types::SqlType;
use crate::value::Value;

static FUNCTIONS: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    scalars(&mut registry);
    failures(&mut registry);
    aggregates(&mut registry);
    table(&mut registry);
    registry
});

thread_local! {
    /// Whether this thread runs test cases.
    static IS_TRIAL: Cell<bool> = const { Cell::new(false) };
    /// How often BAD_UDF was asked about texts in this case.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Lets this thread find the functions, and those with a memory forget what its last case did.
pub(crate) fn begin_case() {
    IS_TRIAL.set(true);
    ASKED.set(0);
}

/// A function by its name in upper case, if test cases run on this thread.
pub(super) fn find(name: &str) -> Option<&'static FunctionDefinition> {
    if IS_TRIAL.get() { FUNCTIONS.functions.get(name) } else { None }
}

fn scalars(registry: &mut Registry) {
    registry
        .scalar(Category::Other, "test_udf", "The name of the overload that the call means.")
        .nullable("(arg1 INT, arg2 STRING) STRING", |_| Ok(Value::from("doStuffIntString")))
        .nullable("(arg1 BIGINT, arg2 STRING) STRING", |_| Ok(Value::from("doStuffLongString")))
        .nullable("(arg1 BIGINT, arg2 BIGINT, arg3 STRING) STRING", |_| Ok(Value::from("doStuffLongLongString")))
        .nullable("(arg1 BIGINT, args STRING...) STRING", |_| Ok(Value::from("doStuffLongVarargs")))
        .strict("(struct STRUCT) STRING", field_a);
}

/// The field `A` of the struct.
fn field_a(c: &mut Call<'_>) -> Result<Value, EvalError> {
    let SqlType::Struct(structure) = c.argument_type(0) else { return Ok(Value::Null) };
    let field = structure.index_of("A").and_then(|index| c.value(0).as_struct()?.get(index));
    Ok(field.cloned().unwrap_or_default())
}

fn failures(registry: &mut Registry) {
    registry
        .scalar(Category::Other, "bad_udf", "Fails where the argument is true or a number; every other text is null.")
        .strict("(arg BOOLEAN) INT", |c| match c.value(0) {
            Value::Boolean(true) => Err(EvalError::new("boom!")),
            _ => Ok(Value::Int(0)),
        })
        .strict("(arg INT) INT", |_| Err(EvalError::new("boom!")))
        .strict("(arg STRING) STRING", |c| {
            let asked = ASKED.replace(ASKED.get() + 1);
            Ok(if asked.is_multiple_of(2) { Value::Null } else { c.value(0).clone() })
        });
    registry
        .scalar(Category::Other, "WhenCondition", "The condition; fails where it should not be looked at.")
        .nullable("(retValue BOOLEAN, shouldBeEvaluated BOOLEAN) BOOLEAN", only_if_due);
    registry
        .scalar(Category::Other, "WhenResult", "The result; fails where it should not be looked at.")
        .nullable("(retValue INT, shouldBeEvaluated BOOLEAN) INT", only_if_due);
}

fn only_if_due(c: &mut Call<'_>) -> Result<Value, EvalError> {
    match c.value(1) {
        Value::Boolean(true) => Ok(c.value(0).clone()),
        _ => Err(EvalError::new("looked at, though it should not be")),
    }
}

fn aggregates(registry: &mut Registry) {
    let total: AggregateBody = |arguments, _| Ok(Box::new(Total { initial: initial(arguments) }));
    registry.aggregate(
        "TEST_UDAF",
        "The sum of numbers, or of the lengths of texts.",
        &[
            ("(val1 BIGINT) BIGINT", total),
            ("(val1 INT) BIGINT", total),
            ("(val1 STRING, initialString STRING) BIGINT", total),
        ],
    );
    const SUM: &str = "The sum of numbers and of the lengths of texts, all columns and literals together.";
    registry.aggregate("VAR_ARG", SUM, &[("(val1 BIGINT, val2 STRING...) BIGINT", total)]);
    registry.aggregate("MULTI_ARG", SUM, &[("(val1 BIGINT, val2 STRING, init1 INT, init2 STRING...) BIGINT", total)]);
    registry.aggregate("MID_VAR_ARG", SUM, &[("(val1 BIGINT, val2 STRING..., init1 INT, init2 INT) BIGINT", total)]);
    const COMPLETE: &str = "An array of the first column of the rows that have no null.";
    let complete: AggregateBody = |arguments, _| {
        let first = arguments.first().and_then(|argument| argument.sql_type.clone());
        Ok(Box::new(Complete { element: first.ok_or("The first argument must not be NULL")? }))
    };
    registry.aggregate("GENERIC_VAR_ARG", COMPLETE, &[("(val1 T, val2 U, val3 V...) ARRAY<T>", complete)]);
    registry.aggregate("OBJ_COL_ARG", COMPLETE, &[("(val1 INT, val2 ANY...) ARRAY<INT>", complete)]);
}

/// What the literals among the arguments add up to.
fn initial(arguments: &[AggregateArgument]) -> i64 {
    arguments.iter().filter_map(|argument| argument.constant.as_ref()).map(weight).sum()
}

/// A number, or how long a text is.
fn weight(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str().map(|text| text.encode_utf16().count() as i64)).unwrap_or(0)
}

/// Adds up columns; literals count once.
#[derive(Debug)]
struct Total {
    initial: i64,
}

impl Total {
    fn moved(&self, arguments: &[Value], state: &Value, sign: i64) -> Value {
        // Literals come with every row, too.
        let row = arguments.iter().map(weight).sum::<i64>() - self.initial;
        Value::Bigint(state.as_i64().unwrap_or(0) + sign * row)
    }
}

impl Aggregator for Total {
    fn state_type(&self) -> SqlType {
        SqlType::Bigint
    }

    fn result_type(&self) -> SqlType {
        SqlType::Bigint
    }

    fn initialize(&self) -> Value {
        Value::Bigint(self.initial)
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        Ok(self.moved(arguments, &state, 1))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        Some(Ok(self.moved(arguments, state, -1)))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let sum = earlier.as_i64().unwrap_or(0) + later.as_i64().unwrap_or(0);
        Ok(Value::Bigint(sum - self.initial))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}

/// Keeps the first column of rows without nulls.
#[derive(Debug)]
struct Complete {
    element: SqlType,
}

impl Aggregator for Complete {
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
        if arguments.iter().any(Value::is_null) {
            return Ok(state);
        }
        let known = state.as_array().unwrap_or_default();
        Ok(Value::array(known.iter().chain(arguments.first()).cloned().collect()))
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        Ok(Value::array([&earlier, &later].map(|state| state.as_array().unwrap_or_default()).concat()))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}

fn table(registry: &mut Registry) {
    registry.add(FunctionDefinition {
        name: "test_udtf",
        category: Category::Table,
        description: "The argument as one row, or several arguments as a row with the text of each.",
        kind: FunctionKind::Table(Variants {
            overloads: vec![
                Overload::new("(arg T) T", false, |arguments| Ok(arguments.to_vec())),
                Overload::new("(first ANY, second ANY, others ANY...) STRING", false, |arguments| {
                    Ok(arguments.iter().map(|argument| Value::from(sample(argument))).collect())
                }),
            ],
        }),
    });
}

/// The text of a value, or of the first that it holds.
fn sample(value: &Value) -> String {
    match value {
        Value::Array(elements) => elements.first().map_or_else(|| "null".to_owned(), sample),
        Value::Struct(fields) => fields.first().map_or_else(|| "null".to_owned(), sample),
        Value::Map(entries) => entries.iter().next().map_or_else(|| "null".to_owned(), |(_, entry)| sample(entry)),
        simple => simple.text(&SqlType::String),
    }
}
