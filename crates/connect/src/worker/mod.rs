//! The worker: runs connectors and their tasks, each task a task of tokio's.
//!
//! ```text
//!   herder ──► Worker ── supervise ──► source: poll ► transform ► convert ► produce ► offsets
//!                 │          │         sink:   consume ► convert ► transform ► put ► commit
//!                 │          └── restarts a failed task, when that was asked for
//!                 └── StatusListener hears of every change of state
//! ```
//!
//! Deliberately absent: who runs what, and where configurations are kept: that is the herder's.

mod connector;
pub mod errors;
mod exception;
mod metrics;
mod offset_requests;
pub mod offsets;
mod pipeline;
pub mod restart;
pub mod settings;
mod sink;
mod source;
mod status;
mod supervisor;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milena_stdx::ShutdownToken;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::plugin::{
    ConnectorPlugin, ConverterPlugin, HeaderConverterPlugin, PredicatePlugin, Settings, TaskError, TransformPlugin,
};
use connector::RunningConnector;
use metrics::Metrics;
use offsets::{KafkaOffsetOptions, KafkaOffsetStore, LayeredOffsetStore, OffsetError, OffsetStore};

pub use exception::Exception;
pub use offset_requests::{OffsetEntry, OffsetRequestError};
pub use settings::WorkerSettings;
pub use status::{State, StatusListener, TargetState, TaskId};

/// Where the worker finds plugins by the class names that users write: full, simple, or without their suffix.
pub trait Catalog: Send + Sync {
    /// A connector.
    fn connector(&self, class: &str) -> Option<Arc<dyn ConnectorPlugin>>;
    /// A converter of keys and values.
    fn converter(&self, class: &str) -> Option<Arc<dyn ConverterPlugin>>;
    /// A converter of headers.
    fn header_converter(&self, class: &str) -> Option<Arc<dyn HeaderConverterPlugin>>;
    /// A transform.
    fn transform(&self, class: &str) -> Option<Arc<dyn TransformPlugin>>;
    /// A predicate.
    fn predicate(&self, class: &str) -> Option<Arc<dyn PredicatePlugin>>;
}

/// What everything that the worker runs may lean on.
struct Shared {
    settings: WorkerSettings,
    catalog: Arc<dyn Catalog>,
    offsets: Arc<dyn OffsetStore>,
    listener: Arc<dyn StatusListener>,
    metrics: Metrics,
    states: Mutex<BTreeMap<TaskId, State>>,
    /// Stores of connectors that have a topic of their own, by topic.
    own_offsets: tokio::sync::Mutex<HashMap<String, Arc<dyn OffsetStore>>>,
}

impl Shared {
    /// Where the offsets of a source with these settings are: with `offsets.storage.topic` in a topic of its own first.
    /// A worker that keeps offsets in a file has no such topics.
    ///
    /// # Errors
    /// A topic that is not fit.
    async fn offsets_of(&self, settings: &Settings) -> Result<Arc<dyn OffsetStore>, OffsetError> {
        let worker_topic = self.offsets.topic();
        let own = settings.get("offsets.storage.topic").filter(|topic| !topic.is_empty());
        let (Some(topic), Some(worker_topic)) = (own, worker_topic) else { return Ok(self.offsets.clone()) };
        if topic == worker_topic {
            return Ok(self.offsets.clone());
        }
        let mut stores = self.own_offsets.lock().await;
        if let Some(store) = stores.get(topic) {
            return Ok(store.clone());
        }
        let mut options = KafkaOffsetOptions::new(&self.settings.properties)
            .map_err(|error| OffsetError::Store(error.to_string()))?;
        options.topic.clone_from(topic);
        let own = KafkaOffsetStore::open(&self.settings, options, ShutdownToken::new()).await?;
        let store: Arc<dyn OffsetStore> = Arc::new(LayeredOffsetStore::new(Arc::new(own), self.offsets.clone()));
        stores.insert(topic.clone(), store.clone());
        Ok(store)
    }

    /// Notes and tells the state of a task.
    fn task_state(&self, id: &TaskId, state: State, trace: Option<String>) {
        self.states.lock().insert(id.clone(), state);
        self.listener.task(id, state, trace);
    }

    fn plugin(&self, settings: &Settings) -> Result<Arc<dyn ConnectorPlugin>, TaskError> {
        let class = settings.get("connector.class").map_or("", String::as_str);
        self.catalog.connector(class).ok_or_else(|| {
            TaskError::fatal(format!(
                "Failed to find any class that implements Connector and which name matches {class}; \
                 GET /connector-plugins lists those that are there"
            ))
        })
    }
}

/// A task that was started and not yet stopped; it may have failed.
struct RunningTask {
    stop: ShutdownToken,
    target: watch::Sender<TargetState>,
    supervisor: JoinHandle<()>,
}

/// The place of a connector, with a lock of its own: one whose database hangs holds up no other. Empty while it starts.
type Place = Arc<tokio::sync::Mutex<Option<RunningConnector>>>;

/// Runs connectors and tasks: one a process. Calls about one connector must not overlap.
pub struct Worker {
    shared: Arc<Shared>,
    connectors: Mutex<HashMap<String, Place>>,
    tasks: Mutex<HashMap<TaskId, RunningTask>>,
}

impl Worker {
    /// A worker that runs nothing yet.
    pub fn new(
        settings: WorkerSettings,
        catalog: Arc<dyn Catalog>,
        offsets: Arc<dyn OffsetStore>,
        listener: Arc<dyn StatusListener>,
    ) -> Worker {
        let metrics = Metrics::new();
        Worker {
            shared: Arc::new(Shared {
                settings,
                catalog,
                offsets,
                listener,
                metrics,
                states: Mutex::default(),
                own_offsets: tokio::sync::Mutex::default(),
            }),
            connectors: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// Makes and starts a connector; with [`TargetState::Started`] it then watches, otherwise it stands still. The
    /// listener hears of the state, also of a failure.
    ///
    /// # Errors
    /// What the connector refuses; the listener was told.
    pub async fn start_connector(&self, name: &str, settings: Settings, target: TargetState) -> Result<(), TaskError> {
        let place = Place::default();
        match self.connectors.lock().entry(name.to_owned()) {
            Entry::Occupied(_) => {
                return Err(TaskError::fatal(format!("Connector with name {name} already exists")));
            }
            Entry::Vacant(vacant) => vacant.insert(place.clone()),
        };
        let mut running = place.lock().await;
        let starting = || RunningConnector::start(&self.shared, name, settings, target);
        match self.shared.metrics.connector_startup(starting).await {
            Ok(started) => *running = Some(started),
            Err(error) => {
                self.connectors.lock().remove(name);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Stops a connector, not its tasks; nothing happens when it is not here.
    pub async fn stop_connector(&self, name: &str) {
        let removed = self.connectors.lock().remove(name);
        if let Some(place) = removed
            && let Some(mut running) = place.lock().await.take()
        {
            running.stop(&self.shared).await;
        }
    }

    /// Whether the connector itself was started here.
    pub fn has_connector(&self, name: &str) -> bool {
        self.connectors.lock().contains_key(name)
    }

    /// Names of the connectors that were started here.
    pub fn connectors(&self) -> Vec<String> {
        self.connectors.lock().keys().cloned().collect()
    }

    /// Settings of the tasks that a connector wants, at most `tasks.max`; ready to be kept and given to
    /// [`start_task`](Self::start_task).
    ///
    /// # Errors
    /// A connector that is not here, that cannot plan, or that plans too many while `tasks.max.enforce` is on.
    pub async fn task_configs(&self, name: &str) -> Result<Vec<Settings>, TaskError> {
        let place = self.connectors.lock().get(name).cloned().unwrap_or_default();
        match place.lock().await.as_mut() {
            Some(running) => running.task_configs().await,
            None => Err(TaskError::fatal(format!("Connector {name} not found in this worker."))),
        }
    }

    /// Starts a task of a source or a sink. Returns at once: whether it runs is told to the listener.
    ///
    /// # Errors
    /// A task that is here already, a class that is not there.
    pub fn start_task(
        &self,
        id: &TaskId,
        connector_settings: Settings,
        task_settings: Settings,
        target: TargetState,
    ) -> Result<(), TaskError> {
        let mut tasks = self.tasks.lock();
        if tasks.contains_key(id) {
            return Err(TaskError::fatal(format!("Task already exists in this worker: {id}")));
        }
        let plugin = self.shared.plugin(&connector_settings)?;
        let (target, targets) = watch::channel(target);
        let stop = ShutdownToken::new();
        let job = supervisor::Job {
            shared: self.shared.clone(),
            id: id.clone(),
            plugin,
            connector_settings,
            task_settings,
            targets,
            stop: stop.clone(),
        };
        let supervisor = tokio::spawn(job.supervise());
        tasks.insert(id.clone(), RunningTask { stop, target, supervisor });
        Ok(())
    }

    /// Stops tasks and waits until they have committed and closed, all together at most
    /// `task.shutdown.graceful.timeout.ms`; what is not done by then is cut off. Tasks that are not here do not matter.
    pub async fn stop_tasks(&self, ids: &[TaskId]) {
        let stopping: Vec<(TaskId, RunningTask)> = {
            let mut tasks = self.tasks.lock();
            ids.iter().filter_map(|id| tasks.remove_entry(id)).collect()
        };
        stopping.iter().for_each(|(_, task)| task.stop.cancel());
        let deadline = tokio::time::Instant::now() + self.shared.settings.graceful_shutdown_timeout;
        for (id, mut task) in stopping {
            if tokio::time::timeout_at(deadline, &mut task.supervisor).await.is_err() {
                tracing::error!("task {id} did not stop within task.shutdown.graceful.timeout.ms and is cut off");
                task.supervisor.abort();
                // Wait until it is really gone: its successor must not meet it.
                let _ = task.supervisor.await;
            }
            self.shared.states.lock().remove(&id);
        }
    }

    /// The tasks that were started here and not stopped, failed ones too.
    pub fn tasks(&self) -> Vec<TaskId> {
        self.tasks.lock().keys().cloned().collect()
    }

    /// Pauses, resumes or stops a connector and resumes or pauses its tasks. Tasks of a connector that is to be stopped
    /// are stopped with [`stop_tasks`](Self::stop_tasks).
    ///
    /// # Errors
    /// What the connector says when it starts again; the listener was told.
    pub async fn set_target_state(&self, name: &str, target: TargetState) -> Result<(), TaskError> {
        for (id, task) in self.tasks.lock().iter() {
            if &*id.connector == name {
                task.target.send_replace(target);
            }
        }
        let place = self.connectors.lock().get(name).cloned().unwrap_or_default();
        match place.lock().await.as_mut() {
            Some(running) => running.set_target(&self.shared, target).await,
            None => Ok(()),
        }
    }

    /// Stops all tasks, then all connectors.
    pub async fn stop(&self) {
        self.stop_tasks(&self.tasks()).await;
        let grace = self.shared.settings.graceful_shutdown_timeout;
        for name in self.connectors() {
            if tokio::time::timeout(grace, self.stop_connector(&name)).await.is_err() {
                tracing::warn!("connector {name} did not stop within task.shutdown.graceful.timeout.ms");
            }
        }
    }

    /// What is counted here, as a page of `/metrics` in OpenMetrics' text format. The names are those that Prometheus'
    /// JMX exporter gives Kafka Connect's.
    pub fn metrics(&self) -> String {
        self.shared.metrics.encode(&self.shared.states.lock())
    }
}
