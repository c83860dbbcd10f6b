//! `kafka-broker-api-versions`: what each broker understands, and what this client would use.

use std::collections::BTreeMap;

use milena_client::{Cluster, Node};
use milena_protocol::messages::api_versions_response::ApiKey as Range;
use milena_protocol::messages::{ApiVersionsResponse, DescribeClusterRequest};
use milena_protocol::{ApiKey, catalog};

use crate::options::{Args, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, session};

const SYNTAX: Syntax = Syntax { purpose: "Shows the API versions of each broker.", options: &[] };

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    session::runtime()?.block_on(async {
        let cluster = session::connect_admin(&options).await?;
        print_brokers(&cluster, terminal).await
    })
}

/// Prints every broker; also `kafka-cluster api-versions`.
pub(crate) async fn print_brokers(cluster: &Cluster, terminal: &mut Terminal) -> Outcome {
    let described = cluster
        .send_any(&DescribeClusterRequest { include_fenced_brokers: true, endpoint_type: 1, ..Default::default() })
        .await;
    for node in cluster.nodes() {
        let is_fenced = described.as_ref().is_ok_and(|response| {
            response.brokers.iter().any(|broker| broker.broker_id == node.id && broker.is_fenced)
        });
        match cluster.node(node.id).await {
            Ok(connection) => terminal.print(&shown(&node, is_fenced, connection.api_versions())),
            Err(error) => terminal.line(&format!("{} -> ERROR: {}", label(&node, is_fenced), error.to_exception())),
        }
    }
    Ok(0)
}

fn label(node: &Node, is_fenced: bool) -> String {
    let rack = node.rack.as_deref().unwrap_or("null");
    format!("{}:{} (id: {} rack: {rack} isFenced: {is_fenced})", node.host, node.port, node.id)
}

/// The newest API of a released Apache Kafka (4.3): newer ones are told only by brokers that serve them.
const NEWEST_RELEASED: i16 = ApiKey::DeleteShareGroupOffsets as i16;

/// One line an API in the order of keys: those the broker serves, and those only this client knows.
fn shown(node: &Node, is_fenced: bool, versions: &ApiVersionsResponse) -> String {
    let mut lines: BTreeMap<i16, String> = ApiKey::ALL
        .iter()
        .filter(|key| key.is_on_broker_listener() && key.code() <= NEWEST_RELEASED)
        .map(|key| (*key as i16, format!("\t{}({}): UNSUPPORTED", key.name(), *key as i16)))
        .collect();
    lines.extend(versions.api_keys.iter().map(|range| (range.api_key, served(range))));
    let lines: Vec<String> = lines.into_values().collect();
    format!("{} -> (\n{}\n)\n", label(node, is_fenced), lines.join(",\n"))
}

fn served(range: &Range) -> String {
    let Range { api_key, min_version, max_version } = *range;
    let span = span(min_version, max_version);
    let Ok(key) = ApiKey::try_from(api_key) else { return format!("\tUNKNOWN({api_key}): {span}") };
    let (own_min, own_max) = own_versions(key);
    let usable = max_version.min(own_max);
    let usable =
        if usable >= min_version.max(own_min) { format!("usable: {usable}") } else { "UNSUPPORTED".to_owned() };
    format!("\t{}({api_key}): {span} [{usable}]", key.name())
}

/// The versions of a request that this build can write.
fn own_versions(key: ApiKey) -> (i16, i16) {
    let known = catalog::REQUESTS.iter().find(|request| request.key == Some(key));
    known.map_or((0, -1), |request| (request.min_version, request.max_version))
}

fn span(min: i16, max: i16) -> String {
    if min == max { min.to_string() } else { format!("{min} to {max}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_shown_as_recorded() {
        let node = Node { id: 1, host: "127.0.0.1".to_owned(), port: 29092, rack: None };
        let range = |api_key, min_version, max_version| Range { api_key, min_version, max_version };
        let versions = ApiVersionsResponse {
            api_keys: vec![range(3, 0, 13), range(92, 0, 0), range(999, 1, 2)],
            ..Default::default()
        };
        let printed = shown(&node, false, &versions);
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.first(), Some(&"127.0.0.1:29092 (id: 1 rack: null isFenced: false) -> ("));
        assert_eq!(lines[lines.len() - 2..], ["\tUNKNOWN(999): 1 to 2", ")"]);
        for expected in [
            "\tProduce(0): UNSUPPORTED,",
            "\tMetadata(3): 0 to 13 [usable: 13],",
            "\tDeleteShareGroupOffsets(92): 0 [usable: 0],",
        ] {
            assert!(lines.contains(&expected), "{expected} is missing in {printed}");
        }
        let keys: Vec<i32> = lines.iter().filter_map(|line| line.split(['(', ')']).nth(1)?.parse().ok()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(!printed.contains("BrokerRegistration"), "controllers' APIs are none of a client's business");
    }
}
