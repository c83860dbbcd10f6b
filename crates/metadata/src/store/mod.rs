//! The store behind the controller: keys and values with revisions.
//!
//! Every committed transaction gets the next revision, and each key remembers the revision of its last change. A
//! transaction names the revisions it relies on and is refused as a whole when one of them has moved: that is all two
//! controllers need to stay out of each other's way. A lease ties keys to a holder that must keep renewing it.
//!
//! Always true:
//!   revisions only grow, over restarts too
//!   a transaction is applied whole or not at all, and is on the disk when `commit` returns
//!   a watch sees every change of its prefix once, in the order of the revisions

pub mod embedded;
pub mod suite;

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A key, its value and the revision of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The revision of the transaction that wrote the value.
    pub revision: u64,
}

/// The entries under a prefix at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The revision of the store at that moment; a watch from the next one misses nothing.
    pub revision: u64,
    /// The entries, sorted by key.
    pub entries: Vec<Entry>,
}

/// What a transaction relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// The key does not exist.
    Absent(String),
    /// The key exists, last changed at this revision.
    Unchanged(String, u64),
}

/// One change of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Writes a value, for good or as long as a lease lives.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Vec<u8>,
        /// The lease that the key dies with.
        lease: Option<LeaseId>,
    },
    /// Removes a key; no error when it is absent.
    Delete {
        /// The key.
        key: String,
    },
}

/// Changes that happen together, if what they rely on still holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What must hold.
    pub expectations: Vec<Expectation>,
    /// What is done then, in this order.
    pub operations: Vec<Operation>,
}

impl Transaction {
    /// Nothing yet.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// Relies on `key` being absent.
    pub fn expect_absent(mut self, key: impl Into<String>) -> Transaction {
        self.expectations.push(Expectation::Absent(key.into()));
        self
    }

    /// Relies on `key` having been changed last at `revision`.
    pub fn expect_unchanged(mut self, key: impl Into<String>, revision: u64) -> Transaction {
        self.expectations.push(Expectation::Unchanged(key.into(), revision));
        self
    }

    /// Writes `key`.
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Transaction {
        self.operations.push(Operation::Put { key: key.into(), value: value.into(), lease: None });
        self
    }

    /// Writes `key` for as long as `lease` lives.
    pub fn put_leased(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>, lease: LeaseId) -> Transaction {
        self.operations.push(Operation::Put { key: key.into(), value: value.into(), lease: Some(lease) });
        self
    }

    /// Removes `key`.
    pub fn delete(mut self, key: impl Into<String>) -> Transaction {
        self.operations.push(Operation::Delete { key: key.into() });
        self
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Applied; this is its revision.
    Committed(u64),
    /// Not applied: what it expected of this key does not hold.
    Conflict(String),
}

/// A change of one key, as a watch tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision of the transaction.
    pub revision: u64,
    /// The key.
    pub key: String,
    /// The new value; `None` when the key was removed or its lease ended.
    pub value: Option<Vec<u8>>,
}

/// A lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// Why the store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory or the file cannot be opened.
    #[error("cannot open {}: {reason}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A read or a write failed.
    #[error("metadata store: {0}")]
    Storage(String),
    /// The lease has ended.
    #[error("lease {} has ended", .0.0)]
    LeaseEnded(LeaseId),
}

/// A revisioned key-value store. Calls block; a transaction is durable when it returns.
pub trait MetadataStore: Send + Sync {
    /// The entry of `key`.
    ///
    /// # Errors
    /// The store cannot be read.
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Every entry whose key starts with `prefix`, as of one revision.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&self, prefix: &str) -> Result<Listing, StoreError>;

    /// Applies a transaction if everything it expects holds.
    ///
    /// # Errors
    /// The store cannot be written, or a lease it names has ended; nothing is applied then.
    fn commit(&self, transaction: Transaction) -> Result<Outcome, StoreError>;

    /// Every change of keys that start with `prefix`, from now on.
    fn watch(&self, prefix: &str) -> Receiver<Change>;

    /// A lease that ends after `ttl` without [`MetadataStore::keep_alive`].
    ///
    /// # Errors
    /// The store cannot be written.
    fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Begins the lease's time anew.
    ///
    /// # Errors
    /// [`StoreError::LeaseEnded`]; the keys are gone then.
    fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends the lease and removes its keys. No error when it has ended already.
    ///
    /// # Errors
    /// The store cannot be written.
    fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
}
