//! `kafka-reassign-partitions`: other replicas for partitions, and other log directories for replicas.

mod plan;

use std::collections::BTreeMap;

use milena_client::admin::{ConfigChange, ConfigResource, ResourceType};
use milena_client::{Cluster, Error};
use milena_protocol::ErrorCode;
use milena_protocol::messages::alter_partition_reassignments_request::{Partition, Topic};
use milena_protocol::messages::alter_replica_log_dirs_request::{Dir, Topic as DirTopic};
use milena_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, DescribeLogDirsRequest,
};

use self::plan::{ANY, Assignment, Plan};
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];
const BROKER_THROTTLES: [&str; 3] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];
const TOPIC_THROTTLES: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

const SYNTAX: Syntax = Syntax {
    purpose: "Moves partitions between brokers, and replicas between log directories.",
    options: &[
        Opt::one("bootstrap-controller", "host:port", "The controllers to connect to."),
        Opt::flag("generate", "Propose an assignment; nothing is changed."),
        Opt::flag("execute", "Start the assignment of --reassignment-json-file."),
        Opt::flag("verify", "Tell whether the assignment is in force; removes throttles when it is."),
        Opt::flag("cancel", "Cancel reassignments under way."),
        Opt::flag("list", "List reassignments under way."),
        Opt::one("reassignment-json-file", "file", "The assignment."),
        Opt::one(
            "topics-to-move-json-file",
            "file",
            "With --generate: {\"topics\": [{\"topic\": \"foo\"}], \"version\": 1}",
        ),
        Opt::one("broker-list", "id,id", "With --generate: the brokers to use."),
        Opt::flag("disable-rack-aware", "With --generate: do not look at racks."),
        Opt::flag("additional", "With --execute: besides reassignments under way."),
        Opt::flag("disallow-replication-factor-change", "Refuse another number of replicas."),
        Opt::flag("preserve-throttles", "Leave throttles as they are."),
        Opt::one("throttle", "bytes/s", "With --execute: limit between brokers."),
        Opt::one("replica-alter-log-dirs-throttle", "bytes/s", "With --execute: limit between log directories."),
        Opt::one("timeout", "ms", "How long moves between log directories may take to begin."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let mut actions = ACTIONS.into_iter().filter(|action| options.has(action));
    let (Some(action), None) = (actions.next(), actions.next()) else {
        let list = ACTIONS.map(|action| format!("--{action}")).join(", ");
        return Err(options.usage(format!("Command must include exactly one action: {list}")));
    };
    if action != "list" && action != "generate" {
        options.required("reassignment-json-file")?;
    }
    let done = session::runtime()?.block_on(async {
        let cluster = connect(&options).await?;
        match action {
            "generate" => generate(&cluster, &options, terminal).await,
            "execute" => execute(&cluster, &options, terminal).await,
            "verify" => verify(&cluster, &options, terminal).await,
            "cancel" => cancel(&cluster, &options, terminal).await,
            _ => list(&cluster, terminal).await,
        }
    });
    done.map_err(|failure| match failure {
        Failure::Usage { .. } => failure,
        other => {
            // The original prints its errors on standard output.
            terminal.line(&format!("Error: {}", other.message()));
            terminal.line(&other.to_exception());
            Failure::Reported
        }
    })
}

async fn connect(options: &Parsed) -> Result<Cluster, Failure> {
    let properties = session::ClientProperties::read(options, &["command-config"], &[])?;
    let servers = options.value("bootstrap-server").or_else(|| options.value("bootstrap-controller"));
    if servers.is_none() && properties.get("bootstrap.servers").is_none() {
        return Err(options.usage("Please specify --bootstrap-server"));
    }
    Ok(Cluster::connect(properties.client_config(servers, "reassign-partitions-tool")?).await?)
}

fn read_plan(options: &Parsed) -> Result<Plan, Failure> {
    plan::read(options.required("reassignment-json-file")?)
}

/// Where partitions are now, with the log directory of each replica.
async fn current(cluster: &Cluster, topics: &[String]) -> Result<Vec<Assignment>, Failure> {
    let directories = directories(cluster).await?;
    let mut assignments = Vec::new();
    for topic in cluster.describe_topics(topics, 2000).await? {
        for partition in topic.partitions {
            let key = |broker: &i32| (*broker, topic.name.clone(), partition.partition);
            let place =
                |broker: &i32| directories.get(&key(broker)).map_or(ANY, |place| place.path.as_str()).to_owned();
            assignments.push(Assignment {
                log_dirs: partition.replicas.iter().map(place).collect(),
                topic: topic.name.clone(),
                partition: partition.partition,
                replicas: partition.replicas,
            });
        }
    }
    Ok(assignments)
}

/// The directory of a replica, and the one it is being moved to.
struct Place {
    path: String,
    future: Option<String>,
}

type Places = BTreeMap<(i32, String, i32), Place>;

async fn directories(cluster: &Cluster) -> Result<Places, Failure> {
    let mut places = Places::new();
    for node in cluster.nodes() {
        let response = cluster.node(node.id).await?.send(&DescribeLogDirsRequest { topics: None }).await?;
        Error::check(response.error_code, None)?;
        for dir in response.results {
            for topic in dir.topics {
                for partition in topic.partitions {
                    let key = (node.id, topic.name.clone(), partition.partition_index);
                    let place = places.entry(key).or_insert_with(|| Place { path: ANY.to_owned(), future: None });
                    if partition.is_future_key {
                        place.future = Some(dir.log_dir.clone());
                    } else {
                        place.path.clone_from(&dir.log_dir);
                    }
                }
            }
        }
    }
    Ok(places)
}

async fn generate(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let topics = plan::read_topics(options.required("topics-to-move-json-file")?)?;
    let brokers = plan::broker_list(options.required("broker-list")?)?;
    let known: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let brokers: Vec<i32> = brokers.into_iter().filter(|broker| known.contains(broker)).collect();
    let assignments = current(cluster, &topics).await?;
    let proposed = plan::propose(&assignments, &brokers)?;
    terminal.line("Current partition replica assignment");
    terminal.line(&plan::to_json(&assignments));
    terminal.line("");
    terminal.line("Proposed partition reassignment configuration");
    terminal.line(&plan::to_json(&proposed));
    Ok(0)
}

async fn execute(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let plan = read_plan(options)?;
    let known: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let unknown = plan.assignments.iter().flat_map(|wanted| &wanted.replicas).find(|broker| !known.contains(broker));
    if let Some(broker) = unknown {
        return Err(command_failed(format!("Unknown broker id {broker}")));
    }
    let before = current(cluster, &plan.topics()).await?;
    let before: Vec<Assignment> = before.into_iter().filter(|assignment| plan.names(assignment)).collect();
    terminal.line("Current partition replica assignment");
    terminal.line("");
    terminal.line(&plan::to_json(&before));
    terminal.line("");
    terminal.line("Save this to use as the --reassignment-json-file option during rollback");
    throttle(cluster, options, &plan, terminal).await?;
    reassign(cluster, &plan, !options.has("disallow-replication-factor-change")).await?;
    let names = plan.partition_names();
    let plural = if names.len() == 1 { "" } else { "s" };
    terminal.line(&format!("Successfully started partition reassignment{plural} for {}", names.join(",")));
    move_replicas(cluster, &plan, terminal).await?;
    Ok(0)
}

async fn throttle(cluster: &Cluster, options: &Parsed, plan: &Plan, terminal: &mut Terminal) -> Result<(), Failure> {
    let between_brokers: Option<i64> = options.number("throttle")?;
    let between_dirs: Option<i64> = options.number("replica-alter-log-dirs-throttle")?;
    let mut changes = Vec::new();
    if let Some(rate) = between_brokers.filter(|rate| *rate >= 0) {
        changes.extend(BROKER_THROTTLES[..2].iter().map(|key| ConfigChange::Set((*key).to_owned(), rate.to_string())));
        terminal.line(&format!("The inter-broker throttle limit was set to {rate} B/s"));
    }
    if let Some(rate) = between_dirs.filter(|rate| *rate >= 0) {
        changes.push(ConfigChange::Set(BROKER_THROTTLES[2].to_owned(), rate.to_string()));
        terminal.line(&format!("The replica-alter-dir throttle limit was set to {rate} B/s"));
    }
    if !changes.is_empty() {
        for broker in plan.brokers() {
            let resource = ConfigResource { resource_type: ResourceType::Broker, name: broker.to_string() };
            cluster.alter_configs(&resource, &changes).await?;
        }
    }
    Ok(())
}

async fn reassign(cluster: &Cluster, plan: &Plan, allow_replication_factor_change: bool) -> Result<(), Failure> {
    let replicas = |wanted: &Assignment| Some(wanted.replicas.clone());
    let failed = alter(cluster, &plan.assignments, allow_replication_factor_change, replicas).await?;
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    Err(command_failed(format!("Error reassigning partition(s):\n{}", lines.join("\n"))))
}

/// Asks for the replicas that `replicas` tells, and returns the partitions that were refused.
async fn alter(
    cluster: &Cluster,
    assignments: &[Assignment],
    allow_replication_factor_change: bool,
    replicas: impl Fn(&Assignment) -> Option<Vec<i32>>,
) -> Result<Vec<(String, Error)>, Failure> {
    let mut topics: BTreeMap<&str, Vec<Partition>> = BTreeMap::new();
    for wanted in assignments {
        let partition = Partition { partition_index: wanted.partition, replicas: replicas(wanted) };
        topics.entry(&wanted.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| Topic { name: name.to_owned(), partitions }).collect();
    let timeout_ms = i32::try_from(cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX);
    let request = AlterPartitionReassignmentsRequest { timeout_ms, allow_replication_factor_change, topics };
    let response = cluster.send_controller(&request, |response| response.error_code).await?;
    Error::check(response.error_code, response.error_message.as_ref())?;
    let partitions = response.responses.into_iter().flat_map(|topic| {
        topic
            .partitions
            .into_iter()
            .map(move |partition| (format!("{}-{}", topic.name, partition.partition_index), partition))
    });
    let refused = partitions.filter_map(|(name, partition)| {
        Error::check(partition.error_code, partition.error_message.as_ref()).err().map(|error| (name, error))
    });
    Ok(refused.collect())
}

async fn move_replicas(cluster: &Cluster, plan: &Plan, terminal: &mut Terminal) -> Result<(), Failure> {
    for (broker, topic, partition, dir) in plan.moves() {
        let wanted = DirTopic { name: topic.to_owned(), partitions: vec![partition] };
        let request = AlterReplicaLogDirsRequest { dirs: vec![Dir { path: dir.to_owned(), topics: vec![wanted] }] };
        let response = cluster.node(broker).await?.send(&request).await?;
        let code = response.results.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        if let Some(code) = code.into_iter().find(|code| *code != ErrorCode::None.code()) {
            terminal.error_line(&Error::api(ErrorCode::from_code(code), None).to_exception());
            return Err(command_failed(format!("Failed to alter dir for {topic}-{partition}-{broker}")));
        }
    }
    for (broker, topic, partition, dir) in plan.moves() {
        terminal.line(&format!(
            "Successfully started moving log directory to {dir} for replica {topic}-{partition} with broker {broker} "
        ));
    }
    Ok(())
}

async fn verify(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let plan = read_plan(options)?;
    let existing: Vec<String> = cluster.list_topics().await?.into_iter().map(|topic| topic.name).collect();
    let topics: Vec<String> = plan.topics().into_iter().filter(|topic| existing.contains(topic)).collect();
    let now = current(cluster, &topics).await?;
    let places = directories(cluster).await?;
    terminal.line("Status of partition reassignment:");
    let mut ongoing = false;
    for wanted in &plan.assignments {
        let name = format!("{}-{}", wanted.topic, wanted.partition);
        let found = now.iter().find(|assignment| assignment.is_of(wanted));
        terminal.line(&match found {
            Some(found) if found.replicas == wanted.replicas => {
                format!("Reassignment of partition {name} is completed.")
            }
            found => format!(
                "There is no active reassignment of partition {name}, but replica set is {} rather than {}.",
                plan::list(found.map_or(&[], |found| &found.replicas)),
                plan::list(&wanted.replicas)
            ),
        });
    }
    for (broker, topic, partition, dir) in plan.moves() {
        let replica = format!("{topic}-{partition}-{broker}");
        terminal.line(&match places.get(&(broker, topic.to_owned(), partition)) {
            Some(place) if place.path == dir => format!("Reassignment of replica {replica} completed successfully."),
            Some(Place { future: Some(future), .. }) if future == dir => {
                ongoing = true;
                format!("Reassignment of replica {replica} is still in progress.")
            }
            Some(Place { future: Some(future), .. }) => {
                format!("Partition {topic}-{partition} on broker {broker} is being moved to log dir {future} instead of {dir}.")
            }
            Some(place) => format!(
                "Partition {topic}-{partition} on broker {broker} is not being moved from log dir {} to {dir}.",
                place.path
            ),
            None => format!("Partition {topic}-{partition} is not found in any live log dir on broker {broker}."),
        });
    }
    if plan.moves().is_empty() {
        terminal.line("");
    }
    if !ongoing && !options.has("preserve-throttles") {
        clear_throttles(cluster, &plan.brokers(), &topics, terminal).await?;
    }
    Ok(0)
}

async fn clear_throttles(
    cluster: &Cluster,
    brokers: &[i32],
    topics: &[String],
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let delete = |keys: &[&str]| -> Vec<ConfigChange> {
        keys.iter().map(|key| ConfigChange::Delete((*key).to_owned())).collect()
    };
    if !brokers.is_empty() {
        let ids: Vec<String> = brokers.iter().map(ToString::to_string).collect();
        terminal.line(&format!("Clearing broker-level throttles on broker{} {}", plural(&ids), ids.join(",")));
        for name in ids {
            let resource = ConfigResource { resource_type: ResourceType::Broker, name };
            cluster.alter_configs(&resource, &delete(&BROKER_THROTTLES)).await?;
        }
    }
    if !topics.is_empty() {
        terminal.line(&format!("Clearing topic-level throttles on topic{} {}", plural(topics), topics.join(",")));
        for topic in topics {
            let resource = ConfigResource { resource_type: ResourceType::Topic, name: topic.clone() };
            cluster.alter_configs(&resource, &delete(&TOPIC_THROTTLES)).await?;
        }
    }
    Ok(())
}

fn plural(names: &[String]) -> &'static str {
    if names.len() == 1 { "" } else { "s" }
}

async fn cancel(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let plan = read_plan(options)?;
    let active = cluster.list_partition_reassignments().await?;
    let is_active = |wanted: &&Assignment| {
        let of_topic = active.iter().filter(|topic| topic.name == wanted.topic);
        of_topic.flat_map(|topic| &topic.partitions).any(|partition| partition.partition_index == wanted.partition)
    };
    let cancelled: Vec<Assignment> = plan.assignments.iter().filter(is_active).cloned().collect();
    if cancelled.is_empty() {
        terminal.line("None of the specified partition reassignments are active.");
    } else {
        let refused = alter(cluster, &cancelled, true, |_| None).await?;
        if let Some((name, error)) = refused.first() {
            return Err(command_failed(format!("Error cancelling partition reassignment(s): {name}: {error}")));
        }
        let names: Vec<String> = cancelled.iter().map(Assignment::name).collect();
        terminal.line(&format!(
            "Successfully cancelled partition reassignment{} for: {}",
            plural(&names),
            names.join(",")
        ));
    }
    cancel_moves(cluster, &plan, terminal).await?;
    if !options.has("preserve-throttles") {
        clear_throttles(cluster, &plan.brokers(), &plan.topics(), terminal).await?;
    }
    Ok(0)
}

/// Moves between log directories are called off by moving each replica to where it is.
async fn cancel_moves(cluster: &Cluster, plan: &Plan, terminal: &mut Terminal) -> Result<(), Failure> {
    let places = directories(cluster).await?;
    let mut called_off = Vec::new();
    for (broker, topic, partition, _) in plan.moves() {
        let Some(place) = places.get(&(broker, topic.to_owned(), partition)) else { continue };
        if place.future.is_some() {
            let wanted = DirTopic { name: topic.to_owned(), partitions: vec![partition] };
            let dirs = vec![Dir { path: place.path.clone(), topics: vec![wanted] }];
            cluster.node(broker).await?.send(&AlterReplicaLogDirsRequest { dirs }).await?;
            called_off.push(format!("{topic}-{partition}-{broker}"));
        }
    }
    if called_off.is_empty() {
        terminal.print("None of the specified partition moves are active.");
    } else {
        let plural = plural(&called_off);
        terminal.line(&format!("Successfully cancelled partition move{plural} for: {}", called_off.join(",")));
    }
    Ok(())
}

async fn list(cluster: &Cluster, terminal: &mut Terminal) -> Outcome {
    let active = cluster.list_partition_reassignments().await?;
    if active.is_empty() {
        terminal.line("No partition reassignments found.");
        return Ok(0);
    }
    terminal.line("Current partition reassignments:");
    for topic in active {
        for partition in topic.partitions {
            let mut line =
                format!("{}-{}: replicas: {}.", topic.name, partition.partition_index, plan::list(&partition.replicas));
            for (what, brokers) in [("adding", &partition.adding_replicas), ("removing", &partition.removing_replicas)]
            {
                if !brokers.is_empty() {
                    line += &format!(" {what}: {}.", plan::list(brokers));
                }
            }
            terminal.line(&line);
        }
    }
    Ok(0)
}

pub(super) fn command_failed(message: String) -> Failure {
    Failure::Exception { class: "org.apache.kafka.tools.AdminCommandFailedException", message }
}
