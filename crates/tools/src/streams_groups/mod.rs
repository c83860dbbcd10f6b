//! `kafka-streams-groups`: list, describe, delete streams groups; delete and reset their offsets.

mod describe;
mod offsets;
#[cfg(test)]
mod tests;

use milena_client::Cluster;
use milena_client::admin::GroupListing;
use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_describe_response::Group;

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::table::{self, Column};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const ACTIONS: &[&str] = &["list", "describe", "delete", "reset-offsets", "delete-offsets"];
const STATES: &[&str] = &["Empty", "NotReady", "Stable", "Assigning", "Reconciling", "Dead"];

const SYNTAX: Syntax = Syntax {
    purpose: "Lists, describes and deletes streams groups, and resets or deletes their offsets.",
    options: &[
        Opt::flag("list", "List the groups."),
        Opt::flag("describe", "Describe groups: their offsets and lag unless --members or --state."),
        Opt::flag("delete", "Delete groups without members."),
        Opt::flag("reset-offsets", "Reset the offsets of a group without members."),
        Opt::flag("delete-offsets", "Delete the offsets of input topics of a group without members."),
        Opt::many("group", "group id", "The group; may be repeated."),
        Opt::flag("all-groups", "All streams groups."),
        Opt::many("input-topic", "topic[:0,1]", "The input topic, with or without partitions; may be repeated."),
        Opt::flag("all-input-topics", "All source topics of the group's topology."),
        Opt::many(
            "delete-internal-topic",
            "topic",
            "With --reset-offsets --execute: delete this topic; may be repeated.",
        ),
        Opt::flag("delete-all-internal-topics", "With --delete, or --reset-offsets --execute: delete them too."),
        Opt::flag("offsets", "Describe offsets (the default)."),
        Opt::flag("members", "Describe members."),
        Opt::optional("state", "states", "Describe the state; with --list show it, or only groups in these states."),
        Opt::flag("verbose", "Show more columns."),
        Opt::one("timeout", "ms", "How long to wait for the group to settle."),
        Opt::flag("dry-run", "Only show what a reset would do."),
        Opt::flag("execute", "Do it."),
        Opt::flag("to-earliest", "Reset to the first offsets."),
        Opt::flag("to-latest", "Reset to the end."),
        Opt::flag("to-current", "Reset to the committed offsets."),
        Opt::one("to-offset", "offset", "Reset to this offset."),
        Opt::one("shift-by", "count", "Move by so many records, back when negative."),
        Opt::one("to-datetime", "2025-01-01T00:00:00.000", "Reset to the first record since then."),
        Opt::one("by-duration", "P1DT2H", "Reset to the first record since so long ago."),
        Opt::one("from-file", "file", "Reset to the offsets of a CSV file."),
        Opt::flag("export", "Print the new offsets as CSV."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    check(&options)?;
    match session::runtime()?.block_on(execute(&options, terminal)) {
        Ok(()) => Ok(0),
        Err(failure @ (Failure::Usage { .. } | Failure::Reported)) => Err(failure),
        Err(failure) => {
            terminal
                .line(&format!("\nError: Executing streams group command failed due to {}", failure.to_exception()));
            Ok(1)
        }
    }
}

fn check(options: &Parsed) -> Result<(), Failure> {
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("[{action}]")).collect();
        return Err(options.usage(format!("Command must include exactly one action: {}.", actions.join(", "))));
    }
    for action in ["describe", "delete"] {
        if options.has(action) && !options.has("group") && !options.has("all-groups") {
            return Err(options.usage(format!("Option [{action}] takes one of these options: [all-groups], [group]")));
        }
    }
    if options.has("describe") && ["members", "offsets", "state"].iter().filter(|name| options.has(name)).count() > 1 {
        return Err(
            options.usage("Option [describe] takes at most one of these options: [members], [offsets], [state]")
        );
    }
    options.forbid("group", &["all-groups", "list"])?;
    offsets::check_internal_topics(options)?;
    if options.has("reset-offsets") || options.has("delete-offsets") { offsets::check(options) } else { Ok(()) }
}

async fn execute(options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let cluster = session::connect_admin(options).await?;
    if options.has("list") {
        list(&cluster, options, terminal).await
    } else if options.has("describe") {
        describe::describe(&cluster, options, terminal).await
    } else if options.has("delete") {
        delete(&cluster, options, terminal).await
    } else if options.has("delete-offsets") {
        offsets::delete(&cluster, options, terminal).await
    } else {
        offsets::reset(&cluster, options, terminal).await
    }
}

async fn streams_groups(cluster: &Cluster, states: &[String]) -> Result<Vec<GroupListing>, Failure> {
    let mut listed = cluster.list_groups(states, &["streams".to_owned()]).await?;
    // Brokers older than the filters answer with every group.
    listed.retain(|group| group.group_type.eq_ignore_ascii_case("streams"));
    Ok(listed)
}

/// The groups named, or all streams groups.
async fn chosen_groups(cluster: &Cluster, options: &Parsed) -> Result<Vec<String>, Failure> {
    if options.has("all-groups") {
        return Ok(streams_groups(cluster, &[]).await?.into_iter().map(|group| group.group_id).collect());
    }
    Ok(options.values("group").into_iter().map(str::to_owned).collect())
}

async fn list(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let states = states(options)?;
    let groups = streams_groups(cluster, &states).await?;
    terminal.print(&listing(&groups, options.has("state")));
    Ok(())
}

/// The states of `--state`, any case.
fn states(options: &Parsed) -> Result<Vec<String>, Failure> {
    let Some(list) = options.value("state") else { return Ok(Vec::new()) };
    let known = |name: &str| STATES.iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
    list.split(',')
        .map(|name| {
            known(name).map(|known| (*known).to_owned()).ok_or_else(|| {
                options.usage(format!("Invalid state list '{list}'. Valid states are: {}", STATES.join(", ")))
            })
        })
        .collect()
}

fn listing(groups: &[GroupListing], with_state: bool) -> String {
    if !with_state {
        return groups.iter().map(|group| format!("{}\n", group.group_id)).collect();
    }
    let columns = [Column::growing("GROUP", 15), Column::last("STATE")];
    let rows: Vec<Vec<String>> = groups.iter().map(|group| vec![group.group_id.clone(), group.state.clone()]).collect();
    lines(&columns, &rows)
}

/// A table, each line ended.
fn lines(columns: &[Column], rows: &[Vec<String>]) -> String {
    table::lines(columns, rows).iter().map(|line| format!("{line}\n")).collect()
}

async fn delete(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let known = streams_groups(cluster, &[]).await?;
    let (mut results, mut of_topics) = (Vec::new(), Vec::new());
    for group in chosen_groups(cluster, options).await? {
        let internal = match options.has("delete-all-internal-topics") {
            true => cluster.describe_streams_group(&group).await.as_ref().map(internal_topics).unwrap_or_default(),
            false => Vec::new(),
        };
        let result = if known.iter().any(|known| known.group_id == group) {
            cluster.delete_group(&group).await.map_err(|error| deletion_refused(&group, error))
        } else {
            Err(format!(
                "java.lang.IllegalArgumentException: Group '{group}' does not exist or is not a streams group."
            ))
        };
        if result.is_ok() && !internal.is_empty() {
            let deleted = cluster.delete_topics(&internal).await;
            of_topics.push((group.clone(), deleted.map_err(|error| Failure::from(error).to_exception())));
        }
        results.push((group, result));
    }
    terminal.print(&deletion_report(&results));
    terminal.print(&topic_deletion_report(&of_topics));
    Ok(())
}

/// Why a group was not deleted, in the words of the original, whose client looks at the state itself.
fn deletion_refused(group: &str, error: milena_client::Error) -> String {
    match error.code() {
        Some(ErrorCode::NonEmptyGroup) => {
            format!("org.apache.kafka.common.errors.GroupNotEmptyException: Streams group '{group}' is not EMPTY.")
        }
        _ => Failure::from(error).to_exception(),
    }
}

/// What became of the internal topics of the groups that were deleted.
fn topic_deletion_report(results: &[(String, Result<(), String>)]) -> String {
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(group, result)| {
            let error = result.as_ref().err()?;
            Some(format!("* Internal topics of the streams group '{group}' could not be deleted due to: {error}\n"))
        })
        .collect();
    if !failed.is_empty() {
        return format!("Deletion of some associated internal topics failed:\n{}", failed.concat());
    }
    if results.is_empty() {
        return String::new();
    }
    let groups: Vec<String> = results.iter().map(|(group, _)| format!("'{group}'")).collect();
    format!("Deletion of associated internal topics of the streams groups ({}) was successful.\n", groups.join(", "))
}

/// The repartition and changelog topics of a group's topology.
fn internal_topics(group: &Group) -> Vec<String> {
    let subtopologies = group.topology.iter().flat_map(|topology| topology.subtopologies.iter().flatten());
    let mut topics: Vec<String> = subtopologies
        .flat_map(|it| it.repartition_source_topics.iter().chain(&it.state_changelog_topics))
        .map(|topic| topic.name.clone())
        .collect();
    topics.sort();
    topics.dedup();
    topics
}

fn deletion_report(results: &[(String, Result<(), String>)]) -> String {
    let deleted: Vec<String> =
        results.iter().filter(|(_, result)| result.is_ok()).map(|(group, _)| format!("'{group}'")).collect();
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(group, result)| {
            let error = result.as_ref().err()?;
            Some(format!("* Group '{group}' could not be deleted due to: {error}\n"))
        })
        .collect();
    if failed.is_empty() {
        return format!("Deletion of requested streams groups ({}) was successful.\n", deleted.join(", "));
    }
    let mut text = format!("\nError: Deletion of some streams groups failed:\n{}", failed.concat());
    if !deleted.is_empty() {
        text += &format!("\nThese streams groups were deleted successfully: {}.\n", deleted.join(", "));
    }
    text
}
