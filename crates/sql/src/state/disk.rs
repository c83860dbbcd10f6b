//! State on disk: what was written since the last commit is in memory, what was committed in a tree of the query.
//!
//! ```text
//!   operators ──► overlay ──┬─ pending ──► changelog topic (with the results, in one transaction where so configured)
//!                           └─ commit ───► tree, together with the position in the changelog
//! ```
//!
//! The tree never holds what a transaction may still take back. Its position tells from where the changelog has to be read
//! again after a crash, however much of it the tree has lost.

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use parking_lot::Mutex;

use super::{StateError, StateStore, StateStores, Visit};

/// Longest key that trees take, with what stands before it.
const KEY_BYTES_MAX: usize = 65_535;
/// Number of the store that holds the position of the changelog.
const POSITION_STORE: u16 = u16::MAX;

/// Entries that are removed in one batch.
const CLEARED_TOGETHER: usize = 10_000;

/// Memory of an entry that is not in the tree yet, beside its key and value.
const ENTRY_BYTES: usize = 96;

/// What a query's tree keeps in memory before it goes to disk: a server may have hundreds of queries.
const MEMTABLE_BYTES: u64 = 2 * 1024 * 1024;

/// What a key is to hold; `None` removes it.
type Write = Option<Vec<u8>>;

/// Writes of one store that are not in the tree yet. Most stores are only asked for single keys; those that were scanned
/// are kept in order from then on, until what was written is in the tree.
#[derive(Default)]
struct Overlay {
    hashed: HashMap<Vec<u8>, Write>,
    sorted: BTreeMap<Vec<u8>, Write>,
    is_sorted: bool,
    bytes: usize,
    recent: Recent,
}

/// Most memory of each of the two generations of [`Recent`], in bytes.
const RECENT_BYTES: usize = 1024 * 1024;

/// What the tree is known to hold for keys that were asked for lately, so that it need not be searched again. Keys that
/// nobody has asked for while a generation filled up are forgotten.
#[derive(Default)]
struct Recent {
    young: HashMap<Vec<u8>, Write>,
    old: HashMap<Vec<u8>, Write>,
    bytes: usize,
}

impl Recent {
    fn get(&mut self, key: &[u8]) -> Option<&Write> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.put(key, value);
        }
        self.young.get(key)
    }

    /// Entries that are too large to be kept are forgotten at once.
    fn put(&mut self, key: Vec<u8>, value: Write) {
        let size = ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len);
        self.old.remove(&key);
        if size > RECENT_BYTES / 16 {
            self.young.remove(&key);
            return;
        }
        if self.bytes + size > RECENT_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.old.remove(&key);
            self.bytes = 0;
        }
        // What is replaced is counted on, so that a generation ends a little early.
        self.bytes += size;
        self.young.insert(key, value);
    }
}

impl Overlay {
    fn get(&self, key: &[u8]) -> Option<&Write> {
        if self.is_sorted { self.sorted.get(key) } else { self.hashed.get(key) }
    }

    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let size = |value: &Write| value.as_ref().map_or(0, Vec::len);
        let known = if self.is_sorted { self.sorted.get_mut(key) } else { self.hashed.get_mut(key) };
        self.bytes += value.map_or(0, <[u8]>::len);
        match (known, value) {
            (Some(known), Some(value)) => {
                self.bytes -= size(known);
                // The memory of the value before is used again.
                let mut bytes = known.take().unwrap_or_default();
                bytes.clear();
                bytes.extend_from_slice(value);
                *known = Some(bytes);
            }
            (Some(known), None) => {
                self.bytes -= size(known);
                *known = None;
            }
            (None, value) => {
                self.bytes += key.len() + ENTRY_BYTES;
                let (key, value) = (key.to_vec(), value.map(<[u8]>::to_vec));
                if self.is_sorted {
                    self.sorted.insert(key, value)
                } else {
                    self.hashed.insert(key, value)
                };
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Write)> {
        self.hashed.iter().chain(&self.sorted)
    }

    /// The value of `key`, from `tree` unless it is known.
    fn find(&mut self, key: &[u8], tree: impl FnOnce() -> Result<Write, StateError>) -> Result<Write, StateError> {
        if let Some(written) = self.get(key) {
            return Ok(written.clone());
        }
        if let Some(known) = self.recent.get(key) {
            return Ok(known.clone());
        }
        let found = tree()?;
        self.recent.put(key.to_vec(), found.clone());
        Ok(found)
    }

    /// The tree holds everything now.
    fn settle(&mut self) {
        for (key, value) in self.hashed.drain().chain(std::mem::take(&mut self.sorted)) {
            self.recent.put(key, value);
        }
        self.is_sorted = false;
        self.bytes = 0;
    }

    fn clear(&mut self) {
        self.hashed.clear();
        self.sorted.clear();
        self.is_sorted = false;
        self.bytes = 0;
    }

    /// The writes to keys between `from` and `to`, in order.
    fn range(&mut self, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Write)> {
        if !self.is_sorted {
            self.is_sorted = true;
            self.sorted.extend(self.hashed.drain());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        self.sorted.range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// The stores of one task: of one partition of a query.
pub struct DiskStateStores {
    database: Database,
    tree: Keyspace,
    partition: u32,
    /// What was written to each store, in the order of their numbers.
    overlays: Vec<Arc<Mutex<Overlay>>>,
    /// What the changelog is known by, written with every position in it.
    changelog: Vec<u8>,
}

impl DiskStateStores {
    /// The stores of `partition` in the tree of `query`.
    ///
    /// # Errors
    /// A tree that cannot be opened.
    pub fn new(database: Database, query: &str, partition: u32) -> Result<DiskStateStores, StateError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let tree = database.keyspace(query, options).map_err(|error| failed(query, error))?;
        Ok(DiskStateStores { database, tree, partition, overlays: Vec::new(), changelog: Vec::new() })
    }

    /// Tells which changelog the state belongs to. State of another one of the same name, as of a cluster that was made
    /// anew, is forgotten.
    ///
    /// # Errors
    /// A tree that cannot be read or written.
    pub fn belong_to(&mut self, changelog: &str) -> Result<(), StateError> {
        let found = self.tree.get(self.changelog_key()).map_err(|error| failed("changelog", error))?;
        if found.is_none_or(|found| found[..] != *changelog.as_bytes()) {
            self.clear()?;
        }
        self.changelog = changelog.as_bytes().to_vec();
        Ok(())
    }

    /// Forgets everything of this partition.
    ///
    /// # Errors
    /// A tree that cannot be read or written.
    pub fn clear(&mut self) -> Result<(), StateError> {
        loop {
            let mut batch = self.database.batch();
            let mut found = 0;
            for guard in self.tree.prefix(self.partition.to_be_bytes()).take(CLEARED_TOGETHER) {
                let (key, _) = guard.into_inner().map_err(|error| failed("clear", error))?;
                batch.remove(&self.tree, key);
                found += 1;
            }
            batch.commit().map_err(|error| failed("clear", error))?;
            if found < CLEARED_TOGETHER {
                break;
            }
        }
        for overlay in &self.overlays {
            let mut overlay = overlay.lock();
            overlay.clear();
            overlay.recent = Recent::default();
        }
        Ok(())
    }

    /// What was written since the last commit, for the changelog: keys tell the store. `None` removes.
    pub fn pending(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut pending = Vec::new();
        for (number, overlay) in (0..).zip(&self.overlays) {
            let store = u16::to_be_bytes(number);
            let overlay = overlay.lock();
            pending.extend(overlay.iter().map(|(key, value)| ([&store[..], key].concat(), value.clone())));
        }
        pending
    }

    /// How much memory that takes, in bytes.
    pub fn pending_bytes(&self) -> usize {
        self.overlays.iter().map(|overlay| overlay.lock().bytes).sum()
    }

    /// Writes what is pending into the tree, and that the changelog is contained up to `position`, both or neither.
    ///
    /// # Errors
    /// A tree that cannot be written; everything is still pending then.
    pub fn commit(&mut self, position: i64) -> Result<(), StateError> {
        let overlays: Vec<_> = self.overlays.iter().map(|overlay| overlay.lock()).collect();
        let writes = (0..).zip(&overlays).flat_map(|(number, overlay)| {
            let prefix = prefix(self.partition, number);
            overlay.iter().map(move |(key, value)| ([&prefix[..], key].concat(), value.clone()))
        });
        self.write(writes, position)?;
        overlays.into_iter().for_each(|mut overlay| overlay.settle());
        Ok(())
    }

    /// Forgets what is pending: its transaction was aborted.
    pub fn discard(&mut self) {
        self.overlays.iter().for_each(|overlay| overlay.lock().clear());
    }

    /// Takes over records of the changelog that the tree has not; `position` is the offset after the last of them.
    ///
    /// # Errors
    /// A tree that cannot be written.
    pub fn restore(
        &mut self,
        records: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        position: i64,
    ) -> Result<(), StateError> {
        let partition = self.partition.to_be_bytes();
        let prefixed = records.map(|(key, value)| ([&partition[..], &key].concat(), value));
        self.write(prefixed, position)?;
        // Only now: readers may have remembered what was there before.
        self.overlays.iter().for_each(|overlay| overlay.lock().recent = Recent::default());
        Ok(())
    }

    /// From where the changelog has to be read; `None` for a tree that knows nothing of it.
    ///
    /// # Errors
    /// A tree that cannot be read.
    pub fn position(&self) -> Result<Option<i64>, StateError> {
        let found = self.tree.get(self.position_key()).map_err(|error| failed("position", error))?;
        Ok(found.and_then(|bytes| Some(i64::from_be_bytes(<[u8; 8]>::try_from(&bytes[..]).ok()?))))
    }

    /// Reads the store that was opened first, from any thread and beside its writer: what is pending is seen too.
    pub fn reader(&self) -> DiskStateReader {
        DiskStateReader(self.store(String::from("reader"), 0))
    }

    fn store(&self, name: String, number: u16) -> DiskStateStore {
        let overlay = self.overlays.get(usize::from(number)).cloned().unwrap_or_default();
        let tree = self.tree.clone();
        DiskStateStore { name, prefix: prefix(self.partition, number), tree, overlay }
    }

    fn write(&self, writes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>, position: i64) -> Result<(), StateError> {
        let mut batch = self.database.batch();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.tree, key, value),
                None => batch.remove(&self.tree, key),
            }
        }
        batch.insert(&self.tree, self.position_key(), position.to_be_bytes().to_vec());
        batch.insert(&self.tree, self.changelog_key(), self.changelog.clone());
        batch.commit().map_err(|error| failed("commit", error))
    }

    fn position_key(&self) -> Vec<u8> {
        prefix(self.partition, POSITION_STORE)
    }

    fn changelog_key(&self) -> Vec<u8> {
        [&self.position_key()[..], b"changelog"].concat()
    }
}

/// What keys of a tree begin with. Changelogs have a partition of their own, so that their keys begin with the store.
fn prefix(partition: u32, store: u16) -> Vec<u8> {
    [&partition.to_be_bytes()[..], &store.to_be_bytes()].concat()
}

fn failed(store: &str, error: impl std::fmt::Display) -> StateError {
    StateError { store: store.to_owned(), message: error.to_string() }
}

impl StateStores for DiskStateStores {
    /// Stores are numbered in the order in which they are opened, which is the same whenever a query is built.
    fn open(&mut self, name: &str) -> Result<Box<dyn StateStore>, StateError> {
        let number = u16::try_from(self.overlays.len()).ok().filter(|number| *number < POSITION_STORE);
        let number = number.ok_or_else(|| failed(name, "a query cannot have so many stores"))?;
        self.overlays.push(Arc::default());
        Ok(Box::new(self.store(name.to_owned(), number)))
    }
}

/// Reads a store beside its writer.
pub struct DiskStateReader(DiskStateStore);

impl DiskStateReader {
    /// As [`StateStore::get`].
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(key)
    }

    /// As [`StateStore::scan`].
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError> {
        self.0.scan(from, to, visit)
    }
}

/// One store: keys of the tree that begin with its prefix.
struct DiskStateStore {
    name: String,
    prefix: Vec<u8>,
    tree: Keyspace,
    overlay: Arc<Mutex<Overlay>>,
}

impl DiskStateStore {
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix[..], key].concat()
    }
}

impl StateStore for DiskStateStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.overlay.lock().find(key, || {
            let found = self.tree.get(self.key(key)).map_err(|error| failed(&self.name, error))?;
            Ok(found.map(|value| value.to_vec()))
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let length = self.prefix.len() + key.len();
        if length > KEY_BYTES_MAX {
            return Err(failed(&self.name, format!("a key of {length} bytes is too long")));
        }
        self.overlay.lock().set(key, Some(value));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), StateError> {
        self.overlay.lock().set(key, None);
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError> {
        if from >= to {
            return Ok(());
        }
        // Visitors see the state as it was when they began.
        let mut written = self.overlay.lock().range(from, to).into_iter().peekable();
        for guard in self.tree.range(self.key(from)..self.key(to)) {
            let (key, value) = guard.into_inner().map_err(|error| failed(&self.name, error))?;
            let key = &key[self.prefix.len()..];
            if visit_before(&mut written, Some(key), visit).is_break() {
                return Ok(());
            }
            match written.next_if(|(own, _)| own[..] == *key) {
                Some((_, None)) => {}
                Some((_, Some(value))) if visit(key, &value).is_break() => return Ok(()),
                Some(_) => {}
                None if visit(key, &value).is_break() => return Ok(()),
                None => {}
            }
        }
        let _ = visit_before(&mut written, None, visit);
        Ok(())
    }
}

/// Visits what was written to keys before `end`; without it, all of it.
fn visit_before(
    written: &mut Peekable<impl Iterator<Item = (Vec<u8>, Write)>>,
    end: Option<&[u8]>,
    visit: &mut Visit<'_>,
) -> ControlFlow<()> {
    while let Some((key, value)) = written.next_if(|(key, _)| end.is_none_or(|end| &key[..] < end)) {
        if let Some(value) = value {
            visit(&key, &value)?;
        }
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::entries;

    fn stores(directory: &std::path::Path, partition: u32) -> DiskStateStores {
        let database = Database::builder(directory).open().unwrap();
        DiskStateStores::new(database, "CTAS_A_1", partition).unwrap()
    }

    fn keys(store: &dyn StateStore) -> Vec<Vec<u8>> {
        entries(store, b"", b"\xff").unwrap().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn scans_see_the_tree_with_what_was_written_since() {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = stores(directory.path(), 0);
        let mut store = stores.open("a").unwrap();
        let mut other = stores.open("b").unwrap();
        for key in [b"b", b"d", b"f"] {
            store.put(key, b"old").unwrap();
        }
        other.put(b"c", b"other").unwrap();
        stores.commit(5).unwrap();
        assert!(stores.pending().is_empty());
        store.put(b"a", b"new").unwrap();
        store.put(b"d", b"new").unwrap();
        store.delete(b"b").unwrap();
        store.put(b"g", b"new").unwrap();
        assert_eq!(keys(store.as_ref()), [b"a", b"d", b"f", b"g"]);
        assert_eq!(store.get(b"d").unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(store.get(b"b").unwrap(), None);
        assert_eq!(keys(other.as_ref()), [b"c"]);

        stores.discard();
        assert_eq!(keys(store.as_ref()), [b"b", b"d", b"f"]);
        assert_eq!(stores.position().unwrap(), Some(5));
    }

    #[test]
    fn what_is_known_of_the_tree_is_bounded_and_follows_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = stores(directory.path(), 0);
        let mut store = stores.open("a").unwrap();
        let key = |number: u32| number.to_be_bytes();
        for round in 1..4_u8 {
            for number in 0..40_000 {
                store.put(&key(number), &[round]).unwrap();
            }
            store.delete(&key(7)).unwrap();
            assert!(stores.pending_bytes() > 40_000 * 5);
            stores.commit(i64::from(round)).unwrap();
            assert_eq!(stores.pending_bytes(), 0);
            for number in [0, 7, 20_000, 39_999, 50_000] {
                let expected = (number != 7 && number < 40_000).then(|| vec![round]);
                assert_eq!(store.get(&key(number)).unwrap(), expected, "{number}");
                assert_eq!(store.get(&key(number)).unwrap(), expected, "{number}");
            }
        }
        store.put(&key(0), b"aborted").unwrap();
        stores.discard();
        assert_eq!(store.get(&key(0)).unwrap(), Some(vec![3]));
        stores.restore([([&[0, 0][..], &key(0)].concat(), Some(b"restored".to_vec()))].into_iter(), 9).unwrap();
        assert_eq!(store.get(&key(0)).unwrap().as_deref(), Some(&b"restored"[..]));
        let overlay = stores.overlays[0].lock();
        let entries = overlay.recent.young.len() + overlay.recent.old.len();
        assert!(entries * (ENTRY_BYTES + 5) <= 2 * RECENT_BYTES);
    }

    #[test]
    fn a_changelog_makes_the_same_state_elsewhere() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut stores = stores(here.path(), 3);
        let mut store = stores.open("a").unwrap();
        store.put(b"k", b"v").unwrap();
        store.delete(b"gone").unwrap();
        let changelog = stores.pending();
        let mut restored = super::tests::stores(there.path(), 7);
        assert_eq!(restored.position().unwrap(), None);
        let copy = restored.open("a").unwrap();
        restored.restore(changelog.into_iter(), 2).unwrap();
        assert_eq!(entries(copy.as_ref(), b"", b"\xff").unwrap(), [(b"k".to_vec(), b"v".to_vec())]);
        assert_eq!(restored.position().unwrap(), Some(2));
    }

    #[test]
    fn state_of_another_changelog_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = stores(directory.path(), 1);
        let mut store = stores.open("a").unwrap();
        stores.belong_to("one").unwrap();
        store.put(b"k", b"v").unwrap();
        stores.commit(9).unwrap();
        stores.belong_to("one").unwrap();
        assert_eq!((keys(store.as_ref()).len(), stores.position().unwrap()), (1, Some(9)));
        stores.belong_to("other").unwrap();
        assert_eq!((keys(store.as_ref()).len(), stores.position().unwrap()), (0, None));
    }

    #[test]
    fn keys_that_no_tree_takes_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = stores(directory.path(), 0).open("a").unwrap();
        assert!(store.put(&vec![0; KEY_BYTES_MAX], b"").unwrap_err().message.contains("too long"));
    }
}
