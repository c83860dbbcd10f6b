//! A message with its header and length prefix, as it travels over a connection.

use bytes::Bytes;

use crate::{ApiKey, Chunks, DecodeError, EncodeError, Message, Reader, RequestHeader, ResponseHeader, Writer};

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

fn frame(write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Result<Chunks, EncodeError> {
    let mut w = Writer::with_capacity(256);
    w.i32(0);
    write(&mut w)?;
    let length = w.len() - 4;
    let limit = i32::MAX as usize;
    let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { length, limit })?;
    w.patch_first_i32(prefix);
    Ok(w.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, FetchResponse, MetadataRequest, fetch_response};
    use crate::{Chunk, ErrorCode, FileRange, Records, Request as _};
    use std::io::Write as _;
    use std::sync::Arc;

    fn bytes(chunks: Chunks) -> Bytes {
        assert_eq!(chunks.len, chunks.chunks.iter().map(Chunk::len).sum::<usize>());
        chunks.to_bytes().expect("readable")
    }

    #[test]
    fn a_request_frame_starts_with_its_length_and_reads_back() {
        for version in MetadataRequest::MIN_VERSION..=MetadataRequest::MAX_VERSION {
            let header = RequestHeader {
                api_key: MetadataRequest::KEY.code(),
                api_version: version,
                correlation_id: 7,
                client_id: Some("rdkafka".to_owned()),
            };
            let frame = bytes(encode_request(&header, &MetadataRequest::default()).expect("encodes"));
            let mut r = Reader::new(frame);
            assert_eq!(r.i32(), Ok(r.remaining() as i32));
            assert_eq!(RequestHeader::decode(&mut r), Ok(header));
            assert!(MetadataRequest::decode(&mut r, version).is_ok());
            assert_eq!(r.finish(), Ok(()));
        }
    }

    #[test]
    fn an_api_versions_response_has_the_old_header_in_every_version() {
        let body = ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..Default::default() };
        for version in 0..=ApiVersionsResponse::MAX_VERSION {
            let frame = bytes(encode_response(9, ApiKey::ApiVersions, version, &body).expect("encodes"));
            // Length, correlation id, then at once the body with its error code.
            assert_eq!(&frame[4..10], &[0, 0, 0, 9, 0, 35], "v{version}");
        }
    }

    #[test]
    fn other_flexible_responses_have_tagged_fields_in_the_header() {
        let frame = bytes(encode_response(9, ApiKey::Fetch, 12, &FetchResponse::default()).expect("encodes"));
        assert_eq!(&frame[4..9], &[0, 0, 0, 9, 0]);
        let mut r = Reader::new(frame.slice(4..));
        let header = ResponseHeader::decode(&mut r, ApiKey::Fetch, 12);
        assert_eq!(header, Ok(ResponseHeader { correlation_id: 9 }));
    }

    #[test]
    fn records_in_a_file_stay_in_the_file() {
        let mut file = tempfile::tempfile().expect("temporary file");
        file.write_all(b"0123456789").expect("written");
        let range = FileRange { file: Arc::new(file), position: 3, len: 5 };
        let both = Records::Chain(vec![range.clone().into(), Bytes::from_static(b"abc").into()]);
        let partition = fetch_response::Partition { records: Some(both), ..Default::default() };
        let response = fetch_response::Response { partitions: vec![partition], ..Default::default() };
        let body = FetchResponse { responses: vec![response], ..Default::default() };

        let chunks = encode_response(1, ApiKey::Fetch, 11, &body).expect("encodes");
        assert!(chunks.chunks.contains(&Chunk::File(range)), "{chunks:?}");
        let frame = bytes(chunks);
        let body: FetchResponse = decode_exact(frame.slice(8..), 11).expect("decodes");
        let records = &body.responses[0].partitions[0].records;
        assert_eq!(records, &Some(Records::Memory(Bytes::from_static(b"34567abc"))));
    }

    #[test]
    fn bytes_after_the_message_are_refused() {
        let frame = Bytes::from_static(&[0, 0]);
        let decoded = decode_exact::<ApiVersionsRequest>(frame, 0);
        assert_eq!(decoded.err(), Some(DecodeError::TrailingBytes(2)));
    }
}
