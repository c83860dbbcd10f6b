//! The plan of a query as text: its steps from the sink to the sources, and its parts with the topics around them.

use std::fmt::Write as _;

use milena_sql::ast::Name;
use milena_sql::planner::step::{Step, StepKind};
use milena_sql::planner::topology::{Output, parts};

const SINK: &str = "SINK";
const PROJECT: &str = "PROJECT";

/// The steps, one a line, each below what it feeds. `sink` is the name of what the query writes.
pub fn execution_plan(step: &Step, id: &str, sink: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(sink) = sink {
        line(&mut text, 0, SINK, step, id, sink);
    }
    below(&mut text, step, usize::from(sink.is_some()), id);
    text
}

fn below(text: &mut String, step: &Step, depth: usize, id: &str) {
    let (name, logger) = names(&step.kind);
    line(text, depth, name, step, id, logger);
    for input in step.inputs() {
        below(text, input, depth + 1, id);
    }
}

fn line(text: &mut String, depth: usize, name: &str, step: &Step, id: &str, logger: &str) {
    let indent = if depth == 0 { String::new() } else { "\t".repeat(depth + 1) };
    let name_of = |names: &[Name]| names.first().map_or_else(String::new, ToString::to_string);
    let key = step.schema.key.iter().map(|key| format!("{} {} KEY", name_of(&key.names), key.column_type));
    // The values of what is written do not hold its key once more.
    let is_result = matches!(name, SINK | PROJECT);
    let is_key = |name: &Name| is_result && step.schema.key.iter().any(|key| key.names.contains(name));
    let row = step.schema.row.iter().filter(|column| !is_key(&column.name));
    let row = row.map(|column| format!("{} {}", column.name, column.column_type));
    let columns: Vec<String> = key.chain(row).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{indent} > [ {name} ] | Schema: {} | Logger: {id}.{logger}", columns.join(", "));
}

/// What a step is called in plans, and in the names of its loggers.
fn names(kind: &StepKind) -> (&'static str, &'static str) {
    match kind {
        StepKind::Source(_) => ("SOURCE", "KsqlTopic.Source"),
        StepKind::Channel { .. } => ("SOURCE", "Channel.Source"),
        StepKind::Filter { .. } => ("FILTER", "WhereFilter"),
        StepKind::Project { .. } => (PROJECT, "Project"),
        StepKind::FlatMap { .. } => ("FLAT_MAP", "FlatMap"),
        StepKind::Repartition { .. } | StepKind::Rewrite { .. } => ("REKEY", "PartitionBy"),
        StepKind::Aggregate { .. } => ("AGGREGATE", "Aggregate.Aggregate"),
        StepKind::StreamJoin { .. }
        | StepKind::StreamTableJoin { .. }
        | StepKind::TableJoin { .. }
        | StepKind::SubscriptionJoin { .. }
        | StepKind::ForeignKeyJoin { .. } => ("JOIN", "Join"),
        StepKind::Subscribe { .. } => (PROJECT, "Subscribe"),
        StepKind::LatestResult { .. } => ("FILTER", "LatestResult"),
        StepKind::AppendKey { .. } => (PROJECT, "AppendKey"),
    }
}

/// The parts of a query in the form of Kafka Streams' descriptions. `prefix` begins the names of the query's own topics.
pub fn topology(step: &Step, prefix: &str, sink: Option<&str>) -> String {
    let mut text = "Topologies:\n".to_owned();
    let mut nodes = 0;
    for (number, part) in parts(step).into_iter().enumerate() {
        let _ = writeln!(text, "   Sub-topology: {number}");
        let output = match &part.output {
            Output::Sink => sink.map(str::to_owned),
            Output::Nowhere => None,
            Output::Channel(channel) => Some(format!("{prefix}-{}", channel.topic)),
        };
        let end = output.map(|topic| (next(&mut nodes, "SINK"), topic));
        let mut described = Vec::new();
        node(&part.step, end.as_ref().map(|(name, _)| name.as_str()), prefix, &mut nodes, &mut described);
        described.reverse();
        described.iter().for_each(|node| text.push_str(node));
        if let Some((name, topic)) = end {
            let _ = writeln!(text, "    Sink: {name} (topic: {topic})");
        }
        text.push('\n');
    }
    text
}

fn next(nodes: &mut usize, kind: &str) -> String {
    *nodes += 1;
    format!("KSTREAM-{kind}-{:010}", *nodes - 1)
}

/// Describes a step behind everything that it feeds; its name.
fn node(step: &Step, feeds: Option<&str>, prefix: &str, nodes: &mut usize, described: &mut Vec<String>) -> String {
    let to = feeds.unwrap_or("none");
    let source = |name: &str, topic: &str| format!("    Source: {name} (topics: [{topic}])\n      --> {to}\n");
    match &step.kind {
        StepKind::Source(of) => {
            let name = next(nodes, "SOURCE");
            described.push(source(&name, &of.topic));
            name
        }
        StepKind::Channel { topic, .. } => {
            let name = next(nodes, "SOURCE");
            described.push(source(&name, &format!("{prefix}-{topic}")));
            name
        }
        kind => {
            let name = next(nodes, names(kind).0);
            let at = described.len();
            let inputs: Vec<String> =
                step.inputs().into_iter().map(|input| node(input, Some(&name), prefix, nodes, described)).collect();
            let own = format!("    Processor: {name}\n      --> {to}\n      <-- {}\n", inputs.join(", "));
            described.insert(at, own);
            name
        }
    }
}
