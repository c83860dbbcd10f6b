//! Control records: the key says the type, the value what the type needs.
//!
//! ```text
//! key    version i16 (0) | type i16
//! value  of a transaction marker: version i16 (0) | coordinator epoch i32
//! ```
//!
//! A control batch of a transaction always has one record.

use bytes::Bytes;

use super::{BatchBuilder, BatchOptions, RecordError};

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// The transaction was aborted.
    Abort,
    /// The transaction was committed.
    Commit,
    /// A KRaft leader took over.
    LeaderChange,
    /// Begin of a KRaft snapshot.
    SnapshotHeader,
    /// End of a KRaft snapshot.
    SnapshotFooter,
    /// The KRaft version changed.
    KraftVersion,
    /// The KRaft voters changed.
    KraftVoters,
    /// A type that a later Kafka may have added; readers skip it.
    Unknown(i16),
}

/// The version of keys and marker values that is written; higher versions only add fields.
const VERSION: i16 = 0;

impl ControlType {
    /// The type with this number.
    pub fn from_id(id: i16) -> ControlType {
        match id {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KraftVersion,
            6 => ControlType::KraftVoters,
            other => ControlType::Unknown(other),
        }
    }

    /// The number in the key.
    pub fn id(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KraftVersion => 5,
            ControlType::KraftVoters => 6,
            ControlType::Unknown(id) => id,
        }
    }

    /// Kafka's name, as `kafka-dump-log` prints it.
    pub fn name(self) -> &'static str {
        match self {
            ControlType::Abort => "ABORT",
            ControlType::Commit => "COMMIT",
            ControlType::LeaderChange => "LEADER_CHANGE",
            ControlType::SnapshotHeader => "SNAPSHOT_HEADER",
            ControlType::SnapshotFooter => "SNAPSHOT_FOOTER",
            ControlType::KraftVersion => "KRAFT_VERSION",
            ControlType::KraftVoters => "KRAFT_VOTERS",
            ControlType::Unknown(_) => "UNKNOWN",
        }
    }

    /// Reads the type from a control record's key.
    ///
    /// # Errors
    /// [`RecordError::InvalidControlRecord`] when the key is short or its version negative.
    pub fn from_key(key: &[u8]) -> Result<ControlType, RecordError> {
        let Some(&[v0, v1, t0, t1]) = key.first_chunk::<4>() else {
            return Err(RecordError::InvalidControlRecord { detail: "the key has less than 4 bytes" });
        };
        if i16::from_be_bytes([v0, v1]) < VERSION {
            return Err(RecordError::InvalidControlRecord { detail: "the key's version is negative" });
        }
        Ok(ControlType::from_id(i16::from_be_bytes([t0, t1])))
    }

    /// The key of a record of this type.
    pub fn key(self) -> [u8; 4] {
        let [v0, v1] = VERSION.to_be_bytes();
        let [t0, t1] = self.id().to_be_bytes();
        [v0, v1, t0, t1]
    }
}

/// A transaction marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// [`ControlType::Abort`] or [`ControlType::Commit`].
    pub control_type: ControlType,
    /// Epoch of the coordinator that wrote it; older ones are refused.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// Reads a marker from the key and value of a control record; `None` for other control types.
    ///
    /// # Errors
    /// [`RecordError::InvalidControlRecord`] when key or value is short, or a version negative.
    pub fn parse(key: &[u8], value: &[u8]) -> Result<Option<EndTxnMarker>, RecordError> {
        let control_type = ControlType::from_key(key)?;
        if !matches!(control_type, ControlType::Abort | ControlType::Commit) {
            return Ok(None);
        }
        let Some(&[v0, v1, e0, e1, e2, e3]) = value.first_chunk::<6>() else {
            return Err(RecordError::InvalidControlRecord { detail: "the marker's value has less than 6 bytes" });
        };
        if i16::from_be_bytes([v0, v1]) < VERSION {
            return Err(RecordError::InvalidControlRecord { detail: "the marker's version is negative" });
        }
        Ok(Some(EndTxnMarker { control_type, coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]) }))
    }

    /// The value of the control record.
    pub fn value(&self) -> [u8; 6] {
        let [v0, v1] = VERSION.to_be_bytes();
        let [e0, e1, e2, e3] = self.coordinator_epoch.to_be_bytes();
        [v0, v1, e0, e1, e2, e3]
    }
}

/// The batch that ends a producer's transaction on a partition; the log assigns its offset.
///
/// # Errors
/// None in practice: a marker always fits a batch.
pub fn end_txn_marker_batch(
    marker: EndTxnMarker,
    timestamp: i64,
    leader_epoch: i32,
    producer_id: i64,
    producer_epoch: i16,
) -> Result<Bytes, RecordError> {
    let mut builder = BatchBuilder::new(BatchOptions {
        leader_epoch,
        producer_id,
        producer_epoch,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    });
    builder.append(timestamp, Some(&marker.control_type.key()), Some(&marker.value()), &[]);
    builder.build()
}
