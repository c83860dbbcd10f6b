//! The parts of a query that work on partitions alone, and the topics between them.
//!
//! Where rows get another key, those of one key come from all partitions: the step before writes them into a topic of the
//! query's own, and the step after reads them there.
//!
//! ```text
//!   part: source ──► filter ──► channel topic (by the new key) ──► part: aggregate ──► project ──► sink
//! ```
//!
//! The sides of a foreign-key join have different keys: rows of the left go to where the row of the right is that they name,
//! and results come back to where the left's row is.
//!
//! ```text
//!   part: left ──► subscriptions (by the foreign key) ──► part: join, with the right ──► responses (by the left's key)
//!                                                               part: latest result ──► sink  ◄──┘
//! ```
//!
//! Results of one row of the left come from several partitions when its foreign key has changed, in any order: rows are
//! numbered, and of results only those of the latest number count.

use super::step::{KeyColumn, Step, StepKind};
use crate::ast::SourceKind;
use crate::formats::Format;
use crate::operators::evaluator::Evaluator;

/// The topics of a foreign-key join.
const SUBSCRIPTION_TOPIC: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-topic";
const RESPONSE_TOPIC: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-topic";
/// The topic through which rows are grouped.
const GROUP_BY_TOPIC: &str = "Aggregate-GroupBy-repartition";

/// A part of a query.
#[derive(Clone)]
pub struct Part {
    /// Its steps.
    pub step: Step,
    /// Where its changes go.
    pub output: Output,
}

/// Where the changes of a part go.
#[derive(Clone)]
pub enum Output {
    /// To the sink of the query.
    Sink,
    /// Through a topic to another part.
    Channel(Channel),
    /// Nowhere: the state is what the query is for.
    Nowhere,
}

/// A topic of a query's own.
#[derive(Clone)]
pub struct Channel {
    /// What its name ends with.
    pub topic: String,
    /// How keys are written, which decides on partitions: other inputs of the next part may have the same.
    pub format: Format,
    /// What the partition is chosen by.
    pub key: ChannelKey,
}

/// What rows of a channel are brought together by.
#[derive(Clone)]
pub enum ChannelKey {
    /// The key of the change.
    Own(Vec<KeyColumn>),
    /// Expressions over rows. A row of a table that changes may leave one partition for another.
    Groups(Vec<Evaluator>),
    /// The foreign key of numbered rows. The row that a change leaves behind is told where it was; rows without foreign key
    /// may be told anywhere.
    ForeignKey(Evaluator),
}

/// The parts of `step`; each comes after those that it reads from.
pub fn parts(step: &Step) -> Vec<Part> {
    let mut parts = Vec::new();
    let last = cut(step, &mut parts);
    parts.push(Part { step: last, output: Output::Sink });
    parts
}

/// The step with a channel in the place of what became parts of their own.
fn cut(step: &Step, parts: &mut Vec<Part>) -> Step {
    let own_key = || ChannelKey::Own(step.schema.key.clone());
    match &step.kind {
        StepKind::Repartition { input, key, append, topic: Some(topic) } => {
            let (key, append, input) = (key.clone(), append.clone(), Box::new(cut(input, parts)));
            let kind = StepKind::Repartition { input, key, append, topic: Some(topic.clone()) };
            through(topic, Step { schema: step.schema.clone(), kind }, step, own_key(), parts)
        }
        StepKind::Rewrite { input, topic } => {
            let input = cut(input, parts);
            through(topic, input, step, own_key(), parts)
        }
        StepKind::Aggregate { input, aggregates, takes, window, repartition: true } => {
            let before = cut(input, parts);
            let groups = ChannelKey::Groups(aggregates.key.clone());
            let mut channel = through(GROUP_BY_TOPIC, before, step, groups, parts);
            channel.schema = input.schema.clone();
            let kind = StepKind::Aggregate {
                input: Box::new(channel),
                aggregates: aggregates.clone(),
                takes: takes.clone(),
                window: *window,
                repartition: false,
            };
            Step { schema: step.schema.clone(), kind }
        }
        StepKind::ForeignKeyJoin { inputs, foreign_key, outer } => {
            let left = Box::new(inputs[0].schema.clone());
            let subscribing = Step {
                schema: inputs[0].schema.clone(),
                kind: StepKind::Subscribe {
                    input: Box::new(cut(&inputs[0], parts)),
                    foreign_key: foreign_key.clone(),
                    outer: *outer,
                },
            };
            // Where the right has its rows: by keys of its format.
            let right = &inputs[1];
            let key = ChannelKey::ForeignKey(foreign_key.clone());
            let subscriptions = through(SUBSCRIPTION_TOPIC, subscribing, right, key, parts);
            let kind = StepKind::SubscriptionJoin {
                inputs: [Box::new(subscriptions), Box::new(cut(right, parts))],
                foreign_key: foreign_key.clone(),
                left,
                outer: *outer,
            };
            let joining = Step { schema: step.schema.clone(), kind };
            let results = through(RESPONSE_TOPIC, joining, step, own_key(), parts);
            Step { schema: step.schema.clone(), kind: StepKind::LatestResult { input: Box::new(results) } }
        }
        _ => with_inputs(step, &mut |input| cut(input, parts)),
    }
}

/// Makes `before` a part that writes a channel, and gives the step that reads it, with the schema of `after`.
fn through(topic: &str, before: Step, after: &Step, key: ChannelKey, parts: &mut Vec<Part>) -> Step {
    let format = after.schema.key_format;
    let grows = after.schema.kind == SourceKind::Stream || matches!(key, ChannelKey::Groups(_));
    let output = Output::Channel(Channel { topic: topic.to_owned(), format, key });
    parts.push(Part { step: before, output });
    Step { schema: after.schema.clone(), kind: StepKind::Channel { topic: topic.to_owned(), grows } }
}

/// The same step over other inputs.
fn with_inputs(step: &Step, change: &mut dyn FnMut(&Step) -> Step) -> Step {
    let mut kind = step.kind.clone();
    match &mut kind {
        StepKind::Source(_) | StepKind::Channel { .. } => {}
        StepKind::Filter { input, .. }
        | StepKind::Project { input, .. }
        | StepKind::FlatMap { input, .. }
        | StepKind::Repartition { input, .. }
        | StepKind::Aggregate { input, .. }
        | StepKind::Rewrite { input, .. }
        | StepKind::Subscribe { input, .. }
        | StepKind::LatestResult { input }
        | StepKind::AppendKey { input, .. } => **input = change(input),
        StepKind::StreamJoin { inputs, .. }
        | StepKind::StreamTableJoin { inputs, .. }
        | StepKind::TableJoin { inputs, .. }
        | StepKind::SubscriptionJoin { inputs, .. }
        | StepKind::ForeignKeyJoin { inputs, .. } => {
            for input in inputs {
                **input = change(input);
            }
        }
    }
    Step { schema: step.schema.clone(), kind }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ast::Statement;
    use crate::catalog::define::define;
    use crate::catalog::{Catalog, Settings};
    use crate::formats::registry::{MemoryRegistry, SchemaRegistry};
    use crate::parser::parse_one;
    use crate::planner::plan;

    fn of(sql: &str) -> Vec<Part> {
        let mut catalog = Catalog::default();
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        for text in [
            "CREATE STREAM s (id STRING KEY, n STRING) WITH (kafka_topic='s', partitions=1, value_format='JSON');",
            "CREATE TABLE t (id STRING PRIMARY KEY, n INT) WITH (kafka_topic='t', partitions=1, value_format='JSON');",
            "CREATE TABLE u (id INT PRIMARY KEY, x INT) WITH (kafka_topic='u', partitions=1, value_format='JSON');",
        ] {
            let Statement::CreateSource(create) = parse_one(text, &|_| None).unwrap() else { panic!("{text}") };
            catalog.put_source(define(&create, text, &Settings::default(), &registry).unwrap());
        }
        let Statement::Query(query) = parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
        parts(&plan(&query, None, &catalog, &Settings::default()).unwrap().step)
    }

    fn outputs(parts: &[Part]) -> Vec<&'static str> {
        let output = |part: &Part| if matches!(part.output, Output::Sink) { "sink" } else { "channel" };
        parts.iter().map(output).collect()
    }

    #[test]
    fn what_keeps_its_key_is_one_part() {
        assert_eq!(outputs(&of("SELECT * FROM s WHERE n = 'a' EMIT CHANGES;")), ["sink"]);
        assert_eq!(outputs(&of("SELECT id, COUNT(*) FROM s GROUP BY id EMIT CHANGES;")), ["sink"]);
        assert_eq!(outputs(&of("SELECT * FROM s JOIN t ON s.id = t.id EMIT CHANGES;")), ["sink"]);
    }

    #[test]
    fn a_foreign_key_goes_to_the_right_and_comes_back() {
        let parts = of("SELECT l.id, r.id FROM t l JOIN u r ON l.n = r.id EMIT CHANGES;");
        assert_eq!(outputs(&parts), ["channel", "channel", "sink"]);
        assert_eq!(parts[1].step.sources().len(), 1, "the right is read where it is joined");
        let Output::Channel(channel) = &parts[0].output else { panic!() };
        assert!(matches!(channel.key, ChannelKey::ForeignKey(_)));
    }

    #[test]
    fn a_new_key_goes_through_a_topic() {
        let parts = of("SELECT n, COUNT(*) FROM s GROUP BY n EMIT CHANGES;");
        assert_eq!(outputs(&parts), ["channel", "sink"]);
        let Output::Channel(channel) = &parts[0].output else { panic!() };
        assert_eq!(channel.topic, GROUP_BY_TOPIC);
        assert!(matches!(&channel.key, ChannelKey::Groups(groups) if groups.len() == 1));
        assert!(parts[1].step.sources().is_empty());

        let parts = of("SELECT * FROM s JOIN t ON s.n = t.id EMIT CHANGES;");
        assert_eq!(outputs(&parts), ["channel", "sink"]);
        assert_eq!(parts[1].step.sources().len(), 1);
    }
}
