//! The last step of a query: which columns of the projection are the key, which the value, and what they are called.

use crate::ast::{Expression, Name};
use crate::catalog::define::{PSEUDO_COLUMNS, WINDOW_BOUNDS};
use crate::catalog::schema::{Column, Namespace, Schema};
use crate::catalog::{Settings, StatementError};
use crate::planner::compile::compile;
use crate::planner::joins::KeyOrigin;
use crate::planner::scope::{Scope, enumerated};
use crate::planner::select::Item;
use crate::planner::step::{KeyColumn, Step, StepColumn, StepKind, StepSchema};

/// How a column of the key comes into the value.
const ONCE_ONLY: &str = "\nEach key column must only be in the projection once. If you intended to copy the key into \
    the value, then consider using the AS_VALUE function to indicate which key reference should be copied.";

/// A column of the projection over rows of the step before.
#[derive(Debug, Clone)]
pub struct ProjectedColumn {
    /// Its name.
    pub name: Name,
    /// What it is, flat.
    pub expression: Expression,
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
                expression: key_of(&scope.flatten(&column.expression), step),
            }),
            Item::Star(alias) => {
                for name in star(alias.as_ref(), step, scope, partitioned, !written || scope.is_join()) {
                    let expression = Expression::column(name.clone());
                    columns.push(ProjectedColumn { name, expression });
                }
            }
        }
    }
    columns
}

/// An expression that the key was computed of is the key.
fn key_of(flat: &Expression, step: &Step) -> Expression {
    let StepKind::Repartition { key, append, .. } = &step.kind else { return flat.clone() };
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
    let Keys { columns: keys, is_key, missing, twice } = keys(&step, &columns, origin);
    let key_error = sink.filter(|_| !missing.is_empty());
    let key_error = key_error.map(|sink| missing_key(sink, origin, &missing, &step.schema.key, scope));
    let (mut evaluators, mut selected) = (Vec::new(), Vec::new());
    for (column, is_key) in columns.iter().zip(is_key) {
        let evaluator = compile(&column.expression, &step.schema.row, settings)?;
        let column_type = evaluator.value_type.clone().ok_or_else(|| {
            StatementError::new(
                "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).",
            )
        })?;
        let make = if is_key { Column::key } else { Column::value };
        selected.push(make(column.name.clone(), column_type));
        if sink.is_none() || !is_key {
            let (text, index) = (evaluator.text(), evaluators.len());
            let message = format!("Error computing expression {text} for column {} with index {index}", column.name);
            evaluators.push(evaluator.failing("Project", message));
        }
    }
    check_names(&as_in_sources(&selected, &columns, &step), sink.is_some())?;
    let is_told = sink.is_some() || matches!(origin, KeyOrigin::Group(_));
    if let Some(twice) = twice.filter(|_| is_told) {
        return Err(twice);
    }
    let is_group = matches!(origin, KeyOrigin::Group(_));
    // Without groups a column with the name of one of the key does not count as a value.
    let counts = |value: &Column| is_group || !keys.iter().any(|key| key.name == value.name);
    let is_value = |column: &&Column| column.namespace == Namespace::Value;
    if sink.is_some() && !selected.iter().filter(is_value).any(counts) && key_error.is_none() {
        return Err(StatementError::new("The projection contains no value columns."));
    }
    let values: Vec<Column> = selected.iter().filter(is_value).cloned().collect();
    if sink.is_some() {
        check_clashes(&keys, &values)?;
    }
    let in_row = |column: &&Column| sink.is_none() || is_value(column);
    let step_column = |column: &Column| StepColumn::new(column.name.clone(), column.column_type.clone());
    let row = selected.iter().filter(in_row).map(step_column).collect();
    let step_schema = StepSchema { row, ..step.schema.clone() };
    let step = Step { schema: step_schema, kind: StepKind::Project { input: Box::new(step), columns: evaluators } };
    Ok(Projected { step, schema: Schema::new(keys.into_iter().chain(values)), selected, key_error })
}

/// The columns of the key among the columns of a projection.
struct Keys {
    /// In the order of the key, as far as they are selected.
    columns: Vec<Column>,
    /// Which columns of the projection they are.
    is_key: Vec<bool>,
    /// Those that are not selected.
    missing: Vec<usize>,
    /// What is wrong where one is selected more than once.
    twice: Option<StatementError>,
}

fn keys(step: &Step, columns: &[ProjectedColumn], origin: &KeyOrigin) -> Keys {
    let mut keys = Keys { columns: Vec::new(), is_key: vec![false; columns.len()], missing: Vec::new(), twice: None };
    for (position, key) in step.schema.key.iter().enumerate() {
        let holds = |name: &Name| {
            let positions = columns.iter().enumerate().filter(|(_, column)| is_column(&column.expression, name));
            positions.map(|(position, _)| position).collect::<Vec<_>>()
        };
        let Some((name, found)) = key.names.iter().map(|name| (name, holds(name))).find(|(_, found)| !found.is_empty())
        else {
            keys.missing.push(position);
            continue;
        };
        if found.len() > 1 && keys.twice.is_none() {
            let aliases = found.iter().map(|position| &columns[*position].name).collect();
            keys.twice = Some(key_twice(name, aliases, origin));
        }
        keys.columns.push(Column::key(columns[found[0]].name.clone(), key.column_type.clone()));
        for position in found {
            keys.is_key[position] = true;
        }
    }
    keys
}

fn is_column(expression: &Expression, name: &Name) -> bool {
    matches!(expression, Expression::Column(column) if column.source.is_none() && column.name == *name)
}

/// The columns with those as key columns that are: of groups those that were columns of the key before.
fn as_in_sources(selected: &[Column], columns: &[ProjectedColumn], step: &Step) -> Vec<Column> {
    let step = if let StepKind::Filter { input, .. } = &step.kind { input } else { step };
    let StepKind::Aggregate { input, .. } = &step.kind else { return selected.to_vec() };
    let is_key = |column: &ProjectedColumn| {
        let mut names = input.schema.key.iter().flat_map(|key| &key.names);
        names.any(|name| is_column(&column.expression, name))
    };
    let shown = |(known, column): (&Column, &ProjectedColumn)| {
        let namespace = if is_key(column) { Namespace::Key } else { Namespace::Value };
        Column { namespace, ..known.clone() }
    };
    selected.iter().zip(columns).map(shown).collect()
}

/// Columns of the key, and those of the value, have different names; all have that are not written anywhere.
fn check_names(selected: &[Column], is_written: bool) -> Result<(), StatementError> {
    for (position, column) in selected.iter().enumerate() {
        let alike = |known: &&Column| known.name == column.name;
        let Some(known) = selected[..position].iter().find(alike) else { continue };
        if known.namespace == column.namespace && column.namespace == Namespace::Key {
            return Err(StatementError(format!("Duplicate key columns found in schema: {column}")));
        }
        if known.namespace == column.namespace || !is_written {
            let value = Column::value(column.name.clone(), column.column_type.clone());
            return Err(StatementError(format!("Duplicate value columns found in schema: {value}")));
        }
    }
    Ok(())
}

/// Columns of the key and of the value have different names where they are written.
fn check_clashes(keys: &[Column], values: &[Column]) -> Result<(), StatementError> {
    let is_key = |value: &&Column| keys.iter().any(|key| key.name == value.name);
    let clashing: Vec<String> = values.iter().filter(is_key).map(|column| format!("`{}`", column.name)).collect();
    if clashing.is_empty() {
        return Ok(());
    }
    Err(StatementError(format!("Value columns clash with key columns: {}", clashing.join(", "))))
}

/// A column of the key that is selected under several names.
fn key_twice(name: &Name, aliases: Vec<&Name>, origin: &KeyOrigin) -> StatementError {
    let mut aliases: Vec<String> = aliases.into_iter().map(ToString::to_string).collect();
    if matches!(origin, KeyOrigin::Group(_)) {
        let aliases: Vec<String> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let aliases = enumerated(&aliases, "and");
        return StatementError(format!("The projection contains a key column more than once: {aliases}.{ONCE_ONLY}"));
    }
    aliases.sort();
    let aliases = enumerated(&aliases, "and");
    StatementError(format!(
        "The projection contains a key column (`{name}`) more than once, aliased as: {aliases}.{ONCE_ONLY}"
    ))
}

/// What is wrong where the columns of the key at `missing` are not selected.
fn missing_key(sink: &str, origin: &KeyOrigin, missing: &[usize], key: &[KeyColumn], scope: &Scope) -> StatementError {
    let name = |key: &KeyColumn| key.names.first().map(ToString::to_string).unwrap_or_else(|| "ROWKEY".to_owned());
    let (what, columns, joiner) = match origin {
        KeyOrigin::ForeignKey(left) => {
            let source = scope.source(left).map(|source| source.source.schema.keys()).unwrap_or_default();
            let names = missing.iter().filter_map(|position| source.get(*position)).map(|column| &*column.name);
            // The name of the table and a letter are left out, whatever it is that begins like that.
            let shown =
                |name: &str| name.strip_prefix(&**left).and_then(|rest| rest.get(1..)).unwrap_or(name).to_owned();
            let columns: Vec<_> = names.map(|name| format!("`{}`", shown(name))).collect();
            let plural = if columns.len() > 1 { "s" } else { "" };
            return StatementError(format!(
                "Primary key column{plural} missing in projection. For foreign-key table-table joins, the projection \
                 must include all primary key columns from the left input table (`{left}`). Missing column{plural}: {}.",
                columns.join(", ")
            ));
        }
        KeyOrigin::Source => ("key column", key.iter().map(name).collect(), "and"),
        KeyOrigin::Group(texts) => (
            "grouping expression",
            missing.iter().filter_map(|position| texts.get(*position).cloned()).collect(),
            "and",
        ),
        KeyOrigin::Partition(texts) => ("partitioning expression", texts.clone(), "and"),
        KeyOrigin::Join(texts) => ("join expression", texts.clone(), "or"),
        KeyOrigin::Synthetic => ("join expression", key.iter().map(name).collect(), "or"),
    };
    let columns: Vec<String> = columns;
    let is_synthetic = *origin == KeyOrigin::Synthetic;
    let (plural, all) = (if columns.len() > 1 { "s" } else { "" }, joiner == "and");
    let list = enumerated(&columns, joiner);
    let example = if all { columns.join(", ") } else { columns.first().cloned().unwrap_or_default() };
    let see = if is_synthetic { "See https://cnfl.io/2LV7ouS." } else { "" };
    let addition = match is_synthetic {
        true => format!(
            "\n{list} was added as a synthetic key column because the join criteria did not match any source column. \
             This expression must be included in the projection and may be aliased. "
        ),
        false => String::new(),
    };
    StatementError(format!(
        "Key{} missing from projection (ie, SELECT). {see}\nThe query used to build `{sink}` must include the \
         {what}{plural} {list} in its projection (eg, SELECT {example}...).{addition}",
        if all { plural } else { "" }
    ))
}
