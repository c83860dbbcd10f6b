//! Signatures of functions.

use std::fmt;

use super::Overload;
use crate::types::SqlType;

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, for users.
    pub name: String,
    /// What it takes.
    pub kind: ParameterType,
}

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterType {
    /// One type.
    Exact(SqlType),
    /// A DECIMAL of any precision and scale.
    Decimal,
    /// A STRUCT of any fields.
    Struct,
    /// What the type variable stands for.
    Variable(char),
    /// An array of these.
    Array(Box<ParameterType>),
    /// A map of these.
    Map(Box<ParameterType>, Box<ParameterType>),
    /// Everything.
    Any,
    /// A unit of time.
    IntervalUnit,
    /// A lambda: what it takes and what it gives.
    Lambda(Vec<ParameterType>, Box<ParameterType>),
}

impl ParameterType {
    /// Whether a type variable is part of it.
    pub fn has_variables(&self) -> bool {
        self.variables().next().is_some()
    }

    /// The type variables in it.
    pub(super) fn variables(&self) -> Box<dyn Iterator<Item = char> + '_> {
        match self {
            ParameterType::Variable(name) => Box::new(std::iter::once(*name)),
            ParameterType::Array(element) => element.variables(),
            ParameterType::Map(key, value) => Box::new(key.variables().chain(value.variables())),
            ParameterType::Lambda(inputs, output) => {
                Box::new(inputs.iter().flat_map(ParameterType::variables).chain(output.variables()))
            }
            _ => Box::new(std::iter::empty()),
        }
    }
}

impl ParameterType {
    /// The number that decides where an overload stands in messages that list them all.
    fn hash(&self) -> i32 {
        match self {
            ParameterType::Exact(SqlType::Boolean) => 1,
            ParameterType::Decimal => 2,
            ParameterType::Exact(SqlType::Double) => 3,
            ParameterType::Exact(SqlType::Integer) => 4,
            ParameterType::Exact(SqlType::Bigint) => 5,
            ParameterType::Exact(SqlType::String) => 6,
            ParameterType::Exact(SqlType::Timestamp) => 7,
            ParameterType::Exact(SqlType::Time) | ParameterType::IntervalUnit => 8,
            ParameterType::Exact(SqlType::Date) => 9,
            ParameterType::Exact(_) => 10,
            ParameterType::Any => 11,
            ParameterType::Struct => list_hash([0]),
            ParameterType::Variable(name) => list_hash([*name as i32]),
            ParameterType::Array(element) => list_hash([element.hash()]),
            ParameterType::Map(key, value) => list_hash([key.hash(), value.hash()]),
            ParameterType::Lambda(inputs, output) => {
                list_hash([list_hash(inputs.iter().map(ParameterType::hash)), output.hash()])
            }
        }
    }
}

/// The hash of a list in Java.
fn list_hash(hashes: impl IntoIterator<Item = i32>) -> i32 {
    hashes.into_iter().fold(1, |list, hash| list.wrapping_mul(31).wrapping_add(hash))
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParameterType::Exact(SqlType::Integer) => f.write_str("INT"),
            ParameterType::Exact(SqlType::String) => f.write_str("VARCHAR"),
            ParameterType::Exact(exact) => write!(f, "{exact}"),
            ParameterType::Decimal => f.write_str("DECIMAL"),
            ParameterType::Struct => f.write_str("STRUCT<>"),
            ParameterType::Variable(name) => write!(f, "{name}"),
            ParameterType::Array(element) => write!(f, "ARRAY<{element}>"),
            ParameterType::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            ParameterType::Any => f.write_str("ANY"),
            ParameterType::IntervalUnit => f.write_str("INTERVAL UNIT"),
            ParameterType::Lambda(inputs, output) => {
                let inputs: Vec<_> = inputs.iter().map(ToString::to_string).collect();
                write!(f, "LAMBDA ({}) => {output}", inputs.join(", "))
            }
        }
    }
}

impl<B> Overload<B> {
    /// An overload of a signature as written in this crate: `(a STRING, rest INT...) ARRAY<T>`.
    pub(super) fn new(signature: &str, strict: bool, body: B) -> Overload<B> {
        let mut reader = Reader { rest: signature };
        let (parameters, variadic) = reader.parameters();
        let returns = reader.parameter_type();
        Overload { parameters, variadic, returns, return_rule: None, strict, body }
    }

    /// The number that decides where the overload stands in messages that list them all.
    pub(super) fn hash(&self) -> i32 {
        list_hash(self.parameters.iter().enumerate().map(|(position, parameter)| match self.variadic {
            Some(variadic) if variadic == position => list_hash([parameter.kind.hash()]),
            _ => parameter.kind.hash(),
        }))
    }

    /// `NAME(VARCHAR value, INT pos)`.
    pub fn text(&self, name: &str) -> String {
        let parameters: Vec<_> = self
            .parameters
            .iter()
            .enumerate()
            .map(|(index, parameter)| {
                let dots = if self.variadic == Some(index) { "..." } else { "" };
                format!("{}{dots} {}", parameter.kind, parameter.name)
            })
            .collect();
        format!("{name}({})", parameters.join(", "))
    }
}

/// Reads signatures. They are constants of this crate and all of them are read when the first function is looked up, so
/// a test that looks one up finds every mistake; a wrong one reads as `ANY`.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn accept(&mut self, text: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &'a str {
        self.blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn parameters(&mut self) -> (Vec<Parameter>, Option<usize>) {
        let (mut parameters, mut variadic) = (Vec::new(), None);
        self.accept("(");
        while !self.accept(")") && !self.rest.is_empty() {
            let name = self.word().to_owned();
            let kind = self.parameter_type();
            if self.accept("...") {
                variadic = Some(parameters.len());
            }
            parameters.push(Parameter { name, kind });
            self.accept(",");
        }
        (parameters, variadic)
    }

    fn parameter_type(&mut self) -> ParameterType {
        if self.accept("(") {
            let mut inputs = Vec::new();
            while !self.accept(")") && !self.rest.is_empty() {
                inputs.push(self.parameter_type());
                self.accept(",");
            }
            self.accept("=>");
            return ParameterType::Lambda(inputs, Box::new(self.parameter_type()));
        }
        let word = self.word();
        match word {
            "ARRAY" => {
                self.accept("<");
                let element = self.parameter_type();
                self.accept(">");
                ParameterType::Array(Box::new(element))
            }
            "MAP" => {
                self.accept("<");
                let key = self.parameter_type();
                self.accept(",");
                let value = self.parameter_type();
                self.accept(">");
                ParameterType::Map(Box::new(key), Box::new(value))
            }
            "DECIMAL" => ParameterType::Decimal,
            "STRUCT" => ParameterType::Struct,
            "INTERVALUNIT" => ParameterType::IntervalUnit,
            _ => match (SqlType::primitive(word), word.len(), word.chars().next()) {
                (Some(primitive), ..) => ParameterType::Exact(primitive),
                (None, 1, Some(variable)) => ParameterType::Variable(variable),
                _ => ParameterType::Any,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_read_and_print() {
        let overload = Overload::new("(m MAP<K, V>, f (K, V) => T, more INT...) ARRAY<T>", true, ());
        assert_eq!(overload.text("F"), "F(MAP<K, V> m, LAMBDA (K, V) => T f, INT... more)");
        assert_eq!(overload.variadic, Some(2));
        assert_eq!(overload.returns.to_string(), "ARRAY<T>");
    }
}
