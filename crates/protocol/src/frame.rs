//! A message with its header and length prefix, as it travels over a connection.

use bytes::Bytes;

use crate::{
    ApiKey, Chunks, DecodeError, EncodeError, Message, Reader, RequestHeader, ResponseHeader,
    Writer,
};

/// Reads a message that must fill `bytes` completely.
///
/// # Errors
/// Any [`DecodeError`], [`DecodeError::TrailingBytes`] among them.
pub fn decode_exact<M: Message>(bytes: Bytes, version: i16) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes);
    let message = M::decode(&mut r, version)?;
    r.finish()?;
    Ok(message)
}

/// A response frame: length, header, body. Large records stay chunks of their own.
///
/// # Errors
/// See [`EncodeError`].
pub fn encode_response(
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    body: &impl Message,
) -> Result<Chunks, EncodeError> {
    frame(|w| {
        ResponseHeader { correlation_id }.encode(w, key, version);
        body.encode(w, version)
    })
}

/// A request frame: length, header, body.
///
/// # Errors
/// See [`EncodeError`].
pub fn encode_request(header: &RequestHeader, body: &impl Message) -> Result<Chunks, EncodeError> {
    frame(|w| {
        header.encode(w)?;
        body.encode(w, header.api_version)
    })
}

fn frame(
    write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Chunks, EncodeError> {
    let mut w = Writer::with_capacity(256);
    w.i32(0);
    write(&mut w)?;
    let length = w.len() - 4;
    let limit = i32::MAX as usize;
    let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { length, limit })?;
    w.patch_first_i32(prefix);
    Ok(w.finish())
}
