//! The settings of one topic's logs, typed and resolved. Field names are Kafka's with `_` for `.`.

use milena_protocol::compression::Compression;
use milena_protocol::record::TimestampType;

/// What happens to old data (`cleanup.policy`). Both false means: keep for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old segments are deleted by time and size.
    pub delete: bool,
    /// Only the newest record of each key is kept.
    pub compact: bool,
}

/// Which codec batches are stored with (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    /// Re-encoded with this codec unless they already have it (`uncompressed` is [`Compression::None`]).
    Fixed(Compression),
}

/// Resolved settings of the logs of one topic. [`Default`] gives Kafka's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// What happens to old data.
    pub cleanup_policy: CleanupPolicy,
    /// Which codec batches are stored with.
    pub compression_type: CompressionType,
    /// Level for gzip when re-encoding, -1 for the codec's default.
    pub compression_gzip_level: i32,
    /// Level for lz4 when re-encoding.
    pub compression_lz4_level: i32,
    /// Level for zstd when re-encoding.
    pub compression_zstd_level: i32,
    /// Milliseconds a tombstone stays readable after it was first cleaned.
    pub delete_retention_ms: i64,
    /// Milliseconds between renaming a file to `.deleted` and removing it.
    pub file_delete_delay_ms: i64,
    /// Records after which an append forces an fsync; `i64::MAX` for never.
    pub flush_messages: i64,
    /// Milliseconds after which unsynced data is fsynced; `i64::MAX` for never.
    pub flush_ms: i64,
    /// Bytes of data between two entries of the sparse indexes.
    pub index_interval_bytes: i32,
    /// Milliseconds after which a record becomes eligible for compaction at the latest.
    pub max_compaction_lag_ms: i64,
    /// Largest stored batch in bytes, header included.
    pub max_message_bytes: i32,
    /// How far in the future a client's timestamp may lie, in milliseconds.
    pub message_timestamp_after_max_ms: i64,
    /// How far in the past a client's timestamp may lie, in milliseconds.
    pub message_timestamp_before_max_ms: i64,
    /// Whether records carry the client's timestamp or the time of the append.
    pub message_timestamp_type: TimestampType,
    /// Share of dirty bytes from which a log is compacted, 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// Milliseconds a record stays uncompacted.
    pub min_compaction_lag_ms: i64,
    /// In-sync replicas that an acks=all produce needs. Not used by the log itself.
    pub min_insync_replicas: i32,
    /// Reserve the disk space of a whole segment when it is created.
    pub preallocate: bool,
    /// Bytes above which the oldest segments are deleted, -1 for no limit.
    pub retention_bytes: i64,
    /// Milliseconds after which segments are deleted, -1 for no limit.
    pub retention_ms: i64,
    /// Size in bytes at which a segment is rolled.
    pub segment_bytes: i32,
    /// Size in bytes at which an index counts as full, and its segment is rolled.
    pub segment_index_bytes: i32,
    /// Largest random amount subtracted from `segment_ms`, so that segments do not all roll at once.
    pub segment_jitter_ms: i64,
    /// Age in milliseconds at which a segment is rolled.
    pub segment_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            compression_type: CompressionType::Producer,
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            index_interval_bytes: 4096,
            max_compaction_lag_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            message_timestamp_after_max_ms: 3_600_000,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            preallocate: false,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            segment_bytes: 1_073_741_824,
            segment_index_bytes: 10_485_760,
            segment_jitter_ms: 0,
            segment_ms: 604_800_000,
        }
    }
}

impl LogConfig {
    /// Age in milliseconds at which a segment is rolled, so that compaction gets to it in time.
    pub(crate) fn segment_age_ms_max(&self) -> i64 {
        let compacted = self.cleanup_policy.compact && self.max_compaction_lag_ms > 0;
        if compacted { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }

    /// The level to compress with for `codec`, `None` for the codec's own default.
    pub fn compression_level(&self, codec: Compression) -> Option<i32> {
        match codec {
            Compression::Gzip if self.compression_gzip_level >= 0 => Some(self.compression_gzip_level),
            Compression::Lz4 => Some(self.compression_lz4_level),
            Compression::Zstd => Some(self.compression_zstd_level),
            _ => None,
        }
    }
}
