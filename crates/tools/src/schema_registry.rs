//! What the tools that know schemas have in common: the client of a schema registry, made of properties.

use milena_schema::client::{ClientConfig, ClientError, RegistryClient};
use milena_schema::serializer::SerdeError;

use crate::failure::Failure;
use crate::session::ClientProperties;

/// Where the registry is looked for when `schema.registry.url` is not given.
const DEFAULT_URL: &str = "http://localhost:8081";

/// A client for the registry that `schema.registry.url` and its kin describe.
///
/// # Errors
/// Settings that make no sense.
pub fn client(properties: &ClientProperties) -> Result<RegistryClient, Failure> {
    let get = |key: &str| properties.get(key).or((key == "schema.registry.url").then_some(DEFAULT_URL));
    let config = ClientConfig::from_properties(get).map_err(|error| invalid_config(error.to_string()))?;
    RegistryClient::new(config).map_err(|error| invalid_config(error.to_string()))
}

/// A setting that makes no sense.
pub fn invalid_config(message: String) -> Failure {
    Failure::Exception { class: "org.apache.kafka.common.config.ConfigException", message }
}

/// A record that cannot be written or read.
pub fn serialization(message: impl Into<String>) -> Failure {
    Failure::Exception { class: "org.apache.kafka.common.errors.SerializationException", message: message.into() }
}

impl From<SerdeError> for Failure {
    fn from(error: SerdeError) -> Self {
        match error {
            SerdeError::Registry(error) => error.into(),
            SerdeError::InvalidSetting { .. } | SerdeError::SubjectName(_) => invalid_config(error.to_string()),
            other => serialization(other.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let class = match error {
            ClientError::Unreachable(_) => "java.net.ConnectException",
            _ => "io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException",
        };
        Failure::Exception { class, message: error.to_string() }
    }
}
