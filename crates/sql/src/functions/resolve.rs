//! Which overload a call means.

use std::collections::BTreeMap;

use super::{Category, FunctionDefinition, Overload, ParameterType};
use crate::expression::{type_text, unify_types};
use crate::types::SqlType;

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

/// Cost of an argument that is of the parameter's type.
const EXACT: u32 = 0;
/// Cost of a type variable.
const VARIABLE: u32 = 2;
/// Cost of a parameter that takes everything.
const ANY: u32 = 5;
/// Cost of an INT as BIGINT.
const WIDENED: u32 = 10;
/// Cost of a whole number as DECIMAL or DOUBLE.
const CONVERTED: u32 = 20;

impl FunctionDefinition {
    /// The overload that fits best: exact types before wider ones, fixed numbers of arguments before any number.
    ///
    /// Arguments of aggregate functions are taken as they are: nothing widens there.
    pub fn resolve<'a, B>(
        &self,
        overloads: &'a [Overload<B>],
        arguments: &[Argument],
    ) -> Result<Resolved<'a, B>, String> {
        let widens = self.category != Category::Aggregate;
        let mut best: Vec<(u32, Resolved<'a, B>)> = Vec::new();
        for overload in overloads {
            let Some((cost, resolved)) = fit(overload, arguments, widens) else { continue };
            match best.first().map(|(known, _)| cost.cmp(known)) {
                None | Some(std::cmp::Ordering::Equal) => best.push((cost, resolved)),
                Some(std::cmp::Ordering::Less) => best = vec![(cost, resolved)],
                Some(std::cmp::Ordering::Greater) => {}
            }
        }
        let vague = arguments.contains(&Argument::Value(None))
            || best.iter().any(|(cost, found)| *cost >= CONVERTED && found.overload.variadic.is_some());
        if best.len() > 1 && vague {
            return Err(format!(
                "Function '{}' cannot be resolved due to ambiguous method parameters ({}).\nUse CAST() to explicitly \
                 cast your parameters to one of the supported signatures.\n{}",
                self.name,
                texts(arguments),
                self.alternatives(overloads)
            ));
        }
        match best.into_iter().next() {
            Some((_, resolved)) => Ok(resolved),
            None => Err(format!(
                "Function '{}' does not accept parameters ({}).\n{}",
                self.name,
                texts(arguments),
                self.alternatives(overloads)
            )),
        }
    }

    fn alternatives<B>(&self, overloads: &[Overload<B>]) -> String {
        let texts: Vec<_> = overloads.iter().map(|overload| overload.text(self.name)).collect();
        format!(
            "Valid alternatives are:\n{}\nFor detailed information on a function run: DESCRIBE FUNCTION \
             <Function-Name>;",
            texts.join("\n")
        )
    }
}

fn texts(arguments: &[Argument]) -> String {
    let texts: Vec<_> = arguments
        .iter()
        .map(|argument| match argument {
            Argument::Value(sql_type) => type_text(sql_type.as_ref()),
            Argument::IntervalUnit => "INTERVALUNIT".to_owned(),
            Argument::Lambda(_) => "LAMBDA".to_owned(),
        })
        .collect();
    texts.join(", ")
}

fn fit<'a, B>(overload: &'a Overload<B>, arguments: &[Argument], widens: bool) -> Option<(u32, Resolved<'a, B>)> {
    let count = arguments.len();
    let fits = match overload.variadic {
        Some(_) => count + 1 >= overload.parameters.len(),
        None => count == overload.parameters.len(),
    };
    if !fits {
        return None;
    }
    let mut resolved = Resolved { overload, arguments: arguments.to_vec(), variables: BTreeMap::new() };
    let mut cost = u32::from(overload.variadic.is_some());
    for (position, argument) in arguments.iter().enumerate() {
        let own = match (resolved.parameter(position), argument) {
            (ParameterType::IntervalUnit, Argument::IntervalUnit) => EXACT,
            (ParameterType::Lambda(inputs, _), Argument::Lambda(count)) if inputs.len() == *count => EXACT,
            (ParameterType::IntervalUnit | ParameterType::Lambda(..), _) => return None,
            (_, Argument::Value(None)) => EXACT,
            (parameter, Argument::Value(Some(found))) => {
                let parameter = parameter.clone();
                let own = match_type(&parameter, found, &mut resolved.variables)?;
                if !widens && own >= WIDENED {
                    return None;
                }
                own
            }
            (_, Argument::IntervalUnit | Argument::Lambda(_)) => return None,
        };
        // Any number of arguments of one kind cost as much as the worst of them: no type wins by majority.
        cost = if overload.variadic.is_some() { cost.max(own + 1) } else { cost + own };
    }
    Some((cost, resolved))
}

/// Cost of an argument of type `found`; `None` where the parameter does not take it.
fn match_type(parameter: &ParameterType, found: &SqlType, variables: &mut BTreeMap<char, SqlType>) -> Option<u32> {
    match (parameter, found) {
        (ParameterType::Exact(wanted), found) if wanted == found => Some(EXACT),
        (ParameterType::Exact(SqlType::Bigint), SqlType::Integer) => Some(WIDENED),
        (ParameterType::Exact(wanted), found) => found.can_implicitly_cast(wanted).then_some(CONVERTED),
        (ParameterType::Decimal, SqlType::Decimal(_)) => Some(EXACT),
        (ParameterType::Decimal, SqlType::Integer | SqlType::Bigint) => Some(CONVERTED),
        (ParameterType::Struct, SqlType::Struct(_)) => Some(EXACT),
        (ParameterType::Variable(name), found) => match variables.get(name) {
            Some(bound) if bound == found => Some(VARIABLE),
            Some(bound) => {
                let unified = unify_types(bound, found)?;
                variables.insert(*name, unified);
                Some(VARIABLE + WIDENED)
            }
            None => {
                variables.insert(*name, found.clone());
                Some(VARIABLE)
            }
        },
        (ParameterType::Array(element), SqlType::Array(found)) => match_type(element, found, variables),
        (ParameterType::Map(key, value), SqlType::Map(found_key, found_value)) => {
            Some(match_type(key, found_key, variables)? + match_type(value, found_value, variables)?)
        }
        (ParameterType::Any, _) => Some(ANY),
        _ => None,
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

    /// Lets the variables of `parameter` stand for what `found` says; whether they can.
    pub fn bind(&mut self, parameter: &ParameterType, found: &SqlType) -> bool {
        match_type(parameter, found, &mut self.variables).is_some()
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
        self.concrete(&self.overload.returns)
            .ok_or_else(|| "Cannot find the type of the result: cast a NULL to the type that is meant".to_owned())
    }
}
