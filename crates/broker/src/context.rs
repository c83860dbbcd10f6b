//! What a request handler is given: the broker it works for and the circumstances of the request.
//!
//! [`Broker`] is the set of long-lived parts; handlers share it behind one `Arc`. [`RequestContext`] is built once a
//! request from what the connection knows.
//!
//! Deliberately absent: sockets. A handler turns a request into a response and never sees the connection.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use milena_log::LogManager;
use milena_metadata::{BrokerConfig, ClusterImage, Controller};
use milena_stdx::Clock;
use tokio_util::sync::CancellationToken;

use crate::fetch_session::FetchSessionCache;
use crate::flow::RequestFlow;
use crate::group::GroupCoordinator;
use crate::live_config::LiveConfig;
use crate::metrics::{Metrics, SlowRequests};
use crate::partition::PartitionTable;
use crate::producer_ids::ProducerIds;
use crate::quota::{ConnectionQuotas, QuotaManager};
use crate::security::sasl::SaslSession;
use crate::security::{Authorizer, ListenerSecurity, Principal};
use crate::share::ShareGroups;
use crate::telemetry::Telemetry;
use crate::transaction::TransactionCoordinator;

/// The parts of a running broker, shared by every connection.
pub struct Broker {
    /// The static configuration, resolved and typed.
    pub config: Arc<BrokerConfig>,
    /// Topics, configurations and producer id blocks; the source of the cluster image.
    pub controller: Arc<Controller>,
    /// The logs of every partition kept here.
    pub logs: Arc<LogManager>,
    /// Partitions led by this broker: their logs and the fetches parked on them.
    pub partitions: Arc<PartitionTable>,
    /// Consumer groups and committed offsets.
    pub groups: Arc<GroupCoordinator>,
    /// Transactions of the producers that this broker coordinates.
    pub transactions: Arc<TransactionCoordinator>,
    /// Incremental fetch sessions (KIP-227).
    pub fetch_sessions: FetchSessionCache,
    /// Share groups: who has which record (KIP-932).
    pub share: ShareGroups,
    /// Producer ids handed out to idempotent producers.
    pub producer_ids: Arc<ProducerIds>,
    /// Decides what clients may do.
    pub authorizer: Authorizer,
    /// What an operator can see.
    pub metrics: Arc<Metrics>,
    /// The log of slow requests.
    pub(crate) slow_requests: SlowRequests,
    /// Quotas of users and clients.
    pub quotas: Arc<QuotaManager>,
    /// Subscriptions to metrics of clients (KIP-714).
    pub(crate) telemetry: Telemetry,
    /// Limits and rates of connections.
    pub(crate) connection_quotas: ConnectionQuotas,
    /// Settings that change while the broker runs.
    pub live_config: LiveConfig,
    /// TLS and SASL of the listeners.
    pub listener_security: Arc<ListenerSecurity>,
    /// The clock that every timeout and timestamp of the broker reads.
    pub clock: Arc<dyn Clock>,
    /// The listeners that accept clients, in the order of the configuration.
    pub listeners: Vec<Arc<ListenerInfo>>,
}

impl Broker {
    /// One immutable snapshot of the cluster's metadata; a request reads a single one from start to end.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.controller.image()
    }

    /// What keeps the broker from doing its work, one line each: log directories that have failed.
    pub fn problems(&self) -> Vec<String> {
        let dirs = self.logs.log_dirs().into_iter();
        dirs.filter_map(|dir| Some(format!("log directory {}: {}", dir.path.display(), dir.error?))).collect()
    }

    /// The id of this broker (`node.id`).
    pub fn node_id(&self) -> i32 {
        self.config.node_id
    }
}

/// One listener as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerInfo {
    /// The listener's name, `PLAINTEXT` unless configured otherwise.
    pub name: String,
    /// The security protocol of `listener.security.protocol.map`.
    pub security_protocol: String,
    /// Where the socket is bound, with the real port when port 0 was configured.
    pub bound: SocketAddr,
    /// The host that Metadata and FindCoordinator answer on this listener: `advertised.listeners`, else the host it is bound
    /// to. A listener on every interface answers with the address that the client connected to.
    pub advertised_host: String,
    /// The port that goes with [`ListenerInfo::advertised_host`].
    pub advertised_port: u16,
    /// Whether the host depends on the connection.
    pub advertises_local_address: bool,
}

impl ListenerInfo {
    /// The listener as a client sees it that connected to `local`.
    pub(crate) fn as_seen_from(self: &Arc<Self>, local: SocketAddr) -> Arc<ListenerInfo> {
        if !self.advertises_local_address {
            return self.clone();
        }
        Arc::new(ListenerInfo { advertised_host: local.ip().to_canonical().to_string(), ..ListenerInfo::clone(self) })
    }
}

/// The circumstances of one request.
#[derive(Clone)]
pub struct RequestContext {
    /// The listener the connection came in on; answers name this listener's addresses.
    pub listener: Arc<ListenerInfo>,
    /// `client.id` of the request header.
    pub client_id: Option<String>,
    /// The address of the client.
    pub peer: SocketAddr,
    /// The version of the request that is being served.
    pub api_version: i16,
    /// What the client has been authenticated as; `User:ANONYMOUS` where a listener authenticates nobody.
    pub principal: Arc<Principal>,
    /// The SASL state of the connection, on listeners with SASL.
    pub(crate) sasl: Option<Arc<SaslSession>>,
    /// Name and version of the client library, once an ApiVersions request (v3+) told them; shared by the connection.
    pub client_software: Arc<ArcSwapOption<ClientSoftware>>,
    /// Cancelled when the connection ends.
    pub closed: CancellationToken,
    /// What the request costs; the connection reads it when the request has been served.
    pub(crate) flow: Arc<RequestFlow>,
}

impl RequestContext {
    /// The user as quotas name him, without `User:`.
    pub(crate) fn user(&self) -> &str {
        &self.principal.name
    }
}

/// What a client library says about itself (KIP-511).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSoftware {
    /// For example `apache-kafka-java` or `librdkafka`.
    pub name: String,
    /// The version of the library, in its own scheme.
    pub version: String,
}
