//! Walking and rewriting expressions.

use super::{Expression, FunctionCall};

impl Expression {
    /// The parts that the expression is made of, from the left.
    pub fn children(&self) -> Vec<&Expression> {
        match self {
            Expression::Literal(_) | Expression::Column(_) | Expression::IntervalUnit(_) => Vec::new(),
            Expression::Not(value)
            | Expression::IsNull(value)
            | Expression::IsNotNull(value)
            | Expression::Sign { value, .. }
            | Expression::Cast { value, .. }
            | Expression::Dereference { base: value, .. }
            | Expression::Lambda { body: value, .. } => vec![value],
            Expression::Arithmetic { left, right, .. }
            | Expression::Comparison { left, right, .. }
            | Expression::Logical { left, right, .. }
            | Expression::Subscript { base: left, index: right }
            | Expression::Like { value: left, pattern: right, .. } => vec![left, right],
            Expression::Between { value, min, max } => vec![value, min, max],
            Expression::In { value, list } => std::iter::once(&**value).chain(list).collect(),
            Expression::SearchedCase { branches, default } => {
                branches.iter().flat_map(|(when, then)| [when, then]).chain(default.as_deref()).collect()
            }
            Expression::SimpleCase { operand, branches, default } => std::iter::once(&**operand)
                .chain(branches.iter().flat_map(|(when, then)| [when, then]))
                .chain(default.as_deref())
                .collect(),
            Expression::Function(call) => call.arguments.iter().collect(),
            Expression::Array(elements) => elements.iter().collect(),
            Expression::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Expression::Struct(fields) => fields.iter().map(|(_, value)| value).collect(),
        }
    }

    /// Visits the expression and everything in it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The expression with each part replaced by what `replace` gives; where it gives `None`, the parts within are asked.
    pub fn rewrite(&self, replace: &mut dyn FnMut(&Expression) -> Option<Expression>) -> Expression {
        match replace(self) {
            Some(replaced) => replaced,
            None => self.rewrite_children(replace),
        }
    }

    fn rewrite_children(&self, replace: &mut dyn FnMut(&Expression) -> Option<Expression>) -> Expression {
        let mut one = |value: &Expression| Box::new(value.rewrite(&mut *replace));
        match self {
            Expression::Literal(_) | Expression::Column(_) | Expression::IntervalUnit(_) => self.clone(),
            Expression::Not(value) => Expression::Not(one(value)),
            Expression::IsNull(value) => Expression::IsNull(one(value)),
            Expression::IsNotNull(value) => Expression::IsNotNull(one(value)),
            Expression::Sign { negative, value } => Expression::Sign { negative: *negative, value: one(value) },
            Expression::Cast { value, target } => Expression::Cast { value: one(value), target: target.clone() },
            Expression::Dereference { base, field } => {
                Expression::Dereference { base: one(base), field: field.clone() }
            }
            Expression::Lambda { parameters, body } => {
                Expression::Lambda { parameters: parameters.clone(), body: one(body) }
            }
            Expression::Arithmetic { operator, left, right } => {
                Expression::Arithmetic { operator: *operator, left: one(left), right: one(right) }
            }
            Expression::Comparison { operator, left, right } => {
                Expression::Comparison { operator: *operator, left: one(left), right: one(right) }
            }
            Expression::Logical { operator, left, right } => {
                Expression::Logical { operator: *operator, left: one(left), right: one(right) }
            }
            Expression::Subscript { base, index } => Expression::Subscript { base: one(base), index: one(index) },
            Expression::Like { value, pattern, escape } => {
                Expression::Like { value: one(value), pattern: one(pattern), escape: *escape }
            }
            Expression::Between { value, min, max } => {
                Expression::Between { value: one(value), min: one(min), max: one(max) }
            }
            Expression::In { value, list } => {
                Expression::In { value: one(value), list: list.iter().map(|item| *one(item)).collect() }
            }
            Expression::SearchedCase { branches, default } => Expression::SearchedCase {
                branches: branches.iter().map(|(when, then)| (*one(when), *one(then))).collect(),
                default: default.as_deref().map(one),
            },
            Expression::SimpleCase { operand, branches, default } => Expression::SimpleCase {
                operand: one(operand),
                branches: branches.iter().map(|(when, then)| (*one(when), *one(then))).collect(),
                default: default.as_deref().map(one),
            },
            Expression::Function(call) => Expression::Function(FunctionCall {
                name: call.name.clone(),
                arguments: call.arguments.iter().map(|argument| *one(argument)).collect(),
                location: call.location,
            }),
            Expression::Array(elements) => Expression::Array(elements.iter().map(|element| *one(element)).collect()),
            Expression::Map(entries) => {
                Expression::Map(entries.iter().map(|(key, value)| (*one(key), *one(value))).collect())
            }
            Expression::Struct(fields) => {
                Expression::Struct(fields.iter().map(|(name, value)| (name.clone(), *one(value))).collect())
            }
        }
    }
}
