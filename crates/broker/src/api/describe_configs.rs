//! DescribeConfigs (key 32), versions 0-4.
//!
//! - topics (2), brokers (4; an empty name means the default of all brokers), subscriptions to client metrics (16) and
//!   groups (32)
//! - v1+ tells where a value comes from and lists its synonyms, strongest first; v3+ types and documentation
//! - secrets are never shown: their value is null and they are marked sensitive
//! - broker loggers (8) show their levels (KIP-412)

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::config_def::is_dynamic_broker_config;
use milena_metadata::{ClusterImage, ConfigSource, EffectiveConfig, topic_name};
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_configs_request::Resource;
use milena_protocol::messages::describe_configs_response::{Config, Result as ResourceResult, Synonym};
use milena_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::context::{Broker, RequestContext};
use crate::{broker_loggers, config_resource};

/// What the client wants to see of each value.
struct Detail {
    synonyms: bool,
    documentation: bool,
}

/// Why a resource cannot be described.
struct Refusal {
    code: ErrorCode,
    message: String,
}

/// Tells the configuration in force of topics, brokers and groups.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let image = broker.image();
    let detail = Detail { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.into_iter().map(|resource| {
        let (resource_type, name) = (resource.resource_type, resource.resource_name.as_str());
        match config_resource::refusal(broker, context, AclOperation::DescribeConfigs, resource_type, name) {
            None => describe(&image, resource, &detail),
            Some((code, message)) => ResourceResult {
                error_code: code.code(),
                error_message: Some(message),
                resource_type,
                resource_name: resource.resource_name,
                configs: Vec::new(),
            },
        }
    });
    let results = results.collect();
    DescribeConfigsResponse { results, ..Default::default() }
}

fn describe(image: &ClusterImage, resource: Resource, detail: &Detail) -> ResourceResult {
    let described = match resource.resource_type {
        config_resource::TOPIC => topic(image, &resource.resource_name, detail),
        config_resource::BROKER => broker_or_default(image, &resource.resource_name, detail),
        config_resource::GROUP => group(image, &resource.resource_name, detail),
        config_resource::CLIENT_METRICS => client_metrics(image, &resource.resource_name, detail),
        config_resource::BROKER_LOGGER => loggers(image, &resource.resource_name),
        other => Err(Refusal { code: ErrorCode::InvalidRequest, message: config_resource::unsupported(other) }),
    };
    let (code, message, configs) = match described {
        Ok(configs) => (ErrorCode::None, None, configs),
        Err(refusal) => (refusal.code, Some(refusal.message), Vec::new()),
    };
    let wanted = |config: &Config| resource.configuration_keys.as_ref().is_none_or(|keys| keys.contains(&config.name));
    ResourceResult {
        error_code: code.code(),
        error_message: message,
        resource_type: resource.resource_type,
        configs: configs.into_iter().filter(wanted).collect(),
        resource_name: resource.resource_name,
    }
}

fn topic(image: &ClusterImage, name: &str, detail: &Detail) -> Result<Vec<Config>, Refusal> {
    if let Err(error) = topic_name::validate(name) {
        return Err(Refusal { code: ErrorCode::InvalidTopicException, message: error.to_string() });
    }
    let Some(topic) = image.topic(name) else {
        let code = ErrorCode::UnknownTopicOrPartition;
        return Err(Refusal { code, message: code.message().to_owned() });
    };
    Ok(image.topic_configs(&topic.configs).map(|config| entry(config, false, detail)).collect())
}

fn broker_or_default(image: &ClusterImage, name: &str, detail: &Detail) -> Result<Vec<Config>, Refusal> {
    let invalid = |message: String| Refusal { code: ErrorCode::InvalidRequest, message };
    if name.is_empty() {
        return Ok(default_of_all_brokers(image, detail));
    }
    let id: i32 = name.parse().map_err(|_| invalid(format!("Broker id must be an integer, but it is: {name}")))?;
    if id != image.node_id {
        let expected = image.node_id;
        return Err(invalid(format!("Unexpected broker id, expected {expected} or empty string, but received {name}")));
    }
    let configs = milena_metadata::config_def::BROKER_CONFIGS.iter().map(|def| {
        let read_only = !is_dynamic_broker_config(def.name, false);
        entry(image.broker_config(def), read_only, detail)
    });
    Ok(configs.collect())
}

/// What is set for all brokers; what is not set has no entry.
fn default_of_all_brokers(image: &ClusterImage, detail: &Detail) -> Vec<Config> {
    let set = milena_metadata::config_def::BROKER_CONFIGS.iter().filter_map(|def| {
        let mut config = image.broker_config(def);
        config.synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
        config.value = Some(image.default_broker_config.get(def.name)?.clone());
        config.source = ConfigSource::DynamicDefaultBroker;
        Some(entry(config, false, detail))
    });
    set.collect()
}

fn group(image: &ClusterImage, name: &str, detail: &Detail) -> Result<Vec<Config>, Refusal> {
    if name.is_empty() {
        return Err(Refusal { code: ErrorCode::InvalidRequest, message: "Group name must not be empty".to_owned() });
    }
    Ok(image.group_configs(name).map(|config| entry(config, false, detail)).collect())
}

fn client_metrics(image: &ClusterImage, name: &str, detail: &Detail) -> Result<Vec<Config>, Refusal> {
    if name.is_empty() {
        let message = "Client metrics subscription name must not be empty".to_owned();
        return Err(Refusal { code: ErrorCode::InvalidRequest, message });
    }
    Ok(image.client_metrics_configs(name).map(|config| entry(config, false, detail)).collect())
}

fn loggers(image: &ClusterImage, name: &str) -> Result<Vec<Config>, Refusal> {
    let checked = config_resource::check_logger_broker(image.node_id, name);
    checked.map(|()| broker_loggers::describe()).map_err(|(code, message)| Refusal { code, message })
}

fn entry(config: EffectiveConfig, read_only: bool, detail: &Detail) -> Config {
    let sensitive = config.def.is_sensitive();
    let shown = |value: String| (!sensitive).then_some(value);
    let synonyms = config.synonyms.into_iter().filter(|_| detail.synonyms).map(|synonym| Synonym {
        name: synonym.name.to_owned(),
        value: shown(synonym.value),
        source: synonym.source as i8,
    });
    Config {
        name: config.def.name.to_owned(),
        value: config.value.and_then(shown),
        read_only,
        is_default: config.source == ConfigSource::Default,
        config_source: config.source as i8,
        is_sensitive: sensitive,
        synonyms: synonyms.collect(),
        config_type: config.def.kind as i8,
        documentation: detail.documentation.then(|| config.def.doc.to_owned()),
    }
}
