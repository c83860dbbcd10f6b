//! From the texts of the configuration to the settings of a log.
//!
//! The texts were checked when they were set; a text that does not parse all the same leaves Kafka's default in force.

use std::str::FromStr;

use milena_log::{CleanupPolicy, CompressionType, LogConfig};
use milena_metadata::ClusterImage;
use milena_protocol::compression::Compression;
use milena_protocol::record::TimestampType;

/// The settings in force for the logs of topic `name`.
pub(crate) fn log_config(image: &ClusterImage, name: &str) -> LogConfig {
    let default = LogConfig::default();
    let texts = Texts { image, name };
    LogConfig {
        cleanup_policy: texts.get("cleanup.policy").map_or(default.cleanup_policy, |text| cleanup_policy(&text)),
        compression_type: texts
            .get("compression.type")
            .and_then(|text| compression_type(&text))
            .unwrap_or(default.compression_type),
        compression_gzip_level: texts.number("compression.gzip.level", default.compression_gzip_level),
        compression_lz4_level: texts.number("compression.lz4.level", default.compression_lz4_level),
        compression_zstd_level: texts.number("compression.zstd.level", default.compression_zstd_level),
        delete_retention_ms: texts.number("delete.retention.ms", default.delete_retention_ms),
        file_delete_delay_ms: texts.number("file.delete.delay.ms", default.file_delete_delay_ms),
        flush_messages: texts.number("flush.messages", default.flush_messages),
        flush_ms: texts.number("flush.ms", default.flush_ms),
        index_interval_bytes: texts.number("index.interval.bytes", default.index_interval_bytes),
        max_compaction_lag_ms: texts.number("max.compaction.lag.ms", default.max_compaction_lag_ms),
        max_message_bytes: texts.number("max.message.bytes", default.max_message_bytes),
        message_timestamp_after_max_ms: texts
            .number("message.timestamp.after.max.ms", default.message_timestamp_after_max_ms),
        message_timestamp_before_max_ms: texts
            .number("message.timestamp.before.max.ms", default.message_timestamp_before_max_ms),
        message_timestamp_type: timestamp_type(texts.get("message.timestamp.type").as_deref()),
        min_cleanable_dirty_ratio: texts.number("min.cleanable.dirty.ratio", default.min_cleanable_dirty_ratio),
        min_compaction_lag_ms: texts.number("min.compaction.lag.ms", default.min_compaction_lag_ms),
        min_insync_replicas: texts.number("min.insync.replicas", default.min_insync_replicas),
        preallocate: texts.get("preallocate").is_some_and(|text| text.eq_ignore_ascii_case("true")),
        retention_bytes: texts.number("retention.bytes", default.retention_bytes),
        retention_ms: texts.number("retention.ms", default.retention_ms),
        segment_bytes: texts.number("segment.bytes", default.segment_bytes),
        segment_index_bytes: texts.number("segment.index.bytes", default.segment_index_bytes),
        segment_jitter_ms: texts.number("segment.jitter.ms", default.segment_jitter_ms),
        segment_ms: texts.number("segment.ms", default.segment_ms),
    }
}

struct Texts<'a> {
    image: &'a ClusterImage,
    name: &'a str,
}

impl Texts<'_> {
    fn get(&self, key: &str) -> Option<String> {
        self.image.topic_value(self.name, key)
    }

    fn number<T: FromStr>(&self, key: &str, default: T) -> T {
        self.get(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
    }
}

fn cleanup_policy(text: &str) -> CleanupPolicy {
    let has = |policy: &str| text.split(',').any(|word| word.trim().eq_ignore_ascii_case(policy));
    CleanupPolicy { delete: has("delete"), compact: has("compact") }
}

fn compression_type(text: &str) -> Option<CompressionType> {
    match text.to_ascii_lowercase().as_str() {
        "producer" => Some(CompressionType::Producer),
        "uncompressed" => Some(CompressionType::Fixed(Compression::None)),
        codec => Compression::from_str(codec).ok().map(CompressionType::Fixed),
    }
}

fn timestamp_type(text: Option<&str>) -> TimestampType {
    match text {
        Some("LogAppendTime") => TimestampType::LogAppendTime,
        _ => TimestampType::CreateTime,
    }
}
