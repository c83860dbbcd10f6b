//! Fetched records as the engine takes them.

use std::ops::Range;

use bytes::Bytes;
use milena_client::Error;
use milena_client::consumer::Fetched;
use milena_protocol::record::RecordRef;
use milena_sql::operators::Headers;
use milena_sql::runtime::RawRecord;

/// Keys and values of records that follow each other are one piece of memory of about so many bytes: many small pieces take
/// longer to get and to give back, and one for all would stay until its last record is worked off.
const PIECE: usize = 64 * 1024;

/// The records before the offset `end`, as the engine takes them.
///
/// # Errors
/// Malformed records.
pub fn raw_records(fetched: &Fetched, end: i64) -> Result<Vec<RawRecord>, Error> {
    let mut pieces = Pieces { partition: fetched.tp.partition, ..Pieces::default() };
    fetched.for_each(|read| {
        if read.record.offset >= end {
            return Ok::<_, Error>(false);
        }
        pieces.add(&read.record);
        Ok(true)
    })?;
    pieces.close();
    Ok(pieces.records)
}

/// Where a key or a value is in the memory of its piece.
type Place = Option<Range<usize>>;

/// Records whose piece is closed, and those of the one that is being filled.
#[derive(Default)]
struct Pieces {
    partition: i32,
    records: Vec<RawRecord>,
    memory: Vec<u8>,
    /// The places of key and value of each record, and the record without them.
    open: Vec<(Place, Place, RawRecord)>,
}

impl Pieces {
    fn add(&mut self, record: &RecordRef<'_>) {
        let size = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        if self.memory.len() + size(record.key) + size(record.value) > PIECE {
            self.close();
            self.memory.reserve(PIECE.max(size(record.key) + size(record.value)));
        }
        let headers = record.headers().map(|(name, value)| (text(name), value.map(<[u8]>::to_vec)));
        let headers: Vec<_> = headers.collect();
        let bare = RawRecord {
            key: None,
            value: None,
            timestamp: record.timestamp,
            // An empty list of headers is always the same one.
            headers: if headers.is_empty() { Headers::default() } else { headers.into() },
            partition: self.partition,
            offset: record.offset,
        };
        let places = (self.put(record.key), self.put(record.value));
        self.open.push((places.0, places.1, bare));
    }

    fn put(&mut self, bytes: Option<&[u8]>) -> Place {
        let start = self.memory.len();
        self.memory.extend_from_slice(bytes?);
        Some(start..self.memory.len())
    }

    fn close(&mut self) {
        let memory = Bytes::from(std::mem::take(&mut self.memory));
        let slice = |place: Place| place.map(|place| memory.slice(place));
        let whole = |(key, value, bare)| RawRecord { key: slice(key), value: slice(value), ..bare };
        self.records.extend(self.open.drain(..).map(whole));
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
