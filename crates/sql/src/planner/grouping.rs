//! `GROUP BY`, `WINDOW` and `HAVING`.
//!
//! What is selected may only be made of the grouping expressions and of aggregates. Both become columns of the groups'
//! rows: first the key, then the aggregates, then the bounds of the window.

use crate::ast::{Duration, Emit, Expression, FunctionCall, Name, Query, SourceKind, WindowKind};
use crate::catalog::define::{PSEUDO_COLUMNS, WINDOW_BOUNDS};
use crate::catalog::{Settings, StatementError, WindowInfo, WindowShape};
use crate::expression::Purpose;
use crate::formats::Format;
use crate::operators::aggregate::Aggregates;
use crate::planner::aggregate_input::AggregateInput;
use crate::planner::compile::{
    aggregation, compile_condition, compile_for, is_aggregate, is_function, is_table_function,
};
use crate::planner::projection::ProjectedColumn;
use crate::planner::scope::{Scope, enumerated, free_columns};
use crate::planner::select::{Item, NameGenerator};
use crate::planner::step::{AggregateWindow, KeyColumn, Step, StepColumn, StepKind, StepSchema};
use crate::types::SqlType;

const DAY_MS: i64 = 86_400_000;

/// A grouped query up to its projection.
pub struct Grouped {
    /// The step with the groups, filtered by `HAVING`.
    pub step: Step,
    /// The projection over rows of the groups.
    pub columns: Vec<ProjectedColumn>,
    /// The grouping expressions as messages show them.
    pub texts: Vec<String>,
    /// The aggregates.
    pub calls: Vec<FunctionCall>,
}

/// Plans the groups of a query.
///
/// # Errors
/// What cannot be grouped, or is selected without being grouped or aggregated.
pub fn grouped(
    step: Step,
    query: &Query,
    items: &[Item],
    scope: &Scope,
    names: &mut NameGenerator,
    settings: &Settings,
) -> Result<Grouped, StatementError> {
    scope.check_values("GROUP BY")?;
    let (groups, texts) = groups(query, items, scope, names)?;
    let mut collector = Collector { groups: &groups, scope, calls: Vec::new() };
    let mut columns = Vec::new();
    let mut loose = Vec::new();
    let selected = expanded(items, scope);
    for (name, expression) in &selected {
        let (name, expression) = (name.clone(), expression.clone());
        check_known(&expression)?;
        check_nested(&expression, query.window.is_some() && !scope.is_join())?;
        let rewritten = collector.rewrite(&expression);
        if !free_columns(&rewritten).iter().all(|column| is_own(column, &groups, query)) {
            loose.push(scope.flatten(&expression).to_string());
        }
        columns.push(ProjectedColumn { name, expression: rewritten });
    }
    let having = query.having.as_ref().map(|having| scope.qualify(having, "HAVING")).transpose()?;
    let filter = query.filter.as_ref().map(|filter| scope.qualify(filter, "WHERE")).transpose()?;
    let named = selected.iter().map(|(_, expression)| expression).chain(&filter);
    let named: Vec<Expression> =
        named.chain(groups.iter().map(|group| &group.expression)).chain(&having).cloned().collect();
    let having = having.map(|having| collector.rewrite(&having));
    if collector.calls.is_empty() {
        return Err(StatementError::new(
            "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.",
        ));
    }
    if !loose.is_empty() {
        return Err(StatementError(format!(
            "Non-aggregate SELECT expression(s) not part of GROUP BY: {}\nEither add the column(s) to the GROUP BY or \
             remove them from the SELECT.",
            loose.join(", ")
        )));
    }
    if let Some(having) = &having {
        let loose: Vec<_> = free_columns(having)
            .into_iter()
            .filter(|column| !is_own(column, &groups, query))
            .map(|column| scope.flatten(&Expression::Column(column)).to_string())
            .collect();
        if !loose.is_empty() {
            return Err(StatementError(format!(
                "Non-aggregate HAVING expression not part of GROUP BY: {}\nConsider switching the HAVING clause to a WHERE \
                 clause before the GROUP BY.",
                loose.join(", ")
            )));
        }
    }
    let calls = std::mem::take(&mut collector.calls);
    let takes = AggregateInput::new(&named, &calls, scope);
    let mut step = aggregate_step(step, query, scope, groups, (&calls, takes), settings)?;
    if let Some(having) = having {
        let predicate = compile_condition(&having, "HAVING", &step.schema.row, settings);
        let predicate = predicate.map_err(|error| with_calls(error, &calls))?;
        let schema = step.schema.clone();
        step = Step { schema, kind: StepKind::Filter { input: Box::new(step), predicate } };
    }
    Ok(Grouped { step, columns, texts, calls })
}

/// What is wrong, with the aggregates in the place of the columns that hold their results.
pub fn with_calls(error: StatementError, calls: &[FunctionCall]) -> StatementError {
    let named = |message: String, (position, call): (usize, &FunctionCall)| {
        message.replace(&format!("KSQL_AGG_VARIABLE_{position}"), &Expression::Function(call.clone()).to_string())
    };
    // From the last, since the first numbers begin later ones.
    StatementError(calls.iter().enumerate().rev().fold(error.0, named))
}

/// An aggregate; of rows as such it is one of their times.
pub fn shown(call: &FunctionCall, scope: &Scope) -> String {
    Expression::Function(of_times(call.clone(), scope)).to_string()
}

/// An aggregate of rows as such as one of their times.
fn of_times(mut call: FunctionCall, scope: &Scope) -> FunctionCall {
    if call.arguments.is_empty() {
        let first = scope.sources.first().map(|source| scope.flat_name(&source.alias, PSEUDO_COLUMNS[0]));
        call.arguments.extend(first.map(Expression::column));
    }
    call
}

/// A grouping expression, qualified, with the name of its column.
struct Group {
    expression: Expression,
    name: Name,
}

fn groups(
    query: &Query,
    items: &[Item],
    scope: &Scope,
    names: &mut NameGenerator,
) -> Result<(Vec<Group>, Vec<String>), StatementError> {
    let Some(group_by) = &query.group_by else { return Ok((Vec::new(), Vec::new())) };
    let mut groups: Vec<Group> = Vec::new();
    let mut texts = Vec::new();
    for expression in &group_by.expressions {
        let qualified = scope.qualify(expression, "GROUP BY")?;
        check_plain(&qualified, "GROUP BY")?;
        let is_column = matches!(qualified, Expression::Column(_));
        let selected = items.iter().find_map(|item| match item {
            Item::Column(column) if column.expression == qualified && !is_column => Some(column.name.clone()),
            _ => None,
        });
        if groups.iter().any(|group| group.expression == qualified) {
            return Err(twice(&qualified, "GROUP BY"));
        }
        let name = selected.unwrap_or_else(|| names.expression(&qualified, scope));
        texts.push(scope.flatten(&qualified).to_string());
        groups.push(Group { expression: qualified, name });
    }
    Ok((groups, texts))
}

/// Why an expression cannot stand twice in a clause, with and without the name of its source.
pub(super) fn twice(expression: &Expression, clause: &str) -> StatementError {
    StatementError(format!("Failed to prepare statement: Duplicate {clause} expression: {expression}"))
}

/// Checks that an expression of a key holds no aggregates and no table functions.
///
/// # Errors
/// The first that it holds.
pub fn check_plain(expression: &Expression, clause: &str) -> Result<(), StatementError> {
    let mut refused = None;
    expression.walk(&mut |part| {
        if let Expression::Function(call) = part {
            if is_aggregate(&call.name) {
                refused.get_or_insert(format!(
                    "{clause} does not support aggregate functions: {} is an aggregate function.",
                    call.name
                ));
            } else if is_table_function(&call.name) {
                refused.get_or_insert(format!(
                    "{clause} does not support table functions: {} is a table function.",
                    call.name
                ));
            }
        }
    });
    refused.map_or(Ok(()), |message| Err(StatementError(message)))
}

/// All functions exist.
fn check_known(expression: &Expression) -> Result<(), StatementError> {
    let mut unknown = None;
    expression.walk(&mut |part| {
        if let Expression::Function(call) = part
            && !is_function(&call.name)
        {
            unknown.get_or_insert_with(|| call.name.clone());
        }
    });
    match unknown {
        Some(name) => Err(StatementError(format!("Can't find any functions with the name '{name}'"))),
        None => Ok(()),
    }
}

/// Aggregates are not made of aggregates, and not of the bounds of the window that they decide.
fn check_nested(expression: &Expression, windowed: bool) -> Result<(), StatementError> {
    let mut refused = None;
    expression.walk(&mut |part| {
        if let Expression::Function(call) = part {
            if !is_aggregate(&call.name) {
                return;
            }
            for argument in &call.arguments {
                argument.walk(&mut |inner| {
                    if let Expression::Function(nested) = inner
                        && is_aggregate(&nested.name)
                    {
                        let text = format!("Aggregate functions can not be nested: {}({}())", call.name, nested.name);
                        refused.get_or_insert(text);
                    }
                    if let Expression::Column(column) = inner
                        && windowed
                        && WINDOW_BOUNDS.contains(&&*column.name)
                    {
                        refused.get_or_insert(bounds_message(&column.name));
                    }
                });
            }
        }
    });
    refused.map_or(Ok(()), |message| Err(StatementError(message)))
}

/// Why the bound of a window cannot stand where it does.
pub(super) fn bounds_message(name: &str) -> String {
    format!(
        "Window bounds column {name} can only be used in the SELECT clause of windowed aggregations and can not be passed \
         to aggregate functions.\nSee https://github.com/confluentinc/ksql/issues/4397"
    )
}

/// The first bound of a window in an expression.
pub(super) fn bound(expression: &Expression) -> Option<crate::ast::ColumnReference> {
    free_columns(expression).into_iter().find(|column| WINDOW_BOUNDS.contains(&&*column.name))
}

/// Whether a column that is left after rewriting is one of the groups' rows.
fn is_own(column: &crate::ast::ColumnReference, groups: &[Group], query: &Query) -> bool {
    column.source.is_none()
        && (column.name.starts_with("KSQL_AGG_VARIABLE_")
            || groups.iter().any(|group| group.name == column.name)
            || (query.window.is_some() && WINDOW_BOUNDS.contains(&&*column.name)))
}

/// Name and qualified expression of every selected column.
fn expanded(items: &[Item], scope: &Scope) -> Vec<(Name, Expression)> {
    let mut columns = Vec::new();
    for item in items {
        match item {
            Item::Column(column) => columns.push((column.name.clone(), column.expression.clone())),
            Item::Star(alias) => {
                let wanted =
                    |source: &&super::scope::ScopeSource| alias.as_ref().is_none_or(|alias| *alias == source.alias);
                for source in scope.sources.iter().filter(wanted) {
                    for name in source.star(scope.is_join()) {
                        let expression = Expression::column_of(source.alias.clone(), name.clone());
                        columns.push((scope.flat_name(&source.alias, &name), expression));
                    }
                }
            }
        }
    }
    columns
}

/// Finds aggregates and grouping expressions in what is selected, and puts columns in their place.
struct Collector<'a> {
    groups: &'a [Group],
    scope: &'a Scope,
    calls: Vec<FunctionCall>,
}

impl Collector<'_> {
    fn rewrite(&mut self, expression: &Expression) -> Expression {
        let (groups, scope) = (self.groups, self.scope);
        let calls = &mut self.calls;
        expression.rewrite(&mut |part| {
            if let Some(group) = groups.iter().find(|group| group.expression == *part) {
                return Some(Expression::column(group.name.clone()));
            }
            let Expression::Function(call) = part else { return None };
            if !is_aggregate(&call.name) {
                return None;
            }
            let flat = match scope.flatten(part) {
                Expression::Function(flat) if &*flat.name == "COUNT" => flat,
                Expression::Function(flat) => of_times(flat, scope),
                _ => call.clone(),
            };
            let position = calls.iter().position(|known| *known == flat).unwrap_or_else(|| {
                calls.push(flat);
                calls.len() - 1
            });
            Some(Expression::column(format!("KSQL_AGG_VARIABLE_{position}")))
        })
    }
}

fn aggregate_step(
    step: Step,
    query: &Query,
    scope: &Scope,
    groups: Vec<Group>,
    (calls, takes): (&[FunctionCall], AggregateInput),
    settings: &Settings,
) -> Result<Step, StatementError> {
    let input_row = &step.schema.row;
    let table = step.schema.kind == SourceKind::Table;
    let (mut key, mut evaluators, mut row) = (Vec::new(), Vec::new(), Vec::new());
    for group in &groups {
        let evaluator = compile_for(Purpose::GroupBy, &scope.flatten(&group.expression), input_row, settings)?;
        let column_type = evaluator.value_type.clone().ok_or_else(|| StatementError::new("Cannot GROUP BY null."))?;
        row.push(StepColumn { name: group.name.clone(), column_type: column_type.clone() });
        key.push(KeyColumn::new(group.name.clone(), column_type));
        evaluators.push(evaluator);
    }
    let intermediate = scope.sources[0].source.value_format.clone();
    let (mut aggregates, mut streams_only) = (Vec::new(), Vec::new());
    for (position, call) in calls.iter().enumerate() {
        let resolved = aggregation(call, input_row, settings)?;
        if table && !resolved.can_undo && !streams_only.contains(&call.name.to_string()) {
            streams_only.push(call.name.to_string());
        }
        check_intermediate(&resolved.state_type, &intermediate)?;
        row.push(StepColumn { name: format!("KSQL_AGG_VARIABLE_{position}").into(), column_type: resolved.value_type });
        aggregates.push(resolved.call);
    }
    if !streams_only.is_empty() {
        return Err(StatementError(format!(
            "The aggregation function{} {} cannot be applied to a table source, only to a stream source.",
            if streams_only.len() > 1 { "s" } else { "" },
            enumerated(&streams_only, "and")
        )));
    }
    let window = query.window.as_ref().map(|window| aggregate_window(window, query.emit)).transpose()?;
    if window.is_some() && table {
        return Err(StatementError::new("Windowing not supported for table aggregations."));
    }
    if window.is_some() {
        row.extend(WINDOW_BOUNDS.map(|name| StepColumn::new(name, SqlType::Bigint)));
    }
    let flat: Vec<Expression> = groups.iter().map(|group| scope.flatten(&group.expression)).collect();
    let unchanged = matches!((flat.as_slice(), step.schema.key.as_slice()), ([Expression::Column(group)], [own])
        if own.names.contains(&group.name));
    if unchanged && step.schema.window.is_some() {
        return Err(StatementError::new("Group by on windowed should always require rekey"));
    }
    let schema = StepSchema {
        kind: SourceKind::Table,
        key,
        row,
        window: window.map(|window| window.info),
        key_format: step.schema.key_format,
    };
    let aggregates = Aggregates { key: evaluators, calls: aggregates };
    let repartition = table || !unchanged;
    let kind = StepKind::Aggregate { input: Box::new(step), aggregates, takes, window, repartition };
    Ok(Step { schema, kind })
}

/// The state of an aggregate goes to a topic in the format of the source.
fn check_intermediate(state_type: &SqlType, spec: &crate::formats::FormatSpec) -> Result<(), StatementError> {
    let nested = matches!(state_type, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_));
    if nested && spec.format == Format::Delimited {
        return Err(StatementError::new(
            "One of the functions used in the statement has an intermediate type that the value format can not handle. \
             Please remove the function or change the format.\nConsider up-voting \
             https://github.com/confluentinc/ksql/issues/3950, which will resolve this limitation",
        ));
    }
    Ok(())
}

fn aggregate_window(window: &crate::ast::Window, emit: Option<Emit>) -> Result<AggregateWindow, StatementError> {
    let ms = |duration: Duration| {
        duration.milliseconds().ok_or_else(|| StatementError(format!("Invalid duration: {duration}")))
    };
    let (shape, size, advance_ms) = match window.kind {
        WindowKind::Tumbling { size } => (WindowShape::Tumbling, Some(ms(size)?), ms(size)?),
        WindowKind::Hopping { size, advance } => (WindowShape::Hopping, Some(ms(size)?), ms(advance)?),
        WindowKind::Session { gap } => (WindowShape::Session, None, ms(gap)?),
    };
    if size.is_some_and(|size| size <= 0) {
        return Err(StatementError::new("Window size (sizeMs) must be larger than zero."));
    }
    if let Some(size) = size.filter(|size| advance_ms <= 0 || advance_ms > *size) {
        return Err(StatementError(format!(
            "Window advancement interval should be more than zero and less than window duration which is {size} ms, but \
             given advancement interval is: {advance_ms} ms"
        )));
    }
    if advance_ms <= 0 {
        return Err(StatementError::new("Gap time (gapMs) cannot be zero or negative."));
    }
    let grace_ms = match window.grace {
        Some(grace) if grace.count < 0 => return Err(StatementError::new("Grace period must not be negative.")),
        Some(grace) => ms(grace)?,
        None => (DAY_MS - size.unwrap_or(advance_ms)).max(0),
    };
    let length = size.unwrap_or(advance_ms);
    let retention_ms = window.retention.map(ms).transpose()?;
    if let Some(retention) = retention_ms.filter(|retention| *retention < length.saturating_add(grace_ms)) {
        let (store, least, name) = match shape {
            WindowShape::Session => ("session", "the session inactivity gap", "gap"),
            _ => ("window", "its window size", "size"),
        };
        return Err(StatementError(format!(
            "The retention period of the {store} store Aggregate-Aggregate-Materialize must be no smaller than {least} plus \
             the grace period. Got {name}=[{length}], grace=[{grace_ms}], retention=[{retention}]"
        )));
    }
    Ok(AggregateWindow {
        info: WindowInfo { shape, size_ms: size },
        advance_ms,
        grace_ms,
        retention_ms: retention_ms.unwrap_or(length.saturating_add(grace_ms)),
        final_only: emit == Some(Emit::Final),
    })
}
