//! `kafka-leader-election`: elects leaders of partitions, preferred or unclean.

use milena_client::Error;
use milena_protocol::ErrorCode;
use milena_protocol::messages::elect_leaders_request::TopicPartition;
use milena_protocol::messages::elect_leaders_response::ReplicaElectionResult;
use milena_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const SYNTAX: Syntax = Syntax {
    purpose: "Elects the leaders of partitions.",
    options: &[
        Opt::one("election-type", "PREFERRED|UNCLEAN", "Which replicas may become leader."),
        Opt::one("topic", "topic", "The topic of the partition."),
        Opt::one("partition", "number", "The partition of the topic."),
        Opt::flag("all-topic-partitions", "Every partition of the cluster."),
        Opt::one("path-to-json-file", "file", "{\"partitions\": [{\"topic\": \"foo\", \"partition\": 1}]}"),
        Opt::one("admin.config", "file", "").replaced_by("command-config"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let wish = Wish::of(&options).map_err(|failure| told_twice(failure, terminal))?;
    session::runtime()?.block_on(elect(&options, wish, terminal))
}

/// What is to be elected.
struct Wish {
    election_type: ElectionType,
    /// `None` for every partition.
    partitions: Option<Vec<(String, i32)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ElectionType {
    Preferred = 0,
    Unclean = 1,
}

impl ElectionType {
    fn name(self) -> &'static str {
        match self {
            ElectionType::Preferred => "PREFERRED",
            ElectionType::Unclean => "UNCLEAN",
        }
    }
}

impl Wish {
    fn of(options: &Parsed) -> Result<Wish, Failure> {
        let election_type = match options.value("election-type").map(str::to_ascii_uppercase).as_deref() {
            None => return Err(command_failed("Missing required option(s): election-type")),
            Some("PREFERRED") => ElectionType::Preferred,
            Some("UNCLEAN") => ElectionType::Unclean,
            Some(other) => return Err(Failure::illegal_argument(format!("Invalid election type {other}"))),
        };
        let choices = ["topic", "all-topic-partitions", "path-to-json-file"];
        if choices.iter().filter(|option| options.has(option)).count() != 1 {
            let list = choices.join(", ");
            return Err(command_failed(&format!("One and only one of the following options is required: {list}")));
        }
        if options.has("topic") != options.has("partition") {
            let missing = if options.has("topic") {
                "Missing required option(s): partition"
            } else {
                "Option partition is only allowed if topic is used"
            };
            return Err(command_failed(missing));
        }
        let partitions = match (options.value("topic"), options.value("path-to-json-file")) {
            (Some(topic), _) => Some(vec![(topic.to_owned(), options.number("partition")?.unwrap_or(0))]),
            (None, Some(path)) => Some(read_partitions(path)?),
            (None, None) => None,
        };
        Ok(Wish { election_type, partitions })
    }

    fn request(&self, timeout_ms: i32) -> ElectLeadersRequest {
        let topic_partitions = self.partitions.as_ref().map(|partitions| {
            let mut topics: Vec<TopicPartition> = Vec::new();
            for (topic, partition) in partitions {
                match topics.iter_mut().find(|known| known.topic == *topic) {
                    Some(known) => known.partitions.push(*partition),
                    None => topics.push(TopicPartition { topic: topic.clone(), partitions: vec![*partition] }),
                }
            }
            topics
        });
        ElectLeadersRequest { election_type: self.election_type as i8, topic_partitions, timeout_ms }
    }
}

fn read_partitions(path: &str) -> Result<Vec<(String, i32)>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(format!("{path}: {error}")))?;
    let malformed = || command_failed("Replica election data is empty");
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| command_failed(&error.to_string()))?;
    let entries = json.get("partitions").and_then(|list| list.as_array()).ok_or_else(malformed)?;
    let partition = |entry: &serde_json::Value| {
        let number = entry.get("partition")?.as_i64()?;
        Some((entry.get("topic")?.as_str()?.to_owned(), i32::try_from(number).ok()?))
    };
    let partitions: Option<Vec<(String, i32)>> = entries.iter().map(partition).collect();
    let partitions = partitions.ok_or_else(malformed)?;
    for (index, one) in partitions.iter().enumerate() {
        if partitions[..index].contains(one) {
            let message = format!("Replica election data contains duplicate partitions: {}-{}", one.0, one.1);
            return Err(command_failed(&message));
        }
    }
    if partitions.is_empty() { Err(malformed()) } else { Ok(partitions) }
}

async fn elect(options: &Parsed, wish: Wish, terminal: &mut Terminal) -> Outcome {
    let cluster = session::connect_admin(options).await?;
    let timeout_ms = i32::try_from(cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX);
    let response: ElectLeadersResponse =
        cluster.send_controller(&wish.request(timeout_ms), |response| response.error_code).await?;
    Error::check(response.error_code, None)?;
    let failed = print(wish.election_type, &response.replica_election_results, terminal);
    if failed == 0 {
        return Ok(0);
    }
    Err(told_twice(command_failed(&format!("{failed} replica(s) could not be elected")), terminal))
}

/// Prints what became of each partition and returns how many could not be elected.
fn print(election_type: ElectionType, results: &[ReplicaElectionResult], terminal: &mut Terminal) -> usize {
    let (mut succeeded, mut not_needed, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for topic in results {
        for result in &topic.partition_result {
            let name = format!("{}-{}", topic.topic, result.partition_id);
            match ErrorCode::from_code(result.error_code) {
                ErrorCode::None => succeeded.push(name),
                ErrorCode::ElectionNotNeeded => not_needed.push(name),
                code => failed.push((name, Error::api(code, result.error_message.clone()))),
            }
        }
    }
    if !succeeded.is_empty() {
        let election = election_type.name();
        terminal.line(&format!(
            "Successfully completed leader election ({election}) for partitions {}",
            succeeded.join(", ")
        ));
    }
    if !not_needed.is_empty() {
        terminal.line(&format!("Valid replica already elected for partitions {}", not_needed.join(", ")));
    }
    for (name, error) in &failed {
        let election = election_type.name();
        let error = error.to_exception();
        terminal.line(&format!("Error completing leader election ({election}) for partition: {name}: {error}"));
    }
    failed.len()
}

fn command_failed(message: &str) -> Failure {
    Failure::Exception { class: "org.apache.kafka.tools.AdminCommandFailedException", message: message.to_owned() }
}

/// The original prints the message and then the exception.
fn told_twice(failure: Failure, terminal: &mut Terminal) -> Failure {
    terminal.error_line(&failure.message());
    failure
}
