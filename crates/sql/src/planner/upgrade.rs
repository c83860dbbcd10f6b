//! Which query may take the place of another that has run: one that keeps its state and its topics useful.
//!
//! What is selected and what is filtered may change. What is read, how it is keyed and grouped may not, since what has been
//! remembered so far was remembered for that. Joins, windows and aggregations of tables cannot be replaced at all.
//!
//! The steps of both plans are compared from the sink on, under the names and in the order in which users of the language
//! know them from messages: one step of a plan here may be several of theirs.

use crate::ast::{SourceKind, Statement};
use crate::catalog::{Catalog, Settings, Source, StatementError, alter};
use crate::operators::evaluator::Evaluator;
use crate::parser::parse_one;
use crate::planner::step::{Step, StepKind};
use crate::types::SqlType;

/// Before the names of steps where messages tell of another kind of step.
const KINDS: &str = "class io.confluent.ksql.execution.plan.";

/// A step of a plan as messages name it.
struct PlanStep {
    name: &'static str,
    role: Role,
}

/// What a step means for those that could take its place.
enum Role {
    /// May come and go.
    Passive,
    /// Its counterpart has the same properties.
    Matching(Vec<(&'static str, String)>),
    /// As [`Role::Matching`]; the end of the plan.
    Root(Vec<(&'static str, String)>),
    /// Has no counterpart; with the number of steps that it takes from.
    Unsupported(usize),
}

/// Checks that a query with the steps `new` may go on where one with the steps `old` stopped.
///
/// # Errors
/// The first step that differs in what must stay, or that cannot be replaced.
pub fn check_upgrade(old: &Step, new: &Step) -> Result<(), StatementError> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    plan(old, &mut one);
    plan(new, &mut other);
    compare(&one, &other)
}

/// Compares plans of which everything above may stay. Steps that may come and go are passed on both sides in turn, so that
/// one of them above a step that must stay counts as another step.
fn compare(one: &[PlanStep], other: &[PlanStep]) -> Result<(), StatementError> {
    let (Some((step, below)), Some(counterpart)) = (one.split_first(), other.first()) else { return Ok(()) };
    match &step.role {
        Role::Passive => compare(other, below),
        Role::Unsupported(_) => Err(unsupported(step)),
        Role::Matching(_) => {
            must_match(step, counterpart)?;
            compare(below, &other[1..])
        }
        Role::Root(_) => compare_root(step, other),
    }
}

/// Finds the counterpart of the end of a plan below steps that may come.
fn compare_root(root: &PlanStep, other: &[PlanStep]) -> Result<(), StatementError> {
    for step in other {
        if step.name == root.name {
            return must_match(root, step);
        }
        match step.role {
            Role::Passive => {}
            Role::Unsupported(inputs) if inputs > 1 => {
                return Err(StatementError::new(
                    "Query is not upgradeable. Cannot change a non-join source into a join source.",
                ));
            }
            Role::Root(_) | Role::Unsupported(0) => {
                return Err(StatementError(format!(
                    "Query is not upgradeable. The root source node of the upgrade tree must be {}, but was {KINDS}{}",
                    root.name, step.name
                )));
            }
            Role::Matching(_) | Role::Unsupported(_) => return Err(unsupported(step)),
        }
    }
    Ok(())
}

fn unsupported(step: &PlanStep) -> StatementError {
    StatementError(format!("Upgrades not yet supported for {}", step.name))
}

fn must_match(step: &PlanStep, counterpart: &PlanStep) -> Result<(), StatementError> {
    let differ = |what: &str, one: &str, other: &str| {
        Err(StatementError(format!(
            "Query is not upgradeable. Plan step of type {} must have matching {what}. Values differ: {one} vs. {other}",
            step.name
        )))
    };
    match (&step.role, &counterpart.role) {
        (Role::Matching(own), Role::Matching(theirs)) | (Role::Root(own), Role::Root(theirs))
            if step.name == counterpart.name =>
        {
            let different = own.iter().zip(theirs).find(|(own, theirs)| own != theirs);
            different.map_or(Ok(()), |((what, one), (_, other))| differ(what, one, other))
        }
        _ => differ("class", &format!("{KINDS}{}", step.name), &format!("{KINDS}{}", counterpart.name)),
    }
}

/// The steps of a plan from its end to its source, or to the first step that cannot be replaced.
fn plan(step: &Step, steps: &mut Vec<PlanStep>) {
    let stream = step.schema.kind == SourceKind::Stream;
    let mut add = |name, role| steps.push(PlanStep { name, role });
    let input = match &step.kind {
        StepKind::Source(source) => return add(source_name(source), source_role(source)),
        StepKind::Filter { input, .. } => {
            add(if stream { "StreamFilter" } else { "TableFilter" }, Role::Passive);
            input
        }
        StepKind::Project { input, .. } => {
            add(if stream { "StreamSelect" } else { "TableSelect" }, Role::Passive);
            input
        }
        StepKind::FlatMap { .. } => return add("StreamFlatMap", Role::Unsupported(1)),
        StepKind::Repartition { input, key, .. } => {
            add("StreamSelectKey", Role::Matching(vec![("keyExpressions", texts(key))]));
            input
        }
        StepKind::Aggregate { window: Some(_), .. } => return add("StreamWindowedAggregate", Role::Unsupported(1)),
        StepKind::Aggregate { input, .. } if input.schema.kind == SourceKind::Table => {
            return add("TableAggregate", Role::Unsupported(1));
        }
        StepKind::Aggregate { input, aggregates, takes, repartition, .. } => {
            let columns: Vec<String> = takes.columns.iter().map(|name| format!("`{name}`")).collect();
            let properties = vec![
                ("columns not part of aggregate", format!("[{}]", columns.join(", "))),
                ("aggregate functions", format!("[{}]", takes.calls.join(", "))),
            ];
            add("StreamAggregate", Role::Matching(properties));
            match repartition {
                true => add("StreamGroupBy", Role::Matching(vec![("group by clause", texts(&aggregates.key))])),
                false => add("StreamGroupByKey", Role::Matching(Vec::new())),
            }
            add("StreamSelect", Role::Passive);
            input
        }
        StepKind::StreamJoin { .. } => return add("StreamStreamJoin", Role::Unsupported(2)),
        StepKind::StreamTableJoin { .. } => return add("StreamTableJoin", Role::Unsupported(2)),
        StepKind::TableJoin { .. } => return add("TableTableJoin", Role::Unsupported(2)),
        // Whole queries have the join as one step; its parts, and what else is only there below joins, are not reached.
        StepKind::ForeignKeyJoin { .. }
        | StepKind::Subscribe { .. }
        | StepKind::SubscriptionJoin { .. }
        | StepKind::LatestResult { .. }
        | StepKind::Channel { .. }
        | StepKind::Rewrite { .. }
        | StepKind::AppendKey { .. } => return add("ForeignKeyTableTableJoin", Role::Unsupported(2)),
    };
    plan(input, steps);
}

fn source_name(source: &Source) -> &'static str {
    match (source.kind, source.window) {
        (SourceKind::Stream, None) => "StreamSource",
        (SourceKind::Stream, Some(_)) => "WindowedStreamSource",
        (SourceKind::Table, None) => "TableSource",
        (SourceKind::Table, Some(_)) => "WindowedTableSource",
    }
}

fn source_role(source: &Source) -> Role {
    if source.window.is_some() {
        return Role::Unsupported(0);
    }
    Role::Root(vec![
        ("topicName", source.topic.clone()),
        ("formats", alter::formats(source).join("; ")),
        ("timestampColumn", alter::timestamp_text(source)),
    ])
}

fn texts(evaluators: &[Evaluator]) -> String {
    let texts: Vec<_> = evaluators.iter().map(Evaluator::text).collect();
    format!("[{}]", texts.join(", "))
}

/// The id under which `new` goes on where the query `old` was, if it may replace that. It begins anew where what has been
/// remembered means something else: tables remember rows as they were read, which had other columns at the time.
///
/// # Errors
/// A query that may not be replaced by `new`.
pub fn continued(
    old: Option<&str>,
    new: &Step,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Option<String>, StatementError> {
    let Some(old) = old.and_then(|id| catalog.queries().find(|query| query.id == id)) else { return Ok(None) };
    let types = |name: &str| catalog.custom_type(name).cloned();
    let Ok(Statement::CreateAsSelect(create)) = parse_one(&old.statement, &types) else { return Ok(None) };
    // What can no longer be planned keeps nothing that could be lost.
    let Ok(planned) = super::plan(&create.query, Some(&create.name), catalog, settings) else { return Ok(None) };
    check_upgrade(&planned.step, new)?;
    let is_table = new.sources().iter().any(|source| source.kind == SourceKind::Table);
    let reads_same = new.sources().into_iter().map(|source| &source.schema).eq(&old.read);
    let means_same = (!is_table || reads_same) && aggregated(&planned.step) == aggregated(new);
    Ok(means_same.then(|| old.id.clone()))
}

/// The types of what is aggregated.
fn aggregated(step: &Step) -> Vec<Option<SqlType>> {
    let own = match &step.kind {
        StepKind::Aggregate { aggregates, .. } => {
            let arguments = aggregates.calls.iter().flat_map(|call| &call.arguments);
            arguments.map(|argument| argument.value_type.clone()).collect()
        }
        _ => Vec::new(),
    };
    own.into_iter().chain(step.inputs().into_iter().flat_map(aggregated)).collect()
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
        CREATE STREAM filtered AS SELECT k, a FROM s WHERE a > 1;
        CREATE STREAM keyed AS SELECT a, b FROM s PARTITION BY a;
        CREATE STREAM near AS SELECT s.k, s.a FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k;
        CREATE STREAM beside AS SELECT s.k, s.a FROM s JOIN t ON s.k = t.k;
        CREATE STREAM many AS SELECT k, EXPLODE(l) AS e FROM s;
        CREATE TABLE copied AS SELECT k, a FROM t;
        CREATE TABLE foreign AS SELECT t.k, u.a FROM t JOIN u ON t.f = u.k;
        CREATE TABLE both AS SELECT t.k, u.a FROM t JOIN u ON t.k = u.k;
        CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
        CREATE TABLE sums AS SELECT k, SUM(a + 1) AS n FROM s GROUP BY k;
        CREATE TABLE windows AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k;
        CREATE TABLE last AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k EMIT FINAL;
        CREATE TABLE groups AS SELECT a, COUNT(*) AS n FROM t GROUP BY a;";

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
            "STREAM filtered AS SELECT k, a FROM s",
            "STREAM filtered AS SELECT k, a FROM s WHERE b > 1",
            "STREAM keyed AS SELECT a, b, k FROM s WHERE b > 1 PARTITION BY a",
            "TABLE copied AS SELECT k, a FROM t WHERE a > 1",
            "TABLE counts AS SELECT k, COUNT(*) AS n FROM s WHERE rowtime > 1 GROUP BY k",
            "TABLE counts AS SELECT k, COUNT(*) AS n, AS_VALUE(k) AS k2 FROM s GROUP BY k",
            "TABLE sums AS SELECT k, SUM(a + 2) AS n FROM s GROUP BY k",
        ] {
            assert_eq!(replace(query), Ok(()), "{query}");
        }
    }

    #[test]
    fn what_state_depends_on_must_stay() {
        for (query, message) in [
            ("STREAM plain AS SELECT k, a FROM r", "StreamSource must have matching topicName. Values differ: s vs. r"),
            ("STREAM plain AS SELECT k, EXPLODE(l) AS a FROM s", "Upgrades not yet supported for StreamFlatMap"),
            (
                "STREAM plain AS SELECT s.k AS k, s.a AS a FROM s JOIN t ON s.k = t.k",
                "a non-join source into a join source.",
            ),
            (
                "STREAM plain AS SELECT UCASE(k) AS k, a FROM s PARTITION BY UCASE(k)",
                "Upgrades not yet supported for StreamSelectKey",
            ),
            ("STREAM keyed AS SELECT b, a FROM s PARTITION BY b", "Cannot upgrade data source"),
            (
                "STREAM keyed AS SELECT b AS a, a AS b FROM s PARTITION BY b",
                "StreamSelectKey must have matching keyExpressions. Values differ: [A] vs. [B]",
            ),
            (
                "TABLE counts AS SELECT k, COUNT(*) AS n FROM s WHERE a > 1 GROUP BY k",
                "StreamAggregate must have matching columns not part of aggregate. Values differ: [`K`, `ROWTIME`] vs. \
                 [`K`, `ROWTIME`, `A`]",
            ),
            (
                "TABLE counts AS SELECT k, COUNT(*) AS n, MAX(k) AS m FROM s GROUP BY k",
                "matching aggregate functions. Values differ: [COUNT(ROWTIME)] vs. [COUNT(ROWTIME), MAX(K)]",
            ),
            (
                "TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k HAVING COUNT(*) > 2",
                "StreamAggregate must have matching class. Values differ: class \
                 io.confluent.ksql.execution.plan.StreamAggregate vs. class io.confluent.ksql.execution.plan.TableFilter",
            ),
            ("TABLE copied AS SELECT a AS k, COUNT(*) AS a FROM t GROUP BY a", "Key columns must be identical"),
        ] {
            let error = replace(query).unwrap_err();
            assert!(error.contains(message), "{query}: {error}");
        }
    }

    #[test]
    fn joins_windows_and_grouped_tables_stay() {
        for (query, step) in [
            ("STREAM near AS SELECT s.k, s.a FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k", "StreamStreamJoin"),
            ("STREAM beside AS SELECT s.k, s.a FROM s JOIN t ON s.k = t.k", "StreamTableJoin"),
            ("STREAM many AS SELECT k, EXPLODE(l) AS e FROM s", "StreamFlatMap"),
            ("TABLE foreign AS SELECT t.k, u.a FROM t JOIN u ON t.f = u.k", "ForeignKeyTableTableJoin"),
            ("TABLE both AS SELECT t.k, u.a FROM t JOIN u ON t.k = u.k", "TableTableJoin"),
            (
                "TABLE windows AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k",
                "StreamWindowedAggregate",
            ),
            (
                "TABLE last AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k EMIT FINAL",
                "StreamWindowedAggregate",
            ),
            ("TABLE groups AS SELECT a, COUNT(*) AS n FROM t GROUP BY a", "TableAggregate"),
        ] {
            let error = replace(query).unwrap_err();
            assert!(error.starts_with(&format!("Upgrades not yet supported for {step}\n")), "{query}: {error}");
        }
    }
}
