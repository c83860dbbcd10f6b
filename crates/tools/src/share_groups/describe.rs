//! `kafka-share-groups --describe`: offsets and lag, members, state.

use std::collections::BTreeMap;

use milena_client::admin::SharePosition;
use milena_client::{Cluster, CoordinatorKind, TopicPartition};
use milena_protocol::messages::share_group_describe_response::{Group, Member};

use super::chosen_groups;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::table::{self, Column};
use crate::terminal::Terminal;

pub(super) async fn describe(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let verbose = options.has("verbose");
    for group_id in chosen_groups(cluster, options).await? {
        let group = cluster.describe_share_group(&group_id).await?;
        if options.has("members") {
            report_state(&group, terminal);
            if !group.members.is_empty() {
                terminal.line(&members_table(&group, verbose));
            }
        } else if options.has("state") {
            report_state(&group, terminal);
            let coordinator = cluster.cached_coordinator(CoordinatorKind::Group, &group_id);
            let coordinator = coordinator.map(|node| format!("{}:{}  ({})", node.host, node.port, node.id));
            terminal.line(&state_table(&group, &coordinator.unwrap_or_else(|| "-".to_owned()), verbose));
        } else {
            let positions = cluster.share_positions(&group_id).await?;
            match positions.is_empty() {
                true => terminal.line(&format!("\nShare group '{group_id}' has no offset information.")),
                false => terminal.line(&offsets_table(&group_id, &positions, verbose)),
            }
        }
    }
    Ok(())
}

/// What is worth knowing before the table, on standard error.
fn report_state(group: &Group, terminal: &mut Terminal) {
    let id = &group.group_id;
    match group.group_state.as_str() {
        "Dead" => terminal.error_line(&format!("\nShare group '{id}' does not exist.")),
        "Empty" => terminal.error_line(&format!("\nShare group '{id}' has no active members.")),
        _ => {}
    }
}

pub(super) fn offsets_table(
    group_id: &str,
    positions: &BTreeMap<TopicPartition, SharePosition>,
    verbose: bool,
) -> String {
    let mut columns = vec![Column::growing("GROUP", 15), Column::growing("TOPIC", 15), Column::fixed("PARTITION", 10)];
    if verbose {
        columns.push(Column::fixed("LEADER-EPOCH", 13));
    }
    columns.extend([Column::fixed("START-OFFSET", 13), Column::last("LAG")]);
    let rows: Vec<Vec<String>> = positions
        .iter()
        .map(|(tp, position)| {
            let known = position.start_offset >= 0;
            let number = |number: i64| if known && number >= 0 { number.to_string() } else { "-".to_owned() };
            let mut row = vec![group_id.to_owned(), tp.topic.clone(), tp.partition.to_string()];
            if verbose {
                row.push(number(i64::from(position.leader_epoch)));
            }
            row.extend([number(position.start_offset), number(position.lag)]);
            row
        })
        .collect();
    table::with_leading_newlines(&columns, &rows)
}

pub(super) fn members_table(group: &Group, verbose: bool) -> String {
    let mut columns = vec![
        Column::growing("GROUP", 15),
        Column::growing("CONSUMER-ID", 15),
        Column::growing("HOST", 15),
        Column::growing("CLIENT-ID", 15),
        Column::fixed("#PARTITIONS", 12),
    ];
    if verbose {
        columns.push(Column::fixed("MEMBER-EPOCH", 13));
    }
    columns.push(Column::last("ASSIGNMENT"));
    let rows: Vec<Vec<String>> = group
        .members
        .iter()
        .map(|member| {
            let count: usize = member.assignment.topic_partitions.iter().map(|topic| topic.partitions.len()).sum();
            let mut row = vec![
                group.group_id.clone(),
                member.member_id.clone(),
                member.client_host.clone(),
                member.client_id.clone(),
                count.to_string(),
            ];
            if verbose {
                row.push(member.member_epoch.to_string());
            }
            row.push(assignment_text(member));
            row
        })
        .collect();
    table::with_leading_newlines(&columns, &rows)
}

/// `t:0,1;u:0`, empty for nothing.
fn assignment_text(member: &Member) -> String {
    let topics = member.assignment.topic_partitions.iter().map(|topic| {
        let numbers: Vec<String> = topic.partitions.iter().map(i32::to_string).collect();
        format!("{}:{}", topic.topic_name, numbers.join(","))
    });
    topics.collect::<Vec<_>>().join(";")
}

pub(super) fn state_table(group: &Group, coordinator: &str, verbose: bool) -> String {
    let mut columns =
        vec![Column::growing("GROUP", 15), Column::growing("COORDINATOR (ID)", 25), Column::fixed("STATE", 15)];
    let mut row = vec![group.group_id.clone(), coordinator.to_owned(), group.group_state.clone()];
    if verbose {
        columns.extend([Column::fixed("GROUP-EPOCH", 12), Column::fixed("ASSIGNMENT-EPOCH", 17)]);
        row.extend([group.group_epoch.to_string(), group.assignment_epoch.to_string()]);
    }
    columns.push(Column::last("#MEMBERS"));
    row.push(group.members.len().to_string());
    table::with_leading_newlines(&columns, &[row])
}
