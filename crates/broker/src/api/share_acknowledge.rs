//! ShareAcknowledge (key 79), versions 1-2 (KIP-932).
//!
//! - answered when the acknowledgements are on disk: what was accepted in an answer is never handed out again
//! - v2 renews locks (KIP-1222)

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::share_acknowledge_response::{Partition, Response};
use milena_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};

use super::share_fetch::{refuse_unauthorized, session_key};
use crate::context::{Broker, RequestContext};
use crate::share::acknowledge::{self, PartitionAcks};
use crate::share::session::{FINAL_EPOCH, INITIAL_EPOCH};
use crate::share::settings::ShareSettings;

/// Takes what a member says about the records it has.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ShareAcknowledgeRequest,
) -> ShareAcknowledgeResponse {
    match serve(broker, context, request).await {
        Ok(response) => response,
        Err(code) => ShareAcknowledgeResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..ShareAcknowledgeResponse::default()
        },
    }
}

async fn serve(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ShareAcknowledgeRequest,
) -> Result<ShareAcknowledgeResponse, ErrorCode> {
    let session = session_key(broker, context, request.group_id.as_deref(), request.member_id.as_deref())?;
    let settings = ShareSettings::of(&session.group, &broker.image(), &broker.config);
    if request.share_session_epoch == INITIAL_EPOCH {
        return Err(ErrorCode::InvalidShareSessionEpoch);
    }
    if request.is_renew_ack && !settings.renewable {
        return Err(ErrorCode::InvalidRequest);
    }
    broker.share.sessions.turn(&session, request.share_session_epoch, std::iter::empty(), &[])?;
    let mut acks = acknowledgements(&request);
    refuse_unauthorized(broker, context, &mut acks);
    let codes = acknowledge::apply(broker, &session.group, &session.member, &settings, &acks).await;
    if request.share_session_epoch == FINAL_EPOCH {
        broker.share.release_member(broker, &session);
    }
    let mut responses: Vec<Response> = Vec::new();
    for (acks, code) in acks.iter().zip(codes) {
        let (topic_id, partition_index) = acks.partition;
        let partition = Partition {
            partition_index,
            error_code: code.code(),
            error_message: (code != ErrorCode::None).then(|| code.message().to_owned()),
            ..Partition::default()
        };
        match responses.iter_mut().find(|response| response.topic_id == topic_id) {
            Some(response) => response.partitions.push(partition),
            None => responses.push(Response { topic_id, partitions: vec![partition] }),
        }
    }
    Ok(ShareAcknowledgeResponse {
        acquisition_lock_timeout_ms: i32::try_from(settings.record_lock_ms).unwrap_or(i32::MAX),
        responses,
        ..ShareAcknowledgeResponse::default()
    })
}

fn acknowledgements(request: &ShareAcknowledgeRequest) -> Vec<PartitionAcks> {
    let partitions =
        request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, partition)));
    partitions
        .map(|(topic_id, partition)| {
            let batches = partition.acknowledgement_batches.iter();
            let batches = batches.map(|batch| (batch.first_offset, batch.last_offset, &batch.acknowledge_types[..]));
            PartitionAcks {
                partition: (topic_id, partition.partition_index),
                batches: acknowledge::parse(batches, request.is_renew_ack),
            }
        })
        .collect()
}
