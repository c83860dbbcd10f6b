//! Why bytes could not be read as a message, or a message could not be written.

/// The bytes are not the message they should be. A broker closes the connection on any of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value needs more bytes than are left.
    #[error("{needed} bytes needed, {remaining} left")]
    Truncated {
        /// Bytes the value needs.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A length or count is negative (other than -1 for null).
    #[error("negative length {0}")]
    NegativeLength(i64),
    /// An array claims more elements than the remaining bytes can hold.
    #[error("array of {count} elements in {remaining} bytes")]
    ArrayTooLong {
        /// Elements claimed.
        count: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// Null where the field cannot be null.
    #[error("null in a field that is not nullable")]
    UnexpectedNull,
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    InvalidUtf8,
    /// A variable-length integer does not end within its maximal width.
    #[error("variable-length integer is too long")]
    VarintTooLong,
    /// The marker before a nullable struct is neither -1 nor 1.
    #[error("invalid struct marker {0}")]
    InvalidStructMarker(i8),
    /// A tagged field did not fill the size written before it.
    #[error("tagged field {tag} left {remaining} of its bytes unread")]
    TaggedFieldSize {
        /// The field's tag.
        tag: u32,
        /// Unread bytes.
        remaining: usize,
    },
    /// Bytes are left after the end of the message.
    #[error("{0} bytes after the end of the message")]
    TrailingBytes(usize),
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}

/// What reading gives.
pub(crate) type DecodeResult<T> = Result<T, DecodeError>;

/// What writing gives.
pub(crate) type EncodeResult = Result<(), EncodeError>;

/// The message cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string, byte string, array or whole message is longer than its length field can say.
    #[error("length {length} exceeds {limit}")]
    TooLong {
        /// The length.
        length: usize,
        /// The largest length that can be written.
        limit: usize,
    },
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}
