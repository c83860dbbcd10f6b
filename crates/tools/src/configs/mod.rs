//! `kafka-configs`: shows and changes the configs of topics, brokers, groups, and client quotas.

mod changes;
mod entity;
mod quotas;
pub(crate) mod scram;

use milena_client::Cluster;
use milena_client::admin::{ConfigResource, ResourceType};
use milena_protocol::messages::describe_configs_response::Config;

use crate::Outcome;
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session;
use crate::terminal::Terminal;
use changes::Changes;
use entity::{Entity, Target};

/// Source of a config that nobody has set.
const DEFAULT_CONFIG: i8 = 5;

const SYNTAX: Syntax = Syntax {
    purpose: "Shows and changes configs of topics, brokers, groups, client metrics, and quotas of users, clients and addresses.",
    options: &[
        Opt::flag("describe", "Show configs."),
        Opt::flag("alter", "Change configs."),
        Opt::many(
            "entity-type",
            "type",
            "topics, brokers, broker-loggers, groups, client-metrics, users, clients or ips.",
        ),
        Opt::many("entity-name", "name", "Name of the entity."),
        Opt::flag("entity-default", "The default of the entity type."),
        Opt::one("add-config", "k1=v1,k2=[v1,v2]", "Configs to set; brackets protect commas."),
        Opt::one("add-config-file", "file", "Properties file of configs to set."),
        Opt::one("delete-config", "k1,k2", "Configs to remove."),
        Opt::flag("all", "Show configs that nobody has set, too."),
        Opt::one("bootstrap-controller", "host:port", "The controllers to connect to."),
        Opt::one("topic", "name", "Shortcut for a topic."),
        Opt::one("broker", "id", "Shortcut for a broker."),
        Opt::flag("broker-defaults", "Shortcut for the default of all brokers."),
        Opt::one("broker-logger", "id", "Shortcut for the loggers of a broker."),
        Opt::one("group", "id", "Shortcut for a group."),
        Opt::one("client-metrics", "name", "Shortcut for a client metrics subscription."),
        Opt::one("user", "name", "Shortcut for a user."),
        Opt::flag("user-defaults", "Shortcut for the default of all users."),
        Opt::one("client", "id", "Shortcut for a client id."),
        Opt::flag("client-defaults", "Shortcut for the default of all client ids."),
        Opt::one("ip", "address", "Shortcut for an address."),
        Opt::flag("ip-defaults", "Shortcut for the default of all addresses."),
        Opt::flag("force", "Accepted for old scripts; nothing is asked."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let words = args.words.join(" ");
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let target = entity::target(&options)?;
    match session::runtime()?.block_on(execute(&options, &target, terminal)) {
        Ok(()) => Ok(0),
        Err(failure @ (Failure::Usage { .. } | Failure::Reported)) => Err(failure),
        Err(Failure::Exception { class: "java.lang.IllegalArgumentException", message }) => {
            terminal.error_line(&message);
            Ok(1)
        }
        Err(failure) => {
            terminal.error_line(&format!("Error while executing config command with args '{words}'"));
            terminal.error_line(&failure.to_exception());
            Ok(1)
        }
    }
}

async fn execute(options: &Parsed, target: &Target, terminal: &mut Terminal) -> Result<(), Failure> {
    let changes = if options.has("alter") { Some(Changes::of(options)?) } else { None };
    let credentials = match (&changes, target) {
        (Some(changes), Target::Quota(_)) => changes.are_credentials()?,
        _ => false,
    };
    let cluster = match options.value("bootstrap-controller") {
        Some(servers) if !options.has("bootstrap-server") => {
            let properties = session::ClientProperties::read(options, &["command-config"], &[])?;
            Cluster::connect(properties.client_config(Some(servers), "adminclient-1")?).await?
        }
        _ => session::connect_admin(options).await?,
    };
    match (target, changes) {
        (Target::Configs(entity), Some(changes)) => {
            let resource = entity
                .resource()
                .ok_or_else(|| options.usage("An entity-name or default entity must be specified with --alter"))?;
            cluster.alter_configs(&resource, &changes.as_config_changes()).await?;
            terminal.line(&format!("Completed updating {}.", entity.updated()));
            Ok(())
        }
        (Target::Configs(entity), None) => describe(&cluster, entity, options.has("all"), terminal).await,
        (Target::Quota(entities), Some(changes)) if credentials => {
            scram::alter(&cluster, entities, &changes, terminal).await
        }
        (Target::Quota(entities), Some(changes)) => quotas::alter(&cluster, entities, &changes, terminal).await,
        (Target::Quota(entities), None) => {
            quotas::describe(&cluster, entities, terminal).await?;
            scram::describe(&cluster, entities, terminal).await
        }
    }
}

async fn describe(cluster: &Cluster, entity: &Entity, all: bool, terminal: &mut Terminal) -> Result<(), Failure> {
    for entity in entities_like(cluster, entity).await? {
        let Some(resource) = entity.resource() else { continue };
        if !all && !exists(cluster, &resource).await? {
            let kind = entity.singular();
            terminal.line(&format!("The {kind} '{}' doesn't exist and doesn't have dynamic config.", resource.name));
            continue;
        }
        let configs = cluster.describe_configs(&resource).await?;
        print_configs(&entity, configs, all, terminal);
    }
    Ok(())
}

/// The entity itself, or when it has no name every one of its type.
async fn entities_like(cluster: &Cluster, entity: &Entity) -> Result<Vec<Entity>, Failure> {
    if entity.name.is_some() {
        return Ok(vec![entity.clone()]);
    }
    let names: Vec<String> = match entity.resource_type {
        ResourceType::Topic => cluster.list_topics().await?.into_iter().map(|topic| topic.name).collect(),
        ResourceType::Broker => {
            let brokers = cluster.nodes().into_iter().map(|node| node.id.to_string());
            brokers.chain(std::iter::once(String::new())).collect()
        }
        ResourceType::BrokerLogger => cluster.nodes().into_iter().map(|node| node.id.to_string()).collect(),
        ResourceType::ClientMetrics | ResourceType::Group => {
            cluster.list_config_resources(entity.resource_type).await?
        }
    };
    Ok(names.into_iter().map(|name| Entity { resource_type: entity.resource_type, name: Some(name) }).collect())
}

async fn exists(cluster: &Cluster, resource: &ConfigResource) -> Result<bool, Failure> {
    match resource.resource_type {
        ResourceType::Topic => Ok(cluster.list_topics().await?.iter().any(|topic| topic.name == resource.name)),
        ResourceType::Broker | ResourceType::BrokerLogger => {
            let known = |name: &str| cluster.nodes().iter().any(|node| node.id.to_string() == name);
            Ok(resource.name.is_empty() || known(&resource.name))
        }
        ResourceType::Group => match cluster.list_config_resources(ResourceType::Group).await {
            Ok(names) if names.contains(&resource.name) => Ok(true),
            Ok(_) => Ok(cluster.list_groups(&[], &[]).await?.iter().any(|group| group.group_id == resource.name)),
            // A broker too old to list them is asked for the configs themselves.
            Err(milena_client::Error::UnsupportedVersion { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        },
        ResourceType::ClientMetrics => match cluster.list_config_resources(ResourceType::ClientMetrics).await {
            Ok(names) => Ok(names.contains(&resource.name)),
            Err(milena_client::Error::UnsupportedVersion { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        },
    }
}

fn print_configs(entity: &Entity, mut configs: Vec<Config>, all: bool, terminal: &mut Terminal) {
    terminal.line(&entity.heading(all));
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    for config in configs.iter().filter(|config| all || entity.is_own(config)) {
        let value = config.value.as_deref().unwrap_or("null");
        terminal.line(&format!(
            "  {}={value} sensitive={} synonyms={{{}}}",
            config.name,
            config.is_sensitive,
            synonyms(config)
        ));
    }
}

fn synonyms(config: &Config) -> String {
    let all: Vec<String> = config
        .synonyms
        .iter()
        .map(|synonym| {
            format!("{}:{}={}", source_name(synonym.source), synonym.name, synonym.value.as_deref().unwrap_or("null"))
        })
        .collect();
    all.join(", ")
}

fn source_name(source: i8) -> &'static str {
    match source {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        DEFAULT_CONFIG => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use milena_protocol::messages::describe_configs_response::Synonym;

    use super::*;

    fn config(name: &str, value: &str, source: i8, synonyms: &[(&str, &str, i8)]) -> Config {
        Config {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            config_source: source,
            synonyms: synonyms
                .iter()
                .map(|(name, value, source)| Synonym {
                    name: (*name).to_owned(),
                    value: Some((*value).to_owned()),
                    source: *source,
                })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn topic_configs_are_printed_as_recorded() {
        let (mut terminal, out, _) = Terminal::captured();
        let entity = Entity { resource_type: ResourceType::Topic, name: Some("orders".to_owned()) };
        let configs = vec![
            config("retention.ms", "3600000", 1, &[("retention.ms", "3600000", 1)]),
            config("compression.type", "producer", 5, &[("compression.type", "producer", 5)]),
            config("min.insync.replicas", "1", 3, &[("min.insync.replicas", "1", 3)]),
            config(
                "cleanup.policy",
                "compact,delete",
                1,
                &[("cleanup.policy", "compact,delete", 1), ("log.cleanup.policy", "delete", 5)],
            ),
        ];
        print_configs(&entity, configs.clone(), false, &mut terminal);
        print_configs(&entity, configs[1..2].to_vec(), true, &mut terminal);
        terminal.flush();
        let expected = "Dynamic configs for topic orders are:
  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}
  retention.ms=3600000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=3600000}
All configs for topic orders are:
  compression.type=producer sensitive=false synonyms={DEFAULT_CONFIG:compression.type=producer}
";
        assert_eq!(out.text(), expected);
    }

    #[test]
    fn cluster_defaults_are_printed_as_recorded() {
        let (mut terminal, out, _) = Terminal::captured();
        let entity = Entity { resource_type: ResourceType::Broker, name: Some(String::new()) };
        print_configs(
            &entity,
            vec![config("min.insync.replicas", "1", 3, &[("min.insync.replicas", "1", 3)])],
            false,
            &mut terminal,
        );
        terminal.flush();
        assert_eq!(
            out.text(),
            "Default configs for brokers in the cluster are:\n  min.insync.replicas=1 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1}\n"
        );
        assert_eq!(entity.updated(), "default config for brokers in the cluster");
    }
}
