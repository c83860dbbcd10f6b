//! Which overload a call means.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Category, FunctionDefinition, FunctionKind, Overload, Parameter, ParameterType};
use crate::expression::type_text;
use crate::types::SqlType;
use crate::value::sort_as_hashed;

/// What a call gives a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A value of a type; `None` for a null of no type.
    Value(Option<SqlType>),
    /// A unit of time.
    IntervalUnit,
    /// A lambda with that many parameters.
    Lambda(usize),
}

/// The overload that a call means, with what its type variables stand for.
#[derive(Debug)]
pub struct Resolved<'a, B = super::ScalarBody> {
    /// The overload.
    pub overload: &'a Overload<B>,
    arguments: Vec<Argument>,
    variables: BTreeMap<char, SqlType>,
}

impl FunctionDefinition {
    /// The overload that a call means.
    ///
    /// First those that take the arguments as they are; if there is none, those that take them with numbers widened and
    /// texts read as times and bytes, which aggregate functions do not do. Of several, the [rank](rank) decides; equal
    /// ones are ambiguous.
    pub fn resolve<'a, B>(
        &self,
        overloads: &'a [Overload<B>],
        arguments: &[Argument],
    ) -> Result<Resolved<'a, B>, String> {
        let conversions: &[bool] = if self.category == Category::Aggregate { &[false] } else { &[false, true] };
        for converts in conversions {
            let mut found: Vec<Resolved<'a, B>> =
                overloads.iter().filter_map(|overload| fit(overload, arguments, *converts)).collect();
            found.sort_by_key(|resolved| rank(resolved.overload));
            let Some(best) = found.pop() else { continue };
            if found.last().is_some_and(|next| rank(next.overload) == rank(best.overload)) {
                return Err(self.ambiguous(overloads, arguments));
            }
            return Ok(best);
        }
        Err(format!(
            "Function '{}' does not accept parameters ({}).\nValid alternatives are:\n{}",
            self.name,
            texts(arguments),
            self.alternatives(overloads)
        ))
    }

    fn ambiguous<B>(&self, overloads: &[Overload<B>], arguments: &[Argument]) -> String {
        format!(
            "Function '{}' cannot be resolved due to ambiguous method parameters ({}).\nUse CAST() to explicitly cast \
             your parameters to one of the supported function calls.\nValid function calls are:\n{}",
            self.name,
            texts(arguments),
            self.alternatives(overloads)
        )
    }

    fn alternatives<B>(&self, overloads: &[Overload<B>]) -> String {
        let name = match self.kind {
            FunctionKind::Scalar(_) => self.name.to_uppercase(),
            FunctionKind::Aggregate(_) | FunctionKind::Table(_) => self.name.to_owned(),
        };
        // Users know them in the order of a hash map.
        let mut overloads: Vec<_> = overloads.iter().collect();
        sort_as_hashed(&mut overloads, 16, |overload| overload.hash());
        let texts: Vec<_> = overloads.into_iter().map(|overload| overload.text(&name)).collect();
        format!("{}\nFor detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;", texts.join("\n"))
    }
}

/// Which of several overloads that take the same arguments wins: fixed numbers of arguments over any number, then more
/// parameters, fewer type variables, no `ANY...`, and the one whose parameter for any number of arguments stands later.
fn rank<B>(overload: &Overload<B>) -> impl Ord + use<B> {
    let takes_all = |position: usize| {
        overload.variadic == Some(position)
            && overload.parameters.get(position).is_some_and(|parameter| parameter.kind == ParameterType::Any)
    };
    let open = |(position, parameter): &(usize, &Parameter)| parameter.kind.has_variables() || takes_all(*position);
    (
        overload.variadic.is_none(),
        overload.parameters.len(),
        Reverse(overload.parameters.iter().enumerate().filter(open).count()),
        !(0..overload.parameters.len()).any(takes_all),
        overload.variadic,
    )
}

fn texts(arguments: &[Argument]) -> String {
    let texts: Vec<_> = arguments
        .iter()
        .map(|argument| match argument {
            Argument::Value(sql_type) => type_text(sql_type.as_ref()).replace('`', ""),
            Argument::IntervalUnit => "INTERVAL UNIT".to_owned(),
            Argument::Lambda(_) => "LAMBDA".to_owned(),
        })
        .collect();
    texts.join(", ")
}

/// The overload with what its variables stand for; `None` where it does not take the arguments.
fn fit<'a, B>(overload: &'a Overload<B>, arguments: &[Argument], converts: bool) -> Option<Resolved<'a, B>> {
    let count = arguments.len();
    let fits = match overload.variadic {
        Some(_) => count + 1 >= overload.parameters.len(),
        None => count == overload.parameters.len(),
    };
    if !fits {
        return None;
    }
    let mut resolved = Resolved { overload, arguments: arguments.to_vec(), variables: BTreeMap::new() };
    for (position, argument) in arguments.iter().enumerate() {
        let parameter = resolved.parameter(position);
        let taken = match (parameter, argument) {
            (_, Argument::Value(None)) | (ParameterType::IntervalUnit, Argument::IntervalUnit) => true,
            (ParameterType::Lambda(inputs, _), Argument::Lambda(count)) => inputs.len() == *count,
            (parameter, Argument::Value(Some(found))) if parameter.has_variables() => {
                bind(parameter, found, &mut resolved.variables).is_ok()
            }
            (parameter, Argument::Value(Some(found))) => takes(parameter, found, converts),
            (parameter, Argument::IntervalUnit | Argument::Lambda(_)) => *parameter == ParameterType::Any,
        };
        if !taken {
            return None;
        }
    }
    Some(resolved)
}

/// Whether a parameter without variables takes values of a type.
fn takes(parameter: &ParameterType, found: &SqlType, converts: bool) -> bool {
    match (parameter, found) {
        (ParameterType::Any, _) | (ParameterType::Struct, SqlType::Struct(_)) => true,
        (ParameterType::Exact(wanted), found) => {
            wanted == found || (converts && (found.can_implicitly_cast(wanted) || reads_as(found, wanted)))
        }
        (ParameterType::Decimal, SqlType::Decimal(_)) => true,
        (ParameterType::Decimal, SqlType::Integer | SqlType::Bigint) => converts,
        (ParameterType::Array(element), SqlType::Array(found)) => takes(element, found, converts),
        (ParameterType::Map(key, value), SqlType::Map(found_key, found_value)) => {
            takes(key, found_key, converts) && takes(value, found_value, converts)
        }
        _ => false,
    }
}

/// Whether a text stands for a value of the type.
fn reads_as(found: &SqlType, wanted: &SqlType) -> bool {
    *found == SqlType::String && (wanted.is_time() || *wanted == SqlType::Bytes)
}

/// Why a parameter with variables does not take a type.
#[derive(Debug, PartialEq, Eq)]
pub enum BindError {
    /// It is of another shape.
    Shape,
    /// A variable stands for the first type already, and would have to stand for the second.
    Other(char, SqlType, SqlType),
}

/// Lets the variables of `parameter` stand for what `found` says. They stand for one type each: nothing widens.
fn bind(parameter: &ParameterType, found: &SqlType, variables: &mut BTreeMap<char, SqlType>) -> Result<(), BindError> {
    match (parameter, found) {
        (ParameterType::Variable(name), found) => match variables.get(name) {
            Some(bound) if bound != found => Err(BindError::Other(*name, bound.clone(), found.clone())),
            Some(_) => Ok(()),
            None => {
                variables.insert(*name, found.clone());
                Ok(())
            }
        },
        (ParameterType::Array(element), SqlType::Array(found)) => bind(element, found, variables),
        (ParameterType::Map(key, value), SqlType::Map(found_key, found_value)) => {
            bind(key, found_key, variables)?;
            bind(value, found_value, variables)
        }
        (parameter, found) if takes(parameter, found, false) => Ok(()),
        _ => Err(BindError::Shape),
    }
}

impl<'a, B> Resolved<'a, B> {
    /// The parameter that takes the argument at a position.
    pub fn parameter(&self, position: usize) -> &'a ParameterType {
        let parameters = &self.overload.parameters;
        let index = match self.overload.variadic {
            Some(variadic) if position > variadic => {
                let behind = parameters.len() - 1 - variadic;
                let from_end = self.arguments.len() - 1 - position;
                if from_end < behind { parameters.len() - 1 - from_end } else { variadic }
            }
            Some(variadic) if position == variadic && self.arguments.len() < parameters.len() => position + 1,
            _ => position,
        };
        parameters.get(index).map_or(&ParameterType::Any, |parameter| &parameter.kind)
    }

    /// What an argument is to be converted to; `None` where it may stay as it is.
    pub fn argument_type(&self, position: usize) -> Option<SqlType> {
        match (self.parameter(position), self.arguments.get(position)) {
            (ParameterType::Decimal, Some(Argument::Value(Some(found)))) => found.as_decimal().map(SqlType::Decimal),
            (parameter, _) => self.concrete(parameter),
        }
    }

    /// The type that a parameter stands for, where it is known.
    pub fn concrete(&self, parameter: &ParameterType) -> Option<SqlType> {
        match parameter {
            ParameterType::Exact(exact) => Some(exact.clone()),
            ParameterType::Variable(name) => self.variables.get(name).cloned(),
            ParameterType::Array(element) => self.concrete(element).map(SqlType::array),
            ParameterType::Map(key, value) => Some(SqlType::map(self.concrete(key)?, self.concrete(value)?)),
            _ => None,
        }
    }

    /// Lets the variables of `parameter` stand for what `found` says.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn bind(&mut self, parameter: &ParameterType, found: &SqlType) -> Result<(), BindError> {
        bind(parameter, found, &mut self.variables)
    }

    /// The type of the result for these types of arguments.
    pub fn return_type(&self, arguments: &[Option<SqlType>]) -> Result<SqlType, String> {
        if let Some(rule) = self.overload.return_rule {
            return rule(arguments);
        }
        if self.overload.returns == ParameterType::Decimal {
            let first = arguments.iter().flatten().find_map(SqlType::as_decimal);
            return first.map(SqlType::Decimal).ok_or_else(|| "A DECIMAL argument must not be null".to_owned());
        }
        let returns = &self.overload.returns;
        self.concrete(returns).ok_or_else(|| {
            let variable = returns.variables().find(|name| !self.variables.contains_key(name));
            format!(
                "Could not find mapping for generic type: {}",
                variable.map_or_else(|| returns.to_string(), String::from)
            )
        })
    }
}
