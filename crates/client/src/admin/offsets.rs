//! Offsets of partitions: where a log starts and ends, what was written when, and deleting from the front.

use std::collections::BTreeMap;

use milena_protocol::messages::{
    DeleteRecordsRequest, ListOffsetsRequest, delete_records_request, list_offsets_request,
};

use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read, -1 when unknown.
    pub leader_epoch: i32,
    /// The committer's own note.
    pub metadata: String,
}

impl Committed {
    /// Only an offset.
    pub fn at(offset: i64) -> Self {
        Committed { offset, leader_epoch: -1, metadata: String::new() }
    }
}

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum IsolationLevel {
    /// All up to the high watermark.
    #[default]
    ReadUncommitted = 0,
    /// Only those of committed transactions, up to the last stable offset.
    ReadCommitted = 1,
}

/// Which offset of a partition to find: a special timestamp of ListOffsets, or a real one in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetSpec(pub i64);

impl OffsetSpec {
    /// The end of the log.
    pub const LATEST: OffsetSpec = OffsetSpec(-1);
    /// The start of the log.
    pub const EARLIEST: OffsetSpec = OffsetSpec(-2);
    /// The record with the largest timestamp (KIP-734).
    pub const MAX_TIMESTAMP: OffsetSpec = OffsetSpec(-3);
    /// The first record on the local disk (KIP-405).
    pub const EARLIEST_LOCAL: OffsetSpec = OffsetSpec(-4);
    /// The last record in tiered storage (KIP-1005).
    pub const LATEST_TIERED: OffsetSpec = OffsetSpec(-5);
    /// The first record that waits to be tiered (KIP-1023).
    pub const EARLIEST_PENDING_UPLOAD: OffsetSpec = OffsetSpec(-6);

    /// The version of ListOffsets that introduced this timestamp.
    fn version_min(self) -> i16 {
        match self.0 {
            -3 => 7,
            -4 => 8,
            -5 => 9,
            -6 => 11,
            _ => 0,
        }
    }
}

/// What ListOffsets found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset, -1 when nothing matches.
    pub offset: i64,
    /// Timestamp of that record, -1 for the ends of the log.
    pub timestamp: i64,
    /// Leader epoch of that record, -1 when unknown.
    pub leader_epoch: i32,
}

impl Cluster {
    /// Finds one offset in each partition, asking the leaders.
    ///
    /// Retriable refusals (a moved leader) are retried within `api_timeout`; what is left is per partition.
    ///
    /// # Errors
    /// As [`crate::Connection::send`].
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        isolation: IsolationLevel,
    ) -> Result<BTreeMap<TopicPartition, Result<FoundOffset>>> {
        let mut found = BTreeMap::new();
        let mut left = wanted.to_vec();
        let deadline = std::time::Instant::now() + self.config().api_timeout;
        while !left.is_empty() {
            let mut again = Vec::new();
            for (leader, asked) in self.by_leader(left, &mut found, |(tp, _)| tp).await? {
                self.list_offsets_at(leader, &asked, isolation, &mut found).await?;
                let expired = std::time::Instant::now() >= deadline;
                for (tp, spec) in asked {
                    let retriable = matches!(found.get(&tp), Some(Err(error)) if error.is_retriable());
                    if retriable && !expired {
                        self.forget_topic(&tp.topic);
                        found.remove(&tp);
                        again.push((tp, spec));
                    }
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(self.config().retry_backoff).await;
            }
            left = again;
        }
        Ok(found)
    }

    async fn list_offsets_at(
        &self,
        leader: i32,
        asked: &[(TopicPartition, OffsetSpec)],
        isolation: IsolationLevel,
        found: &mut BTreeMap<TopicPartition, Result<FoundOffset>>,
    ) -> Result<()> {
        let mut topics: BTreeMap<&str, Vec<list_offsets_request::Partition>> = BTreeMap::new();
        for (tp, spec) in asked {
            topics.entry(&tp.topic).or_default().push(list_offsets_request::Partition {
                partition_index: tp.partition,
                current_leader_epoch: -1,
                timestamp: spec.0,
                max_num_offsets: 1,
            });
        }
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: isolation as i8,
            topics: topics
                .into_iter()
                .map(|(name, partitions)| list_offsets_request::Topic { name: name.to_owned(), partitions })
                .collect(),
            timeout_ms: self.timeout_ms(),
        };
        let connection = self.node(leader).await?;
        let needed = asked.iter().map(|(_, spec)| spec.version_min()).max().unwrap_or(0);
        if connection.version_of::<ListOffsetsRequest>().is_some_and(|version| version < needed) {
            return Err(Error::UnsupportedVersion { api: "ListOffsets with this timestamp" });
        }
        let response = connection.send(&request).await?;
        for topic in response.topics {
            for partition in topic.partitions {
                let old_style = partition.old_style_offsets.first().copied().filter(|_| partition.offset < 0);
                let result = Error::check(partition.error_code, None).map(|()| FoundOffset {
                    offset: old_style.unwrap_or(partition.offset),
                    timestamp: partition.timestamp,
                    leader_epoch: partition.leader_epoch,
                });
                found.insert(TopicPartition::new(&topic.name, partition.partition_index), result);
            }
        }
        Ok(())
    }

    /// Deletes the records below the given offsets (-1: below the high watermark); low watermarks by partition.
    ///
    /// # Errors
    /// As [`crate::Connection::send`].
    pub async fn delete_records(
        &self,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<BTreeMap<TopicPartition, Result<i64>>> {
        let mut results = BTreeMap::new();
        for (leader, asked) in self.by_leader(offsets.to_vec(), &mut results, |(tp, _)| tp).await? {
            let mut topics: BTreeMap<&str, Vec<delete_records_request::Partition>> = BTreeMap::new();
            for (tp, offset) in &asked {
                let partition = delete_records_request::Partition { partition_index: tp.partition, offset: *offset };
                topics.entry(&tp.topic).or_default().push(partition);
            }
            let request = DeleteRecordsRequest {
                topics: topics
                    .into_iter()
                    .map(|(name, partitions)| delete_records_request::Topic { name: name.to_owned(), partitions })
                    .collect(),
                timeout_ms: self.timeout_ms(),
            };
            for topic in self.node(leader).await?.send(&request).await?.topics {
                for partition in topic.partitions {
                    let result = Error::check(partition.error_code, None).map(|()| partition.low_watermark);
                    results.insert(TopicPartition::new(&topic.name, partition.partition_index), result);
                }
            }
        }
        Ok(results)
    }

    /// Groups entries by the leader of their partition; those without one get an error in `failed`.
    async fn by_leader<E, T>(
        &self,
        entries: Vec<E>,
        failed: &mut BTreeMap<TopicPartition, Result<T>>,
        partition_of: impl Fn(&E) -> &TopicPartition,
    ) -> Result<BTreeMap<i32, Vec<E>>> {
        let mut by_leader: BTreeMap<i32, Vec<E>> = BTreeMap::new();
        for entry in entries {
            let tp = partition_of(&entry);
            match self.leader(tp, std::time::Duration::from_secs(5)).await {
                Ok(leader) => by_leader.entry(leader).or_default().push(entry),
                Err(error @ Error::Api { .. }) => {
                    failed.insert(tp.clone(), Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(by_leader)
    }
}
