//! `kafka-streams-groups --reset-offsets` and `--delete-offsets`.

use std::collections::BTreeMap;

use milena_client::admin::{Committed, OffsetSpec};
use milena_client::{Cluster, TopicPartition};
use milena_protocol::ErrorCode;

use super::describe::input_topics;
use super::{internal_topics, lines};
use crate::consumer_groups::partitions_of_words;
use crate::consumer_groups::reset::{datetime, find, table_of};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::table::Column;
use crate::terminal::Terminal;

const SCENARIOS: &[&str] = &["to-datetime", "to-earliest", "to-latest"];

pub(super) fn check(options: &Parsed) -> Result<(), Failure> {
    let action = if options.has("reset-offsets") { "reset-offsets" } else { "delete-offsets" };
    if options.values("group").len() != 1 {
        return Err(options.usage(format!("Option [{action}] takes the option: [group]")));
    }
    if options.has("input-topic") == options.has("all-input-topics") {
        return Err(
            options.usage(format!("Option [{action}] takes one of these options: [all-input-topics], [input-topic]"))
        );
    }
    if action == "delete-offsets" {
        return Ok(());
    }
    match (options.has("execute"), options.has("dry-run")) {
        (true, true) => return Err(options.usage("Option [reset-offsets] only accepts one of [execute], [dry-run]")),
        (false, false) => {
            return Err(options.usage("Option [reset-offsets] takes the option: [execute] or [dry-run]"));
        }
        _ => {}
    }
    if SCENARIOS.iter().filter(|scenario| options.has(scenario)).count() != 1 {
        let known: Vec<String> = SCENARIOS.iter().map(|scenario| format!("[{scenario}]")).collect();
        return Err(
            options.usage(format!("Option [reset-offsets] takes exactly one of these options: {}", known.join(", ")))
        );
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
    let group_id = options.required("group")?.to_owned();
    let group = cluster.describe_streams_group(&group_id).await?;
    if !group.members.is_empty() {
        terminal.line(&format!(
            "\nError: Assignments can only be reset if the group '{group_id}' is inactive, but the current state is {}.",
            group.group_state
        ));
        return Ok(());
    }
    let partitions = scope(cluster, options, input_topics(&group, false)).await?;
    let offsets = find(cluster, &partitions, target(options)?, terminal).await?;
    if options.has("execute") {
        let committed = offsets.iter().map(|(tp, offset)| (tp.clone(), Committed::at(*offset))).collect();
        cluster.commit_offsets(&group_id, None, &committed).await?;
        let internal = internal_topics(&group);
        if options.has("delete-all-internal-topics") && !internal.is_empty() {
            cluster.delete_topics(&internal).await?;
        }
    }
    terminal.line(&table_of(&BTreeMap::from([(group_id, offsets)])));
    Ok(())
}

async fn scope(cluster: &Cluster, options: &Parsed, all: Vec<&str>) -> Result<Vec<TopicPartition>, Failure> {
    let words = if options.has("all-input-topics") { all } else { options.values("input-topic") };
    partitions_of_words(cluster, &words).await
}

pub(super) async fn delete(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let group_id = options.required("group")?;
    let group = cluster.describe_streams_group(group_id).await?;
    let partitions = scope(cluster, options, input_topics(&group, false)).await?;
    let outcomes = cluster.delete_offsets(group_id, &partitions).await?;
    terminal.print(&deletion_report(&outcomes));
    Ok(())
}

pub(super) fn deletion_report(outcomes: &BTreeMap<TopicPartition, ErrorCode>) -> String {
    let columns = [Column::growing("TOPIC", 30), Column::fixed("PARTITION", 15), Column::last("STATUS")];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|(tp, code)| {
            let status = match code {
                ErrorCode::None => "Successful".to_owned(),
                code => format!("Error: {}", code.message()),
            };
            vec![tp.topic.clone(), tp.partition.to_string(), status]
        })
        .collect();
    lines(&columns, &rows)
}
