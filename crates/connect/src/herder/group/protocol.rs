//! What workers tell each other when they join, in the bytes of the original (`sessioned` version 2, `compatible` version 1).
//!
//! ```text
//!   metadata    version i16, url, offset of the configurations i64, own assignment (bytes or null)
//!   assignment  version i16, error i16, leader's member id, leader's url, offset i64,
//!               given [connector, [task]] or null, revoked [connector, [task]] or null, delay in ms i32
//! ```
//! A connector itself is its task -1.

use std::collections::BTreeMap;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::work::Work;
use crate::worker::TaskId;

/// The type of the groups.
pub const PROTOCOL_TYPE: &str = "connect";
/// Calls are signed.
pub const SESSIONED: &str = "sessioned";
/// Calls are not signed.
pub const COMPATIBLE: &str = "compatible";
/// The leader has not read as far as another member.
pub const CONFIG_MISMATCH: i16 = 1;
/// A connector among its tasks.
const CONNECTOR: i32 = -1;

/// Bytes that are none of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a member of the group speaks another protocol")]
pub struct Malformed;

/// What a member gets, or has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    /// 0, or [`CONFIG_MISMATCH`].
    pub error: i16,
    /// Member id of the leader.
    pub leader: String,
    /// Where the leader is.
    pub leader_url: String,
    /// How far the configurations were read by the leader.
    pub offset: i64,
    /// What is new; in the metadata all that a member has.
    pub given: Work,
    /// What must be given up.
    pub revoked: Work,
    /// Milliseconds until the group is to be joined again; 0: no need.
    pub delay_ms: i32,
}

/// What a member tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where it is.
    pub url: String,
    /// How far it has read the configurations.
    pub offset: i64,
    /// What it has.
    pub assignment: Option<Assignment>,
}

/// The version that goes with a protocol.
pub fn version_of(protocol: &str) -> i16 {
    if protocol == SESSIONED { 2 } else { 1 }
}

impl Metadata {
    /// As bytes.
    pub fn encode(&self, version: i16) -> Bytes {
        let mut buffer = BytesMut::new();
        buffer.put_i16(version);
        put_text(&mut buffer, &self.url);
        buffer.put_i64(self.offset);
        match &self.assignment {
            Some(assignment) => {
                let bytes = assignment.encode(version);
                buffer.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                buffer.put_slice(&bytes);
            }
            None => buffer.put_i32(-1),
        }
        buffer.freeze()
    }

    /// From bytes. Members of the oldest version do not tell what they have.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn decode(mut bytes: Bytes) -> Result<Metadata, Malformed> {
        bytes.try_get_i16().map_err(|_| Malformed)?;
        let url = text(&mut bytes)?;
        let offset = bytes.try_get_i64().map_err(|_| Malformed)?;
        let assignment = match bytes.try_get_i32() {
            Ok(length) if length >= 0 => {
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                if bytes.remaining() < length {
                    return Err(Malformed);
                }
                Some(Assignment::decode(bytes.split_to(length))?)
            }
            _ => None,
        };
        Ok(Metadata { url, offset, assignment })
    }
}

impl Assignment {
    /// As bytes.
    pub fn encode(&self, version: i16) -> Bytes {
        let mut buffer = BytesMut::new();
        buffer.put_i16(version);
        buffer.put_i16(self.error);
        put_text(&mut buffer, &self.leader);
        put_text(&mut buffer, &self.leader_url);
        buffer.put_i64(self.offset);
        put_work(&mut buffer, &self.given);
        put_work(&mut buffer, &self.revoked);
        buffer.put_i32(self.delay_ms);
        buffer.freeze()
    }

    /// From bytes; what an older version lacks is empty.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn decode(mut bytes: Bytes) -> Result<Assignment, Malformed> {
        bytes.try_get_i16().map_err(|_| Malformed)?;
        let error = bytes.try_get_i16().map_err(|_| Malformed)?;
        let (leader, leader_url) = (text(&mut bytes)?, text(&mut bytes)?);
        let offset = bytes.try_get_i64().map_err(|_| Malformed)?;
        let given = work(&mut bytes)?;
        let revoked = if bytes.has_remaining() { work(&mut bytes)? } else { Work::default() };
        let delay_ms = bytes.try_get_i32().unwrap_or(0);
        Ok(Assignment { error, leader, leader_url, offset, given, revoked, delay_ms })
    }
}

fn put_text(buffer: &mut BytesMut, text: &str) {
    buffer.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    buffer.put_slice(text.as_bytes());
}

fn text(bytes: &mut Bytes) -> Result<String, Malformed> {
    let length = usize::try_from(bytes.try_get_i16().map_err(|_| Malformed)?).map_err(|_| Malformed)?;
    if bytes.remaining() < length {
        return Err(Malformed);
    }
    String::from_utf8(bytes.split_to(length).to_vec()).map_err(|_| Malformed)
}

fn put_work(buffer: &mut BytesMut, work: &Work) {
    let mut all: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for connector in &work.connectors {
        all.entry(connector).or_default().push(CONNECTOR);
    }
    for id in &work.tasks {
        all.entry(&id.connector).or_default().push(i32::try_from(id.task).unwrap_or(i32::MAX));
    }
    buffer.put_i32(i32::try_from(all.len()).unwrap_or(i32::MAX));
    for (connector, tasks) in all {
        put_text(buffer, connector);
        buffer.put_i32(i32::try_from(tasks.len()).unwrap_or(i32::MAX));
        tasks.into_iter().for_each(|task| buffer.put_i32(task));
    }
}

fn work(bytes: &mut Bytes) -> Result<Work, Malformed> {
    let mut work = Work::default();
    // -1 is null, which means the same as nothing.
    for _ in 0..bytes.try_get_i32().map_err(|_| Malformed)?.max(0) {
        let connector = text(bytes)?;
        for _ in 0..bytes.try_get_i32().map_err(|_| Malformed)?.max(0) {
            let task = bytes.try_get_i32().map_err(|_| Malformed)?;
            match u32::try_from(task) {
                Ok(task) => work.tasks.insert(TaskId::new(connector.as_str(), task)),
                Err(_) => work.connectors.insert(connector.clone()),
            };
        }
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment() -> Assignment {
        let given =
            Work { connectors: ["a".to_owned()].into(), tasks: [TaskId::new("a", 0), TaskId::new("b", 7)].into() };
        Assignment {
            error: 0,
            leader: "m-1".to_owned(),
            leader_url: "http://h:1/".to_owned(),
            offset: 42,
            given,
            revoked: Work::default(),
            delay_ms: 5,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let metadata = Metadata { url: "http://h:2/".to_owned(), offset: 9, assignment: Some(assignment()) };
        assert_eq!(Metadata::decode(metadata.encode(2)), Ok(metadata));
        let fresh = Metadata { url: "u".to_owned(), offset: -1, assignment: None };
        assert_eq!(Metadata::decode(fresh.encode(1)), Ok(fresh));
    }

    #[test]
    fn the_bytes_are_those_of_the_original() {
        let fresh = Metadata { url: "u".to_owned(), offset: 1, assignment: None };
        assert_eq!(&fresh.encode(2)[..], [0, 2, 0, 1, b'u', 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255]);
        let small = Assignment {
            leader: "m".to_owned(),
            leader_url: "u".to_owned(),
            given: Work { connectors: ["c".to_owned()].into(), tasks: [TaskId::new("c", 0)].into() },
            ..Assignment::default()
        };
        let mut expected = vec![0, 1, 0, 0, 0, 1, b'm', 0, 1, b'u', 0, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0, 0, 0, 1, 0, 1, b'c', 0, 0, 0, 2, 255, 255, 255, 255, 0, 0, 0, 0]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&small.encode(1)[..], expected);
    }

    #[test]
    fn broken_bytes_are_refused_and_never_believed() {
        let whole = Metadata { url: "http://h:2/".to_owned(), offset: 9, assignment: Some(assignment()) }.encode(2);
        for length in 0..whole.len() {
            // Must not panic; most cuts are refused.
            let _ = Metadata::decode(whole.slice(..length));
        }
        assert_eq!(Metadata::decode(Bytes::from_static(&[0, 2, 127, 255])), Err(Malformed));
        let huge = [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 127, 255, 255, 255];
        assert_eq!(Assignment::decode(Bytes::copy_from_slice(&huge)), Err(Malformed));
    }
}
