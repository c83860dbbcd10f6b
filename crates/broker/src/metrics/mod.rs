//! What an operator can see of a running broker, in Prometheus' text format.
//!
//! Names are those that the JMX exporter's usual configuration gives Kafka's own metrics, so that dashboards made for Kafka
//! work; what Kafka does not have starts with `milena_`.
//!
//! - hot paths only add to atomics ([`TopicMeter`], [`RequestMeters`]); no lock, and nothing per record
//! - everything else is read from the parts of the broker when somebody asks ([`scrape`]), so it costs nothing meanwhile
//! - no registry of the process: a scrape fills one of its own
//!
//! [`scrape`]: Metrics::scrape

mod client;
mod encode;
mod error_codes;
mod groups;
mod process;
mod requests;
mod scrape;
mod slow_request;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

pub(crate) use client::{ClientMetrics, ClientSample};
pub(crate) use error_codes::ErrorCodes;
pub(crate) use requests::{RequestMeters, RequestTimer};
pub(crate) use slow_request::SlowRequests;
pub(crate) use topics::{TopicMeter, TopicMeters};

/// The broker's meters.
pub struct Metrics {
    pub(crate) requests: RequestMeters,
    pub(crate) topics: Arc<TopicMeters>,
    pub(crate) clients: ClientMetrics,
    listeners: RwLock<BTreeMap<String, Arc<ListenerMeter>>>,
}

/// Connections of one listener.
#[derive(Default)]
pub(crate) struct ListenerMeter {
    open: AtomicI64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Metrics {
    /// Meters that stand at zero. `topics` are shared with the partitions that count.
    pub(crate) fn new(topics: Arc<TopicMeters>) -> Metrics {
        Metrics {
            requests: RequestMeters::new(),
            topics,
            clients: ClientMetrics::default(),
            listeners: RwLock::default(),
        }
    }

    /// The meter of the listener called `name`.
    pub(crate) fn listener(&self, name: &str) -> Arc<ListenerMeter> {
        if let Some(meter) = self.listeners.read().get(name) {
            return meter.clone();
        }
        self.listeners.write().entry(name.to_owned()).or_default().clone()
    }
}

impl ListenerMeter {
    /// A connection was admitted.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
        self.accepted.fetch_add(1, Relaxed);
    }

    /// An admitted connection has ended.
    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// A connection was closed because of a limit.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }
}
