//! One task from its start to its end: runs it, tells what becomes of it, starts it again when that was asked for.

use std::sync::Arc;

use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use tokio::sync::watch;

use super::restart::RestartPolicy;
use super::{Exception, Shared, State, TargetState, TaskId, sink, source};
use crate::plugin::{ConnectorKind, ConnectorPlugin, Settings};

/// What a task is to do, and who tells it to stop.
#[derive(Clone)]
pub(super) struct Job {
    pub shared: Arc<Shared>,
    pub id: TaskId,
    pub plugin: Arc<dyn ConnectorPlugin>,
    pub connector_settings: Settings,
    pub task_settings: Settings,
    pub targets: watch::Receiver<TargetState>,
    pub stop: ShutdownToken,
}

impl Job {
    /// Runs the task until it is stopped, or has failed for good. A task that has failed is kept as such until it is
    /// stopped.
    pub async fn supervise(self) {
        let (shared, id) = (self.shared.clone(), self.id.clone());
        let mut policy = match RestartPolicy::new(&self.connector_settings) {
            Ok(policy) => policy,
            Err(error) => {
                shared.task_state(&id, State::Failed, Some(Exception::from(error).to_string()));
                return;
            }
        };
        loop {
            let started = SystemClock.monotonic();
            let ended = self.clone().run_once().await;
            shared.metrics.remove_task(&id);
            let Err(error) = ended else {
                shared.task_state(&id, State::Unassigned, None);
                return;
            };
            tracing::error!("task {id} has failed: {error}");
            let pause = policy.after_failure(started.elapsed());
            let mut trace = error.to_string();
            if let Some(pause) = pause {
                let attempt = policy.attempts();
                trace.push_str(&format!(
                    "\nIt is started again in {} ms (errors.restart.max.attempts, attempt {attempt}).",
                    pause.as_millis()
                ));
            }
            shared.task_state(&id, State::Failed, Some(trace));
            let Some(pause) = pause else { return };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => shared.task_state(&id, State::Restarting, None),
            }
        }
    }

    /// Runs the task on a task of its own: one that panics is a failure like another, and this one being cut off ends
    /// that one.
    async fn run_once(self) -> Result<(), Exception> {
        let kind = self.plugin.kind();
        let mut running = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            match kind {
                ConnectorKind::Source => source::run(self).await,
                ConnectorKind::Sink => sink::run(self).await,
            }
        }));
        match (&mut running).await {
            Ok(ended) => ended,
            Err(error) => Err(Exception::connect(format!("The task has panicked, which is a bug in it: {error}"))),
        }
    }

    /// Told when the task works, or would if it were not paused.
    pub fn is_up(&self) {
        let state = match *self.targets.borrow() {
            TargetState::Started => State::Running,
            TargetState::Paused | TargetState::Stopped => State::Paused,
        };
        self.shared.task_state(&self.id, state, None);
    }
}
