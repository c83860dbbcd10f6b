//! One part of a query on one partition: its state, and its records in the order of their times.
//!
//! Records of several inputs wait in queues; the one with the lowest time among those at the heads goes first, as long as no
//! input may still bring an earlier one: each has a record, or Kafka has no more of it, for `max.task.idle.ms` (KIP-695).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::Database;
use milena_client::Cluster;
use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::consumer::{Polled, Start};
use milena_client::{Consumer, ConsumerConfig, Error, TopicPartition};
use milena_sql::ast::SourceKind;
use milena_sql::catalog::{Settings, Source};
use milena_sql::formats::registry::SchemaRegistry;
use milena_sql::operators::graph::Edge;
use milena_sql::operators::{Change, Context, NoLog, ProcessingLog};
use milena_sql::planner::build::{Task as Operators, build, build_readable};
use milena_sql::planner::topology::Output;
use milena_sql::planner::view::View;
use milena_sql::runtime::RawRecord;
use milena_sql::runtime::channel::{self, ChannelWriter, RowShape};
use milena_sql::runtime::reader::SourceReader;
use milena_sql::runtime::writer::SinkWriter;
use milena_sql::state::{DiskStateStores, MemoryStateStores};

use super::failure::{Cause, QueryFailure, Result};
use super::layout::LaidPart;
use super::tables::{Part, Readable, Tables};

/// How long one look at a changelog waits for records.
const POLL: Duration = Duration::from_millis(200);
/// Records that are worked off before what follows from them is handed over.
const RECORDS_TOGETHER: usize = 5_000;

/// See the module's words.
pub struct Task {
    operators: Operators,
    inputs: Vec<Input>,
    writer: Writer,
    /// Where it keeps its state; a task without state opens no tree.
    stores: Option<DiskStateStores>,
    /// How rows of the result are read, of tables.
    view: Option<Arc<View>>,
    /// The result, as long as readers may see it.
    readable: Option<Readable>,
    /// The latest time of a record.
    stream_time: i64,
    /// Since when records wait for a topic of which Kafka has no more.
    idle_since: Option<Instant>,
    /// What follows from one record, emptied before the next; its memory is used again.
    changes: Vec<Change>,
}

/// A topic that is read.
struct Input {
    topic: String,
    /// What it is read as. A self-join reads one topic twice.
    readers: Vec<Reader>,
    /// Its records that wait for their turn.
    waiting: VecDeque<RawRecord>,
    /// The time of the first of them, once it was asked for.
    head: Option<i64>,
}

impl Input {
    /// The time of the first record: that of its row, where a column tells it.
    fn head(&mut self) -> Option<i64> {
        let record = self.waiting.front()?;
        Some(*self.head.get_or_insert_with(|| {
            let timed = self.readers.iter().find_map(|reader| match reader {
                Reader::Source(reader, _) if reader.tells_time() => Some(reader),
                _ => None,
            });
            let change = timed.and_then(|reader| reader.read(record, &NoLog).ok().flatten());
            change.map_or(record.timestamp, |change| change.timestamp)
        }))
    }

    fn pop(&mut self) -> Option<RawRecord> {
        self.head = None;
        self.waiting.pop_front()
    }
}

enum Reader {
    Source(Box<SourceReader>, Option<Edge>),
    Channel(RowShape, Option<Edge>),
}

enum Writer {
    Sink(Box<SinkWriter>),
    Channel(ChannelWriter),
    Nowhere,
}

impl Task {
    /// The task of `partition`. May block on the registry and on the disk.
    ///
    /// # Errors
    /// Formats, or state that cannot be opened.
    pub fn open(
        laid: &LaidPart,
        partition: i32,
        sink: &Source,
        (database, tree): (&Database, &str),
        settings: &Settings,
        registry: &Arc<dyn SchemaRegistry>,
    ) -> Result<Task> {
        let partition = u32::try_from(partition).unwrap_or_default();
        let mut stores = match laid.changelog {
            Some(_) => Some(DiskStateStores::new(database.clone(), tree, partition)?),
            None => None,
        };
        let step = &laid.part.step;
        let is_table = sink.kind == SourceKind::Table && !matches!(laid.part.output, Output::Channel(_));
        let operators = match &mut stores {
            Some(stores) if is_table => build_readable(step, settings, stores)?,
            Some(stores) => build(step, settings, stores)?,
            None => build(step, settings, &mut MemoryStateStores)?,
        };
        let view = match is_table {
            true => Some(Arc::new(View::new(step, sink)?.with_horizon(operators.horizon.clone()))),
            false => None,
        };
        let mut readers: BTreeMap<String, Vec<Reader>> = BTreeMap::new();
        for entry in &operators.entries {
            let reader = entry.reader(settings, registry)?;
            let reader = Reader::Source(Box::new(reader), entry.edge);
            readers.entry(entry.source.topic.clone()).or_default().push(reader);
        }
        for channel in &operators.channels {
            let name = &channel.topic;
            let topic = laid.inputs.iter().find(|topic| topic.ends_with(&format!("-{name}")));
            let topic =
                topic.ok_or_else(|| QueryFailure::new(Cause::System, format!("the query has no topic {name}")))?;
            readers.entry(topic.clone()).or_default().push(Reader::Channel(channel.shape, channel.edge));
        }
        let writer = match (&laid.part.output, &laid.channel) {
            (Output::Channel(channel), Some(topic)) => Writer::Channel(ChannelWriter::new(channel, topic, registry)?),
            (Output::Nowhere, _) => Writer::Nowhere,
            _ => Writer::Sink(Box::new(SinkWriter::new(sink, registry)?)),
        };
        let input = |(topic, readers)| Input { topic, readers, waiting: VecDeque::new(), head: None };
        Ok(Task {
            operators,
            inputs: readers.into_iter().map(input).collect(),
            writer,
            stores,
            view,
            readable: None,
            stream_time: i64::MIN,
            idle_since: None,
            changes: Vec::new(),
        })
    }

    /// Lets pull queries read the result, if it is a table, as long as the task is there.
    pub fn publish(&mut self, tables: &Tables, query: &str, place: (i32, i32), changelog: String) {
        if let (Some(view), Some(stores)) = (&self.view, &self.stores) {
            let part = Part { view: view.clone(), state: Arc::new(stores.reader()), changelog };
            self.readable = Some(tables.publish(query, place, part));
        }
    }

    /// Brings the state to where the changelog ends, and the operators to where they were then.
    ///
    /// Transactions that are open there are waited for: their producer is gone or will be refused, but what it has decided
    /// belongs to the state.
    ///
    /// # Errors
    /// What the cluster says; a disk that cannot be written.
    pub async fn restore(&mut self, cluster: &Cluster, changelog: &TopicPartition, identity: &str) -> Result<()> {
        self.read_changelog(cluster, changelog, identity).await?;
        Ok(self.operators.graph.resume()?)
    }

    async fn read_changelog(&mut self, cluster: &Cluster, changelog: &TopicPartition, identity: &str) -> Result<()> {
        let Some(stores) = &mut self.stores else { return Ok(()) };
        stores.belong_to(identity)?;
        let end = settled_end(cluster, changelog).await?;
        let start = offset(cluster, changelog, OffsetSpec::EARLIEST, IsolationLevel::ReadCommitted).await?;
        let mut known = stores.position()?.unwrap_or(0);
        if known > end {
            stores.clear()?;
            known = 0;
        }
        let from = known.max(start);
        if from >= end {
            return Ok(());
        }
        let config = ConsumerConfig {
            enable_auto_commit: false,
            isolation_level: IsolationLevel::ReadCommitted,
            allow_auto_create_topics: false,
            ..ConsumerConfig::default()
        };
        let mut consumer = Consumer::new(cluster.clone(), config);
        consumer.assign(vec![(changelog.clone(), Some(Start::Offset(from)))]);
        while consumer.position(changelog).is_none_or(|position| position < end) {
            if let Polled::Records(fetched) = consumer.poll(POLL).await? {
                let mut records = Vec::new();
                fetched.for_each(|read| {
                    let key = read.record.key.unwrap_or_default().to_vec();
                    records.push((key, read.record.value.map(<[u8]>::to_vec)));
                    Ok::<_, Error>(true)
                })?;
                stores.restore(records.into_iter(), fetched.next_offset())?;
            }
        }
        Ok(stores.restored()?)
    }

    /// Takes records of a topic; they wait for their turn.
    pub fn take(&mut self, topic: &str, records: impl Iterator<Item = RawRecord>) {
        if let Some(input) = self.inputs.iter_mut().find(|input| input.topic == topic) {
            input.waiting.extend(records);
        }
    }

    /// The offset of the first record of a topic that waits.
    pub fn waits_from(&self, topic: &str) -> Option<i64> {
        Some(self.inputs.iter().find(|input| input.topic == topic)?.waiting.front()?.offset)
    }

    /// The topics that it reads.
    pub fn topics(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().map(|input| &input.topic)
    }

    /// Works off what waits as far as its turn has come, at most [`RECORDS_TOGETHER`] records, and gives what follows from
    /// it. `caught_up` are the topics of which Kafka has no more. May block on the registry and on the disk.
    ///
    /// # Errors
    /// What ends the query.
    pub fn work(
        &mut self,
        log: &dyn ProcessingLog,
        now: i64,
        caught_up: &BTreeSet<String>,
        idle: Option<Duration>,
    ) -> Result<Vec<RawRecord>> {
        let mut written = Vec::new();
        for _ in 0..RECORDS_TOGETHER {
            let Some(input) = self.next(caught_up, idle) else { break };
            let Some(record) = self.inputs[input].pop() else { break };
            self.record(input, &record, log, now, &mut written)?;
        }
        Ok(written)
    }

    /// The input whose first record has the lowest time, once no other can bring an earlier one. Without `idle` nothing is
    /// waited for.
    fn next(&mut self, caught_up: &BTreeSet<String>, idle: Option<Duration>) -> Option<usize> {
        if self.inputs.len() == 1 {
            return self.is_waiting().then_some(0);
        }
        let heads = self.inputs.iter_mut().enumerate().filter_map(|(at, input)| Some((input.head()?, at)));
        let Some((_, first)) = heads.min() else {
            self.idle_since = None;
            return None;
        };
        let Some(idle) = idle else { return Some(first) };
        let mut empty = self.inputs.iter().filter(|input| input.waiting.is_empty()).peekable();
        if empty.peek().is_none() {
            self.idle_since = None;
            return Some(first);
        }
        if !empty.all(|input| caught_up.contains(&input.topic)) {
            return None;
        }
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        (since.elapsed() >= idle).then_some(first)
    }

    /// Whether records wait.
    pub fn is_waiting(&self) -> bool {
        self.inputs.iter().any(|input| !input.waiting.is_empty())
    }

    /// How many records wait.
    pub fn waiting(&self) -> usize {
        self.inputs.iter().map(|input| input.waiting.len()).sum()
    }

    fn record(
        &mut self,
        input: usize,
        record: &RawRecord,
        log: &dyn ProcessingLog,
        now: i64,
        written: &mut Vec<RawRecord>,
    ) -> Result<()> {
        let mut context = Context { log, wall_clock_ms: now };
        for reader in &self.inputs[input].readers {
            let (change, edge) = match reader {
                Reader::Source(reader, edge) => (reader.read(record, log)?, *edge),
                Reader::Channel(shape, edge) => (Some(channel::read(record, *shape)?), *edge),
            };
            let Some(change) = change else { continue };
            self.stream_time = self.stream_time.max(change.timestamp);
            self.operators.graph.process(edge, change, &mut context, &mut self.changes)?;
            for change in self.changes.drain(..) {
                self.writer.write(&change, self.stream_time, log, written)?;
            }
        }
        Ok(())
    }

    /// Leaves in the state what operators know beside it, before it is committed.
    ///
    /// # Errors
    /// State that cannot be written.
    pub fn leave(&mut self) -> Result<()> {
        Ok(self.operators.graph.leave()?)
    }

    /// What the changelog has to hold before the commit: key and value of each record.
    pub fn state_changes(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.stores.as_ref().map(DiskStateStores::pending).unwrap_or_default()
    }

    /// The changelog holds everything up to `position`, and the offsets of the inputs are committed.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn committed(&mut self, position: i64) -> Result<()> {
        Ok(self.stores.as_mut().map_or(Ok(()), |stores| stores.commit(position))?)
    }
}

impl Writer {
    /// Appends the records of a change to `written`.
    fn write(
        &self,
        change: &Change,
        stream_time: i64,
        log: &dyn ProcessingLog,
        written: &mut Vec<RawRecord>,
    ) -> Result<()> {
        match self {
            Writer::Sink(writer) => written.extend(writer.write_at(change, stream_time, log)?),
            Writer::Channel(writer) => written.extend(writer.write(change, log)?),
            Writer::Nowhere => {}
        }
        Ok(())
    }
}

/// Where a partition ends once no transaction is open in it that was open when this was called.
async fn settled_end(cluster: &Cluster, tp: &TopicPartition) -> Result<i64> {
    let wanted = offset(cluster, tp, OffsetSpec::LATEST, IsolationLevel::ReadUncommitted).await?;
    loop {
        let end = offset(cluster, tp, OffsetSpec::LATEST, IsolationLevel::ReadCommitted).await?;
        if end >= wanted {
            return Ok(end);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn offset(cluster: &Cluster, tp: &TopicPartition, spec: OffsetSpec, isolation: IsolationLevel) -> Result<i64> {
    let found = cluster.list_offsets(&[(tp.clone(), spec)], isolation).await?;
    Ok(found.into_values().next().map_or(Ok(0), |found| found.map(|found| found.offset))?)
}
