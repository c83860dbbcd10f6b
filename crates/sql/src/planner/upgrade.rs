//! Which query may take the place of another that has run: one that keeps its state and its topics useful.
//!
//! What is selected and what is filtered may change. What is read, how it is keyed, grouped, windowed and joined may not,
//! since what has been remembered so far was remembered for that.

use crate::ast::SourceKind;
use crate::catalog::StatementError;
use crate::operators::aggregate::Aggregates;
use crate::planner::step::{Step, StepKind};

/// Checks that a query with the steps `new` may go on where one with the steps `old` stopped.
///
/// # Errors
/// The first step that differs in what must stay.
pub fn check_upgrade(old: &Step, new: &Step) -> Result<(), StatementError> {
    let (old, new) = (kept(old), kept(new));
    let name = name(old);
    if name == "ForeignKeyTableTableJoin" {
        return Err(StatementError(format!("Upgrades not yet supported for {name}")));
    }
    let same = |what: &str, one: String, other: String| {
        if one == other {
            return Ok(());
        }
        Err(StatementError(format!(
            "Query is not upgradeable. Plan step of type {name} must have matching {what}. Values differ: {one} vs. {other}"
        )))
    };
    same("class", name.to_owned(), self::name(new).to_owned())?;
    match (&old.kind, &new.kind) {
        (StepKind::Source(one), StepKind::Source(other)) => same("topicName", one.topic.clone(), other.topic.clone())?,
        (StepKind::Repartition { key: one, .. }, StepKind::Repartition { key: other, .. }) => {
            same("keyExpressions", texts(one), texts(other))?;
        }
        (StepKind::FlatMap { functions: one, .. }, StepKind::FlatMap { functions: other, .. }) => {
            same("tableFunctions", texts(one), texts(other))?;
        }
        (
            StepKind::Aggregate { aggregates: one, window: old_window, .. },
            StepKind::Aggregate { aggregates: other, window: new_window, .. },
        ) => {
            same("group by clause", texts(&one.key), texts(&other.key))?;
            same("windowExpression", format!("{old_window:?}"), format!("{new_window:?}"))?;
            same("aggregate functions", calls(one), calls(other))?;
        }
        (
            StepKind::StreamJoin { outer: one, window: old_window, .. },
            StepKind::StreamJoin { outer: other, window: new_window, .. },
        ) => {
            same("joinType", format!("{one:?}"), format!("{other:?}"))?;
            same("window", format!("{old_window:?}"), format!("{new_window:?}"))?;
        }
        (StepKind::StreamTableJoin { left: one, .. }, StepKind::StreamTableJoin { left: other, .. }) => {
            same("joinType", one.to_string(), other.to_string())?;
        }
        (StepKind::TableJoin { outer: one, .. }, StepKind::TableJoin { outer: other, .. }) => {
            same("joinType", format!("{one:?}"), format!("{other:?}"))?;
        }
        _ => {}
    }
    old.inputs().into_iter().zip(new.inputs()).try_for_each(|(old, new)| check_upgrade(old, new))
}

/// The first step that must stay: what filters and selects may come and go.
fn kept(step: &Step) -> &Step {
    match &step.kind {
        StepKind::Filter { input, .. } | StepKind::Project { input, .. } => kept(input),
        _ => step,
    }
}

fn calls(aggregates: &Aggregates) -> String {
    let calls: Vec<_> = aggregates.calls.iter().map(|call| call.text.as_str()).collect();
    format!("[{}]", calls.join(", "))
}

fn texts(evaluators: &[crate::operators::evaluator::Evaluator]) -> String {
    let texts: Vec<_> = evaluators.iter().map(|evaluator| evaluator.text()).collect();
    format!("[{}]", texts.join(", "))
}

/// The step as users of the language know it from messages.
fn name(step: &Step) -> &'static str {
    let stream = |step: &Step| step.schema.kind == SourceKind::Stream;
    match &step.kind {
        StepKind::Source(source) => match (source.kind, source.window) {
            (SourceKind::Stream, None) => "StreamSource",
            (SourceKind::Stream, Some(_)) => "WindowedStreamSource",
            (SourceKind::Table, None) => "TableSource",
            (SourceKind::Table, Some(_)) => "WindowedTableSource",
        },
        StepKind::Channel { .. } => "StreamSource",
        StepKind::Filter { .. } if stream(step) => "StreamFilter",
        StepKind::Filter { .. } => "TableFilter",
        StepKind::Project { .. } if stream(step) => "StreamSelect",
        StepKind::Project { .. } => "TableSelect",
        StepKind::FlatMap { .. } => "StreamFlatMap",
        StepKind::Repartition { .. } | StepKind::Rewrite { .. } | StepKind::AppendKey { .. } => "StreamSelectKey",
        StepKind::Aggregate { input, window, .. } => match window {
            _ if !stream(input) => "TableAggregate",
            None => "StreamAggregate",
            Some(_) => "StreamWindowedAggregate",
        },
        StepKind::StreamJoin { .. } => "StreamStreamJoin",
        StepKind::StreamTableJoin { .. } => "StreamTableJoin",
        StepKind::TableJoin { .. } => "TableTableJoin",
        // Plans have the join as one step, its parts are those of a query on Kafka.
        StepKind::ForeignKeyJoin { .. }
        | StepKind::Subscribe { .. }
        | StepKind::SubscriptionJoin { .. }
        | StepKind::LatestResult { .. } => "ForeignKeyTableTableJoin",
    }
}

/// Checks that `new` may replace the query of which `statement` is the text, if that can still be planned.
///
/// # Errors
/// As [`check_upgrade`].
pub fn check_replacement(
    statement: &str,
    new: &Step,
    catalog: &crate::catalog::Catalog,
    settings: &crate::catalog::Settings,
) -> Result<(), StatementError> {
    let types = |name: &str| catalog.custom_type(name).cloned();
    let Ok(crate::ast::Statement::CreateAsSelect(old)) = crate::parser::parse_one(statement, &types) else {
        return Ok(());
    };
    // What can no longer be planned keeps nothing that could be lost.
    match super::plan(&old.query, Some(&old.name), catalog, settings) {
        Ok(planned) => check_upgrade(&planned.step, new),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Settings;
    use crate::harness::engine::MemoryEngine;

    const BEFORE: &str = "
        CREATE STREAM s (k STRING KEY, a INT, b INT, l ARRAY<INT>) WITH (kafka_topic='s', value_format='JSON');
        CREATE STREAM r (k STRING KEY, a INT) WITH (kafka_topic='r', value_format='JSON');
        CREATE TABLE t (k STRING PRIMARY KEY, a INT, f STRING) WITH (kafka_topic='t', value_format='JSON');
        CREATE TABLE u (k STRING PRIMARY KEY, a INT) WITH (kafka_topic='u', value_format='JSON');
        CREATE STREAM plain AS SELECT k, a FROM s;
        CREATE STREAM keyed AS SELECT a, b FROM s PARTITION BY a;
        CREATE STREAM near AS SELECT s.k, s.a FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k;
        CREATE STREAM many AS SELECT k, EXPLODE(l) AS e FROM s;
        CREATE TABLE foreign AS SELECT t.k, u.a FROM t JOIN u ON t.f = u.k;
        CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";

    fn replace(query: &str) -> Result<(), String> {
        let mut engine = MemoryEngine::new(Settings::default());
        engine.execute(BEFORE).unwrap();
        engine.execute(&format!("CREATE OR REPLACE {query};")).map_err(|error| error.0)
    }

    #[test]
    fn what_is_selected_and_filtered_may_change() {
        for query in [
            "STREAM plain AS SELECT k, a, b FROM s",
            "STREAM plain AS SELECT k, a + 1 AS a FROM s WHERE b > 1",
            "STREAM keyed AS SELECT a, b, k FROM s WHERE b > 1 PARTITION BY a",
            "STREAM near AS SELECT s.k, s.a, s.b FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k WHERE s.b > 1",
            "TABLE counts AS SELECT k, COUNT(*) AS n FROM s WHERE a > 1 GROUP BY k HAVING COUNT(*) > 2",
        ] {
            assert_eq!(replace(query), Ok(()), "{query}");
        }
    }

    #[test]
    fn what_state_depends_on_must_stay() {
        for (query, message) in [
            ("STREAM plain AS SELECT k, a FROM r", "StreamSource must have matching topicName. Values differ: s vs. r"),
            ("STREAM keyed AS SELECT b, a FROM s PARTITION BY b", "Cannot upgrade data source"),
            ("STREAM near AS SELECT s.k, s.a FROM s JOIN r WITHIN 2 HOURS ON s.k = r.k", "matching window"),
            ("STREAM near AS SELECT s.k, s.a FROM s LEFT JOIN r WITHIN 1 HOUR ON s.k = r.k", "matching joinType"),
            ("STREAM near AS SELECT k, a AS s_a FROM s", "upgrade"),
            ("STREAM many AS SELECT k, EXPLODE(ARRAY[a]) AS e FROM s", "matching tableFunctions"),
            (
                "TABLE foreign AS SELECT t.k, u.a FROM t JOIN u ON t.f = u.k",
                "not yet supported for ForeignKeyTableTableJoin",
            ),
            ("TABLE counts AS SELECT k, COUNT(*) AS n, MAX(a) AS m FROM s GROUP BY k", "matching aggregate functions"),
            ("TABLE counts AS SELECT k, COUNT(a) AS n FROM s GROUP BY k", "matching aggregate functions"),
        ] {
            let error = replace(query).unwrap_err();
            assert!(error.contains(message), "{query}: {error}");
        }
    }
}
