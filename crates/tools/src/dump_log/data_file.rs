//! Data files: one line for each batch and, when asked for, one for each record.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use milena_log::dump::{self, DumpedBatch};
use milena_protocol::inspect::ToJson;
use milena_protocol::messages::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use milena_protocol::record::control::{ControlType, EndTxnMarker};
use milena_protocol::record::{BatchView, RecordError, RecordRef};
use milena_protocol::{DecodeError, Message, Reader};

use super::coordinator_records::Printable;
use super::{Dump, Options, optional_long};

/// The snapshot that a KRaft controller starts with.
pub(super) const BOOTSTRAP_SNAPSHOT: &str = "bootstrap.checkpoint";
/// Records of a batch may decompress to at most this many bytes.
pub(super) const DECOMPRESSED_MAX: usize = 1 << 30;

impl Dump<'_> {
    pub(super) fn data_file(&mut self, path: &Path, base_offset: i64) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.terminal.line(&heading(&name, base_offset));
        let mut batches = dump::batches(path, self.options.bytes_max.unwrap_or(u64::MAX))?;
        let mut previous_offset = None;
        for batch in batches.by_ref() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.damage(&format!("{name}: {error}"));
                    break;
                }
                Err(error) => return Err(error),
            };
            self.batch(path, &batch, &mut previous_offset)?;
        }
        let trailing = std::fs::metadata(path)?.len().saturating_sub(batches.position());
        if trailing > 0 && self.options.bytes_max.is_none() {
            self.terminal.line(&format!("Found {trailing} invalid bytes at the end of {name}"));
        }
        Ok(())
    }

    fn batch(&mut self, path: &Path, batch: &DumpedBatch, previous_offset: &mut Option<i64>) -> io::Result<()> {
        let view = match BatchView::parse(&batch.bytes) {
            Ok(view) => view,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        };
        self.terminal.line(&batch_line(&view, batch));
        if !self.options.deep {
            return Ok(());
        }
        let Dump { options, terminal, findings, .. } = self;
        let mut line = String::new();
        let walked = view.for_each_record::<RecordError>(DECOMPRESSED_MAX, |record| {
            if let Some(previous) =
                previous_offset.replace(record.offset).filter(|previous| previous + 1 != record.offset)
            {
                findings.gap(path, previous, record.offset);
            }
            line.clear();
            record_line(&mut line, options, &view, record);
            terminal.line(&line);
            Ok(())
        });
        if let Err(error) = walked {
            self.damage(&format!("The records of the batch at position {} cannot be read: {error}", batch.position));
        }
        Ok(())
    }

    fn damage(&mut self, message: &str) {
        self.damaged = true;
        self.terminal.error_line(message);
    }
}

fn heading(name: &str, base_offset: i64) -> String {
    if name == BOOTSTRAP_SNAPSHOT {
        return "KRaft bootstrap snapshot".to_owned();
    }
    match name.strip_suffix(".checkpoint").and_then(|digits| digits.split_once('-')) {
        Some((_, epoch)) => {
            format!("Snapshot end offset: {base_offset}, epoch: {}", epoch.parse::<i32>().unwrap_or_default())
        }
        None => format!("Log starting offset: {base_offset}"),
    }
}

fn batch_line(view: &BatchView<'_>, batch: &DumpedBatch) -> String {
    let codec = match view.compression() {
        Ok(codec) => codec.name().to_owned(),
        Err(error) => format!("({error})"),
    };
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {} position: {} {}: {} size: {} \
         magic: {} compresscodec: {codec} crc: {} isvalid: {}",
        view.base_offset(),
        view.last_offset(),
        view.count(),
        view.base_sequence(),
        view.last_sequence(),
        view.producer_id(),
        view.producer_epoch(),
        view.partition_leader_epoch(),
        view.is_transactional(),
        view.is_control(),
        optional_long(view.delete_horizon_ms()),
        batch.position,
        view.timestamp_type().name(),
        view.max_timestamp(),
        view.size_in_bytes(),
        view.magic(),
        view.crc(),
        batch.is_valid
    )
}

fn record_line(line: &mut String, options: &Options, view: &BatchView<'_>, record: &RecordRef<'_>) {
    if !options.skip_record_metadata {
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [",
            record.offset,
            view.timestamp_type().name(),
            record.timestamp,
            size(record.key),
            size(record.value),
            sequence(view, record)
        );
        for (index, (key, _)) in record.headers().enumerate() {
            if index > 0 {
                line.push(',');
            }
            line.push_str(&String::from_utf8_lossy(key));
        }
        line.push(']');
        if view.is_control() {
            line.push(' ');
            line.push_str(&control_text(record));
        }
    }
    let Some(decoder) = options.content.as_ref().filter(|_| !view.is_control()) else { return };
    let Printable { key, payload } = decoder.printable(record);
    for (what, text) in [("key", key), ("payload", payload)] {
        if let Some(text) = text {
            let indent = if line.is_empty() { "| " } else { " " };
            let _ = write!(line, "{indent}{what}: {text}");
        }
    }
}

fn size(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| bytes.len() as i64)
}

/// The record's sequence: the batch's first one plus the distance in offsets, wrapping to 0.
fn sequence(view: &BatchView<'_>, record: &RecordRef<'_>) -> i32 {
    match view.base_sequence() {
        -1 => -1,
        base => base.wrapping_add((record.offset - view.base_offset()) as i32) & i32::MAX,
    }
}

fn control_text(record: &RecordRef<'_>) -> String {
    let key = record.key.unwrap_or_default();
    let value = record.value.unwrap_or_default();
    let control_type = match ControlType::from_key(key) {
        Ok(control_type) => control_type,
        Err(error) => return format!("controlType: ({error})"),
    };
    let described = match control_type {
        ControlType::Abort | ControlType::Commit => match EndTxnMarker::parse(key, value) {
            Ok(Some(marker)) => {
                Ok(format!("endTxnMarker: {} coordinatorEpoch: {}", control_type.name(), marker.coordinator_epoch))
            }
            Ok(None) => Ok(String::new()),
            Err(error) => Ok(format!("endTxnMarker: {} ({error})", control_type.name())),
        },
        ControlType::LeaderChange => json::<LeaderChangeMessage>(value).map(|json| format!("LeaderChange: {json}")),
        ControlType::SnapshotHeader => json::<SnapshotHeaderRecord>(value).map(|json| format!("SnapshotHeader {json}")),
        ControlType::SnapshotFooter => json::<SnapshotFooterRecord>(value).map(|json| format!("SnapshotFooter {json}")),
        ControlType::KraftVersion => json::<KRaftVersionRecord>(value).map(|json| format!("KRaftVersion {json}")),
        ControlType::KraftVoters => json::<VotersRecord>(value).map(|json| format!("KRaftVoters {json}")),
        ControlType::Unknown(id) => Ok(format!("controlType: UNKNOWN({id})")),
    };
    described.unwrap_or_else(|error| format!("controlType: {} ({error})", control_type.name()))
}

/// A control record's value, which begins with the version it was written in.
fn json<M: Message + ToJson>(value: &[u8]) -> Result<Value, DecodeError> {
    let bytes = Bytes::copy_from_slice(value);
    let version = Reader::new(bytes.clone()).i16()?.clamp(M::MIN_VERSION, M::MAX_VERSION);
    Ok(M::decode(&mut Reader::new(bytes), version)?.to_json(version))
}
