//! The log: segments, indexes, producer state, recovery, retention, compaction. Synchronous, no network.
//!
//! ```text
//!   LogManager ── one per process: log directories, checkpoints, background threads
//!      └─ Log ── one per partition: append, read, lookups
//!           ├─ Segment* ── data file + OffsetIndex + TimeIndex + TransactionIndex
//!           ├─ ProducerState ── sequences and open transactions of idempotent producers
//!           └─ LeaderEpochs ── where each leader epoch starts
//!   Flusher ── group commit for all logs        FileCache ── bounded descriptors for all logs
//! ```
//!
//! The life of an append: [`Log::append`] validates without a lock (`validate`), decides and writes under one (`append`), and
//! [`Log::on_durable`] tells when it is fsynced (`flusher`). The life of a read: [`Log::read`] (`read`) → a range of a segment file.
//!
//! Every file is byte for byte what Apache Kafka writes: names in [`paths`], formats in the module of each file.
//!
//! Deliberately absent: no network, no async, no leaders and followers, no tiered storage.

mod append;
mod batch_header;
mod batch_scanner;
mod cached_read;
pub mod checkpoint;
mod cleaner;
mod compaction;
mod config;
mod context;
pub mod dump;
mod entry_file;
mod error;
mod file_cache;
mod flusher;
pub mod leader_epoch_checkpoint;
mod log;
mod log_dir;
mod manager;
mod moves;
pub mod offset_index;
mod offset_map;
pub mod paths;
pub mod producer_snapshot;
pub mod producer_state;
mod read;
mod record_walk;
mod recovery;
mod relocation;
mod retention;
mod segment;
#[cfg(test)]
mod testing;
pub mod time_index;
pub mod transaction_index;
mod validate;

pub use append::{AppendInfo, AppendOptions, AppendOrigin};
pub use compaction::CompactionStats;
pub use config::{CleanupPolicy, CompressionType, LogConfig};
pub use error::{AppendError, DeleteRecordsError, OpenError, ReadError, RecordError, StorageError, StorageErrorKind};
pub use flusher::{DurableCallback, FlushTimes};
pub use leader_epoch_checkpoint::EpochEntry;
pub use log::{Log, ProducerSummary};
pub use log_dir::{LogDir, MetaProperties, read_topic_id};
pub use manager::{CleanerOptions, LogDirDescription, LogManager, LogManagerOptions};
pub use moves::MoveError;
pub use read::{AbortedTxn, FetchData, FoundTimestamp, ReadLimit};
