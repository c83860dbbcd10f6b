//! The herder's own task: hears what has changed, and has the lanes do what follows.

use std::sync::Arc;
use std::time::Duration;

use milena_stdx::loggers;
use tokio::sync::mpsc::UnboundedReceiver;

use super::config_state::{ConfigEvent, RestartRequest};
use super::lanes::{Job, Wish};
use super::{Herder, Result};
use crate::worker::{State, StatusListener as _, TaskId};

/// How long a look at everything that was written may take.
const SYNC_MAX: Duration = Duration::from_secs(3);
/// How long a healthy worker may take to answer.
const HEALTH_MAX: Duration = Duration::from_secs(10);

impl Herder {
    /// Runs a worker that shares its work with nobody, until it is stopped.
    pub(super) async fn run_alone(
        self: Arc<Self>,
        mut events: UnboundedReceiver<ConfigEvent>,
        mut wishes: UnboundedReceiver<Wish>,
    ) {
        let known = self.connectors();
        for name in known {
            self.post(&name, Job::Start);
            let tasks: Vec<TaskId> = self.configs.state().tasks(&name).collect();
            self.post(&name, Job::StartTasks(tasks));
        }
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.happened_alone(event),
                    None => return,
                },
                wish = wishes.recv() => match wish {
                    Some(wish) => self.grant(wish),
                    None => return,
                },
                () = self.shutdown.cancelled() => break,
            }
        }
        self.halt().await;
    }

    /// Does what somebody wants of this task.
    pub(super) fn grant(self: &Arc<Self>, wish: Wish) {
        match wish {
            Wish::Reconfigure(name) => self.post(&name, Job::Plan(0)),
            // Only a member of a group has one to join.
            Wish::Rejoin => {}
            // Who asked may have gone.
            Wish::Ping(answer) => drop(answer.send(())),
        }
    }

    /// Stops everything that runs here; their states say so.
    pub(super) async fn halt(&self) {
        self.worker.stop().await;
        self.sink.statuses.flush().await;
        self.storage.cancel();
    }

    fn happened_alone(self: &Arc<Self>, event: ConfigEvent) {
        match event {
            ConfigEvent::Updated(name) => self.post(&name, Job::Start),
            ConfigEvent::Removed(name) => self.post(&name, Job::Remove),
            ConfigEvent::Tasks(name) => {
                let tasks: Vec<TaskId> = self.configs.state().tasks(&name).collect();
                self.post(&name, Job::StopTasks(self.tasks_here(&name)));
                self.forget_tasks_beyond(&name, tasks.len());
                self.post(&name, Job::StartTasks(tasks));
            }
            other => self.happened(other),
        }
    }

    /// What every kind of worker does alike.
    pub(super) fn happened(self: &Arc<Self>, event: ConfigEvent) {
        match event {
            ConfigEvent::Target(name) => self.post(&name, Job::Target),
            ConfigEvent::Restart(request) => self.restart_here(&request),
            ConfigEvent::LogLevel { namespace, level } => {
                let level = loggers::LogLevel::from_name(&level);
                if let Err(error) = loggers::set(&namespace, level) {
                    tracing::warn!("the level of {namespace} was not changed: {}", error.0);
                }
            }
            ConfigEvent::Updated(_) | ConfigEvent::Removed(_) | ConfigEvent::Tasks(_) | ConfigEvent::SessionKey => {}
        }
    }

    /// Starts anew what of a connector runs here.
    fn restart_here(self: &Arc<Self>, request: &RestartRequest) {
        let name = &request.connector;
        let restarts = |state: State| !request.only_failed || state == State::Failed;
        let own = self.sink.statuses.connector(name);
        if self.owns_connector(name) && own.is_some_and(|status| restarts(status.state)) {
            self.sink.connector(name, State::Restarting, None);
            self.post(name, Job::Start);
        }
        if !request.include_tasks {
            return;
        }
        let tasks: Vec<TaskId> = {
            let statuses = self.sink.statuses.tasks(name);
            let failed = statuses.into_iter().filter(|(_, status)| restarts(status.state));
            failed.map(|(task, _)| TaskId::new(name.as_str(), task)).filter(|id| self.owns_task(id)).collect()
        };
        for id in &tasks {
            self.sink.task(id, State::Restarting, None);
        }
        if !tasks.is_empty() {
            self.post(name, Job::StartTasks(tasks));
        }
    }

    /// States of tasks that a connector no longer has.
    pub(super) fn forget_tasks_beyond(&self, name: &str, count: usize) {
        for (task, _) in self.sink.statuses.tasks(name) {
            if usize::try_from(task).is_ok_and(|task| task >= count) {
                let status = self.sink.status(State::Destroyed, None);
                self.sink.statuses.put_task(&TaskId::new(name, task), &status, false);
            }
        }
    }

    /// Takes in everything that anybody has written.
    pub(super) async fn refresh_configs(&self) -> Result<()> {
        let timeout = self.config.distributed.as_ref().map_or(SYNC_MAX, |distributed| distributed.sync_timeout);
        Ok(self.configs.refresh(timeout).await?)
    }
}

impl Herder {
    /// Whether calls are answered: who decides on changes is not stuck.
    pub async fn is_healthy(&self) -> bool {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.sink.wishes.send(Wish::Ping(answer)).is_ok()
            && matches!(tokio::time::timeout(HEALTH_MAX, answered).await, Ok(Ok(())))
    }
}
