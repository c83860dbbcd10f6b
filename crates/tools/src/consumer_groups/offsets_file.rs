//! The CSV form of offsets: `topic,partition,offset` for one group, with the group in front for several.

use std::collections::BTreeMap;

use milena_client::TopicPartition;

use crate::failure::Failure;

/// Offsets by group.
pub type OffsetsByGroup = BTreeMap<String, BTreeMap<TopicPartition, i64>>;

/// Writes a line for each offset.
pub fn to_csv(offsets: &OffsetsByGroup) -> String {
    let single = offsets.len() == 1;
    let mut text = String::new();
    for (group, partitions) in offsets {
        for (tp, offset) in partitions {
            if !single {
                text += &format!("{},", quoted(group));
            }
            text += &format!("{},{},{offset}\n", quoted(&tp.topic), tp.partition);
        }
    }
    text
}

/// Reads lines of three fields for `only_group`, or of four.
///
/// # Errors
/// A line with another number of fields, or numbers that are none.
pub fn from_csv(text: &str, only_group: Option<&str>) -> Result<OffsetsByGroup, Failure> {
    let mut offsets = OffsetsByGroup::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let invalid = || Failure::illegal_argument(format!("Invalid CSV line: {line}"));
        let fields = fields(line);
        let (group, rest) = match (fields.len(), only_group) {
            (3, Some(group)) => (group.to_owned(), &fields[..]),
            (4, _) => (fields[0].clone(), &fields[1..]),
            _ => return Err(invalid()),
        };
        let partition = rest[1].trim().parse().map_err(|_| invalid())?;
        let offset = rest[2].trim().parse().map_err(|_| invalid())?;
        offsets.entry(group).or_default().insert(TopicPartition::new(&rest[0], partition), offset);
    }
    Ok(offsets)
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut in_quotes = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_is_left_out_and_several_are_named() {
        let partitions = BTreeMap::from([(TopicPartition::new("orders", 0), 5), (TopicPartition::new("a,b", 1), 7)]);
        let one = OffsetsByGroup::from([("g1".to_owned(), partitions.clone())]);
        assert_eq!(to_csv(&one), "\"a,b\",1,7\norders,0,5\n");
        assert_eq!(from_csv(&to_csv(&one), Some("g1")).unwrap(), one);
        let two = OffsetsByGroup::from([("g1".to_owned(), partitions.clone()), ("g\"2".to_owned(), partitions)]);
        assert!(to_csv(&two).starts_with("\"g\"\"2\",\"a,b\",1,7\n"));
        assert_eq!(from_csv(&to_csv(&two), None).unwrap(), two);
    }

    #[test]
    fn quotes_from_kafkas_own_export_are_read() {
        let read = from_csv("\"orders\",\"0\",\"12\"\n\n", Some("g")).unwrap();
        assert_eq!(read["g"][&TopicPartition::new("orders", 0)], 12);
        assert!(from_csv("orders,0", Some("g")).is_err());
        assert!(from_csv("orders,x,1", Some("g")).is_err());
        assert!(from_csv("orders,0,1", None).is_err());
    }
}
