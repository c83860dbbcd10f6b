//! The walk over an expression that makes closures of it.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::arithmetic::{arithmetic, sign};
use super::coercion::{coerce_with, common_type_with};
use super::comparison::{comparison, like};
use super::{EvalContext, EvalError, ExpressionError, Scope, TypedExpression, cast, type_text};
use crate::ast::*;
use crate::types::SqlType;
use crate::value::{MapValue, Value, digits_before_point};

const EMPTY_HINT: &str = "(see https://github.com/confluentinc/ksql/issues/4239)";

/// Makes one expression ready.
pub(super) struct Compiler<'a> {
    pub(super) scope: &'a Scope,
    /// Parameters of the lambdas around, innermost last: name, type, slot in the context.
    pub(super) locals: Vec<(Name, Option<SqlType>)>,
    /// Expressions looked at so far.
    work: Rc<Cell<usize>>,
}

/// Most expressions that are looked at for one; constructors within constructors look at theirs several times.
const MAX_WORK: usize = 200_000;

impl<'a> Compiler<'a> {
    pub(super) fn new(scope: &'a Scope) -> Compiler<'a> {
        Compiler { scope, locals: Vec::new(), work: Rc::default() }
    }

    /// An error of a type that only the computation needs.
    fn late(&self, error: impl std::fmt::Display) -> ExpressionError {
        ExpressionError(format!("{}{error}", self.scope.purpose.prefix()))
    }

    /// A compiler for the body of a lambda.
    pub(super) fn with_locals(&self, parameters: Vec<(Name, Option<SqlType>)>) -> Compiler<'a> {
        let mut locals = self.locals.clone();
        locals.extend(parameters);
        Compiler { scope: self.scope, locals, work: self.work.clone() }
    }

    pub(super) fn compile(&self, expression: &Expression) -> Result<TypedExpression, ExpressionError> {
        self.work.set(self.work.get() + 1);
        if self.work.get() > MAX_WORK {
            return Err(ExpressionError("The expression is too complex".to_owned()));
        }
        match expression {
            Expression::Literal(literal) => Ok(constant(literal)),
            Expression::Column(column) => self.column(column),
            Expression::Not(value) => self.not(value),
            Expression::IsNull(value) => self.null_test(value, true),
            Expression::IsNotNull(value) => self.null_test(value, false),
            Expression::Arithmetic { operator, left, right } => {
                arithmetic(expression, *operator, self.compile(left)?, self.compile(right)?)
            }
            Expression::Sign { negative, value } => sign(expression, *negative, self.compile(value)?),
            Expression::Comparison { operator, left, right } => {
                comparison(*operator, (left, self.compile(left)?), (right, self.compile(right)?))
            }
            Expression::Logical { operator, left, right } => self.logical(*operator, left, right),
            Expression::Between { value, min, max } => self.between(value, min, max),
            Expression::In { value, list } => self.in_list(value, list),
            Expression::Like { value, pattern, escape } => like(self.compile(value)?, self.compile(pattern)?, *escape),
            Expression::SearchedCase { branches, default } => self.case(branches, default.as_deref()),
            Expression::SimpleCase { operand, branches, default } => {
                let searched: Vec<_> = branches
                    .iter()
                    .map(|(value, then)| {
                        let condition = Expression::Comparison {
                            operator: ComparisonOperator::Equal,
                            left: operand.clone(),
                            right: Box::new(value.clone()),
                        };
                        (condition, then.clone())
                    })
                    .collect();
                self.case(&searched, default.as_deref())
            }
            Expression::Cast { value, target } => self.cast(value, target),
            Expression::Subscript { base, index } => self.subscript(expression, base, index),
            Expression::Dereference { base, field } => self.dereference(base, field),
            Expression::Function(call) => self.call(call),
            Expression::Array(elements) => self.array(elements),
            Expression::Map(entries) => self.map(entries),
            Expression::Struct(fields) => self.structure(fields),
            Expression::Lambda { .. } => {
                Err(ExpressionError(format!("Lambdas can only be arguments of functions that take them: {expression}")))
            }
            Expression::IntervalUnit(unit) => {
                Err(ExpressionError(format!("A unit of time can only be an argument: {}", unit.name())))
            }
        }
    }

    pub(super) fn type_of(&self, expression: &Expression) -> Result<Option<SqlType>, ExpressionError> {
        Ok(self.compile(expression)?.sql_type)
    }

    fn common_type(&self, expressions: &[&Expression]) -> Result<Option<SqlType>, ExpressionError> {
        common_type_with(expressions, &|expression| self.type_of(expression))
    }

    fn compile_as(&self, expression: &Expression, target: &SqlType) -> Result<TypedExpression, ExpressionError> {
        self.compile(&coerce_with(expression, target, &|expression| self.type_of(expression))?)
    }

    fn column(&self, column: &ColumnReference) -> Result<TypedExpression, ExpressionError> {
        if column.source.is_none()
            && let Some(slot) = self.locals.iter().rposition(|(name, _)| *name == column.name)
        {
            let sql_type = self.locals[slot].1.clone();
            return Ok(TypedExpression::new(sql_type, move |_, context| Ok(context.local(slot))));
        }
        let Some((index, column_type)) = self.scope.resolve(column) else {
            return Err(ExpressionError(format!("{}Column '{column}' cannot be resolved.", column.location.prefix())));
        };
        let mut compiled =
            TypedExpression::new(Some(column_type.clone()), move |row: &[Value], _: &mut EvalContext| {
                Ok(row.get(index).cloned().unwrap_or_default())
            });
        compiled.column = Some(index);
        Ok(compiled)
    }

    fn not(&self, value: &Expression) -> Result<TypedExpression, ExpressionError> {
        let value = self.compile(value)?;
        Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context| {
            match value.try_evaluate(row, context)? {
                Value::Boolean(truth) => Ok(Value::Boolean(!truth)),
                _ => Err(EvalError::null_operand()),
            }
        }))
    }

    fn null_test(&self, value: &Expression, wanted: bool) -> Result<TypedExpression, ExpressionError> {
        let value = self.compile(value)?;
        Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context| {
            Ok(Value::Boolean(value.view(row, context)?.is_null() == wanted))
        }))
    }

    /// The right side is evaluated only where the left does not decide; a null that is looked at is a failure.
    fn logical(
        &self,
        operator: LogicalOperator,
        left: &Expression,
        right: &Expression,
    ) -> Result<TypedExpression, ExpressionError> {
        let (left, right) = (self.compile(left)?, self.compile(right)?);
        let decides = operator == LogicalOperator::Or;
        Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context| {
            if let Value::Boolean(truth) = left.try_evaluate(row, context)? {
                if truth == decides {
                    return Ok(Value::Boolean(decides));
                }
                if let Value::Boolean(truth) = right.try_evaluate(row, context)? {
                    return Ok(Value::Boolean(truth));
                }
            }
            Err(EvalError::null_operand())
        }))
    }

    fn between(
        &self,
        value: &Expression,
        min: &Expression,
        max: &Expression,
    ) -> Result<TypedExpression, ExpressionError> {
        let tested = self.compile(value)?;
        let low = self.compile(min)?;
        let high = self.compile(max)?;
        let low = comparison(ComparisonOperator::GreaterThanOrEqual, (value, tested.clone()), (min, low))?;
        let high = comparison(ComparisonOperator::LessThanOrEqual, (value, tested), (max, high))?;
        Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context| {
            Ok(Value::Boolean(
                low.try_evaluate(row, context)? == Value::Boolean(true)
                    && high.try_evaluate(row, context)? == Value::Boolean(true),
            ))
        }))
    }

    fn in_list(&self, value: &Expression, list: &[Expression]) -> Result<TypedExpression, ExpressionError> {
        if list.iter().all(Expression::is_null_literal) {
            return Err(ExpressionError("IN statement requires at least one value.".to_owned()));
        }
        let invalid = |error: ExpressionError| self.late(error);
        let all: Vec<&Expression> = std::iter::once(value).chain(list).collect();
        let Some(common) = self.common_type(&all).map_err(invalid)? else {
            return Ok(TypedExpression::constant(Some(SqlType::Boolean), Value::Boolean(false)));
        };
        let value = self.compile_as(value, &common).map_err(invalid)?;
        let mut constants = HashSet::new();
        let mut others = Vec::new();
        for item in list {
            let item = self.compile_as(item, &common).map_err(invalid)?;
            match item.constant_value() {
                Some(Value::Null) => {}
                Some(constant) => {
                    constants.insert(constant.clone());
                }
                None => others.push(item),
            }
        }
        Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context| {
            let value = value.view(row, context)?;
            if value.is_null() {
                return Ok(Value::Boolean(false));
            }
            let mut found = constants.contains(&*value);
            for item in &others {
                found = found || *item.view(row, context)? == *value;
            }
            Ok(Value::Boolean(found))
        }))
    }

    fn case(
        &self,
        branches: &[(Expression, Expression)],
        default: Option<&Expression>,
    ) -> Result<TypedExpression, ExpressionError> {
        let mut compiled = Vec::with_capacity(branches.len());
        let mut result: Option<SqlType> = None;
        for (when, then) in branches {
            let condition = self.compile(when)?;
            if condition.sql_type != Some(SqlType::Boolean) {
                return Err(ExpressionError(format!(
                    "WHEN operand type should be boolean.\nType for '{when}' is {}",
                    type_text(condition.sql_type.as_ref())
                )));
            }
            let value = self.compile(then)?;
            let previous = type_text(result.as_ref());
            result = merge_branch(result, value.sql_type.as_ref()).ok_or_else(|| {
                ExpressionError(format!(
                    "Invalid Case expression. Type for all 'THEN' clauses should be the same.\nTHEN expression \
                     'WHEN {when} THEN {then}' has type: {}.\nPrevious THEN expression(s) type: {previous}.",
                    type_text(value.sql_type.as_ref())
                ))
            })?;
            compiled.push((condition, value));
        }
        let default = default.map(|default| self.compile(default)).transpose()?;
        if let Some(default) = &default {
            let then = type_text(result.as_ref());
            result = merge_branch(result, default.sql_type.as_ref()).ok_or_else(|| {
                ExpressionError(format!(
                    "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.\n\
                     THEN type: {then}.\nDEFAULT type: {}.",
                    type_text(default.sql_type.as_ref())
                ))
            })?;
        }
        let Some(result) = result else {
            return Err(ExpressionError("Invalid Case expression. All case branches have NULL type".to_owned()));
        };
        Ok(TypedExpression::new(Some(result), move |row, context| {
            for (condition, value) in &compiled {
                match condition.try_evaluate(row, context)? {
                    Value::Boolean(true) => return value.try_evaluate(row, context),
                    Value::Null => return Err(EvalError::null_operand()),
                    _ => {}
                }
            }
            default.as_ref().map_or(Ok(Value::Null), |default| default.try_evaluate(row, context))
        }))
    }

    fn cast(&self, value: &Expression, target: &SqlType) -> Result<TypedExpression, ExpressionError> {
        let value = self.compile(value)?;
        let Some(from) = &value.sql_type else {
            return Ok(TypedExpression::constant(Some(target.clone()), Value::Null));
        };
        let convert = cast(from, target).map_err(|error| self.late(error))?;
        let part: Arc<str> = Arc::from(target.to_string());
        // Decimals and times stay null even so.
        let spelled =
            *target == SqlType::String && !matches!(from, SqlType::String | SqlType::Decimal(_)) && !from.is_time();
        if spelled && !self.scope.settings.null_casts {
            return Ok(TypedExpression::new(Some(SqlType::String), move |row, context| {
                let text = value.view(row, context).and_then(|value| match value.is_null() {
                    true => Ok(Value::from("null")),
                    false => convert(&value),
                });
                context.caught(&part, text)
            }));
        }
        if let Some(constant) = value.constant_value()
            && let Ok(converted) = convert(constant)
        {
            return Ok(TypedExpression::constant(Some(target.clone()), converted));
        }
        Ok(TypedExpression::new(Some(target.clone()), move |row, context| {
            let converted = value.view(row, context).and_then(|value| convert(&value));
            context.caught(&part, converted)
        }))
    }

    fn subscript(
        &self,
        whole: &Expression,
        base: &Expression,
        given: &Expression,
    ) -> Result<TypedExpression, ExpressionError> {
        let (compiled, index) = (self.compile(base)?, self.compile(given)?);
        match compiled.sql_type.clone() {
            Some(SqlType::Array(element)) => {
                if !matches!(index.sql_type, Some(SqlType::Integer | SqlType::Bigint)) {
                    return Err(ExpressionError(format!(
                        "Array subscript must be an INTEGER, but is {}: {base}",
                        type_text(index.sql_type.as_ref())
                    )));
                }
                Ok(TypedExpression::new(Some((*element).clone()), move |row, context| {
                    let array = compiled.view(row, context)?;
                    let index = index.view(row, context)?;
                    let (Some(elements), Some(index)) = (array.as_array(), index.as_i64()) else {
                        return Ok(Value::Null);
                    };
                    let index = if index > 0 { index - 1 } else { elements.len() as i64 + index };
                    Ok(usize::try_from(index).ok().and_then(|index| elements.get(index)).cloned().unwrap_or_default())
                }))
            }
            Some(SqlType::Map(key, entry)) => {
                let index = super::arithmetic::widen(index, &key)?;
                Ok(TypedExpression::new(Some((*entry).clone()), move |row, context| {
                    let map = compiled.view(row, context)?;
                    let key = index.view(row, context)?;
                    Ok(map.as_map().and_then(|map| map.get(&key)).cloned().unwrap_or_default())
                }))
            }
            other => Err(no_subscript(whole, base, given, other.as_ref())),
        }
    }

    fn dereference(&self, base: &Expression, field: &Name) -> Result<TypedExpression, ExpressionError> {
        let compiled = self.compile(base)?;
        let Some(SqlType::Struct(structure)) = &compiled.sql_type else {
            return Err(ExpressionError(format!(
                "Expected STRUCT type, got: {}",
                type_text(compiled.sql_type.as_ref())
            )));
        };
        let Some(index) = structure.index_of(field) else {
            return Err(ExpressionError(format!("Could not find field '{field}' in '{base}'.")));
        };
        let field_type = structure.fields[index].field_type.clone();
        Ok(TypedExpression::new(Some(field_type), move |row, context| {
            let value = compiled.view(row, context)?;
            Ok(value.as_struct().and_then(|fields| fields.get(index)).cloned().unwrap_or_default())
        }))
    }

    fn array(&self, elements: &[Expression]) -> Result<TypedExpression, ExpressionError> {
        if elements.is_empty() {
            return Err(ExpressionError(format!(
                "Array constructor cannot be empty. Please supply at least one element {EMPTY_HINT}."
            )));
        }
        let Some(element_type) = self.common_type(&elements.iter().collect::<Vec<_>>())? else {
            return Err(ExpressionError(format!(
                "Cannot construct an array with all NULL elements {EMPTY_HINT}. As a workaround, you may cast a NULL \
                 value to the desired type."
            )));
        };
        let compiled: Result<Vec<_>, _> = elements.iter().map(|item| self.compile_as(item, &element_type)).collect();
        let compiled = compiled?;
        let part: Arc<str> = Arc::from("array item");
        Ok(folded(
            compiled.clone(),
            TypedExpression::new(Some(SqlType::array(element_type)), move |row, context| {
                compiled.iter().map(|item| item.nested(&part, row, context)).collect::<Result<_, _>>().map(Value::array)
            }),
        ))
    }

    fn map(&self, entries: &[(Expression, Expression)]) -> Result<TypedExpression, ExpressionError> {
        if entries.is_empty() {
            return Err(ExpressionError(format!(
                "Map constructor cannot be empty. Please supply at least one key value pair {EMPTY_HINT}."
            )));
        }
        let keys: Vec<_> = entries.iter().map(|(key, _)| key).collect();
        let values: Vec<_> = entries.iter().map(|(_, value)| value).collect();
        let typed = |what: &str, found: Option<SqlType>| {
            found.ok_or_else(|| {
                ExpressionError(format!(
                    "Cannot construct a map with all NULL {what}s {EMPTY_HINT}. As a workaround, you may cast a NULL \
                     {what} to the desired type."
                ))
            })
        };
        let key_type = typed("key", self.common_type(&keys)?)?;
        let value_type = typed("value", self.common_type(&values)?)?;
        let mut compiled = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            compiled.push((self.compile_as(key, &key_type)?, self.compile_as(value, &value_type)?));
        }
        let parts = compiled.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
        let (of_key, of_value): (Arc<str>, Arc<str>) = (Arc::from("map key"), Arc::from("map value"));
        Ok(folded(
            parts,
            TypedExpression::new(Some(SqlType::map(key_type, value_type)), move |row, context| {
                let mut map = MapValue::new();
                for (key, value) in &compiled {
                    let key = key.nested(&of_key, row, context)?;
                    map.insert(key, value.nested(&of_value, row, context)?);
                }
                Ok(Value::map(map))
            }),
        ))
    }

    fn structure(&self, fields: &[(Name, Expression)]) -> Result<TypedExpression, ExpressionError> {
        let mut types = Vec::with_capacity(fields.len());
        let mut compiled = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let value = self.compile(value)?;
            let Some(field_type) = value.sql_type.clone() else {
                return Err(ExpressionError(format!(
                    "Cannot construct a struct with a field that is NULL: {name}. As a workaround, you may cast a NULL \
                     value to the desired type."
                )));
            };
            if types.iter().any(|(known, _)| known == name) {
                return Err(ExpressionError(format!("Duplicate field names found in STRUCT: `{name}`")));
            }
            types.push((name.clone(), field_type));
            compiled.push(value);
        }
        let part: Arc<str> = Arc::from("struct field");
        Ok(folded(
            compiled.clone(),
            TypedExpression::new(Some(SqlType::structure(types)), move |row, context| {
                compiled
                    .iter()
                    .map(|value| value.nested(&part, row, context))
                    .collect::<Result<_, _>>()
                    .map(Value::structure)
            }),
        ))
    }
}

/// Why something that is no array and no map has no elements.
fn no_subscript(whole: &Expression, base: &Expression, index: &Expression, found: Option<&SqlType>) -> ExpressionError {
    let hint = match found {
        Some(SqlType::Struct(_)) => format!(" Use the dereference operator for STRUCTS: {base}->{index}"),
        _ => String::new(),
    };
    ExpressionError(format!("Subscript expression ({whole}) do not apply to {}.{hint}", type_text(found)))
}

/// The expression, computed once if all its parts are constants.
fn folded(parts: Vec<TypedExpression>, whole: TypedExpression) -> TypedExpression {
    if !parts.iter().all(|part| part.constant_value().is_some()) {
        return whole;
    }
    match whole.try_evaluate(&[], &mut EvalContext::new()) {
        Ok(value) => TypedExpression::constant(whole.sql_type, value),
        Err(EvalError(_)) => whole,
    }
}

/// The type of a CASE after one more branch; `None` where the types differ, as numbers do not widen here.
fn merge_branch(result: Option<SqlType>, branch: Option<&SqlType>) -> Option<Option<SqlType>> {
    match (result, branch) {
        (result, None) => Some(result),
        (None, Some(branch)) => Some(Some(branch.clone())),
        (Some(result), Some(branch)) if result == *branch => Some(Some(result)),
        _ => None,
    }
}

/// The type of a literal; `None` for `NULL`.
pub(super) fn literal_type(literal: &Literal) -> Option<SqlType> {
    Some(match literal {
        Literal::Null => return None,
        Literal::Boolean(_) => SqlType::Boolean,
        Literal::Integer(_) => SqlType::Integer,
        Literal::Bigint(_) => SqlType::Bigint,
        Literal::Double(_) => SqlType::Double,
        Literal::Decimal(number) => {
            let scale = u32::try_from(number.fractional_digit_count()).unwrap_or(0);
            // The zero before the point is a digit too.
            let digits = u32::try_from(digits_before_point(number)).unwrap_or(0).max(1);
            return SqlType::decimal(digits.saturating_add(scale), scale).ok();
        }
        Literal::String(_) => SqlType::String,
        Literal::Date(_) => SqlType::Date,
        Literal::Time(_) => SqlType::Time,
        Literal::Timestamp(_) => SqlType::Timestamp,
    })
}

pub(super) fn constant(literal: &Literal) -> TypedExpression {
    let value = match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(truth) => Value::Boolean(*truth),
        Literal::Integer(number) => Value::Int(*number),
        Literal::Bigint(number) => Value::Bigint(*number),
        Literal::Double(number) => Value::Double(*number),
        Literal::Decimal(number) => Value::decimal(number.clone()),
        Literal::String(text) => Value::String(text.clone()),
        Literal::Date(days) => Value::Date(*days),
        Literal::Time(ms) => Value::Time(*ms),
        Literal::Timestamp(ms) => Value::Timestamp(*ms),
    };
    TypedExpression::constant(literal_type(literal), value)
}
