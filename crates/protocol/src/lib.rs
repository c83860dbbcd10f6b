//! Kafka's wire messages, record batches, compression and error codes.
//!
//! ```text
//!   frame ──Reader──► header::RequestHeader ──► messages::ProduceRequest { records: Records::Memory }
//!                                                                             │ record::BatchView (borrowed)
//!   Chunks ◄──Writer── messages::FetchResponse { records: Records::File } ◄───┘
//! ```
//!
//! - [`codec`] reads and writes the primitive types; every length from the wire is checked before it is used.
//! - [`messages`] holds one module per message, generated from `schema/*.txt` by `cargo xtask codegen`.
//! - [`header`] and [`frame`] put headers and the length prefix around a message.
//! - [`record`] and [`compression`] deal with the bytes inside a `records` field.
//!
//! Always true: decoding never panics and never allocates more than a small multiple of the bytes it was
//! given; encoding is total except for values that do not fit their length field.
//!
//! Deliberately absent: no I/O besides reading a [`FileRange`], no async, no knowledge of brokers.

pub mod api_versions;
pub mod codec;
pub mod compression;
pub mod error;
pub mod frame;
mod generated;
pub mod header;
mod message;
pub mod record;
pub mod records_ref;
mod uuid;

pub use api_versions::{ApiVersions, Usability};
pub use codec::{Reader, Writer};
pub use error::{DecodeError, EncodeError};
pub use frame::{decode_exact, encode_request, encode_response};
pub use generated::api_key::{ApiKey, UnknownApiKey};
#[cfg(feature = "json")]
pub use generated::catalog;
pub use generated::error_code::ErrorCode;
pub use generated::messages;
pub use header::{RequestHeader, ResponseHeader};
pub use message::{Message, Request};
pub use records_ref::{Chunk, Chunks, FileRange, Records};
pub use uuid::{ParseUuidError, Uuid};

#[cfg(feature = "json")]
pub mod inspect;
