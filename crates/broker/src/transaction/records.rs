//! Keys and values of `__transaction_state`, byte for byte as Kafka writes them.
//!
//! The key is an i16 0 and the key message; the value an i16 version and the value message. No value is a tombstone.
//! Version 1 carries the producer ids and the client's version that transactions v2 need; version 0 is written while the
//! feature `transaction.version` is off.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::messages::transaction_log_value::TransactionPartition;
use milena_protocol::messages::{TransactionLogKey, TransactionLogValue};
use milena_protocol::{DecodeError, EncodeError, Message, Reader, Writer};

use super::metadata::{ClientVersion, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Partitions, TransactionMetadata};
use super::state::TransactionState;
use crate::group::effects::Now;

const KEY_TYPE: i16 = 0;
const VALUE_VERSION: i16 = 1;
const VALUE_VERSION_WITHOUT_FEATURE: i16 = 0;

/// One record. A value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRecord {
    /// Type and transactional id.
    pub key: Bytes,
    /// Version and state.
    pub value: Option<Bytes>,
}

/// Why a record is not understood.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRecord {
    /// The bytes contradict the format.
    #[error(transparent)]
    Format(#[from] DecodeError),
    /// A state that this version does not know.
    #[error("unknown transaction state {0}")]
    UnknownState(i8),
}

/// The record of `transaction`.
///
/// # Errors
/// A name is too long for the format.
pub fn encode(transaction: &TransactionMetadata, transaction_version: i16) -> Result<StateRecord, EncodeError> {
    let mut writer = Writer::new();
    let version = value_version(transaction, transaction_version);
    writer.i16(version);
    value_of(transaction).encode(&mut writer, version)?;
    Ok(StateRecord { key: key(&transaction.transactional_id)?, value: Some(bytes_of(writer)) })
}

/// A cluster without the feature keeps to the format that every Kafka reads. It cannot tell what transactions v2 left behind,
/// which is therefore written in the newer one.
fn value_version(transaction: &TransactionMetadata, transaction_version: i16) -> i16 {
    let old_fields = transaction.client_version == ClientVersion::V1 && transaction.next_producer_id == NO_PRODUCER_ID;
    if transaction_version == 0 && old_fields { VALUE_VERSION_WITHOUT_FEATURE } else { VALUE_VERSION }
}

/// The tombstone of a transactional id.
///
/// # Errors
/// The id is too long for the format.
pub fn tombstone(transactional_id: &str) -> Result<StateRecord, EncodeError> {
    Ok(StateRecord { key: key(transactional_id)?, value: None })
}

fn key(transactional_id: &str) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(KEY_TYPE);
    TransactionLogKey { transactional_id: transactional_id.to_owned() }.encode(&mut writer, 0)?;
    Ok(bytes_of(writer))
}

fn bytes_of(writer: Writer) -> Bytes {
    writer.finish().to_bytes().expect("a record without file ranges is in memory")
}

fn value_of(transaction: &TransactionMetadata) -> TransactionLogValue {
    let partitions = transaction.partitions.iter().map(|(topic, indexes)| TransactionPartition {
        topic: topic.clone(),
        partition_ids: indexes.iter().copied().collect(),
    });
    TransactionLogValue {
        producer_id: transaction.producer_id,
        previous_producer_id: transaction.previous_producer_id,
        next_producer_id: transaction.next_producer_id,
        producer_epoch: transaction.producer_epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state.id(),
        transaction_partitions: (transaction.state != TransactionState::Empty).then(|| partitions.collect()),
        transaction_last_update_timestamp_ms: transaction.last_update_ms,
        transaction_start_timestamp_ms: transaction.start_ms,
        client_transaction_version: transaction.client_version.id(),
        ..TransactionLogValue::default()
    }
}

/// The transactional id of a key; `None` for keys of a later Kafka.
///
/// # Errors
/// The bytes are no key.
pub fn decode_key(key: &Bytes) -> Result<Option<String>, DecodeError> {
    let mut reader = Reader::new(key.clone());
    if reader.i16()? != KEY_TYPE {
        return Ok(None);
    }
    Ok(Some(TransactionLogKey::decode(&mut reader, 0)?.transactional_id))
}

/// The state that a value holds.
///
/// How long ago something happened is worked out once, here, against the wall clock; a clock that was set back or far
/// ahead meanwhile makes it neither negative nor longer than the transaction may last.
///
/// # Errors
/// See [`UnreadableRecord`].
pub fn decode_value(
    transactional_id: Arc<str>,
    value: &Bytes,
    now: Now,
) -> Result<TransactionMetadata, UnreadableRecord> {
    let mut reader = Reader::new(value.clone());
    let version = reader.i16()?;
    let value = TransactionLogValue::decode(&mut reader, version)?;
    let state = TransactionState::from_id(value.transaction_status)
        .ok_or(UnreadableRecord::UnknownState(value.transaction_status))?;
    let mut partitions = Partitions::new();
    for entry in value.transaction_partitions.unwrap_or_default() {
        let indexes: &mut BTreeSet<i32> = partitions.entry(entry.topic).or_default();
        indexes.extend(entry.partition_ids);
    }
    let ago = |then_ms: i64| now.unix_ms.saturating_sub(then_ms).max(0);
    let open_for = ago(value.transaction_start_timestamp_ms).min(i64::from(value.transaction_timeout_ms.max(0)));
    Ok(TransactionMetadata {
        transactional_id,
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        producer_epoch: value.producer_epoch,
        last_producer_epoch: NO_PRODUCER_EPOCH,
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions,
        start_ms: value.transaction_start_timestamp_ms,
        last_update_ms: value.transaction_last_update_timestamp_ms,
        client_version: ClientVersion::from_id(value.client_transaction_version),
        started_at_ms: now.monotonic_ms.saturating_sub(open_for),
        updated_at_ms: now.monotonic_ms.saturating_sub(ago(value.transaction_last_update_timestamp_ms)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { unix_ms: 1_700_000_100_000, monotonic_ms: 5_000_000 };

    fn sample() -> TransactionMetadata {
        let mut sample = TransactionMetadata::new("transfer".into(), 4000, NOW);
        sample.producer_epoch = 7;
        sample.previous_producer_id = 3999;
        sample.timeout_ms = 60_000;
        sample.state = TransactionState::Ongoing;
        sample.partitions.entry("b".to_owned()).or_default().extend([2, 0]);
        sample.partitions.entry("a".to_owned()).or_default().insert(5);
        sample.start_ms = NOW.unix_ms - 10_000;
        sample.started_at_ms = NOW.monotonic_ms - 10_000;
        sample.client_version = ClientVersion::V2;
        sample
    }

    #[test]
    fn a_stored_state_is_read_back() {
        let record = encode(&sample(), 2).unwrap();
        assert_eq!(decode_key(&record.key).unwrap().as_deref(), Some("transfer"));
        assert_eq!(decode_value("transfer".into(), &record.value.unwrap(), NOW).unwrap(), sample());
    }

    #[test]
    fn without_the_feature_states_are_stored_in_the_format_that_every_kafka_reads() {
        let old = TransactionMetadata { client_version: ClientVersion::V1, ..sample() };
        let version_of =
            |transaction: &TransactionMetadata, level| encode(transaction, level).unwrap().value.unwrap()[1];
        assert_eq!((version_of(&old, 0), version_of(&old, 1), version_of(&sample(), 0)), (0, 1, 1));
        let value = encode(&old, 0).unwrap().value.unwrap();
        let read = decode_value("transfer".into(), &value, NOW).unwrap();
        assert_eq!(read, TransactionMetadata { previous_producer_id: NO_PRODUCER_ID, ..old });
    }

    #[test]
    fn a_clock_that_jumped_makes_no_transaction_older_than_its_timeout() {
        let value = encode(&sample(), 2).unwrap().value.unwrap();
        let at = |unix_ms| decode_value("transfer".into(), &value, Now { unix_ms, ..NOW }).unwrap().started_at_ms;
        assert_eq!(at(NOW.unix_ms + 86_400_000_000), NOW.monotonic_ms - 60_000);
        assert_eq!(at(NOW.unix_ms - 86_400_000_000), NOW.monotonic_ms);
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        assert!(decode_value("x".into(), &Bytes::from_static(b"\0\x01"), NOW).is_err());
        assert!(decode_value("x".into(), &Bytes::new(), NOW).is_err());
        let mut strange = sample();
        strange.state = TransactionState::Empty;
        let mut value = encode(&strange, 2).unwrap().value.unwrap().to_vec();
        // version 2 bytes, producer id 8, epoch 2, timeout 4, then the state.
        value[16] = 99;
        assert!(matches!(decode_value("x".into(), &value.into(), NOW), Err(UnreadableRecord::UnknownState(99))));
        assert_eq!(decode_key(&Bytes::from_static(&[0, 9, 0, 0])).unwrap(), None);
    }
}
