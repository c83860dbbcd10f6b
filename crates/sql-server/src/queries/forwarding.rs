//! Pull queries that other servers answer in part: those that have the partitions which are not here.
//!
//! ```text
//!   partitions that are not here ──► every other member of the query's group ──► what each of them has
//! ```
//!
//! Servers that are asked so ask nobody else. An answer is taken only when all of them together have every partition once:
//! while partitions move from one server to another, the question is asked again.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::tables::Whole;
use crate::cluster::host_of;
use crate::cluster::remote_rows::RemoteRows;
use crate::session::Session;
use crate::state::{Connected, Server};

/// In the properties of a request that a server sends: it is not to be passed on.
pub const SKIP_FORWARDING: &str = "request.ksql.query.pull.skip.forwarding";
/// The partitions whose rows are wanted, separated by commas; all without it.
pub const PARTITIONS: &str = "request.ksql.query.pull.partition";
/// A request of another server of the service.
pub const INTERNAL: &str = "request.ksql.internal.request";

/// What another server has asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The partitions; `None` for all.
    pub partitions: Option<BTreeSet<i32>>,
}

impl Forwarded {
    /// Of the properties of a request; `None` for one that may be passed on.
    pub fn of(properties: &Map<String, Value>) -> Option<Forwarded> {
        let is_true = |value: &Value| value == &Value::Bool(true) || value.as_str() == Some("true");
        properties.get(SKIP_FORWARDING).filter(|value| is_true(value))?;
        let named = properties.get(PARTITIONS).and_then(Value::as_str).filter(|named| !named.is_empty());
        let partitions = named.map(|named| named.split(',').filter_map(|number| number.trim().parse().ok()).collect());
        Some(Forwarded { partitions })
    }

    /// Whether rows of this partition are wanted.
    pub fn wants(&self, partition: i32) -> bool {
        self.partitions.as_ref().is_none_or(|wanted| wanted.contains(&partition))
    }
}

/// A pull query as it is passed on.
pub struct Asking<'a> {
    /// The server that was asked.
    pub server: &'a Arc<Server>,
    /// Kafka.
    pub connected: &'a Connected,
    /// The persistent query that keeps the table.
    pub writer: &'a str,
    /// The text.
    pub text: &'a str,
    /// Properties, variables and credentials.
    pub session: &'a Session,
}

/// What other servers have answered.
#[derive(Default)]
pub struct Gathered {
    /// Results that are about to come.
    pub remotes: Vec<RemoteRows>,
    /// The servers that were asked, with why they have not answered.
    pub scanned: Vec<String>,
}

impl Gathered {
    /// The partitions that are missing when `here` is what this server has. `None` when somebody has what another one has
    /// too, or when nobody knows how many there are.
    pub fn missing(&self, here: &Whole) -> Option<Vec<i32>> {
        let total = self.remotes.iter().map(|remote| remote.covered.total).chain([here.total]).max().unwrap_or(0);
        let mut found: BTreeSet<i32> = here.parts.keys().copied().collect();
        for partition in self.remotes.iter().flat_map(|remote| &remote.covered.partitions) {
            if !found.insert(*partition) {
                return None;
            }
        }
        (total > 0).then(|| (0..total).filter(|partition| !found.contains(partition)).collect())
    }
}

impl Asking<'_> {
    /// Asks all other servers for what is not `here`.
    pub async fn gather(&self, here: &Whole) -> Gathered {
        let (peers, group) = (&self.server.peers, format!("{}{}", self.server.config.query_prefix(), self.writer));
        let urls = peers.others(&self.connected.kafka.cluster, [group]).await;
        let request = self.request(&here.missing());
        let mut asked = JoinSet::new();
        for url in urls {
            let client = peers.client(&url);
            let (request, authorization) = (request.clone(), self.session.authorization.clone());
            asked.spawn(async move {
                let answered = match client {
                    Ok(client) => RemoteRows::open(&client, request, authorization.as_ref()).await,
                    Err(error) => Err(error.to_string()),
                };
                (url, answered)
            });
        }
        let mut gathered = Gathered::default();
        while let Some(answered) = asked.join_next().await {
            let Ok((url, answered)) = answered else { continue };
            let host = host_of(&url);
            match answered {
                Ok(rows) => {
                    gathered.scanned.push(host.to_owned());
                    if !rows.covered.partitions.is_empty() {
                        gathered.remotes.push(rows);
                    }
                }
                Err(reason) => {
                    tracing::debug!(host, "a pull query cannot be forwarded: {reason}");
                    gathered.scanned.push(format!("{host} ({reason})"));
                }
            }
        }
        gathered
    }

    fn request(&self, wanted: &[i32]) -> Bytes {
        let wanted: Vec<String> = wanted.iter().map(i32::to_string).collect();
        let request = json!({
            "ksql": self.text,
            "streamsProperties": self.session.properties,
            "sessionVariables": self.session.variables,
            "requestProperties": { SKIP_FORWARDING: true, INTERNAL: true, PARTITIONS: wanted.join(",") },
        });
        request.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_servers_are_marked() {
        let of = |properties: Value| properties.as_object().and_then(Forwarded::of);
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({ SKIP_FORWARDING: false })), None);
        assert!(of(json!({ SKIP_FORWARDING: "true", PARTITIONS: "" })).unwrap().wants(7));
        let some = of(json!({ SKIP_FORWARDING: true, PARTITIONS: "0, 2" })).unwrap();
        assert_eq!([0, 1, 2].map(|partition| some.wants(partition)), [true, false, true]);
    }
}
