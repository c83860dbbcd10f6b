//! What an aggregation takes from its input. Queries that differ in it cannot replace each other: what has been remembered
//! was remembered for that.

use crate::ast::{Expression, FunctionCall, Name};
use crate::catalog::define::WINDOW_BOUNDS;
use crate::planner::compile::is_aggregate;
use crate::planner::scope::{Scope, free_columns};

/// What arguments are called that are no columns.
const ARGUMENT: &str = "KSQL_INTERNAL_COL_";

/// The columns that a query names, and its aggregates over them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AggregateInput {
    /// The columns in the order of `SELECT`, `WHERE`, `GROUP BY` and `HAVING`.
    pub columns: Vec<Name>,
    /// The aggregates, where an argument that is no column has a number only.
    pub calls: Vec<String>,
}

impl AggregateInput {
    /// Of the qualified expressions of a query in the order of its clauses, and its flat aggregates.
    pub fn new<'a>(
        clauses: impl IntoIterator<Item = &'a Expression>,
        calls: &[FunctionCall],
        scope: &Scope,
    ) -> AggregateInput {
        let time = scope.sources.first().map(|source| scope.flat_name(&source.alias, "ROWTIME"));
        let mut columns: Vec<Name> = Vec::new();
        for expression in clauses {
            for column in free_columns(&counted(&scope.flatten(expression), time.as_ref())) {
                if !columns.contains(&column.name) && !WINDOW_BOUNDS.contains(&&*column.name) {
                    columns.push(column.name);
                }
            }
        }
        let mut names: Vec<(String, String)> =
            columns.iter().map(|name| (name.to_string(), name.to_string())).collect();
        let mut named = |argument: &Expression| {
            let text = argument.to_string();
            if let Some((_, name)) = names.iter().find(|(known, _)| *known == text) {
                return name.clone();
            }
            let name = format!("{ARGUMENT}{}", names.len());
            names.push((text, name.clone()));
            name
        };
        let mut shown = Vec::new();
        for call in calls {
            let call = match counted(&Expression::Function(call.clone()), time.as_ref()) {
                Expression::Function(call) => call,
                _ => continue,
            };
            let arguments = call.arguments.iter().enumerate().map(|(position, argument)| {
                let name = named(argument);
                // How the function works is part of it.
                if position > 0 && argument.as_literal().is_some() { argument.to_string() } else { name }
            });
            shown.push(format!("{}({})", call.name, arguments.collect::<Vec<_>>().join(", ")));
        }
        AggregateInput { columns, calls: shown }
    }
}

/// The expression with aggregates of rows as such over the times of the rows.
fn counted(expression: &Expression, time: Option<&Name>) -> Expression {
    expression.rewrite(&mut |part| match part {
        Expression::Function(call) if is_aggregate(&call.name) && call.arguments.is_empty() => {
            let arguments = time.map(|time| Expression::column(time.clone())).into_iter().collect();
            Some(Expression::Function(FunctionCall { arguments, ..call.clone() }))
        }
        _ => None,
    })
}
