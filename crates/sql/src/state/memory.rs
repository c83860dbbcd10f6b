//! State in memory, for tests and the test runner.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{StateError, StateStore, StateStores, Visit};

/// A store that lives as long as its owner.
#[derive(Debug, Default)]
pub struct MemoryStateStore {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl StateStore for MemoryStateStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(key).cloned())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.entries.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), StateError> {
        self.entries.remove(key);
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError> {
        if from >= to {
            return Ok(());
        }
        for (key, value) in self.entries.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Opens a new empty store each time.
#[derive(Debug, Default)]
pub struct MemoryStateStores;

impl StateStores for MemoryStateStores {
    fn open(&mut self, _name: &str) -> Result<Box<dyn StateStore>, StateError> {
        Ok(Box::new(MemoryStateStore::default()))
    }
}

/// Opens a store by its name again and again: it lives as long as this, and is the same for all who open it.
#[derive(Debug, Default)]
pub struct KeptStateStores {
    stores: HashMap<String, Arc<Mutex<MemoryStateStore>>>,
}

#[cfg(test)]
impl KeptStateStores {
    /// What all stores hold, in the order of their names.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<super::Entry>)> {
        let entries = |store: &Mutex<MemoryStateStore>| store.lock().entries.clone().into_iter().collect();
        let each = self.stores.iter().map(|(name, store)| (name.clone(), entries(store)));
        let mut contents: Vec<_> = each.collect();
        contents.sort();
        contents
    }
}

impl StateStores for KeptStateStores {
    fn open(&mut self, name: &str) -> Result<Box<dyn StateStore>, StateError> {
        Ok(Box::new(self.stores.entry(name.to_owned()).or_default().clone()))
    }
}

impl StateStore for Arc<Mutex<MemoryStateStore>> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.lock().get(key)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.lock().put(key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), StateError> {
        self.lock().delete(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError> {
        self.lock().scan(from, to, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{entries, prefix_end};

    #[test]
    fn entries_come_in_the_order_of_their_keys() {
        let mut store = MemoryStateStores.open("any").unwrap();
        for key in [&b"b"[..], b"ab", b"a", b"\xff\xff"] {
            store.put(key, b"1").unwrap();
        }
        store.delete(b"b").unwrap();
        let found = entries(store.as_ref(), b"a", &prefix_end(b"a")).unwrap();
        assert_eq!(found.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(), [&b"a"[..], b"ab"]);
        assert_eq!(entries(store.as_ref(), b"\xff", &prefix_end(b"\xff")).unwrap().len(), 1);
        assert!(entries(store.as_ref(), b"z", b"a").unwrap().is_empty());
    }
}
