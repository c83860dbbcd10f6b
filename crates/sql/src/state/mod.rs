//! What operators remember: ordered maps of bytes behind the trait [`StateStore`].
//!
//! Operators see nothing but the trait, so that the same operator runs over memory (in tests and in the test runner) and
//! over a store on disk with a changelog topic. Keys sort bytewise; [`codec`](self::codec) writes keys such that all
//! entries of one record key are neighbours and times sort within them.

use std::ops::ControlFlow;

pub mod codec;
mod disk;
mod memory;

pub use disk::{DiskStateReader, DiskStateStores};
pub use memory::{KeptStateStores, MemoryStateStore, MemoryStateStores};

/// The layout of state: of the stores of operators, and of what operators and [`codec`] write into them. It is raised with
/// every change of those. Local state of another layout is thrown away and restored; a changelog of another layout is
/// refused, since nothing can read it.
pub const LAYOUT: u32 = 1;

/// Why state cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state store {store}: {message}")]
pub struct StateError {
    /// Which store.
    pub store: String,
    /// What happened.
    pub message: String,
}

/// An ordered map of bytes.
pub trait StateStore: Send {
    /// The value of `key`.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Sets `key`.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError>;

    /// Removes `key`, which need not be there.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn delete(&mut self, key: &[u8]) -> Result<(), StateError>;

    /// Visits the entries from `from` (inclusive) to `to` (exclusive) in the order of their keys until `visit` breaks.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError>;
}

/// What [`StateStore::scan`] calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Where operators get their stores from.
pub trait StateStores {
    /// The store called `name`, unique within a query.
    ///
    /// # Errors
    /// A store that cannot be opened.
    fn open(&mut self, name: &str) -> Result<Box<dyn StateStore>, StateError>;
}

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// All entries from `from` (inclusive) to `to` (exclusive), in order.
///
/// # Errors
/// As [`StateStore::scan`].
pub fn entries(store: &dyn StateStore, from: &[u8], to: &[u8]) -> Result<Vec<Entry>, StateError> {
    let mut entries = Vec::new();
    store.scan(from, to, &mut |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// The first key after all keys that start with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // A prefix of nothing but 0xFF: no key of ours is longer than this.
    vec![u8::MAX; prefix.len() + 64]
}
