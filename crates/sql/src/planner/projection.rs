//! The last step of a query: which columns of the projection are the key, which the value, and what they are called.

use crate::ast::{Expression, Name};
use crate::catalog::define::{PSEUDO_COLUMNS, WINDOW_BOUNDS, is_reserved};
use crate::catalog::schema::{Column, Schema};
use crate::catalog::{Settings, StatementError};
use crate::planner::compile::compile;
use crate::planner::joins::KeyOrigin;
use crate::planner::scope::Scope;
use crate::planner::select::Item;
use crate::planner::step::{Step, StepKind, StepSchema};

/// A column of the projection over rows of the step before.
#[derive(Debug, Clone)]
pub struct ProjectedColumn {
    /// Its name.
    pub name: Name,
    /// What it is, flat.
    pub expression: Expression,
    /// As messages show it.
    pub text: String,
    /// Whether it came of a star.
    pub of_star: bool,
}

/// The last step of a query.
pub struct Projected {
    /// The step, whose rows are the value columns.
    pub step: Step,
    /// The columns of the result, of the key first.
    pub schema: Schema,
    /// The columns of the result as selected.
    pub selected: Vec<Column>,
    /// What is wrong with the key.
    pub key_error: Option<StatementError>,
}

/// The columns that the items of a query are, with stars expanded.
pub fn expand(items: &[Item], step: &Step, scope: &Scope, partitioned: bool, written: bool) -> Vec<ProjectedColumn> {
    let mut columns = Vec::new();
    for item in items {
        match item {
            Item::Column(column) => columns.push(ProjectedColumn {
                name: column.name.clone(),
                expression: key_of(&scope.flatten(&column.expression), step, scope),
                text: column.text.clone(),
                of_star: false,
            }),
            Item::Star(alias) => {
                for name in star(alias.as_ref(), step, scope, partitioned, !written || scope.is_join()) {
                    let expression = Expression::column(name.clone());
                    columns.push(ProjectedColumn { text: name.to_string(), name, expression, of_star: true });
                }
            }
        }
    }
    columns
}

/// An expression that the key was computed of is the key.
fn key_of(flat: &Expression, step: &Step, scope: &Scope) -> Expression {
    let StepKind::Repartition { key, append, input, .. } = &step.kind else { return flat.clone() };
    let _ = (input, scope);
    let computed = step.schema.key.iter().zip(key).zip(append).filter(|(_, append)| **append);
    for ((column, evaluator), _) in computed {
        if evaluator.text() == flat.to_string() {
            return Expression::column(column.names[0].clone());
        }
    }
    flat.clone()
}

/// The columns that `*` means; with the bounds of windows where those are not part of a key that is written anyway.
fn star(alias: Option<&Name>, step: &Step, scope: &Scope, partitioned: bool, with_bounds: bool) -> Vec<Name> {
    let flat = |source: &super::scope::ScopeSource, name: &Name| scope.flat_name(&source.alias, name);
    if !partitioned {
        let mut names = Vec::new();
        for source in scope.sources.iter().filter(|source| alias.is_none_or(|alias| *alias == source.alias)) {
            names.extend(source.star(with_bounds).iter().map(|name| flat(source, name)));
        }
        // The synthetic key of a join belongs to no source.
        if alias.is_none()
            && let Some(key) = step.schema.single_key()
            && let Some(name) = key.names.first()
            && !names.contains(name)
            && scope.is_join()
        {
            names.insert(0, name.clone());
        }
        return names;
    }
    let keys: Vec<Name> = step.schema.key.iter().filter_map(|key| key.names.first().cloned()).collect();
    let hidden =
        |name: &Name| !scope.is_join() && (PSEUDO_COLUMNS.contains(&&**name) || WINDOW_BOUNDS.contains(&&**name));
    let belongs =
        |name: &Name| alias.is_none_or(|alias| name.strip_prefix(&**alias).is_some_and(|rest| rest.starts_with('_')));
    let own = keys.iter().filter(|name| belongs(name)).cloned();
    let others = step.schema.row.iter().map(|column| &column.name);
    let others = others.filter(|name| !keys.contains(name) && !hidden(name) && belongs(name)).cloned();
    own.chain(others).collect()
}

/// The last step and the columns of the result. Without a sink rows hold all columns as selected, those of the key too.
///
/// # Errors
/// A key that is missing or there twice; names that are reserved or taken; columns that cannot be computed.
pub fn project(
    step: Step,
    columns: Vec<ProjectedColumn>,
    origin: &KeyOrigin,
    sink: Option<&str>,
    scope: &Scope,
    settings: &Settings,
) -> Result<Projected, StatementError> {
    let mut is_key = vec![false; columns.len()];
    let mut keys = Vec::new();
    let mut missing = Vec::new();
    for key in &step.schema.key {
        let holds = |name: &Name| {
            let positions = columns.iter().enumerate().filter(|(_, column)| is_column(&column.expression, name));
            positions.map(|(position, _)| position).collect::<Vec<_>>()
        };
        let Some((name, found)) = key.names.iter().map(|name| (name, holds(name))).find(|(_, found)| !found.is_empty())
        else {
            missing.push(key.names.first().cloned().unwrap_or_else(|| "ROWKEY".into()));
            continue;
        };
        if let [_, _, ..] = found.as_slice()
            && sink.is_some()
        {
            let aliases: Vec<_> = found.iter().map(|position| columns[*position].name.to_string()).collect();
            return Err(StatementError(format!(
                "The projection contains a key column (`{name}`) more than once, aliased as: {}.",
                aliases.join(" and ")
            )));
        }
        is_key[found[0]] = true;
        keys.push(Column::key(columns[found[0]].name.clone(), key.column_type.clone()));
    }
    let key_error = sink.filter(|_| !missing.is_empty()).map(|sink| missing_key(sink, origin, &missing, scope));
    if key_error.is_none() {
        check_names(&columns, sink)?;
    }
    let mut evaluators = Vec::new();
    let mut schema: Vec<Column> = keys;
    let mut selected: Vec<Column> = Vec::new();
    for (column, is_key) in columns.iter().zip(&is_key) {
        if *is_key && sink.is_some() {
            continue;
        }
        let evaluator = compile(&column.expression, &step.schema.row, settings)?;
        let column_type = evaluator.value_type.clone().ok_or_else(|| {
            StatementError(format!(
                "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR). \
                 Column: {}",
                column.name
            ))
        })?;
        if *is_key {
            selected.push(Column::key(column.name.clone(), column_type));
        } else {
            selected.push(Column::value(column.name.clone(), column_type.clone()));
            schema.push(Column::value(column.name.clone(), column_type));
        }
        evaluators.push(evaluator);
    }
    if evaluators.is_empty() && sink.is_some() && key_error.is_none() {
        return Err(StatementError::new("The projection contains no value columns."));
    }
    let row = selected
        .iter()
        .map(|column| super::step::StepColumn::new(column.name.clone(), column.column_type.clone()))
        .collect();
    let step_schema = StepSchema { row, ..step.schema.clone() };
    let step = Step { schema: step_schema, kind: StepKind::Project { input: Box::new(step), columns: evaluators } };
    Ok(Projected { step, schema: Schema::new(schema), selected, key_error })
}

fn is_column(expression: &Expression, name: &Name) -> bool {
    matches!(expression, Expression::Column(column) if column.source.is_none() && column.name == *name)
}

fn check_names(columns: &[ProjectedColumn], sink: Option<&str>) -> Result<(), StatementError> {
    let mut seen: Vec<&Name> = Vec::new();
    for column in columns {
        if sink.is_some() && !column.of_star && is_reserved(&column.name) {
            return Err(StatementError(format!(
                "Reserved column name in select: `{}`. Please remove or alias the column.",
                column.name
            )));
        }
        if seen.contains(&&column.name) {
            return Err(StatementError(format!("The projection contains duplicate columns: `{}`", column.name)));
        }
        seen.push(&column.name);
    }
    Ok(())
}

fn missing_key(sink: &str, origin: &KeyOrigin, missing: &[Name], scope: &Scope) -> StatementError {
    let (what, columns, joiner, addition) = match origin {
        KeyOrigin::ForeignKey(left) => {
            let table = scope.source(left).map_or(left.clone(), |source| source.source.name.clone());
            let columns: Vec<_> = missing
                .iter()
                .map(|name| {
                    let own = name.strip_prefix(&**left).and_then(|rest| rest.strip_prefix('_'));
                    format!("`{}`", own.unwrap_or(name))
                })
                .collect();
            return StatementError(format!(
                "Primary key columns missing in projection. For foreign-key table-table joins, the projection must \
                 include all primary key columns from the left input table (`{table}`). Missing columns: {}.",
                columns.join(", ")
            ));
        }
        KeyOrigin::Source => ("key column", missing.iter().map(ToString::to_string).collect(), "and", ""),
        KeyOrigin::Group(texts) => ("grouping expression", texts.clone(), "and", ""),
        KeyOrigin::Partition(texts) => ("partitioning expression", texts.clone(), "and", ""),
        KeyOrigin::Join(texts) => ("join expression", texts.clone(), "or", ""),
        KeyOrigin::Synthetic => (
            "join expression",
            missing.iter().map(ToString::to_string).collect(),
            "or",
            "\nROWKEY was added as a synthetic key column because the join criteria did not match any source column. \
             This expression must be included in the projection and may be aliased. ",
        ),
    };
    let columns: Vec<String> = columns;
    let plural = if columns.len() > 1 { "s" } else { "" };
    let list = match columns.as_slice() {
        [init @ .., last] if !init.is_empty() => format!("{} {joiner} {last}", init.join(", ")),
        other => other.concat(),
    };
    let example = match joiner {
        "or" => columns.first().cloned().unwrap_or_default(),
        _ => columns.join(", "),
    };
    StatementError(format!(
        "The query used to build `{sink}` must include the {what}{plural} {list} in its projection (eg, SELECT \
         {example}...).{addition}"
    ))
}
