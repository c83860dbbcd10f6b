//! Batches of one partition on their way out: one open, some ready, some sent.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;

use milena_protocol::record::{BatchBuilder, BatchOptions, RECORD_BATCH_OVERHEAD, RecordError, with_producer};

use super::sequences::{BatchEnd, ProducerIdentity, Sequences, Stamp};
use super::{Outgoing, ProducerConfig, deadline, lock};
use crate::error::{Error, Result};

/// A batch that takes no more records.
#[derive(Debug)]
pub(super) struct Batch {
    content: Content,
    /// Its place among the batches of the partition, in the order of their opening.
    number: u64,
    /// Who sends it and under which sequence; `None` before it is first taken, and without idempotence.
    stamp: Option<Stamp>,
    /// Tickets of the records in order.
    pub tickets: Vec<u64>,
    /// An upper bound of the batch's bytes without compression, its header included.
    pub size_estimate: usize,
    /// When its first record was appended.
    pub opened: Instant,
    /// How often it was sent.
    pub attempts: u32,
}

#[derive(Debug)]
enum Content {
    Records(Box<BatchBuilder>),
    /// Bytes, and the stamp in them.
    Encoded(Bytes, Option<Stamp>),
    Taken,
}

impl Batch {
    /// What its records took of `buffer.memory`: the sizes given to [`PartitionQueue::append`].
    pub fn records_size(&self) -> usize {
        self.size_estimate - RECORD_BATCH_OVERHEAD
    }

    /// Its identity and sequence, if it has one.
    pub fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Gives it a sequence.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = Some(stamp);
    }

    /// The encoded batch; compressed on first use.
    pub fn encoded(&mut self) -> Result<Bytes> {
        let malformed = |error: RecordError| Error::Records(error.to_string());
        let bytes = match std::mem::replace(&mut self.content, Content::Taken) {
            Content::Records(mut builder) => {
                if let Some(stamp) = self.stamp {
                    builder.set_producer(stamp.identity.id, stamp.identity.epoch, stamp.base_sequence);
                }
                builder.build().map_err(malformed)?
            }
            Content::Encoded(bytes, of) if of == self.stamp => bytes,
            Content::Encoded(bytes, _) => {
                let stamp = self.stamp.unwrap_or(Stamp::NONE);
                with_producer(&bytes, stamp.identity.id, stamp.identity.epoch, stamp.base_sequence)
                    .map_err(malformed)?
            }
            Content::Taken => return Err(Error::Records("the batch could not be encoded before".to_owned())),
        };
        self.content = Content::Encoded(bytes.clone(), self.stamp);
        Ok(bytes)
    }
}

/// What an append did to the queue.
pub(super) struct Appended {
    /// A full batch was closed: keyless records move on to another partition.
    pub closed_batch: bool,
    /// There is something the sender did not know of.
    pub wake_sender: bool,
}

/// What an answer about sequences means for the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes again: an earlier batch has to be there first, or it has a new sequence.
    Again,
    /// The broker lost what came before it.
    Lost,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct PartitionQueue(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Option<Batch>,
    ready: VecDeque<Batch>,
    /// Numbers of the batches that were taken and neither put back nor finished.
    taken: Vec<u64>,
    opened_count: u64,
    sequences: Sequences,
    /// No batch leaves before this: set when one was refused.
    not_before: Option<Instant>,
    /// Tickets of a finished batch, to be used again.
    spare_tickets: Vec<u64>,
}

impl PartitionQueue {
    /// Adds a record to the open batch, closing it first when the record does not fit.
    pub fn append(&self, record: &Outgoing<'_>, size: usize, ticket: u64, config: &ProducerConfig) -> Appended {
        let mut inner = lock(&self.0);
        let mut appended = Appended { closed_batch: false, wake_sender: false };
        if inner.open.as_ref().is_some_and(|open| open.size_estimate + size > config.batch_size) {
            let full = inner.open.take();
            inner.ready.extend(full);
            appended = Appended { closed_batch: true, wake_sender: true };
        }
        if inner.open.is_none() {
            inner.opened_count += 1;
            let opened = new_batch(config, inner.opened_count, std::mem::take(&mut inner.spare_tickets));
            inner.open = Some(opened);
            // The sender has to know when the batch will have lingered.
            appended.wake_sender = true;
        }
        if let Some(open) = inner.open.as_mut()
            && let Content::Records(builder) = &mut open.content
        {
            builder.append(record.timestamp, record.key, record.value, record.headers);
            open.tickets.push(ticket);
            open.size_estimate += size;
        }
        appended
    }

    /// The next batch to send, if one is ready at `now`; otherwise when to look again. With an
    /// `identity` the batch gets its sequence, once.
    pub fn take_ready(
        &self,
        now: Instant,
        linger: Duration,
        identity: Option<ProducerIdentity>,
    ) -> std::result::Result<Batch, Option<Instant>> {
        let mut inner = lock(&self.0);
        if let Some(not_before) = inner.not_before {
            if now < not_before {
                return Err(Some(not_before));
            }
            inner.not_before = None;
        }
        // A batch that goes again goes alone: what comes after it could only be refused.
        let goes_again = inner.ready.front().is_some_and(|front| front.attempts > 0);
        if identity.is_some() && goes_again && !inner.taken.is_empty() {
            return Err(None);
        }
        let mut batch = match inner.ready.pop_front() {
            Some(batch) => batch,
            None => {
                let Some(open) = inner.open.as_ref() else { return Err(None) };
                let leaves = deadline(open.opened, linger);
                if now < leaves {
                    return Err(Some(leaves));
                }
                inner.open.take().ok_or(None)?
            }
        };
        if let Some(identity) = identity {
            inner.sequences.stamp(&mut batch, identity);
        }
        inner.taken.push(batch.number);
        Ok(batch)
    }

    /// Puts a refused batch back in its place, to be sent again not before `not_before`.
    pub fn put_back(&self, mut batch: Batch, not_before: Instant) {
        let mut inner = lock(&self.0);
        inner.taken.retain(|number| *number != batch.number);
        if inner.sequences.started_over_since(&batch) {
            batch.stamp = None;
        }
        let at = inner.ready.iter().position(|other| other.number > batch.number).unwrap_or(inner.ready.len());
        inner.ready.insert(at, batch);
        inner.not_before = Some(not_before);
    }

    /// Judges a refusal of the batch's sequence. Only the earliest batch that is not yet settled can tell
    /// whether something before it is missing for good; when that is so because a batch was given up,
    /// the partition starts over at the next epoch, under which nothing was written yet.
    pub fn judge_sequence(&self, batch: &Batch, may_start_over: bool) -> Verdict {
        let mut inner = lock(&self.0);
        let earlier = |number: u64| number < batch.number;
        if inner.taken.iter().any(|number| earlier(*number)) || inner.ready.iter().any(|other| earlier(other.number)) {
            return Verdict::Again;
        }
        if inner.sequences.started_over_since(batch) {
            return Verdict::Again;
        }
        if !may_start_over || !inner.sequences.gap {
            return Verdict::Lost;
        }
        inner.sequences.start_over();
        inner.ready.iter_mut().for_each(|other| other.stamp = None);
        Verdict::Again
    }

    /// A taken batch is settled: delivered, or given up with or without knowing that it is not in the log.
    pub fn settled(&self, batch: &Batch, end: BatchEnd) {
        let mut inner = lock(&self.0);
        inner.taken.retain(|number| *number != batch.number);
        if end != BatchEnd::Delivered {
            inner.sequences.given_up(batch, end == BatchEnd::Refused);
        }
    }

    /// Takes all batches that are not under way.
    pub fn drain(&self) -> Vec<Batch> {
        let mut inner = lock(&self.0);
        let open = inner.open.take();
        let mut batches: Vec<Batch> = inner.ready.drain(..).chain(open).collect();
        for batch in &mut batches {
            inner.sequences.given_up(batch, batch.attempts == 0);
        }
        batches
    }

    /// Whether anything waits here.
    pub fn is_empty(&self) -> bool {
        let inner = lock(&self.0);
        inner.open.is_none() && inner.ready.is_empty()
    }

    /// Whether a batch with a sequence was given up, so that brokers may refuse the next ones.
    pub fn has_gap(&self) -> bool {
        lock(&self.0).sequences.gap
    }

    /// Whether the epochs of the producer id are used up here.
    pub fn needs_new_identity(&self) -> bool {
        lock(&self.0).sequences.exhausted
    }

    /// Keeps the memory of a finished batch's tickets.
    pub fn recycle(&self, batch: Batch) {
        let mut tickets = batch.tickets;
        tickets.clear();
        lock(&self.0).spare_tickets = tickets;
    }
}

fn new_batch(config: &ProducerConfig, number: u64, tickets: Vec<u64>) -> Batch {
    let options = BatchOptions {
        compression: config.compression,
        level: config.compression_level,
        transactional: config.transactional_id.is_some(),
        ..BatchOptions::default()
    };
    Batch {
        content: Content::Records(Box::new(BatchBuilder::with_target_size(options, config.batch_size))),
        number,
        stamp: None,
        tickets,
        size_estimate: RECORD_BATCH_OVERHEAD,
        opened: Instant::now(),
        attempts: 0,
    }
}

/// An upper bound of a record's bytes in a batch.
pub(super) fn size_estimate(record: &Outgoing<'_>) -> usize {
    const FIXED: usize = 21;
    let headers: usize =
        record.headers.iter().map(|header| 10 + header.key.len() + header.value.as_ref().map_or(0, Bytes::len)).sum();
    FIXED + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_batch_gives_back_exactly_the_memory_its_records_took() {
        let queue = PartitionQueue::default();
        let config = ProducerConfig { batch_size: 500, ..ProducerConfig::default() };
        let record = Outgoing { value: Some(&[7; 100]), ..Outgoing::default() };
        let size = size_estimate(&record);
        (0..10).for_each(|ticket| {
            queue.append(&record, size, ticket, &config);
        });
        let (mut returned, mut tickets) = (0, Vec::new());
        while let Ok(batch) = queue.take_ready(Instant::now(), Duration::ZERO, None) {
            assert!(batch.size_estimate <= config.batch_size);
            returned += batch.records_size();
            tickets.extend_from_slice(&batch.tickets);
        }
        assert_eq!(returned, 10 * size);
        assert_eq!(tickets, (0..10).collect::<Vec<u64>>());
        assert!(queue.is_empty());
    }

    const WHO: ProducerIdentity = ProducerIdentity { id: 7, epoch: 0 };

    /// A queue with batches of one record each, and how to take the next of them.
    struct Sequenced(PartitionQueue);

    impl Sequenced {
        fn with(batches: u64) -> Sequenced {
            let queue = PartitionQueue::default();
            let config = ProducerConfig { batch_size: 1, ..ProducerConfig::default() };
            let record = Outgoing { value: Some(b"v"), ..Outgoing::default() };
            for ticket in 0..batches {
                queue.append(&record, size_estimate(&record), ticket, &config);
            }
            Sequenced(queue)
        }

        fn take(&self) -> Option<Batch> {
            let mut batch = self.0.take_ready(Instant::now(), Duration::ZERO, Some(WHO)).ok()?;
            batch.attempts += 1;
            Some(batch)
        }

        fn put_back(&self, batch: Batch) {
            self.0.put_back(batch, Instant::now());
        }
    }

    fn epoch_and_sequence(batch: &Batch) -> (i16, i32) {
        let stamp = batch.stamp.unwrap();
        (stamp.identity.epoch, stamp.base_sequence)
    }

    #[test]
    fn batches_go_again_in_order_alone_and_with_the_sequence_they_had() {
        let queue = Sequenced::with(3);
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        assert_eq!((epoch_and_sequence(&first), epoch_and_sequence(&second)), ((0, 0), (0, 1)));
        assert_eq!(queue.0.judge_sequence(&second, true), Verdict::Again, "the first is still under way");
        queue.put_back(second);
        assert!(queue.take().is_none(), "the second waits for the first");
        queue.put_back(first);
        let first = queue.take().unwrap();
        assert_eq!(epoch_and_sequence(&first), (0, 0));
        assert!(queue.take().is_none());
        queue.0.settled(&first, BatchEnd::Delivered);
        let second = queue.take().unwrap();
        assert_eq!(epoch_and_sequence(&second), (0, 1));
    }

    #[test]
    fn a_gap_left_by_a_batch_given_up_is_closed_by_the_next_epoch() {
        let queue = Sequenced::with(3);
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        queue.0.settled(&first, BatchEnd::Unknown);
        assert_eq!(queue.0.judge_sequence(&second, true), Verdict::Again);
        queue.put_back(second);
        let mut second = queue.take().unwrap();
        assert_eq!(epoch_and_sequence(&second), (1, 0));
        let encoded = second.encoded().unwrap();
        let batch = milena_protocol::record::BatchView::parse(&encoded).unwrap();
        assert!(batch.verify_crc());
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (7, 1, 0));
        queue.0.settled(&second, BatchEnd::Delivered);
        assert_eq!(epoch_and_sequence(&queue.take().unwrap()), (1, 1));
    }

    #[test]
    fn a_refused_batch_leaves_its_sequence_to_the_next() {
        let queue = Sequenced::with(2);
        let first = queue.take().unwrap();
        queue.0.settled(&first, BatchEnd::Refused);
        assert_eq!(epoch_and_sequence(&queue.take().unwrap()), (0, 0));
    }

    #[test]
    fn a_broker_that_lost_acknowledged_batches_is_not_served_twice() {
        let queue = Sequenced::with(2);
        let first = queue.take().unwrap();
        queue.0.settled(&first, BatchEnd::Delivered);
        let second = queue.take().unwrap();
        assert_eq!(queue.0.judge_sequence(&second, true), Verdict::Lost);
    }
}
