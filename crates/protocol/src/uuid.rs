//! The protocol's UUID: 16 raw bytes on the wire, 22 characters of URL-safe base64 in text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A topic id, directory id, member id or the like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

/// The text is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a base64 UUID of 22 characters: {0:?}")]
pub struct ParseUuidError(String);

impl Uuid {
    /// All zero: "no id".
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// The reserved id 1, in Kafka the id of the metadata topic.
    pub const ONE: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// A new random (version 4) id that is never reserved and whose text never starts with '-',
    /// so that it can be an argument of a command.
    pub fn random() -> Uuid {
        loop {
            let id = Uuid(*uuid::Uuid::new_v4().as_bytes());
            if !id.is_reserved() && !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }

    /// Whether this id is one of those no topic may have.
    pub fn is_reserved(&self) -> bool {
        *self == Uuid::ZERO || *self == Uuid::ONE
    }

    /// The 16 bytes as they stand on the wire.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Uuid, ParseUuidError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .map(Uuid)
            .ok_or_else(|| ParseUuidError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_22_characters_and_reads_back() {
        for _ in 0..1000 {
            let id = Uuid::random();
            let text = id.to_string();
            assert_eq!(text.len(), 22);
            assert!(!text.starts_with('-'));
            assert_eq!(text.parse::<Uuid>(), Ok(id));
        }
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }
}
