//! State of queries that end with their clients: in memory while there is little of it, then in a tree of its own that goes
//! with the query.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use milena_sql::state::{StateError, StateStore, StateStores, Visit};
use parking_lot::Mutex;

/// What stands before the names of such trees; those that a crash has left behind are found by it.
pub const TREE_PREFIX: &str = "transient-";
/// State of one query in memory. What entries cost besides their bytes is counted with them.
const MEMORY_BYTES_MAX: usize = 16 << 20;
const ENTRY_OVERHEAD: usize = 96;

/// Removes what queries have left behind that ended with the server.
///
/// # Errors
/// A database that cannot be written.
pub fn remove_leftovers(database: &Database) -> fjall::Result<()> {
    for name in database.list_keyspace_names().iter().filter(|name| name.starts_with(TREE_PREFIX)) {
        let tree = database.keyspace(name, KeyspaceCreateOptions::default)?;
        database.delete_keyspace(tree)?;
    }
    Ok(())
}

/// The stores of one query.
pub struct SpillingStores {
    tree: Arc<Tree>,
    opened: u16,
}

/// What the stores of a query share.
struct Tree {
    database: Database,
    name: String,
    open: Mutex<Option<Keyspace>>,
    /// In memory, in all stores together.
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl SpillingStores {
    /// For the query of this id.
    pub fn new(database: Database, query: &str) -> SpillingStores {
        SpillingStores::with_memory(database, query, MEMORY_BYTES_MAX)
    }

    fn with_memory(database: Database, query: &str, bytes_max: usize) -> SpillingStores {
        let (name, open, bytes) = (format!("{TREE_PREFIX}{query}"), Mutex::default(), AtomicUsize::new(0));
        SpillingStores { tree: Arc::new(Tree { database, name, open, bytes, bytes_max }), opened: 0 }
    }
}

impl StateStores for SpillingStores {
    fn open(&mut self, name: &str) -> Result<Box<dyn StateStore>, StateError> {
        let prefix = self.opened.to_be_bytes();
        self.opened += 1;
        let entries = Entries::Memory(BTreeMap::new());
        Ok(Box::new(SpillingStore { name: name.to_owned(), prefix, entries, tree: self.tree.clone() }))
    }
}

impl Tree {
    fn keyspace(&self) -> fjall::Result<Keyspace> {
        let mut open = self.open.lock();
        if let Some(keyspace) = &*open {
            return Ok(keyspace.clone());
        }
        let keyspace = self.database.keyspace(&self.name, KeyspaceCreateOptions::default)?;
        Ok(open.insert(keyspace).clone())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Some(keyspace) = self.open.lock().take()
            && let Err(error) = self.database.delete_keyspace(keyspace)
        {
            tracing::warn!(tree = self.name, "state of a push query could not be removed: {error}");
        }
    }
}

struct SpillingStore {
    name: String,
    /// Before its keys in the tree.
    prefix: [u8; 2],
    entries: Entries,
    tree: Arc<Tree>,
}

enum Entries {
    Memory(BTreeMap<Vec<u8>, Vec<u8>>),
    Disk(Keyspace),
}

impl SpillingStore {
    fn failed(&self, error: &fjall::Error) -> StateError {
        StateError { store: self.name.clone(), message: error.to_string() }
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix[..], key].concat()
    }

    /// Moves what is in memory into the tree.
    fn spill(&mut self) -> Result<(), StateError> {
        let tree = self.tree.keyspace().map_err(|error| self.failed(&error))?;
        let Entries::Memory(entries) = std::mem::replace(&mut self.entries, Entries::Disk(tree.clone())) else {
            return Ok(());
        };
        let mut batch = self.tree.database.batch();
        for (key, value) in entries {
            self.tree.bytes.fetch_sub(size(&key, &value), Ordering::Relaxed);
            batch.insert(&tree, self.key(&key), value);
        }
        batch.commit().map_err(|error| self.failed(&error))
    }
}

fn size(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

impl StateStore for SpillingStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match &self.entries {
            Entries::Memory(entries) => Ok(entries.get(key).cloned()),
            Entries::Disk(tree) => {
                let found = tree.get(self.key(key)).map_err(|error| self.failed(&error))?;
                Ok(found.map(|value| value.to_vec()))
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let entries = match &mut self.entries {
            Entries::Memory(entries) => entries,
            Entries::Disk(tree) => {
                let put = tree.insert([&self.prefix[..], key].concat(), value);
                return put.map_err(|error| self.failed(&error));
            }
        };
        let bytes = &self.tree.bytes;
        let now = bytes.fetch_add(size(key, value), Ordering::Relaxed) + size(key, value);
        if let Some(old) = entries.insert(key.to_vec(), value.to_vec()) {
            bytes.fetch_sub(size(key, &old), Ordering::Relaxed);
        }
        if now > self.tree.bytes_max { self.spill() } else { Ok(()) }
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), StateError> {
        let entries = match &mut self.entries {
            Entries::Memory(entries) => entries,
            Entries::Disk(tree) => {
                let removed = tree.remove([&self.prefix[..], key].concat());
                return removed.map_err(|error| self.failed(&error));
            }
        };
        if let Some(old) = entries.remove(key) {
            self.tree.bytes.fetch_sub(size(key, &old), Ordering::Relaxed);
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError> {
        if from >= to {
            return Ok(());
        }
        match &self.entries {
            Entries::Memory(entries) => {
                let mut range = entries.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
                let _ = range.try_for_each(|(key, value)| visit(key, value));
                Ok(())
            }
            Entries::Disk(tree) => {
                for guard in tree.range(self.key(from)..self.key(to)) {
                    let (key, value) = guard.into_inner().map_err(|error| self.failed(&error))?;
                    if visit(&key[self.prefix.len()..], &value) == ControlFlow::Break(()) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use milena_sql::state::entries;

    use super::*;

    #[test]
    fn state_goes_to_disk_when_there_is_much_and_away_with_the_query() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::builder(directory.path()).open().unwrap();
        let mut stores = SpillingStores::with_memory(database.clone(), "q", 1000);
        let (mut first, mut second) = (stores.open("a").unwrap(), stores.open("b").unwrap());
        second.put(b"k", b"other").unwrap();
        for n in 0..100_u8 {
            first.put(&[n], b"value").unwrap();
            first.put(&[n], &[n]).unwrap();
        }
        first.delete(&[50]).unwrap();
        assert!(database.keyspace_exists("transient-q"));
        let found = entries(first.as_ref(), &[10], &[60]).unwrap();
        assert_eq!(found.len(), 49);
        assert_eq!(found[0], (vec![10], vec![10]));
        assert_eq!(first.get(&[99]).unwrap().as_deref(), Some(&[99][..]));
        assert_eq!(second.get(b"k").unwrap().as_deref(), Some(&b"other"[..]));
        drop((stores, first, second));
        assert!(!database.keyspace_exists("transient-q"));
    }

    #[test]
    fn what_a_crash_has_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::builder(directory.path()).open().unwrap();
        for name in ["transient-lost", "CTAS_A_1"] {
            database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        }
        remove_leftovers(&database).unwrap();
        assert!(!database.keyspace_exists("transient-lost") && database.keyspace_exists("CTAS_A_1"));
    }
}
