//! Configs of topics, brokers and groups.

use milena_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest, describe_configs_request,
    describe_configs_response, incremental_alter_configs_request,
};

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// What has configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A broker, or with an empty name the default of all brokers.
    Broker = 4,
    /// The loggers of a broker.
    BrokerLogger = 8,
    /// A subscription to client metrics (KIP-714).
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

/// One thing that has configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigResource {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name; empty for the cluster-wide default of brokers.
    pub name: String,
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets the key.
    Set(String, String),
    /// Removes the key, so that its default holds again.
    Delete(String),
}

impl Cluster {
    /// The configs of `resource`, with synonyms.
    ///
    /// # Errors
    /// The answer's code, for example an unknown topic.
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<describe_configs_response::Config>> {
        let mut results = self.describe_configs_of(std::slice::from_ref(resource)).await?;
        let result = results.pop().ok_or_else(|| Error::Config("no answer for the resource asked for".to_owned()))?;
        Error::check(result.error_code, result.error_message.as_ref())?;
        Ok(result.configs)
    }

    /// The configs of several resources of one kind that lives on any broker; errors stay in the results.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn describe_configs_of(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Vec<describe_configs_response::Result>> {
        let request = DescribeConfigsRequest {
            resources: resources
                .iter()
                .map(|resource| describe_configs_request::Resource {
                    resource_type: resource.resource_type as i8,
                    resource_name: resource.name.clone(),
                    configuration_keys: None,
                })
                .collect(),
            include_synonyms: true,
            include_documentation: false,
        };
        let connection = match resources.first() {
            Some(resource) => self.owner_of(resource).await?,
            None => return Ok(Vec::new()),
        };
        Ok(connection.send(&request).await?.results)
    }

    /// Changes configs of `resource`; keys not named keep their values.
    ///
    /// # Errors
    /// The answer's code with the broker's message.
    pub async fn alter_configs(&self, resource: &ConfigResource, changes: &[ConfigChange]) -> Result<()> {
        self.alter_configs_of(&[(resource.clone(), changes.to_vec())], false).await
    }

    /// Changes configs of several resources of one kind that lives on one broker, or only checks whether that could be done.
    /// Each resource is changed as a whole or not at all.
    ///
    /// # Errors
    /// The code of the first resource that was refused, with the broker's message.
    pub async fn alter_configs_of(
        &self,
        resources: &[(ConfigResource, Vec<ConfigChange>)],
        validate_only: bool,
    ) -> Result<()> {
        let Some((first, _)) = resources.first() else { return Ok(()) };
        let altered = resources.iter().map(|(resource, changes)| incremental_alter_configs_request::Resource {
            resource_type: resource.resource_type as i8,
            resource_name: resource.name.clone(),
            configs: changes.iter().map(change_on_the_wire).collect(),
        });
        let request = IncrementalAlterConfigsRequest { resources: altered.collect(), validate_only };
        let response = self.owner_of(first).await?.send(&request).await?;
        for result in response.responses {
            Error::check(result.error_code, result.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Names of the resources of one type that have configs.
    ///
    /// # Errors
    /// The answer's code.
    pub async fn list_config_resources(&self, resource_type: ResourceType) -> Result<Vec<String>> {
        let request = ListConfigResourcesRequest { resource_types: vec![resource_type as i8] };
        let response = self.send_any(&request).await?;
        Error::check(response.error_code, None)?;
        let of_type = response.config_resources.into_iter().filter(|entry| entry.resource_type == resource_type as i8);
        let mut names: Vec<String> = of_type.map(|entry| entry.resource_name).collect();
        names.sort();
        Ok(names)
    }

    /// A broker's own configs must be asked of that broker; everything else of any.
    async fn owner_of(&self, resource: &ConfigResource) -> Result<Connection> {
        let of_broker = matches!(resource.resource_type, ResourceType::Broker | ResourceType::BrokerLogger);
        match resource.name.parse() {
            Ok(id) if of_broker => self.node(id).await,
            _ => self.any().await,
        }
    }
}

fn change_on_the_wire(change: &ConfigChange) -> incremental_alter_configs_request::Config {
    let (name, config_operation, value) = match change {
        ConfigChange::Set(name, value) => (name, 0, Some(value.clone())),
        ConfigChange::Delete(name) => (name, 1, Some(String::new())),
    };
    incremental_alter_configs_request::Config { name: name.clone(), config_operation, value }
}
