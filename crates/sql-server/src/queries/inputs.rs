//! Records of all partitions of a query's sources, in the order of their times.
//!
//! ```text
//!   partition ──► queue ─┐
//!   partition ──► queue ─┼─► the lowest time among the heads goes first ──► operators
//!   partition ──► queue ─┘
//! ```
//!
//! A queue that is empty while its partition has more to give is waited for, but not for ever: a partition that cannot be
//! read holds up the others only once.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::consumer::{Fetched, Polled, Start};
use milena_client::{Consumer, ConsumerConfig, TopicPartition};
use milena_sql::operators::NoLog;
use milena_sql::runtime::RawRecord;
use milena_sql::runtime::reader::SourceReader;

use crate::error::{Failure, Result};
use crate::kafka::Kafka;
use crate::kafka::raw::raw_records;

/// How long one look at Kafka waits for records.
const POLL: Duration = Duration::from_millis(200);
const TOPIC_WAIT: Duration = Duration::from_secs(5);
/// How long a partition is waited for of which records are known that are not here.
const PATIENCE_PAST: Duration = Duration::from_secs(5);
/// The same for records that came since: they may belong to a transaction that is still open.
const PATIENCE_NEW: Duration = Duration::from_millis(100);
/// Fetches that are there already are put in order together, up to this many.
const FETCHES_TOGETHER: usize = 64;
/// Records are given out together up to this many bytes.
const BATCH_BYTES: usize = 64 << 10;
/// A partition whose queue holds this much is not read on while others are waited for.
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// Many queries may stand still with what they have fetched.
const FETCH_BYTES_MAX: i32 = 1 << 20;
const PARTITION_FETCH_BYTES_MAX: i32 = 256 << 10;

/// A topic that is read.
pub struct Input {
    /// Its name.
    pub topic: String,
    /// Whether it is read from its first record, not from what comes next.
    pub from_start: bool,
    /// Of records of the same time those of a lower rank come first.
    pub rank: u8,
    /// Tells the times of records, where those are in columns.
    pub times: Option<Arc<SourceReader>>,
}

/// See the module's words.
pub struct Inputs {
    consumer: Consumer,
    queues: Vec<Queue>,
    /// The place in `queues` of each partition.
    places: HashMap<TopicPartition, usize>,
    /// Time, rank and place of the first record of each queue that has some.
    heads: BinaryHeap<Reverse<(i64, u8, usize)>>,
    /// Whether everything ends where the partitions ended at the start.
    bounded: bool,
}

/// What was read of a partition and not given out.
struct Queue {
    tp: TopicPartition,
    topic: Arc<str>,
    times: Option<Arc<SourceReader>>,
    rank: u8,
    waiting: VecDeque<(i64, RawRecord)>,
    bytes: usize,
    start: i64,
    /// Where the partition ended at the start.
    first_end: i64,
    /// Where it ends as far as is known.
    end: i64,
    /// Whether waiting for it was in vain.
    given_up: bool,
}

impl Inputs {
    /// Finds out where all partitions begin and end now; what is written from now on is not missed.
    ///
    /// # Errors
    /// Topics that are not there; what the cluster says.
    pub async fn open(kafka: &Kafka, consumer: ConsumerConfig, inputs: Vec<Input>, bounded: bool) -> Result<Inputs> {
        let mut queues: Vec<Queue> = Vec::new();
        let mut places = HashMap::new();
        for input in inputs {
            let topic = kafka.cluster.topic(&input.topic, false, TOPIC_WAIT).await?;
            for partition in 0..i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX) {
                let tp = TopicPartition::new(input.topic.clone(), partition);
                if let Entry::Vacant(place) = places.entry(tp.clone()) {
                    place.insert(queues.len());
                    queues.push(Queue::new(tp, &input));
                }
            }
        }
        let isolation = IsolationLevel::ReadCommitted;
        let asked = |spec| queues.iter().map(|queue| (queue.tp.clone(), spec)).collect::<Vec<_>>();
        let mut firsts = kafka.cluster.list_offsets(&asked(OffsetSpec::EARLIEST), isolation).await?;
        let mut ends = kafka.cluster.list_offsets(&asked(OffsetSpec::LATEST), isolation).await?;
        for queue in &mut queues {
            let end = ends.remove(&queue.tp).map_or(Ok(0), |end| end.map(|end| end.offset))?;
            let first = firsts.remove(&queue.tp).map_or(Ok(0), |first| first.map(|first| first.offset))?;
            let start = if queue.start == 0 { first.min(end) } else { end };
            (queue.start, queue.first_end, queue.end) = (start, end, end);
        }
        let config = ConsumerConfig {
            group_id: None,
            enable_auto_commit: false,
            isolation_level: isolation,
            allow_auto_create_topics: false,
            fetch_max_bytes: consumer.fetch_max_bytes.min(FETCH_BYTES_MAX),
            max_partition_fetch_bytes: consumer.max_partition_fetch_bytes.min(PARTITION_FETCH_BYTES_MAX),
            ..consumer
        };
        let mut consumer = Consumer::new(kafka.cluster.clone(), config);
        consumer.assign(queues.iter().map(|queue| (queue.tp.clone(), Some(Start::Offset(queue.start)))).collect());
        Ok(Inputs { consumer, queues, places, heads: BinaryHeap::new(), bounded })
    }

    /// The next records with their topics, in order; waits until there are some. `None` at the end.
    ///
    /// # Errors
    /// What the cluster says and cannot be tried again.
    pub async fn next(&mut self) -> Result<Option<Vec<(Arc<str>, RawRecord)>>> {
        let mut since: Option<Instant> = None;
        loop {
            let is_enough =
                |inputs: &Inputs| inputs.queues.iter().map(|queue| queue.bytes).sum::<usize>() > QUEUE_BYTES_MAX;
            for _ in 0..FETCHES_TOGETHER {
                if is_enough(self) || !self.poll(Duration::ZERO).await? {
                    break;
                }
            }
            let patience = self.patience();
            if self.heads.is_empty() {
                if self.bounded && patience.is_none() {
                    return Ok(None);
                }
                since = None;
                self.poll(POLL).await?;
                continue;
            }
            let Some(patience) = patience else { return Ok(Some(self.in_order())) };
            let waited = since.get_or_insert_with(Instant::now).elapsed();
            if waited >= patience {
                self.give_up();
                return Ok(Some(self.in_order()));
            }
            self.pause_full(true);
            self.poll((patience - waited).min(POLL)).await?;
            self.pause_full(false);
        }
    }

    /// How long those are to be waited for that have more but not here; `None` when there are none.
    fn patience(&self) -> Option<Duration> {
        let behind = self.queues.iter().filter(|queue| self.is_behind(queue));
        let patience = |queue: &Queue| match self.position(queue) < queue.first_end {
            true => PATIENCE_PAST,
            false => PATIENCE_NEW,
        };
        behind.map(patience).max()
    }

    /// What comes next of the partition.
    fn position(&self, queue: &Queue) -> i64 {
        self.consumer.position(&queue.tp).unwrap_or(queue.start)
    }

    fn is_behind(&self, queue: &Queue) -> bool {
        // Nothing of a bounded reading is given up: it would end too early.
        let given_up = queue.given_up && !self.bounded;
        queue.waiting.is_empty() && !given_up && self.position(queue) < queue.end
    }

    fn give_up(&mut self) {
        for place in 0..self.queues.len() {
            if self.is_behind(&self.queues[place]) {
                self.queues[place].given_up = true;
            }
        }
    }

    /// Stops and resumes the reading of partitions that have enough here.
    fn pause_full(&mut self, paused: bool) {
        for queue in self.queues.iter().filter(|queue| queue.bytes > QUEUE_BYTES_MAX) {
            self.consumer.set_paused(&queue.tp, paused);
        }
    }

    /// Takes records in, waiting at most so long for them; whether there were any.
    async fn poll(&mut self, wait: Duration) -> Result<bool> {
        match self.consumer.poll(wait).await? {
            Polled::Records(fetched) => self.take(&fetched).await.map(|()| true),
            Polled::Idle => Ok(false),
            Polled::Assigned(_) | Polled::Revoking(_) | Polled::Revoked(_) => Ok(true),
        }
    }

    async fn take(&mut self, fetched: &Fetched) -> Result<()> {
        let Some(place) = self.places.get(&fetched.tp).copied() else { return Ok(()) };
        let queue = &mut self.queues[place];
        let last = if self.bounded { queue.first_end } else { i64::MAX };
        let mut records: Vec<(i64, RawRecord)> =
            raw_records(fetched, last)?.into_iter().map(|record| (record.timestamp, record)).collect();
        if let Some(times) = queue.times.clone() {
            records = with_times(records, times).await?;
        }
        queue.given_up = false;
        if !self.bounded {
            queue.end = queue.end.max(fetched.high_watermark);
        }
        queue.bytes += records.iter().map(|(_, record)| size(record)).sum::<usize>();
        if let Some((time, _)) = records.first().filter(|_| queue.waiting.is_empty()) {
            self.heads.push(Reverse((*time, queue.rank, place)));
        }
        queue.waiting.extend(records);
        Ok(())
    }

    /// Takes records out until a queue is empty whose partition has more, or it is enough.
    fn in_order(&mut self) -> Vec<(Arc<str>, RawRecord)> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES {
            let Some(Reverse((_, rank, place))) = self.heads.pop() else { break };
            let queue = &mut self.queues[place];
            let Some((_, record)) = queue.waiting.pop_front() else { continue };
            let freed = size(&record);
            queue.bytes -= freed;
            bytes += freed;
            records.push((queue.topic.clone(), record));
            let next = queue.waiting.front().map(|(time, _)| *time);
            match next {
                Some(time) => self.heads.push(Reverse((time, rank, place))),
                None if self.is_behind(&self.queues[place]) => break,
                None => {}
            }
        }
        records
    }
}

impl Queue {
    fn new(tp: TopicPartition, input: &Input) -> Queue {
        Queue {
            topic: Arc::from(&*tp.topic),
            tp,
            times: input.times.clone(),
            rank: input.rank,
            waiting: VecDeque::new(),
            bytes: 0,
            start: if input.from_start { 0 } else { i64::MAX },
            first_end: 0,
            end: 0,
            given_up: false,
        }
    }
}

/// The records with the times that their columns tell.
async fn with_times(mut records: Vec<(i64, RawRecord)>, times: Arc<SourceReader>) -> Result<Vec<(i64, RawRecord)>> {
    // The registry may be asked, which blocks.
    let timed = tokio::task::spawn_blocking(move || {
        for (time, record) in &mut records {
            if let Ok(Some(change)) = times.read(record, &NoLog) {
                *time = change.timestamp;
            }
        }
        records
    });
    timed.await.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))
}

/// About what a record takes in memory.
fn size(record: &RawRecord) -> usize {
    let headers = record.headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len));
    let bytes = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    bytes(&record.key) + bytes(&record.value) + headers.sum::<usize>() + size_of::<RawRecord>()
}
