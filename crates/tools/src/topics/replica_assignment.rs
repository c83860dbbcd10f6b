//! The text form of explicit replica assignments: `0:1,1:2` gives partition 0 to brokers 0 and 1.

use crate::failure::Failure;

/// Brokers by partition.
///
/// # Errors
/// Text that is no number, a broker named twice, or partitions with different numbers of replicas.
pub fn parse(text: &str) -> Result<Vec<Vec<i32>>, Failure> {
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for (index, list) in text.split(',').enumerate() {
        let brokers = list
            .split(':')
            .map(|id| {
                id.trim().parse::<i32>().map_err(|_| Failure::illegal_argument(format!("For input string: \"{id}\"")))
            })
            .collect::<Result<Vec<i32>, _>>()?;
        let mut sorted = brokers.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("Partition replica lists may not contain duplicate entries: {}", twice[0]);
            return Err(Failure::Exception {
                class: "org.apache.kafka.server.common.AdminCommandFailedException",
                message,
            });
        }
        if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
            let message = format!("Partition {index} has different replication factor: [{list}]");
            return Err(Failure::Exception {
                class: "org.apache.kafka.server.common.AdminOperationException",
                message,
            });
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_separated_by_colons_and_partitions_by_commas() {
        assert_eq!(parse("0:1,1:2,2:0").unwrap(), [[0, 1], [1, 2], [2, 0]]);
        assert_eq!(parse("3").unwrap(), [[3]]);
    }

    #[test]
    fn contradictions_are_refused() {
        for bad in ["0:0", "0:1,1", "a", "", "0:1,"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
