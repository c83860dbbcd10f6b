//! Changes that users want.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config_state::{ConfigRecord, records};
use super::lanes::{Job, Wish};
use super::{ConnectorInfo, ConnectorStatusInfo, Herder, HerderError, RestartRequest, Result};
use crate::config::providers::has_placeholder;
use crate::config::worker::ExactlyOnceMode;
use crate::plugin::Settings;
use crate::storage::StorageError;
use crate::validation;
use crate::worker::{State, TargetState, TaskId};

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Whether the connector is new.
    pub created: bool,
    /// The connector.
    pub info: ConnectorInfo,
}

/// Settings as a request has them: null is refused by name, or in a patch removes.
pub type GivenSettings = BTreeMap<String, Option<String>>;

impl Herder {
    /// Makes a connector, or with `may_replace` gives it other settings.
    ///
    /// # Errors
    /// 400 for settings that are wrong, 409 when it exists and may not be replaced.
    pub async fn put_connector(
        self: &Arc<Self>,
        name: &str,
        given: GivenSettings,
        target: Option<TargetState>,
        may_replace: bool,
    ) -> Result<Written> {
        validation::refuse_errors(&self.validate(&given).await?)?;
        let _turn = self.writes.lock().await;
        self.must_lead()?;
        let config: Settings = given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let exists = self.configs.state().contains(name);
        if exists && !may_replace {
            return Err(HerderError::AlreadyExists(format!("Connector {name} already exists")));
        }
        let mut all: Vec<ConfigRecord> = target.map(|target| records::target(name, target)).into_iter().collect();
        all.push(records::connector(name, &config));
        self.write(all).await?;
        let tasks = self.configs.state().tasks(name).map(Into::into).collect();
        let info = ConnectorInfo { name: name.to_owned(), kind: self.kind_of(&config), config, tasks };
        Ok(Written { created: !exists, info })
    }

    /// Changes some settings; null removes one.
    ///
    /// # Errors
    /// 404, and as [`Herder::put_connector`].
    pub async fn patch_connector(self: &Arc<Self>, name: &str, patch: GivenSettings) -> Result<Written> {
        self.must_lead()?;
        let mut given: GivenSettings =
            self.info(name)?.config.into_iter().map(|(key, value)| (key, Some(value))).collect();
        for (key, value) in patch {
            match value {
                Some(value) => given.insert(key, Some(value)),
                None => given.remove(&key),
            };
        }
        self.put_connector(name, given, None, true).await
    }

    /// Deletes a connector; its offsets stay.
    ///
    /// # Errors
    /// 404
    pub async fn delete_connector(&self, name: &str) -> Result<()> {
        let _turn = self.writes.lock().await;
        self.must_lead()?;
        if !self.configs.state().contains(name) {
            return Err(HerderError::no_connector(name));
        }
        self.write(records::removal(name)).await
    }

    /// Pauses or resumes a connector. Any worker may write that, unless leaders write in transactions.
    ///
    /// # Errors
    /// 404
    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<()> {
        if !self.configs.state().contains(name) {
            return Err(HerderError::NotFound(format!("Unknown connector {name}")));
        }
        self.may_write()?;
        self.write(vec![records::target(name, target)]).await
    }

    /// Stops a connector: it has no tasks until it is resumed.
    ///
    /// # Errors
    /// 404
    pub async fn stop_connector(&self, name: &str) -> Result<()> {
        if !self.configs.state().contains(name) {
            return Err(HerderError::NotFound(format!("Unknown connector {name}")));
        }
        let _turn = self.writes.lock().await;
        self.must_lead()?;
        self.write(vec![records::commit(name, 0)]).await?;
        self.write(vec![records::target(name, TargetState::Stopped)]).await
    }

    /// Starts a connector anew, without its tasks.
    ///
    /// # Errors
    /// 404, 409 while the group is rebalanced, and what the connector says.
    pub async fn restart_connector(self: &Arc<Self>, name: &str) -> Result<()> {
        self.must_be_settled()?;
        if !self.configs.state().contains(name) {
            return Err(HerderError::unknown_connector(name));
        }
        if !self.owns_connector(name) {
            return Err(HerderError::Elsewhere(self.owner_url(Owned::Connector(name))));
        }
        let started = self.perform(name, Job::Start).await;
        self.sink.statuses.settle().await;
        started
    }

    /// Starts a task anew.
    ///
    /// # Errors
    /// 404, 409 while the group is rebalanced.
    pub async fn restart_task(self: &Arc<Self>, id: &TaskId) -> Result<()> {
        self.must_be_settled()?;
        {
            let state = self.configs.state();
            if !state.contains(&id.connector) {
                return Err(HerderError::unknown_connector(&id.connector));
            }
            if state.task_config(id).is_none() {
                return Err(HerderError::NotFound(format!("Unknown task: {id}")));
            }
        }
        if !self.owns_task(id) {
            return Err(HerderError::Elsewhere(self.owner_url(Owned::Task(id))));
        }
        let started = self.perform(&id.connector, Job::StartTasks(vec![id.clone()])).await;
        self.sink.statuses.settle().await;
        started
    }

    /// Has a connector and its tasks started anew wherever they run; tells their states to come.
    ///
    /// # Errors
    /// 404, 409 while the group is rebalanced.
    pub async fn restart(&self, request: &RestartRequest) -> Result<ConnectorStatusInfo> {
        self.must_be_settled()?;
        if !self.configs.state().contains(&request.connector) {
            return Err(HerderError::unknown_connector(&request.connector));
        }
        self.must_lead()?;
        let status = self.status(&request.connector);
        self.write(vec![records::restart(request)]).await?;
        let mut status = status
            .map_err(|_| HerderError::NotFound(format!("Status for connector {} not found", request.connector)))?;
        let restarts = |state: &str| !request.only_failed || state == State::Failed.name();
        if restarts(status.connector.state) {
            status.connector.state = State::Restarting.name();
        }
        for task in status.tasks.iter_mut().filter(|task| request.include_tasks && restarts(task.state.state)) {
            task.state.state = State::Restarting.name();
        }
        Ok(status)
    }

    /// Gives loggers of all workers a level.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn set_cluster_log_level(&self, namespace: &str, level: &str) -> Result<()> {
        self.may_write()?;
        self.write(vec![records::logger(namespace, level)]).await
    }

    /// Takes the tasks that a connector has planned in another worker.
    ///
    /// # Errors
    /// 404, 409 when this worker does not lead.
    pub async fn put_tasks(&self, name: &str, tasks: Vec<Settings>) -> Result<()> {
        let _turn = self.writes.lock().await;
        self.must_lead()?;
        if !self.configs.state().contains(name) {
            return Err(HerderError::no_connector(name));
        }
        self.write_tasks(name, &tasks).await
    }

    /// Has the tasks that a connector has planned here written, if they are others than before.
    pub(super) async fn publish_tasks(&self, name: &str, tasks: Vec<Settings>) -> Result<()> {
        let tasks: Vec<Settings> = tasks.into_iter().map(|task| self.with_placeholders(name, task)).collect();
        if !self.differ(name, &tasks) {
            return Ok(());
        }
        let group = self.group();
        if !group.is_leader {
            return self.send_tasks_to_leader(name, &tasks, group.leader_url.as_deref()).await;
        }
        let _turn = self.writes.lock().await;
        self.write_tasks(name, &tasks).await
    }

    async fn write_tasks(&self, name: &str, tasks: &[Settings]) -> Result<()> {
        if !tasks.is_empty() && self.configs.state().target(name) == TargetState::Stopped {
            return Err(HerderError::BadRequest(format!(
                "Cannot submit non-empty set of task configs for stopped connector {name}"
            )));
        }
        // First all tasks, then the commit: a reader that sees the one has seen the others.
        let all: Vec<ConfigRecord> =
            tasks.iter().enumerate().map(|(number, task)| records::task(name, number, task)).collect();
        if !all.is_empty() {
            self.write(all).await?;
        }
        self.write(vec![records::commit(name, tasks.len())]).await
    }

    fn differ(&self, name: &str, tasks: &[Settings]) -> bool {
        let state = self.configs.state();
        let same_count = usize::try_from(state.task_count(name)).is_ok_and(|count| count == tasks.len());
        let same = state.tasks(name).zip(tasks).all(|(id, task)| state.task_config(&id) == Some(task));
        !(same_count && same && state.is_applied(name))
    }

    /// A task's settings with the placeholders that its connector's have: what they stand for is not written down.
    fn with_placeholders(&self, name: &str, mut task: Settings) -> Settings {
        let state = self.configs.state();
        for (key, value) in state.config(name).into_iter().flatten().filter(|(_, value)| has_placeholder(value)) {
            if let Some(resolved) = task.get_mut(key) {
                resolved.clone_from(value);
            }
        }
        task
    }

    /// Writes records to the configurations.
    pub(super) async fn write(&self, all: Vec<ConfigRecord>) -> Result<()> {
        let written = self.configs.write(all).await;
        if let Err(StorageError::Fenced) = written {
            // Whether this worker still leads is for the group to say; if so, it claims the configurations again.
            let _ = self.sink.wishes.send(Wish::Rejoin);
        }
        Ok(written?)
    }

    /// # Errors
    /// [`HerderError::Elsewhere`] when only leaders write, in transactions, and another worker leads.
    fn may_write(&self) -> Result<()> {
        let mode = self.config.distributed.as_ref().map(|distributed| distributed.exactly_once);
        match mode {
            None | Some(ExactlyOnceMode::Disabled) => Ok(()),
            Some(ExactlyOnceMode::Preparing | ExactlyOnceMode::Enabled) => self.must_lead(),
        }
    }

    /// # Errors
    /// [`HerderError::Elsewhere`] when another worker writes.
    pub(super) fn must_lead(&self) -> Result<()> {
        let group = self.group();
        if group.is_leader { Ok(()) } else { Err(HerderError::Elsewhere(group.leader_url)) }
    }

    fn must_be_settled(&self) -> Result<()> {
        if self.group.read().rebalancing { Err(HerderError::Rebalancing) } else { Ok(()) }
    }
}

/// What a worker may own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owned<'a> {
    /// A connector.
    Connector(&'a str),
    /// A task.
    Task(&'a TaskId),
}

impl Herder {
    pub(super) fn owns_connector(&self, name: &str) -> bool {
        self.group.read().owned.as_ref().is_none_or(|owned| owned.connectors.contains(name))
    }

    pub(super) fn owns_task(&self, id: &TaskId) -> bool {
        self.group.read().owned.as_ref().is_none_or(|owned| owned.tasks.contains(id))
    }

    /// Where the request must go: the leader knows the owner, everybody else knows the leader.
    fn owner_url(&self, owned: Owned<'_>) -> Option<String> {
        let group = self.group.read();
        match owned {
            _ if !group.is_leader => group.leader_url.clone(),
            Owned::Connector(name) => group.owners.of_connector(name),
            Owned::Task(id) => group.owners.of_task(id),
        }
    }
}
