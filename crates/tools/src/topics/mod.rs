//! `kafka-topics`: create, list, describe, grow and delete topics.

mod describe;
mod replica_assignment;
#[cfg(test)]
mod tests;

use milena_client::Cluster;
use milena_protocol::messages::{create_partitions_request, create_topics_request};
use milena_protocol::{ErrorCode, Uuid};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session;
use crate::terminal::Terminal;
use crate::{Outcome, java_format};

const LOGGER: &str = "org.apache.kafka.tools.TopicCommand";
const ACTIONS: &[&str] = &["list", "describe", "create", "alter", "delete"];

const SYNTAX: Syntax = Syntax {
    purpose: "Creates, lists, describes, changes and deletes topics.",
    options: &[
        Opt::flag("create", "Create a topic."),
        Opt::flag("list", "List the topics."),
        Opt::flag("describe", "Show the partitions and configs of topics."),
        Opt::flag("alter", "Change the number of partitions."),
        Opt::flag("delete", "Delete topics."),
        Opt::one("topic", "topic", "The topic; a regular expression except with --create."),
        Opt::one("topic-id", "topic id", "The id of the topic to describe."),
        Opt::one("partitions", "count", "Number of partitions; the cluster's default when not given."),
        Opt::one("replication-factor", "count", "Replicas of each partition; the cluster's default when not given."),
        Opt::one("replica-assignment", "0:1,1:2", "Brokers of each partition, instead of counts."),
        Opt::many("config", "name=value", "A config of the new topic."),
        Opt::many("delete-config", "name", "No longer supported; use kafka-configs."),
        Opt::flag("if-exists", "Succeed when the topic does not exist."),
        Opt::flag("if-not-exists", "Succeed when the topic exists already."),
        Opt::flag("exclude-internal", "Leave internal topics out."),
        Opt::flag("under-replicated-partitions", "Describe only partitions that lack replicas in sync."),
        Opt::flag("unavailable-partitions", "Describe only partitions without a live leader."),
        Opt::flag("under-min-isr-partitions", "Describe only partitions with fewer replicas in sync than the minimum."),
        Opt::flag("at-min-isr-partitions", "Describe only partitions with exactly the minimum of replicas in sync."),
        Opt::flag("topics-with-overrides", "Describe only topics with configs of their own."),
        Opt::one("partition-size-limit-per-response", "count", "Partitions in one answer of the broker."),
        Opt::flag("force", "Accepted for old scripts; nothing is asked."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    check(&options)?;
    match session::runtime()?.block_on(execute(&options, terminal)) {
        Ok(()) => Ok(0),
        Err(failure @ (Failure::Usage { .. } | Failure::Reported)) => Err(failure),
        Err(failure) => {
            terminal.line(&format!("Error while executing topic command : {}", failure.message()));
            failure.log(LOGGER, terminal);
            Ok(1)
        }
    }
}

fn check(options: &Parsed) -> Result<(), Failure> {
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        let message = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
        return Err(options.usage(message));
    }
    if options.has("create") || options.has("alter") || options.has("delete") {
        options.required("topic")?;
    }
    if options.has("alter") && !options.has("partitions") {
        options.forbid("alter", &["config", "delete-config"])?;
        options.required("partitions")?;
    }
    if options.has("delete-config") {
        return Err(options
            .usage("Option \"[delete-config]\" is no longer supported: use kafka-configs --alter --delete-config"));
    }
    options.forbid("partitions", &["list", "describe", "delete"])?;
    options.forbid("replication-factor", &["list", "describe", "delete", "alter"])?;
    options.forbid("replica-assignment", &["list", "describe", "delete"])?;
    if options.has("create") {
        options.forbid("replica-assignment", &["partitions", "replication-factor"])?;
    }
    options.forbid("config", &["list", "describe", "delete", "alter"])?;
    options.forbid("if-not-exists", &["list", "describe", "delete", "alter"])?;
    options.forbid("if-exists", &["list", "create"])?;
    for filter in describe::FILTERS {
        options.forbid(filter, &["list", "create", "alter", "delete"])?;
    }
    options.forbid("topic-id", &["list", "create", "alter", "delete", "topic"])?;
    Ok(())
}

async fn execute(options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let cluster = session::connect_admin(options).await?;
    if options.has("create") {
        create(&cluster, options, terminal).await
    } else if options.has("alter") {
        alter(&cluster, options).await
    } else if options.has("list") {
        let names = topics(&cluster, options).await?;
        terminal.line(&names.join("\n"));
        Ok(())
    } else if options.has("describe") {
        describe::describe(&cluster, options, terminal).await
    } else {
        let names = existing_topics(&cluster, options).await?;
        Ok(cluster.delete_topics(&names).await?)
    }
}

async fn create(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let name = options.required("topic")?;
    let topic = new_topic(name, options)?;
    if name.contains(['.', '_']) {
        terminal.line(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. \
             To avoid issues it is best to use either, but not both.",
        );
    }
    match cluster.create_topic(topic, false).await {
        Ok(_) => terminal.line(&format!("Created topic {name}.")),
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) && options.has("if-not-exists") => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn new_topic(name: &str, options: &Parsed) -> Result<create_topics_request::Topic, Failure> {
    let num_partitions = options.number("partitions")?.unwrap_or(-1);
    let replication_factor: i32 = options.number("replication-factor")?.unwrap_or(-1);
    if options.has("partitions") && num_partitions < 1 {
        return Err(Failure::illegal_argument("The partitions must be greater than 0"));
    }
    if options.has("replication-factor") && !(1..=32767).contains(&replication_factor) {
        return Err(Failure::illegal_argument("The replication factor must be between 1 and 32767 inclusive"));
    }
    let assignments = match options.value("replica-assignment") {
        Some(text) => replica_assignment::parse(text)?,
        None => Vec::new(),
    };
    let mut configs = Vec::new();
    for config in options.values("config") {
        let (name, value) = config.split_once('=').ok_or_else(|| {
            Failure::illegal_argument(
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
            )
        })?;
        configs
            .push(create_topics_request::Config { name: name.trim().to_owned(), value: Some(value.trim().to_owned()) });
    }
    Ok(create_topics_request::Topic {
        name: name.to_owned(),
        num_partitions,
        replication_factor: i16::try_from(replication_factor).unwrap_or(-1),
        assignments: assignments
            .into_iter()
            .zip(0..)
            .map(|(broker_ids, partition_index)| create_topics_request::Assignment { partition_index, broker_ids })
            .collect(),
        configs,
    })
}

async fn alter(cluster: &Cluster, options: &Parsed) -> Result<(), Failure> {
    let names = existing_topics(cluster, options).await?;
    let count = options.number("partitions")?.unwrap_or(-1);
    let assignment = options.value("replica-assignment").map(replica_assignment::parse).transpose()?;
    let mut topics = Vec::with_capacity(names.len());
    for name in names {
        let assignments = match &assignment {
            // The list names the brokers of all partitions; those that exist already are passed over.
            Some(all) => {
                let described = cluster.describe_topics(std::slice::from_ref(&name), i32::MAX).await?;
                let existing = described.first().map_or(0, |topic| topic.partitions.len());
                let new = all.iter().skip(existing);
                Some(new.map(|ids| create_partitions_request::Assignment { broker_ids: ids.clone() }).collect())
            }
            None => None,
        };
        topics.push(create_partitions_request::Topic { name, count, assignments });
    }
    if topics.is_empty() {
        return Ok(());
    }
    Ok(cluster.create_partitions(topics).await?)
}

/// Names that match `--topic`, or all; sorted.
async fn topics(cluster: &Cluster, options: &Parsed) -> Result<Vec<String>, Failure> {
    let pattern = options.value("topic").map(java_format::topic_pattern).transpose()?;
    let id: Option<Uuid> = match options.value("topic-id") {
        Some(text) => Some(
            text.parse().map_err(|_| Failure::illegal_argument(format!("Input string `{text}` is not a topic id")))?,
        ),
        None => None,
    };
    let exclude_internal = options.has("exclude-internal");
    let listed = cluster.list_topics().await?;
    Ok(listed
        .into_iter()
        .filter(|topic| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&topic.name)))
        .filter(|topic| id.is_none_or(|id| topic.topic_id == id))
        .filter(|topic| !(exclude_internal && topic.is_internal))
        .map(|topic| topic.name)
        .collect())
}

/// As [`topics`], but a named topic must exist unless `--if-exists`.
async fn existing_topics(cluster: &Cluster, options: &Parsed) -> Result<Vec<String>, Failure> {
    let names = topics(cluster, options).await?;
    if names.is_empty() && !options.has("if-exists") {
        if let Some(topic) = options.value("topic") {
            return Err(Failure::illegal_argument(format!("Topic '{topic}' does not exist as expected")));
        }
        if let Some(id) = options.value("topic-id") {
            return Err(Failure::illegal_argument(format!("TopicId '{id}' does not exist as expected")));
        }
    }
    Ok(names)
}
