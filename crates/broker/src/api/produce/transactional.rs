//! Batches that begin their producer's transaction on a partition.
//!
//! They are appended while the transaction is held open at the coordinator: all of one request together, so that one record
//! of `__transaction_state` names all their partitions.

use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::ErrorCode;
use milena_protocol::messages::produce_response::{PartitionResponse, Response};
use milena_protocol::record::BatchView;

use super::{Append, Place, refused};
use crate::partition::Partition;
use crate::transaction::metadata::Partitions;
use crate::transaction::{ProducerIdAndEpoch, WriteMode};

/// First version of transactions v2, whose writes add their partitions to the transaction.
pub(super) const TRANSACTIONS_V2_SINCE: i16 = 12;
/// First version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE: i16 = 11;

/// A batch that waits for its partition to be part of the transaction.
pub(super) struct Beginning {
    place: Place,
    partition: Arc<Partition>,
    index: i32,
    records: Bytes,
    producer: ProducerIdAndEpoch,
}

impl Append<'_> {
    /// Puts a batch off until all partitions have been looked at. Its answer is filled in then.
    pub(super) fn defer(&mut self, partition: &Arc<Partition>, index: i32, records: Bytes) -> PartitionResponse {
        let Ok(batch) = BatchView::parse(&records) else { return refused(index, ErrorCode::CorruptMessage, None) };
        let producer = ProducerIdAndEpoch { producer_id: batch.producer_id(), producer_epoch: batch.producer_epoch() };
        self.deferred.push(Beginning { place: self.place, partition: partition.clone(), index, records, producer });
        PartitionResponse { index, ..Default::default() }
    }

    /// Appends what was put off, and fills in the answers.
    pub(super) fn begin_transactions(&mut self, responses: &mut [Response]) {
        let mut deferred = std::mem::take(&mut self.deferred);
        while let Some(producer) = deferred.first().map(|beginning| beginning.producer) {
            // A request has one producer; one that names several is served producer by producer.
            let (mine, others) = deferred.into_iter().partition(|beginning| beginning.producer == producer);
            deferred = others;
            for (place, response) in self.begin(producer, mine) {
                self.failed |= response.error_code != ErrorCode::None.code();
                responses[place.topic].partition_responses[place.partition] = response;
            }
        }
    }

    fn begin(&mut self, producer: ProducerIdAndEpoch, batches: Vec<Beginning>) -> Vec<(Place, PartitionResponse)> {
        let Some(transactional_id) = self.transactional_id else { return Vec::new() };
        let broker = self.broker;
        let v2 = self.version >= TRANSACTIONS_V2_SINCE;
        if !v2 && !verification_enabled(self) {
            return self.append_all(&batches);
        }
        let mut partitions = Partitions::new();
        for beginning in &batches {
            partitions.entry(beginning.partition.log().topic().to_owned()).or_default().insert(beginning.index);
        }
        let mode = if v2 { WriteMode::Add } else { WriteMode::Verify };
        let appended = broker
            .transactions
            .write_in_transaction(transactional_id, producer, &partitions, mode, || self.append_all(&batches));
        appended.unwrap_or_else(|code| {
            let (code, message) = self.refusal(code);
            let refuse =
                |beginning: &Beginning| (beginning.place, refused(beginning.index, code, Some(message.clone())));
            batches.iter().map(refuse).collect()
        })
    }

    fn append_all(&mut self, batches: &[Beginning]) -> Vec<(Place, PartitionResponse)> {
        let append = |beginning: &Beginning| {
            let Beginning { place, partition, index, records, .. } = beginning;
            let options = self.options(partition, true);
            let result = partition.append(records.clone(), &options);
            (*place, self.outcome(*place, partition, *index, result))
        };
        batches.iter().map(append).collect()
    }

    /// What a producer of this version understands of the coordinator's refusal.
    fn refusal(&self, code: ErrorCode) -> (ErrorCode, String) {
        let message = match code {
            ErrorCode::TransactionAbortable => "the partition is not part of an open transaction".to_owned(),
            code => format!("the partition could not be verified to be part of the transaction: {}", code.name()),
        };
        let code = match code {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if self.version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
            // Old producers retry this one, and do not look for another leader because of it.
            ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
            code => code,
        };
        (code, message)
    }
}

fn verification_enabled(append: &Append<'_>) -> bool {
    let value = append.broker.image().broker_value("transaction.partition.verification.enable");
    value.is_none_or(|value| !value.eq_ignore_ascii_case("false"))
}
