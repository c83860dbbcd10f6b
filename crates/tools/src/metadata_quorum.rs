//! `kafka-metadata-quorum`: who keeps the cluster's metadata, and how far everybody is.

use milena_client::{Cluster, Error};
use milena_protocol::messages::describe_quorum_request::{Partition as AskedPartition, Topic as AskedTopic};
use milena_protocol::messages::describe_quorum_response::{Node, Partition, ReplicaState};
use milena_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse, RemoveRaftVoterRequest};
use milena_protocol::{ErrorCode, Uuid};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const METADATA_TOPIC: &str = "__cluster_metadata";

const USAGE: &str = "usage: kafka-metadata-quorum [-h] [--command-config COMMAND_CONFIG]
                             (--bootstrap-server BOOTSTRAP_SERVER |
                             --bootstrap-controller BOOTSTRAP_CONTROLLER)
                             {describe,add-controller,remove-controller}
                             ...";

const SYNTAX: Syntax = Syntax {
    purpose: "Describes and changes the metadata quorum: describe, add-controller or remove-controller, followed by options.",
    options: &[
        Opt::one("bootstrap-controller", "host:port", "The controllers to connect to."),
        Opt::flag("status", "With describe: a short summary of the quorum."),
        Opt::flag("replication", "With describe: how far each node is."),
        Opt::flag("human-readable", "With --replication: times as durations.").or("-hr"),
        Opt::one("controller-id", "id", "With remove-controller: the controller.").or("-i"),
        Opt::one("controller-directory-id", "uuid", "With remove-controller: its directory.").or("-d"),
        Opt::flag("dry-run", "True if we should print what would be done, but not do it."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let command = options.words.first().map(String::as_str).ok_or_else(|| wrong("too few arguments"))?;
    session::runtime()?.block_on(async {
        match command {
            "describe" => describe(&options, terminal).await,
            "add-controller" => add_controller(&options),
            "remove-controller" => remove_controller(&options, terminal).await,
            other => Err(wrong(&format!(
                "argument command: invalid choice: '{other}' (choose from 'describe', 'add-controller', 'remove-controller')"
            ))),
        }
    })
}

fn wrong(message: &str) -> Failure {
    Failure::ArgumentError { usage: USAGE.to_owned(), message: message.to_owned() }
}

/// A message of the tool itself, which stands alone on standard error.
fn refused(message: &str, terminal: &mut Terminal) -> Failure {
    terminal.error_line(message);
    Failure::Reported
}

async fn connect(options: &Parsed) -> Result<Cluster, Failure> {
    let properties = session::ClientProperties::read(options, &["command-config"], &[])?;
    let servers = options.value("bootstrap-server").or_else(|| options.value("bootstrap-controller"));
    if servers.is_none() && properties.get("bootstrap.servers").is_none() {
        return Err(wrong("one of the arguments --bootstrap-server --bootstrap-controller is required"));
    }
    Ok(Cluster::connect(properties.client_config(servers, "adminclient-1")?).await?)
}

async fn describe(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    match (options.has("status"), options.has("replication")) {
        (true, true) => {
            return Err(refused(
                "Only one of --status or --replication should be specified with describe sub-command",
                terminal,
            ));
        }
        (false, false) => {
            return Err(refused(
                "One of --status or --replication must be specified with describe sub-command",
                terminal,
            ));
        }
        (true, false) if options.has("human-readable") => {
            return Err(refused("The option --human-readable is only supported along with --replication", terminal));
        }
        _ => {}
    }
    let cluster = connect(options).await?;
    let partition = AskedPartition { partition_index: 0 };
    let topic = AskedTopic { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition] };
    let request = DescribeQuorumRequest { topics: vec![topic] };
    let response: DescribeQuorumResponse = cluster.send_any(&request).await?;
    Error::check(response.error_code, response.error_message.as_ref())?;
    let described = response.topics.first().and_then(|topic| topic.partitions.first());
    let described = described.ok_or_else(|| Failure::from(Error::api(ErrorCode::UnknownTopicOrPartition, None)))?;
    Error::check(described.error_code, described.error_message.as_ref())?;
    if options.has("status") {
        terminal.print(&status(cluster.cluster_id().as_deref().unwrap_or(""), described, &response.nodes));
    } else {
        let now_ms = milena_stdx::Clock::now_ms(&milena_stdx::SystemClock);
        terminal.print(&replication(described, options.has("human-readable").then_some(now_ms)));
    }
    Ok(0)
}

fn status(cluster_id: &str, quorum: &Partition, nodes: &[Node]) -> String {
    let leader = quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
    let followers = || quorum.current_voters.iter().filter(|voter| voter.replica_id != quorum.leader_id);
    let leader_end = leader.map_or(0, |leader| leader.log_end_offset);
    let max_lag = followers().map(|voter| leader_end - voter.log_end_offset).max().unwrap_or(0);
    let leader_caught_up = leader.map_or(0, |leader| leader.last_caught_up_timestamp);
    let max_lag_ms = followers().map(|voter| leader_caught_up - voter.last_caught_up_timestamp).max().unwrap_or(0);
    let lines = [
        ("ClusterId:", cluster_id.to_owned()),
        ("LeaderId:", quorum.leader_id.to_string()),
        ("LeaderEpoch:", quorum.leader_epoch.to_string()),
        ("HighWatermark:", quorum.high_watermark.to_string()),
        ("MaxFollowerLag:", max_lag.to_string()),
        ("MaxFollowerLagTimeMs:", max_lag_ms.to_string()),
        ("CurrentVoters:", members(&quorum.current_voters, nodes)),
        ("CurrentObservers:", members(&quorum.observers, &[])),
    ];
    lines.iter().map(|(name, value)| format!("{name:<24}{value}\n")).collect()
}

fn members(replicas: &[ReplicaState], nodes: &[Node]) -> String {
    let member = |replica: &ReplicaState| {
        let mut text = format!("{{\"id\": {}", replica.replica_id);
        if replica.replica_directory_id != Uuid::ZERO {
            text += &format!(", \"directoryId\": \"{}\"", replica.replica_directory_id);
        }
        if let Some(node) = nodes.iter().find(|node| node.node_id == replica.replica_id) {
            let endpoint = |listener: &milena_protocol::messages::describe_quorum_response::Listener| {
                format!("\"{}://{}:{}\"", listener.name, listener.host, listener.port)
            };
            let endpoints: Vec<String> = node.listeners.iter().map(endpoint).collect();
            text += &format!(", \"endpoints\": [{}]", endpoints.join(", "));
        }
        text + "}"
    };
    format!("[{}]", replicas.iter().map(member).collect::<Vec<_>>().join(", "))
}

/// The table of all nodes; times as durations before `now_ms` if it is given.
fn replication(quorum: &Partition, now_ms: Option<i64>) -> String {
    let leader_end = quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
    let leader_end = leader_end.map_or(0, |leader| leader.log_end_offset);
    let time = |timestamp: i64| match now_ms {
        _ if timestamp < 0 => timestamp.to_string(),
        None => timestamp.to_string(),
        Some(now_ms) => format!("{} ms ago", now_ms - timestamp),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.to_string(),
            replica.replica_directory_id.to_string(),
            replica.log_end_offset.to_string(),
            (leader_end - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let heading =
        ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let (leaders, followers): (Vec<_>, Vec<_>) =
        quorum.current_voters.iter().partition(|voter| voter.replica_id == quorum.leader_id);
    rows.extend(leaders.into_iter().map(|replica| row(replica, "Leader")));
    rows.extend(followers.into_iter().map(|replica| row(replica, "Follower")));
    rows.extend(quorum.observers.iter().map(|replica| row(replica, "Observer")));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}\t")).collect();
        cells + "\n"
    };
    rows.iter().map(line).collect()
}

fn add_controller(options: &Parsed) -> Outcome {
    let Some(config) = options.value("command-config") else {
        let message =
            "You must supply the configuration file of the controller you are adding when using add-controller.";
        return Err(Failure::Exception {
            class: "org.apache.kafka.common.KafkaException",
            message: message.to_owned(),
        });
    };
    // A new voter needs a quorum that others can join, which Milena's single controller is not.
    Err(Failure::Exception {
        class: "org.apache.kafka.common.errors.UnsupportedVersionException",
        message: format!("{config}: adding controllers is not supported"),
    })
}

async fn remove_controller(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let voter_id: i32 =
        options.number("controller-id")?.ok_or_else(|| wrong("argument --controller-id/-i is required"))?;
    let directory = options.value("controller-directory-id");
    let directory = directory.ok_or_else(|| wrong("argument --controller-directory-id/-d is required"))?;
    let unparsable = |_| Failure::illegal_argument(format!("Failed to parse --controller-directory-id: {directory}"));
    let voter_directory_id: Uuid = directory.parse().map_err(unparsable)?;
    let what = format!("controller {voter_id} with directory id {directory}");
    if options.has("dry-run") {
        terminal.line(&format!("DRY RUN of removing KRaft {what}"));
        return Ok(0);
    }
    let cluster = connect(options).await?;
    let request = RemoveRaftVoterRequest { cluster_id: cluster.cluster_id(), voter_id, voter_directory_id };
    let response = cluster.send_any(&request).await?;
    Error::check(response.error_code, response.error_message.as_ref())?;
    terminal.line(&format!("Removed KRaft {what}"));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use milena_protocol::messages::describe_quorum_response::Listener;

    use super::*;

    fn quorum() -> Partition {
        let leader = ReplicaState {
            replica_id: 1,
            log_end_offset: 119,
            last_fetch_timestamp: 1_795_248_230_624,
            last_caught_up_timestamp: 1_795_248_230_624,
            ..Default::default()
        };
        Partition {
            leader_id: 1,
            leader_epoch: 1,
            high_watermark: 93,
            current_voters: vec![leader],
            ..Default::default()
        }
    }

    #[test]
    fn the_status_is_kafkas() {
        let listener = Listener { name: "CONTROLLER".to_owned(), host: "127.0.0.1".to_owned(), port: 20001 };
        let nodes = [Node { node_id: 1, listeners: vec![listener] }];
        let expected = "ClusterId:              W-8gRVq_RCyZMh11jOAJNg
LeaderId:               1
LeaderEpoch:            1
HighWatermark:          93
MaxFollowerLag:         0
MaxFollowerLagTimeMs:   0
CurrentVoters:          [{\"id\": 1, \"endpoints\": [\"CONTROLLER://127.0.0.1:20001\"]}]
CurrentObservers:       []
";
        assert_eq!(status("W-8gRVq_RCyZMh11jOAJNg", &quorum(), &nodes), expected);
    }

    #[test]
    fn the_table_of_nodes_is_kafkas() {
        let expected =
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus\t
1     \tAAAAAAAAAAAAAAAAAAAAAA\t119         \t0  \t1795248230624     \t1795248230624        \tLeader\t
";
        assert_eq!(replication(&quorum(), None), expected);
        let ago = replication(&quorum(), Some(1_795_248_230_700));
        assert!(ago.contains("\t76 ms ago         \t"), "{ago}");
    }
}
