//! The servers of a service: who they are, and which partitions of a query each has.
//!
//! ```text
//!   member of a query's group ── user data: its URL ──► Kafka's coordinator ──► whoever describes the group
//! ```
//!
//! Every server is a member of the group of every persistent query, so that a service without queries knows nobody. A server
//! that dies is known until the coordinator removes it; asking it fails.

pub mod asking;
pub mod heartbeats;
pub mod neighbours;
pub mod remote_rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use milena_client::{Cluster, TopicPartition};
use milena_http::rest_client::{ClientError, RestClient};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

/// A group is not described again sooner than this.
const FRESH: Duration = Duration::from_secs(1);
/// While a group is coming together its members tell nothing: so long those of before are taken for its members.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Members' word for where they are.
const URL: &str = "url";

/// Another server, or this one, as a member of the group of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it is reached.
    pub url: String,
    /// What it reads for the query.
    pub assignment: Vec<TopicPartition>,
}

impl Member {
    /// `host:port`.
    pub fn host(&self) -> &str {
        host_of(&self.url)
    }
}

/// `host:port` of a URL.
pub fn host_of(url: &str) -> &str {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    address.split('/').next().unwrap_or_default()
}

/// The servers of the service.
pub struct Peers {
    own_url: String,
    tls: Option<TlsConnector>,
    call_max: Duration,
    clients: Mutex<BTreeMap<String, Arc<RestClient>>>,
    groups: Mutex<BTreeMap<String, Seen>>,
}

/// A group when it was described last.
struct Seen {
    at: Instant,
    told: Instant,
    members: Vec<Member>,
}

impl Peers {
    /// A server at `own_url` that believes `tls` of others, and gives them so long for an answer.
    pub fn new(own_url: String, tls: Option<TlsConnector>, call_max: Duration) -> Peers {
        Peers { own_url, tls, call_max, clients: Mutex::default(), groups: Mutex::default() }
    }

    /// `host:port` of this server, as others know it.
    pub fn own_host(&self) -> &str {
        host_of(&self.own_url)
    }

    /// What this server tells the groups of its queries.
    pub fn user_data(&self) -> Bytes {
        json!({ URL: self.own_url }).to_string().into()
    }

    /// The members of a query's group, this server among them. Those that tell nothing are left out.
    pub async fn members(&self, cluster: &Cluster, group: &str) -> Vec<Member> {
        if let Some(seen) = self.groups.lock().get(group).filter(|seen| seen.at.elapsed() < FRESH) {
            return seen.members.clone();
        }
        let described = match cluster.describe_group(group).await {
            Ok(described) => described,
            Err(error) => {
                tracing::debug!(group, "the group cannot be described: {error}");
                return Vec::new();
            }
        };
        let members: Vec<Member> = described
            .members
            .into_iter()
            .filter_map(|member| {
                let told: Value = serde_json::from_slice(member.user_data.as_deref()?).ok()?;
                Some(Member { url: told[URL].as_str()?.to_owned(), assignment: member.assignment })
            })
            .collect();
        let now = Instant::now();
        let mut groups = self.groups.lock();
        groups.retain(|_, seen| seen.told.elapsed() < REMEMBERED);
        if described.state == "Stable" {
            groups.insert(group.to_owned(), Seen { at: now, told: now, members: members.clone() });
            return members;
        }
        match groups.get_mut(group) {
            None => members,
            Some(seen) => {
                seen.at = now;
                seen.members.clone()
            }
        }
    }

    /// The URLs of the other servers that are members of one of the groups.
    pub async fn others(&self, cluster: &Cluster, groups: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut urls = BTreeSet::new();
        for group in groups {
            let members = self.members(cluster, &group).await;
            urls.extend(members.into_iter().filter(|member| member.host() != self.own_host()).map(|member| member.url));
        }
        urls
    }

    /// What calls another server.
    ///
    /// # Errors
    /// A member that tells something that is no URL.
    pub fn client(&self, url: &str) -> Result<Arc<RestClient>, ClientError> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(url) {
            return Ok(client.clone());
        }
        let client = RestClient::new(url, None)?.with_tls(self.tls.clone()).with_call_max(self.call_max);
        let client = Arc::new(client.keeping_connections());
        clients.insert(url.to_owned(), client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_its_host_and_port() {
        for url in ["http://a:8088", "https://a:8088/", "a:8088", "http://a:8088/x/y"] {
            assert_eq!(host_of(url), "a:8088", "{url}");
        }
        let peers = Peers::new("https://[::1]:1/".to_owned(), None, FRESH);
        assert_eq!(peers.own_host(), "[::1]:1");
        assert_eq!(&peers.user_data()[..], br#"{"url":"https://[::1]:1/"}"#);
    }
}
