//! From a configuration to a herder at work.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use milena_client::Cluster;
use milena_stdx::ShutdownToken;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::config_store::ConfigStore;
use super::group::Work;
use super::lanes::Lanes;
use super::recent::RecentLines;
use super::status_sink::StatusSink;
use super::status_store::StatusStore;
use super::{GroupView, Herder};
use crate::config::worker::{ExactlyOnceMode, WorkerConfig};
use crate::plugin::{Plugins, TaskError};
use crate::storage::StorageError;
use crate::worker::offsets::{FileOffsetStore, KafkaOffsetOptions, KafkaOffsetStore, OffsetError, OffsetStore};
use crate::worker::{Worker, WorkerSettings};

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Kafka.
    #[error(
        "Failed to connect to and describe Kafka cluster. Check worker's broker connection and security properties: {0}"
    )]
    Kafka(#[from] milena_client::Error),
    /// One of its topics.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The offsets.
    #[error(transparent)]
    Offsets(#[from] OffsetError),
    /// A setting.
    #[error(transparent)]
    Settings(#[from] TaskError),
}

impl StartError {
    /// Whether another attempt may help.
    pub fn is_retriable(&self) -> bool {
        match self {
            StartError::Kafka(error) | StartError::Storage(StorageError::Kafka(error)) => {
                error.is_retriable() || matches!(error, milena_client::Error::Unreachable { .. })
            }
            StartError::Storage(StorageError::TimedOut(_)) => true,
            _ => false,
        }
    }
}

/// A herder at work.
pub struct Started {
    /// The herder.
    pub herder: Arc<Herder>,
    /// Ends when the worker has left its group.
    pub running: JoinHandle<()>,
}

impl Herder {
    /// Reads what the topics say and begins to work, until `shutdown`. `url` is where others reach this worker.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Arc<WorkerConfig>,
        plugins: Arc<Plugins>,
        url: &str,
        shutdown: ShutdownToken,
    ) -> Result<Started, StartError> {
        let settings = WorkerSettings::new(config.properties.clone())?;
        let storage = ShutdownToken::new();
        // Nothing of a start that fails goes on.
        let cleaning = storage.clone().drop_guard();
        let cluster = Cluster::connect(config.client("connect-worker")?).await?;
        let (events, heard) = mpsc::unbounded_channel();
        let (wishes, wished) = mpsc::unbounded_channel();
        let offsets: Arc<dyn OffsetStore> = match &config.offset_file {
            Some(path) => Arc::new(FileOffsetStore::open(path)?),
            None => {
                let options = KafkaOffsetOptions::new(&config.properties)?;
                Arc::new(KafkaOffsetStore::open(&settings, options, storage.clone()).await?)
            }
        };
        let (configs, statuses) = match &config.distributed {
            None => (ConfigStore::in_memory(events), StatusStore::in_memory()),
            Some(distributed) => {
                let transactional_id = (distributed.exactly_once != ExactlyOnceMode::Disabled)
                    .then(|| format!("connect-cluster-{}", distributed.group_id));
                let statuses =
                    StatusStore::in_topic(cluster.clone(), &distributed.status_topic, storage.clone()).await?;
                let configs = ConfigStore::in_topic(
                    cluster.clone(),
                    &distributed.config_topic,
                    transactional_id,
                    events,
                    storage.clone(),
                );
                (configs.await?, statuses)
            }
        };
        let sink = Arc::new(StatusSink {
            worker_id: url.split_once("://").map_or(url, |(_, address)| address).trim_end_matches('/').to_owned(),
            generation: AtomicI32::new(0),
            statuses: Arc::new(statuses),
            wishes,
            recent: RecentLines::default(),
        });
        let group = match &config.distributed {
            None => GroupView { is_leader: true, leader_url: Some(url.to_owned()), ..GroupView::default() },
            Some(distributed) => GroupView {
                rebalancing: true,
                signs: distributed.sessioned,
                owned: Some(Work::default()),
                ..GroupView::default()
            },
        };
        let worker = Worker::new(settings, plugins.clone(), offsets, sink.clone());
        let herder = Arc::new(Herder {
            config,
            plugins,
            worker,
            configs,
            sink,
            cluster_id: cluster.cluster_id(),
            group: RwLock::new(group),
            rebalances: super::group::Rebalances::default(),
            lanes: Lanes::default(),
            writes: tokio::sync::Mutex::default(),
            shutdown,
            storage,
        });
        let _ = cleaning.disarm();
        let running = match herder.config.distributed.clone() {
            None => tokio::spawn(herder.clone().run_alone(heard, wished)),
            Some(distributed) => {
                tokio::spawn(herder.clone().run_in_group(cluster, url.to_owned(), distributed, heard, wished))
            }
        };
        Ok(Started { herder, running })
    }
}
