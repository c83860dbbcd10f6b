//! What a share group knows of its partitions' state: which were initialized, altered or deleted by an administrator.

use milena_protocol::{ErrorCode, Uuid};

use super::group::ShareGroup;
use crate::group::consumer::Refusal;
use crate::group::effects::Turn;

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareTopic {
    /// The topic's id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<i32>,
    /// Where their state is to begin; -1 for `share.auto.offset.reset`.
    pub start_offset: i64,
}

impl ShareGroup {
    /// The partitions with share state.
    pub fn share_topics(&self) -> Vec<ShareTopic> {
        self.initialized
            .iter()
            .map(|(id, topic)| ShareTopic {
                id: *id,
                name: topic.name.clone(),
                partitions: topic.partitions.iter().copied().collect(),
                start_offset: -1,
            })
            .collect()
    }

    /// Checks that nobody is in the group, as everything that an administrator changes demands.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP.
    pub fn check_empty(&self) -> Result<(), Refusal> {
        if self.members.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::NonEmptyGroup, format!("Group {} is not empty.", self.id)))
    }

    /// Starts a new epoch for state that an administrator sets; the epoch is the new state's.
    pub fn begin_alteration(&mut self, turn: &mut Turn<'_>) -> i32 {
        self.bump_epoch(turn);
        self.group_epoch
    }

    /// Takes over partitions whose state was set.
    pub fn finish_alteration(&mut self, topics: Vec<ShareTopic>, turn: &mut Turn<'_>) {
        self.note_initialized(topics, turn);
    }

    /// Forgets topics whose state was deleted.
    pub fn state_deleted(&mut self, names: &[String], turn: &mut Turn<'_>) {
        self.forget_topics(|_, topic| names.contains(&topic.name), turn);
    }
}
