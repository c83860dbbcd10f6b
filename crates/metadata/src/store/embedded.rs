//! The store of one machine: a redb file.
//!
//! Commits are fsynced. Leases live in memory: they belong to processes, and there is only this one; their keys are
//! removed when the file is opened again. An expired lease is noticed at the next call.
//!
//! Lock order: the writer lock is held over a whole commit, so watches see changes in the order of the revisions.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use milena_stdx::Clock;
use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{Change, Entry, Expectation, LeaseId, Listing, MetadataStore, Operation, Outcome, StoreError, Transaction};

/// Key → (revision, value).
const ENTRIES: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("entries");
/// Keys that die with a lease → the lease.
const LEASED: TableDefinition<&str, u64> = TableDefinition::new("leased");
/// Counters of the store itself.
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
const REVISION: &str = "revision";
/// Metadata is read once, at the start; what is cached beyond that is a waste of memory.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// A store in one file.
pub struct EmbeddedStore {
    database: Database,
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    watches: Vec<(String, Sender<Change>)>,
    leases: BTreeMap<LeaseId, Lease>,
    next_lease: u64,
}

struct Lease {
    ttl: Duration,
    deadline: Instant,
}

impl EmbeddedStore {
    /// Opens the store in `path`, making it and its directory if they are missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; [`StoreError::Open`] for everything else.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<EmbeddedStore, StoreError> {
        let failed = |reason: String| StoreError::Open { path: path.to_owned(), reason };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
        }
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
            other => failed(other.to_string()),
        })?;
        let store = EmbeddedStore { database, clock, writer: Mutex::default() };
        store.forget_leases().map_err(|error| failed(error.to_string()))?;
        Ok(store)
    }

    /// Creates the tables, and removes what was leased by the process that had the file open before.
    fn forget_leases(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let keys = {
            let write = self.begin_write()?;
            let keys: Vec<String> = {
                write.open_table(ENTRIES).map_err(storage)?;
                write.open_table(COUNTERS).map_err(storage)?;
                let leased = write.open_table(LEASED).map_err(storage)?;
                let keys: Result<_, _> =
                    leased.iter().map_err(storage)?.map(|row| Ok(row?.0.value().to_owned())).collect();
                keys.map_err(storage::<redb::StorageError>)?
            };
            write.commit().map_err(storage)?;
            keys
        };
        self.delete_keys(&mut writer, keys)
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut write = self.database.begin_write().map_err(storage)?;
        write.set_durability(Durability::Immediate).map_err(storage)?;
        Ok(write)
    }

    /// Ends leases whose time has run out.
    fn expire(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        let expired: Vec<LeaseId> =
            writer.leases.iter().filter(|(_, lease)| lease.deadline <= now).map(|(id, _)| *id).collect();
        expired.into_iter().try_for_each(|lease| self.end_lease(writer, lease))
    }

    fn end_lease(&self, writer: &mut Writer, lease: LeaseId) -> Result<(), StoreError> {
        writer.leases.remove(&lease);
        let read = self.database.begin_read().map_err(storage)?;
        let leased = read.open_table(LEASED).map_err(storage)?;
        let mut keys = Vec::new();
        for row in leased.iter().map_err(storage)? {
            let (key, holder) = row.map_err(storage)?;
            if holder.value() == lease.0 {
                keys.push(key.value().to_owned());
            }
        }
        self.delete_keys(writer, keys)
    }

    fn delete_keys(&self, writer: &mut Writer, keys: Vec<String>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let operations = keys.into_iter().map(|key| Operation::Delete { key }).collect();
        self.apply(writer, Transaction { expectations: Vec::new(), operations }).map(|_| ())
    }

    fn apply(&self, writer: &mut Writer, transaction: Transaction) -> Result<Outcome, StoreError> {
        for operation in &transaction.operations {
            if let Operation::Put { lease: Some(lease), .. } = operation
                && !writer.leases.contains_key(lease)
            {
                return Err(StoreError::LeaseEnded(*lease));
            }
        }
        let write = self.begin_write()?;
        let (outcome, changes) = write_transaction(&write, transaction)?;
        match outcome {
            Outcome::Conflict(_) => write.abort().map_err(storage)?,
            Outcome::Committed(_) => write.commit().map_err(storage)?,
        }
        for change in changes {
            writer
                .watches
                .retain(|(prefix, watch)| !change.key.starts_with(prefix) || watch.send(change.clone()).is_ok());
        }
        Ok(outcome)
    }

    fn lock(&self) -> Result<parking_lot::MutexGuard<'_, Writer>, StoreError> {
        let mut writer = self.writer.lock();
        self.expire(&mut writer)?;
        Ok(writer)
    }
}

impl MetadataStore for EmbeddedStore {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        drop(self.lock()?);
        let read = self.database.begin_read().map_err(storage)?;
        let entries = read.open_table(ENTRIES).map_err(storage)?;
        Ok(entries.get(key).map_err(storage)?.map(|row| entry(key, row.value())))
    }

    fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        drop(self.lock()?);
        let read = self.database.begin_read().map_err(storage)?;
        let table = read.open_table(ENTRIES).map_err(storage)?;
        let mut entries = Vec::new();
        for row in table.range(prefix..).map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            entries.push(entry(key.value(), value.value()));
        }
        let counters = read.open_table(COUNTERS).map_err(storage)?;
        let revision = counters.get(REVISION).map_err(storage)?.map_or(0, |revision| revision.value());
        Ok(Listing { revision, entries })
    }

    fn commit(&self, transaction: Transaction) -> Result<Outcome, StoreError> {
        let mut writer = self.lock()?;
        self.apply(&mut writer, transaction)
    }

    fn watch(&self, prefix: &str) -> Receiver<Change> {
        let (sender, receiver) = channel();
        self.writer.lock().watches.push((prefix.to_owned(), sender));
        receiver
    }

    fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let mut writer = self.lock()?;
        writer.next_lease += 1;
        let id = LeaseId(writer.next_lease);
        let lease = Lease { ttl, deadline: self.clock.monotonic() + ttl };
        writer.leases.insert(id, lease);
        Ok(id)
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut writer = self.lock()?;
        let held = writer.leases.get_mut(&lease).ok_or(StoreError::LeaseEnded(lease))?;
        held.deadline = self.clock.monotonic() + held.ttl;
        Ok(())
    }

    fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut writer = self.lock()?;
        if writer.leases.contains_key(&lease) { self.end_lease(&mut writer, lease) } else { Ok(()) }
    }
}

/// Checks what is expected and applies the operations; the caller commits or aborts.
fn write_transaction(write: &WriteTransaction, transaction: Transaction) -> Result<(Outcome, Vec<Change>), StoreError> {
    let mut entries = write.open_table(ENTRIES).map_err(storage)?;
    for expectation in transaction.expectations {
        if let Some(key) = unmet(&entries, expectation)? {
            return Ok((Outcome::Conflict(key), Vec::new()));
        }
    }
    let mut counters = write.open_table(COUNTERS).map_err(storage)?;
    let revision = counters.get(REVISION).map_err(storage)?.map_or(0, |revision| revision.value()) + 1;
    counters.insert(REVISION, revision).map_err(storage)?;
    let mut leased = write.open_table(LEASED).map_err(storage)?;
    let mut changes = HashMap::new();
    for operation in transaction.operations {
        let (key, value) = match operation {
            Operation::Put { key, value, lease } => {
                entries.insert(key.as_str(), (revision, value.as_slice())).map_err(storage)?;
                match lease {
                    Some(lease) => leased.insert(key.as_str(), lease.0).map_err(storage)?,
                    None => leased.remove(key.as_str()).map_err(storage)?,
                };
                (key, Some(value))
            }
            Operation::Delete { key } => {
                leased.remove(key.as_str()).map_err(storage)?;
                if entries.remove(key.as_str()).map_err(storage)?.is_none() && !changes.contains_key(&key) {
                    continue;
                }
                (key, None)
            }
        };
        changes.insert(key, value);
    }
    let mut changes: Vec<Change> = changes.into_iter().map(|(key, value)| Change { revision, key, value }).collect();
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((Outcome::Committed(revision), changes))
}

/// The key whose expectation does not hold.
fn unmet(
    entries: &Table<'_, &'static str, (u64, &'static [u8])>,
    expectation: Expectation,
) -> Result<Option<String>, StoreError> {
    let (key, expected) = match expectation {
        Expectation::Absent(key) => (key, None),
        Expectation::Unchanged(key, revision) => (key, Some(revision)),
    };
    let actual = entries.get(key.as_str()).map_err(storage)?.map(|row| row.value().0);
    Ok((actual != expected).then_some(key))
}

fn entry(key: &str, (revision, value): (u64, &[u8])) -> Entry {
    Entry { key: key.to_owned(), value: value.to_vec(), revision }
}

fn storage<E: std::fmt::Display>(error: E) -> StoreError {
    StoreError::Storage(error.to_string())
}

#[cfg(test)]
mod tests {
    use milena_stdx::{MockClock, SystemClock};

    use super::*;

    fn open(directory: &tempfile::TempDir) -> EmbeddedStore {
        EmbeddedStore::open(&directory.path().join("metadata.redb"), Arc::new(SystemClock)).expect("store opens")
    }

    #[test]
    fn conforms_to_the_suite() {
        let directories = std::cell::RefCell::new(Vec::new());
        super::super::suite::suite(|clock: Arc<MockClock>| {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("metadata.redb");
            directories.borrow_mut().push(directory);
            Box::new(EmbeddedStore::open(&path, clock).expect("store opens"))
        });
    }

    #[test]
    fn values_and_revisions_survive_reopening_and_leased_keys_do_not() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = open(&directory);
        let lease = store.grant_lease(Duration::from_secs(60)).expect("lease");
        let transaction = Transaction::new().put("a", "1").put_leased("b", "2", lease);
        assert_eq!(store.commit(transaction).expect("commit"), Outcome::Committed(1));
        drop(store);
        let store = open(&directory);
        assert_eq!(store.get("a").expect("read").map(|entry| (entry.value, entry.revision)), Some((b"1".to_vec(), 1)));
        assert_eq!(store.get("b").expect("read"), None);
        assert!(store.list("").expect("list").revision > 1);
    }

    #[test]
    fn a_store_that_was_never_closed_opens_with_every_commit() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = open(&directory);
        for index in 0..50 {
            store.commit(Transaction::new().put(format!("k{index:02}"), "v")).expect("commit");
        }
        // What a killed process leaves behind: the file as it is while the store is open.
        let crashed = tempfile::tempdir().expect("temporary directory");
        let copy = crashed.path().join("metadata.redb");
        std::fs::copy(directory.path().join("metadata.redb"), &copy).expect("copy");
        let reopened = open(&crashed);
        assert_eq!(reopened.list("k").expect("list").entries.len(), 50);
        assert_eq!(reopened.list("").expect("list").revision, 50);
        assert_eq!(reopened.commit(Transaction::new().put("k50", "v")).expect("commit"), Outcome::Committed(51));
    }

    #[test]
    fn a_second_opener_is_told_that_the_store_is_in_use() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let _store = open(&directory);
        let error = EmbeddedStore::open(&directory.path().join("metadata.redb"), Arc::new(SystemClock)).err();
        assert!(matches!(error, Some(StoreError::InUse(_))), "{error:?}");
    }

    #[test]
    fn a_file_that_is_no_store_is_an_error_and_not_a_panic() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("metadata.redb");
        std::fs::write(&path, vec![0x5a; 10_000]).expect("write");
        let error = EmbeddedStore::open(&path, Arc::new(SystemClock)).err();
        assert!(matches!(error, Some(StoreError::Open { .. })), "{error:?}");
    }
}
