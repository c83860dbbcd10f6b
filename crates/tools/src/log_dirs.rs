//! `kafka-log-dirs`: sizes of replicas by broker and directory, as one line of JSON.

use milena_client::Cluster;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const SYNTAX: Syntax = Syntax {
    purpose: "Shows the log directories of brokers.",
    options: &[
        Opt::flag("describe", "Describe the directories."),
        Opt::one("topic-list", "topic,topic", "Only these topics."),
        Opt::one("broker-list", "id,id", "Only these brokers."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    if !options.has("describe") {
        return Err(options.usage("Missing required argument \"[describe]\""));
    }
    session::runtime()?.block_on(describe(&options, terminal))
}

async fn describe(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let cluster = session::connect_admin(options).await?;
    let existing: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let brokers = match options.value("broker-list") {
        None => existing.clone(),
        Some(list) => list.split(',').filter(|id| !id.is_empty()).map(broker_id).collect::<Result<_, _>>()?,
    };
    let missing: Vec<String> = brokers.iter().filter(|id| !existing.contains(id)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        let existing: Vec<String> = existing.iter().map(ToString::to_string).collect();
        terminal.error_line(&format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            missing.join(","),
            existing.join(",")
        ));
        return Ok(0);
    }
    terminal.line("Querying brokers for log directories information");
    let topics: Vec<&str> =
        options.value("topic-list").unwrap_or("").split(',').filter(|topic| !topic.is_empty()).collect();
    let mut answers = Vec::with_capacity(brokers.len());
    for broker in &brokers {
        answers.push((*broker, answer_of(&cluster, *broker).await?));
    }
    let names: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    terminal.line(&format!("Received log directory information from brokers {}", names.join(",")));
    terminal.line(&to_json(&answers, &topics).to_string());
    Ok(0)
}

fn broker_id(text: &str) -> Result<i32, Failure> {
    text.trim().parse().map_err(|_| Failure::illegal_argument(format!("For input string: \"{text}\"")))
}

async fn answer_of(cluster: &Cluster, broker: i32) -> Result<DescribeLogDirsResponse, Failure> {
    // A topic would have to be named with its partitions, so all are asked for and filtered when printed.
    let request = DescribeLogDirsRequest { topics: None };
    let response = cluster.node(broker).await?.send(&request).await?;
    milena_client::Error::check(response.error_code, None)?;
    Ok(response)
}

fn to_json(answers: &[(i32, DescribeLogDirsResponse)], topics: &[&str]) -> Value {
    let brokers: Vec<Value> = answers
        .iter()
        .map(|(broker, response)| {
            let dirs: Vec<Value> = response
                .results
                .iter()
                .map(|dir| {
                    let partitions: Vec<Value> = dir
                        .topics
                        .iter()
                        .filter(|topic| topics.is_empty() || topics.contains(&topic.name.as_str()))
                        .flat_map(|topic| {
                            topic.partitions.iter().map(|partition| {
                                json!({
                                    "partition": format!("{}-{}", topic.name, partition.partition_index),
                                    "size": partition.partition_size,
                                    "offsetLag": partition.offset_lag,
                                    "isFuture": partition.is_future_key,
                                })
                            })
                        })
                        .collect();
                    let error = match ErrorCode::from_code(dir.error_code) {
                        ErrorCode::None => Value::Null,
                        code => Value::from(code.message()),
                    };
                    json!({"partitions": partitions, "error": error, "logDir": dir.log_dir})
                })
                .collect();
            json!({"broker": broker, "logDirs": dirs})
        })
        .collect();
    json!({"brokers": brokers, "version": 1})
}

#[cfg(test)]
mod tests {
    use milena_protocol::messages::describe_log_dirs_response::{Partition, Result as Dir, Topic};

    use super::*;

    #[test]
    fn the_json_is_kafkas_byte_for_byte() {
        let partition =
            |partition_index, partition_size| Partition { partition_index, partition_size, ..Default::default() };
        let orders =
            Topic { name: "orders".to_owned(), partitions: vec![partition(0, 79), partition(1, 0), partition(2, 87)] };
        let other = Topic { name: "other".to_owned(), partitions: vec![partition(0, 1)] };
        let dir = Dir { log_dir: "/var/lib/kafka/data".to_owned(), topics: vec![orders, other], ..Default::default() };
        let response = DescribeLogDirsResponse { results: vec![dir], ..Default::default() };
        let expected = r#"{"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"orders-0","size":79,"offsetLag":0,"isFuture":false},{"partition":"orders-1","size":0,"offsetLag":0,"isFuture":false},{"partition":"orders-2","size":87,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/var/lib/kafka/data"}]}],"version":1}"#;
        assert_eq!(to_json(&[(1, response)], &["orders"]).to_string(), expected);
    }
}
