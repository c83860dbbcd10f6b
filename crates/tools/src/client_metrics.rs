//! `kafka-client-metrics`: subscriptions to the metrics of clients (KIP-714).

use milena_client::Cluster;
use milena_client::admin::{ConfigChange, ConfigResource, ResourceType};
use milena_protocol::Uuid;

use crate::Outcome;
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session;
use crate::terminal::Terminal;

const SYNTAX: Syntax = Syntax {
    purpose: "Shows and changes subscriptions to the metrics of clients.",
    options: &[
        Opt::flag("alter", "Make or change a subscription."),
        Opt::flag("delete", "Delete a subscription."),
        Opt::flag("describe", "Show subscriptions."),
        Opt::flag("list", "Show the names of subscriptions."),
        Opt::one("name", "name", "The subscription."),
        Opt::flag("generate-name", "With --alter: a name that nobody has."),
        Opt::one("metrics", "p1,p2", "Prefixes of the metrics wanted."),
        Opt::one("interval", "ms", "Milliseconds between two pushes."),
        Opt::one("match", "k1=v1,k2=v2", "Which clients push."),
        Opt::flag("if-exists", "Accepted with --describe: an unknown name is no error either way."),
    ],
};

/// The options of `--alter` and the keys they set.
const KEYS: &[(&str, &str)] = &[("interval", "interval.ms"), ("match", "match"), ("metrics", "metrics")];

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let actions = ["alter", "delete", "describe", "list"].iter().filter(|action| options.has(action)).count();
    if actions != 1 {
        return Err(options.usage("Command must include exactly one action: --alter, --delete, --describe or --list."));
    }
    check(&options)?;
    match session::runtime()?.block_on(execute(&options, terminal)) {
        Ok(()) => Ok(0),
        Err(failure @ Failure::Usage { .. }) => Err(failure),
        Err(failure) => {
            terminal.line(&format!("Error while executing client metrics command : {}", failure.message()));
            failure.log("org.apache.kafka.tools.ClientMetricsCommand", terminal);
            Ok(1)
        }
    }
}

fn check(options: &Parsed) -> Result<(), Failure> {
    if options.has("alter") && options.has("name") == options.has("generate-name") {
        return Err(Failure::illegal_argument("One of --name or --generate-name must be specified with --alter."));
    }
    if options.has("alter") && !KEYS.iter().any(|(option, _)| options.has(option)) {
        return Err(Failure::illegal_argument(
            "One of --interval, --match or --metrics must be specified with --alter.",
        ));
    }
    if options.has("delete") && !options.has("name") {
        return Err(Failure::illegal_argument("A client metrics resource name must be specified with --delete."));
    }
    Ok(())
}

async fn execute(options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let cluster = session::connect_admin(options).await?;
    let named = options.value("name").map(str::to_owned);
    if options.has("alter") {
        let name = named.unwrap_or_else(|| Uuid::random().to_string());
        alter(&cluster, options, &name).await?;
        terminal.line(&format!("Altered client metrics config for {name}."));
    } else if options.has("delete") {
        let name = named.unwrap_or_default();
        delete(&cluster, &name).await?;
        terminal.line(&format!("Deleted client metrics config for {name}."));
    } else {
        let known = cluster.list_config_resources(ResourceType::ClientMetrics).await?;
        if options.has("list") {
            let mut names = known;
            names.sort();
            terminal.line(&names.join("\n"));
        } else {
            describe(&cluster, named, known, terminal).await?;
        }
    }
    Ok(())
}

fn resource(name: &str) -> ConfigResource {
    ConfigResource { resource_type: ResourceType::ClientMetrics, name: name.to_owned() }
}

async fn alter(cluster: &Cluster, options: &Parsed, name: &str) -> Result<(), Failure> {
    let given = KEYS.iter().filter_map(|(option, key)| Some((*key, options.value(option)?)));
    // An empty value takes the key away.
    let changes = given.map(|(key, value)| match value {
        "" => ConfigChange::Delete(key.to_owned()),
        value => ConfigChange::Set(key.to_owned(), value.to_owned()),
    });
    let changes: Vec<ConfigChange> = changes.collect();
    Ok(cluster.alter_configs(&resource(name), &changes).await?)
}

async fn delete(cluster: &Cluster, name: &str) -> Result<(), Failure> {
    let changes: Vec<ConfigChange> = KEYS.iter().map(|(_, key)| ConfigChange::Delete((*key).to_owned())).collect();
    Ok(cluster.alter_configs(&resource(name), &changes).await?)
}

async fn describe(
    cluster: &Cluster,
    named: Option<String>,
    mut known: Vec<String>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    known.sort();
    if let Some(name) = named.as_ref().filter(|name| !known.contains(name)) {
        terminal.line(&format!("The client metric resource {name} doesn't exist and doesn't have dynamic config."));
        return Ok(());
    }
    for name in named.map_or(known, |name| vec![name]) {
        terminal.line(&format!("Client metrics configs for {name} are:"));
        let mut configs = cluster.describe_configs(&resource(&name)).await?;
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        for config in configs {
            terminal.line(&format!("  {}={}", config.name, config.value.unwrap_or_default()));
        }
    }
    Ok(())
}
