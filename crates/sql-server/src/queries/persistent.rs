//! Persistent queries: started, stopped, paused and resumed as commands say, and started again when they fail.
//!
//! The commands of the past are looked at together: of queries that came and went while the server was away nothing is
//! started, only what they may have left behind is removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use milena_sql::catalog::Settings;
use milena_sql::definition::PersistentQuery;
use milena_stdx::ShutdownToken;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::processing_log::QueryLog;
use super::states::QueryStatus;
use super::worker::Worker;
use super::{cleanup, failure};
use crate::command::execute::Effect;
use crate::state::Server;

/// `ksql.query.retry.backoff.initial.ms` and `ksql.query.retry.backoff.max.ms`.
const BACKOFF: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(900)];

/// Pause before a query joins again whose partitions others have got.
const REJOIN: Duration = Duration::from_millis(200);

/// Does what commands say until `shutdown`; then all queries end, and keep what they have.
pub async fn run(server: Arc<Server>, mut effects: mpsc::UnboundedReceiver<Effect>, shutdown: ShutdownToken) {
    let mut manager =
        Manager { server: server.clone(), running: HashMap::new(), ending: HashMap::new(), shutdown: shutdown.clone() };
    let mut progress = server.metastore.progress();
    tokio::select! {
        caught_up = progress.wait_for(|progress| progress.caught_up) => drop(caught_up),
        () = shutdown.cancelled() => return,
    }
    let mut past = Past::default();
    while let Ok(effect) = effects.try_recv() {
        past.note(effect);
    }
    manager.begin(past);
    loop {
        tokio::select! {
            effect = effects.recv() => match effect {
                Some(effect) => manager.follow(effect),
                None => break,
            },
            () = shutdown.cancelled() => break,
        }
    }
    manager.end().await;
}

/// What the commands of the past come to.
#[derive(Default)]
struct Past {
    started: BTreeMap<String, (PersistentQuery, Settings, bool)>,
    ended: BTreeSet<String>,
}

impl Past {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Start { query, settings } => {
                let paused = self.started.get(&query.id).is_some_and(|(_, _, paused)| *paused);
                self.started.insert(query.id.clone(), (*query, settings, paused));
            }
            Effect::Stop(id) => {
                self.started.remove(&id);
                self.ended.insert(id);
            }
            Effect::Pause(id) => self.set_paused(id.as_deref(), true),
            Effect::Resume(id) => self.set_paused(id.as_deref(), false),
        }
    }

    fn set_paused(&mut self, id: Option<&str>, wanted: bool) {
        for (known, (_, _, paused)) in &mut self.started {
            if id.is_none_or(|id| id == known) {
                *paused = wanted;
            }
        }
    }
}

/// A query that this server runs.
struct Running {
    paused: watch::Sender<bool>,
    status: Arc<QueryStatus>,
    stop: ShutdownToken,
    task: JoinHandle<()>,
}

struct Manager {
    server: Arc<Server>,
    running: HashMap<String, Running>,
    /// Queries that are gone and whose remains are being removed.
    ending: HashMap<String, JoinHandle<()>>,
    shutdown: ShutdownToken,
}

impl Manager {
    fn begin(&mut self, past: Past) {
        let active = past.started.keys().cloned().collect();
        tokio::spawn(cleanup::sweep(self.server.clone(), active, past.ended));
        for (query, settings, paused) in past.started.into_values() {
            self.start(query, settings, paused);
        }
    }

    fn follow(&mut self, effect: Effect) {
        self.ending.retain(|_, ending| !ending.is_finished());
        match effect {
            Effect::Start { query, settings } => self.start(*query, settings, false),
            Effect::Stop(id) => self.stop(id),
            Effect::Pause(id) => self.set_paused(id.as_deref(), true),
            Effect::Resume(id) => self.set_paused(id.as_deref(), false),
        }
    }

    /// Starts a query; one that runs under the same id ends first, and leaves it what it has.
    fn start(&mut self, query: PersistentQuery, settings: Settings, paused: bool) {
        let id = query.id.clone();
        let replaced = self.running.remove(&id);
        let paused = replaced.as_ref().map_or(paused, |replaced| *replaced.paused.borrow());
        let before = match replaced {
            Some(replaced) => {
                replaced.stop.cancel();
                Some(replaced.task)
            }
            None => self.ending.remove(&id),
        };
        let (paused, rests) = watch::channel(paused);
        let stop = self.shutdown.child_token();
        let status = self.server.query_states.enter(&id);
        status.set_paused(*paused.borrow());
        let life = Life { server: self.server.clone(), query, settings, status: status.clone(), stop: stop.clone() };
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                // Fails only when the task has failed, which is over then too.
                let _ = before.await;
            }
            life.live(rests).await;
        });
        self.running.insert(id, Running { paused, status, stop, task });
    }

    /// Ends a query for good.
    fn stop(&mut self, id: String) {
        let (server, running, gone) = (self.server.clone(), self.running.remove(&id), id.clone());
        if let Some(running) = &running {
            running.stop.cancel();
        }
        let ending = tokio::spawn(async move {
            if let Some(running) = running {
                let _ = running.task.await;
                server.query_states.leave(&gone, &running.status);
            }
            cleanup::remove(&server, &gone).await;
        });
        self.ending.insert(id, ending);
    }

    fn set_paused(&self, id: Option<&str>, paused: bool) {
        for (_, query) in self.running.iter().filter(|(running, _)| id.is_none_or(|id| id == running.as_str())) {
            query.status.set_paused(paused);
            query.paused.send_replace(paused);
        }
    }

    /// The server ends; all queries do so at the same time.
    async fn end(self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        for running in self.running.into_values() {
            let _ = running.task.await;
        }
    }
}

/// A query from its start to its end, however often it fails in between.
struct Life {
    server: Arc<Server>,
    query: PersistentQuery,
    settings: Settings,
    status: Arc<QueryStatus>,
    stop: ShutdownToken,
}

impl Life {
    async fn live(self, mut paused: watch::Receiver<bool>) {
        let [first, most] = self.backoff();
        let mut backoff = first;
        while !self.stop.is_cancelled() {
            let started = tokio::time::Instant::now();
            let Err(failure) = self.run(&mut paused).await else { return };
            if failure.is_replaced {
                tracing::info!(query = self.query.id, "the query joins its group again: {failure}");
                tokio::time::sleep(REJOIN).await;
                continue;
            }
            if started.elapsed() > most.min(BACKOFF[0] * 4) {
                backoff = first;
            }
            tracing::warn!(query = self.query.id, "the query has failed and starts again in {backoff:?}: {failure}");
            self.log().failed(&failure);
            self.status.fails(failure);
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = self.stop.cancelled() => return,
            }
            backoff = (backoff * 2).min(most);
        }
    }

    async fn run(&self, paused: &mut watch::Receiver<bool>) -> failure::Result<()> {
        let prepared = tokio::select! {
            prepared = Worker::prepare(&self.server, &self.query, &self.settings, &self.status) => prepared?,
            () = self.stop.cancelled() => return Ok(()),
        };
        prepared.run(paused, &self.stop).await
    }

    fn log(&self) -> QueryLog {
        let (query, status) = (self.query.id.clone(), self.status.clone());
        QueryLog { query, status, topic: self.server.processing_log.clone() }
    }

    fn backoff(&self) -> [Duration; 2] {
        let setting = |name: &str, default: Duration| {
            let ms = self.settings.integer(name).and_then(|ms| u64::try_from(ms).ok());
            ms.map_or(default, Duration::from_millis)
        };
        let first = setting("ksql.query.retry.backoff.initial.ms", BACKOFF[0]);
        [first, setting("ksql.query.retry.backoff.max.ms", BACKOFF[1]).max(first)]
    }
}
