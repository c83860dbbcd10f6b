//! Produce (key 0), versions 0-13.
//!
//! - v0-2 carry magic 0 or 1 and are converted to record batches v2; v3+ must carry exactly one v2 batch a partition
//! - v5 adds log_start_offset, v8 record errors (KIP-467), v13 names topics by id (KIP-516)
//! - `acks=0` has no response; a failure closes the connection so that the client notices
//! - `acks=all` is answered after the group fsync unless `milena.acks.all.fsync=false`; the wait overlaps with the
//!   connection's next requests, whose appends come later all the same
//! - a transactional batch that begins its producer's transaction on the partition is checked with the coordinator in one
//!   step with the append: v0-11 must have added the partition before (KIP-890 part 1), v12+ adds it (transactions v2)

mod transactional;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_log::{AppendError, AppendInfo, AppendOptions, AppendOrigin};
use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::messages::ProduceRequest;
use milena_protocol::messages::ProduceResponse;
use milena_protocol::messages::produce_request::{PartitionData, TopicData};
use milena_protocol::messages::produce_response::{PartitionResponse, RecordError, Response};
use milena_protocol::record::BatchView;
use milena_protocol::{ApiKey, ErrorCode, Records, encode_response};

use super::dispatch::{DispatchError, Outcome, respond};
use crate::context::{Broker, RequestContext};
use crate::error_code;
use crate::partition::{DurabilityWait, Partition};

/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// The shortest time an fsync is waited for; old clients send 0 and mean "as soon as it is written".
const ACKS_WAIT_MIN: Duration = Duration::from_secs(1);

/// What a client wants to know before it takes its records for stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acks {
    None,
    Leader,
    All,
}

impl Acks {
    fn from_wire(acks: i16) -> Result<Acks, ErrorCode> {
        match acks {
            0 => Ok(Acks::None),
            1 => Ok(Acks::Leader),
            -1 => Ok(Acks::All),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        }
    }
}

/// Appends everything the request carries, in its order, and arranges for the answer.
///
/// # Errors
/// Only when the response cannot be encoded.
pub(super) fn start(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ProduceRequest,
    correlation_id: i32,
) -> Result<Outcome, DispatchError> {
    let began = Instant::now();
    let acks = Acks::from_wire(request.acks);
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)).max(ACKS_WAIT_MIN);
    let transactional_id = request.transactional_id.as_deref();
    let mut append = Append {
        broker,
        context,
        transaction_refused: transactional_id
            .is_some_and(|id| !broker.allows(context, AclOperation::Write, ResourceType::TransactionalId, id)),
        version: context.api_version,
        acks,
        transactional_id,
        place: Place::default(),
        appends: Vec::new(),
        deferred: Vec::new(),
        failed: false,
    };
    let mut responses: Vec<Response> = request.topic_data.into_iter().map(|topic| append.topic(topic)).collect();
    append.begin_transactions(&mut responses);
    let (failed, durability) = append.finish();
    let throttle_time_ms = throttle(broker, context, began.elapsed());
    let response = ProduceResponse { responses, throttle_time_ms, ..Default::default() };
    match acks {
        Ok(Acks::None) if failed => Ok(Outcome::Close),
        Ok(Acks::None) => Ok(Outcome::Silent),
        _ if durability.is_empty() => respond::<ProduceRequest>(broker, correlation_id, context.api_version, &response),
        _ => Ok(answer_when_durable(broker, durability, timeout, response, context.api_version, correlation_id)),
    }
}

/// How long the client has to pause after a request that took threads `worked`; the connection sees to it.
fn throttle(broker: &Broker, context: &RequestContext, worked: Duration) -> i32 {
    context.flow.worked(worked);
    context.flow.throttle(broker.quotas.produced(context, context.flow.request_bytes()));
    context.flow.throttle(broker.quotas.worked(context, worked));
    i32::try_from(context.flow.throttle_ms()).unwrap_or(i32::MAX)
}

fn answer_when_durable(
    broker: &Broker,
    durability: DurabilityWait,
    timeout: Duration,
    mut response: ProduceResponse,
    version: i16,
    correlation_id: i32,
) -> Outcome {
    let ticket = durability.arm();
    let metrics = broker.metrics.clone();
    Outcome::Later(Box::pin(async move {
        let failures = ticket.wait(timeout).await;
        if !failures.is_empty() {
            let partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses);
            let appended = partitions.filter(|partition| partition.error_code == ErrorCode::None.code());
            for (partition, code) in appended.zip(failures) {
                if code != ErrorCode::None {
                    *partition = refused(partition.index, code, None);
                }
            }
        }
        metrics.requests.answered(ApiKey::Produce, &response);
        encode_response(correlation_id, ApiKey::Produce, version, &response)
    }))
}

/// Where in the response something stands: topic, then partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    topic: usize,
    partition: usize,
}

/// One produce request while its batches are appended.
struct Append<'a> {
    broker: &'a Broker,
    context: &'a RequestContext,
    /// Whether the client may not use the transactional id of the request.
    transaction_refused: bool,
    version: i16,
    acks: Result<Acks, ErrorCode>,
    transactional_id: Option<&'a str>,
    /// The partition that is being looked at.
    place: Place,
    /// What the answer waits for: partition and next offset of every append that succeeded.
    appends: Vec<(Place, Arc<Partition>, i64)>,
    /// Batches that begin their producer's transaction on a partition.
    deferred: Vec<transactional::Beginning>,
    failed: bool,
}

impl Append<'_> {
    fn topic(&mut self, topic: TopicData) -> Response {
        let not_allowed = self.not_allowed(&topic);
        let found = if self.version >= TOPIC_IDS_SINCE {
            self.broker.partitions.topic_by_id(&topic.topic_id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.broker.partitions.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        let found = not_allowed.map_or(found, Err);
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let partition = found.as_ref().map_err(|code| *code).and_then(|topic| topic.partition(index));
            let response = match partition {
                Ok(partition) => self.partition(&partition, data),
                Err(code) => refused(index, code, None),
            };
            self.failed |= response.error_code != ErrorCode::None.code();
            partition_responses.push(response);
            self.place.partition += 1;
        }
        self.place = Place { topic: self.place.topic + 1, partition: 0 };
        Response { partition_responses, name: topic.name, topic_id: topic.topic_id }
    }

    /// Why the client may not write to the topic, if it may not.
    fn not_allowed(&self, topic: &TopicData) -> Option<ErrorCode> {
        if !self.broker.authorizer.is_enabled() {
            return None;
        }
        if self.transaction_refused {
            return Some(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        let image = self.broker.image();
        let name = match image.topic_by_id(&topic.topic_id) {
            Some(topic) => topic.name.as_str(),
            None if self.version >= TOPIC_IDS_SINCE => return None,
            None => topic.name.as_str(),
        };
        let allowed = self.broker.allows_topic(self.context, AclOperation::Write, name);
        (!allowed).then_some(ErrorCode::TopicAuthorizationFailed)
    }

    fn partition(&mut self, partition: &Arc<Partition>, data: PartitionData) -> PartitionResponse {
        if let Err(code) = self.check_acks(partition) {
            return refused(data.index, code, None);
        }
        let records = match self.batch(data.records) {
            Ok(records) => records,
            Err(Refusal { code, message }) => return refused(data.index, code, Some(message)),
        };
        let options = self.options(partition, false);
        match partition.append(records.clone(), &options) {
            Err(AppendError::TransactionNotOpen { .. }) => self.defer(partition, data.index, records),
            result => self.outcome(self.place, partition, data.index, result),
        }
    }

    fn options(&self, partition: &Partition, may_begin_transaction: bool) -> AppendOptions {
        AppendOptions {
            origin: AppendOrigin::Client,
            leader_epoch: partition.leader_epoch(),
            produce_version: self.version,
            may_begin_transaction,
            transactions_v2: self.version >= transactional::TRANSACTIONS_V2_SINCE,
        }
    }

    fn outcome(
        &mut self,
        place: Place,
        partition: &Arc<Partition>,
        index: i32,
        result: Result<AppendInfo, AppendError>,
    ) -> PartitionResponse {
        match result {
            Ok(info) => {
                if self.acks == Ok(Acks::All) && self.broker.config.acks_all_fsync {
                    self.appends.push((place, partition.clone(), info.last_offset + 1));
                }
                appended(index, &info)
            }
            Err(error) => append_refused(index, &error),
        }
    }

    /// Whether anything failed, and what the answer waits for: one entry for every append that succeeded, in the order of the
    /// response.
    fn finish(mut self) -> (bool, DurabilityWait) {
        self.appends.sort_by_key(|(place, _, _)| *place);
        let mut durability = DurabilityWait::default();
        for (_, partition, next_offset) in &self.appends {
            durability.add(partition, *next_offset);
        }
        (self.failed, durability)
    }

    fn check_acks(&self, partition: &Partition) -> Result<(), ErrorCode> {
        // The only replica is in sync, so one is all that can be asked for.
        match self.acks? {
            Acks::All if partition.log().config().min_insync_replicas > 1 => Err(ErrorCode::NotEnoughReplicas),
            _ => Ok(()),
        }
    }

    /// The bytes to append; whether they are well-formed is the log's business.
    fn batch(&self, records: Option<Records>) -> Result<Bytes, Refusal> {
        let Some(Records::Memory(records)) = records else {
            return Err(Refusal::invalid("a produce request must carry records for each of its partitions"));
        };
        // A batch that cannot be parsed is refused by the log with the fitting error.
        let transactional = BatchView::parse(&records).is_ok_and(|batch| batch.is_transactional());
        if transactional && self.transactional_id.is_none() {
            let message = "a transactional batch needs the transactional id of its producer".to_owned();
            return Err(Refusal { code: ErrorCode::TransactionalIdAuthorizationFailed, message });
        }
        Ok(records)
    }
}

struct Refusal {
    code: ErrorCode,
    message: String,
}

impl Refusal {
    fn invalid(message: &str) -> Refusal {
        Refusal { code: ErrorCode::InvalidRecord, message: message.to_owned() }
    }
}

fn appended(index: i32, info: &AppendInfo) -> PartitionResponse {
    PartitionResponse {
        index,
        error_code: ErrorCode::None.code(),
        base_offset: info.base_offset,
        log_append_time_ms: info.log_append_time,
        log_start_offset: info.log_start_offset,
        ..Default::default()
    }
}

fn refused(index: i32, code: ErrorCode, message: Option<String>) -> PartitionResponse {
    PartitionResponse { index, error_code: code.code(), base_offset: -1, error_message: message, ..Default::default() }
}

fn append_refused(index: i32, error: &AppendError) -> PartitionResponse {
    let mut response = refused(index, error_code::of_append(error), Some(error.to_string()));
    if let AppendError::InvalidRecord { record_errors, .. } | AppendError::InvalidTimestamp { record_errors, .. } =
        error
    {
        let errors = record_errors.iter().map(|record| RecordError {
            batch_index: record.batch_index,
            batch_index_error_message: Some(record.message.clone()),
        });
        response.record_errors = errors.collect();
    }
    response
}
