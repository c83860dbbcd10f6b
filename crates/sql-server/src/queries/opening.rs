//! Tasks on their way: opened and restored while the others work.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_client::{Cluster, TopicPartition};
use milena_sql::catalog::Settings;
use milena_sql::definition::PersistentQuery;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::failure::Result;
use super::layout::LaidPart;
use super::task::Task;
use crate::state::Server;

/// A task by its part and partition.
pub type TaskId = (usize, i32);

/// What tasks are opened with.
pub struct Opener {
    /// The server.
    pub server: Arc<Server>,
    /// The query.
    pub query: PersistentQuery,
    /// What it was created with.
    pub settings: Settings,
    /// Its parts.
    pub laid: Vec<LaidPart>,
    /// The query's own connections.
    pub cluster: Cluster,
}

impl Opener {
    /// The task with its state restored.
    async fn open(&self, (part, partition): TaskId) -> Result<Task> {
        let laid = self.laid[part].clone();
        // A tree for each part: the stores of each are numbered from 0.
        let tree = format!("{}-{part}", self.query.id);
        let (changelog, partitions) = (laid.changelog.clone(), laid.partitions);
        let (server, settings, sink) = (self.server.clone(), self.settings.clone(), self.query.sink.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let place = (&server.state, tree.as_str());
            Task::open(&laid, partition, &sink, place, &settings, &server.registry)
        });
        let mut task = opening.await??;
        let mut topic = String::new();
        if let Some(changelog) = changelog {
            topic.clone_from(&changelog.topic);
            let tp = TopicPartition::new(changelog.topic, partition);
            task.restore(&self.cluster, &tp, &changelog.identity).await?;
        }
        task.publish(&self.server.tables, &self.query.id, (partition, partitions), topic);
        Ok(task)
    }
}

/// The tasks that are being opened.
pub struct Opening {
    opener: Arc<Opener>,
    under_way: BTreeMap<TaskId, JoinHandle<()>>,
    opened: mpsc::UnboundedReceiver<(TaskId, Result<Task>)>,
    report: mpsc::UnboundedSender<(TaskId, Result<Task>)>,
}

impl Opening {
    /// Opens nothing yet.
    pub fn new(opener: Opener) -> Opening {
        let (report, opened) = mpsc::unbounded_channel();
        Opening { opener: Arc::new(opener), under_way: BTreeMap::new(), opened, report }
    }

    /// Whether the task is being opened.
    pub fn has(&self, id: &TaskId) -> bool {
        self.under_way.contains_key(id)
    }

    /// Begins to open a task.
    pub fn begin(&mut self, id: TaskId) {
        let (opener, report) = (self.opener.clone(), self.report.clone());
        let opening = tokio::spawn(async move {
            let opened = opener.open(id).await;
            // Whoever wanted it may have gone.
            let _ = report.send((id, opened));
        });
        self.under_way.insert(id, opening);
    }

    /// Gives up opening the tasks that are not wanted any more. Nothing writes their state when this returns.
    pub async fn give_up(&mut self, wanted: impl Fn(&TaskId) -> bool) {
        let gone: Vec<TaskId> = self.under_way.keys().filter(|id| !wanted(id)).copied().collect();
        for id in gone {
            if let Some(opening) = self.under_way.remove(&id) {
                opening.abort();
                let _ = opening.await;
            }
        }
        // What was opened meanwhile and is still wanted comes again.
        let mut kept = Vec::new();
        while let Ok((id, opened)) = self.opened.try_recv() {
            if self.under_way.contains_key(&id) {
                kept.push((id, opened));
            }
        }
        for opened in kept {
            let _ = self.report.send(opened);
        }
    }

    /// The next task that is open. May be dropped at any time.
    ///
    /// # Errors
    /// Why one cannot be opened.
    pub async fn next(&mut self) -> Result<(TaskId, Task)> {
        loop {
            let Some((id, opened)) = self.opened.recv().await else { return std::future::pending().await };
            if self.under_way.remove(&id).is_some() {
                return Ok((id, opened?));
            }
        }
    }

    /// A task that is open already.
    ///
    /// # Errors
    /// As [`Opening::next`].
    pub fn try_next(&mut self) -> Result<Option<(TaskId, Task)>> {
        while let Ok((id, opened)) = self.opened.try_recv() {
            if self.under_way.remove(&id).is_some() {
                return Ok(Some((id, opened?)));
            }
        }
        Ok(None)
    }
}
