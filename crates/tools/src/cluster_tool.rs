//! `kafka-cluster`: cluster id, endpoints, unregistering brokers.

use milena_client::{Cluster, Error};
use milena_protocol::messages::{DescribeClusterRequest, UnregisterBrokerRequest, describe_cluster_response};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, broker_api_versions, session};

const USAGE: &str = "usage: kafka-cluster [-h] {cluster-id,unregister,list-endpoints,api-versions} ...";

const SYNTAX: Syntax = Syntax {
    purpose: "Looks at a cluster: cluster-id, unregister, list-endpoints or api-versions, followed by options.",
    options: &[
        Opt::one("bootstrap-server", "host:port", "The brokers to connect to.").or("-b"),
        Opt::one("bootstrap-controller", "host:port", "The controllers to connect to.").or("-C"),
        Opt::one("config", "file", "").or("-c").replaced_by("command-config"),
        Opt::one("id", "broker id", "The broker to unregister.").or("-i"),
        Opt::flag("include-fenced-brokers", "List fenced brokers too."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let wrong = |message: &str| Failure::ArgumentError { usage: USAGE.to_owned(), message: message.to_owned() };
    let command = options.words.first().map(String::as_str).ok_or_else(|| wrong("too few arguments"))?;
    session::runtime()?.block_on(async {
        match command {
            "cluster-id" => cluster_id(&connect(&options).await?, terminal),
            "list-endpoints" => list_endpoints(&connect(&options).await?, &options, terminal).await,
            "api-versions" => broker_api_versions::print_brokers(&connect(&options).await?, terminal).await,
            "unregister" => {
                let id = options.number("id")?.ok_or_else(|| wrong("argument --id/-i is required"))?;
                unregister(&connect(&options).await?, id, terminal).await
            }
            other => Err(wrong(&format!(
                "invalid choice: '{other}' (choose from 'cluster-id', 'unregister', 'list-endpoints', 'api-versions')"
            ))),
        }
    })
}

async fn connect(options: &Parsed) -> Result<Cluster, Failure> {
    let properties = session::ClientProperties::read(options, &["config", "command-config"], &[])?;
    let servers = options.value("bootstrap-server").or_else(|| options.value("bootstrap-controller"));
    if servers.is_none() && !options.has("zookeeper") && properties.get("bootstrap.servers").is_none() {
        let message = "one of the arguments --bootstrap-server/-b --bootstrap-controller/-C is required".to_owned();
        return Err(Failure::ArgumentError { usage: USAGE.to_owned(), message });
    }
    Ok(Cluster::connect(properties.client_config(servers, "adminclient-1")?).await?)
}

fn cluster_id(cluster: &Cluster, terminal: &mut Terminal) -> Outcome {
    match cluster.cluster_id() {
        Some(id) => terminal.line(&format!("Cluster ID: {id}")),
        None => terminal.line("No cluster ID found. The Kafka version is probably too old."),
    }
    Ok(0)
}

async fn unregister(cluster: &Cluster, broker_id: i32, terminal: &mut Terminal) -> Outcome {
    let response = match cluster.send_any(&UnregisterBrokerRequest { broker_id }).await {
        Err(Error::UnsupportedVersion { .. }) => {
            terminal.line("The target cluster does not support the broker unregistration API.");
            return Ok(1);
        }
        response => response?,
    };
    Error::check(response.error_code, response.error_message.as_ref())?;
    terminal.line(&format!("Broker {broker_id} is no longer registered."));
    Ok(0)
}

async fn list_endpoints(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let request = DescribeClusterRequest {
        endpoint_type: 1,
        include_fenced_brokers: options.has("include-fenced-brokers"),
        ..Default::default()
    };
    let response = cluster.send_any(&request).await?;
    Error::check(response.error_code, response.error_message.as_ref())?;
    terminal.print(&endpoints(&response.brokers));
    Ok(0)
}

fn endpoints(brokers: &[describe_cluster_response::Broker]) -> String {
    let host_width = brokers.iter().map(|broker| broker.host.len()).max().unwrap_or(0).max(4);
    let rack_width =
        brokers.iter().filter_map(|broker| broker.rack.as_ref()).map(String::len).max().unwrap_or(0).max(10);
    let mut text = format!(
        "{:<10} {:<host_width$} {:<10} {:<rack_width$} {:<10} {:<15}\n",
        "ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"
    );
    for broker in brokers {
        let state = if broker.is_fenced { "fenced" } else { "unfenced" };
        let rack = broker.rack.as_deref().unwrap_or("null");
        text += &format!(
            "{:<10} {:<host_width$} {:<10} {rack:<rack_width$} {state:<10} {:<15}\n",
            broker.broker_id, broker.host, broker.port, "broker"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_aligned() {
        let broker = describe_cluster_response::Broker {
            broker_id: 1,
            host: "127.0.0.1".to_owned(),
            port: 39092,
            rack: None,
            is_fenced: false,
        };
        let expected = "ID         HOST      PORT       RACK       STATE      ENDPOINT_TYPE  \n1          127.0.0.1 39092      null       unfenced   broker         \n";
        assert_eq!(endpoints(&[broker]), expected);
    }
}
