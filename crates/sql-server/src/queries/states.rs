//! How the persistent queries of this server are: what statements show of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use milena_stdx::{Clock as _, SystemClock};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::failure::QueryFailure;
use super::statistics::{Statistics, TopicStatistics};

/// Errors that are remembered of a query.
const ERRORS_MAX: usize = 10;
/// A query that has not looked at Kafka for so long does not answer.
const UNRESPONSIVE_AFTER_MS: i64 = 60_000;
/// So long after its start a query is taken to have worked off what was there: one that has much to read shows what it has.
const SETTLING_MAX: Duration = Duration::from_secs(10);

/// How a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueryState {
    /// It works, or is about to.
    Running,
    /// It rests.
    Paused,
    /// It has failed and waits for its next attempt.
    Error,
    /// It should work and has not been heard of.
    Unresponsive,
}

impl QueryState {
    /// As answers show it.
    pub fn name(self) -> &'static str {
        match self {
            QueryState::Running => "RUNNING",
            QueryState::Paused => "PAUSED",
            QueryState::Error => "ERROR",
            QueryState::Unresponsive => "UNRESPONSIVE",
        }
    }
}

/// An error of a query, as it is remembered.
#[derive(Debug, Clone)]
pub struct QueryError {
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
    /// What.
    pub failure: QueryFailure,
}

impl QueryError {
    /// As answers show it.
    pub fn json(&self) -> Value {
        let QueryError { timestamp, failure } = self;
        json!({ "timestamp": timestamp, "errorMessage": failure.message, "type": failure.cause.name() })
    }
}

/// One query.
#[derive(Debug)]
pub struct QueryStatus {
    paused: AtomicBool,
    failed: AtomicBool,
    heard_of_ms: AtomicI64,
    errors: Mutex<VecDeque<QueryError>>,
    began: Instant,
    settled: watch::Sender<bool>,
    /// What it has done.
    pub statistics: Statistics,
}

impl Default for QueryStatus {
    fn default() -> Self {
        QueryStatus {
            paused: AtomicBool::default(),
            failed: AtomicBool::default(),
            heard_of_ms: AtomicI64::default(),
            errors: Mutex::default(),
            began: Instant::now(),
            settled: watch::Sender::new(false),
            statistics: Statistics::default(),
        }
    }
}

impl QueryStatus {
    /// How it is now.
    pub fn state(&self) -> QueryState {
        let silent = SystemClock.now_ms() - self.heard_of_ms.load(Ordering::Relaxed);
        if self.failed.load(Ordering::Relaxed) {
            QueryState::Error
        } else if self.paused.load(Ordering::Relaxed) {
            QueryState::Paused
        } else if silent > UNRESPONSIVE_AFTER_MS {
            QueryState::Unresponsive
        } else {
            QueryState::Running
        }
    }

    /// The last errors, the newest last.
    pub fn errors(&self) -> Vec<QueryError> {
        self.errors.lock().iter().cloned().collect()
    }

    /// It works.
    pub fn works(&self) {
        self.heard_of_ms.store(SystemClock.now_ms(), Ordering::Relaxed);
        self.failed.store(false, Ordering::Relaxed);
    }

    /// It rests, or goes on.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        if paused {
            self.settles();
        }
    }

    /// It has worked off what was there when it began, or nobody shall wait for that.
    pub fn settles(&self) {
        self.settled.send_if_modified(|settled| !std::mem::replace(settled, true));
    }

    /// Whether [`QueryStatus::settles`] was said.
    pub fn is_settled(&self) -> bool {
        *self.settled.borrow()
    }

    /// When nobody waits any more for the query to settle.
    pub fn settles_until(&self) -> Instant {
        self.began + SETTLING_MAX
    }

    /// Returns when the query has settled, or should have.
    async fn settled(&self) {
        let mut settled = self.settled.subscribe();
        let settling = settled.wait_for(|settled| *settled);
        // The sender lives as long as `self`.
        let _ = tokio::time::timeout_at(self.settles_until().into(), settling).await;
    }

    /// It has failed.
    pub fn fails(&self, failure: QueryFailure) {
        let mut errors = self.errors.lock();
        if errors.len() == ERRORS_MAX {
            errors.pop_front();
        }
        errors.push_back(QueryError { timestamp: SystemClock.now_ms(), failure });
        self.failed.store(true, Ordering::Relaxed);
        self.settles();
    }
}

/// All persistent queries of this server by their ids.
#[derive(Debug)]
pub struct QueryStates {
    queries: RwLock<BTreeMap<String, Arc<QueryStatus>>>,
    changed: watch::Sender<()>,
}

impl Default for QueryStates {
    fn default() -> Self {
        QueryStates { queries: RwLock::default(), changed: watch::Sender::new(()) }
    }
}

impl QueryStates {
    /// The query's status, while it runs here or is being ended.
    pub fn get(&self, id: &str) -> Option<Arc<QueryStatus>> {
        self.queries.read().get(id).cloned()
    }

    /// All queries by their ids.
    pub fn all(&self) -> Vec<(String, Arc<QueryStatus>)> {
        self.queries.read().iter().map(|(id, status)| (id.clone(), status.clone())).collect()
    }

    /// What all queries have done with a topic.
    pub fn of_topic(&self, topic: &str) -> TopicStatistics {
        let now = Instant::now();
        let queries = self.queries.read();
        let each = queries.values().filter_map(|status| status.statistics.topic(topic));
        each.fold(TopicStatistics::default(), |sum, one| sum.with(&one, now))
    }

    /// How the query is; running when it is just being started.
    pub fn state(&self, id: &str) -> QueryState {
        self.get(id).map_or(QueryState::Running, |status| status.state())
    }

    /// How many of the servers of the query are in which state, as far as this server knows: itself.
    pub fn counts(&self, id: &str) -> Value {
        json!({ self.state(id).name(): 1 })
    }

    /// The query is there from now on.
    pub fn enter(&self, id: &str) -> Arc<QueryStatus> {
        let status = Arc::new(QueryStatus::default());
        status.works();
        self.queries.write().insert(id.to_owned(), status.clone());
        self.changed.send_replace(());
        status
    }

    /// The query is gone, unless another of the same id has come meanwhile.
    pub fn leave(&self, id: &str, left: &Arc<QueryStatus>) {
        let mut queries = self.queries.write();
        if queries.get(id).is_some_and(|known| Arc::ptr_eq(known, left)) {
            queries.remove(id);
        }
        drop(queries);
        self.changed.send_replace(());
    }

    /// Returns when the query has worked off what was there when it began, as far as that does not take long. A query whose
    /// command was executed just now may have to begin first.
    pub async fn settled(&self, id: &str) {
        let mut changes = self.changed.subscribe();
        let deadline = tokio::time::Instant::now() + SETTLING_MAX;
        loop {
            if let Some(status) = self.get(id) {
                return status.settled().await;
            }
            if !matches!(tokio::time::timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Returns when the query writes nothing any more.
    pub async fn ended(&self, id: &str) {
        let mut changes = self.changed.subscribe();
        while self.get(id).is_some() && changes.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::failure::Cause;

    #[test]
    fn a_query_shows_how_it_is_and_what_went_wrong() {
        let states = QueryStates::default();
        let status = states.enter("CTAS_A_1");
        assert_eq!(states.state("CTAS_A_1"), QueryState::Running);
        status.set_paused(true);
        assert_eq!(states.counts("CTAS_A_1"), json!({ "PAUSED": 1 }));
        status.set_paused(false);
        for number in 0..12 {
            status.fails(QueryFailure::new(Cause::User, format!("error {number}")));
        }
        assert_eq!(states.state("CTAS_A_1"), QueryState::Error);
        let errors = status.errors();
        assert_eq!((errors.len(), errors[9].failure.message.as_str()), (ERRORS_MAX, "error 11"));
        assert_eq!(errors[0].json()["type"], "USER");
        status.works();
        assert_eq!(states.state("CTAS_A_1"), QueryState::Running);
        status.heard_of_ms.store(0, Ordering::Relaxed);
        assert_eq!(states.state("CTAS_A_1"), QueryState::Unresponsive);
    }

    #[tokio::test]
    async fn a_query_that_begins_is_waited_for_and_one_that_works_or_rests_is_not() {
        let states = Arc::new(QueryStates::default());
        let waits = |id: &'static str| {
            let states = states.clone();
            tokio::spawn(async move { states.settled(id).await })
        };
        let waiting = waits("A");
        tokio::task::yield_now().await;
        let status = states.enter("A");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !status.is_settled());
        status.settles();
        waiting.await.unwrap();
        waits("A").await.unwrap();
        states.enter("B").set_paused(true);
        states.enter("C").fails(QueryFailure::new(Cause::User, "error"));
        waits("B").await.unwrap();
        waits("C").await.unwrap();
    }

    #[test]
    fn the_end_of_a_query_does_not_end_the_next_of_its_name() {
        let states = QueryStates::default();
        let old = states.enter("Q");
        let new = states.enter("Q");
        states.leave("Q", &old);
        assert!(states.get("Q").is_some());
        states.leave("Q", &new);
        assert!(states.get("Q").is_none());
    }
}
