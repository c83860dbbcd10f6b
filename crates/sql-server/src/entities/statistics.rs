//! What queries have done with a topic, as `DESCRIBE ... EXTENDED` tells it: in words, and for each server.

use std::fmt::Write as _;
use std::time::Instant;

use milena_sql::value::timestamp_text;
use serde_json::{Value, json};

use crate::queries::statistics::{Count, TopicStatistics};

/// A number under the name of the original.
type Named = (&'static str, f64);

/// What was read and what was written; nothing for a topic with which nothing was done.
fn of_messages(topic: &TopicStatistics, now: Instant) -> Vec<Named> {
    let mut named = Vec::new();
    if topic.read.total > 0 {
        named.extend([
            ("consumer-messages-per-sec", topic.read.per_second(now)),
            ("consumer-total-bytes", exact(topic.read_bytes)),
            ("consumer-total-messages", total(topic.read)),
        ]);
    }
    if topic.written.total > 0 {
        named.extend([("messages-per-sec", topic.written.per_second(now)), ("total-messages", total(topic.written))]);
    }
    named
}

/// What could not be read.
fn of_errors(topic: &TopicStatistics, now: Instant) -> Vec<Named> {
    if topic.failed.total == 0 {
        return Vec::new();
    }
    vec![
        ("consumer-failed-messages", total(topic.failed)),
        ("consumer-failed-messages-per-sec", topic.failed.per_second(now)),
    ]
}

fn total(count: Count) -> f64 {
    exact(count.total)
}

#[expect(clippy::cast_precision_loss, reason = "such numbers are rounded by whoever reads them")]
fn exact(number: u64) -> f64 {
    number as f64
}

/// One line: names and numbers, and when it was last.
fn line(named: &[Named], last: &str, at: Option<i64>) -> String {
    let mut line = String::new();
    if named.is_empty() {
        return line;
    }
    for (name, number) in named {
        let shown = if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") };
        // Writing to a String does not fail.
        let _ = write!(line, "{name:>16}: {shown:>9} ");
    }
    let at = at.map_or_else(|| "n/a".to_owned(), |at| format!("{}Z", timestamp_text(at)));
    let _ = write!(line, "{last:>16}: {at:>9}");
    line
}

/// What stands in members that clients should no longer read: it begins with words about that.
fn outdated(member: &str, instead: &str, lines: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "The {member} field is deprecated and will be removed in a future version of ksql. Please update your client to the \
         latest version and use {instead} instead.\n{lines}"
    )
}

fn of_host(named: &[Named], host: &str, at: Option<i64>) -> Vec<Value> {
    let entry = |(name, value): &Named| json!({ "host": host, "name": name, "value": value, "timestamp": at.unwrap_or_default() });
    named.iter().map(entry).collect()
}

/// Puts the statistics of the server at `host` into a description.
pub fn describe(description: &mut Value, topic: &TopicStatistics, host: &str) {
    let now = Instant::now();
    let (messages, errors) = (of_messages(topic, now), of_errors(topic, now));
    let lines = line(&messages, "last-message", topic.last_message_ms);
    description["statistics"] = outdated("statistics", "statisticsMap", &lines).into();
    let lines = line(&errors, "last-failed", topic.last_failed_ms);
    description["errorStats"] = outdated("errorStats", "errorStatsMap", &lines).into();
    description["clusterStatistics"] = of_host(&messages, host, topic.last_message_ms).into();
    description["clusterErrorStats"] = of_host(&errors, host, topic.last_failed_ms).into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::statistics::Statistics;

    #[test]
    fn statistics_are_a_line_of_names_and_numbers() {
        let statistics = Statistics::default();
        statistics.read("t", 6, 120);
        let mut topic = statistics.topic("t").unwrap();
        topic.last_message_ms = Some(1_569_837_583_188);
        let mut description = json!({});
        describe(&mut description, &topic, "a:1");
        assert_eq!(
            description["statistics"].as_str().and_then(|text| text.split_once('\n')).map(|(_, line)| line).unwrap(),
            "consumer-messages-per-sec:      0.20 consumer-total-bytes:       120 consumer-total-messages:         6     last-message: 2019-09-30T09:59:43.188Z"
        );
        assert_eq!(description["errorStats"], "");
        assert_eq!(
            description["clusterStatistics"][1],
            json!({ "host": "a:1", "name": "consumer-total-bytes",
            "value": 120.0, "timestamp": 1_569_837_583_188_i64 })
        );
        statistics.failed("t");
        statistics.wrote("t", 1);
        describe(&mut description, &statistics.topic("t").unwrap(), "a:1");
        assert!(description["errorStats"].as_str().unwrap().contains("\nconsumer-failed-messages:         1 "));
        assert!(
            description["statistics"].as_str().unwrap().contains("   total-messages:         1     last-message: ")
        );
    }

    #[test]
    fn nothing_is_told_of_a_topic_that_was_not_touched() {
        let mut description = json!({});
        describe(&mut description, &TopicStatistics::default(), "a:1");
        assert_eq!((&description["statistics"], &description["clusterStatistics"]), (&json!(""), &json!([])));
    }
}
