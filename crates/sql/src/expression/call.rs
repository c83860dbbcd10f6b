//! Calls of scalar functions.

use super::arithmetic::widen;
use super::compile::Compiler;
use super::{EvalContext, EvalError, ExpressionError, TypedExpression, type_text};
use crate::ast::{Expression, FunctionCall, Name};
use crate::functions::{Argument, BindError, Call, CallInfo, FunctionKind, ParameterType, Resolved, registry};
use crate::types::SqlType;
use crate::value::Value;

/// A lambda that is an argument of a call.
#[derive(Clone, Debug)]
pub struct CompiledLambda {
    body: TypedExpression,
    first_slot: usize,
}

impl CompiledLambda {
    /// The body's value for these arguments; columns of the row are visible in it.
    pub fn call(&self, row: &[Value], arguments: &[Value], context: &mut EvalContext) -> Result<Value, EvalError> {
        context.set_locals(self.first_slot, arguments);
        self.body.try_evaluate(row, context)
    }
}

impl Compiler<'_> {
    pub(super) fn call(&self, call: &FunctionCall) -> Result<TypedExpression, ExpressionError> {
        // Those that make one of many rows, or many rows of one, are none here.
        let unknown = || ExpressionError(format!("Can't find any functions with the name '{}'", call.name));
        let function = registry().find(&call.name).ok_or_else(unknown)?;
        let FunctionKind::Scalar(scalar) = &function.kind else { return Err(unknown()) };
        let mut compiled = Vec::with_capacity(call.arguments.len());
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            match argument {
                Expression::Lambda { parameters, .. } => {
                    arguments.push(Argument::Lambda(parameters.len()));
                    compiled.push(None);
                }
                Expression::IntervalUnit(unit) => {
                    arguments.push(Argument::IntervalUnit);
                    compiled.push(Some(TypedExpression::constant(Some(SqlType::String), Value::from(unit.name()))));
                }
                other => {
                    let value = self.compile(other)?;
                    arguments.push(Argument::Value(value.sql_type.clone()));
                    compiled.push(Some(value));
                }
            }
        }
        let mut resolved = function.resolve(&scalar.overloads, &arguments).map_err(ExpressionError)?;
        let lambdas = self.lambdas(call, &mut resolved)?;
        let mut values = Vec::with_capacity(compiled.len());
        for (position, (value, written)) in compiled.into_iter().zip(&call.arguments).enumerate() {
            if let Some(value) = value {
                let value = match resolved.argument_type(position) {
                    Some(target) if value.sql_type.is_some() => widen(value, &target)?,
                    _ => value,
                };
                values.push(match alone(written) {
                    Some(part) => value.or_null(part),
                    None => value,
                });
            }
        }
        let argument_types: Vec<_> = values.iter().map(|value| value.sql_type.clone()).collect();
        let return_type = resolved.return_type(&argument_types).map_err(ExpressionError)?;
        let info = CallInfo { argument_types, return_type: return_type.clone(), settings: self.scope.settings.clone() };
        Ok(evaluator(resolved, values, lambdas, info))
    }

    /// The lambdas of a call, in order; what they give binds the type variables of the function.
    fn lambdas(
        &self,
        call: &FunctionCall,
        resolved: &mut Resolved<'_>,
    ) -> Result<Vec<CompiledLambda>, ExpressionError> {
        let mut lambdas = Vec::new();
        for (position, argument) in call.arguments.iter().enumerate() {
            let Expression::Lambda { parameters, body } = argument else { continue };
            let ParameterType::Lambda(inputs, output) = resolved.parameter(position) else { continue };
            let mut locals: Vec<(Name, Option<SqlType>)> = Vec::new();
            for (name, input) in parameters.iter().zip(inputs) {
                locals.push((name.clone(), resolved.concrete(input)));
            }
            let inner = self.with_locals(locals);
            let body = inner.compile(body)?;
            if let Some(found) = &body.sql_type {
                let taken = inputs.iter().map(|input| type_text(resolved.concrete(input).as_ref())).collect::<Vec<_>>();
                resolved.bind(output, found).map_err(|error| {
                    let given = format!("LAMBDA ({}) => {found}", taken.join(", "));
                    unbound(resolved.parameter(position), &given, &error)
                })?;
            }
            lambdas.push(CompiledLambda { body, first_slot: self.locals.len() });
        }
        Ok(lambdas)
    }
}

/// The name of an argument that is null by itself where it fails; others make the whole call fail.
fn alone(argument: &Expression) -> Option<&str> {
    match argument {
        Expression::Function(call) => Some(&call.name),
        Expression::Dereference { field, .. } => Some(field),
        _ => None,
    }
}

/// Why a function does not take a lambda.
fn unbound(parameter: &ParameterType, given: &str, error: &BindError) -> ExpressionError {
    ExpressionError(match error {
        BindError::Shape => format!(
            "Cannot infer generics for {parameter} from {given} because they do not have the same schema structure."
        ),
        BindError::Other(variable, known, found) => format!(
            "Found invalid instance of generic schema when mapping {parameter} to {given}. Cannot map {variable} to both \
             {known} and {found}"
        ),
    })
}

fn evaluator(
    resolved: Resolved<'_>,
    values: Vec<TypedExpression>,
    lambdas: Vec<CompiledLambda>,
    info: CallInfo,
) -> TypedExpression {
    let body = resolved.overload.body;
    let strict = resolved.overload.strict;
    TypedExpression::new(Some(info.return_type.clone()), move |row, context| {
        // Most calls have few arguments; those live on the stack.
        let mut few: [Value; 4] = Default::default();
        let many: Vec<Value>;
        let arguments: &[Value] = if values.len() <= few.len() {
            for (slot, value) in few.iter_mut().zip(&values) {
                *slot = value.try_evaluate(row, context)?;
            }
            &few[..values.len()]
        } else {
            many = values.iter().map(|value| value.try_evaluate(row, context)).collect::<Result<_, _>>()?;
            &many
        };
        if strict && arguments.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        body(&mut Call { arguments, info: &info, lambdas: &lambdas, row, context })
    })
}
