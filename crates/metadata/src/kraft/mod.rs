//! Reading the metadata that Apache Kafka keeps in `__cluster_metadata`, so that its data directory opens as it is.
//!
//! ```text
//! __cluster_metadata-0/<offset>-<epoch>.checkpoint   the newest snapshot ─┐
//! __cluster_metadata-0/<offset>.log                  records behind it   ─┴─► KraftMetadata ──► Controller::import
//! bootstrap.checkpoint                               what `kafka-storage format` wrote, when there is no log yet
//! ```
//!
//! Read once, at the first start over such a directory; nothing is ever written to the log. The one file that is written
//! is `bootstrap.checkpoint`, by `kafka-storage format --add-scram`.
//!
//! Not imported: registrations of brokers and controllers, reassignments, eligible leader replicas. Everything the log
//! holds counts as committed, as it does for a quorum of one.

mod bootstrap;
mod log;
mod state;

use std::path::PathBuf;

use bytes::Bytes;
use milena_protocol::messages::{
    AccessControlEntryRecord, ClientQuotaRecord, ConfigRecord, DelegationTokenRecord, FeatureLevelRecord,
    ProducerIdsRecord, RemoveAccessControlEntryRecord, RemoveDelegationTokenRecord, RemoveTopicRecord,
    RemoveUserScramCredentialRecord, TopicRecord, UserScramCredentialRecord,
};
use milena_protocol::{DecodeError, EncodeError, Message, Reader, Writer};

pub use bootstrap::write_bootstrap;
pub use log::read;
pub use state::KraftMetadata;

/// The file in a log directory with the records that a cluster begins with.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";
/// The directory of the metadata log.
pub const LOG_DIRECTORY: &str = "__cluster_metadata-0";
/// The version of the frame around a record.
const FRAME_VERSION: u32 = 1;

/// Why Kafka's metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KraftError {
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A record contradicts its schema.
    #[error("{}: record at offset {offset}: {reason}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// A record cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The records that matter here; the rest is skipped.
#[derive(Debug, Clone, PartialEq)]
pub enum KraftRecord {
    /// A topic.
    Topic(TopicRecord),
    /// A topic is gone, with its configuration.
    RemoveTopic(RemoveTopicRecord),
    /// A key of a configuration; no value removes it.
    Config(ConfigRecord),
    /// A SCRAM credential.
    UserScramCredential(UserScramCredentialRecord),
    /// A SCRAM credential is gone.
    RemoveUserScramCredential(RemoveUserScramCredentialRecord),
    /// The level of a feature; 0 turns it off.
    FeatureLevel(FeatureLevelRecord),
    /// A client quota is set or taken away.
    ClientQuota(ClientQuotaRecord),
    /// Producer ids below this one are spoken for.
    ProducerIds(ProducerIdsRecord),
    /// An ACL binding.
    AccessControlEntry(AccessControlEntryRecord),
    /// An ACL binding is gone.
    RemoveAccessControlEntry(RemoveAccessControlEntryRecord),
    /// A delegation token.
    DelegationToken(DelegationTokenRecord),
    /// A delegation token is gone.
    RemoveDelegationToken(RemoveDelegationTokenRecord),
    /// What follows counts when it is ended (KIP-868).
    BeginTransaction,
    /// What was begun counts.
    EndTransaction,
    /// What was begun is void.
    AbortTransaction,
    /// Something else.
    Other,
}

impl KraftRecord {
    /// Reads the value of a record.
    ///
    /// # Errors
    /// The value contradicts its schema.
    pub fn decode(value: Bytes) -> Result<KraftRecord, DecodeError> {
        let mut reader = Reader::new(value);
        let frame = reader.uvarint()?;
        if frame != FRAME_VERSION {
            return Ok(KraftRecord::Other);
        }
        let number = reader.uvarint()?;
        let version = reader.uvarint()? as i16;
        fn message<T: Message>(reader: &mut Reader, version: i16) -> Result<T, DecodeError> {
            T::decode(reader, version)
        }
        let reader = &mut reader;
        Ok(match number {
            2 => KraftRecord::Topic(message(reader, version)?),
            4 => KraftRecord::Config(message(reader, version)?),
            9 => KraftRecord::RemoveTopic(message(reader, version)?),
            10 => KraftRecord::DelegationToken(message(reader, version)?),
            11 => KraftRecord::UserScramCredential(message(reader, version)?),
            12 => KraftRecord::FeatureLevel(message(reader, version)?),
            14 => KraftRecord::ClientQuota(message(reader, version)?),
            15 => KraftRecord::ProducerIds(message(reader, version)?),
            18 => KraftRecord::AccessControlEntry(message(reader, version)?),
            19 => KraftRecord::RemoveAccessControlEntry(message(reader, version)?),
            22 => KraftRecord::RemoveUserScramCredential(message(reader, version)?),
            23 => KraftRecord::BeginTransaction,
            24 => KraftRecord::EndTransaction,
            25 => KraftRecord::AbortTransaction,
            26 => KraftRecord::RemoveDelegationToken(message(reader, version)?),
            _ => KraftRecord::Other,
        })
    }
}

/// The value of a record: frame, number, version 0 and the message.
fn encode(number: u32, message: &impl Message) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    writer.uvarint(FRAME_VERSION);
    writer.uvarint(number);
    writer.uvarint(0);
    message.encode(&mut writer, 0)?;
    Ok(writer.finish().to_bytes().expect("a record without file ranges is in memory").to_vec())
}

#[cfg(test)]
mod tests;
