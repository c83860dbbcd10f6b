//! DescribeLogDirs (key 35), versions 0-5.
//!
//! - null topics mean all partitions; a directory is listed even when none of the partitions asked for is in it
//! - v4+ tells the size and the free space of the file system (KIP-827); v5 cordoned directories, of which there are none
//! - one replica a partition: the offset lag is always 0, and nothing moves between directories

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use milena_log::LogDirDescription;
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_log_dirs_request::Topic as Asked;
use milena_protocol::messages::describe_log_dirs_response::{Partition, Result as DirResult, Topic};
use milena_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::context::{Broker, RequestContext};

/// Tells what each log directory holds.
pub async fn handle(
    broker: &Arc<Broker>,
    _context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let wanted = request.topics.map(partitions_asked_for);
    let results = broker.logs.log_dirs().into_iter().map(|dir| describe(dir, wanted.as_ref())).collect();
    DescribeLogDirsResponse { results, ..Default::default() }
}

fn partitions_asked_for(topics: Vec<Asked>) -> HashSet<(String, i32)> {
    let pairs = topics.into_iter().flat_map(|asked| {
        let topic = asked.topic;
        asked.partitions.into_iter().map(move |partition| (topic.clone(), partition))
    });
    pairs.collect()
}

fn describe(dir: LogDirDescription, wanted: Option<&HashSet<(String, i32)>>) -> DirResult {
    let log_dir = dir.path.to_string_lossy().into_owned();
    if dir.error.is_some() {
        return DirResult { error_code: ErrorCode::KafkaStorageError.code(), log_dir, ..Default::default() };
    }
    let mut topics = BTreeMap::<String, Vec<Partition>>::new();
    for (topic, partition_index, size) in dir.logs {
        if wanted.is_some_and(|wanted| !wanted.contains(&(topic.clone(), partition_index))) {
            continue;
        }
        let partition_size = i64::try_from(size).unwrap_or(i64::MAX);
        topics.entry(topic).or_default().push(Partition { partition_index, partition_size, ..Default::default() });
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        Topic { name, partitions }
    });
    DirResult {
        log_dir,
        topics: topics.collect(),
        total_bytes: dir.total_bytes,
        usable_bytes: dir.usable_bytes,
        ..Default::default()
    }
}
