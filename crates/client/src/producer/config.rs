//! Settings of a producer, under Kafka's property names.

use std::time::Duration;

use milena_protocol::compression::Compression;

use crate::config::{parse_bool, parse_millis, parse_number};
use crate::error::{Error, Result};

/// Requests that an idempotent producer may have under way: the brokers remember as many batches (KIP-98).
const IN_FLIGHT_IDEMPOTENT_MAX: usize = 5;

/// How records are batched and sent.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// `acks`: 0 none, 1 the leader, -1 all in-sync replicas; default -1.
    pub acks: i16,
    /// `enable.idempotence`; `None`: as the other settings allow, see [`ProducerConfig::is_idempotent`].
    pub enable_idempotence: Option<bool>,
    /// `transactional.id`: records are sent in transactions under this name.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`: after this the coordinator aborts an open transaction; default 60 s.
    pub transaction_timeout: Duration,
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
    /// Whether a topic that is not there may be made by its first record, where the cluster does that; default on.
    pub creates_topics: bool,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        ProducerConfig {
            acks: -1,
            enable_idempotence: None,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
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
            creates_topics: true,
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
            "enable.idempotence" => self.enable_idempotence = Some(parse_bool(key, value)?),
            "transactional.id" => self.transactional_id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "transaction.timeout.ms" => self.transaction_timeout = parse_millis(key, value)?,
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

    /// Whether batches carry sequences, so that a retry never writes a batch twice. On unless it was
    /// switched off or `acks` or `retries` make it impossible.
    pub fn is_idempotent(&self) -> bool {
        self.enable_idempotence.unwrap_or(self.acks == -1 && self.retries > 0)
    }

    /// Checks settings that exclude each other.
    ///
    /// # Errors
    /// [`Error::Config`] in the words of Kafka's client.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::Config(message.to_owned()));
        if self.transactional_id.is_some() && !self.is_idempotent() {
            return refuse("Cannot set a transactional.id without also enabling idempotence.");
        }
        if !self.is_idempotent() {
            return Ok(());
        }
        if self.retries == 0 {
            return refuse("Must set retries to non-zero when using the idempotent producer.");
        }
        if self.acks != -1 {
            return refuse(
                "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
            );
        }
        if self.max_in_flight > IN_FLIGHT_IDEMPOTENT_MAX {
            return refuse(&format!(
                "To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most {IN_FLIGHT_IDEMPOTENT_MAX}. Current value is {}.",
                self.max_in_flight
            ));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(properties: &[(&str, &str)]) -> ProducerConfig {
        let mut config = ProducerConfig::default();
        for (key, value) in properties {
            assert!(config.set(key, value).unwrap(), "{key}");
        }
        config
    }

    #[test]
    fn a_producer_is_idempotent_unless_its_settings_forbid_it() {
        assert!(config(&[]).is_idempotent());
        for off in [("acks", "1"), ("acks", "0"), ("retries", "0"), ("enable.idempotence", "false")] {
            let config = config(&[off]);
            assert!(!config.is_idempotent(), "{off:?}");
            config.check().unwrap();
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let contradictions: [&[(&str, &str)]; 5] = [
            &[("enable.idempotence", "true"), ("acks", "1")],
            &[("enable.idempotence", "true"), ("retries", "0")],
            &[("transactional.id", "t"), ("enable.idempotence", "false")],
            &[("transactional.id", "t"), ("acks", "1")],
            &[("max.in.flight.requests.per.connection", "6")],
        ];
        for properties in contradictions {
            assert!(config(properties).check().is_err(), "{properties:?}");
        }
        config(&[("transactional.id", "t"), ("enable.idempotence", "true")]).check().unwrap();
    }
}
