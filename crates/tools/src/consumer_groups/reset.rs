//! `kafka-consumer-groups --reset-offsets`: compute new offsets, show them, commit them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{Span, Timestamp};
use milena_client::admin::{Committed, FoundOffset, IsolationLevel, OffsetSpec};
use milena_client::{Cluster, TopicPartition};
use milena_protocol::ErrorCode;

use super::offsets_file::{self, OffsetsByGroup};
use super::{chosen_groups, partitions_of};
use crate::failure::Failure;
use crate::java_format;
use crate::options::Parsed;
use crate::table::{self, Column};
use crate::terminal::Terminal;

/// The options that say what to reset to.
pub(crate) const SCENARIOS: &[&str] =
    &["to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "shift-by", "from-file", "to-current"];

/// What to reset to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Spec(OffsetSpec),
    Offset(i64),
    ShiftBy(i64),
    Current,
    File(String),
}

pub fn check(options: &Parsed) -> Result<(), Failure> {
    if options.has("dry-run") && options.has("execute") {
        return Err(options.usage("Option [reset-offsets] only accepts one of [execute], [dry-run]"));
    }
    if !options.has("group") && !options.has("all-groups") {
        return Err(options.usage("Option [reset-offsets] takes one of these options: [all-groups], [group]"));
    }
    if SCENARIOS.iter().filter(|scenario| options.has(scenario)).count() != 1 {
        let known: Vec<String> = SCENARIOS.iter().map(|scenario| format!("[{scenario}]")).collect();
        return Err(
            options.usage(format!("Option [reset-offsets] takes exactly one of these options: {}", known.join(", ")))
        );
    }
    options.forbid("topic", &["all-topics"])?;
    if !options.has("topic") && !options.has("all-topics") && !options.has("from-file") {
        return Err(options.usage("One of the reset scopes should be defined: --all-topics, --topic."));
    }
    target(options).map(|_| ())
}

pub async fn reset(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    if !options.has("execute") && !options.has("dry-run") {
        terminal.error_line(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require \
             either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are scripting \
             this command and want to keep the current default behavior without prompting.",
        );
    }
    let target = target(options)?;
    let mut planned = OffsetsByGroup::new();
    for group in chosen_groups(cluster, options).await? {
        let state = state_of(cluster, &group).await?;
        if !matches!(state.as_str(), "Empty" | "Dead") {
            terminal.line(&format!(
                "\nError: Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}."
            ));
            continue;
        }
        let partitions = match &target {
            Target::File(_) => Vec::new(),
            _ if options.has("all-topics") => cluster.committed_offsets(&group, None).await?.into_keys().collect(),
            _ => partitions_of(cluster, options).await?,
        };
        let offsets = plan(cluster, options, &group, &target, partitions, terminal).await?;
        if options.has("execute") {
            let committed = offsets.iter().map(|(tp, offset)| (tp.clone(), Committed::at(*offset))).collect();
            cluster.commit_offsets(&group, None, &committed).await?;
        }
        planned.insert(group, offsets);
    }
    match options.has("export") {
        true => terminal.line(&offsets_file::to_csv(&planned)),
        false => terminal.line(&table_of(&planned)),
    }
    Ok(())
}

pub fn table_of(planned: &OffsetsByGroup) -> String {
    let columns = [
        Column::growing("GROUP", 15),
        Column::growing("TOPIC", 15),
        Column::fixed("PARTITION", 10),
        Column::last("NEW-OFFSET"),
    ];
    let rows: Vec<Vec<String>> = planned
        .iter()
        .flat_map(|(group, offsets)| {
            offsets.iter().map(move |(tp, offset)| {
                vec![group.clone(), tp.topic.clone(), tp.partition.to_string(), offset.to_string()]
            })
        })
        .collect();
    table::with_leading_newlines(&columns, &rows)
}

async fn state_of(cluster: &Cluster, group: &str) -> Result<String, Failure> {
    match cluster.describe_group(group).await {
        Ok(described) => Ok(described.state),
        // A group that does not exist yet may be given offsets.
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => Ok("Dead".to_owned()),
        Err(error) => Err(error.into()),
    }
}

/// What the options say to reset to.
///
/// # Errors
/// A number, a time or a duration that is none.
pub(crate) fn target(options: &Parsed) -> Result<Target, Failure> {
    if let Some(offset) = options.number("to-offset")? {
        return Ok(Target::Offset(offset));
    }
    if let Some(count) = options.number("shift-by")? {
        return Ok(Target::ShiftBy(count));
    }
    if let Some(text) = options.value("to-datetime") {
        return Ok(Target::Spec(OffsetSpec(datetime(text)?)));
    }
    if let Some(text) = options.value("by-duration") {
        return Ok(Target::Spec(OffsetSpec(before(Timestamp::now(), text)?)));
    }
    if let Some(path) = options.value("from-file") {
        return Ok(Target::File(path.to_owned()));
    }
    if options.has("to-earliest") {
        return Ok(Target::Spec(OffsetSpec::EARLIEST));
    }
    if options.has("to-latest") {
        return Ok(Target::Spec(OffsetSpec::LATEST));
    }
    Ok(Target::Current)
}

/// `2025-01-01T00:00:00.000`, in UTC unless an offset follows; milliseconds since 1970.
pub(crate) fn datetime(text: &str) -> Result<i64, Failure> {
    let zoned = text.parse::<Timestamp>().ok();
    let utc = || text.parse::<DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    // `+0100` is as good as `+01:00`.
    let compact = || Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok();
    zoned.or_else(compact).or_else(utc).map(Timestamp::as_millisecond).ok_or_else(|| Failure::Exception {
        class: "java.text.ParseException",
        message: format!("Unparseable date: \"{text}\""),
    })
}

/// The time so long before `now`; a day has 24 hours.
fn before(now: Timestamp, text: &str) -> Result<i64, Failure> {
    let unparsable = || Failure::Exception {
        class: "java.time.format.DateTimeParseException",
        message: format!("Text '{text}' could not be parsed to a duration"),
    };
    let span: Span = text.parse().map_err(|_| unparsable())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| unparsable())?;
    now.checked_sub(length).map(Timestamp::as_millisecond).map_err(|_| unparsable())
}

/// The new offsets of `group`: of `partitions`, or of those that the file of `target` names.
///
/// # Errors
/// The file cannot be read, a partition without a committed offset cannot be shifted, or the cluster refuses.
pub(crate) async fn plan(
    cluster: &Cluster,
    options: &Parsed,
    group: &str,
    target: &Target,
    partitions: Vec<TopicPartition>,
    terminal: &mut Terminal,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    if let Target::File(path) = target {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::io(format!("{path}: {error}")))?;
        let groups = options.values("group");
        let only_group = if let [only] = groups[..] { Some(only) } else { None };
        let wanted = offsets_file::from_csv(&text, only_group)?.remove(group).unwrap_or_default();
        return within_log(cluster, wanted, terminal).await;
    }
    match target {
        Target::Spec(spec) => find(cluster, &partitions, *spec, terminal).await,
        Target::Offset(offset) => {
            within_log(cluster, partitions.into_iter().map(|tp| (tp, *offset)).collect(), terminal).await
        }
        Target::ShiftBy(count) => {
            let committed = cluster.committed_offsets(group, Some(&partitions)).await?;
            let mut wanted = BTreeMap::new();
            for tp in partitions {
                let current = committed.get(&tp).ok_or_else(|| {
                    options.usage(format!(
                        "Cannot shift offset for partition {tp} since there is no current committed offset"
                    ))
                })?;
                wanted.insert(tp, current.offset.saturating_add(*count));
            }
            within_log(cluster, wanted, terminal).await
        }
        Target::Current => {
            let committed = cluster.committed_offsets(group, Some(&partitions)).await?;
            let without: Vec<_> = partitions.into_iter().filter(|tp| !committed.contains_key(tp)).collect();
            let mut offsets = find(cluster, &without, OffsetSpec::LATEST, terminal).await?;
            offsets.extend(committed.into_iter().map(|(tp, committed)| (tp, committed.offset)));
            Ok(offsets)
        }
        Target::File(_) => Ok(BTreeMap::new()),
    }
}

/// Asks the leaders; where no record is that young, the end of the log is taken.
pub(crate) async fn find(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
    terminal: &mut Terminal,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let mut offsets = ask(cluster, partitions, spec).await?;
    let unknown: Vec<TopicPartition> =
        offsets.iter().filter(|(_, offset)| **offset < 0).map(|(tp, _)| tp.clone()).collect();
    for tp in &unknown {
        terminal.line(&format!(
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            tp.partition, tp.topic
        ));
    }
    offsets.extend(ask(cluster, &unknown, OffsetSpec::LATEST).await?);
    Ok(offsets)
}

async fn ask(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let asked: Vec<_> = partitions.iter().map(|tp| (tp.clone(), spec)).collect();
    let found = cluster.list_offsets(&asked, IsolationLevel::ReadUncommitted).await?;
    let offset = |(tp, found): (TopicPartition, milena_client::Result<FoundOffset>)| Ok((tp, found?.offset));
    found.into_iter().map(offset).collect()
}

/// Moves offsets that lie outside the log to its nearer end, with a warning.
async fn within_log(
    cluster: &Cluster,
    wanted: BTreeMap<TopicPartition, i64>,
    terminal: &mut Terminal,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let partitions: Vec<TopicPartition> = wanted.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let earliest = ask(cluster, &partitions, OffsetSpec::EARLIEST).await?;
    let latest = ask(cluster, &partitions, OffsetSpec::LATEST).await?;
    let mut offsets = BTreeMap::new();
    for (tp, offset) in wanted {
        let (first, end) = (earliest.get(&tp).copied().unwrap_or(0), latest.get(&tp).copied().unwrap_or(i64::MAX));
        let moved = offset.clamp(first, end.max(first));
        if moved != offset {
            let side = if offset > end { "higher than latest" } else { "lower than earliest" };
            terminal.error_line(&format!(
                "[{}] WARN New offset ({offset}) is {side} offset for topic partition {tp}. Value will be set to {moved} (org.apache.kafka.tools.OffsetsUtils)",
                java_format::log_timestamp()
            ));
        }
        offsets.insert(tp, moved);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        assert_eq!(datetime("2025-01-01T00:00:00.000").unwrap(), 1_735_689_600_000);
        assert_eq!(datetime("2025-01-01T00:00:00.000Z").unwrap(), 1_735_689_600_000);
        assert_eq!(datetime("2025-01-01T01:00:00.500+01:00").unwrap(), 1_735_689_600_500);
        assert_eq!(datetime("2025-01-01T01:00:00.500+0100").unwrap(), 1_735_689_600_500);
        assert!(datetime("yesterday").is_err());
    }

    #[test]
    fn durations_are_iso_8601() {
        let now = Timestamp::from_millisecond(1_000_000_000_000).unwrap();
        assert_eq!(before(now, "P1DT2H").unwrap(), 1_000_000_000_000 - 26 * 3_600_000);
        assert_eq!(before(now, "PT0S").unwrap(), 1_000_000_000_000);
        assert!(before(now, "1 day or so").is_err());
    }
}
