//! From a query to the steps that answer it.
//!
//! [`scope`] finds the sources and what names mean, [`joins`] puts sources together, [`grouping`] plans `GROUP BY`,
//! [`projection`] decides which columns become key and value, [`sink`] what is written how. The result is a tree of
//! [`step`]s, of which [`build`] makes operators.

use crate::ast::{Emit, Expression, GroupBy, Literal, Location, Query, SelectItem, SourceKind};
use crate::catalog::{Catalog, Settings, StatementError};
use crate::expression::{Purpose, rewrite_time_comparisons};
use crate::operators::evaluator::Evaluator;

pub mod aggregate_input;
pub mod build;
pub mod compile;
mod condition;
pub mod grouping;
pub mod joins;
pub mod lookup;
pub mod projection;
pub mod pull;
pub mod scope;
pub mod select;
pub mod sink;
pub mod step;
pub mod topology;
pub mod upgrade;
pub mod view;

#[cfg(test)]
mod tests;

use compile::{compile, compile_condition, compile_for, is_aggregate, is_table_function, table_function};
use joins::KeyOrigin;
use scope::{Scope, ScopeSource};
use select::{Item, NameGenerator};
use step::{KeyColumn, Step, StepColumn, StepKind, StepSchema};

/// The answer to a query, before it is written anywhere.
pub struct PlannedQuery {
    /// What rows are computed of: the last step gives the value columns.
    pub step: Step,
    /// The columns of the result, of the key first.
    pub schema: crate::catalog::schema::Schema,
    /// The sources with their names in the query, from the left.
    pub scope: Scope,
    /// The columns as selected, of which rows consist that are not written anywhere.
    pub selected: Vec<crate::catalog::schema::Column>,
    /// What is wrong with the key: told last, after what is wrong with properties.
    key_error: Option<StatementError>,
}

impl PlannedQuery {
    /// Checks that the whole key is selected.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_key(&self) -> Result<(), StatementError> {
        self.key_error.clone().map_or(Ok(()), Err)
    }
}

/// Plans a query.
///
/// `sink` is what messages call the result; without it the key need not be selected.
///
/// # Errors
/// Everything that the query cannot mean.
pub fn plan(
    query: &Query,
    sink: Option<&str>,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<PlannedQuery, StatementError> {
    let scope = Scope::new(&query.from, catalog)?;
    let mut names = NameGenerator::new(&scope);
    let (mut step, mut origin) = joins::from_step(&query.from, &scope, settings)?;
    check_bounds(query, &scope)?;
    let row = step.schema.row.clone();
    let type_of = |expression: &Expression| compile(expression, &row, settings).map(|compiled| compiled.value_type);
    let items = select::items(query, &scope, &mut names, sink.is_some(), &type_of)?;
    let is_whole = query.group_by.is_none() && selects_aggregate(query);
    let query = &if is_whole { of_one_group(query) } else { query.clone() };
    check_table_functions(query, &items)?;
    check_clauses(query)?;
    if sink.is_some() && scope.sources.iter().any(is_windowed_table) {
        return Err(StatementError::new("KSQL does not support persistent queries on windowed tables."));
    }
    if query.emit == Some(Emit::Final) && !settings.is_true("ksql.suppress.enabled", true) {
        return Err(StatementError::new(
            "Suppression is currently disabled. You can enable it by setting ksql.suppress.enabled to true",
        ));
    }
    if let Some(filter) = &query.filter {
        step = filtered(step, &scope.qualify(filter, "WHERE")?, &scope, settings)?;
    }
    if query.partition_by.is_some() {
        (step, origin) = partitioned(step, query, &scope, settings)?;
    }
    if let (Some(having), None) = (&query.having, &query.group_by) {
        // It means nothing without groups, but its columns have to exist.
        scope.qualify(having, "HAVING")?;
    }
    let mut calls = Vec::new();
    let (step, columns) = if query.group_by.is_some() {
        let grouped = grouping::grouped(step, query, &items, &scope, &mut names, settings)?;
        if is_whole && sink.is_some() {
            let calls: Vec<_> = grouped.calls.iter().map(|call| grouping::shown(call, &scope)).collect();
            return Err(StatementError(format!(
                "CREATE TABLE AS SELECT statement does not support aggregate function [{}] without a GROUP BY clause.",
                calls.join(", ")
            )));
        }
        origin = KeyOrigin::Group(grouped.texts);
        calls = grouped.calls;
        (grouped.step, grouped.columns)
    } else {
        let columns = projection::expand(&items, &step, &scope, query.partition_by.is_some(), sink.is_some());
        table_functions(step, columns, settings)?
    };
    let projected = projection::project(step, columns, &origin, sink, &scope, settings);
    let projected = projected.map_err(|error| grouping::with_calls(error, &calls))?;
    let projection::Projected { step, schema, selected, key_error } = projected;
    Ok(PlannedQuery { step, schema, scope, selected, key_error })
}

/// A query in its normal form: every column with its source, every item with its name.
///
/// # Errors
/// Names that cannot be resolved.
pub fn normal_form(query: &Query, catalog: &Catalog) -> Result<Query, StatementError> {
    let scope = Scope::new(&query.from, catalog)?;
    let mut names = NameGenerator::new(&scope);
    let mut normal = query.clone();
    for item in &mut normal.select {
        if let SelectItem::Expression { expression, alias, .. } = item {
            *expression = scope.qualify(expression, "SELECT")?;
            if alias.is_none() {
                *alias = Some(select::item_name(expression, &scope, &mut names));
            }
        }
    }
    let qualified = |expressions: &mut Vec<Expression>, clause: &str| -> Result<(), StatementError> {
        for expression in expressions {
            *expression = scope.qualify(expression, clause)?;
        }
        Ok(())
    };
    if let Some(group_by) = &mut normal.group_by {
        qualified(&mut group_by.expressions, "GROUP BY")?;
    }
    if let Some(partition_by) = &mut normal.partition_by {
        qualified(&mut partition_by.expressions, "PARTITION BY")?;
    }
    for (condition, clause) in [(&mut normal.filter, "WHERE"), (&mut normal.having, "HAVING")] {
        if let Some(condition) = condition {
            *condition = scope.qualify(condition, clause)?;
        }
    }
    normal.emit = normal.emit.or(Some(Emit::Changes));
    Ok(normal)
}

/// The bounds of windows that a query makes itself are there for `SELECT` only; where it makes none they are columns like
/// any that no source has.
fn check_bounds(query: &Query, scope: &Scope) -> Result<(), StatementError> {
    if scope.is_join() {
        return Ok(());
    }
    let selected: Vec<&Expression> = query
        .select
        .iter()
        .filter_map(|item| match item {
            SelectItem::Expression { expression, .. } => Some(expression),
            _ => None,
        })
        .collect();
    let grouped = query.group_by.iter().flat_map(|group_by| &group_by.expressions);
    let partitioned = query.partition_by.iter().flat_map(|partition_by| &partition_by.expressions);
    for (clause, expressions) in [
        ("SELECT", selected),
        ("WHERE", query.filter.iter().collect()),
        ("GROUP BY", grouped.collect()),
        ("PARTITION BY", partitioned.collect()),
        ("HAVING", query.having.iter().collect()),
    ] {
        for expression in expressions {
            let Some(column) = grouping::bound(expression) else { continue };
            match query.window {
                Some(_) if clause == "SELECT" => {}
                Some(_) => return Err(StatementError(grouping::bounds_message(&column.name))),
                None if scope.sources.iter().any(|source| source.has(&column.name)) => {}
                None => return Err(scope::unresolved(&column, clause)),
            }
        }
    }
    Ok(())
}

/// Clauses that need each other, or exclude each other.
fn check_clauses(query: &Query) -> Result<(), StatementError> {
    if let (Some(window), None) = (&query.window, &query.group_by) {
        let place = window.location.prefix();
        return Err(StatementError(format!("{place}WINDOW clause requires a GROUP BY clause.")));
    }
    if query.emit == Some(Emit::Final) && query.window.is_none() {
        return Err(StatementError::new("EMIT FINAL is only supported for windowed aggregations."));
    }
    Ok(())
}

fn is_windowed_table(source: &ScopeSource) -> bool {
    source.source.kind == SourceKind::Table && source.source.window.is_some()
}

/// Whether something that is selected is made of several rows.
fn selects_aggregate(query: &Query) -> bool {
    let mut found = false;
    for item in &query.select {
        if let SelectItem::Expression { expression, .. } = item {
            expression.walk(&mut |part| {
                found |= matches!(part, Expression::Function(call) if is_aggregate(&call.name));
            });
        }
    }
    found
}

/// The query with all rows in one group.
fn of_one_group(query: &Query) -> Query {
    let expressions = vec![Expression::Literal(Literal::Integer(1))];
    Query { group_by: Some(GroupBy { expressions, location: Location::default() }), ..query.clone() }
}

/// Table functions are not made of table functions, not of one case only, and nothing is grouped beside them.
fn check_table_functions(query: &Query, items: &[Item]) -> Result<(), StatementError> {
    for item in items {
        if let Item::Column(column) = item {
            check_table_function(&column.expression, query, None, None)?;
        }
    }
    Ok(())
}

fn check_table_function(
    expression: &Expression,
    query: &Query,
    around: Option<&str>,
    case: Option<&Expression>,
) -> Result<(), StatementError> {
    let (mut inner, mut case) = (around, case);
    match expression {
        Expression::Function(call) if is_table_function(&call.name) => {
            if let Some(around) = around {
                let name = &call.name;
                return Err(StatementError(format!("Table functions cannot be nested: `{around}`(`{name}`())")));
            }
            if query.group_by.is_some() {
                return Err(StatementError::new("Table functions cannot be used with aggregations."));
            }
            if let Some(case) = case {
                return Err(StatementError(format!("Table functions cannot be used in CASE: {case}")));
            }
            inner = Some(&call.name);
        }
        Expression::SearchedCase { .. } => case = Some(expression),
        _ => {}
    }
    expression.children().into_iter().try_for_each(|child| check_table_function(child, query, inner, case))
}

/// The rows that fulfil a qualified predicate.
fn filtered(step: Step, predicate: &Expression, scope: &Scope, settings: &Settings) -> Result<Step, StatementError> {
    // Before names become flat, ROWTIME is still known as such.
    let predicate = rewrite_time_comparisons(predicate)?;
    let predicate = compile_condition(&scope.flatten(&predicate), "WHERE", &step.schema.row, settings)?;
    let schema = step.schema.clone();
    Ok(Step { schema, kind: StepKind::Filter { input: Box::new(step), predicate } })
}

/// `PARTITION BY`.
fn partitioned(
    step: Step,
    query: &Query,
    scope: &Scope,
    settings: &Settings,
) -> Result<(Step, KeyOrigin), StatementError> {
    let Some(partition_by) = &query.partition_by else { return Ok((step, KeyOrigin::Source)) };
    let expressions = &partition_by.expressions;
    let to_null = matches!(expressions.as_slice(), [only] if only.is_null_literal());
    let mut names = NameGenerator::beside(step.schema.row.iter().map(|column| &column.name));
    let (mut key, mut evaluators, mut append, mut shown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut row = step.schema.row.clone();
    for expression in if to_null { &[][..] } else { expressions } {
        let qualified = scope.qualify(expression, "PARTITION BY")?;
        grouping::check_plain(&qualified, "PARTITION BY")?;
        let flat = scope.flatten(&qualified);
        let evaluator = compile_for(Purpose::SelectKey, &flat, &step.schema.row, settings)?;
        let column_type = evaluator
            .value_type
            .clone()
            .ok_or_else(|| StatementError::new("Cannot PARTITION BY multiple columns including NULL"))?;
        let is_column = matches!(&qualified, Expression::Column(_));
        let name = names.expression(&qualified, scope);
        if !is_column {
            row.push(StepColumn { name: name.clone(), column_type: column_type.clone() });
        }
        if shown.contains(&qualified.to_string()) {
            return Err(grouping::twice(&qualified, "PARTITION BY"));
        }
        shown.push(qualified.to_string());
        append.push(!is_column);
        key.push(KeyColumn::new(name, column_type));
        evaluators.push(evaluator);
    }
    if let ([new], [old]) = (key.as_slice(), step.schema.key.as_slice())
        && old.names.contains(&new.names[0])
    {
        return Ok((step, KeyOrigin::Partition(shown)));
    }
    check_movable(&step, &evaluators)?;
    let schema = StepSchema { key, row, ..step.schema.clone() };
    let kind = StepKind::Repartition { input: Box::new(step), key: evaluators, append, topic: None };
    Ok((Step { schema, kind }, KeyOrigin::Partition(shown)))
}

/// Rows of tables, and those with windowed keys, stay where they are.
fn check_movable(step: &Step, key: &[Evaluator]) -> Result<(), StatementError> {
    match step.schema.key.as_slice() {
        [only] if step.schema.kind == SourceKind::Table => {
            let wanted: Vec<_> = key.iter().map(Evaluator::text).collect();
            Err(StatementError(format!(
                "Cannot repartition a TABLE source. If this is a join, make sure that the criteria uses the TABLE's key \
                 column {} instead of [{}]",
                only.names.first().map(ToString::to_string).unwrap_or_default(),
                wanted.join(", ")
            )))
        }
        _ if step.schema.kind == SourceKind::Table => Err(StatementError::new(
            "Cannot repartition a TABLE source. If this is a join, joins on tables with multiple columns is not yet \
             supported.",
        )),
        _ if step.schema.window.is_some() => Err(StatementError::new(joins::WINDOWS_STAY)),
        _ => Ok(()),
    }
}

/// Puts the results of table functions into columns of their own.
fn table_functions(
    step: Step,
    mut columns: Vec<projection::ProjectedColumn>,
    settings: &Settings,
) -> Result<(Step, Vec<projection::ProjectedColumn>), StatementError> {
    let mut functions = Vec::new();
    let mut row = step.schema.row.clone();
    for column in &mut columns {
        let mut failure = None;
        let rewritten = column.expression.rewrite(&mut |part| match part {
            Expression::Function(call) if is_table_function(&call.name) => {
                match table_function(call, &step.schema.row, settings) {
                    Ok((evaluator, column_type)) => {
                        let name: crate::ast::Name = format!("KSQL_SYNTH_{}", functions.len()).into();
                        row.push(StepColumn { name: name.clone(), column_type });
                        functions.push(evaluator);
                        Some(Expression::column(name))
                    }
                    Err(error) => {
                        failure.get_or_insert(error);
                        Some(part.clone())
                    }
                }
            }
            _ => None,
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        column.expression = rewritten;
    }
    if functions.is_empty() {
        return Ok((step, columns));
    }
    if step.schema.kind == SourceKind::Table {
        return Err(StatementError::new("Table source is not supported with table functions"));
    }
    let schema = StepSchema { row, ..step.schema.clone() };
    Ok((Step { schema, kind: StepKind::FlatMap { input: Box::new(step), functions } }, columns))
}
