//! The JSON files of reassignments, and how a new assignment is proposed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::command_failed;
use crate::failure::Failure;

/// Stands for "whichever log directory".
pub(super) const ANY: &str = "any";

/// The replicas of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) replicas: Vec<i32>,
    /// One for each replica.
    pub(super) log_dirs: Vec<String>,
}

impl Assignment {
    /// `topic-partition`.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// Whether both are about the same partition.
    pub(super) fn is_of(&self, other: &Assignment) -> bool {
        self.topic == other.topic && self.partition == other.partition
    }
}

/// What a reassignment file asks for, sorted by topic and partition.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) assignments: Vec<Assignment>,
}

impl Plan {
    /// The topics in it.
    pub(super) fn topics(&self) -> Vec<String> {
        let topics: BTreeSet<&String> = self.assignments.iter().map(|wanted| &wanted.topic).collect();
        topics.into_iter().cloned().collect()
    }

    /// The brokers in it.
    pub(super) fn brokers(&self) -> Vec<i32> {
        let brokers: BTreeSet<i32> = self.assignments.iter().flat_map(|wanted| &wanted.replicas).copied().collect();
        brokers.into_iter().collect()
    }

    /// Whether it says something about the partition of `assignment`.
    pub(super) fn names(&self, assignment: &Assignment) -> bool {
        self.assignments.iter().any(|wanted| wanted.is_of(assignment))
    }

    /// `topic-partition` of each partition.
    pub(super) fn partition_names(&self) -> Vec<String> {
        self.assignments.iter().map(Assignment::name).collect()
    }

    /// Replicas with a directory of their own: broker, topic, partition, directory.
    pub(super) fn moves(&self) -> Vec<(i32, &str, i32, &str)> {
        let moves = self.assignments.iter().flat_map(|wanted| {
            let replicas = wanted.replicas.iter().zip(&wanted.log_dirs);
            replicas.map(|(broker, dir)| (*broker, wanted.topic.as_str(), wanted.partition, dir.as_str()))
        });
        moves.filter(|(.., dir)| *dir != ANY).collect()
    }
}

/// Reads a reassignment file.
///
/// # Errors
/// When it cannot be read or contradicts itself.
pub(super) fn read(path: &str) -> Result<Plan, Failure> {
    parse(&load(path)?)
}

fn load(path: &str) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(format!("{path}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| command_failed(format!("{path}: {error}")))
}

fn parse(json: &Value) -> Result<Plan, Failure> {
    let malformed = || command_failed("the reassignment file has no list of partitions".to_owned());
    let entries = json.get("partitions").and_then(Value::as_array).ok_or_else(malformed)?;
    let mut found: BTreeMap<(String, i32), Assignment> = BTreeMap::new();
    for entry in entries {
        let assignment = assignment(entry).ok_or_else(malformed)?;
        let name = assignment.name();
        if assignment.replicas.is_empty() {
            return Err(command_failed("Partition replica list cannot be empty".to_owned()));
        }
        if assignment.log_dirs.len() != assignment.replicas.len() {
            let message = format!(
                "Size of replicas list {} is different from size of log dirs list {} for partition {name}",
                list(&assignment.replicas),
                assignment.log_dirs.join(", ")
            );
            return Err(command_failed(message));
        }
        let distinct: BTreeSet<&i32> = assignment.replicas.iter().collect();
        if distinct.len() != assignment.replicas.len() {
            let message = format!(
                "Partition replica lists may not contain duplicate entries: {name} contains multiple entries for {}",
                list(&assignment.replicas)
            );
            return Err(command_failed(message));
        }
        if found.insert((assignment.topic.clone(), assignment.partition), assignment).is_some() {
            return Err(command_failed(format!("Partition reassignment contains duplicate topic partitions: {name}")));
        }
    }
    if found.is_empty() {
        return Err(command_failed("Partition reassignment list cannot be empty".to_owned()));
    }
    Ok(Plan { assignments: found.into_values().collect() })
}

fn assignment(entry: &Value) -> Option<Assignment> {
    let number = |value: &Value| i32::try_from(value.as_i64()?).ok();
    let replicas: Vec<i32> = entry.get("replicas")?.as_array()?.iter().map(number).collect::<Option<_>>()?;
    let log_dirs = match entry.get("log_dirs").and_then(Value::as_array) {
        None => vec![ANY.to_owned(); replicas.len()],
        Some(dirs) => dirs.iter().map(|dir| dir.as_str().map(str::to_owned)).collect::<Option<_>>()?,
    };
    let topic = entry.get("topic")?.as_str()?.to_owned();
    Some(Assignment { topic, partition: number(entry.get("partition")?)?, replicas, log_dirs })
}

/// The topics of a file for `--generate`.
///
/// # Errors
/// When it cannot be read or names none.
pub(super) fn read_topics(path: &str) -> Result<Vec<String>, Failure> {
    let json = load(path)?;
    let topics = json.get("topics").and_then(Value::as_array).into_iter().flatten();
    let topics: Vec<String> = topics.filter_map(|topic| Some(topic.get("topic")?.as_str()?.to_owned())).collect();
    if topics.is_empty() { Err(command_failed("no topics to move".to_owned())) } else { Ok(topics) }
}

/// The brokers of `--broker-list`.
///
/// # Errors
/// For what is no number, or a broker named twice.
pub(super) fn broker_list(text: &str) -> Result<Vec<i32>, Failure> {
    let number =
        |id: &str| id.trim().parse().map_err(|_| Failure::illegal_argument(format!("For input string: \"{id}\"")));
    let brokers: Vec<i32> = text.split(',').map(number).collect::<Result<_, _>>()?;
    let distinct: BTreeSet<&i32> = brokers.iter().collect();
    if distinct.len() == brokers.len() {
        return Ok(brokers);
    }
    Err(command_failed(format!("Broker list contains duplicate entries: {}", list(&brokers))))
}

/// Spreads the partitions over `brokers`, one after the other; each keeps its number of replicas.
///
/// # Errors
/// When there are fewer brokers than replicas.
pub(super) fn propose(current: &[Assignment], brokers: &[i32]) -> Result<Vec<Assignment>, Failure> {
    let propose = |(index, assignment): (usize, &Assignment)| {
        let count = assignment.replicas.len();
        if count > brokers.len() {
            let message = match brokers.len() {
                0 => "All brokers are currently fenced, or have all their log directories cordoned.".to_owned(),
                known => format!("Replication factor: {count} larger than available brokers: {known}."),
            };
            return Err(Failure::Exception {
                class: "org.apache.kafka.common.errors.InvalidReplicationFactorException",
                message,
            });
        }
        let replicas = (0..count).map(|offset| brokers[(index + offset) % brokers.len()]).collect();
        Ok(Assignment { replicas, log_dirs: vec![ANY.to_owned(); count], ..assignment.clone() })
    };
    current.iter().enumerate().map(propose).collect()
}

/// The assignments as a reassignment file.
pub(super) fn to_json(assignments: &[Assignment]) -> String {
    let entry = |one: &Assignment| json!({"topic": one.topic, "partition": one.partition, "replicas": one.replicas, "log_dirs": one.log_dirs});
    json!({"version": 1, "partitions": assignments.iter().map(entry).collect::<Vec<_>>()}).to_string()
}

/// `1,2,3`.
pub(super) fn list(brokers: &[i32]) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written_as_kafkas() {
        let text = r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["/data"]},{"topic":"t","partition":1,"replicas":[1],"log_dirs":["any"]}]}"#;
        let plan = parse(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(to_json(&plan.assignments), text);
        assert_eq!(plan.moves(), [(1, "t", 0, "/data")]);
        assert_eq!(plan.partition_names(), ["t-0", "t-1"]);
    }

    #[test]
    fn files_that_contradict_themselves_are_refused() {
        let message = |text: &str| parse(&serde_json::from_str(text).unwrap()).unwrap_err().message();
        let twice =
            r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1]},{"topic":"t","partition":0,"replicas":[2]}]}"#;
        assert!(message(twice).contains("duplicate topic partitions: t-0"));
        assert!(
            message(r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1,1]}]}"#).contains("duplicate entries")
        );
        assert!(message(r#"{"partitions":[]}"#).contains("cannot be empty"));
        let dirs = r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["a","b"]}]}"#;
        assert!(message(dirs).contains("Size of replicas list"));
    }

    #[test]
    fn a_proposal_uses_only_the_brokers_named() {
        let current =
            [Assignment { topic: "t".to_owned(), partition: 0, replicas: vec![9], log_dirs: vec![ANY.to_owned()] }];
        assert_eq!(propose(&current, &[4, 5]).unwrap()[0].replicas, [4]);
        assert!(propose(&[Assignment { replicas: vec![1, 2], ..current[0].clone() }], &[4]).is_err());
    }
}
