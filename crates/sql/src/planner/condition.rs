//! What the condition of a pull query says about keys and windows, and whether that is enough.
//!
//! The condition becomes a disjunction; where every part of it says what the key is, those keys are looked up, and of their
//! windows those that the condition names. Otherwise the whole table, or a range of it, is read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::ast::{ColumnReference, ComparisonOperator, Expression, Literal, LogicalOperator, Name};
use crate::catalog::define::WINDOW_BOUNDS;
use crate::catalog::schema::Column;
use crate::catalog::{Settings, Source, StatementError};
use crate::expression::rewrite_time_comparisons;
use crate::planner::compile::{compile, strict_constant};
use crate::planner::lookup::{Lookup, TextRange, WindowStarts};
use crate::planner::pull::HELP;
use crate::planner::scope::{Scope, free_columns};
use crate::planner::view::View;
use crate::types::SqlType;
use crate::value::Value;

/// What conditions have to be where tables are not read as a whole.
const KEYS_WANTED: &str = "\nPull queries require a WHERE clause that:\n - includes a key equality expression, e.g. \
    `SELECT * FROM X WHERE <key-column> = Y;`.\n - in the case of a multi-column key, is a conjunction of equality \
    expressions that cover all key columns.\n - to support range expressions, e.g.,  SELECT * FROM X WHERE <key-column> < \
    Y;`, range scans need to be enabled by setting ksql.query.pull.range.scan.enabled=true";
/// What conditions may say of windows.
const WINDOWS_TOLD: &str = "\n - (optionally) limits the time bounds of the windowed table.\n\t Bounds on [`WINDOWSTART`, \
    `WINDOWEND`] are supported\n\t Supported operators are [EQUAL, GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN, \
    LESS_THAN_OR_EQUAL]";
/// How other conditions are possible.
const SCANS_TOLD: &str = "\nIf more flexible queries are needed, , table scans can be enabled by setting \
    ksql.query.pull.table.scan.enabled=true.";
/// What is refused where the condition does not tell keys.
const SCAN_WANTED: &str = "Query requires table scan to be enabled. Table scans can be enabled by setting \
    ksql.query.pull.table.scan.enabled=true";
/// What bounds of windows are compared with.
const BOUND_WANTED: &str = "Window bounds must resolve to an INT, BIGINT, or STRING containing a datetime.";
/// What wants the values of keys, in messages.
const OPERATION: &str = "pull query";
/// Conditions that would become more parts than this are not taken apart.
const DISJUNCTS_MAX: usize = 10_000;

/// What a query with this condition has to look at, and of keys which windows.
///
/// # Errors
/// Conditions that cannot be, and reading more of the table than the settings allow.
pub fn lookup(
    filter: Option<&Expression>,
    scope: &Scope,
    source: &Source,
    settings: &Settings,
) -> Result<(Lookup, WindowStarts), StatementError> {
    let scans = settings.is_true("ksql.query.pull.table.scan.enabled", true);
    let Some(filter) = filter else {
        let all = (Lookup::Scan, WindowStarts::ALL);
        return if scans { Ok(all) } else { Err(refused("Missing WHERE clause", source.window.is_some())) };
    };
    let filter = taken_apart(filter, scope)?;
    let analysis = Analysis { source, settings, scans };
    let Some(disjuncts) = disjuncts(&filter) else { return analysis.search(&[]) };
    for disjunct in &disjuncts {
        if analysis.needs_scan(disjunct)? {
            return analysis.search(&disjuncts);
        }
    }
    let found = disjuncts.iter().map(|disjunct| analysis.found(disjunct)).collect::<Result<Vec<_>, _>>()?;
    let starts = found.iter().map(|found| found.starts).reduce(WindowStarts::or).unwrap_or(WindowStarts::ALL);
    let keys: Option<Vec<_>> = found.iter().map(|found| found.key.clone()).collect();
    let Some(mut keys) = keys else {
        let is_range = matches!(found.as_slice(), [one] if one.is_range);
        let ranges = settings.is_true("ksql.query.pull.range.scan.enabled", true) && source.window.is_none();
        return if is_range && ranges { Ok(analysis.ranged(&disjuncts)) } else { analysis.search(&disjuncts) };
    };
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(View::key_prefix(key)));
    Ok((Lookup::Keys(keys), starts))
}

/// Checks that a condition is made of comparisons, as where rows are looked up, and of nothing else.
///
/// # Errors
/// The first part that is something else.
pub fn check(filter: &Expression, scope: &Scope, source: &Source, settings: &Settings) -> Result<(), StatementError> {
    let filter = taken_apart(filter, scope)?;
    let analysis = Analysis { source, settings, scans: true };
    for disjunct in disjuncts(&filter).unwrap_or_default() {
        if analysis.needs_scan(&disjunct)? {
            break;
        }
    }
    Ok(())
}

/// The condition as comparisons, and what else there is.
fn taken_apart(filter: &Expression, scope: &Scope) -> Result<Expression, StatementError> {
    let filter = scope.flatten(&scope.qualify(filter, "WHERE")?);
    Ok(without_negations(&spelled_out(&rewrite_time_comparisons(&filter)?), false))
}

fn refused(message: &str, is_windowed: bool) -> StatementError {
    let windows = if is_windowed { WINDOWS_TOLD } else { "" };
    StatementError(format!("{message}. {HELP}{KEYS_WANTED}{windows}{SCANS_TOLD}"))
}

/// The condition with BETWEEN and IN as comparisons.
fn spelled_out(condition: &Expression) -> Expression {
    let compare = |operator, left: &Expression, right: &Expression| Expression::Comparison {
        operator,
        left: Box::new(left.clone()),
        right: Box::new(right.clone()),
    };
    let logical =
        |operator, left, right| Expression::Logical { operator, left: Box::new(left), right: Box::new(right) };
    match condition {
        Expression::Logical { operator, left, right } => logical(*operator, spelled_out(left), spelled_out(right)),
        Expression::Between { value, min, max } => logical(
            LogicalOperator::And,
            compare(ComparisonOperator::GreaterThanOrEqual, value, min),
            compare(ComparisonOperator::LessThanOrEqual, value, max),
        ),
        Expression::In { value, list } => {
            let alternatives = list.iter().map(|element| compare(ComparisonOperator::Equal, value, element));
            alternatives.reduce(|one, other| logical(LogicalOperator::Or, one, other)).unwrap_or(condition.clone())
        }
        Expression::Not(inner) => Expression::Not(Box::new(spelled_out(inner))),
        other => other.clone(),
    }
}

/// The condition with NOT only around what is compared. What else is negated tells nothing of keys either way.
fn without_negations(condition: &Expression, negated: bool) -> Expression {
    match condition {
        Expression::Logical { operator, left, right } => Expression::Logical {
            operator: match (operator, negated) {
                (LogicalOperator::And, true) => LogicalOperator::Or,
                (LogicalOperator::Or, true) => LogicalOperator::And,
                (operator, false) => *operator,
            },
            left: Box::new(without_negations(left, negated)),
            right: Box::new(without_negations(right, negated)),
        },
        Expression::Not(inner) => without_negations(inner, !negated),
        Expression::Comparison { .. } | Expression::Column(_) | Expression::Literal(Literal::Boolean(_)) if negated => {
            Expression::Not(Box::new(condition.clone()))
        }
        other => other.clone(),
    }
}

/// The condition as alternatives, each of which is a list of conditions that hold together; `None` for too many.
fn disjuncts(condition: &Expression) -> Option<Vec<Vec<Expression>>> {
    let Expression::Logical { operator, left, right } = condition else {
        return Some(vec![vec![condition.clone()]]);
    };
    let (mut left, right) = (disjuncts(left)?, disjuncts(right)?);
    match operator {
        LogicalOperator::Or => {
            left.extend(right);
            (left.len() <= DISJUNCTS_MAX).then_some(left)
        }
        LogicalOperator::And => {
            if left.len().saturating_mul(right.len()) > DISJUNCTS_MAX {
                return None;
            }
            let both = |one: &Vec<Expression>, other: &Vec<Expression>| [one.as_slice(), other.as_slice()].concat();
            Some(left.iter().flat_map(|one| right.iter().map(move |other| both(one, other))).collect())
        }
    }
}

/// The operator with its sides exchanged.
fn mirrored(operator: ComparisonOperator) -> ComparisonOperator {
    match operator {
        ComparisonOperator::LessThan => ComparisonOperator::GreaterThan,
        ComparisonOperator::LessThanOrEqual => ComparisonOperator::GreaterThanOrEqual,
        ComparisonOperator::GreaterThan => ComparisonOperator::LessThan,
        ComparisonOperator::GreaterThanOrEqual => ComparisonOperator::LessThanOrEqual,
        other => other,
    }
}

struct Analysis<'a> {
    source: &'a Source,
    settings: &'a Settings,
    /// Whether tables may be read as a whole.
    scans: bool,
}

/// What one alternative looks at that tells something of every key column.
struct Found {
    /// The key; `None` where the table has to be searched for it.
    key: Option<Vec<Value>>,
    /// Whether the keys are those of a range.
    is_range: bool,
    starts: WindowStarts,
}

/// What a comparison compares with what.
type Compared<'e> = (&'e ColumnReference, ComparisonOperator, &'e Expression);

/// The column of a comparison, with what it is compared with and how.
fn compared(condition: &Expression) -> Option<Compared<'_>> {
    let Expression::Comparison { operator, left, right } = condition else { return None };
    match (&**left, &**right) {
        (other, Expression::Column(column)) => Some((column, mirrored(*operator), other)),
        (Expression::Column(column), other) => Some((column, *operator, other)),
        _ => None,
    }
}

impl Analysis<'_> {
    /// Whether all of the table has to be looked at for an alternative, and may be. What tells nothing of a key only
    /// filters; without scans that is refused.
    fn needs_scan(&self, conditions: &[Expression]) -> Result<bool, StatementError> {
        let keys = self.source.schema.keys();
        let mut scan = false;
        let mut named = BTreeSet::new();
        for condition in conditions {
            match condition {
                Expression::Comparison { .. } => scan |= self.comparison(condition, &mut named)?,
                Expression::Like { value, pattern, .. } if matches!(**value, Expression::Column(_)) => {
                    if !matches!(**pattern, Expression::Literal(Literal::String(_) | Literal::Null)) {
                        let message = format!("Like condition on non-string pattern {pattern}");
                        return Err(refused(&message, self.is_windowed()));
                    }
                }
                Expression::Like { .. } => {
                    let message = "Like condition must be between strings";
                    self.scan(|| refused(message, self.is_windowed()))?;
                }
                other => return Err(refused(&format!("Unsupported expression in WHERE clause: {other}"), false)),
            }
        }
        if scan {
            return Ok(true);
        }
        if named.is_empty() {
            let shown = conditions.iter().map(ToString::to_string).reduce(|one, other| format!("({one} AND {other})"));
            let shown = shown.unwrap_or_default();
            let message = format!("WHERE clause missing key column for disjunct: {shown}");
            return self.scan(|| refused(&message, self.is_windowed()));
        }
        if named.len() == keys.len() {
            return Ok(false);
        }
        let named: Vec<_> = named.iter().map(|at| format!("`{}`", keys[*at].name)).collect();
        let message = format!(
            "Multi-column sources must specify every key in the WHERE clause. Specified: [{}] Expected: [{}]",
            named.join(", "),
            self.keys()
        );
        self.scan(|| refused(&message, self.is_windowed()))
    }

    /// As [`Analysis::needs_scan`] for a comparison; adds the key column that it is about.
    fn comparison(&self, condition: &Expression, named: &mut BTreeSet<usize>) -> Result<bool, StatementError> {
        let Some((column, operator, other)) = compared(condition) else {
            let message = "A comparison must directly reference a key column";
            return self.scan(|| refused(message, self.is_windowed())).map(|_| false);
        };
        if !free_columns(other).is_empty() {
            let message = "A comparison must be between a key column and a resolvable expression";
            return self.scan(|| refused(message, self.is_windowed())).map(|_| false);
        }
        let is_range_or_equal = !matches!(
            operator,
            ComparisonOperator::NotEqual | ComparisonOperator::IsDistinctFrom | ComparisonOperator::IsNotDistinctFrom
        );
        if WINDOW_BOUNDS.contains(&&*column.name) && self.source.window.is_some() {
            return match is_range_or_equal {
                true => Ok(false),
                false => Err(refused(&format!("Unsupported `{}` bounds: {}", column.name, operator.name()), true)),
            };
        }
        let Some(position) = self.key_position(column) else { return Ok(false) };
        let mut scan = false;
        if !is_range_or_equal {
            let message = format!("Bound on key columns '[{}]' must currently be '='", self.keys());
            scan = self.scan(|| refused(&message, self.is_windowed()))?;
        }
        if !named.insert(position) {
            let message = "A comparison condition on the key column cannot be combined with other comparisons such as an \
                IN predicate";
            self.scan(|| refused(message, self.is_windowed()))?;
        }
        Ok(scan)
    }

    /// Reads the table as a whole, or those keys of it that can be.
    fn search(&self, disjuncts: &[Vec<Expression>]) -> Result<(Lookup, WindowStarts), StatementError> {
        if self.scans { Ok(self.ranged(disjuncts)) } else { Err(StatementError::new(SCAN_WANTED)) }
    }

    /// The range in which all keys are that an alternative may mean, of keys that are one text.
    fn ranged(&self, disjuncts: &[Vec<Expression>]) -> (Lookup, WindowStarts) {
        let range_of = |conditions: &Vec<Expression>| {
            let mut range = TextRange::default();
            for (column, operator, other) in conditions.iter().filter_map(compared) {
                let [key] = self.source.schema.keys() else { continue };
                if key.name != column.name || !free_columns(other).is_empty() {
                    continue;
                }
                let value = strict_constant(other, &key.column_type, &key.name, OPERATION, self.settings);
                if let Ok(Value::String(text)) = value {
                    range.compared(operator, &text);
                }
            }
            range
        };
        let range = disjuncts.iter().map(range_of).reduce(TextRange::or).unwrap_or_default();
        let lookup = if range == TextRange::default() { Lookup::Scan } else { Lookup::Range(range) };
        (lookup, WindowStarts::ALL)
    }

    /// What an alternative looks at that tells something of every key column.
    fn found(&self, conditions: &[Expression]) -> Result<Found, StatementError> {
        let keys = self.source.schema.keys();
        let mut found: BTreeMap<usize, (ComparisonOperator, Value)> = BTreeMap::new();
        let mut bounds = Bounds::default();
        let mut starts = WindowStarts::ALL;
        for condition in conditions {
            let Some((column, operator, other)) = compared(condition) else { continue };
            if !free_columns(other).is_empty() {
                continue;
            }
            if self.source.window.is_some() && WINDOW_BOUNDS.contains(&&*column.name) {
                starts = self.window_bound(condition, &mut bounds, starts)?;
            }
            let Some(position) = self.key_position(column) else { continue };
            let value = self.key_value(condition, other, &keys[position])?;
            // Of several comparisons the first that tells the key decides.
            let is_equal = operator == ComparisonOperator::Equal;
            let known = found.get(&position);
            if known.is_none_or(|(known, _)| is_equal && *known != ComparisonOperator::Equal) {
                found.insert(position, (operator, value));
            }
        }
        let is_key = found.len() == keys.len() && found.values().all(|(known, _)| *known == ComparisonOperator::Equal);
        let is_ordered = matches!(keys, [key] if matches!(key.column_type, SqlType::String | SqlType::Bytes));
        Ok(Found {
            is_range: is_ordered && !is_key && !found.is_empty(),
            key: is_key.then(|| found.into_values().map(|(_, value)| value).collect()),
            starts,
        })
    }

    /// The windows of those that a comparison names, after those before it.
    fn window_bound(
        &self,
        condition: &Expression,
        bounds: &mut Bounds,
        starts: WindowStarts,
    ) -> Result<WindowStarts, StatementError> {
        let (Some((column, operator, other)), Some(window)) = (compared(condition), self.source.window) else {
            return Ok(starts);
        };
        let extractor = "pull query window bounds extractor";
        let value = strict_constant(other, &SqlType::Bigint, &column.name, extractor, self.settings)
            .map_err(|_| refused(BOUND_WANTED, true))?;
        let side = match operator {
            ComparisonOperator::LessThan | ComparisonOperator::LessThanOrEqual => ComparisonOperator::LessThan,
            ComparisonOperator::Equal => ComparisonOperator::Equal,
            _ => ComparisonOperator::GreaterThan,
        };
        let known = bounds.entry(column.name.clone()).or_default();
        let is_new = !known.contains(&side);
        known.push(side);
        if known.contains(&ComparisonOperator::Equal) && known.iter().any(|side| *side != ComparisonOperator::Equal) {
            let message = format!("`{condition}` cannot be combined with other `{}` bounds", column.name);
            return Err(refused(&message, true));
        }
        if !is_new {
            return Err(refused(&format!("Duplicate `{}` bounds on: {}", column.name, side.name()), true));
        }
        let Some(time) = value.as_i64() else { return Ok(starts) };
        Ok(match &*column.name == WINDOW_BOUNDS[0] {
            true => starts.start(operator, time),
            false => starts.end(operator, time, window),
        })
    }

    fn is_windowed(&self) -> bool {
        self.source.window.is_some()
    }

    /// The place of a column in the key.
    fn key_position(&self, column: &ColumnReference) -> Option<usize> {
        self.source.schema.keys().iter().position(|key| key.name == column.name)
    }

    /// The value of an expression as the key holds it.
    fn key_value(
        &self,
        condition: &Expression,
        expression: &Expression,
        key: &Column,
    ) -> Result<Value, StatementError> {
        let is_literal = matches!(expression, Expression::Literal(_));
        let found = strict_constant(expression, &key.column_type, &key.name, OPERATION, self.settings);
        match found {
            Ok(Value::Null) => Err(StatementError(format!("Primary key columns can not be NULL: {condition}"))),
            Err(_) if is_literal => {
                let evaluator = compile(expression, &[], self.settings)?;
                let value = evaluator.try_value(&[]).map_err(|cause| StatementError(cause.into_owned()))?;
                let shown = value.text(&evaluator.value_type.unwrap_or(SqlType::String));
                let (name, key_type) = (&key.name, &key.column_type);
                Err(StatementError(format!(
                    "'{shown}' can not be converted to the type of the key column: {name} {key_type} KEY"
                )))
            }
            other => other,
        }
    }

    /// The key columns as messages show them.
    fn keys(&self) -> String {
        self.source.schema.keys().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Whether the table is read as a whole for what would be refused otherwise.
    fn scan(&self, refusal: impl FnOnce() -> StatementError) -> Result<bool, StatementError> {
        if self.scans { Ok(true) } else { Err(refusal()) }
    }
}

/// What is known of the bounds of windows, by their names.
type Bounds = BTreeMap<Name, Vec<ComparisonOperator>>;
