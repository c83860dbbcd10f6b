//! What the group coordinator stands on: `__consumer_offsets` as its log, the cluster image as its view of topics.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_log::{AppendError, AppendOptions, AppendOrigin, ReadLimit};
use milena_metadata::Controller;
use milena_protocol::record::control::{ControlType, EndTxnMarker};
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};
use milena_protocol::{ErrorCode, Uuid};
use milena_stdx::Clock;

use crate::error_code;
use crate::group::offsets_log::Durable;
use crate::group::{
    CoordinatorError, LoggedEvent, OffsetsLog, OffsetsRecord, TopicView, TopicsView, TransactionalProducer,
};
use crate::partition::{DurabilityWait, Partition, PartitionTable};

/// The topic of committed offsets and group metadata.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Bytes read at once while a partition is loaded.
const LOAD_CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Largest decompressed batch that is loaded.
const LOAD_BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long an append may wait for its fsync (`offsets.commit.timeout.ms`).
const APPEND_WAIT_MAX: Duration = Duration::from_secs(5);

/// `__consumer_offsets` on the partitions of this broker.
pub(crate) struct PartitionOffsetsLog {
    pub(crate) partitions: Arc<PartitionTable>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether an append waits for its fsync (`milena.acks.all.fsync`).
    pub(crate) fsync: bool,
}

impl PartitionOffsetsLog {
    fn partition(&self, partition: i32) -> Result<Arc<Partition>, CoordinatorError> {
        let topic = self.partitions.topic(OFFSETS_TOPIC).ok_or(CoordinatorError::NotFound { partition })?;
        topic.partition(partition).map_err(|code| match code {
            ErrorCode::UnknownTopicOrPartition => CoordinatorError::NotFound { partition },
            code => CoordinatorError::Storage { partition, reason: code.name().to_owned() },
        })
    }

    fn write(
        &self,
        index: i32,
        records: &[OffsetsRecord],
        producer: Option<TransactionalProducer>,
    ) -> Result<DurabilityWait, CoordinatorError> {
        let partition = self.partition(index)?;
        let batch = self.batch(index, records, producer)?;
        let options = AppendOptions {
            origin: AppendOrigin::Coordinator,
            leader_epoch: partition.leader_epoch(),
            ..AppendOptions::default()
        };
        let size = batch.len();
        let info = partition.append(batch, &options).map_err(|error| match error {
            AppendError::BatchTooLarge { .. } | AppendError::LargerThanSegment { .. } => {
                CoordinatorError::TooLarge { partition: index, size }
            }
            AppendError::InvalidProducerEpoch { .. } | AppendError::InvalidTxnState { .. } => {
                CoordinatorError::Producer { partition: index, code: error_code::of_append(&error) }
            }
            other => CoordinatorError::Storage { partition: index, reason: other.to_string() },
        })?;
        let mut durability = DurabilityWait::default();
        if self.fsync {
            durability.add(&partition, info.last_offset + 1);
        }
        Ok(durability)
    }

    fn batch(
        &self,
        partition: i32,
        records: &[OffsetsRecord],
        producer: Option<TransactionalProducer>,
    ) -> Result<Bytes, CoordinatorError> {
        let now_ms = self.clock.now_ms();
        let options = producer.map_or_else(BatchOptions::default, |producer| BatchOptions {
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            transactional: true,
            ..BatchOptions::default()
        });
        let mut builder = BatchBuilder::new(options);
        for record in records {
            builder.append(now_ms, Some(&record.key), record.value.as_deref(), &[]);
        }
        builder.build().map_err(|error| CoordinatorError::Storage { partition, reason: error.to_string() })
    }
}

impl OffsetsLog for PartitionOffsetsLog {
    fn partition_count(&self) -> i32 {
        self.partitions.topic(OFFSETS_TOPIC).map_or(0, |topic| topic.partition_count())
    }

    fn append(
        &self,
        partition: i32,
        records: Vec<OffsetsRecord>,
        producer: Option<TransactionalProducer>,
    ) -> Result<Durable, CoordinatorError> {
        let written = self.write(partition, &records, producer)?.arm();
        Ok(Box::pin(async move {
            match written.wait(APPEND_WAIT_MAX).await.first() {
                None => Ok(()),
                Some(code) => Err(CoordinatorError::Storage { partition, reason: code.name().to_owned() }),
            }
        }))
    }

    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(LoggedEvent<'_>)) -> Result<(), CoordinatorError> {
        let log = self.partition(partition)?.log().clone();
        let storage = |reason: String| CoordinatorError::Storage { partition, reason };
        let mut offset = log.log_start_offset();
        while offset < log.high_watermark() {
            let data = log
                .read(offset, LOAD_CHUNK_BYTES, true, ReadLimit::HighWatermark)
                .map_err(|error| storage(error.to_string()))?;
            let bytes = data.records.to_bytes().map_err(|error| storage(error.to_string()))?;
            let next_offset = apply_batches(&bytes, apply).map_err(storage)?;
            if next_offset <= offset {
                return Err(storage(format!("nothing readable at offset {offset}")));
            }
            offset = next_offset;
        }
        Ok(())
    }
}

/// Applies every record and transaction marker and returns the offset after the last batch, or what is wrong.
fn apply_batches(bytes: &Bytes, apply: &mut dyn FnMut(LoggedEvent<'_>)) -> Result<i64, String> {
    let mut next_offset = -1;
    for batch in batches(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        next_offset = batch.next_offset();
        let producer_id = batch.producer_id();
        for record in batch.records(LOAD_BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let Some(key) = &record.key else { continue };
            let value = record.value.as_ref();
            if !batch.is_control() {
                let producer_id = batch.is_transactional().then_some(producer_id);
                apply(LoggedEvent::Record { key, value, producer_id });
                continue;
            }
            let marker = EndTxnMarker::parse(key, value.map(Bytes::as_ref).unwrap_or_default());
            if let Some(marker) = marker.map_err(|error| error.to_string())? {
                let committed = marker.control_type == ControlType::Commit;
                apply(LoggedEvent::Marker { producer_id, committed });
            }
        }
    }
    Ok(next_offset)
}

/// The topics of the cluster image.
pub(crate) struct ImageTopics {
    pub(crate) controller: Arc<Controller>,
}

impl TopicsView for ImageTopics {
    fn topic(&self, name: &str) -> Option<TopicView> {
        let image = self.controller.image();
        let topic = image.topic(name)?;
        Some(TopicView { id: topic.id, partitions: topic.partitions.len() as i32 })
    }

    fn topic_name(&self, id: &Uuid) -> Option<String> {
        self.controller.image().topic_by_id(id).map(|topic| topic.name.clone())
    }

    fn topic_names(&self) -> Vec<String> {
        let image = self.controller.image();
        image.topics().filter(|topic| !topic.is_internal()).map(|topic| topic.name.clone()).collect()
    }

    fn group_config(&self, group: &str, key: &str) -> Option<String> {
        self.controller.image().group_config(group, key)
    }

    fn broker_ms(&self, key: &str) -> Option<i32> {
        self.controller.image().broker_value(key)?.trim().parse().ok()
    }
}
