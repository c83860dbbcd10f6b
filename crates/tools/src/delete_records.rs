//! `kafka-delete-records`: deletes the front of partitions, as a JSON file says.

use std::collections::BTreeMap;

use milena_client::TopicPartition;
use serde_json::Value;

use crate::failure::Failure;
use crate::options::{Args, Opt, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const SYNTAX: Syntax = Syntax {
    purpose: "Deletes records below the given offsets.",
    options: &[Opt::one(
        "offset-json-file",
        "file",
        "JSON: {\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"offset\":3}],\"version\":1}; offset -1 means all records.",
    )],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let path = options.required("offset-json-file")?;
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(format!("{path}: {error}")))?;
    let offsets = parse(&text)?;
    session::runtime()?.block_on(async {
        let cluster = session::connect_admin(&options).await?;
        terminal.line("Executing records delete operation");
        let results = cluster.delete_records(&offsets).await?;
        print_results(&results, terminal);
        Ok(0)
    })
}

fn print_results(results: &BTreeMap<TopicPartition, milena_client::Result<i64>>, terminal: &mut Terminal) {
    terminal.line("Records delete operation completed:");
    for (tp, result) in results {
        match result {
            Ok(low_watermark) => terminal.line(&format!("partition: {tp}\tlow_watermark: {low_watermark}")),
            Err(error) => terminal.line(&format!("partition: {tp}\terror: {}", error.to_exception())),
        }
    }
}

fn parse(text: &str) -> Result<Vec<(TopicPartition, i64)>, Failure> {
    let operation = |message: String| Failure::Exception {
        class: "org.apache.kafka.server.common.AdminOperationException",
        message,
    };
    let json: Value =
        serde_json::from_str(text).map_err(|_| operation("The input string is not a valid JSON".to_owned()))?;
    if let Some(version) = json.get("version").and_then(Value::as_i64).filter(|version| *version != 1) {
        return Err(operation(format!("Not supported version field value {version}")));
    }
    let partitions = json
        .get("partitions")
        .and_then(Value::as_array)
        .ok_or_else(|| operation("Missing partitions field".to_owned()))?;
    let mut offsets: Vec<(TopicPartition, i64)> = Vec::with_capacity(partitions.len());
    for entry in partitions {
        let number = |name: &str| {
            entry.get(name).and_then(Value::as_i64).ok_or_else(|| operation(format!("No such field exists: `{name}`")))
        };
        let topic = entry
            .get("topic")
            .and_then(Value::as_str)
            .ok_or_else(|| operation("No such field exists: `topic`".to_owned()))?;
        let partition =
            i32::try_from(number("partition")?).map_err(|_| operation("partition is out of range".to_owned()))?;
        let tp = TopicPartition::new(topic, partition);
        if offsets.iter().any(|(seen, _)| *seen == tp) {
            return Err(operation(format!("Offset json file contains duplicate topic partitions: {tp}")));
        }
        offsets.push((tp, number("offset")?));
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_partitions_and_offsets() {
        let offsets = parse(r#"{"partitions":[{"topic":"t","partition":0,"offset":3},{"topic":"t","partition":1,"offset":-1}],"version":1}"#).unwrap();
        assert_eq!(offsets, [(TopicPartition::new("t", 0), 3), (TopicPartition::new("t", 1), -1)]);
        for bad in ["{", "{}", r#"{"version":2,"partitions":[]}"#, r#"{"partitions":[{"topic":"t","partition":0}]}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let twice = r#"{"partitions":[{"topic":"t","partition":0,"offset":3},{"topic":"t","partition":0,"offset":4}]}"#;
        assert!(parse(twice).unwrap_err().message().contains("duplicate"));
    }

    #[test]
    fn results_are_lines_with_a_tab() {
        let (mut terminal, out, _) = Terminal::captured();
        print_results(&BTreeMap::from([(TopicPartition::new("orders", 0), Ok(1))]), &mut terminal);
        terminal.flush();
        assert_eq!(out.text(), "Records delete operation completed:\npartition: orders-0\tlow_watermark: 1\n");
    }
}
