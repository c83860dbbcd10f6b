//! AlterShareGroupOffsets (key 91), version 0 (KIP-932).
//!
//! Only for groups without members. A group that does not exist comes into being.

use std::sync::Arc;

use milena_metadata::AclOperation;
use milena_protocol::messages::alter_share_group_offsets_response::{Partition, Response};
use milena_protocol::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};
use crate::group::consumer::Refusal;
use crate::group::share::ShareTopic;
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Sets where a share group begins to read.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterShareGroupOffsetsRequest,
) -> AlterShareGroupOffsetsResponse {
    match alter(broker, context, request).await {
        Ok(responses) => AlterShareGroupOffsetsResponse { responses, ..AlterShareGroupOffsetsResponse::default() },
        Err(refusal) => AlterShareGroupOffsetsResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..AlterShareGroupOffsetsResponse::default()
        },
    }
}

async fn alter(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterShareGroupOffsetsRequest,
) -> Result<Vec<Response>, Refusal> {
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        return Err(ErrorCode::GroupAuthorizationFailed.into());
    }
    offsets::ensure_topics(broker).await?;
    let group: Arc<str> = request.group_id.as_str().into();
    let state_epoch = broker.groups.begin_share_alteration(request.group_id.clone()).await?;
    let (mut responses, mut altered) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let topic_id = broker.image().topic(&topic.topic_name).map(|topic| topic.id);
        let allowed = broker.allows_topic(context, AclOperation::Read, &topic.topic_name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let refused = match topic_id {
                _ if !allowed => Some(Refusal::from(ErrorCode::TopicAuthorizationFailed)),
                None => Some(Refusal::from(ErrorCode::UnknownTopicOrPartition)),
                Some(topic_id) => {
                    let key = SharePartitionKey { group: group.clone(), topic_id, partition: index };
                    set(broker, &key, state_epoch, partition.start_offset).await.err()
                }
            };
            if let (None, Some(id)) = (&refused, topic_id) {
                let name = topic.topic_name.clone();
                altered.push(ShareTopic { id, name, partitions: vec![index], start_offset: partition.start_offset });
            }
            partitions.push(Partition {
                partition_index: index,
                error_code: refused.as_ref().map_or(0, |refused| refused.code.code()),
                error_message: refused.map(|refused| refused.message),
            });
        }
        let topic_id = topic_id.unwrap_or(Uuid::ZERO);
        responses.push(Response { topic_name: topic.topic_name, topic_id, partitions });
    }
    broker.groups.finish_share_alteration(request.group_id, altered).await?;
    Ok(responses)
}

async fn set(
    broker: &Arc<Broker>,
    key: &SharePartitionKey,
    state_epoch: i32,
    start_offset: i64,
) -> Result<(), Refusal> {
    offsets::check_key(broker, key)?;
    offsets::initialize_state(broker, key, state_epoch, start_offset).await?;
    Ok(())
}
