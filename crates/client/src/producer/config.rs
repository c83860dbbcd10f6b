//! Settings of a producer, under Kafka's property names.

use std::time::Duration;

use milena_protocol::compression::Compression;

use crate::config::{parse_millis, parse_number};
use crate::error::{Error, Result};

/// How records are batched and sent.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// `acks`: 0 none, 1 the leader, -1 all in-sync replicas; default -1.
    pub acks: i16,
    /// `compression.type`; default none.
    pub compression: Compression,
    /// `compression.<codec>.level`; `None`: the codec's default.
    pub compression_level: Option<i32>,
    /// `linger.ms`: how long a batch waits for more records; default 5 ms.
    pub linger: Duration,
    /// `batch.size`: bytes of records after which a batch is sent at once; default 16384.
    pub batch_size: usize,
    /// `max.request.size`: the largest record, and the bytes of one request; default 1 MiB.
    pub max_request_size: usize,
    /// `buffer.memory`: bytes of records that may wait to be sent; default 32 MiB.
    pub buffer_memory: usize,
    /// `max.block.ms`: how long a send may wait for metadata or memory; default 60 s.
    pub max_block: Duration,
    /// `max.in.flight.requests.per.connection`; default 5.
    pub max_in_flight: usize,
    /// `retries`; default unlimited within the delivery timeout.
    pub retries: u32,
    /// `delivery.timeout.ms`: after this a batch fails instead of being retried; default 120 s.
    pub delivery_timeout: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        ProducerConfig {
            acks: -1,
            compression: Compression::None,
            compression_level: None,
            linger: Duration::from_millis(5),
            batch_size: 16_384,
            max_request_size: 1_048_576,
            buffer_memory: 33_554_432,
            max_block: Duration::from_secs(60),
            max_in_flight: 5,
            retries: u32::MAX,
            delivery_timeout: Duration::from_secs(120),
        }
    }
}

impl ProducerConfig {
    /// Takes one producer property; returns whether the key belongs to this table.
    ///
    /// # Errors
    /// [`Error::Config`] when the value is malformed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "acks" => self.acks = parse_acks(value)?,
            "compression.type" => {
                self.compression = value.parse().map_err(|_| {
                    Error::Config(format!("Invalid value {value} for configuration compression.type: unknown codec"))
                })?;
            }
            "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level" => {
                self.compression_level = Some(parse_number(key, value)?);
            }
            "linger.ms" => self.linger = parse_millis(key, value)?,
            "batch.size" => self.batch_size = parse_number(key, value)?,
            "max.request.size" => self.max_request_size = parse_number(key, value)?,
            "buffer.memory" => self.buffer_memory = parse_number(key, value)?,
            "max.block.ms" => self.max_block = parse_millis(key, value)?,
            "max.in.flight.requests.per.connection" => self.max_in_flight = parse_number::<usize>(key, value)?.max(1),
            "retries" => self.retries = parse_number(key, value)?,
            "delivery.timeout.ms" => self.delivery_timeout = parse_millis(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `all` or a number from -1 to 1.
///
/// # Errors
/// [`Error::Config`] for anything else.
pub fn parse_acks(value: &str) -> Result<i16> {
    match value.trim() {
        "all" | "-1" => Ok(-1),
        "0" => Ok(0),
        "1" => Ok(1),
        other => Err(Error::Config(format!(
            "Invalid value {other} for configuration acks: String must be one of: all, -1, 0, 1"
        ))),
    }
}
