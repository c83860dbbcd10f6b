//! ShareFetch (key 78), versions 1-2 (KIP-932).
//!
//! - acknowledgements on its back are applied first, and answered beside the records
//! - a long poll is parked without a thread and woken by an append, a released record or its deadline
//! - v2 strict record limit (KIP-1206) and renewal of locks (KIP-1222); a renewing request fetches nothing
//! - records leave as whole batches; which of their records the member has is told beside them

use std::sync::Arc;
use std::time::Duration;

use milena_metadata::AclOperation;
use milena_protocol::messages::share_fetch_request::Topic as RequestedTopic;
use milena_protocol::messages::share_fetch_response::{AcquiredRecord, Partition, Response};
use milena_protocol::messages::{ShareFetchRequest, ShareFetchResponse};
use milena_protocol::{ErrorCode, Records};

use crate::context::{Broker, RequestContext};
use crate::share::acknowledge::{self, PartitionAcks};
use crate::share::fetch::{self, PartitionRecords, ShareFetch};
use crate::share::offsets;
use crate::share::session::{FINAL_EPOCH, INITIAL_EPOCH, SessionKey, TopicPartition, Turn};
use crate::share::settings::ShareSettings;

/// `ShareAcquireMode` of v2: never more records than asked for.
const RECORD_LIMIT_MODE: i8 = 1;

/// Hands out records, at once or when there are some.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: ShareFetchRequest) -> ShareFetchResponse {
    match serve(broker, context, request).await {
        Ok(response) => response,
        Err(code) => ShareFetchResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..ShareFetchResponse::default()
        },
    }
}

async fn serve(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ShareFetchRequest,
) -> Result<ShareFetchResponse, ErrorCode> {
    let session = session_key(broker, context, request.group_id.as_deref(), request.member_id.as_deref())?;
    let settings = ShareSettings::of(&session.group, &broker.image(), &broker.config);
    check(&request, &settings)?;
    let mut acks = acknowledgements(&request.topics, request.is_renew_ack);
    refuse_unauthorized(broker, context, &mut acks);
    let forgotten: Vec<TopicPartition> = request
        .forgotten_topics_data
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, *partition)))
        .collect();
    let turn = broker.share.sessions.turn(&session, request.share_session_epoch, named(&request), &forgotten)?;
    let partitions = match turn {
        Turn::Open { partitions, opened } => {
            if let Some(id) = opened {
                broker.share.watch_connection(broker, &session, id, context.closed.clone());
            }
            partitions
        }
        Turn::Closed { .. } => Vec::new(),
    };
    let codes = acknowledge::apply(broker, &session.group, &session.member, &settings, &acks).await;
    let found = if request.share_session_epoch == FINAL_EPOCH {
        broker.share.release_member(broker, &session);
        Vec::new()
    } else if request.is_renew_ack || request.max_records <= 0 {
        Vec::new()
    } else {
        let (readable, hidden): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|partition| may_read(broker, context, *partition));
        let refused =
            hidden.into_iter().map(|partition| PartitionRecords::none(partition, ErrorCode::TopicAuthorizationFailed));
        let wanted = wanted(&request, &session, !acks.is_empty() || refused.len() > 0);
        let mut found = fetch::fetch(broker, &wanted, &settings, &readable).await;
        found.extend(refused);
        found
    };
    let is_first = request.share_session_epoch == INITIAL_EPOCH;
    Ok(ShareFetchResponse {
        acquisition_lock_timeout_ms: i32::try_from(settings.record_lock_ms).unwrap_or(i32::MAX),
        responses: responses(found, &acks, &codes, is_first),
        ..ShareFetchResponse::default()
    })
}

/// Who asks.
///
/// # Errors
/// UNSUPPORTED_VERSION while share groups are off, GROUP_AUTHORIZATION_FAILED, INVALID_REQUEST without a group or
/// member.
pub(super) fn session_key(
    broker: &Broker,
    context: &RequestContext,
    group_id: Option<&str>,
    member_id: Option<&str>,
) -> Result<SessionKey, ErrorCode> {
    offsets::check_enabled(broker)?;
    match (group_id, member_id) {
        (Some(group), _) if !broker.allows_group(context, AclOperation::Read, group) => {
            Err(ErrorCode::GroupAuthorizationFailed)
        }
        (Some(group), Some(member)) if !group.is_empty() && !member.is_empty() => {
            Ok(SessionKey { group: group.into(), member: member.into() })
        }
        _ => Err(ErrorCode::InvalidRequest),
    }
}

/// Whether the client may read the partition's topic; one that does not exist has nothing to hide.
fn may_read(broker: &Broker, context: &RequestContext, (topic_id, _): TopicPartition) -> bool {
    let image = broker.image();
    image.topic_by_id(&topic_id).is_none_or(|topic| broker.allows_topic(context, AclOperation::Read, &topic.name))
}

/// Acknowledgements of topics that the client may not read come to nothing.
pub(super) fn refuse_unauthorized(broker: &Broker, context: &RequestContext, acks: &mut [PartitionAcks]) {
    for acks in acks {
        if !may_read(broker, context, acks.partition) {
            acks.batches = Err(ErrorCode::TopicAuthorizationFailed);
        }
    }
}

fn check(request: &ShareFetchRequest, settings: &ShareSettings) -> Result<(), ErrorCode> {
    let has_acks = request
        .topics
        .iter()
        .any(|topic| topic.partitions.iter().any(|partition| !partition.acknowledgement_batches.is_empty()));
    if request.share_session_epoch == INITIAL_EPOCH && has_acks {
        return Err(ErrorCode::InvalidRequest);
    }
    let fetches = request.max_bytes > 0 || request.max_records > 0 || request.min_bytes > 0 || request.max_wait_ms > 0;
    if request.is_renew_ack && (fetches || !settings.renewable) {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

fn named(request: &ShareFetchRequest) -> impl Iterator<Item = TopicPartition> + '_ {
    request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, partition.partition_index)))
}

fn acknowledgements(topics: &[RequestedTopic], renewals: bool) -> Vec<PartitionAcks> {
    let partitions =
        topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, partition)));
    partitions
        .filter(|(_, partition)| !partition.acknowledgement_batches.is_empty())
        .map(|(topic_id, partition)| {
            let batches = partition.acknowledgement_batches.iter();
            let batches = batches.map(|batch| (batch.first_offset, batch.last_offset, &batch.acknowledge_types[..]));
            PartitionAcks {
                partition: (topic_id, partition.partition_index),
                batches: acknowledge::parse(batches, renewals),
            }
        })
        .collect()
}

fn wanted(request: &ShareFetchRequest, session: &SessionKey, has_acks: bool) -> ShareFetch {
    // Whoever waits for the answer to its acknowledgements does not wait for records as well.
    let max_wait_ms = if has_acks { 0 } else { u64::try_from(request.max_wait_ms).unwrap_or(0) };
    ShareFetch {
        group: session.group.clone(),
        member: session.member.clone(),
        max_wait: Duration::from_millis(max_wait_ms),
        min_bytes: request.min_bytes,
        max_bytes: request.max_bytes,
        max_records: request.max_records,
        batch_size: request.batch_size,
        strict: request.share_acquire_mode == RECORD_LIMIT_MODE,
    }
}

/// Records and the fate of acknowledgements, by topic. Partitions with nothing to say are left out of later answers.
fn responses(
    found: Vec<PartitionRecords>,
    acks: &[PartitionAcks],
    codes: &[ErrorCode],
    is_first: bool,
) -> Vec<Response> {
    let mut answers: Vec<(TopicPartition, Partition)> = Vec::new();
    for found in found {
        let is_acknowledged = acks.iter().any(|acks| acks.partition == found.partition);
        if is_first || is_acknowledged || found.error != ErrorCode::None || !found.acquired.is_empty() {
            answers.push((found.partition, partition_response(found)));
        }
    }
    for (acks, code) in acks.iter().zip(codes) {
        let known = answers.iter().position(|(partition, _)| *partition == acks.partition);
        let index = known.unwrap_or_else(|| {
            let nothing = PartitionRecords::none(acks.partition, ErrorCode::None);
            answers.push((acks.partition, partition_response(nothing)));
            answers.len() - 1
        });
        answers[index].1.acknowledge_error_code = code.code();
        answers[index].1.acknowledge_error_message = (*code != ErrorCode::None).then(|| code.message().to_owned());
    }
    let mut responses: Vec<Response> = Vec::new();
    for ((topic_id, _), partition) in answers {
        match responses.iter_mut().find(|response| response.topic_id == topic_id) {
            Some(response) => response.partitions.push(partition),
            None => responses.push(Response { topic_id, partitions: vec![partition] }),
        }
    }
    responses
}

fn partition_response(found: PartitionRecords) -> Partition {
    let acquired = found.acquired.iter().map(|range| AcquiredRecord {
        first_offset: range.first_offset,
        last_offset: range.last_offset,
        delivery_count: range.delivery_count,
    });
    Partition {
        partition_index: found.partition.1,
        error_code: found.error.code(),
        error_message: (found.error != ErrorCode::None).then(|| found.error.message().to_owned()),
        records: Some(Records::Memory(found.records)),
        acquired_records: acquired.collect(),
        ..Partition::default()
    }
}
