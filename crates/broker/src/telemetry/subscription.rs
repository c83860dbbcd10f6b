//! What one client is asked to push: all subscriptions that match it, taken together.

use std::collections::BTreeSet;

use milena_metadata::ClusterImage;
use milena_metadata::client_match::ClientMatch;
use milena_protocol::Uuid;

/// `interval.ms` unless a subscription says otherwise.
const PUSH_INTERVAL_MS: i32 = 300_000;
/// Every metric.
const ALL: &str = "*";

/// The metrics wanted of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Another number whenever something changes for the client.
    pub(crate) id: i32,
    /// Prefixes of metric names; `*` for all, none for none.
    pub(crate) metrics: Vec<String>,
    /// Milliseconds between two pushes.
    pub(crate) push_interval_ms: i32,
}

impl Subscription {
    /// The subscription of the instance `id`; `value_of` tells what the client is told apart by.
    pub(crate) fn of(image: &ClusterImage, id: &Uuid, value_of: impl Fn(&str) -> Option<String>) -> Subscription {
        let mut metrics = BTreeSet::new();
        let mut push_interval_ms = PUSH_INTERVAL_MS;
        for config in image.client_metrics_configs.values() {
            let setting = |key: &str| config.get(key).map(String::as_str);
            let matches =
                ClientMatch::parse(setting("match").unwrap_or("")).is_ok_and(|wanted| wanted.matches(&value_of));
            if !matches {
                continue;
            }
            let names = setting("metrics").unwrap_or("").split(',').map(str::trim).filter(|name| !name.is_empty());
            metrics.extend(names.map(str::to_owned));
            let interval_ms = setting("interval.ms").and_then(|interval| interval.parse().ok());
            push_interval_ms = push_interval_ms.min(interval_ms.unwrap_or(PUSH_INTERVAL_MS));
        }
        let metrics: Vec<String> =
            if metrics.contains(ALL) { vec![ALL.to_owned()] } else { metrics.into_iter().collect() };
        Subscription { id: identify(&metrics, push_interval_ms, id), metrics, push_interval_ms }
    }
}

/// A checksum of what the client is asked for and of who it is.
fn identify(metrics: &[String], push_interval_ms: i32, id: &Uuid) -> i32 {
    let text = format!("{}{push_interval_ms}", metrics.join(", "));
    let checksum = milena_protocol::record::crc32c(text.as_bytes());
    let instance = id.0.chunks(4).fold(0u32, |folded, word| {
        word.iter().fold(folded.rotate_left(7), |hash, byte| hash ^ u32::from(*byte).rotate_left(11))
    });
    (checksum ^ instance) as i32
}
