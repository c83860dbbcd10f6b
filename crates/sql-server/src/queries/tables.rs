//! Tables that can be read while queries write them: the state of the tasks of this server, by query and partition.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milena_sql::planner::view::View;
use milena_sql::state::DiskStateReader;
use parking_lot::RwLock;
use tokio::sync::watch;

/// The readable tables of a server.
#[derive(Clone, Default)]
pub struct Tables {
    queries: Arc<RwLock<HashMap<String, Parts>>>,
    changed: watch::Sender<()>,
}

/// What there is of the result of a query.
#[derive(Default)]
struct Parts {
    /// How many partitions the whole has.
    partitions: i32,
    here: BTreeMap<i32, Part>,
}

/// One partition of a table.
#[derive(Clone)]
pub struct Part {
    /// How entries of the state are rows.
    pub view: Arc<View>,
    /// The state.
    pub state: Arc<DiskStateReader>,
    /// The topic that holds the state.
    pub changelog: String,
}

/// The partitions of a table that are here.
#[derive(Clone, Default)]
pub struct Whole {
    /// By their numbers.
    pub parts: BTreeMap<i32, Part>,
    /// How many partitions there are altogether; 0 when none is here.
    pub total: i32,
}

impl Whole {
    /// The partitions that are not here, as far as that can be known.
    pub fn missing(&self) -> Vec<i32> {
        (0..self.total).filter(|partition| !self.parts.contains_key(partition)).collect()
    }

    /// Whether everything is here.
    pub fn is_complete(&self) -> bool {
        self.total > 0 && self.missing().is_empty()
    }
}

/// A partition that can be read until this is dropped.
pub struct Readable {
    tables: Tables,
    query: String,
    partition: i32,
    part: Part,
}

impl Drop for Readable {
    fn drop(&mut self) {
        let mut queries = self.tables.queries.write();
        let Some(parts) = queries.get_mut(&self.query) else { return };
        // Another task may have taken the partition's place.
        if parts.here.get(&self.partition).is_some_and(|part| Arc::ptr_eq(&part.state, &self.part.state)) {
            parts.here.remove(&self.partition);
        }
        if parts.here.is_empty() {
            queries.remove(&self.query);
        }
        drop(queries);
        self.tables.changed.send_replace(());
    }
}

impl Tables {
    /// Makes a partition of a query's result readable.
    pub fn publish(&self, query: &str, (partition, partitions): (i32, i32), part: Part) -> Readable {
        let mut queries = self.queries.write();
        let parts = queries.entry(query.to_owned()).or_default();
        parts.partitions = partitions;
        parts.here.insert(partition, part.clone());
        drop(queries);
        self.changed.send_replace(());
        Readable { tables: self.clone(), query: query.to_owned(), partition, part }
    }

    /// What this server has of a query's result.
    pub fn of(&self, query: &str) -> Whole {
        let queries = self.queries.read();
        queries
            .get(query)
            .map_or_else(Whole::default, |parts| Whole { parts: parts.here.clone(), total: parts.partitions })
    }

    /// What is here: the query, the topic that holds its state, and the partition.
    pub fn changelogs(&self) -> Vec<(String, String, i32)> {
        let queries = self.queries.read();
        let parts = queries.iter().flat_map(|(query, parts)| parts.here.iter().map(move |part| (query, part)));
        parts.map(|(query, (partition, part))| (query.clone(), part.changelog.clone(), *partition)).collect()
    }

    /// Changes when partitions come or go.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
