//! The schema registry as formats see it: a client of it, or words about its absence.

use milena_schema::SchemaType;
use milena_schema::client::{ClientError, RegistryClient, SchemaText};
use milena_schema::wire::SchemaId;
use milena_sql::formats::FormatError;
use milena_sql::formats::registry::{RegisteredSchema, SchemaRegistry};

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
pub const NO_REGISTRY: &str =
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
}
