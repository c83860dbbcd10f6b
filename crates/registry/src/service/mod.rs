//! What a registry does, without HTTP: each file is one group of verbs on [`Service`].
//!
//! Questions are answered from the [`Store`](crate::storage::Store) under its read lock. Whoever changes something holds
//! [`Service::writes`] from the first look to the moment when the store shows what was written, so two changes never
//! interleave; only the leader among several instances changes anything.

mod associations;
mod compatibility;
mod config;
mod context;
mod delete;
pub mod entity;
mod error;
mod list;
mod lookup;
mod mode;
mod reference;
mod register;
mod tags;

use std::collections::HashMap;
use std::sync::Arc;

use milena_schema::{ParseOptions, ParsedSchema};
use parking_lot::Mutex;

use crate::settings_of_scope::CompatibilityLevel;
use crate::storage::{Content, Log, Record, StorageError};

pub use associations::{AssociationFilter, AssociationRequest, BatchGet, BatchMutate, ResourceAnswer, Whose};
pub use config::Scope;
pub use error::{Error, Result};
pub use list::{Page, SchemaFilter, Show};
pub use register::RegisterOptions;

/// Parsed schemas that are kept; beyond that all are dropped.
const PARSED_MAX: usize = 1000;

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// `schema.compatibility.level`
    pub compatibility_level: CompatibilityLevel,
    /// `mode.mutability`
    pub mode_mutability: bool,
    /// `schema.validate.new.schemas`
    pub validate_new_schemas: bool,
    /// `schema.registry.group.id`: what `/v1/metadata/id` tells.
    pub group_id: String,
}

impl Default for ServiceOptions {
    fn default() -> ServiceOptions {
        ServiceOptions {
            compatibility_level: CompatibilityLevel::Backward,
            mode_mutability: true,
            validate_new_schemas: true,
            group_id: "schema-registry".to_owned(),
        }
    }
}

/// See the module's words.
pub struct Service {
    options: ServiceOptions,
    log: Log,
    /// Held by whoever changes something.
    writes: tokio::sync::Mutex<()>,
    /// By context and MD5: what references mean depends on the context.
    parsed: Mutex<HashMap<(String, [u8; 16]), ParsedSchema>>,
}

impl Service {
    /// A service over `log`.
    pub fn new(options: ServiceOptions, log: Log) -> Service {
        Service { options, log, writes: tokio::sync::Mutex::default(), parsed: Mutex::default() }
    }

    /// Waits until no change is under way; none begins while the guard lives. For giving up the lead.
    pub async fn hold_writes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writes.lock().await
    }

    /// Where it keeps things.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The right to change something: nobody else does until the guard is dropped.
    async fn begin(&self) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        let guard = self.writes.lock().await;
        self.log.settle().await.map_err(|error| Error::Store(error.to_string()))?;
        Ok(guard)
    }

    /// Writes `records` and returns when the store shows them. The caller holds `writes`.
    async fn write(&self, records: Vec<Record>) -> Result<()> {
        self.log.append(records).await.map_err(|error| match error {
            StorageError::TooLarge => Error::SchemaTooLarge,
            StorageError::TimedOut(what) => Error::TimedOut(what),
            other => Error::Store(other.to_string()),
        })
    }

    /// The parsed form of a registered schema.
    fn parsed(&self, context: &str, content: &Arc<Content>) -> Result<ParsedSchema> {
        let key = (context.to_owned(), content.md5);
        if let Some(parsed) = self.parsed.lock().get(&key) {
            return Ok(parsed.clone());
        }
        let references = self.resolve_stored(context, &content.references)?;
        let parsed = ParsedSchema::parse(content.schema_type, &content.schema, &references, &ParseOptions::STORED)
            .map_err(Error::invalid)?;
        let mut cache = self.parsed.lock();
        if cache.len() >= PARSED_MAX {
            cache.clear();
        }
        cache.insert(key, parsed.clone());
        Ok(parsed)
    }
}

/// Runs what may take long without holding up the other tasks of the process, among them those of a broker.
fn at_leisure<T>(work: impl FnOnce() -> T) -> T {
    let several_threads = tokio::runtime::Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if several_threads { tokio::task::block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests;
