//! From the files to the records: the newest snapshot, then the log behind it.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use milena_protocol::record::batches;

use super::state::KraftMetadata;
use super::{BOOTSTRAP_FILE, KraftError, KraftRecord, LOG_DIRECTORY};

/// Most bytes that one compressed batch of metadata may unfold to; Kafka writes 8 MiB at most.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The metadata in the first of `directories` that has some; `None` when there is none.
///
/// Segments are read whole, one after the other. A torn end of the log is left out, as Kafka does when it starts.
///
/// # Errors
/// [`KraftError`]: a file cannot be read, or a record cannot be understood.
pub fn read(directories: &[PathBuf]) -> Result<Option<KraftMetadata>, KraftError> {
    for directory in directories {
        let log = directory.join(LOG_DIRECTORY);
        let (snapshot, segments) = if log.is_dir() { files_of(&log)? } else { (None, Vec::new()) };
        let bootstrap = directory.join(BOOTSTRAP_FILE);
        let mut metadata = KraftMetadata::new(directory.clone());
        let has_records = snapshot.is_some() || segments.iter().any(|(_, path)| is_filled(path));
        if has_records {
            let behind = match snapshot {
                Some((end_offset, path)) => {
                    read_file(&path, 0, &mut metadata)?;
                    end_offset
                }
                None => 0,
            };
            for (_, path) in &segments {
                read_file(path, behind, &mut metadata)?;
            }
        } else if bootstrap.is_file() {
            read_file(&bootstrap, 0, &mut metadata)?;
        } else {
            continue;
        }
        return Ok(Some(metadata));
    }
    Ok(None)
}

fn is_filled(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// A file and the offset in its name.
type Numbered = (i64, PathBuf);

/// The newest snapshot and every segment in order.
fn files_of(directory: &Path) -> Result<(Option<Numbered>, Vec<Numbered>), KraftError> {
    let failed = |source| KraftError::File { path: directory.to_owned(), source };
    let (mut snapshots, mut segments) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some((offset, _)) = name.strip_suffix(".checkpoint").and_then(|stem| stem.split_once('-')) {
            snapshots.extend(offset.parse::<i64>().ok().map(|offset| (offset, path.clone())));
        } else if let Some(offset) = name.strip_suffix(".log") {
            segments.extend(offset.parse::<i64>().ok().map(|offset| (offset, path.clone())));
        }
    }
    segments.sort();
    Ok((snapshots.into_iter().max(), segments))
}

/// Applies the records of a file from offset `from` on.
fn read_file(path: &Path, from: i64, metadata: &mut KraftMetadata) -> Result<(), KraftError> {
    let bytes = fs::read(path).map_err(|source| KraftError::File { path: path.to_owned(), source })?;
    for batch in batches(&bytes) {
        let batch = match batch {
            Ok(batch) if batch.verify_crc() => batch,
            _ => {
                tracing::warn!(path = %path.display(), "the end of Kafka's metadata is torn and left out");
                return Ok(());
            }
        };
        if batch.is_control() || batch.last_offset() < from {
            continue;
        }
        let base_offset = batch.base_offset();
        let damaged = |offset: i64, reason: String| KraftError::Record { path: path.to_owned(), offset, reason };
        let records = batch.records(BATCH_BYTES_MAX).map_err(|error| damaged(base_offset, error.to_string()))?;
        for record in records {
            let record = record.map_err(|error| damaged(base_offset, error.to_string()))?;
            let Some(value) = record.value.filter(|_| record.offset >= from) else { continue };
            let decoded = KraftRecord::decode(Bytes::clone(&value));
            metadata.apply(decoded.map_err(|error| damaged(record.offset, error.to_string()))?);
        }
    }
    Ok(())
}
