//! Pull queries over tables: what of the table's state they have to look at, and what they show of it.
//!
//! What they look at [`super::condition`] decides; rows that were found are tested with the whole condition.

use crate::ast::{Expression, Query, SelectItem};
use crate::catalog::define::WINDOW_BOUNDS;
use crate::catalog::schema::{Column, Namespace};
use crate::catalog::{Catalog, Settings, Source, StatementError};
use crate::operators::evaluator::Evaluator;
use crate::operators::{ProcessingLog, Row};
use crate::planner::condition::{self, lookup};
use crate::planner::lookup::{Lookup, WindowStarts};
use crate::planner::scope::{Scope, free_columns};
use crate::planner::step::{Step, StepKind};
use crate::planner::view::ViewRow;
use crate::value::Value;

/// Where users find out more, and what they may have meant.
pub(super) const HELP: &str =
    " See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.";
/// Whether there are pull queries at all.
const ENABLED: &str = "ksql.pull.queries.enable";

/// A pull query over a table.
pub struct PullQuery {
    /// The table.
    pub source: Source,
    /// What to look at.
    pub lookup: Lookup,
    /// Which windows of keys that are looked up.
    pub starts: WindowStarts,
    /// How many rows there are at most.
    pub limit: Option<usize>,
    /// The columns of the result.
    pub schema: Vec<Column>,
    filter: Option<Evaluator>,
    columns: Vec<Evaluator>,
}

/// Refuses what pull queries cannot have.
///
/// # Errors
/// The first clause that cannot be.
pub fn check_clauses(query: &Query, settings: &Settings) -> Result<(), StatementError> {
    if !settings.is_true(ENABLED, true) {
        return Err(StatementError(format!(
            "Pull queries are disabled.{HELP}\nPlease set {ENABLED}=true to enable this feature.\n"
        )));
    }
    let refused = [
        (query.from.sources().len() > 1, "JOIN clauses"),
        (query.window.is_some(), "WINDOW clauses"),
        (query.group_by.is_some() || super::selects_aggregate(query), "GROUP BY clauses"),
        (query.partition_by.is_some(), "PARTITION BY clauses"),
        (query.having.is_some(), "HAVING clauses"),
    ];
    if let Some((_, what)) = refused.iter().find(|(has, _)| *has) {
        return Err(StatementError(format!("Pull queries don't support {what}.{HELP}")));
    }
    if query.limit.is_some() && !settings.is_true("ksql.query.pull.limit.clause.enabled", true) {
        return Err(StatementError(format!(
            "LIMIT clause in pull queries is currently disabled. You can enable them by setting \
             ksql.query.pull.limit.clause.enabled=true.{HELP}"
        )));
    }
    if query.limit.is_some_and(|limit| limit < 0) {
        return Err(StatementError(format!("Pull queries don't support negative integers in the LIMIT clause.{HELP}")));
    }
    Ok(())
}

/// Plans a pull query over the table that it reads. The table has to be one whose rows are kept.
///
/// # Errors
/// Everything that the query cannot mean, and reading more of the table than the settings allow.
pub fn plan(query: &Query, catalog: &Catalog, settings: &Settings) -> Result<PullQuery, StatementError> {
    check_clauses(query, settings)?;
    let scope = Scope::new(&query.from, catalog)?;
    let source = scope.sources.first().map(|source| source.source.clone());
    let source = source.ok_or_else(|| StatementError::new("A query needs a source."))?;
    check_columns(query, &source)?;
    let planned = super::plan(query, None, catalog, settings).map_err(|error| with_condition(error, query))?;
    let keys = source.schema.keys();
    let is_key = |name: &str| {
        keys.iter().any(|key| &*key.name == name) || (source.window.is_some() && WINDOW_BOUNDS.contains(&name))
    };
    let schema: Vec<Column> = planned
        .selected
        .iter()
        .map(|column| match is_key(&column.name) {
            true => Column::key(column.name.clone(), column.column_type.clone()),
            false => Column::value(column.name.clone(), column.column_type.clone()),
        })
        .collect();
    let (columns, filter) = evaluators(&planned.step)?;
    let is_star = query.select.iter().any(|item| matches!(item, SelectItem::All { .. }));
    let (schema, columns) = if is_star { headers_first(schema, columns, &source) } else { (schema, columns) };
    let (lookup, starts) = lookup(query.filter.as_ref(), &scope, &source, settings)?;
    check_star(query, "Pull")?;
    let limit = query.limit.map(|limit| usize::try_from(limit).unwrap_or(0));
    Ok(PullQuery { source, lookup, starts, limit, schema, filter, columns })
}

/// Refuses what push queries cannot have that only see the new rows of another query's result.
///
/// # Errors
/// A star beside other columns, a condition that is not made of comparisons.
pub fn check_scalable(query: &Query, catalog: &Catalog, settings: &Settings) -> Result<(), StatementError> {
    let scope = Scope::new(&query.from, catalog)?;
    if let (Some(filter), Some(source)) = (&query.filter, scope.sources.first()) {
        condition::check(filter, &scope, &source.source, settings)?;
    }
    check_star(query, "Scalable push")
}

fn check_star(query: &Query, kind: &str) -> Result<(), StatementError> {
    let is_star = |item: &SelectItem| matches!(item, SelectItem::All { .. });
    if query.select.len() < 2 || !query.select.iter().any(is_star) {
        return Ok(());
    }
    Err(StatementError(format!(
        "{kind} queries only support wildcards in the projects if they are the only expression"
    )))
}

/// The columns of a star with those of headers before those of the value.
fn headers_first(schema: Vec<Column>, columns: Vec<Evaluator>, source: &Source) -> (Vec<Column>, Vec<Evaluator>) {
    let rank = |column: &Column| match column.namespace {
        Namespace::Key => 0,
        _ if source.schema.headers().any(|header| header.name == column.name) => 1,
        _ => 2,
    };
    let mut both: Vec<_> = schema.into_iter().zip(columns).collect();
    both.sort_by_key(|(column, _)| rank(column));
    both.into_iter().unzip()
}

impl PullQuery {
    /// The row of the result for a row of the table; `None` for one that the condition leaves out.
    pub fn row(&self, found: &ViewRow, log: &dyn ProcessingLog) -> Option<Vec<Value>> {
        let row = self.source_row(found);
        if self.filter.as_ref().is_some_and(|filter| !filter.holds(&row, log)) {
            return None;
        }
        Some(self.columns.iter().map(|column| column.value(&row, log)).collect())
    }

    /// The row as queries over the table see it: values, pseudo columns, keys, the bounds of the window.
    fn source_row(&self, found: &ViewRow) -> Row {
        let pseudo = [Value::Bigint(found.timestamp), Value::Null, Value::Null];
        let keys = found.key.columns.iter().flat_map(|columns| columns.iter().cloned());
        let bounds =
            found.key.window.into_iter().flat_map(|window| [Value::Bigint(window.start), Value::Bigint(window.end)]);
        found.row.iter().cloned().chain(pseudo).chain(keys).chain(bounds).collect()
    }
}

/// What is wrong with a condition, with the comparison that is to blame.
fn with_condition(error: StatementError, query: &Query) -> StatementError {
    let (true, Some(filter)) = (error.0.starts_with("Error in WHERE expression"), &query.filter) else { return error };
    let mut blamed = None;
    filter.walk(&mut |part| {
        if let Expression::Comparison { left, right, .. } = part
            && error.0.contains(&format!("Cannot compare {left} ("))
            && error.0.contains(&format!(" to {right} ("))
        {
            blamed = Some(part.to_string());
        }
    });
    StatementError(format!("{}\nStatement: {}", error.0, blamed.unwrap_or_else(|| filter.to_string())))
}

/// Refuses columns that only records have, and bounds of windows that are not there.
///
/// # Errors
/// The first of them.
pub fn check_columns(query: &Query, source: &Source) -> Result<(), StatementError> {
    let selected = query.select.iter().filter_map(|item| match item {
        SelectItem::Expression { expression, .. } => Some(expression),
        SelectItem::StructAll { base, .. } => Some(base),
        SelectItem::All { .. } => None,
    });
    let clauses = [("SELECT", selected.collect::<Vec<_>>()), ("WHERE", query.filter.iter().collect())];
    for (clause, expressions) in clauses {
        let mut of_records: Vec<String> = Vec::new();
        for column in expressions.iter().flat_map(|expression| free_columns(expression)) {
            let name = &*column.name;
            if source.schema.find(name).is_some() {
                continue;
            }
            if matches!(name, "ROWPARTITION" | "ROWOFFSET") && !of_records.contains(&format!("`{name}`")) {
                of_records.push(format!("`{name}`"));
            }
            if WINDOW_BOUNDS.contains(&name) && source.window.is_none() {
                let place = column.location.prefix();
                return Err(StatementError(format!("{place}{clause} column '{column}' cannot be resolved.")));
            }
        }
        if !of_records.is_empty() {
            return Err(StatementError(format!(
                "Pull queries don't support the following columns in {clause} clauses: {}\n{HELP}",
                of_records.join(", ")
            )));
        }
    }
    Ok(())
}

/// What the plan computes: the columns of the result, and the condition.
fn evaluators(step: &Step) -> Result<(Vec<Evaluator>, Option<Evaluator>), StatementError> {
    let unsupported = || StatementError(format!("Pull queries don't support table functions.{HELP}"));
    let StepKind::Project { input, columns } = &step.kind else { return Err(unsupported()) };
    match &input.kind {
        StepKind::Source(_) => Ok((columns.clone(), None)),
        StepKind::Filter { input, predicate } if matches!(input.kind, StepKind::Source(_)) => {
            Ok((columns.clone(), Some(predicate.clone())))
        }
        _ => Err(unsupported()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ast::{ComparisonOperator, Statement};
    use crate::catalog::define::define;
    use crate::formats::registry::{MemoryRegistry, SchemaRegistry};
    use crate::parser::parse_one;
    use crate::planner::lookup::Place;
    use crate::planner::view::View;

    fn planned(sql: &str, scans: bool) -> Result<PullQuery, StatementError> {
        planned_with(sql, &[("ksql.query.pull.table.scan.enabled", if scans { "true" } else { "false" })])
    }

    fn planned_with(sql: &str, properties: &[(&str, &str)]) -> Result<PullQuery, StatementError> {
        let mut catalog = Catalog::default();
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        for text in [
            "CREATE TABLE t (id STRING PRIMARY KEY, n INT) WITH (kafka_topic='t', partitions=1, value_format='JSON');",
            "CREATE TABLE m (a INT PRIMARY KEY, b STRING PRIMARY KEY, n INT) WITH (kafka_topic='m', partitions=1, format='JSON');",
            "CREATE TABLE w (id BIGINT PRIMARY KEY, n INT) WITH (kafka_topic='w', partitions=1, value_format='JSON', window_type='SESSION');",
        ] {
            let Statement::CreateSource(create) = parse_one(text, &|_| None).unwrap() else { panic!("{text}") };
            catalog.put_source(define(&create, text, &Settings::default(), &registry).unwrap());
        }
        let Statement::Query(query) = parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
        let mut settings = Settings::default();
        for (name, value) in properties {
            settings.set(*name, *value);
        }
        plan(&query, &catalog, &settings)
    }

    fn keys(sql: &str) -> Vec<Vec<Value>> {
        match planned(sql, false).unwrap().lookup {
            Lookup::Keys(keys) => keys,
            Lookup::Range(_) | Lookup::Scan => panic!("{sql} reads more than keys"),
        }
    }

    fn refusal(sql: &str) -> String {
        assert!(!matches!(planned(sql, true).unwrap().lookup, Lookup::Keys(_)), "{sql}");
        planned(sql, false).err().unwrap().0
    }

    #[test]
    fn conditions_tell_keys() {
        let text = |text: &str| vec![Value::string(text)];
        assert_eq!(keys("SELECT * FROM t WHERE id = 'a';"), [text("a")]);
        assert_eq!(keys("SELECT * FROM t WHERE n > 3 AND 'a' = id;"), [text("a")]);
        assert_eq!(
            keys("SELECT * FROM t WHERE id IN ('a', 'b', 'a') OR id = CONCAT('b', 'c');"),
            [text("a"), text("b"), text("bc")]
        );
        assert_eq!(
            keys("SELECT * FROM m WHERE b = 'x' AND a IN (1, 2);"),
            [vec![Value::Int(1), Value::string("x")], vec![Value::Int(2), Value::string("x")]]
        );
        assert_eq!(keys("SELECT * FROM w WHERE id = 1 AND windowstart > '2020-01-01';"), [vec![Value::Bigint(1)]]);
    }

    #[test]
    fn other_conditions_need_to_read_everything() {
        assert!(refusal("SELECT * FROM t;").contains("Missing WHERE clause"));
        assert!(refusal("SELECT * FROM t WHERE n = 1;").contains("missing key column for disjunct: (N = 1)"));
        assert!(refusal("SELECT * FROM t WHERE id = 'a' OR n = 1;").contains("missing key column"));
        assert!(refusal("SELECT * FROM t WHERE id != 'a';").contains("'[`ID` STRING KEY]' must currently be '='. "));
        assert!(refusal("SELECT * FROM t WHERE id LIKE 'a%';").contains("missing key column for disjunct: (ID LIKE"));
        assert!(refusal("SELECT * FROM t WHERE LCASE(id) = 'a';").contains("must directly reference a key column"));
        assert!(refusal("SELECT * FROM t WHERE id > 'a' OR id = 'b';").contains("Query requires table scan"));
        assert!(refusal("SELECT * FROM m WHERE a > 1 AND b = 'x';").contains("Query requires table scan"));
        assert!(refusal("SELECT * FROM w WHERE id > 1;").contains("Query requires table scan"));
        let twice = planned("SELECT * FROM t WHERE id > 'a' AND id < 'b';", false).err().unwrap().0;
        assert!(twice.contains("cannot be combined with other comparisons such as an IN predicate. "), "{twice}");
        assert!(refusal("SELECT * FROM m WHERE a = n;").contains("between a key column and a resolvable expression."));
        assert!(refusal("SELECT * FROM m WHERE a = 1;").contains("Specified: [`A`] Expected: [`A` INTEGER KEY, `B`"));
        assert!(refusal("SELECT * FROM m WHERE a > 1;").contains("Specified: [`A`] Expected: [`A` INTEGER KEY, `B`"));
    }

    #[test]
    fn what_pull_queries_cannot_is_refused() {
        let message = |sql: &str| planned(sql, true).err().unwrap().0;
        assert!(message("SELECT id, COUNT(*) FROM t GROUP BY id;").contains("don't support GROUP BY clauses. See"));
        assert!(message("SELECT * FROM t JOIN m ON t.n = m.a;").contains("don't support JOIN clauses."));
        assert!(
            message("SELECT * FROM t WHERE windowend = 1;").contains("WHERE column 'WINDOWEND' cannot be resolved")
        );
        assert!(message("SELECT * FROM t WHERE n = 1 AND id = 1;").ends_with("with EQUAL.\nStatement: (ID = 1)"));
        assert_eq!(
            message("SELECT * FROM w WHERE id IN (1, '2');"),
            "'2' can not be converted to the type of the key column: ID BIGINT KEY"
        );
        assert!(
            planned_with("SELECT * FROM t;", &[("ksql.pull.queries.enable", "false")])
                .err()
                .unwrap()
                .0
                .starts_with("Pull queries are disabled. See https://cnfl.io/queries")
        );
        assert!(message("SELECT rowoffset FROM t;").contains("columns in SELECT clauses: `ROWOFFSET`"));
        assert!(message("SELECT * FROM t WHERE id = CAST(NULL AS STRING);").contains("can not be NULL"));
        assert!(message("SELECT * FROM t LIMIT -1;").contains("don't support negative integers in the LIMIT clause."));
        assert!(message("SELECT *, n AS x FROM t;").contains("only support wildcards"));
        for condition in ["id IS NOT NULL", "NOT (id = 'a')", "n NOT IN (1, 2)", "id = 'a' AND n IS NULL"] {
            let refused = message(&format!("SELECT * FROM t WHERE {condition};"));
            assert!(refused.starts_with("Unsupported expression in WHERE clause: ("), "{refused}");
        }
        assert!(message("SELECT * FROM t WHERE id LIKE CONCAT('a', '%');").starts_with("Like condition on non-string"));
        assert!(message("SELECT COUNT(*) FROM t;").starts_with("Pull queries don't support GROUP BY clauses."));
        assert!(message("SELECT * FROM w WHERE id = 1.0;").starts_with("'1.0' can not be converted to the type of"));
        assert!(message("SELECT * FROM w WHERE id = 1 + 1.5;").starts_with("Expected type BIGINT for field `ID`"));
    }

    #[test]
    fn bounds_of_windows_are_told_once() {
        let message = |rest: &str| planned(&format!("SELECT * FROM w WHERE id = 1 AND {rest};"), true).err().unwrap().0;
        assert!(message("windowstart != 5").starts_with("Unsupported `WINDOWSTART` bounds: NOT_EQUAL. "));
        assert!(
            message("windowend > 5 AND 6 <= windowend").starts_with("Duplicate `WINDOWEND` bounds on: GREATER_THAN")
        );
        assert!(
            message("windowstart = 5 AND windowstart < 6")
                .starts_with("`(WINDOWSTART < 6)` cannot be combined with other `WINDOWSTART` bounds. ")
        );
        assert!(message("windowstart > 1.5").starts_with("Window bounds must resolve to an INT, BIGINT, or STRING"));
    }

    #[test]
    fn keys_are_known_by_their_names() {
        let shown = |sql: &str| {
            let schema = planned(sql, true).unwrap().schema;
            schema.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            shown("SELECT * FROM w;"),
            "`ID` BIGINT KEY, `WINDOWSTART` BIGINT KEY, `WINDOWEND` BIGINT KEY, `N` INTEGER"
        );
        assert_eq!(shown("SELECT n, id AS x, rowtime FROM w;"), "`N` INTEGER, `X` BIGINT, `ROWTIME` BIGINT");
    }

    #[test]
    fn ranges_of_texts_are_all_that_is_read() {
        let range =
            |condition: &str| match planned(&format!("SELECT * FROM t WHERE {condition};"), true).unwrap().lookup {
                Lookup::Range(range) => range,
                other => panic!("{condition}: {other:?}"),
            };
        let key = |text: &str| View::key_prefix(&[Value::string(text)]);
        for condition in [
            "id > 'b' AND id <= 'd'",
            "'b' < id AND 'd' >= id",
            "id BETWEEN 'b' AND 'd'",
            "id IN ('b') OR id > 'c' AND id < 'd'",
        ] {
            let range = range(condition);
            assert_eq!(range.place(&key("c")), Place::Inside, "{condition}");
            assert!(matches!(range.place(&key("a")), Place::Before(_)), "{condition}");
            assert!(matches!(range.place(&key("e")), Place::Before(_)), "{condition}");
        }
        assert_eq!(planned("SELECT * FROM t WHERE id < 'b' OR id > 'd';", true).unwrap().lookup, Lookup::Scan);
        assert_eq!(planned("SELECT * FROM t WHERE id > 'b' OR n = 1;", true).unwrap().lookup, Lookup::Scan);
    }

    #[test]
    fn bounds_of_windows_narrow_what_is_read_of_a_key() {
        let starts = |condition: &str| planned(&format!("SELECT * FROM w WHERE {condition};"), true).unwrap().starts;
        let expected = WindowStarts::ALL.start(ComparisonOperator::GreaterThan, 5);
        assert_eq!(starts("id = 1 AND windowstart > 5"), expected);
        assert_eq!(starts("id = 1 AND 5 < windowstart"), expected);
        assert_eq!(starts("id = 1 AND windowend < 9"), WindowStarts::ALL.start(ComparisonOperator::LessThan, 9));
        assert_eq!(starts("id = 1 AND windowstart > 5 OR id = 2 AND windowstart >= 8"), expected);
        assert_eq!(starts("id = 1 AND windowstart > 5 OR id = 2"), WindowStarts::ALL);
        assert_eq!(starts("id = 1 AND windowstart + 1000 = windowend"), WindowStarts::ALL);
        let day = WindowStarts::ALL.start(ComparisonOperator::Equal, 1_577_836_800_000);
        assert_eq!(starts("id = 1 AND windowstart = '2020-01-01'"), day);
    }
}
