//! Sequences of an idempotent producer on one partition (KIP-98).
//!
//! Each batch carries the producer's id and epoch and the sequence of its first record. A broker takes
//! only the batch that follows the last one, and knows the last five again: a batch sent twice is written once.
//!
//! A batch that was given up leaves a gap, and brokers refuse what comes after it. The partition then
//! starts over with sequence 0 at the next epoch (KIP-360).

use super::queue::Batch;

/// Who a producer is to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// Id that the cluster gave.
    pub id: i64,
    /// Its epoch; a higher one fences the lower ones off.
    pub epoch: i16,
}

/// Identity and first sequence of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub identity: ProducerIdentity,
    pub base_sequence: i32,
}

impl Stamp {
    /// What a batch without idempotence carries.
    pub const NONE: Stamp = Stamp { identity: ProducerIdentity { id: -1, epoch: -1 }, base_sequence: -1 };
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchEnd {
    /// It is in the log.
    Delivered,
    /// The broker refused it: it is not in the log.
    Refused,
    /// It was given up without an answer.
    Unknown,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    /// The identity that the producer had when this started.
    adopted: Option<ProducerIdentity>,
    /// The epoch here, at or above that of `adopted`.
    epoch: i16,
    next: i32,
    /// A batch with a sequence was given up, later ones may be refused.
    pub gap: bool,
    /// There is no next epoch: the producer needs another id.
    pub exhausted: bool,
}

impl Sequences {
    /// Gives `batch` the next sequence, unless it has one.
    pub fn stamp(&mut self, batch: &mut Batch, identity: ProducerIdentity) {
        if self.adopted != Some(identity) {
            *self = Sequences { adopted: Some(identity), epoch: identity.epoch, ..Sequences::default() };
        }
        if batch.stamp().is_none() {
            let identity = ProducerIdentity { id: identity.id, epoch: self.epoch };
            batch.set_stamp(Stamp { identity, base_sequence: self.next });
            self.next = after(self.next, batch.tickets.len());
        }
    }

    /// Whether the batch was stamped before the partition last started over.
    pub fn started_over_since(&self, batch: &Batch) -> bool {
        batch.stamp().is_some_and(|stamp| {
            self.exhausted
                || stamp.identity.epoch != self.epoch
                || self.adopted.is_some_and(|adopted| adopted.id != stamp.identity.id)
        })
    }

    /// Goes on at sequence 0 of the next epoch.
    pub fn start_over(&mut self) {
        match self.epoch.checked_add(1) {
            Some(epoch) => self.epoch = epoch,
            None => self.exhausted = true,
        }
        self.next = 0;
        self.gap = false;
    }

    /// A batch will not be sent again. When it is known not to be in the log and nothing came after it,
    /// its sequences are free.
    pub fn given_up(&mut self, batch: &Batch, refused: bool) {
        let Some(stamp) = batch.stamp() else { return };
        if self.started_over_since(batch) {
            return;
        }
        let was_last = after(stamp.base_sequence, batch.tickets.len()) == self.next;
        if refused && was_last && batch.attempts <= 1 {
            self.next = stamp.base_sequence;
        } else {
            self.gap = true;
        }
    }
}

/// The sequence `count` records after `sequence`; 0 follows the largest.
fn after(sequence: i32, count: usize) -> i32 {
    let next = (i64::from(sequence) + i64::try_from(count).unwrap_or(0)) % (i64::from(i32::MAX) + 1);
    i32::try_from(next).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(after(0, 5), 5);
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 2, 5), 2);
    }
}
