//! `kafka-streams-groups --reset-offsets` and `--delete-offsets`.

use std::collections::BTreeMap;

use milena_client::admin::Committed;
use milena_client::{Cluster, TopicPartition};
use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_describe_response::Group;

use super::describe::input_topics;
use super::{chosen_groups, internal_topics};
use crate::consumer_groups::offsets_file::{self, OffsetsByGroup};
use crate::consumer_groups::reset::{SCENARIOS, Target, plan, target};
use crate::consumer_groups::{offsets_deletion_report, partitions_of_words};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::table::{self, Column};
use crate::terminal::Terminal;

pub(super) fn check(options: &Parsed) -> Result<(), Failure> {
    if options.has("delete-offsets") { check_deletion(options) } else { check_reset(options) }
}

fn check_deletion(options: &Parsed) -> Result<(), Failure> {
    let scoped = options.has("input-topic") || options.has("all-input-topics");
    if !scoped || !options.has("group") {
        return Err(options.usage(
            "Option [delete-offsets] takes the [group] and one of these options: [all-input-topics], [input-topic]",
        ));
    }
    let groups = options.values("group");
    if groups.len() > 1 {
        return Err(options.usage(format!(
            "Option [delete-offsets] supports only one [group] at a time, but found: [{}]",
            groups.join(", ")
        )));
    }
    Ok(())
}

fn check_reset(options: &Parsed) -> Result<(), Failure> {
    match (options.has("execute"), options.has("dry-run")) {
        (true, true) => {
            return Err(options.usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]"));
        }
        (false, false) => {
            return Err(options.usage("Option [reset-offsets] takes the option: [execute] or [dry-run]"));
        }
        _ => {}
    }
    if !options.has("group") && !options.has("all-groups") {
        return Err(options.usage("Option [reset-offsets] takes one of these options: [all-groups], [group]"));
    }
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        options.forbid(scenario, &SCENARIOS[index + 1..])?;
    }
    if !SCENARIOS.iter().any(|scenario| options.has(scenario)) {
        let known: Vec<String> = SCENARIOS.iter().map(|scenario| format!("[{scenario}]")).collect();
        return Err(options.usage(format!(
            "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
            known.join(", ")
        )));
    }
    if !["input-topic", "all-input-topics", "from-file"].iter().any(|scope| options.has(scope)) {
        return Err(options.usage("One of the reset scopes should be defined: --all-input-topics, --input-topic."));
    }
    target(options).map(|_| ())
}

/// Where internal topics may be deleted.
pub(super) fn check_internal_topics(options: &Parsed) -> Result<(), Failure> {
    let resetting = options.has("reset-offsets");
    if options.has("delete-all-internal-topics") {
        if !resetting && !options.has("delete") {
            return Err(options
                .usage("Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]"));
        }
        if resetting && !options.has("execute") {
            return Err(
                options.usage("Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.")
            );
        }
    } else if options.has("delete-internal-topic") && !(resetting && options.has("execute")) {
        return Err(options.usage("Option [delete-internal-topic] takes [reset-offsets] when [execute] is used."));
    }
    Ok(())
}

pub(super) async fn reset(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let target = target(options)?;
    let mut planned = OffsetsByGroup::new();
    for group_id in chosen_groups(cluster, options).await? {
        let group = match cluster.describe_streams_group(&group_id).await {
            Ok(group) => group,
            // A group that does not exist yet may be given offsets.
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {
                Group { group_state: "Dead".to_owned(), ..Group::default() }
            }
            Err(error) => return Err(error.into()),
        };
        let offsets = if matches!(group.group_state.as_str(), "Empty" | "Dead") {
            reset_inactive(cluster, options, &group_id, &group, &target, terminal).await?
        } else {
            terminal.line(&format!(
                "\nError: Assignments can only be reset if the group '{group_id}' is inactive, but the current state is {}.",
                group.group_state
            ));
            BTreeMap::new()
        };
        planned.insert(group_id, offsets);
    }
    match options.has("export") {
        true => terminal.line(&offsets_file::to_csv(&planned)),
        false => terminal.line(&table_of(&planned)),
    }
    Ok(())
}

async fn reset_inactive(
    cluster: &Cluster,
    options: &Parsed,
    group_id: &str,
    group: &Group,
    target: &Target,
    terminal: &mut Terminal,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let partitions = scope(cluster, options, group_id, group, terminal).await?;
    let offsets = plan(cluster, options, group_id, target, partitions, terminal).await?;
    if !options.has("execute") {
        return Ok(offsets);
    }
    let committed = offsets.iter().map(|(tp, offset)| (tp.clone(), Committed::at(*offset))).collect();
    cluster.commit_offsets(group_id, None, &committed).await?;
    let internal = match options.has("delete-all-internal-topics") {
        true => internal_topics(group),
        false => options.values("delete-internal-topic").into_iter().map(str::to_owned).collect(),
    };
    if !internal.is_empty() {
        report_deletion(group_id, cluster.delete_topics(&internal).await, terminal);
    }
    Ok(offsets)
}

/// The offsets are reset whatever becomes of the topics.
fn report_deletion(group_id: &str, deleted: milena_client::Result<()>, terminal: &mut Terminal) {
    match deleted {
        Ok(()) => {}
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => terminal.line(&format!(
            "\nError: Deleting internal topics for group '{group_id}' failed because the topics do not exist."
        )),
        Err(error) => {
            let failure = Failure::from(error);
            terminal.line(&format!(
                "\nError: Deleting internal topics for group '{group_id}' failed due to {}",
                failure.to_exception()
            ));
        }
    }
}

/// The partitions to reset: of those that the group has committed offsets for.
async fn scope(
    cluster: &Cluster,
    options: &Parsed,
    group_id: &str,
    group: &Group,
    terminal: &mut Terminal,
) -> Result<Vec<TopicPartition>, Failure> {
    if options.has("from-file") {
        return Ok(Vec::new());
    }
    let committed = cluster.committed_offsets(group_id, None).await?;
    if options.has("all-input-topics") {
        let inputs = input_topics(group, false);
        return Ok(committed.into_keys().filter(|tp| inputs.contains(&tp.topic.as_str())).collect());
    }
    let partitions = partitions_of_words(cluster, &options.values("input-topic")).await?;
    if partitions.iter().all(|tp| committed.contains_key(tp)) {
        return Ok(partitions);
    }
    terminal.line(&format!("\nError: One or more topics are not part of the group '{group_id}'."));
    Ok(Vec::new())
}

pub(super) fn table_of(planned: &OffsetsByGroup) -> String {
    let columns = [
        Column::fixed("GROUP", 30),
        Column::fixed("TOPIC", 30),
        Column::fixed("PARTITION", 10),
        Column::fixed("NEW-OFFSET", 15),
    ];
    if planned.is_empty() {
        return String::new();
    }
    let rows = planned.iter().flat_map(|(group, offsets)| {
        offsets.iter().map(move |(tp, offset)| {
            vec![group.clone(), tp.topic.clone(), tp.partition.to_string(), offset.to_string()]
        })
    });
    table::with_leading_newlines(&columns, &rows.collect::<Vec<_>>())
}

pub(super) async fn delete(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let group_id = options.required("group")?;
    let group = cluster.describe_streams_group(group_id).await?;
    let all = options.has("all-input-topics");
    let words = if all { input_topics(&group, false) } else { options.values("input-topic") };
    let partitions = partitions_of_words(cluster, &words).await?;
    let (code, outcomes) = match cluster.delete_offsets(group_id, &partitions).await {
        Ok(outcomes) => (ErrorCode::None, outcomes),
        Err(error) => match error.code() {
            Some(code) => (code, partitions.into_iter().map(|tp| (tp, code)).collect()),
            None => return Err(error.into()),
        },
    };
    terminal.print(&offsets_deletion_report(group_id, code, &outcomes));
    Ok(())
}
