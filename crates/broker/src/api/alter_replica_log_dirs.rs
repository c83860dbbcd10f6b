//! AlterReplicaLogDirs (key 34), versions 0-2 (KIP-113).
//!
//! - the answer says that the move has begun; DescribeLogDirs shows it as a future replica until it is done
//! - moving a partition to where it is calls off a move that is under way
//! - LOG_DIR_NOT_FOUND for a directory that is none of `log.dirs`, KAFKA_STORAGE_ERROR for one that is offline

use std::path::Path;
use std::sync::Arc;

use milena_log::MoveError;
use milena_metadata::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::alter_replica_log_dirs_request::Dir;
use milena_protocol::messages::alter_replica_log_dirs_response::{Partition, Result as TopicResult};
use milena_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

use crate::context::{Broker, RequestContext};
use crate::error_code;

/// Begins moves, each partition by itself.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let allowed = broker.allows_cluster(context, AclOperation::Alter);
    let results = request.dirs.into_iter().flat_map(|dir| of_directory(broker, dir, allowed)).collect();
    AlterReplicaLogDirsResponse { results, ..Default::default() }
}

fn of_directory(broker: &Broker, dir: Dir, allowed: bool) -> Vec<TopicResult> {
    let path = Path::new(&dir.path);
    let results = dir.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            let code = match allowed {
                true => begin(broker, &topic.name, *index, path),
                false => ErrorCode::ClusterAuthorizationFailed,
            };
            Partition { partition_index: *index, error_code: code.code() }
        });
        TopicResult { partitions: partitions.collect(), topic_name: topic.name }
    });
    results.collect()
}

fn begin(broker: &Broker, topic: &str, partition: i32, dir: &Path) -> ErrorCode {
    match broker.logs.move_log(topic, partition, dir) {
        Ok(()) => ErrorCode::None,
        Err(MoveError::UnknownLogDir(_)) => ErrorCode::LogDirNotFound,
        Err(MoveError::UnknownPartition) => ErrorCode::UnknownTopicOrPartition,
        Err(MoveError::Storage(error)) => error_code::of_storage(&error),
    }
}
