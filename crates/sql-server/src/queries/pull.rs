//! Pull queries over tables: rows of the state of the query that fills the table, as they are now.
//!
//! ```text
//!   condition ──► keys ──► an entry of every partition of the state ──┐
//!            └──► none ──► all entries, or a range of texts, by pages ─┴──► condition, columns ──► the client
//! ```
//!
//! Partitions that are not here come from other servers ([`super::forwarding`]), after those that are.
//!
//! The state is read beside the query that writes it, what is not committed yet included; nobody waits for the other.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_sql::ast::{Query, SourceKind};
use milena_sql::catalog::{Catalog, Settings, Source};
use milena_sql::operators::{NoLog, OperatorError};
use milena_sql::planner::lookup::{Lookup, Place};
use milena_sql::planner::pull::{self, PullQuery};
use milena_sql::planner::view::View;
use milena_sql::state::{DiskStateReader, StateError, prefix_end};
use milena_sql::value::Value;
use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::forwarding::Asking;
use super::rows::ResultRow;
use super::tables::Part;
use super::transient::{Event, Transient};
use crate::cluster::remote_rows::{Covered, RemoteRows};
use crate::error::{Failure, Result};
use crate::session::Session;
use crate::state::{Connected, Server};

/// How long a query waits for tasks that are being opened, here or elsewhere.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pause before other servers are asked again for partitions that are on their way.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Entries that are looked at in one go.
const PAGE: usize = 4096;
/// Pages that a client has not read yet.
const UNREAD_PAGES: usize = 2;
/// After all keys of a store.
const END: &[u8] = &[u8::MAX; 8];

/// How many pull queries there were.
#[derive(Default)]
pub struct PullCounts(Mutex<Counts>);

/// Pull queries since the start of the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Those that had no answer.
    pub failed: u64,
    /// Those that this server could answer alone.
    pub local: u64,
    /// Those for which others were asked.
    pub remote: u64,
}

impl PullCounts {
    /// As of now.
    pub fn read(&self) -> Counts {
        *self.0.lock()
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.0.lock();
        counts.total += 1;
        change(&mut counts);
    }
}

/// Whether a query pulls from a table.
pub fn is_table_pull(query: &Query, catalog: &Catalog) -> bool {
    let sources = query.from.sources();
    let is_table = |name: &str| catalog.source(name).is_some_and(|source| source.kind == SourceKind::Table);
    query.emit.is_none() && sources.first().is_some_and(|source| is_table(&source.name))
}

/// What a query is asked with.
pub struct Asked<'a> {
    /// The server that was asked.
    pub server: &'a Arc<Server>,
    /// Kafka.
    pub connected: &'a Connected,
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The text of the query.
    pub text: &'a str,
    /// Whose query it is.
    pub session: &'a Session,
}

/// Starts a pull query over a table. Partitions that are not here are asked for where they are, unless another server asks.
///
/// # Errors
/// A query that means nothing, a table whose rows are not kept, state that no server has.
pub async fn start(query: &Query, settings: &Settings, asked: Asked<'_>) -> Result<Transient> {
    // What another server passes on is counted there.
    if asked.session.forwarded.is_some() {
        return begin(query, settings, asked).await.map(|(started, _)| started);
    }
    let counts = &asked.server.pull_counts;
    match begin(query, settings, asked).await {
        Ok((started, remotes)) => {
            counts.change(|counts| if remotes == 0 { counts.local += 1 } else { counts.remote += 1 });
            Ok(started)
        }
        Err(failure) => {
            counts.change(|counts| counts.failed += 1);
            Err(failure)
        }
    }
}

/// The query with how many other servers have a part in it.
async fn begin(query: &Query, settings: &Settings, asked: Asked<'_>) -> Result<(Transient, usize)> {
    let planned = pull::plan(query, asked.catalog, settings)?;
    let writer = writer(&planned.source, asked.catalog)?;
    // A table that was made just now is not empty: what it is to hold is still being read.
    asked.server.query_states.settled(&writer).await;
    let schema = planned.schema.clone();
    let left = planned.limit.unwrap_or(usize::MAX);
    let mut reading = Reading { left, query: planned, parts: Vec::new(), cursor: Some((0, Vec::new())) };
    let (sender, events) = mpsc::channel(UNREAD_PAGES);
    let mut started = Transient::pulled(format!("query_{}", SystemClock.now_ms()), schema, events);
    let mut remotes = Vec::new();
    match &asked.session.forwarded {
        Some(forwarded) => {
            let mut here = asked.server.tables.of(&writer);
            here.parts.retain(|partition, _| forwarded.wants(*partition));
            started.covered = Some(Covered { total: here.total, partitions: here.parts.keys().copied().collect() });
            reading.parts = here.parts.into_values().collect();
        }
        None => (reading, remotes) = locate(reading, &writer, &asked).await?,
    }
    let servers = remotes.len();
    tokio::spawn(send(reading, remotes, sender));
    Ok((started, servers))
}

/// Finds all partitions that the query needs: here, and at other servers. They may be on their way.
async fn locate(mut reading: Reading, writer: &str, asked: &Asked<'_>) -> Result<(Reading, Vec<RemoteRows>)> {
    let Asked { server, connected, text, session, .. } = *asked;
    let asking = Asking { server, connected, writer, text, session };
    let mut changes = server.tables.changes();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let here = server.tables.of(writer);
        reading.parts = here.parts.values().cloned().collect();
        if here.is_complete() {
            return Ok((reading, Vec::new()));
        }
        let has_all_keys;
        (reading, has_all_keys) = in_background(move || {
            let found = reading.has_all_keys();
            Ok((reading, found?))
        })
        .await?;
        if has_all_keys {
            return Ok((reading, Vec::new()));
        }
        let gathered = asking.gather(&here).await;
        let missing = gathered.missing(&here);
        if missing.as_ref().is_some_and(Vec::is_empty) {
            return Ok((reading, gathered.remotes));
        }
        if Instant::now() >= deadline {
            return Err(unreachable(missing.unwrap_or_else(|| here.missing()), &gathered.scanned));
        }
        // What comes without being noticed here comes to another server.
        let _ = tokio::time::timeout(ASK_AGAIN, changes.changed()).await;
    }
}

/// Nobody has these partitions.
fn unreachable(missing: Vec<i32>, scanned: &[String]) -> Failure {
    let hosts = scanned.join(", ");
    let reasons: Vec<String> = missing
        .iter()
        .map(|partition| format!("Partition {partition} failed to find valid host. Hosts scanned: [{hosts}]"))
        .collect();
    let message = match reasons.is_empty() {
        false => format!("Unable to execute pull query. [{}]", reasons.join(", ")),
        // Nobody knows which partitions there are: the query that keeps them does not run yet, or not any more.
        true => format!(
            "Unable to execute pull query. Cannot determine which host contains the required partitions to serve the pull \
             query. Hosts scanned: [{hosts}]"
        ),
    };
    Failure::new(Failure::SERVER, message)
}

/// Does what blocks on the disk.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::new(Failure::SERVER, error.to_string())))
}

/// The query that keeps the rows of a table.
fn writer(source: &Source, catalog: &Catalog) -> Result<String> {
    let writer = source.created_by.as_ref().filter(|id| catalog.queries().any(|query| query.id == **id));
    writer.cloned().ok_or_else(|| {
        Failure::new(
            Failure::BAD_STATEMENT,
            format!(
                "The `{0}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{0} AS SELECT * FROM {0}'. See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.",
                source.name
            ),
        )
    })
}

/// A query at work on the state.
struct Reading {
    query: PullQuery,
    parts: Vec<Part>,
    /// Rows that are still wanted.
    left: usize,
    /// The part and the key from where the next page begins.
    cursor: Option<(usize, Vec<u8>)>,
}

/// Reads page after page, as fast as they are taken: first what is here.
async fn send(reading: Reading, remotes: Vec<RemoteRows>, events: mpsc::Sender<Event>) {
    let last = match send_rows(reading, remotes, &events).await {
        // There is nothing to say about a table that was read.
        Ok(()) => Event::End(""),
        Err(failure) => Event::Failed(failure),
    };
    // The client may have gone.
    let _ = events.send(last).await;
}

async fn send_rows(mut reading: Reading, remotes: Vec<RemoteRows>, events: &mpsc::Sender<Event>) -> Result<()> {
    while reading.cursor.is_some() {
        let rows;
        (reading, rows) = in_background(move || {
            let rows = reading.page();
            Ok((reading, rows?))
        })
        .await?;
        if !rows.is_empty() && events.send(Event::Rows(rows)).await.is_err() {
            return Ok(());
        }
    }
    for mut remote in remotes {
        while reading.left > 0 {
            let Some(mut rows) = remote.next().await? else { break };
            rows.truncate(reading.left);
            reading.left -= rows.len();
            if events.send(Event::Rows(rows)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Reading {
    /// The next rows.
    fn page(&mut self) -> Result<Vec<ResultRow>> {
        let mut rows = Vec::new();
        let cursor = self.cursor.take();
        if self.left == 0 {
            return Ok(rows);
        }
        match &self.query.lookup {
            Lookup::Keys(keys) => {
                for key in keys {
                    self.entries_of(key, &mut rows)?;
                }
                rows.truncate(self.left);
                self.left -= rows.len();
            }
            Lookup::Range(_) | Lookup::Scan => {
                if let Some((part, from)) = cursor {
                    self.cursor = self.scan(part, &from, &mut rows)?;
                }
                self.left = self.left.saturating_sub(rows.len());
            }
        }
        Ok(rows)
    }

    /// Whether the keys that are looked up are all among what is here: then nobody else has them.
    fn has_all_keys(&self) -> Result<bool> {
        let Lookup::Keys(keys) = &self.query.lookup else { return Ok(false) };
        if self.parts.is_empty() {
            return Ok(false);
        }
        for key in keys {
            let prefix = View::key_prefix(key);
            let mut found = false;
            for part in &self.parts {
                found = found || part.has(&prefix)?;
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The rows of a key, in whichever partition it is.
    fn entries_of(&self, key: &[Value], rows: &mut Vec<ResultRow>) -> Result<()> {
        let prefix = View::key_prefix(key);
        for part in &self.parts {
            if !part.view.is_windowed() {
                if let Some(value) = part.state.get(&prefix).map_err(unreadable)? {
                    self.row(&part.view, &prefix, &value, rows)?;
                }
                continue;
            }
            let (from, to) = self.query.starts.keys(&prefix);
            visit(&part.state, &from, &to, &mut |key, value| {
                self.row(&part.view, key, value, rows)?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// A page of a part from a key on; where the next one begins.
    fn scan(&self, number: usize, from: &[u8], rows: &mut Vec<ResultRow>) -> Result<Option<(usize, Vec<u8>)>> {
        let Some(part) = self.parts.get(number) else { return Ok(None) };
        let mut seen = 0;
        let mut next = Some(from.to_vec());
        while seen < PAGE
            && rows.len() < self.left
            && let Some(from) = next.take()
        {
            visit(&part.state, &from, END, &mut |key, value| {
                seen += 1;
                if let Some(wanted) = self.passed_by(key) {
                    next = Some(wanted);
                    return Ok(ControlFlow::Break(()));
                }
                self.row(&part.view, key, value, rows)?;
                if seen < PAGE && rows.len() < self.left {
                    return Ok(ControlFlow::Continue(()));
                }
                // The first key after this one.
                next = Some([key, &[0]].concat());
                Ok(ControlFlow::Break(()))
            })?;
        }
        if rows.len() >= self.left {
            return Ok(None);
        }
        Ok(Some(next.map_or((number + 1, Vec::new()), |next| (number, next))))
    }

    /// Where to read on instead of at a key that is outside the range.
    fn passed_by(&self, key: &[u8]) -> Option<Vec<u8>> {
        let Lookup::Range(range) = &self.query.lookup else { return None };
        match range.place(key) {
            Place::Inside => None,
            Place::Before(next) => Some(next),
        }
    }

    /// Adds the row of an entry, unless the condition leaves it out.
    fn row(&self, view: &View, key: &[u8], value: &[u8], rows: &mut Vec<ResultRow>) -> Result<()> {
        let found = view.row(key, value, &NoLog).map_err(corrupt)?;
        if let Some(columns) = found.and_then(|found| self.query.row(&found, &NoLog)) {
            rows.push(ResultRow { columns, tombstone: false });
        }
        Ok(())
    }
}

impl Part {
    /// Whether there is an entry of this key.
    fn has(&self, prefix: &[u8]) -> Result<bool> {
        if !self.view.is_windowed() {
            return Ok(self.state.get(prefix).map_err(unreadable)?.is_some());
        }
        let mut found = false;
        visit(&self.state, prefix, &prefix_end(prefix), &mut |_, _| {
            found = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }
}

/// What is done with an entry, and whether there are to be more.
type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// Visits entries with what may fail.
fn visit(state: &Arc<DiskStateReader>, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<()> {
    let mut failure = None;
    let scanned = state.scan(from, to, &mut |key, value| match each(key, value) {
        Ok(flow) => flow,
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    });
    scanned.map_err(unreadable)?;
    failure.map_or(Ok(()), Err)
}

fn unreadable(error: StateError) -> Failure {
    Failure::new(Failure::SERVER, error.to_string())
}

fn corrupt(error: OperatorError) -> Failure {
    Failure::new(Failure::SERVER, error.to_string())
}
