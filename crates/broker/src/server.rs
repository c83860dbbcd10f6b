//! Putting the parts together, and taking them apart again.
//!
//! Start: bind the listeners (a taken port is the commonest mistake and must be told first) → metadata → logs with
//! recovery → partition table → groups → accept clients. Stop: no new requests → responses under way leave → logs are
//! flushed and marked clean.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use milena_log::{LogManager, LogManagerOptions, OpenError};
use milena_metadata::{BrokerConfig, Controller, ControllerError, ListenerConfig};
use milena_stdx::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::context::{Broker, ListenerInfo};
use crate::fetch_session::FetchSessionCache;
use crate::group::{GroupConfig, GroupCoordinator};
use crate::net::{self, ConnectionLimits};
use crate::offsets_log::{ImageTopics, PartitionOffsetsLog};
use crate::partition::PartitionTable;
use crate::producer_ids::ProducerIds;

/// Memory for unfinished large frames of all connections, unless `queued.max.request.bytes` says otherwise.
const FRAME_MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's host name does not resolve.
    #[error("listener {name}: host {host} cannot be resolved")]
    UnknownHost {
        /// The listener.
        name: String,
        /// The host as configured.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The port belongs to another process, or the address to another machine.
    #[error("listener {name}: cannot listen on {address}: {source}")]
    Bind {
        /// The listener.
        name: String,
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A listener asks for a security protocol that is not served.
    #[error("listener {name}: security protocol {protocol} is not supported (only PLAINTEXT is)")]
    SecurityProtocol {
        /// The listener.
        name: String,
        /// The protocol as configured.
        protocol: String,
    },
    /// The metadata cannot be opened.
    #[error("metadata: {0}")]
    Metadata(#[from] ControllerError),
    /// The log directories cannot be opened.
    #[error(transparent)]
    Logs(#[from] OpenError),
}

/// A broker that serves clients. It stops when the token given to [`Broker::start`] is cancelled.
pub struct RunningBroker {
    broker: Arc<Broker>,
    serving: JoinHandle<()>,
}

impl RunningBroker {
    /// The addresses the listeners are bound to, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.broker.listeners.iter().map(|listener| listener.bound).collect()
    }

    /// The broker itself.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Waits until the broker has stopped: all connections ended, all logs flushed and marked clean.
    pub async fn stopped(self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the broker ended abnormally");
        }
    }
}
