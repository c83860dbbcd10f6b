//! The sessions of all clients, bounded by `max.incremental.fetch.session.cache.slots`.

use std::collections::HashMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::FetchRequest;
use milena_protocol::messages::fetch_response::Partition as PartitionResponse;
use parking_lot::Mutex;

use super::session::{PartitionFetch, PartitionKey, Session, TopicKey};

/// A session not used for this long gives way to a new one, whatever its size.
const STALE_AFTER_MS: i64 = 120_000;
/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// The epoch of a full fetch that asks for a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a full fetch that wants none.
const FINAL_EPOCH: i32 = -1;

/// The fetch sessions of this broker.
pub struct FetchSessionCache {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

/// What one request fetches, and how its answer is to be cut down.
pub(crate) struct FetchPlan {
    /// The partitions in the order they are to be read.
    pub(crate) partitions: Vec<PartitionFetch>,
    session: SessionUse,
}

enum SessionUse {
    None,
    Create { uses_topic_ids: bool },
    Incremental(Arc<Mutex<Session>>),
}

impl FetchSessionCache {
    /// A cache of at most `slots` sessions.
    pub fn new(slots: usize) -> FetchSessionCache {
        FetchSessionCache { slots, sessions: Mutex::default() }
    }

    /// Finds out what `request` asks for.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR, each for the whole response.
    pub(crate) fn plan(&self, request: &FetchRequest, version: i16, now_ms: i64) -> Result<FetchPlan, ErrorCode> {
        let named = named_partitions(request, version);
        match request.session_epoch {
            FINAL_EPOCH => {
                self.close(request.session_id);
                Ok(FetchPlan { partitions: named, session: SessionUse::None })
            }
            INITIAL_EPOCH => {
                self.close(request.session_id);
                let session = SessionUse::Create { uses_topic_ids: version >= TOPIC_IDS_SINCE };
                Ok(FetchPlan { partitions: named, session })
            }
            _ => self.incremental(request, version, named, now_ms),
        }
    }

    fn incremental(
        &self,
        request: &FetchRequest,
        version: i16,
        named: Vec<PartitionFetch>,
        now_ms: i64,
    ) -> Result<FetchPlan, ErrorCode> {
        let shared = self.sessions.lock().get(&request.session_id).cloned();
        let shared = shared.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let partitions = {
            let mut session = shared.lock();
            if session.next_epoch != request.session_epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            if session.uses_topic_ids != (version >= TOPIC_IDS_SINCE) {
                return Err(ErrorCode::FetchSessionTopicIdError);
            }
            forgotten_partitions(request, version).for_each(|key| session.forget(&key));
            named.into_iter().for_each(|fetch| session.upsert(fetch));
            session.advance_epoch(now_ms);
            session.partitions()
        };
        Ok(FetchPlan { partitions, session: SessionUse::Incremental(shared) })
    }

    /// Cuts `answers` down to what the client does not know yet and returns the session id for the response.
    pub(crate) fn finish(
        &self,
        plan: FetchPlan,
        answers: &mut Vec<(PartitionKey, PartitionResponse)>,
        now_ms: i64,
    ) -> i32 {
        match plan.session {
            SessionUse::None => 0,
            SessionUse::Create { .. } if plan.partitions.is_empty() => 0,
            SessionUse::Create { uses_topic_ids } => {
                let Some(shared) = self.create(uses_topic_ids, plan.partitions, now_ms) else { return 0 };
                let mut session = shared.lock();
                for (key, response) in answers.iter() {
                    session.note(key, response);
                }
                session.id
            }
            SessionUse::Incremental(shared) => {
                let mut session = shared.lock();
                answers.retain(|(key, response)| session.note(key, response));
                session.id
            }
        }
    }

    /// The session id of a response without data to a client that is throttled. No session is created for it.
    pub(crate) fn throttled(&self, plan: &FetchPlan) -> i32 {
        match &plan.session {
            SessionUse::None | SessionUse::Create { .. } => 0,
            SessionUse::Incremental(shared) => shared.lock().id,
        }
    }

    /// How many sessions there are, and how many partitions they have together.
    pub(crate) fn size(&self) -> (usize, usize) {
        let sessions = self.sessions.lock();
        (sessions.len(), sessions.values().map(|session| session.lock().len()).sum())
    }

    fn create(
        &self,
        uses_topic_ids: bool,
        partitions: Vec<PartitionFetch>,
        now_ms: i64,
    ) -> Option<Arc<Mutex<Session>>> {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.slots && !evict(&mut sessions, partitions.len(), now_ms) {
            return None;
        }
        let id = std::iter::repeat_with(|| rand::random_range(1..i32::MAX)).find(|id| !sessions.contains_key(id))?;
        let session = Arc::new(Mutex::new(Session::new(id, uses_topic_ids, now_ms, partitions)));
        sessions.insert(id, session.clone());
        Some(session)
    }

    fn close(&self, session_id: i32) {
        if session_id != 0 {
            self.sessions.lock().remove(&session_id);
        }
    }
}

/// Makes room for a session of `size` partitions: the longest unused stale session goes, else the smallest if it is
/// smaller than the newcomer.
fn evict(sessions: &mut HashMap<i32, Arc<Mutex<Session>>>, size: usize, now_ms: i64) -> bool {
    let facts = sessions.values().map(|shared| {
        let session = shared.lock();
        (session.id, session.last_used_ms, session.len())
    });
    let facts: Vec<(i32, i64, usize)> = facts.collect();
    let stale = facts.iter().filter(|(_, used, _)| now_ms - used > STALE_AFTER_MS).min_by_key(|(_, used, _)| *used);
    let smaller = || facts.iter().filter(|(_, _, len)| *len < size).min_by_key(|(_, _, len)| *len);
    let victim = stale.or_else(smaller).map(|(id, _, _)| *id);
    victim.is_some_and(|id| sessions.remove(&id).is_some())
}

fn named_partitions(request: &FetchRequest, version: i16) -> Vec<PartitionFetch> {
    let mut named = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in &request.topics {
        let key = topic_key(&topic.topic, topic.topic_id, version);
        named.extend(topic.partitions.iter().map(|partition| PartitionFetch {
            key: PartitionKey { topic: key.clone(), index: partition.partition },
            fetch_offset: partition.fetch_offset,
            max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        }));
    }
    named
}

fn forgotten_partitions(request: &FetchRequest, version: i16) -> impl Iterator<Item = PartitionKey> + '_ {
    request.forgotten_topics_data.iter().flat_map(move |topic| {
        let key = topic_key(&topic.topic, topic.topic_id, version);
        topic.partitions.iter().map(move |index| PartitionKey { topic: key.clone(), index: *index })
    })
}

fn topic_key(name: &str, id: milena_protocol::Uuid, version: i16) -> TopicKey {
    if version >= TOPIC_IDS_SINCE { TopicKey::Id(id) } else { TopicKey::Name(Arc::from(name)) }
}

#[cfg(test)]
mod tests {
    use milena_protocol::messages::fetch_request::{Partition, Topic};

    use super::*;

    fn full_fetch(partitions: i32) -> FetchRequest {
        let partitions = (0..partitions).map(|partition| Partition { partition, ..Default::default() }).collect();
        let topic = Topic { topic: "t".to_owned(), partitions, ..Default::default() };
        FetchRequest { session_epoch: INITIAL_EPOCH, topics: vec![topic], ..Default::default() }
    }

    fn open_session(cache: &FetchSessionCache, partitions: i32, now_ms: i64) -> i32 {
        let plan = cache.plan(&full_fetch(partitions), 12, now_ms).expect("a full fetch");
        cache.finish(plan, &mut Vec::new(), now_ms)
    }

    fn next(session_id: i32, session_epoch: i32) -> FetchRequest {
        FetchRequest { session_id, session_epoch, ..Default::default() }
    }

    #[test]
    fn a_full_cache_gives_up_stale_sessions_first_then_smaller_ones() {
        let cache = FetchSessionCache::new(2);
        let (small, large) = (open_session(&cache, 1, 0), open_session(&cache, 5, 0));
        assert_eq!(open_session(&cache, 1, 10), 0, "no session is stale or smaller than the newcomer");
        let medium = open_session(&cache, 3, 20);
        assert_ne!(medium, 0);
        assert_eq!(cache.plan(&next(small, 1), 12, 30).err(), Some(ErrorCode::FetchSessionIdNotFound));
        assert!(cache.plan(&next(large, 1), 12, 30).is_ok());
        assert_ne!(open_session(&cache, 1, STALE_AFTER_MS + 25), 0, "the medium session is stale by now");
        assert!(cache.plan(&next(large, 2), 12, 40).is_ok(), "the large one was used meanwhile");
    }

    #[test]
    fn session_epochs_wrap_to_one() {
        let mut session = Session::new(1, false, 0, Vec::new());
        session.next_epoch = i32::MAX;
        session.advance_epoch(0);
        assert_eq!(session.next_epoch, 1);
    }

    #[test]
    fn switching_to_topic_ids_within_a_session_is_an_error() {
        let cache = FetchSessionCache::new(2);
        let id = open_session(&cache, 1, 0);
        assert_eq!(cache.plan(&next(id, 1), 13, 0).err(), Some(ErrorCode::FetchSessionTopicIdError));
    }

    #[test]
    fn a_partition_in_error_is_sent_again_once_it_is_cured() {
        let cache = FetchSessionCache::new(2);
        let id = open_session(&cache, 1, 0);
        let key = PartitionKey { topic: TopicKey::Name(Arc::from("t")), index: 0 };
        let answer = |error_code: i16, high_watermark: i64| PartitionResponse {
            error_code,
            high_watermark,
            log_start_offset: 0,
            ..Default::default()
        };
        for (epoch, response, sent) in [
            (1, answer(0, 7), true),
            (2, answer(0, 7), false),
            (3, answer(56, -1), true),
            (4, answer(56, -1), true),
            (5, answer(0, 7), true),
            (6, answer(0, 7), false),
        ] {
            let plan = cache.plan(&next(id, epoch), 12, 0).expect("the next epoch");
            let mut answers = vec![(key.clone(), response)];
            cache.finish(plan, &mut answers, 0);
            assert_eq!(!answers.is_empty(), sent, "epoch {epoch}");
        }
    }
}
