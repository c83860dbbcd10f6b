//! Putting the parts together, and taking them apart again.
//!
//! Start: bind the listeners (a taken port is the commonest mistake and must be told first) → metadata → logs with
//! recovery → partition table → groups → accept clients. Stop: no new requests → responses under way leave → logs are
//! flushed and marked clean.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;

use milena_log::{LogManager, LogManagerOptions, OpenError};
use milena_metadata::{
    BrokerConfig, ClusterImage, Controller, ControllerError, ListenerConfig, MetadataChange, TRANSACTION_VERSION,
};
use milena_stdx::{Clock, ShutdownToken, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::context::{Broker, ListenerInfo};
use crate::delegation_tokens;
use crate::fetch_session::FetchSessionCache;
use crate::group::{GroupConfig, GroupCoordinator};
use crate::live_config::{LiveConfig, cleaner_options};
use crate::metrics::{Metrics, SlowRequests};
use crate::net::{self, ConnectionLimits, ListenOptions};
use crate::offsets_log::{ImageTopics, PartitionOffsetsLog};
use crate::partition::{PartitionTable, log_config};
use crate::producer_ids::{AllocatedIds, ProducerIds};
use crate::quota::{ConnectionQuotas, QuotaManager, QuotaTable, QuotaWindows};
use crate::security::{self, Authorizer, AuthorizerError, ListenerSecurity, ListenerSecurityError};
use crate::share::ShareGroups;
use crate::stray;
use crate::telemetry::Telemetry;
use crate::transaction::partitions::LocalPartitions;
use crate::transaction::state_log::PartitionStateLog;
use crate::transaction::{TransactionConfig, TransactionCoordinator};

/// Memory for unfinished large frames of all connections, unless `queued.max.request.bytes` says otherwise.
const FRAME_MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// Connections that may at least wait to be accepted; Kafka's default of 50 is soon overrun.
const BACKLOG_MIN: i32 = 1024;

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
    /// The metadata cannot be opened.
    #[error("metadata: {0}")]
    Metadata(#[from] ControllerError),
    /// What another cluster left in the log directories cannot be taken over.
    #[error(transparent)]
    TakeOver(#[from] stray::TakeOverError),
    /// The log directories cannot be opened.
    #[error(transparent)]
    Logs(#[from] OpenError),
    /// The configured authorizer cannot be used.
    #[error(transparent)]
    Authorizer(#[from] AuthorizerError),
    /// A listener cannot be secured as configured.
    #[error(transparent)]
    ListenerSecurity(#[from] ListenerSecurityError),
    /// Opening was interrupted.
    #[error("the start was interrupted")]
    Aborted,
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

impl Broker {
    /// Starts a broker. It serves clients when this returns, and stops when `shutdown` is cancelled.
    ///
    /// # Errors
    /// See [`StartError`]; nothing keeps running then.
    pub async fn start(config: Arc<BrokerConfig>, shutdown: ShutdownToken) -> Result<RunningBroker, StartError> {
        Broker::start_with_clock(config, Arc::new(SystemClock), shutdown).await
    }

    /// Like [`Broker::start`], with another source of time.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with_clock(
        config: Arc<BrokerConfig>,
        clock: Arc<dyn Clock>,
        shutdown: ShutdownToken,
    ) -> Result<RunningBroker, StartError> {
        let listeners = bind_all(&config)?;
        let infos = listeners.iter().map(|(_, info)| info.clone()).collect();
        let opening = tokio::task::spawn_blocking(move || Parts::open(config, clock, infos));
        let parts = opening.await.map_err(|_| StartError::Aborted)??;
        let broker = parts.into_broker();
        follow_metadata(&broker);
        security::follow_changes(&broker.listener_security, &broker.controller, shutdown.clone());
        broker.groups.start();
        tokio::spawn(delegation_tokens::forget_expired(
            Arc::downgrade(&broker),
            delegation_tokens::expiry_check_interval(&broker.config),
        ));
        broker.share.start();
        broker.transactions.start();
        // Metrics name every listener from the first scrape on, not only once its task has run.
        for (_, info) in &listeners {
            broker.metrics.listener(&info.name);
        }
        let limits = connection_limits(&broker.config);
        let serving = tokio::spawn(serve(broker.clone(), listeners, limits, shutdown));
        Ok(RunningBroker { broker, serving })
    }
}

/// Lets partitions and groups follow every change of the metadata. Partitions follow before the change is answered.
fn follow_metadata(broker: &Arc<Broker>) {
    let runtime = tokio::runtime::Handle::current();
    // Weak, because the broker keeps the controller alive and not the other way round.
    let broker_then = Arc::downgrade(broker);
    broker.controller.on_change(move |image, changes| {
        if let Some(broker) = broker_then.upgrade() {
            if changes.iter().any(|change| matches!(change, MetadataChange::BrokerConfigChanged)) {
                apply_log_dir_settings(&broker.logs, image);
            }
            broker.live_config.follow(image, changes, &broker.logs);
            broker.partitions.follow(image, changes);
            tell_share_groups(&broker, changes);
            if changes.iter().any(|change| matches!(change, MetadataChange::ClientQuotasChanged)) {
                broker.quotas.follow(QuotaTable::of(&image.client_quotas));
            }
            runtime.spawn(tell_groups(broker.groups.clone(), changes.to_vec()));
        }
    });
}

fn tell_share_groups(broker: &Broker, changes: &[MetadataChange]) {
    for change in changes {
        if let MetadataChange::TopicDeleted(topic) = change {
            broker.share.topic_deleted(topic.id);
        }
    }
}

async fn tell_groups(groups: Arc<GroupCoordinator>, changes: Vec<MetadataChange>) {
    let (mut deleted, mut grown) = (Vec::new(), false);
    for change in &changes {
        match change {
            MetadataChange::TopicDeleted(topic) => deleted.push((topic.name.clone(), topic.id)),
            MetadataChange::TopicCreated(_) | MetadataChange::PartitionsAdded { .. } => grown = true,
            _ => {}
        }
    }
    if !deleted.is_empty() {
        groups.topics_deleted(&deleted).await;
    }
    if grown {
        groups.topics_changed().await;
    }
}

async fn serve(
    broker: Arc<Broker>,
    listeners: Vec<(TcpListener, Arc<ListenerInfo>)>,
    limits: ConnectionLimits,
    shutdown: ShutdownToken,
) {
    net::serve(broker.clone(), listeners, limits, shutdown).await;
    let closing = tokio::task::spawn_blocking(move || broker.logs.shutdown()).await;
    match closing {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "not every log was closed in good order; the next start will recover")
        }
        Err(error) => tracing::error!(%error, "closing the logs was interrupted"),
    }
}

fn connection_limits(config: &BrokerConfig) -> ConnectionLimits {
    ConnectionLimits {
        max_frame_bytes: config.socket_request_max_bytes,
        frame_memory_bytes: config.queued_max_request_bytes.unwrap_or(FRAME_MEMORY_BYTES),
        max_idle: config.connections_max_idle,
    }
}

fn bind_all(config: &BrokerConfig) -> Result<Vec<(TcpListener, Arc<ListenerInfo>)>, StartError> {
    let options = ListenOptions {
        backlog: config.socket_listen_backlog_size.max(BACKLOG_MIN),
        send_buffer_bytes: config.socket_send_buffer_bytes,
        receive_buffer_bytes: config.socket_receive_buffer_bytes,
    };
    config.listeners.iter().map(|listener| bind(listener, options)).collect()
}

fn bind(listener: &ListenerConfig, options: ListenOptions) -> Result<(TcpListener, Arc<ListenerInfo>), StartError> {
    let unknown_host = |source: io::Error| StartError::UnknownHost {
        name: listener.name.clone(),
        host: listener.host.clone(),
        source,
    };
    let mut addresses = (listener.host.as_str(), listener.port).to_socket_addrs().map_err(unknown_host)?;
    let address = addresses.next().ok_or_else(|| unknown_host(io::ErrorKind::NotFound.into()))?;
    let failed = |source: io::Error| StartError::Bind { name: listener.name.clone(), address, source };
    let socket = net::bind(address, options).map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, Arc::new(listener_info(listener, bound))))
}

fn listener_info(listener: &ListenerConfig, bound: SocketAddr) -> ListenerInfo {
    let advertised = listener.advertised.as_ref();
    ListenerInfo {
        name: listener.name.clone(),
        security_protocol: listener.security_protocol.name().to_owned(),
        bound,
        advertised_host: advertised.map_or_else(|| listener.host.clone(), |endpoint| endpoint.host.clone()),
        advertised_port: advertised.map(|endpoint| endpoint.port).filter(|port| *port != 0).unwrap_or(bound.port()),
        advertises_local_address: advertised.is_none() && listener.is_wildcard(),
    }
}

/// Opening thousands of partitions waits for the disk far more than it computes, so fewer threads than this only wait longer.
const RECOVERY_THREADS_MIN: usize = 8;

/// What has been opened on the way to a broker.
struct Parts {
    config: Arc<BrokerConfig>,
    clock: Arc<dyn Clock>,
    controller: Arc<Controller>,
    authorizer: Authorizer,
    listener_security: ListenerSecurity,
    logs: Arc<LogManager>,
    partitions: Arc<PartitionTable>,
    listeners: Vec<Arc<ListenerInfo>>,
}

impl Parts {
    /// Opens metadata and logs, recovering what needs it. Blocks on the disk.
    fn open(
        config: Arc<BrokerConfig>,
        clock: Arc<dyn Clock>,
        listeners: Vec<Arc<ListenerInfo>>,
    ) -> Result<Parts, StartError> {
        let controller: Arc<Controller> = Controller::open(config.clone(), clock.clone())?.into();
        let authorizer = Authorizer::new(&config, controller.clone())?;
        let listener_security = ListenerSecurity::open(&config, &controller, &clock)?;
        let logs = LogManager::open(log_options(&config, &clock, &controller))?;
        stray::take_over(&config, &controller, &logs)?;
        let partitions = Arc::new(PartitionTable::open(logs.clone(), &controller.image()));
        apply_log_dir_settings(&logs, &controller.image());
        logs.start_background();
        Ok(Parts { config, clock, controller, authorizer, listener_security, logs, partitions, listeners })
    }

    fn into_broker(self) -> Arc<Broker> {
        let offsets_log = PartitionOffsetsLog {
            partitions: self.partitions.clone(),
            clock: self.clock.clone(),
            fsync: self.config.acks_all_fsync,
        };
        let group_config = GroupConfig::from_lookup(|key| self.config.setting(key).map(str::to_owned));
        let topics = Arc::new(ImageTopics { controller: self.controller.clone() });
        let groups = GroupCoordinator::new(group_config, Arc::new(offsets_log), topics, self.clock.clone());
        let share = ShareGroups::new(self.partitions.clone(), self.clock.clone(), self.config.acks_all_fsync, |key| {
            self.config.value(key).map(str::to_owned)
        });
        let groups = Arc::new(groups);
        let producer_ids = Arc::new(ProducerIds::default());
        let transactions = TransactionCoordinator::new(
            TransactionConfig::of(&self.config),
            Arc::new(PartitionStateLog {
                partitions: self.partitions.clone(),
                clock: self.clock.clone(),
                fsync: self.config.acks_all_fsync,
            }),
            Arc::new(LocalPartitions {
                partitions: self.partitions.clone(),
                groups: groups.clone(),
                clock: self.clock.clone(),
                fsync: self.config.acks_all_fsync,
            }),
            Arc::new(AllocatedIds { ids: producer_ids.clone(), controller: self.controller.clone() }),
            self.clock.clone(),
            {
                let controller = self.controller.clone();
                Box::new(move || controller.image().feature_level(TRANSACTION_VERSION))
            },
        );
        let windows = QuotaWindows::of(&self.config);
        let quotas = Arc::new(QuotaManager::new(windows, self.clock.clone()));
        quotas.follow(QuotaTable::of(&self.controller.image().client_quotas));
        let connection_quotas = ConnectionQuotas::new(windows, quotas.clone(), self.clock.clone());
        Arc::new(Broker {
            share,
            metrics: Arc::new(Metrics::new(self.partitions.meters().clone())),
            slow_requests: SlowRequests::new(self.config.log_slow_request),
            telemetry: Telemetry::new(telemetry_bytes_max(&self.config)),
            quotas,
            connection_quotas,
            fetch_sessions: FetchSessionCache::new(self.config.max_incremental_fetch_session_cache_slots),
            producer_ids,
            live_config: LiveConfig::new(&self.controller.image()),
            groups,
            transactions: Arc::new(transactions),
            config: self.config,
            controller: self.controller,
            authorizer: self.authorizer,
            listener_security: Arc::new(self.listener_security),
            logs: self.logs,
            partitions: self.partitions,
            clock: self.clock,
            listeners: self.listeners,
        })
    }
}

/// `cordoned.log.dirs` and the rate of moves between log directories, as they are in force now.
fn apply_log_dir_settings(logs: &LogManager, image: &ClusterImage) {
    let value = |key: &str| image.broker_value(key).unwrap_or_default();
    let cordoned = value("cordoned.log.dirs");
    let dirs = cordoned.split(',').map(str::trim).filter(|dir| !dir.is_empty());
    if cordoned.trim() == "*" {
        logs.set_cordoned(logs.log_dirs().into_iter().map(|dir| dir.path).collect());
    } else {
        logs.set_cordoned(dirs.map(PathBuf::from).collect());
    }
    logs.set_move_rate(value("replica.alter.log.dirs.io.max.bytes.per.second").parse().unwrap_or(u64::MAX));
}

fn telemetry_bytes_max(config: &BrokerConfig) -> i32 {
    config.value("telemetry.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(i32::MAX)
}

fn log_options(config: &BrokerConfig, clock: &Arc<dyn Clock>, controller: &Arc<Controller>) -> LogManagerOptions {
    let settings = controller.clone();
    LogManagerOptions {
        log_dirs: config.log_dirs.clone(),
        cluster_id: controller.image().cluster_id.clone(),
        node_id: config.node_id,
        config_of: Arc::new(move |topic| Arc::new(log_config(&settings.image(), topic))),
        recovery_threads: config.num_recovery_threads_per_data_dir.max(RECOVERY_THREADS_MIN) * config.log_dirs.len(),
        producer_id_expiration_ms: config.producer_id_expiration_ms,
        retention_check_interval: config.log_retention_check_interval,
        checkpoint_interval: config.log_flush_offset_checkpoint_interval,
        cleaner: cleaner_options(&controller.image()),
        ..LogManagerOptions::new(&config.data_dir, clock.clone())
    }
}
