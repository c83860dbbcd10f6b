//! DescribeLogDirs (key 35), versions 0-5.
//!
//! - null topics mean all partitions; a directory is listed even when none of the partitions asked for is in it
//! - v4+ tells the size and the free space of the file system (KIP-827); v5 cordoned directories
//! - a partition that is being moved is in two directories: in the new one as a future replica, whose lag is told in bytes that
//!   are missing, because whole segments are copied and not records

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use milena_log::{LogDirDescription, LogManager};
use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_log_dirs_request::Topic as Asked;
use milena_protocol::messages::describe_log_dirs_response::{Partition, Result as DirResult, Topic};
use milena_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::context::{Broker, RequestContext};

/// Tells what each log directory holds.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if !broker.allows_cluster(context, AclOperation::Describe) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return DescribeLogDirsResponse { error_code, ..Default::default() };
    }
    let wanted = request.topics.map(partitions_asked_for);
    let results = broker.logs.log_dirs().into_iter().map(|dir| describe(&broker.logs, dir, wanted.as_ref())).collect();
    DescribeLogDirsResponse { results, ..Default::default() }
}

fn partitions_asked_for(topics: Vec<Asked>) -> HashSet<(String, i32)> {
    let pairs = topics.into_iter().flat_map(|asked| {
        let topic = asked.topic;
        asked.partitions.into_iter().map(move |partition| (topic.clone(), partition))
    });
    pairs.collect()
}

fn describe(logs: &LogManager, dir: LogDirDescription, wanted: Option<&HashSet<(String, i32)>>) -> DirResult {
    let log_dir = dir.path.to_string_lossy().into_owned();
    if dir.error.is_some() {
        return DirResult { error_code: ErrorCode::KafkaStorageError.code(), log_dir, ..Default::default() };
    }
    let mut topics = BTreeMap::<String, Vec<Partition>>::new();
    let current = dir.logs.into_iter().map(|log| (log, false));
    let future = dir.future_logs.into_iter().map(|log| (log, true));
    for ((topic, partition_index, size), is_future_key) in current.chain(future) {
        if wanted.is_some_and(|wanted| !wanted.contains(&(topic.clone(), partition_index))) {
            continue;
        }
        let partition_size = i64::try_from(size).unwrap_or(i64::MAX);
        let offset_lag = if is_future_key { lag(logs, &topic, partition_index, partition_size) } else { 0 };
        let partition = Partition { partition_index, partition_size, offset_lag, is_future_key };
        topics.entry(topic).or_default().push(partition);
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
        is_cordoned: dir.is_cordoned,
        ..Default::default()
    }
}

/// Bytes that are missing in a copy; at least 1, because 0 would say that it has caught up.
fn lag(logs: &LogManager, topic: &str, partition: i32, copied: i64) -> i64 {
    let size = logs.get(topic, partition).map_or(0, |log| log.size_in_bytes());
    i64::try_from(size).unwrap_or(i64::MAX).saturating_sub(copied).max(1)
}
