//! Offsets of a standalone worker in a file: one line an offset, key and value with a tab between them.
//!
//! Each write replaces the file by a new one that is complete and on the disk: a crash leaves the old or the new offsets,
//! never a part. A file of the original's standalone worker is read, and kept beside the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{OffsetError, OffsetStore, decode_key, decode_map, encode_key, encode_map, identity, java_map};
use crate::plugin::Waiting;
use crate::record::SourceMap;

/// The first line of a file.
const HEADING: &str = "# Offsets of Milena's standalone Connect worker, version 1";

/// See the module's words.
pub struct FileOffsetStore {
    path: PathBuf,
    offsets: Arc<Mutex<Offsets>>,
}

/// By [`identity`]: connector, partition, offset.
type Offsets = BTreeMap<String, (String, SourceMap, SourceMap)>;

impl FileOffsetStore {
    /// The store in the file at `path` (`offset.storage.file.filename`), which is made with the first write.
    ///
    /// # Errors
    /// A file that cannot be read, or that is something else.
    pub fn open(path: impl Into<PathBuf>) -> Result<FileOffsetStore, OffsetError> {
        let path = path.into();
        let offsets = match fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Offsets::new(),
            Err(error) => return Err(failed(&path, &error)),
        };
        Ok(FileOffsetStore { path, offsets: Arc::new(Mutex::new(offsets)) })
    }
}

impl OffsetStore for FileOffsetStore {
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partitions: &'a [SourceMap],
    ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>> {
        let offsets = self.offsets.lock();
        let found = partitions.iter().filter_map(|partition| {
            let (_, _, offset) = offsets.get(&identity(connector, partition))?;
            Some((partition.clone(), offset.clone()))
        });
        let found: Vec<(SourceMap, SourceMap)> = found.collect();
        Box::pin(async move { Ok(found) })
    }

    fn read_all<'a>(&'a self, connector: &'a str) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>> {
        let offsets = self.offsets.lock();
        let of_connector = offsets.values().filter(|(owner, ..)| owner == connector);
        let found: Vec<_> = of_connector.map(|(_, partition, offset)| (partition.clone(), offset.clone())).collect();
        Box::pin(async move { Ok(found) })
    }

    fn write<'a>(
        &'a self,
        connector: &'a str,
        offsets: Vec<(Arc<SourceMap>, Option<SourceMap>)>,
    ) -> Waiting<'a, Result<(), OffsetError>> {
        Box::pin(async move {
            let (path, all, connector) = (self.path.clone(), self.offsets.clone(), connector.to_owned());
            let writing = tokio::task::spawn_blocking(move || {
                // Held while the file is written: writers of two tasks must not overtake each other.
                let mut all = all.lock();
                let mut changed = all.clone();
                for (partition, offset) in offsets {
                    let key = identity(&connector, &partition);
                    match offset {
                        Some(offset) => changed.insert(key, (connector.clone(), (*partition).clone(), offset)),
                        None => changed.remove(&key),
                    };
                }
                replace(&path, &changed).map_err(|error| failed(&path, &error))?;
                *all = changed;
                Ok(())
            });
            writing.await.unwrap_or_else(|error| Err(OffsetError::Store(error.to_string())))
        })
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Offsets, OffsetError> {
    let mut offsets = Offsets::new();
    let mut insert = |key: &[u8], value: &[u8]| {
        if let (Some((connector, partition)), Some(offset)) = (decode_key(key), decode_map(value)) {
            offsets.insert(identity(&connector, &partition), (connector, partition, offset));
        }
    };
    if bytes.starts_with(&java_map::STREAM_MAGIC) {
        let entries = java_map::read(bytes).ok_or_else(|| strange(path))?;
        let kept = beside(path, ".java");
        if !kept.exists() {
            fs::copy(path, &kept).map_err(|error| failed(&kept, &error))?;
        }
        tracing::info!("{} offsets of a Java worker were read from {}", entries.len(), path.display());
        entries.iter().for_each(|(key, value)| insert(key, value.as_deref().unwrap_or_default()));
        return Ok(offsets);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| strange(path))?;
    let mut lines = text.lines();
    match lines.next() {
        None => return Ok(offsets),
        Some(HEADING) => {}
        Some(_) => return Err(strange(path)),
    }
    for line in lines {
        let (key, value) = line.split_once('\t').ok_or_else(|| strange(path))?;
        insert(key.as_bytes(), value.as_bytes());
    }
    Ok(offsets)
}

/// Writes everything beside the file, to the disk, and puts it in its place.
fn replace(path: &Path, offsets: &Offsets) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    let mut text = format!("{HEADING}\n");
    for (connector, partition, offset) in offsets.values() {
        // JSON escapes tabs and line ends.
        text.push_str(&format!("{}\t{}\n", encode_key(connector, partition), encode_map(offset)));
    }
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // The new name is durable with its directory.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn strange(path: &Path) -> OffsetError {
    OffsetError::Store(format!(
        "{} (offset.storage.file.filename) is not a file of offsets; it is left as it is",
        path.display()
    ))
}

fn failed(path: &Path, error: &io::Error) -> OffsetError {
    OffsetError::Store(format!("{} (offset.storage.file.filename): {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> SourceMap {
        decode_map(json.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn offsets_are_there_after_a_restart_and_deleted_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("connect.offsets");
        let (a, b) = (map(r#"{"filename":"a\tb\n"}"#), map(r#"{"filename":"b"}"#));
        let store = FileOffsetStore::open(&path).unwrap();
        let both = vec![
            (Arc::new(a.clone()), Some(map(r#"{"position":7}"#))),
            (Arc::new(b.clone()), Some(map(r#"{"position":1}"#))),
        ];
        store.write("c", both).await.unwrap();
        store.write("c", vec![(Arc::new(b.clone()), None)]).await.unwrap();
        let again = FileOffsetStore::open(&path).unwrap();
        let read = again.read("c", &[b, a.clone()]).await.unwrap();
        assert_eq!(read, [(a.clone(), map(r#"{"position":7}"#))]);
        assert_eq!(again.read_all("c").await.unwrap().len(), 1);
        assert!(again.read("another", &[a]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_write_that_was_cut_off_leaves_the_old_offsets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("connect.offsets");
        let store = FileOffsetStore::open(&path).unwrap();
        store.write("c", vec![(Arc::new(map(r#"{"f":"a"}"#)), Some(map(r#"{"position":7}"#)))]).await.unwrap();
        fs::write(beside(&path, ".tmp"), "# Offs").unwrap();
        assert_eq!(FileOffsetStore::open(&path).unwrap().read_all("c").await.unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_is_something_else_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwords.txt");
        fs::write(&path, "secret\n").unwrap();
        assert!(FileOffsetStore::open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret\n");
    }
}
