//! One log directory (`log.dirs`): its lock, its identity, and whether it is still online.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::checkpoint::write_atomically;
use crate::error::{IoContext, OpenError, StorageError, StorageErrorKind};

/// Locked while a process uses the directory.
pub const LOCK_FILE: &str = ".lock";
/// Present after a clean stop; removed when the directory is opened.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
/// Says which cluster and node the directory belongs to.
pub const META_PROPERTIES_FILE: &str = "meta.properties";
/// File within a partition's directory that holds the topic id.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// A log directory in use.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    failure: OnceLock<String>,
    lock: File,
}

impl LogDir {
    /// Creates the directory if it is missing and locks it for this process.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process (or another manager of this one) has it open.
    pub fn open(path: &Path) -> Result<LogDir, OpenError> {
        fs::create_dir_all(path).at("create log directory", path)?;
        let lock_path = path.join(LOCK_FILE);
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path).at("open", &lock_path)?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked(path.to_path_buf())),
            Err(error) => return Err(StorageError::new("lock", lock_path, error.into()).into()),
        }
        Ok(LogDir { path: path.to_path_buf(), failure: OnceLock::new(), lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the directory is offline, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Fails when the directory is offline.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.failure.get() {
            None => Ok(()),
            Some(reason) => Err(StorageError::offline(&self.path, reason)),
        }
    }

    /// Takes the directory offline for good if `error` is more than a full disk or damaged bytes; hands the error back.
    pub(crate) fn judge(&self, error: StorageError) -> StorageError {
        if error.kind == StorageErrorKind::Io && self.failure.set(error.to_string()).is_ok() {
            tracing::error!(path = %self.path.display(), %error, "log directory goes offline");
        }
        error
    }

    /// Whether the last use ended cleanly. The mark is removed: from now on a crash is visible.
    pub(crate) fn take_clean_shutdown(&self) -> Result<bool, StorageError> {
        let path = self.path.join(CLEAN_SHUTDOWN_FILE);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StorageError::new("remove", path, error)),
        }
    }

    /// Marks a clean stop.
    pub(crate) fn mark_clean_shutdown(&self) -> Result<(), StorageError> {
        write_atomically(&self.path.join(CLEAN_SHUTDOWN_FILE), b"{\"version\":0,\"brokerEpoch\":-1}", true)
    }

    /// Gives the lock back; the directory must not be used any more.
    pub(crate) fn unlock(&self) {
        if let Err(error) = rustix::fs::flock(&self.lock, rustix::fs::FlockOperation::Unlock) {
            tracing::warn!(path = %self.path.display(), %error, "cannot unlock");
        }
    }
}

impl Drop for LogDir {
    /// Closing the file is not enough: a process that is being started has it open too until its program is loaded.
    fn drop(&mut self) {
        self.unlock();
    }
}

/// The content of `meta.properties`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// Id of the cluster the directory belongs to.
    pub cluster_id: String,
    /// Node the directory belongs to.
    pub node_id: i32,
    /// Id of the directory itself, as 22 characters of URL-safe base64.
    pub directory_id: Option<String>,
}

impl MetaProperties {
    /// Reads the file in `dir`; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read or lacks `cluster.id` or `node.id`.
    pub fn load(dir: &Path) -> Result<Option<MetaProperties>, StorageError> {
        let path = dir.join(META_PROPERTIES_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::new("read", path, error)),
        };
        let value = |key: &str| {
            let line = text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim().to_string())
            });
            line.filter(|value| !value.is_empty())
        };
        let cluster_id = value("cluster.id").ok_or_else(|| StorageError::corrupt(&path, "cluster.id is missing"))?;
        let node_id = value("node.id").or_else(|| value("broker.id")).and_then(|id| id.parse().ok());
        let node_id = node_id.ok_or_else(|| StorageError::corrupt(&path, "node.id is missing"))?;
        Ok(Some(MetaProperties { cluster_id, node_id, directory_id: value("directory.id") }))
    }

    /// Writes the file into `dir`.
    pub fn store(&self, dir: &Path) -> Result<(), StorageError> {
        let mut text = format!("#\ncluster.id={}\n", self.cluster_id);
        if let Some(directory_id) = &self.directory_id {
            text.push_str(&format!("directory.id={directory_id}\n"));
        }
        text.push_str(&format!("node.id={}\nversion=1\n", self.node_id));
        write_atomically(&dir.join(META_PROPERTIES_FILE), text.as_bytes(), true)
    }

    /// Checks that `dir` belongs to this cluster and node; writes the file if there is none.
    pub(crate) fn claim(dir: &Path, cluster_id: &str, node_id: i32) -> Result<MetaProperties, OpenError> {
        let Some(found) = MetaProperties::load(dir)? else {
            let directory_id = Some(milena_protocol::Uuid::random().to_string());
            let fresh = MetaProperties { cluster_id: cluster_id.to_string(), node_id, directory_id };
            fresh.store(dir)?;
            return Ok(fresh);
        };
        let mismatch = |key, found: String, expected: String| OpenError::WrongIdentity {
            path: dir.to_path_buf(),
            key,
            found,
            expected,
        };
        if found.cluster_id != cluster_id {
            return Err(mismatch("cluster.id", found.cluster_id, cluster_id.to_string()));
        }
        if found.node_id != node_id {
            return Err(mismatch("node.id", found.node_id.to_string(), node_id.to_string()));
        }
        Ok(found)
    }
}

/// Writes `partition.metadata` of a partition directory. Not fsynced: the first flush of the partition does that.
pub(crate) fn write_topic_id(dir: &Path, topic_id: milena_protocol::Uuid) -> Result<(), StorageError> {
    let path = dir.join(PARTITION_METADATA_FILE);
    fs::write(&path, format!("version: 0\ntopic_id: {topic_id}")).at("write", path)
}

/// Reads the topic id of a partition directory; `None` if the file is missing or malformed.
pub fn read_topic_id(dir: &Path) -> Option<milena_protocol::Uuid> {
    let text = fs::read_to_string(dir.join(PARTITION_METADATA_FILE)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("topic_id:")).and_then(|id| id.trim().parse().ok())
}
