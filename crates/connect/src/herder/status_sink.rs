//! What the worker tells of its connectors and tasks, on the way to the states that everybody sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::lanes::Wish;
use super::recent::RecentLines;
use super::status_store::{Status, StatusStore};
use crate::worker::{State, StatusListener, TaskId};

/// The version that plugins have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// See the module's words.
pub struct StatusSink {
    /// `host:port` of this worker.
    pub worker_id: String,
    /// The generation of the group.
    pub generation: AtomicI32,
    /// Where states are kept.
    pub statuses: Arc<StatusStore>,
    /// Who plans tasks anew.
    pub wishes: UnboundedSender<Wish>,
    /// The last lines about each connector.
    pub recent: RecentLines,
}

impl StatusSink {
    /// A state as this worker tells it now.
    pub fn status(&self, state: State, trace: Option<String>) -> Status {
        let runs = matches!(state, State::Running | State::Paused | State::Stopped);
        Status {
            state,
            trace,
            worker_id: self.worker_id.clone(),
            generation: self.generation.load(Ordering::Acquire),
            version: runs.then(|| VERSION.to_owned()),
        }
    }

    /// Forgets a connector and its tasks.
    pub fn deleted(&self, name: &str) {
        for (task, _) in self.statuses.tasks(name) {
            self.statuses.put_task(&TaskId::new(name, task), &self.status(State::Destroyed, None), false);
        }
        self.statuses.put_connector(name, &self.status(State::Destroyed, None), false);
    }
}

/// Others may own meanwhile what has failed or ended here.
fn is_farewell(state: State) -> bool {
    matches!(state, State::Failed | State::Unassigned)
}

impl StatusListener for StatusSink {
    fn connector(&self, name: &str, state: State, trace: Option<String>) {
        self.recent.note(name, &line("connector", state, trace.as_deref()));
        match &trace {
            Some(trace) => tracing::error!("connector {name} is {}: {trace}", state.name()),
            None => tracing::info!("connector {name} is {}", state.name()),
        }
        self.statuses.put_connector(name, &self.status(state, trace), is_farewell(state));
    }

    fn task(&self, id: &TaskId, state: State, trace: Option<String>) {
        self.recent.note(&id.connector, &line(&format!("task {}", id.task), state, trace.as_deref()));
        match &trace {
            Some(trace) => tracing::error!("task {id} is {}: {trace}", state.name()),
            None => tracing::info!("task {id} is {}", state.name()),
        }
        self.statuses.put_task(id, &self.status(state, trace), is_farewell(state));
    }

    fn topic(&self, connector: &str, topic: &str, task: u32) {
        self.statuses.put_topic(connector, topic, task);
    }

    fn reconfigure(&self, connector: &str) {
        // Fails only when the worker is being stopped.
        let _ = self.wishes.send(Wish::Reconfigure(connector.to_owned()));
    }
}

fn line(what: &str, state: State, trace: Option<&str>) -> String {
    match trace {
        Some(trace) => format!("{what} is {}: {trace}", state.name()),
        None => format!("{what} is {}", state.name()),
    }
}
