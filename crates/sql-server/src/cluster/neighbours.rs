//! What servers of a service tell each other: that they live, and how far behind their stores are.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Servers that are remembered; more of them are a mistake or malice.
const HOSTS_MAX: usize = 1000;
/// Servers that were silent for so long are forgotten.
const FORGOTTEN_AFTER_MS: i64 = 3_600_000;

/// What other servers have told, and what this one tells of its own stores.
#[derive(Default)]
pub struct Neighbours {
    hosts: Mutex<BTreeMap<String, Told>>,
    own_lags: Mutex<Value>,
}

#[derive(Default)]
struct Told {
    heard_ms: i64,
    lags: Value,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq)]
pub struct HostStatus {
    /// Whether it was heard of lately.
    pub is_alive: bool,
    /// When, in milliseconds since the epoch.
    pub heard_ms: i64,
    /// What it has told of its stores.
    pub lags: Value,
}

impl Neighbours {
    fn note(&self, host: &str, change: impl FnOnce(&mut Told)) {
        let mut hosts = self.hosts.lock();
        if hosts.contains_key(host) || hosts.len() < HOSTS_MAX {
            change(hosts.entry(host.to_owned()).or_default());
        }
    }

    /// A server lives.
    pub fn heard(&self, host: &str) {
        let now = SystemClock.now_ms();
        self.note(host, |told| told.heard_ms = now);
    }

    /// A server is there, as Kafka says; it has as long as any other to say so itself.
    pub fn found(&self, host: &str) {
        let now = SystemClock.now_ms();
        self.note(host, |told| {
            if told.heard_ms == 0 {
                told.heard_ms = now;
            }
        });
        self.hosts.lock().retain(|_, told| now - told.heard_ms < FORGOTTEN_AFTER_MS);
    }

    /// What a server tells of its stores.
    pub fn set_lags(&self, host: &str, lags: Value) {
        self.note(host, |told| told.lags = lags);
    }

    /// What this server tells of its stores.
    pub fn set_own_lags(&self, lags: Value) {
        *self.own_lags.lock() = lags;
    }

    /// All servers, this one at `own` among them; those that were silent for longer than `silence_max` are taken for dead.
    pub fn statuses(&self, own: &str, silence_max: Duration) -> BTreeMap<String, HostStatus> {
        let now = SystemClock.now_ms();
        let silence_max = i64::try_from(silence_max.as_millis()).unwrap_or(i64::MAX);
        let lags = |lags: &Value| match lags {
            Value::Null => json!({ "stateStoreLags": {}, "updateTimeMs": 0 }),
            lags => lags.clone(),
        };
        let hosts = self.hosts.lock();
        let others = hosts.iter().map(|(host, told)| {
            let is_alive = now - told.heard_ms <= silence_max;
            (host.clone(), HostStatus { is_alive, heard_ms: told.heard_ms, lags: lags(&told.lags) })
        });
        let mut statuses: BTreeMap<String, HostStatus> = others.collect();
        let own_lags = lags(&self.own_lags.lock());
        statuses.insert(own.to_owned(), HostStatus { is_alive: true, heard_ms: now, lags: own_lags });
        statuses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_death_and_oneself_lives() {
        let neighbours = Neighbours::default();
        neighbours.found("b:1");
        neighbours.note("c:1", |told| told.heard_ms = SystemClock.now_ms() - 5000);
        neighbours.set_lags("c:1", json!({ "updateTimeMs": 7 }));
        let statuses = neighbours.statuses("a:1", Duration::from_secs(2));
        let alive: Vec<(&str, bool)> = statuses.iter().map(|(host, status)| (host.as_str(), status.is_alive)).collect();
        assert_eq!(alive, [("a:1", true), ("b:1", true), ("c:1", false)]);
        assert_eq!(statuses["c:1"].lags["updateTimeMs"], 7);
        neighbours.heard("c:1");
        assert!(neighbours.statuses("a:1", Duration::from_secs(2))["c:1"].is_alive);
    }
}
