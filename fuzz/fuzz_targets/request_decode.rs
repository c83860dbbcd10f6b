//! A frame from a client: header and body are read without a panic, and a body that reads completely is
//! written and read again to the same bytes.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use milena_protocol::inspect::MessageType;
use milena_protocol::{ApiKey, Reader, RequestHeader, Writer, catalog};

fuzz_target!(|frame: &[u8]| {
    let mut r = Reader::new(Bytes::copy_from_slice(frame));
    let Ok(header) = RequestHeader::decode(&mut r) else {
        return;
    };
    let Ok(key) = ApiKey::try_from(header.api_key) else {
        return;
    };
    let types = [catalog::REQUESTS, catalog::RESPONSES];
    for message in types.iter().copied().flatten().filter(|message| message.key == Some(key)) {
        if let Some(once) = recode(message, header.api_version, r.rest()) {
            let twice = recode(message, header.api_version, once.clone());
            assert_eq!(twice, Some(once), "{} v{}", message.name, header.api_version);
        }
    }
});

/// What the message is after reading and writing; `None` when it does not read completely.
fn recode(message: &MessageType, version: i16, body: Bytes) -> Option<Bytes> {
    let mut r = Reader::new(body);
    let mut w = Writer::new();
    (message.recode)(&mut r, version, &mut w).ok()?;
    r.finish().ok()?;
    w.finish().to_bytes().ok()
}
