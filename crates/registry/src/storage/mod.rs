//! Where a registry keeps things: records in a log, and the [`Store`] that they add up to.
//!
//! ```text
//!   append(records) ──► topic _schemas ──► reader ──► Store
//!         └──────────── returns when the store shows them ◄──┘
//! ```

mod kafka;
mod record;
mod store;
mod topic;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
#[cfg(test)]
use parking_lot::RwLock;
use parking_lot::RwLockReadGuard;

pub use kafka::{KafkaLog, KafkaLogOptions};
pub use record::{AssociationKey, AssociationValue, Key, Record, SchemaValue, TENANT, Value};
pub use store::{Content, Store, Version, Which};
pub use topic::{TopicOptions, TopicRefused};

/// Why records were not written, or not read back.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The topic is not one that schemas can be kept in.
    #[error(transparent)]
    Refused(#[from] TopicRefused),
    /// A record is larger than the topic takes.
    #[error("the record is larger than the topic takes")]
    TooLarge,
    /// The cluster did not answer in time. What was asked may still happen.
    #[error("{0}")]
    TimedOut(String),
    /// The cluster refused or cannot be reached.
    #[error(transparent)]
    Kafka(#[from] milena_client::Error),
    /// A record cannot be written as JSON.
    #[error("cannot encode: {0}")]
    Encode(#[from] serde_json::Error),
    /// The registry is being stopped.
    #[error("the registry is stopping")]
    Stopped,
}

/// The log of records.
pub enum Log {
    /// In memory.
    #[cfg(test)]
    Memory(RwLock<Store>),
    /// A topic.
    Kafka(KafkaLog),
}

impl Log {
    /// A log that is lost with the process.
    #[cfg(test)]
    pub fn in_memory() -> Log {
        Log::Memory(RwLock::default())
    }

    /// What the records add up to. The guard must not be held across a call that takes it again, nor across an await.
    pub fn store(&self) -> RwLockReadGuard<'_, Store> {
        match self {
            #[cfg(test)]
            Log::Memory(store) => store.read(),
            Log::Kafka(log) => log.store(),
        }
    }

    /// Writes `records` in order and returns when the store shows them.
    ///
    /// # Errors
    /// See [`StorageError`]; after [`StorageError::TimedOut`] the records may appear later.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), StorageError> {
        match self {
            #[cfg(test)]
            Log::Memory(store) => {
                let mut store = store.write();
                for record in records {
                    if let Err(error) = store.apply(record, 0) {
                        tracing::warn!("{error}");
                    }
                }
                Ok(())
            }
            Log::Kafka(log) => log.append(&records).await,
        }
    }

    /// Makes sure that the store shows everything that was ever written, also what an append that timed out left behind.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn settle(&self) -> Result<(), StorageError> {
        match self {
            #[cfg(test)]
            Log::Memory(_) => Ok(()),
            Log::Kafka(log) => log.settle().await,
        }
    }

    /// Makes the store as new as the log: what a new leader does first.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn catch_up(&self) -> Result<(), StorageError> {
        match self {
            #[cfg(test)]
            Log::Memory(_) => Ok(()),
            Log::Kafka(log) => log.barrier().await,
        }
    }

    /// Waits until the store shows what is in the log now, whoever wrote it.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn read_to_end(&self) -> Result<(), StorageError> {
        match self {
            #[cfg(test)]
            Log::Memory(_) => Ok(()),
            Log::Kafka(log) => log.read_to_end().await,
        }
    }

    /// The id of the Kafka cluster.
    pub fn cluster_id(&self) -> Option<String> {
        match self {
            #[cfg(test)]
            Log::Memory(_) => None,
            Log::Kafka(log) => log.cluster_id(),
        }
    }
}

/// As records spell an MD5.
pub fn base64_md5(md5: &[u8; 16]) -> String {
    BASE64.encode(md5)
}
