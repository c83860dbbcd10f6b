//! Whose configs are meant: the many ways of naming an entity.

use milena_client::admin::{ConfigResource, ResourceType};
use milena_protocol::messages::describe_configs_response::Config;

use crate::failure::Failure;
use crate::options::Parsed;

/// What the command works on.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Something with configs.
    Configs(Entity),
    /// Quotas of a user, a client, an address, or a user with a client.
    Quota(Vec<QuotaEntity>),
}

/// Something with configs.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name; empty for the default of all brokers, `None` for all of the type.
    pub name: Option<String>,
}

/// A part of a quota's owner.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaEntity {
    /// `user`, `client-id` or `ip`.
    pub entity_type: &'static str,
    /// Which one.
    pub which: Which,
}

/// Which one of a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    /// This one.
    Named(String),
    /// The default.
    Default,
    /// Any.
    All,
}

/// `(option with a name, option for the default, type)`.
const SHORTCUTS: &[(&str, &str, &str)] = &[
    ("topic", "", "topics"),
    ("broker", "broker-defaults", "brokers"),
    ("broker-logger", "", "broker-loggers"),
    ("group", "", "groups"),
    ("client-metrics", "", "client-metrics"),
    ("user", "user-defaults", "users"),
    ("client", "client-defaults", "clients"),
    ("ip", "ip-defaults", "ips"),
];

/// Reads the entity of the command line.
///
/// # Errors
/// [`Failure::Usage`] for contradictions.
pub fn target(options: &Parsed) -> Result<Target, Failure> {
    if options.has("describe") == options.has("alter") {
        return Err(options.usage("Command must include exactly one action: --describe, --alter"));
    }
    let named = entities(options)?;
    let types: Vec<&str> = named.iter().map(|(entity_type, _)| *entity_type).collect();
    match types[..] {
        [] => Err(Failure::illegal_argument("At least one entity type must be specified")),
        ["topics"] => configs(ResourceType::Topic, &named),
        ["brokers"] => configs(ResourceType::Broker, &named),
        ["broker-loggers"] => configs(ResourceType::BrokerLogger, &named),
        ["groups"] => configs(ResourceType::Group, &named),
        ["client-metrics"] => configs(ResourceType::ClientMetrics, &named),
        ["users"] | ["clients"] | ["ips"] | ["users", "clients"] | ["clients", "users"] => {
            if options.has("alter") && named.iter().any(|(_, which)| *which == Which::All) {
                return Err(Failure::illegal_argument(
                    "An entity-name or default entity must be specified with --alter",
                ));
            }
            Ok(Target::Quota(named.into_iter().map(quota_entity).collect()))
        }
        _ => Err(Failure::illegal_argument(format!(
            "Invalid entity types {} - can only combine users and clients",
            types.join(",")
        ))),
    }
}

fn configs(resource_type: ResourceType, named: &[(&'static str, Which)]) -> Result<Target, Failure> {
    let name = match &named[0].1 {
        Which::Named(name) => Some(name.clone()),
        Which::Default if resource_type == ResourceType::Broker => Some(String::new()),
        Which::Default => {
            return Err(Failure::illegal_argument(format!(
                "--entity-default must not be specified with --entity-type {}",
                named[0].0
            )));
        }
        Which::All => None,
    };
    let of_broker = matches!(resource_type, ResourceType::Broker | ResourceType::BrokerLogger);
    if let Some(name) = name.as_ref().filter(|name| of_broker && !name.is_empty() && name.parse::<i32>().is_err()) {
        return Err(Failure::illegal_argument(format!(
            "The entity name for brokers must be a valid integer broker id, found: {name}"
        )));
    }
    Ok(Target::Configs(Entity { resource_type, name }))
}

fn quota_entity((entity_type, which): (&'static str, Which)) -> QuotaEntity {
    let entity_type = match entity_type {
        "users" => "user",
        "clients" => "client-id",
        _ => "ip",
    };
    QuotaEntity { entity_type, which }
}

/// Types in the order of the command line with what was named of each.
fn entities(options: &Parsed) -> Result<Vec<(&'static str, Which)>, Failure> {
    let mut named: Vec<(&'static str, Which)> = Vec::new();
    for (by_name, by_default, entity_type) in SHORTCUTS {
        if let Some(name) = options.value(by_name) {
            named.push((entity_type, Which::Named(name.to_owned())));
        }
        if !by_default.is_empty() && options.has(by_default) {
            named.push((entity_type, Which::Default));
        }
    }
    let types = options.values("entity-type");
    if !types.is_empty() && !named.is_empty() {
        return Err(Failure::illegal_argument(
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
        ));
    }
    let mut names = options.values("entity-name").into_iter();
    for word in types {
        let (.., entity_type) = SHORTCUTS.iter().find(|(.., known)| *known == word).ok_or_else(|| {
            let known: Vec<&str> = SHORTCUTS.iter().map(|(.., known)| *known).collect();
            Failure::illegal_argument(format!(
                "Invalid entity type {word}, the entity type must be one of {}",
                known.join(", ")
            ))
        })?;
        let which = match names.next() {
            Some(name) => Which::Named(name.to_owned()),
            None if options.has("entity-default") => Which::Default,
            None => Which::All,
        };
        named.push((entity_type, which));
    }
    Ok(named)
}

impl Entity {
    /// The entity as a resource of the protocol, if it is one and not all.
    pub fn resource(&self) -> Option<ConfigResource> {
        Some(ConfigResource { resource_type: self.resource_type, name: self.name.clone()? })
    }

    /// `topic`, `broker`, ...
    pub fn singular(&self) -> &'static str {
        match self.resource_type {
            ResourceType::Topic => "topic",
            ResourceType::Broker => "broker",
            ResourceType::BrokerLogger => "broker-logger",
            ResourceType::Group => "group",
            ResourceType::ClientMetrics => "client-metric",
        }
    }

    /// The line above the configs.
    pub fn heading(&self, all: bool) -> String {
        match self.name.as_deref() {
            Some("") => format!("Default configs for {}s in the cluster are:", self.singular()),
            name => format!(
                "{} configs for {} {} are:",
                if all { "All" } else { "Dynamic" },
                self.singular(),
                name.unwrap_or("")
            ),
        }
    }

    /// What was changed.
    pub fn updated(&self) -> String {
        match self.name.as_deref() {
            Some("") => format!("default config for {}s in the cluster", self.singular()),
            name => format!("config for {} {}", self.singular(), name.unwrap_or("")),
        }
    }

    /// Whether `config` was set for this entity itself.
    pub fn is_own(&self, config: &Config) -> bool {
        let own: i8 = match self.resource_type {
            ResourceType::Topic => 1,
            ResourceType::Broker if self.name.as_deref() == Some("") => 3,
            ResourceType::Broker => 2,
            ResourceType::BrokerLogger => return true,
            ResourceType::ClientMetrics => 7,
            ResourceType::Group => 8,
        };
        config.config_source == own
    }
}
