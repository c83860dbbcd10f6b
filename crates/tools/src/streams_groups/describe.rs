//! `kafka-streams-groups --describe`: offsets and lag, members, state.

use std::collections::BTreeMap;

use milena_client::admin::{Committed, IsolationLevel, OffsetSpec};
use milena_client::{Cluster, CoordinatorKind, TopicPartition};
use milena_protocol::messages::streams_group_describe_response::{Assignment, Group, Member, TaskIds};

use super::{chosen_groups, lines};
use crate::consumer_groups::partitions_of_words;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::table::Column;
use crate::terminal::Terminal;

pub(super) async fn describe(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let verbose = options.has("verbose");
    for group_id in chosen_groups(cluster, options).await? {
        let group = cluster.describe_streams_group(&group_id).await?;
        if group.members.is_empty() {
            let notice = format!("\nError: Streams group '{group_id}' has no active members.");
            // The original prints it among the states, and nothing at all about members and offsets of such a group.
            if options.has("state") { terminal.line(&notice) } else { terminal.error_line(&notice) }
        }
        if options.has("members") {
            if !group.members.is_empty() {
                terminal.print(&members_table(&group, verbose));
            }
        } else if options.has("state") {
            let coordinator = cluster.cached_coordinator(CoordinatorKind::Group, &group_id);
            let coordinator = coordinator.map(|node| format!("{}:{} ({})", node.host, node.port, node.id));
            terminal.print(&state_table(&group, &coordinator.unwrap_or_else(|| "-".to_owned()), verbose));
        } else {
            let positions = positions(cluster, &group).await?;
            terminal.print(&offsets_table(&group_id, &positions, verbose));
        }
    }
    Ok(())
}

/// The topics that the group's tasks read.
pub(super) fn input_topics(group: &Group, with_repartition: bool) -> Vec<&str> {
    let subtopologies = group.topology.iter().flat_map(|topology| topology.subtopologies.iter().flatten());
    let mut topics: Vec<&str> = subtopologies
        .flat_map(|it| {
            let repartition = it.repartition_source_topics.iter().filter(move |_| with_repartition);
            it.source_topics.iter().chain(repartition.map(|topic| &topic.name))
        })
        .map(String::as_str)
        .collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

/// Where a group stands in one partition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Position {
    pub(super) committed: Option<Committed>,
    pub(super) log_start_offset: i64,
    pub(super) log_end_offset: i64,
}

async fn positions(cluster: &Cluster, group: &Group) -> Result<BTreeMap<TopicPartition, Position>, Failure> {
    let partitions = partitions_of_words(cluster, &input_topics(group, true)).await?;
    let mut committed = cluster.committed_offsets(&group.group_id, Some(&partitions)).await?;
    let starts = log_offsets(cluster, &partitions, OffsetSpec::EARLIEST).await?;
    let ends = log_offsets(cluster, &partitions, OffsetSpec::LATEST).await?;
    let positions = partitions.into_iter().map(|tp| {
        let position = Position {
            committed: committed.remove(&tp),
            log_start_offset: starts.get(&tp).copied().unwrap_or_default(),
            log_end_offset: ends.get(&tp).copied().unwrap_or_default(),
        };
        (tp, position)
    });
    Ok(positions.collect())
}

async fn log_offsets(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let asked: Vec<_> = partitions.iter().map(|tp| (tp.clone(), spec)).collect();
    let found = cluster.list_offsets(&asked, IsolationLevel::ReadUncommitted).await?;
    found.into_iter().map(|(tp, found)| Ok((tp, found?.offset))).collect()
}

pub(super) fn offsets_table(group_id: &str, positions: &BTreeMap<TopicPartition, Position>, verbose: bool) -> String {
    let mut columns = vec![Column::growing("GROUP", 15), Column::growing("TOPIC", 15), Column::fixed("PARTITION", 10)];
    if verbose {
        columns.extend([
            Column::fixed("CURRENT-OFFSET", 15),
            Column::fixed("LEADER-EPOCH", 15),
            Column::fixed("LOG-END-OFFSET", 15),
        ]);
    }
    columns.push(Column::last("OFFSET-LAG"));
    let rows: Vec<Vec<String>> = positions
        .iter()
        .map(|(tp, position)| {
            let committed = position.committed.as_ref();
            let reached = committed.map_or(position.log_start_offset, |committed| committed.offset);
            let mut row = vec![group_id.to_owned(), tp.topic.clone(), tp.partition.to_string()];
            if verbose {
                let epoch = committed.map(|committed| committed.leader_epoch).filter(|epoch| *epoch >= 0);
                row.extend([
                    or_dash(committed.map(|committed| committed.offset)),
                    or_dash(epoch),
                    position.log_end_offset.to_string(),
                ]);
            }
            row.push((position.log_end_offset - reached).max(0).to_string());
            row
        })
        .collect();
    lines(&columns, &rows)
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

pub(super) fn members_table(group: &Group, verbose: bool) -> String {
    let mut columns = vec![Column::growing("GROUP", 15)];
    if verbose {
        columns.extend([Column::fixed("TARGET-ASSIGNMENT-EPOCH", 25), Column::fixed("TOPOLOGY-EPOCH", 14)]);
    }
    columns.push(Column::growing("MEMBER", 15));
    if verbose {
        columns.extend([Column::fixed("MEMBER-PROTOCOL", 15), Column::fixed("MEMBER-EPOCH", 15)]);
    }
    columns.extend([Column::growing("PROCESS", 15), Column::growing("CLIENT-ID", 15), Column::last("ASSIGNMENTS")]);
    let rows: Vec<Vec<String>> = group.members.iter().map(|member| member_row(group, member, verbose)).collect();
    lines(&columns, &rows)
}

fn member_row(group: &Group, member: &Member, verbose: bool) -> Vec<String> {
    let mut row = vec![group.group_id.clone()];
    if verbose {
        row.extend([group.assignment_epoch.to_string(), member.topology_epoch.to_string()]);
    }
    row.push(member.member_id.clone());
    if verbose {
        let protocol = if member.is_classic { "classic" } else { "streams" };
        row.extend([protocol.to_owned(), member.member_epoch.to_string()]);
    }
    let mut tasks = tasks_text("", &member.assignment);
    if verbose {
        tasks += &tasks_text("TARGET-", &member.target_assignment);
    }
    row.extend([member.process_id.clone(), member.client_id.clone(), tasks]);
    row
}

/// `ACTIVE: 0:[0,1]; 1:[0]; STANDBY: 1:[1]; `; roles without tasks are left out.
fn tasks_text(prefix: &str, assignment: &Assignment) -> String {
    let roles = [
        ("ACTIVE", &assignment.active_tasks),
        ("STANDBY", &assignment.standby_tasks),
        ("WARMUP", &assignment.warmup_tasks),
    ];
    let listed = |tasks: &[TaskIds]| -> String {
        tasks
            .iter()
            .map(|tasks| {
                let numbers: Vec<String> = tasks.partitions.iter().map(i32::to_string).collect();
                format!("{}:[{}]; ", tasks.subtopology_id, numbers.join(","))
            })
            .collect()
    };
    let roles = roles.into_iter().filter(|(_, tasks)| !tasks.is_empty());
    roles.map(|(role, tasks)| format!("{prefix}{role}: {}", listed(tasks))).collect()
}

pub(super) fn state_table(group: &Group, coordinator: &str, verbose: bool) -> String {
    let mut columns =
        vec![Column::growing("GROUP", 15), Column::growing("COORDINATOR (ID)", 25), Column::fixed("STATE", 25)];
    let mut row = vec![group.group_id.clone(), coordinator.to_owned(), group.group_state.clone()];
    if verbose {
        columns.extend([Column::fixed("GROUP-EPOCH", 15), Column::fixed("TARGET-ASSIGNMENT-EPOCH", 25)]);
        row.extend([group.group_epoch.to_string(), group.assignment_epoch.to_string()]);
    }
    columns.push(Column::last("#MEMBERS"));
    row.push(group.members.len().to_string());
    lines(&columns, &[row])
}
