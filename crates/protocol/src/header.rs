//! Request and response headers.
//!
//! Request header v1 for non-flexible versions of an API, v2 (with tagged fields) for flexible ones; the
//! client id keeps its `i16` length in both. Response header v0 and v1 likewise, except that ApiVersions
//! responses always have v0, so that a client can read the answer to a version the broker does not know.

use crate::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// What comes before every request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHeader {
    /// The API, see [`ApiKey`]; not checked when decoding.
    pub api_key: i16,
    /// Version of the request and of its response; not checked when decoding.
    pub api_version: i16,
    /// Echoed in the response.
    pub correlation_id: i32,
    /// The client's own name for itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Reads the header; which form it has follows from key and version. For a key this crate does not
    /// know only the fields common to both forms are read.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(r: &mut Reader) -> Result<RequestHeader, DecodeError> {
        let header = RequestHeader {
            api_key: r.i16()?,
            api_version: r.i16()?,
            correlation_id: r.i32()?,
            client_id: r.nullable_string(false)?,
        };
        if header.is_flexible() {
            r.skip_tagged_fields()?;
        }
        Ok(header)
    }

    /// Writes the header.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a client id above 32767 bytes.
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.nullable_string(self.client_id.as_deref(), false)?;
        if self.is_flexible() {
            w.uvarint(0);
        }
        Ok(())
    }

    /// Whether this header is v2.
    pub fn is_flexible(&self) -> bool {
        ApiKey::try_from(self.api_key).is_ok_and(|key| key.is_flexible(self.api_version))
    }
}

/// What comes before every response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a response to a request of `key` and `version`.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(r: &mut Reader, key: ApiKey, version: i16) -> Result<ResponseHeader, DecodeError> {
        let correlation_id = r.i32()?;
        if ResponseHeader::is_flexible(key, version) {
            r.skip_tagged_fields()?;
        }
        Ok(ResponseHeader { correlation_id })
    }

    /// Writes the header.
    pub fn encode(&self, w: &mut Writer, key: ApiKey, version: i16) {
        w.i32(self.correlation_id);
        if ResponseHeader::is_flexible(key, version) {
            w.uvarint(0);
        }
    }

    /// Whether the header is v1.
    pub fn is_flexible(key: ApiKey, version: i16) -> bool {
        key != ApiKey::ApiVersions && key.is_flexible(version)
    }
}
