//! The herder: knows which connectors there are, what users want of them, and has its worker run them.
//!
//! ```text
//!   http ──► Herder ── writes ──► configurations (memory | topic) ── events ──► run loop ──► lanes ──► worker
//!                                                                                 ▲  one a connector    │
//!                                 group: who runs what, who leads ────────────────┘                     │
//!   http ◄── states (memory | topic) ◄──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A standalone worker keeps everything in memory and runs all of it. Distributed workers keep everything in topics that
//! each of them reads, form a group that shares the work, and let its leader alone write.

mod config_state;
mod config_store;
mod error;
mod group;
mod info;
mod internal;
mod lanes;
mod modify;
mod offsets;
mod recent;
mod run;
mod start;
mod status_sink;
mod status_store;

use std::sync::Arc;

use milena_stdx::ShutdownToken;
use parking_lot::RwLock;

use crate::config::worker::WorkerConfig;
use crate::plugin::{Plugins, Settings};
use crate::worker::{TaskId, Worker};
use config_store::ConfigStore;
use group::{Owners, Rebalances, Work};
use lanes::Lanes;
use status_sink::StatusSink;

pub use config_state::RestartRequest;
pub use error::HerderError;
pub use info::{ConnectorInfo, ConnectorState, ConnectorStatusInfo, ConnectorType, TaskInfo, TaskName, TaskState};
pub(crate) use internal::answered;
pub use modify::{GivenSettings, Written};
pub use recent::RecentLine;
pub use start::{StartError, Started};

/// What the herder answers.
pub type Result<T> = std::result::Result<T, HerderError>;

/// The place of this worker among others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GroupView {
    /// Whether this worker writes.
    pub is_leader: bool,
    /// Where the one that writes is.
    pub leader_url: Option<String>,
    /// Whether the work is being shared out anew.
    pub rebalancing: bool,
    /// Whether calls between workers are signed.
    pub signs: bool,
    /// What this worker has; `None`: everything.
    pub owned: Option<Work>,
    /// Who has what; only the leader knows.
    pub owners: Owners,
}

/// See the module's words.
pub struct Herder {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) worker: Worker,
    configs: ConfigStore,
    sink: Arc<StatusSink>,
    cluster_id: Option<String>,
    group: RwLock<GroupView>,
    rebalances: Rebalances,
    lanes: Lanes,
    /// Changes are decided one at a time.
    writes: tokio::sync::Mutex<()>,
    /// The worker is told to stop.
    shutdown: ShutdownToken,
    /// Its topics are no longer needed.
    storage: ShutdownToken,
}

/// What is asked.
impl Herder {
    /// The id of the Kafka cluster.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// Names of all connectors.
    pub fn connectors(&self) -> Vec<String> {
        self.configs.state().connectors().map(str::to_owned).collect()
    }

    /// Which way the data of a connector flows.
    pub fn kind_of(&self, settings: &Settings) -> ConnectorType {
        let class = settings.get("connector.class");
        class.and_then(|class| self.plugins.connector(class).ok()).map(|plugin| plugin.kind()).into()
    }

    /// A connector.
    ///
    /// # Errors
    /// 404
    pub fn info(&self, name: &str) -> Result<ConnectorInfo> {
        let state = self.configs.state();
        let config = state.config(name).ok_or_else(|| HerderError::no_connector(name))?;
        Ok(ConnectorInfo {
            name: name.to_owned(),
            config: config.clone(),
            tasks: state.tasks(name).map(TaskName::from).collect(),
            kind: self.kind_of(config),
        })
    }

    /// The tasks of a connector with their settings.
    ///
    /// # Errors
    /// 404
    pub fn tasks(&self, name: &str) -> Result<Vec<TaskInfo>> {
        let state = self.configs.state();
        if !state.contains(name) {
            return Err(HerderError::no_connector(name));
        }
        let config = |id: &TaskId| state.task_config(id).cloned().unwrap_or_default();
        Ok(state.tasks(name).map(|id| TaskInfo { config: config(&id), id: id.into() }).collect())
    }

    /// The state of a connector and its tasks.
    ///
    /// # Errors
    /// 404
    pub fn status(&self, name: &str) -> Result<ConnectorStatusInfo> {
        // The states of a connector that was deleted may outlive it a little.
        let own = self.sink.statuses.connector(name).filter(|_| self.configs.state().contains(name));
        let own = own.ok_or_else(|| HerderError::NotFound(format!("No status found for connector {name}")))?;
        // The states of tasks that are no more may outlive them a little too.
        let count = self.configs.state().task_count(name);
        let tasks = self.sink.statuses.tasks(name).into_iter().filter(|(id, _)| *id < count);
        let kind = self.configs.state().config(name).map_or(ConnectorType::Unknown, |config| self.kind_of(config));
        Ok(ConnectorStatusInfo {
            name: name.to_owned(),
            connector: own.into(),
            tasks: tasks.map(|(id, status)| TaskState { id, state: status.into() }).collect(),
            kind,
        })
    }

    /// The state of a task.
    ///
    /// # Errors
    /// 404
    pub fn task_status(&self, id: &TaskId) -> Result<TaskState> {
        let status = self.sink.statuses.task(id);
        let status = status.ok_or_else(|| HerderError::NotFound(format!("No status found for task {id}")))?;
        Ok(TaskState { id: id.task, state: status.into() })
    }

    /// What is counted here, see [`Worker::metrics`].
    pub fn metrics(&self) -> String {
        let (leader, connectors) = {
            let group = self.group.read();
            (group.leader_url.clone(), group.owned.as_ref().map(|owned| owned.connectors.len()))
        };
        let connectors = connectors.unwrap_or_else(|| self.configs.state().connectors().count());
        let of_worker = self.worker.metrics();
        let of_worker = of_worker.strip_suffix("# EOF\n").unwrap_or(&of_worker);
        format!("{of_worker}{}", self.rebalances.encode(leader.as_deref(), connectors))
    }

    /// The topics that a connector uses.
    pub fn topics(&self, name: &str) -> Vec<String> {
        self.sink.statuses.topics(name)
    }

    /// Forgets the topics of a connector.
    pub fn reset_topics(&self, name: &str) {
        self.sink.statuses.delete_topics(name);
    }

    /// The last lines about a connector that this worker has.
    ///
    /// # Errors
    /// 404
    pub fn recent_lines(&self, name: &str) -> Result<Vec<RecentLine>> {
        if !self.configs.state().contains(name) {
            return Err(HerderError::no_connector(name));
        }
        Ok(self.sink.recent.of(name))
    }

    /// Where the worker is that writes.
    pub(crate) fn group(&self) -> GroupView {
        self.group.read().clone()
    }
}
