//! `kafka-get-offsets`: the ends of partitions, or offsets by time.

use std::collections::BTreeSet;

use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::{Cluster, TopicPartition};
use regex::Regex;

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, java_format, session};

const SYNTAX: Syntax = Syntax {
    purpose: "Prints offsets of partitions.",
    options: &[
        Opt::one("topic", "topic", "Regular expression of topics."),
        Opt::one("partitions", "0,1-3", "Partitions or ranges (the upper end is left out)."),
        Opt::one("topic-partitions", "topic:0,topic:1-3", "Regular expressions of topics with partitions."),
        Opt::one(
            "time",
            "timestamp",
            "A time in ms, or -1/latest (default), -2/earliest, -3/max-timestamp, -4/earliest-local, -5/latest-tiered, -6/earliest-pending-upload.",
        ),
        Opt::flag("exclude-internal-topics", "Leave internal topics out."),
        Opt::one("broker-list", "host:port", "").replaced_by("bootstrap-server"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    if options.has("topic-partitions") && (options.has("topic") || options.has("partitions")) {
        return Err(Failure::illegal_argument("--topic-partitions cannot be used with --topic or --partitions"));
    }
    let spec = parse_time(options.value("time").unwrap_or("latest"))?;
    let rules = Rules::of(&options)?;
    session::runtime()?.block_on(async {
        let cluster = match options.value("broker-list") {
            Some(servers) => {
                let properties = session::ClientProperties::read(&options, &["command-config"], &[])?;
                Cluster::connect(properties.client_config(Some(servers), "GetOffsetShell")?).await?
            }
            None => session::connect_admin(&options).await?,
        };
        print_offsets(&cluster, &options, &rules, spec, terminal).await
    })
}

async fn print_offsets(
    cluster: &Cluster,
    options: &Parsed,
    rules: &Rules,
    spec: OffsetSpec,
    terminal: &mut Terminal,
) -> Outcome {
    let metadata = cluster.refresh_metadata(None, false).await?;
    let exclude_internal = options.has("exclude-internal-topics");
    let mut wanted = BTreeSet::new();
    for topic in metadata.topics {
        let name = topic.name.unwrap_or_default();
        if exclude_internal && topic.is_internal {
            continue;
        }
        let chosen = topic.partitions.iter().filter(|partition| rules.accept(&name, partition.partition_index));
        wanted.extend(chosen.map(|partition| TopicPartition::new(&name, partition.partition_index)));
    }
    if wanted.is_empty() {
        return Err(Failure::illegal_argument("Could not match any topic-partitions with the specified filters"));
    }
    let asked: Vec<_> = wanted.into_iter().map(|tp| (tp, spec)).collect();
    for (tp, found) in cluster.list_offsets(&asked, IsolationLevel::ReadUncommitted).await? {
        match found {
            Ok(found) if found.offset >= 0 => terminal.line(&format!("{}:{}:{}", tp.topic, tp.partition, found.offset)),
            Ok(_) => {}
            Err(error) => {
                terminal.error_line(&format!("Skip getting offsets for topic-partition {tp} due to error: {error}"))
            }
        }
    }
    Ok(0)
}

/// The value of `--time`.
pub(crate) fn parse_time(text: &str) -> Result<OffsetSpec, Failure> {
    match text {
        "earliest" => Ok(OffsetSpec::EARLIEST),
        "latest" => Ok(OffsetSpec::LATEST),
        "max-timestamp" => Ok(OffsetSpec::MAX_TIMESTAMP),
        "earliest-local" => Ok(OffsetSpec::EARLIEST_LOCAL),
        "latest-tiered" => Ok(OffsetSpec::LATEST_TIERED),
        "earliest-pending-upload" => Ok(OffsetSpec::EARLIEST_PENDING_UPLOAD),
        number => number.parse().ok().filter(|time| *time >= -6).map(OffsetSpec).ok_or_else(|| {
            Failure::illegal_argument(format!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
            ))
        }),
    }
}

/// Which partitions to show: any rule that accepts is enough; no rules accept all.
struct Rules(Vec<(Regex, PartitionRange)>);

#[derive(Debug, Clone, Copy)]
struct PartitionRange {
    from: i32,
    /// Exclusive.
    upto: i32,
}

impl Rules {
    fn of(options: &Parsed) -> Result<Rules, Failure> {
        if let Some(list) = options.value("topic-partitions") {
            return list.split(',').map(rule).collect::<Result<_, _>>().map(Rules);
        }
        let topic = java_format::topic_pattern(options.value("topic").unwrap_or(".*"))?;
        let ranges = match options.value("partitions") {
            Some(list) => list.split(',').map(range).collect::<Result<Vec<_>, _>>()?,
            None => vec![PartitionRange { from: 0, upto: i32::MAX }],
        };
        Ok(Rules(ranges.into_iter().map(|range| (topic.clone(), range)).collect()))
    }

    fn accept(&self, topic: &str, partition: i32) -> bool {
        self.0.iter().any(|(pattern, range)| (range.from..range.upto).contains(&partition) && pattern.is_match(topic))
    }
}

/// `topic`, `topic:0`, `topic:1-3`, `:2`, `:-2`, `:2-`.
fn rule(text: &str) -> Result<(Regex, PartitionRange), Failure> {
    let (topic, partitions) = text.rsplit_once(':').unwrap_or((text, ""));
    let pattern = java_format::topic_pattern(if topic.is_empty() { ".*" } else { topic })?;
    let range = if partitions.is_empty() { PartitionRange { from: 0, upto: i32::MAX } } else { range(partitions)? };
    Ok((pattern, range))
}

/// `1`, `1-3` (without 3), `-3`, `1-`.
fn range(text: &str) -> Result<PartitionRange, Failure> {
    let invalid = |_| Failure::illegal_argument(format!("Invalid rule: {text}"));
    let number = |text: &str| text.trim().parse::<i32>();
    match text.split_once('-') {
        None => number(text).map(|from| PartitionRange { from, upto: from.saturating_add(1) }).map_err(invalid),
        Some(("", upto)) => Ok(PartitionRange { from: 0, upto: number(upto).map_err(invalid)? }),
        Some((from, "")) => Ok(PartitionRange { from: number(from).map_err(invalid)?, upto: i32::MAX }),
        Some((from, upto)) => {
            Ok(PartitionRange { from: number(from).map_err(invalid)?, upto: number(upto).map_err(invalid)? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_names_and_numbers() {
        assert_eq!(parse_time("max-timestamp").unwrap(), parse_time("-3").unwrap());
        assert_eq!(parse_time("1700000000000").unwrap(), OffsetSpec(1_700_000_000_000));
        assert!(parse_time("yesterday").is_err() && parse_time("-7").is_err());
    }

    #[test]
    fn partition_rules_take_ranges_without_their_upper_end() {
        let rules = Rules(vec![rule("orders:0-1").unwrap(), rule("t.*:5").unwrap(), rule(":9-").unwrap()]);
        let accepted = [
            ("orders", 0, true),
            ("orders", 1, false),
            ("test", 5, true),
            ("test", 4, false),
            ("x", 9, true),
            ("x", 100, true),
        ];
        for (topic, partition, expected) in accepted {
            assert_eq!(rules.accept(topic, partition), expected, "{topic}:{partition}");
        }
        assert!(rule("orders:x").is_err());
    }
}
