//! `kafka-consumer-groups --describe`: offsets and lag, members, state.

use std::collections::{BTreeMap, BTreeSet};

use milena_client::admin::{ClassicGroup, Committed, GroupDescription, GroupMember, IsolationLevel, OffsetSpec};
use milena_client::{Cluster, CoordinatorKind, TopicPartition};

use super::chosen_groups;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::table::{self, Column};
use crate::terminal::Terminal;

/// Ends of partitions; absent where the leader could not be asked.
pub type EndOffsets = BTreeMap<TopicPartition, i64>;

pub async fn describe(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let verbose = options.has("verbose");
    for group_id in chosen_groups(cluster, options).await? {
        let group = cluster.describe_group(&group_id).await.map_err(|error| named(error, &group_id))?;
        if options.has("members") {
            report_state(&group, terminal);
            print_members(&group, verbose, terminal);
        } else if options.has("state") {
            report_state(&group, terminal);
            let coordinator = cluster.cached_coordinator(CoordinatorKind::Group, &group_id);
            let coordinator = coordinator.map(|node| format!("{}:{}  ({})", node.host, node.port, node.id));
            print_state(&group, &coordinator.unwrap_or_else(|| "-".to_owned()), verbose, terminal);
        } else {
            let committed = cluster.committed_offsets(&group_id, None).await?;
            let ends = end_offsets(cluster, &group, &committed).await?;
            report_state(&group, terminal);
            print_offsets(&group, &committed, &ends, verbose, terminal);
        }
    }
    Ok(())
}

/// The coordinator does not always say which group it does not know.
fn named(error: milena_client::Error, group_id: &str) -> milena_client::Error {
    match error.code() {
        Some(code @ milena_protocol::ErrorCode::GroupIdNotFound) => {
            milena_client::Error::api(code, Some(format!("Group {group_id} not found.")))
        }
        _ => error,
    }
}

async fn end_offsets(
    cluster: &Cluster,
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, Committed>,
) -> Result<EndOffsets, Failure> {
    let assigned = group.members.iter().flat_map(|member| member.assignment.iter());
    let all: BTreeSet<&TopicPartition> = assigned.chain(committed.keys()).collect();
    let asked: Vec<_> = all.into_iter().map(|tp| (tp.clone(), OffsetSpec::LATEST)).collect();
    let found = cluster.list_offsets(&asked, IsolationLevel::ReadUncommitted).await?;
    Ok(found.into_iter().filter_map(|(tp, found)| Some((tp, found.ok()?.offset))).collect())
}

/// What is worth knowing before the table, on standard error.
fn report_state(group: &GroupDescription, terminal: &mut Terminal) {
    let id = &group.group_id;
    match group.state.as_str() {
        "Dead" => terminal.error_line(&format!("\nConsumer group '{id}' does not exist.")),
        "Empty" => terminal.error_line(&format!("\nConsumer group '{id}' has no active members.")),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            terminal.error_line(&format!("\nWarning: Consumer group '{id}' is rebalancing."));
        }
        _ => {}
    }
}

pub fn print_offsets(
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, Committed>,
    ends: &EndOffsets,
    verbose: bool,
    terminal: &mut Terminal,
) {
    let mut members: Vec<&GroupMember> = group.members.iter().collect();
    members.sort_by(|a, b| b.assignment.len().cmp(&a.assignment.len()).then_with(|| a.member_id.cmp(&b.member_id)));
    let mut rows = Vec::new();
    let mut assigned = BTreeSet::new();
    for member in members {
        if member.assignment.is_empty() {
            rows.push(offset_row(group, None, Some(member), committed, ends, verbose));
        }
        for tp in &member.assignment {
            assigned.insert(tp);
            rows.push(offset_row(group, Some(tp), Some(member), committed, ends, verbose));
        }
    }
    for tp in committed.keys().filter(|tp| !assigned.contains(tp)) {
        rows.push(offset_row(group, Some(tp), None, committed, ends, verbose));
    }
    let mut columns = vec![Column::growing("GROUP", 15), Column::growing("TOPIC", 15), Column::fixed("PARTITION", 10)];
    if verbose {
        columns.push(Column::fixed("LEADER-EPOCH", 15));
    }
    columns.extend([
        Column::fixed("CURRENT-OFFSET", 15),
        Column::fixed("LOG-END-OFFSET", 15),
        Column::fixed("LAG", 15),
        Column::growing("CONSUMER-ID", 15),
        Column::growing("HOST", 15),
        Column::last("CLIENT-ID"),
    ]);
    terminal.line(&table::with_leading_newlines(&columns, &rows));
}

fn offset_row(
    group: &GroupDescription,
    tp: Option<&TopicPartition>,
    member: Option<&GroupMember>,
    committed: &BTreeMap<TopicPartition, Committed>,
    ends: &EndOffsets,
    verbose: bool,
) -> Vec<String> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let committed = tp.and_then(|tp| committed.get(tp));
    let end = tp.and_then(|tp| ends.get(tp)).copied();
    let lag = committed.zip(end).map(|(committed, end)| (end - committed.offset).to_string());
    let mut row = vec![
        group.group_id.clone(),
        or_dash(tp.map(|tp| tp.topic.clone())),
        or_dash(tp.map(|tp| tp.partition.to_string())),
    ];
    if verbose {
        let epoch = committed.map(|committed| committed.leader_epoch).filter(|epoch| *epoch >= 0);
        row.push(or_dash(epoch.map(|epoch| epoch.to_string())));
    }
    row.extend([
        or_dash(committed.map(|committed| committed.offset.to_string())),
        or_dash(end.map(|end| end.to_string())),
        or_dash(lag),
        or_dash(member.map(|member| member.member_id.clone())),
        or_dash(member.map(|member| member.host.clone())),
        or_dash(member.map(|member| member.client_id.clone())),
    ]);
    row
}

pub fn print_members(group: &GroupDescription, verbose: bool, terminal: &mut Terminal) {
    let with_instance = group.members.iter().any(|member| member.instance_id.is_some());
    let with_upgraded = verbose && group.members.iter().any(|member| member.upgraded.is_some());
    let mut columns = vec![Column::growing("GROUP", 15), Column::growing("CONSUMER-ID", 15)];
    if with_instance {
        columns.push(Column::growing("GROUP-INSTANCE-ID", 17));
    }
    columns.extend([Column::growing("HOST", 15), Column::growing("CLIENT-ID", 15)]);
    // The short table has a blank after its last column.
    columns.push(Column::fixed("#PARTITIONS", if verbose { 15 } else { 16 }));
    if verbose {
        columns.extend([
            Column::fixed("CURRENT-EPOCH", 15),
            Column::growing("CURRENT-ASSIGNMENT", 20),
            Column::fixed("TARGET-EPOCH", 15),
            Column::growing("TARGET-ASSIGNMENT", 20),
        ]);
    }
    if with_upgraded {
        columns.push(Column::fixed("UPGRADED", 15));
    }
    let rows: Vec<Vec<String>> = group
        .members
        .iter()
        .map(|member| {
            let mut row = vec![group.group_id.clone(), member.member_id.clone()];
            if with_instance {
                row.push(member.instance_id.clone().unwrap_or_default());
            }
            row.extend([member.host.clone(), member.client_id.clone(), member.assignment.len().to_string()]);
            if verbose {
                let epoch = |epoch: Option<i32>| epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
                let target = member.target_assignment.as_deref();
                row.extend([
                    epoch(member.member_epoch),
                    assignment_text(&member.assignment),
                    epoch(group.target_assignment_epoch),
                    target.map_or_else(|| "-".to_owned(), assignment_text),
                ]);
            }
            if with_upgraded {
                row.push(member.upgraded.map_or_else(|| "-".to_owned(), |upgraded| upgraded.to_string()));
            }
            row
        })
        .collect();
    terminal.line(&table::with_leading_newlines(&columns, &rows));
}

/// `t:0,1;u:0`, or `-` for nothing.
fn assignment_text(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(&tp.topic).or_default().push(tp.partition.to_string());
    }
    if topics.is_empty() {
        return "-".to_owned();
    }
    let texts: Vec<String> =
        topics.into_iter().map(|(topic, numbers)| format!("{topic}:{}", numbers.join(","))).collect();
    texts.join(";")
}

pub fn print_state(group: &GroupDescription, coordinator: &str, verbose: bool, terminal: &mut Terminal) {
    let mut columns = vec![
        Column::growing("GROUP", 15),
        Column::growing("COORDINATOR (ID)", 25),
        Column::fixed("ASSIGNMENT-STRATEGY", 20),
        Column::fixed("STATE", 20),
    ];
    let assignor = if group.assignor.is_empty() { "-" } else { group.assignor.as_str() };
    let mut row = vec![group.group_id.clone(), coordinator.to_owned(), assignor.to_owned(), group.state.clone()];
    if verbose {
        columns.extend([Column::fixed("GROUP-EPOCH", 15), Column::fixed("TARGET-ASSIGNMENT-EPOCH", 25)]);
        let epoch = |epoch: Option<i32>| {
            epoch
                .filter(|_| group.classic == ClassicGroup::No)
                .map_or_else(|| "-".to_owned(), |epoch| epoch.to_string())
        };
        row.extend([epoch(group.group_epoch), epoch(group.target_assignment_epoch)]);
    }
    columns.push(Column::last("#MEMBERS"));
    row.push(group.members.len().to_string());
    terminal.line(&table::with_leading_newlines(&columns, &[row]));
}
