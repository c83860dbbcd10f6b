//! Changing configuration: of topics, of this broker, of all brokers, of groups, of subscriptions to client metrics.
//!
//! What counts is what is set for the resource itself; nothing here looks at inherited values except to check that values
//! fit together.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::client_match;
use crate::config_def::{
    BROKER_CONFIGS, CLIENT_METRICS_CONFIGS, ConfigDef, ConfigType, GROUP_CONFIGS, RETIRED_TOPIC_CONFIGS, TOPIC_CONFIGS,
    is_dynamic_broker_config, split_list,
};
use crate::image::{ClusterImage, ConfigMap, TopicImage};
use crate::store::Transaction;

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// One broker.
    Broker(i32),
    /// The defaults of all brokers.
    BrokerDefault,
    /// A group.
    Group(String),
    /// A subscription to client metrics (KIP-714).
    ClientMetrics(String),
}

/// The whole new configuration of a resource.
#[derive(Debug, Clone)]
pub struct ConfigReplacement {
    /// What is configured.
    pub resource: ConfigResource,
    /// Every key with its value.
    pub configs: Vec<(String, Option<String>)>,
}

/// Changes of single keys of a resource.
#[derive(Debug, Clone)]
pub struct ConfigAlteration {
    /// What is configured.
    pub resource: ConfigResource,
    /// The changes; no key twice.
    pub ops: Vec<ConfigOp>,
}

/// A change of one key.
#[derive(Debug, Clone)]
pub struct ConfigOp {
    /// The key.
    pub name: String,
    /// What to do.
    pub kind: ConfigOpKind,
    /// The value to set, or the elements to add or take away.
    pub value: Option<String>,
}

/// What to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOpKind {
    /// Give it this value.
    Set,
    /// Forget its value.
    Delete,
    /// Add elements to a list.
    Append,
    /// Take elements from a list.
    Subtract,
}

impl ConfigOpKind {
    /// The kind with this number in IncrementalAlterConfigs.
    pub fn from_wire(number: i8) -> Option<ConfigOpKind> {
        match number {
            0 => Some(ConfigOpKind::Set),
            1 => Some(ConfigOpKind::Delete),
            2 => Some(ConfigOpKind::Append),
            3 => Some(ConfigOpKind::Subtract),
            _ => None,
        }
    }

    /// The name in capitals, as messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            ConfigOpKind::Set => "SET",
            ConfigOpKind::Delete => "DELETE",
            ConfigOpKind::Append => "APPEND",
            ConfigOpKind::Subtract => "SUBTRACT",
        }
    }
}

impl Controller {
    pub(super) fn alter_configs_now(
        &self,
        resources: Vec<ConfigReplacement>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let plan = |image: &ClusterImage, replacement: ConfigReplacement| {
            check_exists(image, &replacement.resource)?;
            let configs = complete(&replacement.resource, replacement.configs)?;
            Ok((replacement.resource, configs))
        };
        self.change_configs(resources, validate_only, plan)
    }

    pub(super) fn incremental_alter_configs_now(
        &self,
        resources: Vec<ConfigAlteration>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let plan = |image: &ClusterImage, alteration: ConfigAlteration| {
            check_exists(image, &alteration.resource)?;
            let configs = altered(image, &alteration.resource, alteration.ops)?;
            Ok((alteration.resource, configs))
        };
        self.change_configs(resources, validate_only, plan)
    }

    fn change_configs<T>(
        &self,
        resources: Vec<T>,
        validate_only: bool,
        plan: impl Fn(&ClusterImage, T) -> Result<(ConfigResource, ConfigMap), ControllerError>,
    ) -> Vec<Result<(), ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let mut transaction = Transaction::new();
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(resources.len());
        for resource in resources {
            let planned = plan(&image, resource).and_then(|(resource, configs)| {
                check_values(&image, &resource, &configs)?;
                Ok((resource, configs))
            });
            answers.push(planned.map(|(resource, configs)| {
                let key = records::config_key(&resource);
                let old = std::mem::take(&mut transaction);
                transaction =
                    if configs.is_empty() { old.delete(key) } else { old.put(key, records::encode(&configs)) };
                changes.push(set_configs(&mut image, resource, configs));
            }));
        }
        if validate_only {
            return answers;
        }
        match self.apply(&mut changing, transaction, image, &changes) {
            Ok(()) => answers,
            Err(error) => answers.into_iter().map(|answer| answer.and(Err(error.clone()))).collect(),
        }
    }
}

/// The configuration of a topic that is being created.
pub(super) fn of_new_topic(
    image: &ClusterImage,
    configs: Vec<(String, Option<String>)>,
) -> Result<ConfigMap, ControllerError> {
    let resource = ConfigResource::Topic(String::new());
    let configs = complete(&resource, configs)?;
    check_values(image, &resource, &configs)?;
    Ok(configs)
}

fn check_exists(image: &ClusterImage, resource: &ConfigResource) -> Result<(), ControllerError> {
    match resource {
        ConfigResource::Topic(name) if image.topic(name).is_none() => Err(ControllerError::UnknownTopic),
        ConfigResource::Broker(id) if *id != image.node_id => Err(ControllerError::InvalidRequest(format!(
            "Unexpected broker id, expected {}, but received {id}",
            image.node_id
        ))),
        ConfigResource::Group(id) if id.is_empty() => {
            Err(ControllerError::InvalidRequest("Default group resources are not allowed.".to_owned()))
        }
        ConfigResource::ClientMetrics(name) if name.is_empty() => {
            Err(ControllerError::InvalidRequest("Subscription name can't be empty".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Keys with values, every value present and no key twice.
fn complete(resource: &ConfigResource, configs: Vec<(String, Option<String>)>) -> Result<ConfigMap, ControllerError> {
    let without_value: Vec<&str> =
        configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if !without_value.is_empty() {
        let names = without_value.join(",");
        return Err(ControllerError::InvalidConfig(format!(
            "Null value not supported for {} configs: {names}",
            kind_of(resource)
        )));
    }
    let mut complete = ConfigMap::new();
    for (name, value) in configs {
        if complete.insert(name, value.unwrap_or_default()).is_some() {
            return Err(ControllerError::InvalidRequest("Error due to duplicate config keys".to_owned()));
        }
    }
    Ok(without_retired(resource, complete))
}

/// What is set for the resource itself.
fn own_configs(image: &ClusterImage, resource: &ConfigResource) -> ConfigMap {
    match resource {
        ConfigResource::Topic(name) => image.topic(name).map(|topic| topic.configs.clone()),
        ConfigResource::Broker(id) => image.broker_configs.get(id).cloned(),
        ConfigResource::BrokerDefault => Some(image.default_broker_config.clone()),
        ConfigResource::Group(id) => image.group_configs.get(id).cloned(),
        ConfigResource::ClientMetrics(name) => image.client_metrics_configs.get(name).cloned(),
    }
    .unwrap_or_default()
}

fn set_configs(image: &mut ClusterImage, resource: ConfigResource, configs: ConfigMap) -> MetadataChange {
    match resource {
        ConfigResource::Topic(name) => {
            let topic = image.remove_topic(&name).expect("the topic was checked to exist in this image");
            let topic = Arc::new(TopicImage { configs, ..TopicImage::clone(&topic) });
            image.insert_topic(topic.clone());
            MetadataChange::TopicConfigChanged(topic)
        }
        ConfigResource::Broker(id) => {
            image.broker_configs.insert(id, configs);
            MetadataChange::BrokerConfigChanged
        }
        ConfigResource::BrokerDefault => {
            image.default_broker_config = configs;
            MetadataChange::BrokerConfigChanged
        }
        ConfigResource::Group(id) => {
            if configs.is_empty() {
                image.group_configs.remove(&id);
            } else {
                image.group_configs.insert(id.clone(), configs);
            }
            MetadataChange::GroupConfigChanged(id)
        }
        ConfigResource::ClientMetrics(name) => {
            if configs.is_empty() {
                image.client_metrics_configs.remove(&name);
            } else {
                image.client_metrics_configs.insert(name.clone(), configs);
            }
            MetadataChange::ClientMetricsConfigChanged(name)
        }
    }
}

/// The resource's configuration after `ops`.
fn altered(image: &ClusterImage, resource: &ConfigResource, ops: Vec<ConfigOp>) -> Result<ConfigMap, ControllerError> {
    let mut seen = BTreeSet::new();
    if !ops.iter().all(|op| seen.insert(op.name.as_str())) {
        return Err(ControllerError::InvalidRequest("Error due to duplicate config keys".to_owned()));
    }
    let without_value: Vec<&str> = ops
        .iter()
        .filter(|op| op.kind != ConfigOpKind::Delete && op.value.is_none())
        .map(|op| op.name.as_str())
        .collect();
    if !without_value.is_empty() {
        return Err(ControllerError::InvalidRequest(format!(
            "Null value not supported for : {}",
            without_value.join(",")
        )));
    }
    let mut configs = own_configs(image, resource);
    for op in ops {
        let value = op.value.unwrap_or_default();
        match op.kind {
            ConfigOpKind::Delete => drop(configs.remove(&op.name)),
            ConfigOpKind::Set => drop(configs.insert(op.name, value)),
            ConfigOpKind::Append | ConfigOpKind::Subtract => {
                let list = changed_list(resource, &configs, &op.name, op.kind, &value)?;
                configs.insert(op.name, list);
            }
        }
    }
    Ok(without_retired(resource, configs))
}

fn changed_list(
    resource: &ConfigResource,
    configs: &ConfigMap,
    name: &str,
    kind: ConfigOpKind,
    value: &str,
) -> Result<String, ControllerError> {
    let def = def_of(resource, name).filter(|def| def.kind == ConfigType::List).ok_or_else(|| {
        ControllerError::InvalidConfig(format!("Can't {} to key {name} because its type is not LIST.", kind.name()))
    })?;
    let current = configs.get(name).map(String::as_str).or(def.default).unwrap_or("");
    let mut elements: Vec<&str> = split_list(current).collect();
    for element in split_list(value) {
        match kind {
            ConfigOpKind::Append if !elements.contains(&element) => elements.push(element),
            ConfigOpKind::Subtract => elements.retain(|kept| *kept != element),
            _ => {}
        }
    }
    Ok(elements.join(","))
}

/// Checks names, values, and that values fit together.
fn check_values(image: &ClusterImage, resource: &ConfigResource, configs: &ConfigMap) -> Result<(), ControllerError> {
    match resource {
        ConfigResource::Topic(_) => {
            check_each(resource, configs)?;
            check_topic(image, configs)
        }
        ConfigResource::Group(_) => {
            check_each(resource, configs)?;
            check_group(image, configs)
        }
        ConfigResource::ClientMetrics(_) => check_client_metrics(configs),
        ConfigResource::Broker(_) => check_dynamic(configs, false),
        ConfigResource::BrokerDefault => check_dynamic(configs, true),
    }
}

fn check_each(resource: &ConfigResource, configs: &ConfigMap) -> Result<(), ControllerError> {
    configs.iter().try_for_each(|(name, value)| match def_of(resource, name) {
        Some(def) => Ok(def.validate(value)?),
        None => Err(ControllerError::InvalidConfig(format!("Unknown {} config name: {name}", kind_of(resource)))),
    })
}

fn check_topic(image: &ClusterImage, configs: &ConfigMap) -> Result<(), ControllerError> {
    let number = |name: &str| {
        let def = TOPIC_CONFIGS.get(name).expect("a key of the table");
        image.topic_config(def, configs).value.and_then(|value| value.trim().parse::<i64>().ok())
    };
    let (least, most) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        return Err(ControllerError::InvalidConfig(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
        )));
    }
    if configs.get("remote.storage.enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Err(ControllerError::InvalidConfig(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
                .to_owned(),
        ));
    }
    Ok(())
}

/// A group's own values must lie within what the broker allows.
fn check_group(image: &ClusterImage, configs: &ConfigMap) -> Result<(), ControllerError> {
    for (name, value) in configs {
        let Some((kind, rest)) = name.split_once('.') else { continue };
        // `streams.num.standby.replicas` is bound by `group.streams.max.standby.replicas`.
        let rest = rest.strip_prefix("num.").unwrap_or(rest);
        let Ok(value) = value.trim().parse::<i64>() else { continue };
        let bound = |word: &str| {
            let key = format!("group.{kind}.{word}.{rest}");
            let limit = image.broker_value(&key).and_then(|limit| limit.trim().parse::<i64>().ok());
            limit.map(|limit| (key, limit))
        };
        if let Some((key, limit)) = bound("min")
            && value < limit
        {
            return Err(ControllerError::InvalidConfig(format!("{name} must be greater than or equal to {key}")));
        }
        if let Some((key, limit)) = bound("max")
            && value > limit
        {
            return Err(ControllerError::InvalidConfig(format!("{name} must be less than or equal to {key}")));
        }
    }
    Ok(())
}

/// A subscription's interval and match patterns have wordings of their own.
fn check_client_metrics(configs: &ConfigMap) -> Result<(), ControllerError> {
    for (name, value) in configs {
        let Some(def) = CLIENT_METRICS_CONFIGS.get(name) else {
            return Err(ControllerError::InvalidRequest(format!("Unknown client metrics configuration: {name}")));
        };
        def.validate(value)?;
    }
    let interval = configs.get("interval.ms").and_then(|value| value.trim().parse::<i64>().ok());
    if let Some(interval) = interval.filter(|interval| !(100..=3_600_000).contains(interval)) {
        return Err(ControllerError::InvalidRequest(format!(
            "Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        )));
    }
    client_match::ClientMatch::parse(configs.get("match").map_or("", String::as_str))
        .map(drop)
        .map_err(ControllerError::InvalidConfig)
}

/// Dynamic configuration of brokers. A wrong value is INVALID_REQUEST here, not INVALID_CONFIG; so it is in Kafka.
fn check_dynamic(configs: &ConfigMap, for_all: bool) -> Result<(), ControllerError> {
    let refused: Vec<&str> =
        configs.keys().map(String::as_str).filter(|name| !is_dynamic_broker_config(name, for_all)).collect();
    if !refused.is_empty() {
        let names = refused.join(", ");
        let reason = if for_all && refused.iter().all(|name| is_dynamic_broker_config(name, false)) {
            format!("Cannot update these per-broker configs at default cluster level: [{names}]")
        } else {
            format!("Cannot update these configs dynamically: [{names}]")
        };
        return Err(ControllerError::InvalidRequest(reason));
    }
    for (name, value) in configs {
        if let Some(def) = BROKER_CONFIGS.get(name) {
            def.validate(value).map_err(|error| ControllerError::InvalidRequest(error.to_string()))?;
        }
    }
    Ok(())
}

/// Leaves out keys that Kafka no longer has, which scripts still send.
fn without_retired(resource: &ConfigResource, mut configs: ConfigMap) -> ConfigMap {
    if matches!(resource, ConfigResource::Topic(_)) {
        for name in RETIRED_TOPIC_CONFIGS {
            if configs.remove(*name).is_some() {
                tracing::warn!(config = name, "topic configuration ignored: Kafka 4 removed it");
            }
        }
    }
    configs
}

fn def_of(resource: &ConfigResource, name: &str) -> Option<&'static ConfigDef> {
    match resource {
        ConfigResource::Topic(_) => TOPIC_CONFIGS.get(name),
        ConfigResource::Broker(_) | ConfigResource::BrokerDefault => BROKER_CONFIGS.get(name),
        ConfigResource::Group(_) => GROUP_CONFIGS.get(name),
        ConfigResource::ClientMetrics(_) => CLIENT_METRICS_CONFIGS.get(name),
    }
}

fn kind_of(resource: &ConfigResource) -> &'static str {
    match resource {
        ConfigResource::Topic(_) => "topic",
        ConfigResource::Broker(_) | ConfigResource::BrokerDefault => "broker",
        ConfigResource::Group(_) => "group",
        ConfigResource::ClientMetrics(_) => "client metrics",
    }
}
