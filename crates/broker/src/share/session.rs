//! Share sessions: a member names its partitions once, and afterwards only what changes.
//!
//! A session belongs to a member of a group, not to a number as a fetch session does.
//!
//! | epoch | meaning |
//! |---|---|
//! | 0 | opens a session, in place of an earlier one |
//! | k > 0 | the k-th request after that |
//! | -1 | closes it; what the member still has is released |

use std::collections::HashMap;
use std::sync::Arc;

use milena_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The epoch that opens a session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch that closes it.
pub const FINAL_EPOCH: i32 = -1;

/// A partition as a session names it.
pub type TopicPartition = (Uuid, i32);

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// `group.id`.
    pub group: Arc<str>,
    /// The member's id.
    pub member: Arc<str>,
}

struct Session {
    next_epoch: i32,
    partitions: Vec<TopicPartition>,
    /// Cancelled when the session ends, so that nobody watches its connection any longer.
    ended: CancellationToken,
    id: u64,
}

/// What a request means to its session.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// The session goes on with these partitions, the next to be served first.
    Open {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Set when the session is new.
        opened: Option<u64>,
    },
    /// The session is closed.
    Closed {
        /// The partitions it had.
        partitions: Vec<TopicPartition>,
    },
}

/// The share sessions of this broker.
pub struct ShareSessions {
    slots: usize,
    sessions: Mutex<(u64, HashMap<SessionKey, Session>)>,
}

impl ShareSessions {
    /// At most `slots` sessions (`group.share.max.share.sessions`).
    pub fn new(slots: usize) -> ShareSessions {
        ShareSessions { slots, sessions: Mutex::default() }
    }

    /// Takes a request into its session.
    ///
    /// # Errors
    /// SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED.
    pub fn turn(
        &self,
        key: &SessionKey,
        epoch: i32,
        added: impl Iterator<Item = TopicPartition>,
        forgotten: &[TopicPartition],
    ) -> Result<Turn, ErrorCode> {
        let mut guard = self.sessions.lock();
        let (last_id, sessions) = &mut *guard;
        match epoch {
            FINAL_EPOCH => {
                let session = sessions.remove(key).ok_or(ErrorCode::ShareSessionNotFound)?;
                session.ended.cancel();
                Ok(Turn::Closed { partitions: session.partitions })
            }
            INITIAL_EPOCH => {
                if let Some(earlier) = sessions.remove(key) {
                    earlier.ended.cancel();
                }
                if sessions.len() >= self.slots {
                    return Err(ErrorCode::ShareSessionLimitReached);
                }
                *last_id += 1;
                let mut session =
                    Session { next_epoch: 1, partitions: Vec::new(), ended: CancellationToken::new(), id: *last_id };
                session.add(added);
                let partitions = session.partitions.clone();
                sessions.insert(key.clone(), session);
                Ok(Turn::Open { partitions, opened: Some(*last_id) })
            }
            _ => {
                let session = sessions.get_mut(key).ok_or(ErrorCode::ShareSessionNotFound)?;
                if session.next_epoch != epoch {
                    return Err(ErrorCode::InvalidShareSessionEpoch);
                }
                session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
                session.partitions.retain(|partition| !forgotten.contains(partition));
                session.add(added);
                // Everybody's turn to be first comes.
                let mut partitions = session.partitions.clone();
                let by = usize::try_from(epoch).unwrap_or(0) % partitions.len().max(1);
                partitions.rotate_left(by);
                Ok(Turn::Open { partitions, opened: None })
            }
        }
    }

    /// The end of session `id`, if it is still the member's session.
    pub fn ended(&self, key: &SessionKey, id: u64) -> Option<CancellationToken> {
        let guard = self.sessions.lock();
        guard.1.get(key).filter(|session| session.id == id).map(|session| session.ended.clone())
    }

    /// Drops session `id`, if it is still the member's session.
    pub fn drop_session(&self, key: &SessionKey, id: u64) -> bool {
        let sessions = &mut self.sessions.lock().1;
        if sessions.get(key).is_some_and(|session| session.id == id) {
            return sessions.remove(key).is_some();
        }
        false
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.lock().1.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Session {
    fn add(&mut self, added: impl Iterator<Item = TopicPartition>) {
        for partition in added {
            if !self.partitions.contains(&partition) {
                self.partitions.push(partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(member: &str) -> SessionKey {
        SessionKey { group: "g".into(), member: member.into() }
    }

    const FIRST: TopicPartition = (Uuid([1; 16]), 0);
    const SECOND: TopicPartition = (Uuid([1; 16]), 1);

    #[test]
    fn a_session_remembers_its_partitions_until_it_is_closed() {
        let sessions = ShareSessions::new(10);
        let opened = sessions.turn(&key("m"), 0, [FIRST, SECOND].into_iter(), &[]).unwrap();
        assert_eq!(opened, Turn::Open { partitions: vec![FIRST, SECOND], opened: Some(1) });
        let next = sessions.turn(&key("m"), 1, [].into_iter(), &[]).unwrap();
        assert_eq!(next, Turn::Open { partitions: vec![SECOND, FIRST], opened: None });
        let fewer = sessions.turn(&key("m"), 2, [].into_iter(), &[FIRST]).unwrap();
        assert_eq!(fewer, Turn::Open { partitions: vec![SECOND], opened: None });
        let closed = sessions.turn(&key("m"), FINAL_EPOCH, [].into_iter(), &[]).unwrap();
        assert_eq!(closed, Turn::Closed { partitions: vec![SECOND] });
        assert!(sessions.is_empty());
    }

    #[test]
    fn wrong_epochs_unknown_sessions_and_too_many_sessions_are_refused() {
        let sessions = ShareSessions::new(1);
        let ask = |member: &str, epoch: i32| sessions.turn(&key(member), epoch, [].into_iter(), &[]);
        assert_eq!(ask("m", 1), Err(ErrorCode::ShareSessionNotFound));
        assert_eq!(ask("m", -1), Err(ErrorCode::ShareSessionNotFound));
        ask("m", 0).unwrap();
        assert_eq!(ask("m", 2), Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(ask("other", 0), Err(ErrorCode::ShareSessionLimitReached));
        ask("m", 0).unwrap();
        ask("m", 1).unwrap();
    }
}
