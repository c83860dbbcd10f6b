//! Batches of one partition on their way out: one open, some ready, some sent.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;

use milena_protocol::record::{BatchBuilder, BatchOptions, RECORD_BATCH_OVERHEAD};

use super::{Outgoing, ProducerConfig, deadline, lock};
use crate::error::{Error, Result};

/// A batch that takes no more records.
#[derive(Debug)]
pub(super) struct Batch {
    content: Content,
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
    Encoded(Bytes),
    Taken,
}

impl Batch {
    /// What its records took of `buffer.memory`: the sizes given to [`PartitionQueue::append`].
    pub fn records_size(&self) -> usize {
        self.size_estimate - RECORD_BATCH_OVERHEAD
    }

    /// The encoded batch; compressed on first use.
    pub fn encoded(&mut self) -> Result<Bytes> {
        let bytes = match std::mem::replace(&mut self.content, Content::Taken) {
            Content::Records(builder) => builder.build().map_err(|error| Error::Records(error.to_string()))?,
            Content::Encoded(bytes) => bytes,
            Content::Taken => return Err(Error::Records("the batch could not be encoded before".to_owned())),
        };
        self.content = Content::Encoded(bytes.clone());
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

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct PartitionQueue(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Option<Batch>,
    ready: VecDeque<Batch>,
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
            let opened = new_batch(config, std::mem::take(&mut inner.spare_tickets));
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

    /// The next batch to send, if one is ready at `now`; otherwise when to look again.
    pub fn take_ready(&self, now: Instant, linger: std::time::Duration) -> std::result::Result<Batch, Option<Instant>> {
        let mut inner = lock(&self.0);
        if let Some(not_before) = inner.not_before {
            if now < not_before {
                return Err(Some(not_before));
            }
            inner.not_before = None;
        }
        if let Some(batch) = inner.ready.pop_front() {
            return Ok(batch);
        }
        let Some(open) = inner.open.as_ref() else { return Err(None) };
        let leaves = deadline(open.opened, linger);
        if now < leaves {
            return Err(Some(leaves));
        }
        inner.open.take().ok_or(None)
    }

    /// Puts a refused batch back in front, to be sent again not before `not_before`.
    pub fn put_back(&self, batch: Batch, not_before: Instant) {
        let mut inner = lock(&self.0);
        // Several batches may come back in any order; the older one goes first.
        let at = inner.ready.iter().position(|other| other.opened > batch.opened).unwrap_or(inner.ready.len());
        inner.ready.insert(at, batch);
        inner.not_before = Some(not_before);
    }

    /// Whether anything waits here.
    pub fn is_empty(&self) -> bool {
        let inner = lock(&self.0);
        inner.open.is_none() && inner.ready.is_empty()
    }

    /// Keeps the memory of a finished batch's tickets.
    pub fn recycle(&self, batch: Batch) {
        let mut tickets = batch.tickets;
        tickets.clear();
        lock(&self.0).spare_tickets = tickets;
    }
}

fn new_batch(config: &ProducerConfig, tickets: Vec<u64>) -> Batch {
    let options =
        BatchOptions { compression: config.compression, level: config.compression_level, ..BatchOptions::default() };
    Batch {
        content: Content::Records(Box::new(BatchBuilder::new(options))),
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
    use std::time::Duration;

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
        while let Ok(batch) = queue.take_ready(Instant::now(), Duration::ZERO) {
            assert!(batch.size_estimate <= config.batch_size);
            returned += batch.records_size();
            tickets.extend_from_slice(&batch.tickets);
        }
        assert_eq!(returned, 10 * size);
        assert_eq!(tickets, (0..10).collect::<Vec<u64>>());
        assert!(queue.is_empty());
    }
}
