//! Transactions of a producer: the client's side of KIP-98, with the shorter protocol of KIP-890.
//!
//! ```text
//!   New ──init──► Ready ──begin──► Open ──commit, abort──► Ready
//!                                   │ a batch or a call fails
//!                                   ▼
//!                                 Failed ──abort──► Ready        unless the error is fatal
//! ```
//!
//! With transaction.version 1 each partition and group is announced to the coordinator before it is
//! written to. With version 2 the brokers do that on the first write, and each end of a transaction
//! raises the producer's epoch, which the answer carries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use milena_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, TxnOffsetCommitRequest,
    add_partitions_to_txn_request, txn_offset_commit_request,
};
use milena_protocol::{ErrorCode, Request};

use super::queue::PartitionQueue;
use super::sequences::ProducerIdentity;
use super::{Producer, Shared, lock};
use crate::TopicPartition;
use crate::admin::Committed;
use crate::cluster::{CoordinatorKind, is_coordinator_error};
use crate::connection::Connection;
use crate::consumer::GroupMetadata;
use crate::error::{Error, Result};

/// From version 4 on AddPartitionsToTxn is for brokers.
const ADD_PARTITIONS_OF_CLIENTS: i16 = 3;
/// The last version of EndTxn that keeps the epoch.
const END_TXN_V1: i16 = 4;
/// The last version of TxnOffsetCommit that needs AddOffsetsToTxn before it.
const TXN_OFFSET_COMMIT_V1: i16 = 4;
/// From version 6 on TxnOffsetCommit names topics by id.
const TXN_OFFSET_COMMIT_BY_NAME: i16 = 5;
/// Pause while the coordinator still completes the previous transaction.
const STILL_COMPLETING: Duration = Duration::from_millis(20);

/// The transactional side of a producer.
#[derive(Debug)]
pub(super) struct Transaction {
    id: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Whether the cluster speaks transaction.version 2.
    version_two: bool,
    /// Partitions that the coordinator knows of (version 1), or that were written to (version 2).
    partitions: BTreeSet<TopicPartition>,
    /// Whether the coordinator has, or may have, something to end.
    started: bool,
}

#[derive(Debug)]
enum Phase {
    New,
    Ready,
    Open,
    /// What went wrong, and whether not even an abort helps.
    Failed(Error, bool),
    Aborting,
}

impl Transaction {
    pub fn new(id: String) -> Transaction {
        let state = State { phase: Phase::New, version_two: false, partitions: BTreeSet::new(), started: false };
        Transaction { id, state: Mutex::new(state) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn is_version_two(&self) -> bool {
        self.state().version_two
    }

    /// Why nothing may be sent now, if so.
    pub fn obstacle(&self) -> Option<Error> {
        match &self.state().phase {
            Phase::Open => None,
            Phase::Failed(error, _) => Some(error.duplicate()),
            Phase::Aborting => Some(Error::TransactionAborted),
            Phase::New => Some(illegal(
                "Cannot perform a 'send' before completing a call to initTransactions when transactions are enabled.",
            )),
            Phase::Ready => Some(illegal("Cannot call send in state READY")),
        }
    }

    /// Notes an error; the transaction can then only be aborted, and after a fatal one not even that.
    pub fn fail(&self, error: &Error) {
        let mut state = self.state();
        let fatal = is_fatal(error);
        match state.phase {
            Phase::Failed(_, true) => {}
            Phase::Failed(_, false) | Phase::Aborting if !fatal => {}
            _ => state.phase = Phase::Failed(error.duplicate(), fatal),
        }
    }

    /// Whether `tp` may be written to; under version 1 it must have been announced.
    pub fn has(&self, tp: &TopicPartition) -> bool {
        let mut state = self.state();
        if state.version_two && !state.partitions.contains(tp) {
            state.partitions.insert(tp.clone());
            state.started = true;
        }
        state.partitions.contains(tp)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn illegal(message: &str) -> Error {
    Error::IllegalState(message.to_owned())
}

/// Errors after which this producer is of no more use.
fn is_fatal(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::ProducerFenced
                | ErrorCode::InvalidProducerEpoch
                | ErrorCode::InvalidProducerIdMapping
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::InvalidTxnState
                | ErrorCode::UnsupportedVersion
        )
    ) || matches!(error, Error::UnsupportedVersion { .. })
}

impl Producer {
    /// Introduces the transactional id to the cluster: fences older producers with it and ends what they left open.
    ///
    /// # Errors
    /// [`Error::IllegalState`] without `transactional.id`; the coordinator's refusal, or what lasted for `max.block.ms`.
    pub async fn init_transactions(&self) -> Result<()> {
        let transaction = self.transaction()?;
        let identity = self.shared.init_transactional_id(None).await?;
        *lock(&self.shared.identity) = Some(identity);
        transaction.state().phase = Phase::Ready;
        Ok(())
    }

    /// Opens a transaction: what is appended from now on belongs to it.
    ///
    /// # Errors
    /// [`Error::IllegalState`] when one is open or [`Producer::init_transactions`] was not called; the error that
    /// made the last one fail.
    pub fn begin_transaction(&self) -> Result<()> {
        let mut state = self.transaction()?.state();
        match &state.phase {
            Phase::Ready => {}
            Phase::Failed(error, _) => return Err(error.duplicate()),
            _ => return Err(illegal("Invalid transition attempted to state IN_TRANSACTION")),
        }
        state.phase = Phase::Open;
        state.started = false;
        state.partitions.clear();
        Ok(())
    }

    /// Makes `offsets` of the consumer's group part of the transaction.
    ///
    /// # Errors
    /// The coordinators' refusals. The transaction must then be aborted.
    pub async fn send_offsets_to_transaction(
        &self,
        offsets: &BTreeMap<TopicPartition, Committed>,
        group: &GroupMetadata,
    ) -> Result<()> {
        let transaction = self.transaction()?;
        if let Some(error) = transaction.obstacle() {
            return Err(error);
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let sent = self.shared.send_offsets(offsets, group).await;
        if let Err(error) = &sent {
            transaction.fail(error);
        }
        sent
    }

    /// Flushes and commits.
    ///
    /// # Errors
    /// The error of a batch or call of this transaction, which must then be aborted; the coordinator's refusal.
    pub async fn commit_transaction(&self) -> Result<()> {
        let transaction = self.transaction()?;
        if let Some(error) = transaction.obstacle() {
            return Err(error);
        }
        self.flush().await;
        if let Some(error) = transaction.obstacle() {
            return Err(error);
        }
        self.shared.end_transaction(true).await
    }

    /// Gives up what was not yet sent and aborts.
    ///
    /// # Errors
    /// The coordinator's refusal, or the fatal error that made the producer useless.
    pub async fn abort_transaction(&self) -> Result<()> {
        let transaction = self.transaction()?;
        {
            let mut state = transaction.state();
            match &state.phase {
                Phase::Open | Phase::Failed(_, false) => state.phase = Phase::Aborting,
                Phase::Failed(error, true) => return Err(error.duplicate()),
                _ => return Err(illegal("Invalid transition attempted to state ABORTING_TRANSACTION")),
            }
        }
        self.shared.fail_queued(&Error::TransactionAborted);
        self.flush().await;
        let identity_before = *lock(&self.shared.identity);
        self.shared.end_transaction(false).await?;
        if *lock(&self.shared.identity) == identity_before && self.shared.any_queue(PartitionQueue::has_gap) {
            // What was given up left gaps; nothing was written under the next epoch yet.
            let identity = *lock(&self.shared.identity);
            let identity = self.shared.init_transactional_id(identity).await?;
            *lock(&self.shared.identity) = Some(identity);
        }
        Ok(())
    }

    fn transaction(&self) -> Result<&Transaction> {
        let transaction = self.shared.transaction.as_ref();
        transaction.ok_or_else(|| illegal("Cannot use transactional methods without enabling transactions by setting the transactional.id configuration property"))
    }
}

impl Shared {
    /// Gives up every batch that is not under way.
    pub(super) fn fail_queued(&self, error: &Error) {
        for topic in self.topics() {
            for (index, queue) in topic.partitions.iter().enumerate() {
                for batch in queue.drain() {
                    self.finish(&topic.name, i32::try_from(index).unwrap_or(i32::MAX), Err(error), &batch);
                }
            }
        }
    }

    /// Announces `partitions` to the coordinator. An error fails the transaction.
    pub(super) async fn add_partitions(&self, transaction: &Transaction, partitions: &BTreeSet<TopicPartition>) {
        let Some(identity) = *lock(&self.identity) else { return };
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for tp in partitions {
            topics.entry(&tp.topic).or_default().push(tp.partition);
        }
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: transaction.id.clone(),
            v3_and_below_producer_id: identity.id,
            v3_and_below_producer_epoch: identity.epoch,
            v3_and_below_topics: topics
                .into_iter()
                .map(|(name, partitions)| add_partitions_to_txn_request::AddPartitionsToTxnTopic {
                    name: name.to_owned(),
                    partitions,
                })
                .collect(),
            ..Default::default()
        };
        transaction.state().started = true;
        let added = self
            .ask_coordinator(&request, ADD_PARTITIONS_OF_CLIENTS, |response| {
                let results =
                    response.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
                let codes: Vec<i16> = results.map(|partition| partition.partition_error_code).collect();
                // Partitions beside a refused one are answered with OPERATION_NOT_ATTEMPTED.
                let told = |code: &&i16| **code != 0 && **code != ErrorCode::OperationNotAttempted as i16;
                codes.iter().find(told).or(codes.iter().find(|code| **code != 0)).copied().unwrap_or(0)
            })
            .await;
        match added {
            Ok(_) => transaction.state().partitions.extend(partitions.iter().cloned()),
            Err(error) => transaction.fail(&error),
        }
    }

    async fn init_transactional_id(&self, identity: Option<ProducerIdentity>) -> Result<ProducerIdentity> {
        let transaction_timeout_ms = i32::try_from(self.config.transaction_timeout.as_millis()).unwrap_or(i32::MAX);
        let request = InitProducerIdRequest {
            transactional_id: self.config.transactional_id.clone(),
            transaction_timeout_ms,
            producer_id: identity.map_or(-1, |identity| identity.id),
            producer_epoch: identity.map_or(-1, |identity| identity.epoch),
            ..Default::default()
        };
        let response = self.ask_coordinator(&request, i16::MAX, |response| response.error_code).await?;
        Ok(ProducerIdentity { id: response.producer_id, epoch: response.producer_epoch })
    }

    async fn end_transaction(&self, commit: bool) -> Result<()> {
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let (started, version_two) = {
            let state = transaction.state();
            (state.started, state.version_two)
        };
        if started {
            let identity = lock(&self.identity).ok_or_else(|| illegal("initTransactions has not been called"))?;
            let request = EndTxnRequest {
                transactional_id: transaction.id.clone(),
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                committed: commit,
            };
            let version_max = if version_two { i16::MAX } else { END_TXN_V1 };
            let ended = self.ask_coordinator(&request, version_max, |response| response.error_code).await;
            let response = ended.inspect_err(|error| {
                if error.code() != Some(ErrorCode::RequestTimedOut) {
                    transaction.fail(error);
                }
            })?;
            if version_two && response.producer_id >= 0 {
                *lock(&self.identity) =
                    Some(ProducerIdentity { id: response.producer_id, epoch: response.producer_epoch });
            }
        }
        let mut state = transaction.state();
        state.phase = Phase::Ready;
        state.started = false;
        state.partitions.clear();
        Ok(())
    }

    async fn send_offsets(&self, offsets: &BTreeMap<TopicPartition, Committed>, group: &GroupMetadata) -> Result<()> {
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let identity = lock(&self.identity).ok_or_else(|| illegal("initTransactions has not been called"))?;
        transaction.state().started = true;
        let version_two = transaction.is_version_two();
        if !version_two {
            let request = AddOffsetsToTxnRequest {
                transactional_id: transaction.id.clone(),
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                group_id: group.group_id.clone(),
            };
            self.ask_coordinator(&request, i16::MAX, |response| response.error_code).await?;
        }
        let request = offset_commit(transaction, identity, offsets, group);
        let version_max = if version_two { TXN_OFFSET_COMMIT_BY_NAME } else { TXN_OFFSET_COMMIT_V1 };
        let mut attempts = Attempts::new(self);
        loop {
            let answer = match self.cluster.coordinator(CoordinatorKind::Group, &group.group_id).await {
                Ok(coordinator) => coordinator.send_up_to(&request, version_max).await,
                Err(error) => Err(error),
            };
            let checked = answer.and_then(|response| {
                let codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code);
                Error::check(codes.into_iter().find(|code| *code != 0).unwrap_or(0), None)
            });
            match checked {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.cluster.forget_coordinator(CoordinatorKind::Group, &group.group_id);
                    attempts.after(error).await?;
                }
            }
        }
    }

    /// Asks the coordinator of the transactional id until `code_of` finds no error that passes by itself.
    async fn ask_coordinator<R: Request>(
        &self,
        request: &R,
        version_max: i16,
        code_of: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let Some(transaction) = &self.transaction else { return Err(illegal("there is no transactional.id")) };
        let mut attempts = Attempts::new(self);
        loop {
            let answer = match self.cluster.coordinator(CoordinatorKind::Transaction, &transaction.id).await {
                Ok(coordinator) => {
                    transaction.state().version_two = speaks_version_two(&coordinator);
                    coordinator.send_up_to(request, version_max).await
                }
                Err(error) => Err(error),
            };
            let error = match answer {
                Ok(response) => match Error::check(code_of(&response), None) {
                    Ok(()) => return Ok(response),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if error.code().is_none_or(is_coordinator_error) {
                self.cluster.forget_coordinator(CoordinatorKind::Transaction, &transaction.id);
            }
            attempts.after(error).await?;
        }
    }
}

/// Attempts of one call within `max.block.ms`.
struct Attempts {
    deadline: Instant,
    block_ms: u128,
    backoff: Duration,
}

impl Attempts {
    fn new(shared: &Shared) -> Attempts {
        let block = shared.config.max_block;
        Attempts {
            deadline: Instant::now() + block,
            block_ms: block.as_millis(),
            backoff: shared.cluster.config().retry_backoff,
        }
    }

    /// Pauses before the next attempt, unless `error` lasts.
    async fn after(&mut self, error: Error) -> Result<()> {
        if !error.is_retriable() {
            return Err(error);
        }
        if Instant::now() >= self.deadline {
            let message = format!("Timeout expired after {}ms while awaiting the coordinator: {error}", self.block_ms);
            return Err(Error::api(ErrorCode::RequestTimedOut, Some(message)));
        }
        let completing = error.code() == Some(ErrorCode::ConcurrentTransactions);
        tokio::time::sleep(if completing { STILL_COMPLETING } else { self.backoff }).await;
        Ok(())
    }
}

/// KIP-890's second part is on when the feature is finalized and the coordinator knows EndTxn's new version.
fn speaks_version_two(coordinator: &Connection) -> bool {
    let finalized = &coordinator.api_versions().finalized_features;
    let feature = finalized.iter().find(|feature| feature.name == "transaction.version");
    feature.is_some_and(|feature| feature.max_version_level >= 2)
        && coordinator.version_of::<EndTxnRequest>().is_some_and(|version| version > END_TXN_V1)
}

fn offset_commit(
    transaction: &Transaction,
    identity: ProducerIdentity,
    offsets: &BTreeMap<TopicPartition, Committed>,
    group: &GroupMetadata,
) -> TxnOffsetCommitRequest {
    let mut topics: BTreeMap<&str, Vec<txn_offset_commit_request::Partition>> = BTreeMap::new();
    for (tp, committed) in offsets {
        topics.entry(&tp.topic).or_default().push(txn_offset_commit_request::Partition {
            partition_index: tp.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(committed.metadata.clone()),
        });
    }
    TxnOffsetCommitRequest {
        transactional_id: transaction.id.clone(),
        group_id: group.group_id.clone(),
        producer_id: identity.id,
        producer_epoch: identity.epoch,
        generation_id_or_member_epoch: group.generation_or_member_epoch,
        member_id: group.member_id.clone(),
        group_instance_id: group.group_instance_id.clone(),
        topics: topics
            .into_iter()
            .map(|(name, partitions)| txn_offset_commit_request::Topic {
                name: name.to_owned(),
                partitions,
                ..Default::default()
            })
            .collect(),
    }
}
