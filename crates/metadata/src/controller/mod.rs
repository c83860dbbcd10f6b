//! The controller: the only one who changes the metadata.
//!
//! ```text
//! request ─► validate against the image ─► one transaction in the store ─► publish the new image ─► tell listeners
//! ```
//!
//! A change is answered only after the listeners have run, so that the logs of a new topic exist when its creator hears
//! of it. Changes run one after the other on the blocking pool; reading the image never waits for them.
//!
//! Always true: what the image shows is in the store; a refused change leaves both as they were.

mod acls;
mod client_quotas;
mod configs;
mod delegation_tokens;
mod error;
mod features;
mod import;
mod records;
mod scram;
mod topics;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use milena_protocol::Uuid;
use milena_stdx::{Clock, Properties};
use parking_lot::{Mutex, RwLock};

use crate::broker_config::BrokerConfig;
use crate::image::{ClusterImage, TopicImage};
use crate::store::embedded::EmbeddedStore;
use crate::store::{MetadataStore, Outcome, Transaction};

pub use client_quotas::QuotaAlteration;
pub use configs::{ConfigAlteration, ConfigOp, ConfigOpKind, ConfigReplacement, ConfigResource};
pub use error::ControllerError;
pub use features::{FeatureDirection, FeatureUpdate};
use records::{CLUSTER, CONTROLLER, ClusterRecord, ControllerRecord, PRODUCER_IDS, ProducerIdsRecord};
pub use scram::ScramAlteration;
pub use topics::{NewPartitions, NewTopic, TopicSelector};

/// The file of the embedded store in the data directory.
pub const STORE_FILE: &str = "metadata.redb";
/// Producer ids set aside at once.
const PRODUCER_ID_BLOCK: i64 = 1000;

/// One thing that a change has done.
#[derive(Debug, Clone)]
pub enum MetadataChange {
    /// A topic is new.
    TopicCreated(Arc<TopicImage>),
    /// A topic is gone; this is its last state.
    TopicDeleted(Arc<TopicImage>),
    /// A topic has more partitions.
    PartitionsAdded {
        /// The topic as it is now.
        topic: Arc<TopicImage>,
        /// How many partitions it had.
        before: usize,
    },
    /// A topic's own configuration is another.
    TopicConfigChanged(Arc<TopicImage>),
    /// Dynamic configuration of this broker or of all brokers is another; every topic may be affected.
    BrokerConfigChanged,
    /// A group's configuration is another.
    GroupConfigChanged(String),
    /// A subscription to client metrics is new, another or gone.
    ClientMetricsConfigChanged(String),
    /// There are other ACLs.
    AclsChanged,
    /// There are other SCRAM credentials.
    ScramCredentialsChanged,
    /// There are other client quotas.
    ClientQuotasChanged,
    /// There are other delegation tokens.
    DelegationTokensChanged,
    /// Features have other levels.
    FeaturesChanged,
}

/// Hears of every change, in order, after the image was published.
pub type ChangeListener = Box<dyn Fn(&Arc<ClusterImage>, &[MetadataChange]) + Send + Sync>;

/// Validates and applies changes of the metadata.
pub struct Controller {
    store: Box<dyn MetadataStore>,
    config: Arc<BrokerConfig>,
    image: ArcSwap<ClusterImage>,
    listeners: RwLock<Vec<ChangeListener>>,
    changing: Mutex<Changing>,
}

/// What only the change that is under way may touch.
struct Changing {
    /// The revision of the record that fences other controllers.
    fence: u64,
}

impl Controller {
    /// Opens `metadata.redb` in the data directory of `config`, forming a new cluster when there is none.
    ///
    /// # Errors
    /// The store is in use, cannot be opened, or does not read as metadata.
    pub fn open(config: Arc<BrokerConfig>, clock: Arc<dyn Clock>) -> Result<Controller, ControllerError> {
        let store = EmbeddedStore::open(&config.data_dir.join(STORE_FILE), clock)?;
        Controller::over(Box::new(store), config)
    }

    /// A controller over any store.
    ///
    /// # Errors
    /// As [`Controller::open`].
    pub fn over(store: Box<dyn MetadataStore>, config: Arc<BrokerConfig>) -> Result<Controller, ControllerError> {
        let cluster_id = form_cluster(&*store, &config)?;
        let fence = claim(&*store, config.node_id)?;
        let image = records::load_image(&store.list("")?, cluster_id, config.clone())?;
        Ok(Controller {
            store,
            config,
            image: ArcSwap::from_pointee(image),
            listeners: RwLock::default(),
            changing: Mutex::new(Changing { fence }),
        })
    }

    /// The newest snapshot.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.image.load_full()
    }

    /// Has `listener` called after every change from now on, on the thread that makes the change.
    pub fn on_change(&self, listener: impl Fn(&Arc<ClusterImage>, &[MetadataChange]) + Send + Sync + 'static) {
        self.listeners.write().push(Box::new(listener));
    }

    /// Creates one topic.
    ///
    /// # Errors
    /// The rule that the topic breaks, or the store's failure.
    pub async fn create_topic(self: &Arc<Self>, topic: NewTopic) -> Result<Arc<TopicImage>, ControllerError> {
        self.create_topics(vec![topic], false).await.pop().unwrap_or(Err(ControllerError::Fenced))
    }

    /// Creates topics, each by itself; with `validate_only` nothing happens but the checks. Answers in the order asked.
    pub async fn create_topics(
        self: &Arc<Self>,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Result<Arc<TopicImage>, ControllerError>> {
        self.blocking(move |controller| controller.create_topics_now(topics, validate_only)).await
    }

    /// Deletes topics, each by itself. Answers with the last state of each, in the order asked.
    pub async fn delete_topics(
        self: &Arc<Self>,
        topics: Vec<TopicSelector>,
    ) -> Vec<Result<Arc<TopicImage>, ControllerError>> {
        self.blocking(move |controller| controller.delete_topics_now(&topics)).await
    }

    /// Adds partitions to topics, each by itself; with `validate_only` nothing happens but the checks.
    pub async fn create_partitions(
        self: &Arc<Self>,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.create_partitions_now(topics, validate_only)).await
    }

    /// Replaces the whole configuration of resources (AlterConfigs).
    pub async fn alter_configs(
        self: &Arc<Self>,
        resources: Vec<ConfigReplacement>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.alter_configs_now(resources, validate_only)).await
    }

    /// Changes single keys of resources (IncrementalAlterConfigs).
    pub async fn incremental_alter_configs(
        self: &Arc<Self>,
        resources: Vec<ConfigAlteration>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.incremental_alter_configs_now(resources, validate_only)).await
    }

    /// Sets aside producer ids that nobody was given before, over restarts too.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn allocate_producer_ids(self: &Arc<Self>) -> Result<Range<i64>, ControllerError> {
        self.blocking(Controller::allocate_producer_ids_now).await
    }

    fn allocate_producer_ids_now(&self) -> Result<Range<i64>, ControllerError> {
        let mut changing = self.changing.lock();
        let first = match self.store.get(PRODUCER_IDS)? {
            Some(entry) => records::decode::<ProducerIdsRecord>(PRODUCER_IDS, &entry.value)?.next,
            None => 0,
        };
        let next = first.saturating_add(PRODUCER_ID_BLOCK);
        let record = records::encode(&ProducerIdsRecord { next });
        self.write(&mut changing, Transaction::new().put(PRODUCER_IDS, record))?;
        Ok(first..next)
    }

    /// Runs `work` on the blocking pool.
    async fn blocking<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Controller) -> T + Send + 'static) -> T {
        let controller = self.clone();
        match tokio::task::spawn_blocking(move || work(&controller)).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Commits a change, unless another controller has been at work.
    fn write(&self, changing: &mut Changing, transaction: Transaction) -> Result<u64, ControllerError> {
        let fence = records::encode(&ControllerRecord { node_id: self.config.node_id });
        let transaction = transaction.expect_unchanged(CONTROLLER, changing.fence).put(CONTROLLER, fence);
        match self.store.commit(transaction)? {
            Outcome::Committed(revision) => {
                changing.fence = revision;
                Ok(revision)
            }
            Outcome::Conflict(_) => Err(ControllerError::Fenced),
        }
    }

    /// Commits what `transaction` holds, if anything, as one change.
    fn apply_if_any(
        &self,
        changing: &mut Changing,
        transaction: Transaction,
        image: ClusterImage,
        change: MetadataChange,
    ) -> Result<(), ControllerError> {
        if transaction.operations.is_empty() {
            return Ok(());
        }
        self.apply(changing, transaction, image, &[change])
    }

    /// Commits a change, publishes the image and tells the listeners.
    fn apply(
        &self,
        changing: &mut Changing,
        transaction: Transaction,
        mut image: ClusterImage,
        changes: &[MetadataChange],
    ) -> Result<(), ControllerError> {
        if changes.is_empty() {
            return Ok(());
        }
        image.revision = self.write(changing, transaction)?;
        let image = Arc::new(image);
        self.image.store(image.clone());
        self.listeners.read().iter().for_each(|listener| listener(&image, changes));
        Ok(())
    }
}

/// The cluster's id: the stored one, or else a new cluster is formed.
fn form_cluster(store: &dyn MetadataStore, config: &BrokerConfig) -> Result<String, ControllerError> {
    if let Some(entry) = store.get(CLUSTER)? {
        let record: ClusterRecord = records::decode(CLUSTER, &entry.value)?;
        if config.cluster_id.as_ref().is_some_and(|wanted| *wanted != record.cluster_id) {
            tracing::warn!(cluster_id = record.cluster_id, "CLUSTER_ID is ignored: the data has another cluster's id");
        }
        return Ok(record.cluster_id);
    }
    let inherited = || config.log_dirs.iter().find_map(|directory| cluster_id_of_directory(directory));
    let cluster_id = config.cluster_id.clone().or_else(inherited).unwrap_or_else(|| Uuid::random().to_string());
    let min_insync = [("min.insync.replicas", config.value("min.insync.replicas").unwrap_or("1"))];
    let transaction = Transaction::new()
        .expect_absent(CLUSTER)
        .put(CLUSTER, records::encode(&ClusterRecord { cluster_id: cluster_id.clone() }))
        // Kafka writes this default when it forms a cluster with eligible leader replicas (KIP-966).
        .put(
            records::config_key(&ConfigResource::BrokerDefault),
            records::encode(&std::collections::BTreeMap::from(min_insync)),
        );
    match store.commit(transaction)? {
        Outcome::Committed(_) => Ok(cluster_id),
        Outcome::Conflict(_) => form_cluster(store, config),
    }
}

/// The cluster id in `meta.properties`: a directory that Apache Kafka wrote keeps its cluster's id.
fn cluster_id_of_directory(directory: &Path) -> Option<String> {
    let file: PathBuf = directory.join("meta.properties");
    let properties = Properties::load(file).ok()?;
    properties.get("cluster.id").filter(|id| !id.is_empty()).map(str::to_owned)
}

/// Makes this controller the one whose changes are accepted.
fn claim(store: &dyn MetadataStore, node_id: i32) -> Result<u64, ControllerError> {
    let record = records::encode(&ControllerRecord { node_id });
    match store.commit(Transaction::new().put(CONTROLLER, record))? {
        Outcome::Committed(revision) => Ok(revision),
        Outcome::Conflict(_) => Err(ControllerError::Fenced),
    }
}

#[cfg(test)]
mod tests;
