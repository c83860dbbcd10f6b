//! What groups, administrators and tools do with share state: initialize it, look at it, set it, delete it.

use std::sync::Arc;

use milena_metadata::{AclOperation, SHARE_VERSION};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

use super::coordinator::{Refused, ShareState, StateWrite};
use super::key::SharePartitionKey;
use crate::auto_topic;
use crate::context::{Broker, RequestContext};
use crate::group::ClientIdentity;
use crate::group::consumer::{LEAVE_EPOCH, Refusal};
use crate::group::share::{ShareHeartbeat, ShareTopic};
use crate::share::session::SessionKey;

/// Where a share partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first offset that is not finished; -1 while `share.auto.offset.reset` has not been applied.
    pub start_offset: i64,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: i32,
    /// Records above the start offset that still have to be dealt with; -1 when unknown.
    pub lag: i64,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::new(refused.code, refused.message)
    }
}

/// Handles a heartbeat, and initializes the state of partitions that the group sees for the first time.
///
/// # Errors
/// Those of the group.
pub(crate) async fn heartbeat(
    broker: &Arc<Broker>,
    request: ShareGroupHeartbeatRequest,
    client: ClientIdentity,
) -> Result<ShareGroupHeartbeatResponse, Refusal> {
    let (group, member): (Arc<str>, Arc<str>) = (request.group_id.as_str().into(), request.member_id.as_str().into());
    let leaves = request.member_epoch == LEAVE_EPOCH;
    let (state_epoch, topics) = match broker.groups.share_heartbeat(request.clone(), client.clone(), None).await? {
        ShareHeartbeat::Answer(response) => {
            if leaves {
                broker.share.release_member(broker, &SessionKey { group, member });
            }
            return Ok(response);
        }
        ShareHeartbeat::Initialize { state_epoch, topics } => (state_epoch, topics),
    };
    let initialized = initialize_topics(broker, &group, state_epoch, topics).await;
    match broker.groups.share_heartbeat(request, client, Some(initialized)).await? {
        ShareHeartbeat::Answer(response) => Ok(response),
        ShareHeartbeat::Initialize { .. } => Err(ErrorCode::CoordinatorNotAvailable.into()),
    }
}

/// Initializes what can be; the rest is left for the next heartbeat.
async fn initialize_topics(
    broker: &Arc<Broker>,
    group: &Arc<str>,
    state_epoch: i32,
    topics: Vec<ShareTopic>,
) -> Vec<ShareTopic> {
    if let Err(refused) = ensure_topics(broker).await {
        tracing::warn!(%group, message = refused.message, "share state cannot be initialized yet");
        return Vec::new();
    }
    let mut initialized = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let key = SharePartitionKey { group: group.clone(), topic_id: topic.id, partition: *partition };
            match initialize_state(broker, &key, state_epoch, topic.start_offset).await {
                Ok(()) => partitions.push(*partition),
                Err(refused) => tracing::warn!(%key, message = refused.message, "share state is not initialized"),
            }
        }
        if !partitions.is_empty() {
            initialized.push(ShareTopic { partitions, ..topic });
        }
    }
    initialized
}

/// Checks that share groups are in force (`share.version`).
///
/// # Errors
/// UNSUPPORTED_VERSION.
pub(crate) fn check_enabled(broker: &Broker) -> Result<(), ErrorCode> {
    if broker.image().feature_level(SHARE_VERSION) > 0 { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
}

/// Checks that the client may act as a part of the cluster.
///
/// # Errors
/// CLUSTER_AUTHORIZATION_FAILED.
pub(crate) fn check_coordinator_access(broker: &Broker, context: &RequestContext) -> Result<(), Refused> {
    match broker.allows_cluster(context, AclOperation::ClusterAction) {
        true => Ok(()),
        false => Err(ErrorCode::ClusterAuthorizationFailed.into()),
    }
}

/// Creates the topics of groups and share state unless they exist.
pub(crate) async fn ensure_topics(broker: &Arc<Broker>) -> Result<(), Refused> {
    let created = async {
        auto_topic::ensure_offsets_topic(broker).await?;
        auto_topic::ensure_share_state_topic(broker).await
    };
    created.await.map_err(|error| Refused { code: ErrorCode::CoordinatorNotAvailable, message: error.to_string() })
}

/// Checks that the partition exists.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION.
pub(crate) fn check_key(broker: &Broker, key: &SharePartitionKey) -> Result<(), Refused> {
    let topic = broker.partitions.topic_by_id(&key.topic_id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(key.partition)?;
    Ok(())
}

/// Gives a share partition a new state and forgets what is in memory of the old one.
pub(crate) async fn initialize_state(
    broker: &Arc<Broker>,
    key: &SharePartitionKey,
    state_epoch: i32,
    start_offset: i64,
) -> Result<(), Refused> {
    let shard = broker.share.coordinator.shard(key).await?;
    let written = shard.initialize(key, state_epoch, start_offset)?;
    broker.share.abandon(|other| other == key);
    Ok(written.durable().await?)
}

/// The state of a share partition, for its leader.
pub(crate) async fn read_state(
    broker: &Arc<Broker>,
    key: &SharePartitionKey,
    leader_epoch: i32,
) -> Result<ShareState, Refused> {
    check_key(broker, key)?;
    let (state, written) = broker.share.coordinator.shard(key).await?.read(key, leader_epoch)?;
    written.durable().await?;
    Ok(state)
}

/// Writes a change that did not come from the share partition in this process, which then starts from it.
pub(crate) async fn write_state(
    broker: &Arc<Broker>,
    key: &SharePartitionKey,
    write: &StateWrite,
) -> Result<(), Refused> {
    check_key(broker, key)?;
    let written = broker.share.coordinator.shard(key).await?.write(key, write)?;
    broker.share.abandon(|other| other == key);
    Ok(written.durable().await?)
}

/// Deletes the state of a share partition.
pub(crate) async fn delete_state(broker: &Arc<Broker>, key: &SharePartitionKey) -> Result<(), Refused> {
    let shard = broker.share.coordinator.shard(key).await?;
    broker.share.abandon(|other| other == key);
    let written = shard.delete(key)?;
    Ok(written.durable().await?)
}

/// The state of a share partition, if there is any.
pub(crate) async fn state_summary(
    broker: &Arc<Broker>,
    key: &SharePartitionKey,
) -> Result<Option<ShareState>, Refused> {
    check_key(broker, key)?;
    broker.share.coordinator.shard(key).await?.summary(key)
}

/// Deletes all state that a group has of `topics`.
pub(crate) async fn delete_topics(broker: &Arc<Broker>, group_id: &str, topics: &[ShareTopic]) -> Result<(), Refused> {
    let group: Arc<str> = group_id.into();
    for topic in topics {
        for partition in &topic.partitions {
            let key = SharePartitionKey { group: group.clone(), topic_id: topic.id, partition: *partition };
            delete_state(broker, &key).await?;
        }
    }
    Ok(())
}

/// Deletes everything a share group without members has stored; nothing for groups of other types.
///
/// # Errors
/// NON_EMPTY_GROUP.
pub(crate) async fn delete_all(broker: &Arc<Broker>, group_id: &str) -> Result<(), Refusal> {
    let Some(topics) = broker.groups.share_topics_of_empty(group_id.to_owned()).await? else { return Ok(()) };
    Ok(delete_topics(broker, group_id, &topics).await?)
}

/// Where a share partition stands; `None` when it has no state.
pub(crate) async fn position(broker: &Arc<Broker>, key: &SharePartitionKey) -> Result<Option<Position>, Refused> {
    let Some(state) = state_summary(broker, key).await? else { return Ok(None) };
    let topic = broker.partitions.topic_by_id(&key.topic_id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let end_offset = topic.partition(key.partition)?.log().high_watermark();
    let lag = if state.start_offset < 0 {
        -1
    } else {
        (end_offset - state.start_offset - i64::from(state.delivery_complete_count.max(0))).max(0)
    };
    Ok(Some(Position { start_offset: state.start_offset, leader_epoch: state.leader_epoch, lag }))
}
