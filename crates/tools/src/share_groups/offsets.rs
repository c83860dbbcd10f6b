//! `kafka-share-groups --reset-offsets` and `--delete-offsets`.

use std::collections::{BTreeMap, BTreeSet};

use milena_client::admin::OffsetSpec;
use milena_client::{Cluster, Error, TopicPartition};
use milena_protocol::ErrorCode;

use crate::consumer_groups::partitions_of;
use crate::consumer_groups::reset::{datetime, find, table_of};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::table::{self, Column};
use crate::terminal::Terminal;

const SCENARIOS: &[&str] = &["to-datetime", "to-earliest", "to-latest"];

pub(super) fn check(options: &Parsed) -> Result<(), Failure> {
    match (options.has("execute"), options.has("dry-run")) {
        (true, true) => {
            return Err(options.usage("Option [reset-offsets] only accepts one of [execute], [dry-run]"));
        }
        (false, false) => {
            return Err(options.usage("Option [reset-offsets] takes the option: [execute] or [dry-run]"));
        }
        _ => {}
    }
    if options.values("group").len() != 1 {
        return Err(options.usage("Option [reset-offsets] takes the option: [group]"));
    }
    if SCENARIOS.iter().filter(|scenario| options.has(scenario)).count() != 1 {
        let known: Vec<String> = SCENARIOS.iter().map(|scenario| format!("[{scenario}]")).collect();
        return Err(
            options.usage(format!("Option [reset-offsets] takes exactly one of these options: {}", known.join(", ")))
        );
    }
    if options.has("topic") == options.has("all-topics") {
        return Err(options.usage("Option [reset-offsets] takes one of these options: [all-topics], [topic]"));
    }
    target(options).map(|_| ())
}

fn target(options: &Parsed) -> Result<OffsetSpec, Failure> {
    match options.value("to-datetime") {
        Some(text) => Ok(OffsetSpec(datetime(text)?)),
        None if options.has("to-latest") => Ok(OffsetSpec::LATEST),
        None => Ok(OffsetSpec::EARLIEST),
    }
}

pub(super) async fn reset(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let group = options.required("group")?.to_owned();
    match cluster.describe_share_group(&group).await {
        Ok(described) if !described.members.is_empty() => {
            return Err(options.usage(format!("Share group '{group}' is not empty.")));
        }
        Ok(_) => {}
        // A group that does not exist yet may be given offsets.
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let partitions: Vec<TopicPartition> = match options.has("all-topics") {
        true => cluster.share_positions(&group).await?.into_keys().collect(),
        false => partitions_of(cluster, options).await?,
    };
    let offsets = find(cluster, &partitions, target(options)?, terminal).await?;
    if options.has("execute") {
        cluster.alter_share_offsets(&group, &offsets).await?;
    }
    terminal.line(&table_of(&BTreeMap::from([(group, offsets)])));
    Ok(())
}

pub(super) async fn delete(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let group = options.required("group")?;
    let topics: BTreeSet<String> = options.values("topic").into_iter().map(str::to_owned).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let (head, outcomes) = match cluster.delete_share_offsets(group, &topics).await {
        Ok(outcomes) => (None, outcomes.into_iter().map(|(topic, outcome)| (topic, status(outcome.err()))).collect()),
        Err(error) if error.code().is_some() => {
            let status = format!("Error: {error}");
            let all: Vec<(String, String)> = topics.into_iter().map(|topic| (topic, status.clone())).collect();
            (Some(format!("\n{status}\n")), all)
        }
        Err(error) => return Err(error.into()),
    };
    terminal.print(&deletion_report(head.as_deref(), &outcomes));
    Ok(())
}

fn status(error: Option<Error>) -> String {
    error.map_or_else(|| "Successful".to_owned(), |error| format!("Error: {error}"))
}

pub(super) fn deletion_report(head: Option<&str>, outcomes: &[(String, String)]) -> String {
    let columns = [Column::growing("TOPIC", 15), Column::last("STATUS")];
    let rows: Vec<Vec<String>> = outcomes.iter().map(|(topic, status)| vec![topic.clone(), status.clone()]).collect();
    format!("{}{}\n", head.unwrap_or_default(), table::with_leading_newlines(&columns, &rows))
}
