//! The queries of clients that are reading: how many there may be, which there are, and how they are ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_stdx::ShutdownToken;
use parking_lot::Mutex;

use crate::error::{Failure, Result};

/// The push queries of a server.
#[derive(Clone)]
pub struct PushQueries {
    running: Arc<Mutex<BTreeMap<String, Running>>>,
    most: usize,
}

struct Running {
    listed: Listed,
    stop: ShutdownToken,
}

/// A running query, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its text.
    pub statement: String,
    /// Whether it goes on until it is ended. Others read a stream to its present end.
    pub is_push: bool,
}

/// A place among the running queries, given back when it is dropped.
pub struct Place {
    id: String,
    queries: PushQueries,
    stop: ShutdownToken,
}

impl Place {
    /// Cancelled when the query is to end.
    pub fn stop(&self) -> ShutdownToken {
        self.stop.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
        self.queries.running.lock().remove(&self.id);
    }
}

impl PushQueries {
    /// At most `most` push queries at a time.
    pub fn new(most: usize) -> PushQueries {
        PushQueries { running: Arc::default(), most }
    }

    /// Ends a query for `/close-query`; whether it was there.
    pub fn close(&self, id: &str) -> bool {
        let stop = self.running.lock().get(id).map(|running| running.stop.clone());
        stop.inspect(ShutdownToken::cancel).is_some()
    }

    /// Whether a query runs, whatever the case of its name.
    pub fn is_running(&self, name: &str) -> bool {
        self.running.lock().keys().any(|id| id.eq_ignore_ascii_case(name))
    }

    /// Ends a query for `TERMINATE`, in which names lose their case; the id of the query that was there.
    pub fn terminate(&self, name: &str) -> Option<String> {
        let found = self.running.lock().keys().find(|id| id.eq_ignore_ascii_case(name)).cloned();
        found.filter(|id| self.close(id))
    }

    /// The push queries that run now, by id.
    pub fn listed(&self) -> Vec<Listed> {
        let running = self.running.lock();
        running.values().map(|running| &running.listed).filter(|listed| listed.is_push).cloned().collect()
    }

    /// Takes a place for a query.
    ///
    /// # Errors
    /// Too many push queries.
    pub fn take(&self, listed: Listed) -> Result<Place> {
        let mut running = self.running.lock();
        let pushing = running.values().filter(|running| running.listed.is_push).count();
        if listed.is_push && pushing >= self.most {
            let (text, most) = (&listed.statement, self.most);
            return Err(Failure::statement(
                format!(
                    "Not executing statement(s) '{text}' as it would cause the number of active, push queries to exceed the \
                     configured limit. Terminate existing PUSH queries, or increase the 'ksql.max.push.queries' setting via \
                     the 'ksql-server.properties' file. Current push query count: {pushing}. Configured limit: {most}.\n\
                     Statement: {text}"
                ),
                text,
            ));
        }
        let (id, stop) = (listed.id.clone(), ShutdownToken::new());
        running.insert(id.clone(), Running { listed, stop: stop.clone() });
        Ok(Place { id, queries: self.clone(), stop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(id: &str, is_push: bool) -> Listed {
        Listed { id: id.to_owned(), statement: format!("SELECT {id};"), is_push }
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let queries = PushQueries::new(1);
        let first = queries.take(query("a", true)).unwrap();
        assert_eq!(queries.take(query("b", true)).err().unwrap().code, Failure::BAD_STATEMENT);
        let reading = queries.take(query("c", false)).unwrap();
        assert_eq!(queries.listed(), [query("a", true)]);
        drop(first);
        assert!(queries.listed().is_empty());
        let _second = queries.take(query("b", true)).unwrap();
        drop(reading);
        assert!(!queries.close("c"));
    }

    #[test]
    fn a_query_that_is_closed_is_told() {
        let queries = PushQueries::new(9);
        let (place, other) = (queries.take(query("a", true)).unwrap(), queries.take(query("b_x", true)).unwrap());
        assert!(queries.close("a") && place.stop().is_cancelled());
        assert!(!other.stop().is_cancelled());
        assert_eq!(queries.terminate("B_X").as_deref(), Some("b_x"));
        assert!(other.stop().is_cancelled());
    }
}
