//! State on disk: what was written since the last commit is in memory, what was committed in a tree of the query.
//!
//! ```text
//!   operators ──► overlay ──┬─ pending ──► changelog topic (with the results, in one transaction where so configured)
//!                           └─ commit ───► tree, together with the position in the changelog
//! ```
//!
//! The tree never holds what a transaction may still take back. Its position tells from where the changelog has to be read
//! again after a crash, however much of it the tree has lost.
//!
//! Both say which [`LAYOUT`] they have: the tree beside its position, the changelog in its first record.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use parking_lot::Mutex;

use super::{LAYOUT, StateError, StateStore, StateStores, Visit};

/// Longest key that trees take, with what stands before it.
const KEY_BYTES_MAX: usize = 65_535;
/// Number of the store that holds the position of the changelog; in changelogs, their layout.
const POSITION_STORE: u16 = u16::MAX;
/// The key of the layout in a changelog, behind the number of the store.
const LAYOUT_KEY: &[u8] = b"layout";

/// Entries that are removed in one batch.
const CLEARED_TOGETHER: usize = 10_000;

/// Memory of an entry that is not in the tree yet, beside its key and value.
const ENTRY_BYTES: usize = 96;

/// What a query's tree keeps in memory before it goes to disk: a server may have hundreds of queries.
const MEMTABLE_BYTES: u64 = 2 * 1024 * 1024;

/// What a key is to hold; `None` removes it.
type Write = Option<Vec<u8>>;

/// By key. Its hashes begin with a random seed, so that nobody can choose keys that collide.
type Hashed = std::collections::HashMap<Vec<u8>, Write, foldhash::fast::RandomState>;

/// Writes of one store that are not in the tree yet. Most stores are only asked for single keys; those that were scanned
/// are kept in order from then on, until what was written is in the tree.
#[derive(Default)]
struct Overlay {
    hashed: Hashed,
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
    young: Hashed,
    old: Hashed,
    bytes: usize,
}

impl Recent {
    fn get(&mut self, key: &[u8]) -> Option<Write> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
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
            return Ok(known);
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
    /// What the changelog is known by and the layout, written with every position in it.
    changelog: Vec<u8>,
    /// Whether the changelog says which layout it has.
    is_marked: bool,
    /// Whether something of it was taken over before it said so.
    has_unmarked: bool,
}

impl DiskStateStores {
    /// The stores of `partition` in the tree of `query`.
    ///
    /// # Errors
    /// A tree that cannot be opened.
    pub fn new(database: Database, query: &str, partition: u32) -> Result<DiskStateStores, StateError> {
        // In pieces, filters and indexes of large tables need not be read whole for one key.
        let in_pieces = PartitioningPolicy::new([false, true]);
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .filter_block_partitioning_policy(in_pieces.clone())
                .index_block_partitioning_policy(in_pieces.clone())
        };
        let tree = database.keyspace(query, options).map_err(|error| failed(query, error))?;
        let (overlays, changelog) = (Vec::new(), Vec::new());
        Ok(DiskStateStores { database, tree, partition, overlays, changelog, is_marked: false, has_unmarked: false })
    }

    /// Tells which changelog the state belongs to. State of another one of the same name, as of a cluster that was made
    /// anew, is forgotten, and so is state of another layout.
    ///
    /// # Errors
    /// A tree that cannot be read or written.
    pub fn belong_to(&mut self, changelog: &str) -> Result<(), StateError> {
        self.changelog = format!("layout {LAYOUT} of {changelog}").into_bytes();
        let found = self.tree.get(self.changelog_key()).map_err(|error| failed("changelog", error))?;
        match found.is_some_and(|found| found[..] == *self.changelog) {
            // Nothing gets here that was not in the changelog before.
            true => self.is_marked = true,
            false => self.clear()?,
        }
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
        (self.is_marked, self.has_unmarked) = (false, false);
        Ok(())
    }

    /// What was written since the last commit, for the changelog: keys tell the store. `None` removes. The first time the
    /// layout stands before it.
    pub fn pending(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut pending = Vec::new();
        if !self.is_marked && self.pending_bytes() > 0 {
            pending.push((layout_key(), Some(LAYOUT.to_be_bytes().to_vec())));
        }
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
        self.write(writes, Some(position))?;
        overlays.into_iter().for_each(|mut overlay| overlay.settle());
        self.is_marked = true;
        Ok(())
    }

    /// Forgets what is pending: its transaction was aborted.
    pub fn discard(&mut self) {
        self.overlays.iter().for_each(|overlay| overlay.lock().clear());
    }

    /// Takes over records of the changelog that the tree has not; `position` is the offset after the last of them. The tree
    /// does not tell it before the layout is known, so that a changelog that never says it is read from its beginning again.
    ///
    /// # Errors
    /// A changelog of another layout; a tree that cannot be written.
    pub fn restore(
        &mut self,
        records: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        position: i64,
    ) -> Result<(), StateError> {
        let (partition, mark) = (self.partition.to_be_bytes(), layout_key());
        let mut prefixed = Vec::new();
        for (key, value) in records {
            if key == mark {
                check_layout(value.as_deref())?;
                self.is_marked = true;
                continue;
            }
            self.has_unmarked |= !self.is_marked;
            prefixed.push(([&partition[..], &key].concat(), value));
        }
        self.write(prefixed.into_iter(), self.is_marked.then_some(position))?;
        // Only now: readers may have remembered what was there before.
        self.overlays.iter().for_each(|overlay| overlay.lock().recent = Recent::default());
        Ok(())
    }

    /// Checks the changelog when all of it was taken over. The record with the layout need not be the first: compaction
    /// leaves the last of several.
    ///
    /// # Errors
    /// A changelog that does not say which layout it has.
    pub fn restored(&self) -> Result<(), StateError> {
        if self.has_unmarked && !self.is_marked { check_layout(None) } else { Ok(()) }
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

    fn write(
        &self,
        writes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        position: Option<i64>,
    ) -> Result<(), StateError> {
        let mut batch = self.database.batch();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.tree, key, value),
                None => batch.remove(&self.tree, key),
            }
        }
        if let Some(position) = position {
            batch.insert(&self.tree, self.position_key(), position.to_be_bytes().to_vec());
            batch.insert(&self.tree, self.changelog_key(), self.changelog.clone());
        }
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

/// The key of the layout in a changelog.
fn layout_key() -> Vec<u8> {
    [&POSITION_STORE.to_be_bytes()[..], LAYOUT_KEY].concat()
}

/// Whether the layout that a changelog names can be read.
fn check_layout(named: Option<&[u8]>) -> Result<(), StateError> {
    let layout = named.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(u32::from_be_bytes);
    if layout == Some(LAYOUT) {
        return Ok(());
    }
    let found = layout.map_or("no layout number".to_owned(), |layout| format!("layout {layout}"));
    Err(failed(
        "changelog",
        format!(
            "the changelog topic has {found}, but this version reads and writes layout {LAYOUT}. Run the version that wrote \
             it, or terminate the query and create it again"
        ),
    ))
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
mod tests;
