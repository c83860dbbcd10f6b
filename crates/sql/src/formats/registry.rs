//! Where formats find and register schemas.

use std::collections::HashMap;

use milena_schema::{ParseOptions, ParsedSchema, ResolvedReference, SchemaType};
use parking_lot::Mutex;

use super::FormatError;

/// A schema with the id by which records name it.
#[derive(Debug, Clone)]
pub struct RegisteredSchema {
    /// The id.
    pub id: i32,
    /// The schema.
    pub schema: ParsedSchema,
}

/// A registry, as the engine sees it. Calls may block.
pub trait SchemaRegistry: Send + Sync {
    /// The newest schema of `subject`; `None` when there is no such subject.
    ///
    /// # Errors
    /// A registry that cannot be asked.
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, FormatError>;

    /// The schema with this id; `None` when there is none.
    ///
    /// # Errors
    /// A registry that cannot be asked.
    fn by_id(&self, id: i32) -> Result<Option<RegisteredSchema>, FormatError>;

    /// Whether a version of `subject` is the schema with this id.
    ///
    /// # Errors
    /// A registry that cannot be asked.
    fn is_version(&self, subject: &str, id: i32) -> Result<bool, FormatError> {
        Ok(self.latest(subject)?.is_some_and(|latest| latest.id == id))
    }

    /// Registers `text` under `subject` unless it is there, and returns its id.
    ///
    /// # Errors
    /// A schema that is refused.
    fn register(&self, subject: &str, schema_type: SchemaType, text: &str) -> Result<RegisteredSchema, FormatError>;

    /// Makes a schema that has an id the newest one of `subject`.
    ///
    /// # Errors
    /// A registry that refuses.
    fn adopt(&self, subject: &str, registered: &RegisteredSchema) -> Result<(), FormatError> {
        let schema = &registered.schema;
        self.register(subject, schema.schema_type(), schema.canonical()).map(|_| ())
    }

    /// Whether there is a registry at all: nothing can be asked of one that is not configured.
    fn is_configured(&self) -> bool {
        true
    }

    /// Deletes the schemas of a subject, where that can be done.
    ///
    /// # Errors
    /// A registry that refuses.
    fn delete(&self, subject: &str) -> Result<(), FormatError> {
        let _ = subject;
        Ok(())
    }
}

/// A registry in memory, for tests and the test runner.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    state: Mutex<MemoryState>,
}

#[derive(Debug, Default)]
struct MemoryState {
    by_id: HashMap<i32, ParsedSchema>,
    latest: HashMap<String, i32>,
    next_id: i32,
}

impl MemoryRegistry {
    /// Registers a schema with references, under a given id when there is one.
    ///
    /// # Errors
    /// A text that is no schema.
    pub fn add(
        &self,
        subject: &str,
        schema_type: SchemaType,
        text: &str,
        references: &[ResolvedReference],
        id: Option<i32>,
    ) -> Result<RegisteredSchema, FormatError> {
        let schema =
            ParsedSchema::parse(schema_type, text, references, &ParseOptions::STORED).map_err(FormatError::new)?;
        let mut state = self.state.lock();
        let same = |known: &ParsedSchema| known.schema_type() == schema_type && known.canonical() == schema.canonical();
        let known = state.by_id.iter().find(|(_, known)| same(known)).map(|(id, _)| *id);
        let id = id.or(known).unwrap_or_else(|| {
            while state.next_id == 0 || state.by_id.contains_key(&state.next_id) {
                state.next_id += 1;
            }
            state.next_id
        });
        state.by_id.insert(id, schema.clone());
        state.latest.insert(subject.to_owned(), id);
        Ok(RegisteredSchema { id, schema })
    }
}

impl SchemaRegistry for MemoryRegistry {
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, FormatError> {
        let state = self.state.lock();
        let id = state.latest.get(subject).copied();
        Ok(id.and_then(|id| Some(RegisteredSchema { id, schema: state.by_id.get(&id)?.clone() })))
    }

    fn by_id(&self, id: i32) -> Result<Option<RegisteredSchema>, FormatError> {
        Ok(self.state.lock().by_id.get(&id).map(|schema| RegisteredSchema { id, schema: schema.clone() }))
    }

    fn register(&self, subject: &str, schema_type: SchemaType, text: &str) -> Result<RegisteredSchema, FormatError> {
        self.add(subject, schema_type, text, &[], None)
    }

    fn adopt(&self, subject: &str, registered: &RegisteredSchema) -> Result<(), FormatError> {
        let mut state = self.state.lock();
        // The schema may be known from elsewhere.
        state.by_id.entry(registered.id).or_insert_with(|| registered.schema.clone());
        state.latest.insert(subject.to_owned(), registered.id);
        Ok(())
    }

    fn delete(&self, subject: &str) -> Result<(), FormatError> {
        self.state.lock().latest.remove(subject);
        Ok(())
    }
}
