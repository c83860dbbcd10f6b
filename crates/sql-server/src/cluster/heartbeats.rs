//! Servers that tell each other that they live, and how far their stores are (`ksql.heartbeat.enable`).
//!
//! ```text
//!   groups of the queries ──► who there is ──► one task for each: POST /heartbeat, now and then /lag
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use milena_client::TopicPartition;
use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_http::rest_client::RestClient;
use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::asking::groups;
use super::host_of;
use crate::state::{Connected, Server};

/// A server that takes longer for a heartbeat does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Pause before a Kafka that is not there is waited for again.
const RETRY: Duration = Duration::from_secs(1);

/// How often what is told.
struct Pace {
    send: Duration,
    discover: Duration,
    /// `None`: nothing is told of stores.
    lags: Option<Duration>,
}

/// How long a server may be silent.
pub fn silence_max(server: &Server) -> Duration {
    millis(server, "ksql.heartbeat.window.ms", 2000)
}

/// Whether servers tell each other anything.
pub fn are_enabled(server: &Server) -> bool {
    server.config.settings.is_true("ksql.heartbeat.enable", false)
}

fn millis(server: &Server, name: &str, default: u64) -> Duration {
    let set = server.config.settings.integer(name).and_then(|ms| u64::try_from(ms).ok());
    Duration::from_millis(set.unwrap_or(default).max(1))
}

/// Finds the other servers and tells them, until `shutdown`.
pub async fn run(server: Arc<Server>, shutdown: ShutdownToken) {
    if !are_enabled(&server) {
        return;
    }
    let reports = server.config.settings.is_true("ksql.lag.reporting.enable", false);
    let pace = Pace {
        send: millis(&server, "ksql.heartbeat.send.interval.ms", 100),
        discover: millis(&server, "ksql.heartbeat.discover.interval.ms", 2000),
        lags: reports.then(|| millis(&server, "ksql.lag.reporting.send.interval.ms", 5000)),
    };
    tokio::select! {
        () = tell(&server, &pace) => {}
        () = shutdown.cancelled() => {}
    }
}

/// A server that is told; it is told no more when this is dropped.
struct Told(JoinHandle<()>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn tell(server: &Arc<Server>, pace: &Pace) {
    let connected = loop {
        match server.ready().await {
            Ok(connected) => break connected,
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    };
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    let mut lags_at = Instant::now();
    loop {
        let others = server.peers.others(&connected.kafka.cluster, groups(server)).await;
        told.retain(|url, task| others.contains(url) && !task.0.is_finished());
        for url in &others {
            server.neighbours.found(host_of(url));
            if !told.contains_key(url) {
                let task = tokio::spawn(beat(server.clone(), url.clone(), pace.send));
                told.insert(url.clone(), Told(task));
            }
        }
        if let Some(every) = pace.lags
            && Instant::now() >= lags_at
        {
            lags_at = Instant::now() + every;
            let lags = lags(server, &connected).await;
            server.neighbours.set_own_lags(lags.clone());
            let body = json!({ "ksqlHost": info(server.peers.own_host()), "hostStoreLags": lags });
            for url in others {
                let Ok(client) = server.peers.client(&url) else { continue };
                let body = body.to_string();
                tokio::spawn(async move { send(&client, "/lag", body).await });
            }
        }
        let next = pace.lags.map_or(pace.discover, |every| every.min(pace.discover));
        tokio::time::sleep(next).await;
    }
}

/// `host:port` as requests have it.
fn info(host: &str) -> Value {
    let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
    json!({ "host": host, "port": port.parse::<u16>().unwrap_or_default() })
}

/// Says to one server that this one lives, until the task is ended.
async fn beat(server: Arc<Server>, url: String, every: Duration) {
    let Ok(client) = server.peers.client(&url) else { return };
    let own = info(server.peers.own_host());
    loop {
        let body = json!({ "hostInfo": own, "timestamp": SystemClock.now_ms() });
        send(&client, "/heartbeat", body.to_string()).await;
        tokio::time::sleep(every).await;
    }
}

/// One that does not hear is told again soon enough.
async fn send(client: &RestClient, path: &str, body: String) {
    let headers = HeaderMap::new();
    let sent = client.send("POST", path, &headers, body.into());
    match tokio::time::timeout(ANSWER_MAX, sent).await {
        Ok(Ok((200, _))) => {}
        Ok(Ok((status, _))) => tracing::debug!(status, path, "another server refuses what it is told"),
        Ok(Err(error)) => tracing::debug!(path, "another server is not reached: {error}"),
        Err(_) => tracing::debug!(path, "another server does not answer"),
    }
}

/// How far the stores of this server are: those that can be read hold everything that their changelogs do, for nobody else
/// writes those.
async fn lags(server: &Server, connected: &Connected) -> Value {
    let mut stores: BTreeMap<String, Vec<TopicPartition>> = BTreeMap::new();
    for (query, changelog, partition) in server.tables.changelogs() {
        let group = format!("{}{query}", server.config.query_prefix());
        let store = store_of(&changelog, &group);
        stores.entry(format!("{group}#{store}")).or_default().push(TopicPartition::new(changelog, partition));
    }
    let wanted: Vec<_> = stores.values().flatten().map(|tp| (tp.clone(), OffsetSpec::LATEST)).collect();
    let isolation = IsolationLevel::ReadUncommitted;
    let ends = match wanted.is_empty() {
        true => BTreeMap::new(),
        false => connected.kafka.cluster.list_offsets(&wanted, isolation).await.unwrap_or_default(),
    };
    let mut answer = Map::new();
    for (store, partitions) in stores {
        let mut lags = Map::new();
        for tp in partitions {
            let Some(Ok(end)) = ends.get(&tp) else { continue };
            let lag = json!({
                "currentOffsetPosition": end.offset, "endOffsetPosition": end.offset, "offsetLag": 0,
            });
            lags.insert(tp.partition.to_string(), lag);
        }
        let size = lags.len();
        answer.insert(store, json!({ "lagByPartition": lags, "size": size }));
    }
    json!({ "stateStoreLags": answer, "updateTimeMs": SystemClock.now_ms() })
}

/// The store that a changelog belongs to.
pub fn store_of<'a>(changelog: &'a str, group: &str) -> &'a str {
    let name = changelog.strip_prefix(group).unwrap_or(changelog).trim_start_matches('-');
    name.strip_suffix("-changelog").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_after_their_changelogs() {
        assert_eq!(store_of("g-Aggregate-Aggregate-Materialize-changelog", "g"), "Aggregate-Aggregate-Materialize");
        assert_eq!(store_of("other", "g"), "other");
    }

    #[test]
    fn hosts_are_told_with_their_ports() {
        assert_eq!(info("a:8088"), json!({ "host": "a", "port": 8088 }));
        assert_eq!(info("[::1]:1"), json!({ "host": "[::1]", "port": 1 }));
    }
}
