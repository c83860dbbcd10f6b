//! `kafka-consumer-groups`: list, describe, delete groups; delete and reset their offsets.

mod describe;
pub(crate) mod offsets_file;
pub(crate) mod reset;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use milena_client::admin::GroupListing;
use milena_client::{Cluster, TopicPartition};
use milena_protocol::ErrorCode;

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::table::{self, Column};
use crate::terminal::Terminal;
use crate::{Outcome, groups, java_format, session};

const ACTIONS: &[&str] = &["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];
const STATES: &[&str] =
    &["Reconciling", "Dead", "Stable", "CompletingRebalance", "Assigning", "Empty", "PreparingRebalance"];
const TYPES: &[&str] = &["Consumer", "Classic"];

const SYNTAX: Syntax = Syntax {
    purpose: "Lists, describes and deletes consumer groups, and resets or deletes their offsets.",
    options: &[
        Opt::flag("list", "List the groups."),
        Opt::flag("describe", "Describe groups: their offsets and lag unless --members or --state."),
        Opt::flag("delete", "Delete groups without members."),
        Opt::flag("reset-offsets", "Reset the offsets of a group without members."),
        Opt::flag("delete-offsets", "Delete offsets of topics that the group does not read any more."),
        Opt::one("validate-regex", "regex", "Check a regular expression."),
        Opt::many("group", "group id", "The group; may be repeated."),
        Opt::flag("all-groups", "All groups."),
        Opt::many("topic", "topic[:0,1]", "The topic, with or without partitions; may be repeated."),
        Opt::flag("all-topics", "All topics with committed offsets."),
        Opt::flag("offsets", "Describe offsets (the default)."),
        Opt::flag("members", "Describe members."),
        Opt::optional("state", "states", "Describe the state; with --list show it, or only groups in these states."),
        Opt::optional("type", "types", "With --list show the type, or only groups of these types."),
        Opt::flag("verbose", "Show more columns."),
        Opt::one("timeout", "ms", "How long to wait for the group to settle."),
        Opt::flag("dry-run", "Only show what a reset would do."),
        Opt::flag("execute", "Do it."),
        Opt::flag("export", "Print the new offsets as CSV."),
        Opt::flag("to-earliest", "Reset to the first offsets."),
        Opt::flag("to-latest", "Reset to the end."),
        Opt::flag("to-current", "Reset to the committed offsets."),
        Opt::one("to-offset", "offset", "Reset to this offset."),
        Opt::one("shift-by", "count", "Move by so many records, back when negative."),
        Opt::one("to-datetime", "2025-01-01T00:00:00.000", "Reset to the first record since then."),
        Opt::one("by-duration", "P1DT2H", "Reset to the first record since so long ago."),
        Opt::one("from-file", "file", "Reset to the offsets of a CSV file."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    check(&options)?;
    if let Some(pattern) = options.value("validate-regex") {
        validate_regex(pattern, terminal);
        return Ok(0);
    }
    match session::runtime()?.block_on(execute(&options, terminal)) {
        Ok(()) => Ok(0),
        Err(failure @ (Failure::Usage { .. } | Failure::Reported)) => Err(failure),
        Err(failure) => {
            // The exit code stays 0, as scripts know it; only an unreachable cluster counts as failed.
            terminal.line(&format!("\nError: Executing consumer group command failed due to {}", shown(&failure)));
            terminal.error_line(&failure.to_exception());
            Ok(u8::from(matches!(failure, Failure::Client(milena_client::Error::Unreachable { .. }))))
        }
    }
}

/// A missing group is shown with its class, as Kafka's tool does; the rest by its message.
fn shown(failure: &Failure) -> String {
    match failure {
        Failure::Client(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => failure.to_exception(),
        other => other.message(),
    }
}

fn check(options: &Parsed) -> Result<(), Failure> {
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return Err(options.usage(format!("Command must include exactly one action: {}", actions.join(", "))));
    }
    let grouped = options.has("group") || options.has("all-groups");
    if options.has("describe") {
        if !grouped {
            return Err(options.usage("Option [describe] takes one of these options: [all-groups], [group]"));
        }
        if ["members", "offsets", "state"].iter().filter(|name| options.has(name)).count() > 1 {
            return Err(
                options.usage("Option [describe] takes at most one of these options: [members], [offsets], [state]")
            );
        }
        if let Some(states) = options.value("state") {
            return Err(options.usage(format!("Option [describe] does not take a value for [state]: {states}")));
        }
    }
    if options.has("delete") && !grouped {
        return Err(options.usage("Option [delete] takes one of these options: [all-groups], [group]"));
    }
    if options.has("delete-offsets") && !(options.has("group") && options.has("topic")) {
        return Err(options.usage("Option [delete-offsets] takes the following options: [group], [topic]"));
    }
    options.forbid("group", &["all-groups", "list"])?;
    if options.has("reset-offsets") { reset::check(options) } else { Ok(()) }
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
        delete_offsets(&cluster, options, terminal).await
    } else {
        reset::reset(&cluster, options, terminal).await
    }
}

/// The groups named, or all consumer groups.
async fn chosen_groups(cluster: &Cluster, options: &Parsed) -> Result<Vec<String>, Failure> {
    if options.has("all-groups") {
        let listed = cluster.list_groups(&[], &[]).await?;
        return Ok(listed.into_iter().filter(is_consumer_group).map(|group| group.group_id).collect());
    }
    Ok(options.values("group").into_iter().map(str::to_owned).collect())
}

fn is_consumer_group(group: &GroupListing) -> bool {
    let by_protocol = group.protocol_type.is_empty() || group.protocol_type == "consumer";
    by_protocol && !matches!(group.group_type.to_ascii_lowercase().as_str(), "share" | "streams")
}

async fn list(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let states = names_of(options, "state", STATES)?;
    let types = names_of(options, "type", TYPES)?;
    let mut listed = cluster.list_groups(&states, &types).await?;
    listed.retain(|group| {
        // Brokers older than the filters answer with every group.
        is_consumer_group(group)
            && (states.is_empty() || states.iter().any(|state| state.eq_ignore_ascii_case(&group.state)))
            && (types.is_empty() || types.iter().any(|name| name.eq_ignore_ascii_case(&group.group_type)))
    });
    terminal.print(&listing(&listed, options.has("type"), options.has("state")));
    Ok(())
}

/// Names only, or a table with the columns asked for.
fn listing(groups: &[GroupListing], with_type: bool, with_state: bool) -> String {
    if !with_type && !with_state {
        return groups.iter().map(|group| format!("{}\n", group.group_id)).collect();
    }
    let width = groups.iter().map(|group| group.group_id.len()).max().unwrap_or(0).max(15) + 10;
    let row = |name: &str, group_type: &str, state: &str| {
        let mut line = format!("{name:<width$}");
        if with_type {
            line += &format!(" {group_type:<20}");
        }
        if with_state {
            line += &format!(" {state:<20}");
        }
        line + "\n"
    };
    let rows = groups.iter().map(|group| row(&group.group_id, &groups::capitalized(&group.group_type), &group.state));
    std::iter::once(row("GROUP", "TYPE", "STATE")).chain(rows).collect()
}

/// A comma separated list of known names, any case.
fn names_of(options: &Parsed, option: &str, known: &[&str]) -> Result<Vec<String>, Failure> {
    let Some(list) = options.value(option) else { return Ok(Vec::new()) };
    list.split(',')
        .map(|name| {
            known
                .iter()
                .find(|known| known.eq_ignore_ascii_case(name.trim()))
                .map(|known| (*known).to_owned())
                .ok_or_else(|| {
                    options.usage(format!("Invalid {option} list '{list}'. Valid {option}s are: {}", known.join(", ")))
                })
        })
        .collect()
}

async fn delete(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut results = Vec::new();
    for group in chosen_groups(cluster, options).await? {
        let result = cluster.delete_group(&group).await;
        results.push((group, result));
    }
    terminal.print(&deletion_report(&results));
    Ok(())
}

fn deletion_report(results: &[(String, milena_client::Result<()>)]) -> String {
    let deleted: Vec<String> =
        results.iter().filter(|(_, result)| result.is_ok()).map(|(group, _)| format!("'{group}'")).collect();
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(group, result)| {
            let error = result.as_ref().err()?;
            Some(format!("* Group '{group}' could not be deleted due to: {}\n", error.to_exception()))
        })
        .collect();
    if failed.is_empty() {
        return format!("Deletion of requested consumer groups ({}) was successful.\n", deleted.join(", "));
    }
    let mut text = format!("\nError: Deletion of some consumer groups failed:\n{}", failed.concat());
    if !deleted.is_empty() {
        text += &format!("\nThese consumer groups were deleted successfully: {}\n", deleted.join(", "));
    }
    text
}

async fn delete_offsets(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let group = options.required("group")?;
    let (mut partitions, mut unknown_topics) = (Vec::new(), BTreeMap::new());
    for word in options.values("topic") {
        match partitions_of_word(cluster, word).await {
            Ok(named) => partitions.extend(named),
            Err(TopicWordError::Unknown { topic, code }) => {
                unknown_topics.insert(TopicPartition::new(topic, NO_PARTITION), code);
            }
            Err(TopicWordError::Failed(failure)) => return Err(failure),
        }
    }
    partitions.sort();
    partitions.dedup();
    let (code, mut results) = match cluster.delete_offsets(group, &partitions).await {
        Ok(results) => (ErrorCode::None, results),
        Err(error) => match error.code() {
            Some(code) => (code, partitions.into_iter().map(|tp| (tp, code)).collect()),
            None => return Err(error.into()),
        },
    };
    // A topic that could not be looked up was never asked about: the original calls the request a success all the same.
    results.extend(unknown_topics);
    terminal.print(&offsets_deletion_report(group, code, &results));
    Ok(())
}

/// Stands for "the whole topic" in a report.
const NO_PARTITION: i32 = -1;

/// The report of `--delete-offsets`: the code of the request, and the one of each partition.
pub(crate) fn offsets_deletion_report(
    group: &str,
    code: ErrorCode,
    results: &BTreeMap<TopicPartition, ErrorCode>,
) -> String {
    let head = match code {
        ErrorCode::None
            if results.iter().all(|(tp, code)| tp.partition == NO_PARTITION || *code == ErrorCode::None) =>
        {
            format!("Request succeeded for deleting offsets from group {group}.\n")
        }
        ErrorCode::None => "\nError: Encountered some partition-level error, see the follow-up details.\n".to_owned(),
        ErrorCode::GroupIdNotFound => "\nError: The group id does not exist.\n".to_owned(),
        code => format!("\nError: {}\n", code.message()),
    };
    let columns = [Column::growing("TOPIC", 15), Column::fixed("PARTITION", 10), Column::fixed("STATUS", 15)];
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|(tp, code)| {
            let status = match code {
                ErrorCode::None => "Successful".to_owned(),
                code => format!("Error: {}", milena_client::Error::api(*code, None).to_exception()),
            };
            let partition = if tp.partition == NO_PARTITION { "-".to_owned() } else { tp.partition.to_string() };
            vec![tp.topic.clone(), partition, status]
        })
        .collect();
    head + &table::with_leading_newlines(&columns, &rows) + "\n"
}

/// The partitions that `--topic` options name: `t` for all of them, `t:0,1` for some.
pub(crate) async fn partitions_of(cluster: &Cluster, options: &Parsed) -> Result<Vec<TopicPartition>, Failure> {
    partitions_of_words(cluster, &options.values("topic")).await
}

/// The partitions that `words` name, each as a `--topic` option does.
pub(crate) async fn partitions_of_words(cluster: &Cluster, words: &[&str]) -> Result<Vec<TopicPartition>, Failure> {
    let mut partitions = Vec::new();
    for word in words {
        partitions.extend(partitions_of_word(cluster, word).await?);
    }
    partitions.sort();
    partitions.dedup();
    Ok(partitions)
}

/// Why the value of one `--topic` option names no partitions.
enum TopicWordError {
    /// The cluster refuses to describe the topic.
    Unknown { topic: String, code: ErrorCode },
    /// Anything else.
    Failed(Failure),
}

impl From<TopicWordError> for Failure {
    fn from(error: TopicWordError) -> Failure {
        match error {
            TopicWordError::Unknown { code, .. } => milena_client::Error::api(code, None).into(),
            TopicWordError::Failed(failure) => failure,
        }
    }
}

async fn partitions_of_word(cluster: &Cluster, word: &str) -> Result<Vec<TopicPartition>, TopicWordError> {
    match topic_argument(word).map_err(TopicWordError::Failed)? {
        (topic, Some(numbers)) => Ok(numbers.into_iter().map(|number| TopicPartition::new(topic, number)).collect()),
        (topic, None) => {
            let described =
                cluster.describe_topics(&[topic.to_owned()], 2000).await.map_err(|error| match error.code() {
                    Some(code) => TopicWordError::Unknown { topic: topic.to_owned(), code },
                    None => TopicWordError::Failed(error.into()),
                })?;
            let all = described.iter().flat_map(|topic| &topic.partitions);
            Ok(all.map(|partition| TopicPartition::new(topic, partition.partition)).collect())
        }
    }
}

fn topic_argument(word: &str) -> Result<(&str, Option<Vec<i32>>), Failure> {
    let Some((topic, list)) = word.split_once(':') else { return Ok((word, None)) };
    let invalid = || Failure::illegal_argument(format!("Invalid partition '{list}' specified in topic arg '{word}'"));
    let numbers =
        list.split(',').map(|number| number.trim().parse().map_err(|_| invalid())).collect::<Result<_, _>>()?;
    Ok((topic, Some(numbers)))
}

fn validate_regex(pattern: &str, terminal: &mut Terminal) {
    match java_format::full_match(pattern) {
        Ok(_) => terminal.line(&format!("The regular expression `{pattern}` is valid.")),
        Err(failure) => terminal.line(&format!("The regular expression `{pattern}` is invalid: {}", failure.message())),
    }
}
