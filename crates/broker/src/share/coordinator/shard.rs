//! The states of one partition of `__share_group_state`. Pure: what is to be written is answered, not written.
//!
//! Always true: the state in memory is what replaying the log up to its end gives.

use std::collections::HashMap;

use bytes::Bytes;
use milena_protocol::messages::{ShareSnapshotValue, ShareUpdateValue};
use milena_protocol::{EncodeError, ErrorCode};

use super::batches::{StateBatch, overlay};
use super::records::{self, StoredState};
use crate::share::key::SharePartitionKey;

/// What is kept of one share partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    pub(super) snapshot_epoch: i32,
    /// Grows when the group coordinator initializes the state anew; fences writers of an older one.
    pub state_epoch: i32,
    /// The epoch of the leader that wrote last; -1 when none has.
    pub leader_epoch: i32,
    /// The share partition's start offset; -1 when it is still to be found by `share.auto.offset.reset`.
    pub start_offset: i64,
    /// Records at or above the start offset that nobody needs any more; -1 when unknown.
    pub delivery_complete_count: i32,
    /// States of the records at or above the start offset that are not simply new.
    pub batches: Vec<StateBatch>,
    pub(super) created_ms: i64,
    pub(super) written_ms: i64,
    /// Updates since the last snapshot.
    updates: i32,
    /// Where the last snapshot is in the log.
    pub(super) snapshot_offset: i64,
}

/// A change that a share partition's leader asks for.
#[derive(Clone, Debug, Default)]
pub struct StateWrite {
    /// The state epoch the writer believes in.
    pub state_epoch: i32,
    /// The epoch in which the writer leads; -1 not to say.
    pub leader_epoch: i32,
    /// The new start offset; -1 to keep it.
    pub start_offset: i64,
    /// See [`ShareState::delivery_complete_count`].
    pub delivery_complete_count: i32,
    /// What changed.
    pub batches: Vec<StateBatch>,
}

/// A record to append and the state to take over once it is appended.
pub(super) struct Change {
    pub(super) key: Bytes,
    pub(super) value: Option<Bytes>,
    is_snapshot: bool,
    partition: SharePartitionKey,
    state: Option<ShareState>,
}

/// Why a request about share state is refused.
#[derive(Debug, thiserror::Error)]
pub enum StateRefusal {
    /// The writer or reader is outdated, or asks for what is not there.
    #[error("{0:?}")]
    Code(ErrorCode, &'static str),
    /// The group's name is too long for the format.
    #[error("share state cannot be encoded")]
    Encode(#[from] EncodeError),
}

/// All states of one partition of the topic.
#[derive(Default)]
pub(super) struct StateShard {
    states: HashMap<SharePartitionKey, ShareState>,
}

impl StateShard {
    pub(super) fn get(&self, key: &SharePartitionKey) -> Option<&ShareState> {
        self.states.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &SharePartitionKey> {
        self.states.keys()
    }

    /// The new state that the group coordinator asks for.
    pub(super) fn initialize(
        &self,
        key: &SharePartitionKey,
        state_epoch: i32,
        start_offset: i64,
        now_ms: i64,
    ) -> Result<Change, StateRefusal> {
        let known = self.states.get(key);
        if known.is_some_and(|known| known.state_epoch > state_epoch) {
            return Err(StateRefusal::Code(ErrorCode::FencedStateEpoch, "The share group state epoch is outdated."));
        }
        let state = ShareState {
            snapshot_epoch: known.map_or(0, |known| known.snapshot_epoch + 1),
            state_epoch,
            leader_epoch: -1,
            start_offset,
            delivery_complete_count: -1,
            batches: Vec::new(),
            created_ms: now_ms,
            written_ms: now_ms,
            updates: 0,
            snapshot_offset: 0,
        };
        snapshot(key, state)
    }

    /// Checks a reader and notes its leader epoch; nothing is to be written when that is known already.
    pub(super) fn read(
        &self,
        key: &SharePartitionKey,
        leader_epoch: i32,
    ) -> Result<(ShareState, Option<Change>), StateRefusal> {
        let known = self.states.get(key).ok_or(StateRefusal::Code(
            ErrorCode::InvalidRequest,
            "Read operation on uninitialized share partition not allowed.",
        ))?;
        check_leader(known, leader_epoch)?;
        if leader_epoch <= known.leader_epoch {
            return Ok((known.clone(), None));
        }
        let state = ShareState { leader_epoch, updates: known.updates + 1, ..known.clone() };
        let change = update(key, state.clone(), &[])?;
        Ok((state, Some(change)))
    }

    /// Takes a leader's change, as a snapshot when there have been `updates_max` updates since the last one.
    pub(super) fn write(
        &self,
        key: &SharePartitionKey,
        write: &StateWrite,
        updates_max: i32,
        now_ms: i64,
    ) -> Result<Change, StateRefusal> {
        let known = self.states.get(key).ok_or(StateRefusal::Code(
            ErrorCode::InvalidRequest,
            "Write operation on uninitialized share partition not allowed.",
        ))?;
        check_leader(known, write.leader_epoch)?;
        if write.state_epoch >= 0 && known.state_epoch > write.state_epoch {
            return Err(StateRefusal::Code(ErrorCode::FencedStateEpoch, "The share group state epoch is outdated."));
        }
        let start_offset = if write.start_offset >= 0 { write.start_offset } else { known.start_offset };
        let state = ShareState {
            leader_epoch: known.leader_epoch.max(write.leader_epoch),
            start_offset,
            delivery_complete_count: write.delivery_complete_count,
            batches: overlay(&known.batches, &write.batches, start_offset),
            ..known.clone()
        };
        if known.updates >= updates_max {
            return snapshot(key, next_snapshot(state, now_ms));
        }
        update(key, ShareState { updates: known.updates + 1, ..state }, &write.batches)
    }

    /// The same state once more, so that the log before it is not needed any longer.
    pub(super) fn snapshot_again(&self, key: &SharePartitionKey, now_ms: i64) -> Result<Option<Change>, StateRefusal> {
        let Some(known) = self.states.get(key) else { return Ok(None) };
        snapshot(key, next_snapshot(known.clone(), now_ms)).map(Some)
    }

    /// The tombstone of a share partition.
    pub(super) fn delete(&self, key: &SharePartitionKey) -> Result<Option<Change>, StateRefusal> {
        if !self.states.contains_key(key) {
            return Ok(None);
        }
        let encoded = records::snapshot_key(key)?;
        Ok(Some(Change { key: encoded, value: None, is_snapshot: true, partition: key.clone(), state: None }))
    }

    /// Takes over a change that is in the log at `offset`.
    pub(super) fn apply(&mut self, change: Change, offset: i64) {
        match change.state {
            None => {
                self.states.remove(&change.partition);
            }
            Some(mut state) => {
                if change.is_snapshot {
                    state.snapshot_offset = offset;
                }
                self.states.insert(change.partition, state);
            }
        }
    }

    /// Replays one record of the log. One that cannot be read is skipped.
    pub(super) fn load(&mut self, offset: i64, key: &Bytes, value: Option<&Bytes>) {
        match records::decode(key, value) {
            Ok(Some(StoredState::Deleted(key))) => {
                self.states.remove(&key);
            }
            Ok(Some(StoredState::Snapshot(key, value))) => {
                self.states.insert(key, loaded_snapshot(value, offset));
            }
            Ok(Some(StoredState::Update(key, value))) => {
                if let Some(state) = self.states.get_mut(&key) {
                    load_update(state, value);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, offset, "unreadable record in __share_group_state is skipped"),
        }
    }

    /// The first offset that is still needed; `None` when nothing is.
    pub(super) fn needed_from(&self) -> Option<i64> {
        self.states.values().map(|state| state.snapshot_offset).min()
    }

    /// Share partitions whose last snapshot lies more than `distance` records before `end_offset`.
    pub(super) fn left_behind(&self, end_offset: i64, distance: i64) -> Vec<SharePartitionKey> {
        let far = |state: &ShareState| end_offset - state.snapshot_offset > distance;
        self.states.iter().filter(|(_, state)| far(state)).map(|(key, _)| key.clone()).collect()
    }
}

fn check_leader(known: &ShareState, leader_epoch: i32) -> Result<(), StateRefusal> {
    if leader_epoch >= 0 && known.leader_epoch > leader_epoch {
        return Err(StateRefusal::Code(ErrorCode::FencedLeaderEpoch, ErrorCode::FencedLeaderEpoch.message()));
    }
    Ok(())
}

fn next_snapshot(state: ShareState, now_ms: i64) -> ShareState {
    ShareState { snapshot_epoch: state.snapshot_epoch + 1, updates: 0, written_ms: now_ms, ..state }
}

fn snapshot(key: &SharePartitionKey, state: ShareState) -> Result<Change, StateRefusal> {
    let (encoded, value) = records::snapshot(key, &state)?;
    let (value, state) = (Some(value), Some(state));
    Ok(Change { key: encoded, value, is_snapshot: true, partition: key.clone(), state })
}

fn update(key: &SharePartitionKey, state: ShareState, batches: &[StateBatch]) -> Result<Change, StateRefusal> {
    let (encoded, value) = records::update(key, &state, batches)?;
    let (value, state) = (Some(value), Some(state));
    Ok(Change { key: encoded, value, is_snapshot: false, partition: key.clone(), state })
}

fn loaded_snapshot(value: ShareSnapshotValue, offset: i64) -> ShareState {
    let batches = value.state_batches.into_iter().map(|batch| StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.delivery_state,
        delivery_count: batch.delivery_count,
    });
    ShareState {
        snapshot_epoch: value.snapshot_epoch,
        state_epoch: value.state_epoch,
        leader_epoch: value.leader_epoch,
        start_offset: value.start_offset,
        delivery_complete_count: value.delivery_complete_count,
        batches: batches.collect(),
        created_ms: value.create_timestamp,
        written_ms: value.write_timestamp,
        updates: 0,
        snapshot_offset: offset,
    }
}

fn load_update(state: &mut ShareState, value: ShareUpdateValue) {
    let batches: Vec<StateBatch> = value
        .state_batches
        .into_iter()
        .map(|batch| StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            delivery_state: batch.delivery_state,
            delivery_count: batch.delivery_count,
        })
        .collect();
    if value.start_offset >= 0 {
        state.start_offset = value.start_offset;
    }
    state.leader_epoch = state.leader_epoch.max(value.leader_epoch);
    state.delivery_complete_count = value.delivery_complete_count;
    state.batches = overlay(&state.batches, &batches, state.start_offset);
    state.updates += 1;
}

#[cfg(test)]
mod tests {
    use milena_protocol::Uuid;

    use super::*;

    fn key() -> SharePartitionKey {
        SharePartitionKey { group: "g".into(), topic_id: Uuid([3; 16]), partition: 1 }
    }

    fn acknowledged(first_offset: i64, last_offset: i64) -> StateWrite {
        let batch = StateBatch { first_offset, last_offset, delivery_state: 2, delivery_count: 1 };
        StateWrite {
            state_epoch: 2,
            leader_epoch: 0,
            start_offset: 0,
            delivery_complete_count: 1,
            batches: vec![batch],
        }
    }

    /// Applies a change and notes its record.
    fn store(shard: &mut StateShard, log: &mut Vec<(Bytes, Option<Bytes>)>, change: Change) {
        let offset = log.len() as i64;
        log.push((change.key.clone(), change.value.clone()));
        shard.apply(change, offset);
    }

    fn reloaded(log: &[(Bytes, Option<Bytes>)], from: usize) -> StateShard {
        let mut shard = StateShard::default();
        for (offset, (key, value)) in log.iter().enumerate().skip(from) {
            shard.load(offset as i64, key, value.as_ref());
        }
        shard
    }

    #[test]
    fn replaying_the_log_from_the_last_snapshot_gives_the_same_state() {
        let (mut shard, mut log) = (StateShard::default(), Vec::new());
        let change = shard.initialize(&key(), 2, -1, 5).unwrap();
        store(&mut shard, &mut log, change);
        for offset in 0..25 {
            let change = shard.write(&key(), &acknowledged(offset * 3, offset * 3 + 1), 10, 6).unwrap();
            store(&mut shard, &mut log, change);
        }
        let needed = usize::try_from(shard.needed_from().unwrap()).unwrap();
        assert!(needed > 10, "every eleventh write is a snapshot");
        assert_eq!(reloaded(&log, needed).get(&key()), shard.get(&key()));
        assert_eq!(reloaded(&log, 0).get(&key()), shard.get(&key()));
    }

    #[test]
    fn outdated_writers_are_fenced_and_unknown_partitions_refused() {
        let (mut shard, mut log) = (StateShard::default(), Vec::new());
        let refused = |result: Result<Change, StateRefusal>| match result {
            Err(StateRefusal::Code(code, _)) => code,
            other => panic!("{:?}", other.map(|_| ()).err()),
        };
        assert_eq!(refused(shard.write(&key(), &acknowledged(0, 1), 10, 6)), ErrorCode::InvalidRequest);
        let change = shard.initialize(&key(), 3, 0, 5).unwrap();
        store(&mut shard, &mut log, change);
        assert_eq!(refused(shard.write(&key(), &acknowledged(0, 1), 10, 6)), ErrorCode::FencedStateEpoch);
        assert_eq!(refused(shard.initialize(&key(), 2, 0, 5)), ErrorCode::FencedStateEpoch);
        let (_, change) = shard.read(&key(), 4).unwrap();
        store(&mut shard, &mut log, change.unwrap());
        let stale = StateWrite { state_epoch: 3, leader_epoch: 3, ..acknowledged(0, 1) };
        assert_eq!(refused(shard.write(&key(), &stale, 10, 6)), ErrorCode::FencedLeaderEpoch);
        assert_eq!(reloaded(&log, 0).get(&key()).map(|state| state.leader_epoch), Some(4));
    }

    #[test]
    fn deleted_state_is_gone_after_a_restart_and_holds_nothing_back() {
        let (mut shard, mut log) = (StateShard::default(), Vec::new());
        let change = shard.initialize(&key(), 2, 0, 5).unwrap();
        store(&mut shard, &mut log, change);
        let change = shard.delete(&key()).unwrap().unwrap();
        store(&mut shard, &mut log, change);
        assert!(reloaded(&log, 0).get(&key()).is_none());
        assert_eq!(shard.needed_from(), None);
        assert!(shard.delete(&key()).unwrap().is_none());
    }
}
