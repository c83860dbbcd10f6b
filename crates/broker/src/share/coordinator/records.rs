//! Keys and values of `__share_group_state`, byte for byte as Kafka writes them.
//!
//! A key is an i16 record type and the key message; a value is an i16 version and the value message. Type 0 is a
//! snapshot of a share partition, type 1 an update on top of the last snapshot. No value under a snapshot's key means
//! that the state is deleted.

use bytes::Bytes;
use milena_protocol::messages::{
    ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue, share_snapshot_value, share_update_value,
};
use milena_protocol::{DecodeError, EncodeError, Message, Reader, Writer};

use super::batches::StateBatch;
use super::shard::ShareState;
use crate::share::key::SharePartitionKey;

const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;
const VALUE_VERSION: i16 = 0;

/// A record that was read back.
pub(super) enum StoredState {
    /// Everything about a share partition.
    Snapshot(SharePartitionKey, ShareSnapshotValue),
    /// What changed since.
    Update(SharePartitionKey, ShareUpdateValue),
    /// The state is deleted.
    Deleted(SharePartitionKey),
}

/// Reads a record; `Ok(None)` when its type is unknown.
pub(super) fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Option<StoredState>, DecodeError> {
    let mut reader = Reader::new(key.clone());
    match (reader.i16()?, value) {
        (SNAPSHOT, value) => {
            let key = ShareSnapshotKey::decode(&mut reader, 0)?;
            let key =
                SharePartitionKey { group: key.group_id.into(), topic_id: key.topic_id, partition: key.partition };
            Ok(Some(match value {
                None => StoredState::Deleted(key),
                Some(value) => StoredState::Snapshot(key, decode_value(value)?),
            }))
        }
        (UPDATE, Some(value)) => {
            let key = ShareUpdateKey::decode(&mut reader, 0)?;
            let key =
                SharePartitionKey { group: key.group_id.into(), topic_id: key.topic_id, partition: key.partition };
            Ok(Some(StoredState::Update(key, decode_value(value)?)))
        }
        _ => Ok(None),
    }
}

fn decode_value<M: Message>(value: &Bytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(value.clone());
    let version = reader.i16()?;
    M::decode(&mut reader, version)
}

/// Key and value of a snapshot.
pub(super) fn snapshot(key: &SharePartitionKey, state: &ShareState) -> Result<(Bytes, Bytes), EncodeError> {
    let value = ShareSnapshotValue {
        snapshot_epoch: state.snapshot_epoch,
        state_epoch: state.state_epoch,
        leader_epoch: state.leader_epoch,
        start_offset: state.start_offset,
        delivery_complete_count: state.delivery_complete_count,
        create_timestamp: state.created_ms,
        write_timestamp: state.written_ms,
        state_batches: state
            .batches
            .iter()
            .map(|batch| share_snapshot_value::StateBatch {
                first_offset: batch.first_offset,
                last_offset: batch.last_offset,
                delivery_state: batch.delivery_state,
                delivery_count: batch.delivery_count,
            })
            .collect(),
    };
    Ok((snapshot_key(key)?, encode(VALUE_VERSION, &value)?))
}

/// The key of a snapshot, which alone is the tombstone of a share partition.
pub(super) fn snapshot_key(key: &SharePartitionKey) -> Result<Bytes, EncodeError> {
    let key = ShareSnapshotKey { group_id: key.group.to_string(), topic_id: key.topic_id, partition: key.partition };
    encode(SNAPSHOT, &key)
}

/// Key and value of an update: `batches` are those that changed.
pub(super) fn update(
    key: &SharePartitionKey,
    state: &ShareState,
    batches: &[StateBatch],
) -> Result<(Bytes, Bytes), EncodeError> {
    let value = ShareUpdateValue {
        snapshot_epoch: state.snapshot_epoch,
        leader_epoch: state.leader_epoch,
        start_offset: state.start_offset,
        delivery_complete_count: state.delivery_complete_count,
        state_batches: batches
            .iter()
            .map(|batch| share_update_value::StateBatch {
                first_offset: batch.first_offset,
                last_offset: batch.last_offset,
                delivery_state: batch.delivery_state,
                delivery_count: batch.delivery_count,
            })
            .collect(),
    };
    let key = ShareUpdateKey { group_id: key.group.to_string(), topic_id: key.topic_id, partition: key.partition };
    Ok((encode(UPDATE, &key)?, encode(VALUE_VERSION, &value)?))
}

fn encode<M: Message>(prefix: i16, message: &M) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(prefix);
    message.encode(&mut writer, 0)?;
    Ok(writer.finish().to_bytes().expect("a record without file ranges is in memory"))
}
