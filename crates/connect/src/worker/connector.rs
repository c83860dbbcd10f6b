//! A connector at work: plans tasks, and asks to plan anew.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::settings::{boolean, number};
use super::{Exception, Shared, State, TargetState};
use crate::plugin::{Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, Settings, TaskError};

/// A connector that was made. It is started only while its target is [`TargetState::Started`].
pub(super) struct RunningConnector {
    name: Arc<str>,
    plugin: Arc<dyn ConnectorPlugin>,
    settings: Settings,
    connector: Box<dyn Connector>,
    is_started: bool,
    target: TargetState,
    /// Carries the wishes of the connector to the listener.
    _watch: AbortOnDropHandle<()>,
}

impl RunningConnector {
    /// Makes the connector and brings it to `target`.
    ///
    /// # Errors
    /// What the plugin refuses; the listener was told.
    pub async fn start(
        shared: &Arc<Shared>,
        name: &str,
        settings: Settings,
        target: TargetState,
    ) -> Result<RunningConnector, TaskError> {
        let made = Self::make(shared, name, settings);
        let mut running = made.inspect_err(|error| {
            let trace = Exception::connect(error.to_string()).to_string();
            shared.listener.connector(name, State::Failed, Some(trace));
        })?;
        running.set_target(shared, target).await?;
        Ok(running)
    }

    fn make(shared: &Arc<Shared>, name: &str, settings: Settings) -> Result<RunningConnector, TaskError> {
        let plugin = shared.plugin(&settings)?;
        let name: Arc<str> = name.into();
        let reconfigure = Arc::new(Notify::new());
        let context = ConnectorContext { name: name.clone(), reconfigure: reconfigure.clone() };
        let connector = plugin.create(&settings, context)?;
        let (listener, watched) = (shared.listener.clone(), name.clone());
        let watch = tokio::spawn(async move {
            loop {
                reconfigure.notified().await;
                listener.reconfigure(&watched);
            }
        });
        Ok(RunningConnector {
            name,
            plugin,
            settings,
            connector,
            is_started: false,
            target: TargetState::Stopped,
            _watch: AbortOnDropHandle::new(watch),
        })
    }

    /// Starts, pauses or stops the connector.
    ///
    /// # Errors
    /// What the connector says when it starts; the listener was told.
    pub async fn set_target(&mut self, shared: &Shared, target: TargetState) -> Result<(), TaskError> {
        let wants_to_run = target == TargetState::Started;
        if wants_to_run && !self.is_started {
            self.connector.start().await.inspect_err(|error| {
                let trace = Exception::connect(error.to_string()).to_string();
                shared.listener.connector(&self.name, State::Failed, Some(trace));
            })?;
            self.is_started = true;
        } else if !wants_to_run && self.is_started {
            self.connector.stop().await;
            self.is_started = false;
        }
        self.target = target;
        let state = match target {
            TargetState::Started => State::Running,
            TargetState::Paused => State::Paused,
            TargetState::Stopped => State::Stopped,
        };
        shared.listener.connector(&self.name, state, None);
        Ok(())
    }

    /// See [`super::Worker::task_configs`].
    pub async fn task_configs(&mut self) -> Result<Vec<Settings>, TaskError> {
        let tasks_max = number::<usize>(&self.settings, "tasks.max", 1)?.max(1);
        let mut configs = self.connector.task_configs(tasks_max).await?;
        if configs.len() > tasks_max {
            let message = format!(
                "The connector {} has generated {} tasks, which is greater than {tasks_max}, the maximum number of tasks \
                 it is configured to create (tasks.max)",
                self.name,
                configs.len()
            );
            if boolean(&self.settings, "tasks.max.enforce", true)? {
                return Err(TaskError::fatal(message));
            }
            tracing::warn!("{message}");
        }
        let class = self.plugin.classes().first().copied().unwrap_or_default();
        let task_class = format!("{}Task", class.strip_suffix("Connector").unwrap_or(class));
        for config in &mut configs {
            config.insert("task.class".to_owned(), task_class.clone());
            if self.plugin.kind() == ConnectorKind::Sink {
                for key in ["topics", "topics.regex"] {
                    if let Some(value) = self.settings.get(key) {
                        config.entry(key.to_owned()).or_insert_with(|| value.clone());
                    }
                }
            }
        }
        Ok(configs)
    }

    /// Ends it.
    pub async fn stop(&mut self, shared: &Shared) {
        if self.is_started {
            self.connector.stop().await;
            self.is_started = false;
        }
        let state = if self.target == TargetState::Stopped { State::Stopped } else { State::Unassigned };
        shared.listener.connector(&self.name, state, None);
    }
}
