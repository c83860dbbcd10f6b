//! One lane a connector: what is to be done about it is done one thing after the other, beside all other connectors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::{ConnectorType, Herder};
use crate::config::worker::ExactlyOnceMode;
use crate::worker::{State, StatusListener as _, TargetState, TaskId};

/// The first pause before tasks are planned again.
const REPLAN_MIN: Duration = Duration::from_millis(250);
/// The longest one.
const REPLAN_MAX: Duration = Duration::from_secs(60);

/// What others want of the herder's own task.
#[derive(Debug)]
pub enum Wish {
    /// The group is to be joined again.
    Rejoin,
    /// A connector wants its tasks to be planned anew.
    Reconfigure(String),
    /// Somebody asks whether wishes are granted.
    Ping(oneshot::Sender<()>),
}

/// What is to be done about a connector.
#[derive(Debug)]
pub enum Job {
    /// Start it, also when it runs.
    Start,
    /// Stop it.
    Stop,
    /// Bring it and its tasks to the state that the user wants.
    Target,
    /// Plan its tasks, for the so manieth time.
    Plan(u32),
    /// Start tasks, also those that run.
    StartTasks(Vec<TaskId>),
    /// Stop tasks.
    StopTasks(Vec<TaskId>),
    /// Stop it and its tasks, and forget their states.
    Remove,
}

type Outcome = Result<(), super::HerderError>;

struct Queued {
    job: Job,
    done: Option<oneshot::Sender<Outcome>>,
}

/// The lanes of a herder.
#[derive(Default)]
pub struct Lanes(Mutex<HashMap<String, mpsc::UnboundedSender<Queued>>>);

impl Herder {
    /// Has `job` done some time soon.
    pub(super) fn post(self: &Arc<Self>, connector: &str, job: Job) {
        self.enqueue(connector, Queued { job, done: None });
    }

    /// Has `job` done, and waits for it.
    pub(super) async fn perform(self: &Arc<Self>, connector: &str, job: Job) -> Outcome {
        let (done, outcome) = oneshot::channel();
        self.enqueue(connector, Queued { job, done: Some(done) });
        outcome.await.unwrap_or_else(|_| Err(super::HerderError::Unavailable("Worker is shutting down".to_owned())))
    }

    fn enqueue(self: &Arc<Self>, connector: &str, queued: Queued) {
        let mut lanes = self.lanes.0.lock();
        let queued = match lanes.get(connector) {
            Some(lane) => match lane.send(queued) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => queued,
        };
        let (lane, jobs) = mpsc::unbounded_channel();
        // The receiver is right here.
        let _ = lane.send(queued);
        lanes.insert(connector.to_owned(), lane);
        tokio::spawn(self.clone().work(connector.to_owned(), jobs));
    }

    async fn work(self: Arc<Self>, connector: String, mut jobs: mpsc::UnboundedReceiver<Queued>) {
        loop {
            let next = tokio::select! {
                next = jobs.recv() => next,
                () = self.shutdown.cancelled() => None,
            };
            let Some(Queued { job, done }) = next else { return };
            let removes = matches!(job, Job::Remove);
            let outcome = self.do_job(&connector, job).await;
            if let Some(done) = done {
                // Who asked may have gone.
                let _ = done.send(outcome);
            }
            if removes && self.end_lane(&connector, &mut jobs) {
                return;
            }
        }
    }

    /// Ends the lane of a connector that is gone, unless there is more to do.
    fn end_lane(&self, connector: &str, jobs: &mut mpsc::UnboundedReceiver<Queued>) -> bool {
        let mut lanes = self.lanes.0.lock();
        let is_idle = jobs.is_empty();
        if is_idle {
            lanes.remove(connector);
        }
        is_idle
    }

    async fn do_job(self: &Arc<Self>, connector: &str, job: Job) -> Outcome {
        match job {
            Job::Start => self.start_connector(connector).await,
            Job::Stop => {
                self.worker.stop_connector(connector).await;
                Ok(())
            }
            Job::Target => self.bring_to_target(connector).await,
            Job::Plan(attempt) => {
                self.plan(connector, attempt).await;
                Ok(())
            }
            Job::StartTasks(ids) => {
                self.worker.stop_tasks(&ids).await;
                self.start_tasks(connector, &ids).await;
                Ok(())
            }
            Job::StopTasks(ids) => {
                self.worker.stop_tasks(&ids).await;
                Ok(())
            }
            Job::Remove => {
                let tasks = self.tasks_here(connector);
                self.worker.stop_tasks(&tasks).await;
                self.worker.stop_connector(connector).await;
                if !self.configs.state().contains(connector) {
                    self.sink.deleted(connector);
                    self.sink.statuses.delete_topics(connector);
                    self.sink.recent.forget(connector);
                }
                Ok(())
            }
        }
    }

    /// Tasks of a connector that are in this worker.
    pub(super) fn tasks_here(&self, connector: &str) -> Vec<TaskId> {
        self.worker.tasks().into_iter().filter(|id| &*id.connector == connector).collect()
    }

    async fn start_connector(self: &Arc<Self>, connector: &str) -> Outcome {
        self.worker.stop_connector(connector).await;
        let found = {
            let state = self.configs.state();
            state.config(connector).map(|settings| (settings.clone(), state.target(connector)))
        };
        let Some((settings, target)) = found else { return Ok(()) };
        let settings = match self.config.providers.resolve(&settings) {
            Ok(settings) => settings,
            Err(error) => {
                self.sink.connector(connector, State::Failed, Some(error.to_string()));
                return Err(error.into());
            }
        };
        self.worker.start_connector(connector, settings, target).await?;
        if target == TargetState::Started {
            self.plan(connector, 0).await;
        }
        Ok(())
    }

    async fn bring_to_target(self: &Arc<Self>, connector: &str) -> Outcome {
        let target = self.configs.state().target(connector);
        self.worker.set_target_state(connector, target).await?;
        if target == TargetState::Started {
            self.plan(connector, 0).await;
        }
        Ok(())
    }

    /// Plans the tasks of a connector and has them written if anything has changed; tries again after a failure.
    async fn plan(self: &Arc<Self>, connector: &str, attempt: u32) {
        if !self.worker.has_connector(connector) || self.configs.state().target(connector) != TargetState::Started {
            return;
        }
        let planned = match self.worker.task_configs(connector).await {
            Ok(tasks) => self.publish_tasks(connector, tasks).await,
            Err(error) => {
                self.sink.connector(connector, State::Failed, Some(error.to_string()));
                Err(error.into())
            }
        };
        match planned {
            Ok(()) if attempt > 0 => self.sink.connector(connector, State::Running, None),
            Ok(()) => {}
            Err(error) => {
                tracing::warn!("planning the tasks of connector {connector} failed, trying again: {error}");
                let pause = REPLAN_MIN.saturating_mul(1 << attempt.min(10)).min(REPLAN_MAX);
                let (herder, connector) = (self.clone(), connector.to_owned());
                tokio::spawn(async move {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => herder.post(&connector, Job::Plan(attempt + 1)),
                        () = herder.shutdown.cancelled() => {}
                    }
                });
            }
        }
    }

    /// Starts tasks; those of a source that writes exactly once after their predecessors were fenced.
    async fn start_tasks(self: &Arc<Self>, connector: &str, ids: &[TaskId]) {
        let fences =
            self.config.distributed.as_ref().is_some_and(|config| config.exactly_once == ExactlyOnceMode::Enabled)
                && self.info(connector).is_ok_and(|info| info.kind == ConnectorType::Source);
        if fences && let Err(error) = self.fence_through_leader(connector).await {
            for id in ids {
                let trace = format!("Failed to perform round of zombie fencing: {error}");
                self.sink.task(id, State::Failed, Some(trace));
            }
            return;
        }
        ids.iter().for_each(|id| self.start_task(id));
    }

    /// Starts a task with the settings that its connector has planned; a failure is its state.
    fn start_task(self: &Arc<Self>, id: &TaskId) {
        let found = {
            let state = self.configs.state();
            let task = state.task_config(id).cloned();
            let connector = state.config(&id.connector).cloned();
            connector.zip(task).map(|(connector, task)| (connector, task, state.target(&id.connector)))
        };
        let Some((connector, task, target)) = found else { return };
        let providers = &self.config.providers;
        let resolved = providers.resolve(&connector).and_then(|all| Ok((all, providers.resolve(&task)?)));
        let started = match resolved {
            Ok((connector, task)) => {
                self.worker.start_task(id, connector, task, target).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(trace) = started {
            self.sink.task(id, State::Failed, Some(trace));
        }
    }
}
