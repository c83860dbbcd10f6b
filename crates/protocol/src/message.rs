//! What every generated message can do.

use std::fmt::Debug;

use crate::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// A message of the protocol. One struct serves all its versions.
///
/// Fields a version lacks take their default when decoded and are left out when encoded. `None` in a field
/// that a version does not let be null is written as the empty value.
pub trait Message: Sized + Default + Clone + Debug {
    /// Name in the protocol definition.
    const NAME: &'static str;
    /// Lowest version this crate reads and writes.
    const MIN_VERSION: i16;
    /// Highest version this crate reads and writes.
    const MAX_VERSION: i16;

    /// Whether `version` uses compact lengths and tagged fields (KIP-482).
    fn is_flexible(version: i16) -> bool;

    /// Reads the message; bytes after it are left in `r` (see [`crate::decode_exact`]).
    ///
    /// # Errors
    /// Any [`DecodeError`]; [`DecodeError::UnsupportedVersion`] for a version outside the range.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`], or [`EncodeError::UnsupportedVersion`] for a version outside the range.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Raises `throttle_time_ms` to `at_least` milliseconds; messages without that field ignore it (KIP-13).
    fn raise_throttle_time_ms(&mut self, _at_least: i32) {}
}

/// A request: knows its API key and the type of its response.
pub trait Request: Message {
    /// The API key in the request header.
    const KEY: ApiKey;
    /// What the broker answers, in the same version.
    type Response: Message;

    /// Whether the request header is v2 (with tagged fields) in this version.
    fn header_is_flexible(version: i16) -> bool {
        Self::is_flexible(version)
    }
}
