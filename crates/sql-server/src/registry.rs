//! The schema registry as formats see it: a client of it, or words about its absence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milena_schema::SchemaType;
use milena_schema::client::{ClientError, RegistryClient, SchemaText};
use milena_schema::wire::SchemaId;
use milena_sql::formats::FormatError;
use milena_sql::formats::registry::{RegisteredSchema, SchemaRegistry};

use crate::error::Failure;

/// A registry over HTTP. Calls block.
pub struct RemoteRegistry(pub RegistryClient);

impl RemoteRegistry {
    fn known(&self, id: i32) -> Result<RegisteredSchema, ClientError> {
        let schema = self.0.parsed(SchemaId::Id(id), None)?;
        Ok(RegisteredSchema { id, schema: (*schema).clone() })
    }
}

/// `None` for what the registry does not have.
fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, FormatError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(FormatError(error.to_string())),
    }
}

impl SchemaRegistry for RemoteRegistry {
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, FormatError> {
        let latest = found(self.0.latest(subject))?.and_then(|latest| latest.id);
        latest.map_or(Ok(None), |id| self.by_id(id))
    }

    fn by_id(&self, id: i32) -> Result<Option<RegisteredSchema>, FormatError> {
        found(self.known(id))
    }

    fn is_version(&self, subject: &str, id: i32) -> Result<bool, FormatError> {
        let subjects = found(self.0.subjects_of(id))?;
        Ok(subjects.is_some_and(|subjects| subjects.iter().any(|known| known == subject)))
    }

    fn register(&self, subject: &str, schema_type: SchemaType, text: &str) -> Result<RegisteredSchema, FormatError> {
        let schema = SchemaText { schema: text.to_owned(), schema_type, references: Vec::new() };
        let refused =
            |error: ClientError| FormatError(format!("Could not register schema for subject {subject}: {error}"));
        let registered = self.0.register(subject, &schema, false).map_err(refused)?;
        let id = registered.id.ok_or_else(|| FormatError("the registry gave the schema no id".to_owned()))?;
        self.known(id).map_err(refused)
    }

    fn adopt(&self, subject: &str, registered: &RegisteredSchema) -> Result<(), FormatError> {
        let refused = |error: ClientError| FormatError(format!("Could not register schema for topic: {error}"));
        let text = self.0.schema(SchemaId::Id(registered.id), None).map_err(refused)?.text;
        self.0.register(subject, &text, false).map(|_| ()).map_err(refused)
    }

    fn delete(&self, subject: &str) -> Result<(), FormatError> {
        found(self.0.delete_subject(subject, false)).map(|_| ())
    }
}

/// Where there is none.
pub struct NoRegistry;

/// What statements that need a registry hear.
const NO_REGISTRY: &str =
    "KSQL is not configured to use a schema registry. To enable it, please set ksql.schema.registry.url";

impl SchemaRegistry for NoRegistry {
    fn latest(&self, _subject: &str) -> Result<Option<RegisteredSchema>, FormatError> {
        Err(FormatError(NO_REGISTRY.to_owned()))
    }

    fn by_id(&self, _id: i32) -> Result<Option<RegisteredSchema>, FormatError> {
        Err(FormatError(NO_REGISTRY.to_owned()))
    }

    fn register(&self, _: &str, _: SchemaType, _: &str) -> Result<RegisteredSchema, FormatError> {
        Err(FormatError(NO_REGISTRY.to_owned()))
    }

    fn is_configured(&self) -> bool {
        false
    }
}

/// The registry as one request sees it: knows whether one that is not configured was missed.
pub struct Asked {
    registry: Arc<dyn SchemaRegistry>,
    was_missed: AtomicBool,
}

impl Asked {
    /// Nothing was asked yet.
    pub fn new(registry: Arc<dyn SchemaRegistry>) -> Asked {
        Asked { registry, was_missed: AtomicBool::new(false) }
    }

    /// Why a statement is refused: for want of a registry, if it has asked for one.
    pub fn reason(&self, failure: Failure) -> Failure {
        match self.was_missed.load(Ordering::Relaxed) && failure.code == Failure::BAD_STATEMENT {
            true => Failure { code: Failure::NO_REGISTRY, statement: None, ..failure },
            false => failure,
        }
    }

    fn registry(&self) -> &dyn SchemaRegistry {
        if !self.registry.is_configured() {
            self.was_missed.store(true, Ordering::Relaxed);
        }
        &*self.registry
    }
}

impl SchemaRegistry for Asked {
    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, FormatError> {
        self.registry().latest(subject)
    }

    fn by_id(&self, id: i32) -> Result<Option<RegisteredSchema>, FormatError> {
        self.registry().by_id(id)
    }

    fn register(&self, subject: &str, schema_type: SchemaType, text: &str) -> Result<RegisteredSchema, FormatError> {
        self.registry().register(subject, schema_type, text)
    }

    fn adopt(&self, subject: &str, registered: &RegisteredSchema) -> Result<(), FormatError> {
        self.registry().adopt(subject, registered)
    }

    fn delete(&self, subject: &str) -> Result<(), FormatError> {
        self.registry.delete(subject)
    }

    fn is_configured(&self) -> bool {
        self.registry.is_configured()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_missed_by_those_who_ask_for_it() {
        let asked = Asked::new(Arc::new(NoRegistry));
        let code = |asked: &Asked, code| asked.reason(Failure::new(code, "no")).code;
        assert_eq!(code(&asked, Failure::BAD_STATEMENT), Failure::BAD_STATEMENT);
        assert!(asked.latest("a-value").is_err());
        assert_eq!(code(&asked, Failure::BAD_STATEMENT), Failure::NO_REGISTRY);
        assert_eq!(code(&asked, Failure::SERVER), Failure::SERVER);
    }
}
