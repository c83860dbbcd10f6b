//! The coordinator over a log in memory: durability, failure, reload. Real time, but nothing waits for it to pass.

use std::sync::atomic::Ordering;
use std::time::Duration;

use milena_stdx::SystemClock;
use tokio::time::timeout;

use super::*;
use crate::group::shard_offsets::PartitionCommit;
use crate::group::testing::{Logged, MapTopics, MemoryLog, client, held_open, join_request, sync_request};

const DEADLINE: Duration = Duration::from_secs(20);

fn coordinator(log: &Arc<MemoryLog>) -> Arc<GroupCoordinator> {
    let config = GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() };
    let topics = Arc::new(MapTopics::default());
    Arc::new(GroupCoordinator::new(config, log.clone(), topics, Arc::new(SystemClock)))
}

fn commit(group_id: &str, offset: i64) -> CommitRequest {
    CommitRequest {
        group_id: group_id.to_owned(),
        generation_id_or_member_epoch: -1,
        version: 8,
        offsets: vec![PartitionCommit { topic: "t".to_owned(), offset, ..PartitionCommit::default() }],
        ..CommitRequest::default()
    }
}

async fn committed(coordinator: &GroupCoordinator, group_id: &str) -> Result<Option<i64>, ErrorCode> {
    let request = FetchRequest { group_id: group_id.to_owned(), ..FetchRequest::default() };
    let fetched = coordinator.fetch_offsets(request).await?;
    let Some((_, partitions)) = fetched.first() else { return Ok(None) };
    Ok(partitions[0].1.clone()?.map(|offset| offset.offset))
}

/// Repeats a request that is refused with a retriable code, as clients do.
async fn retried<T, F: Future<Output = Result<T, ErrorCode>>>(mut request: impl FnMut() -> F) -> T {
    timeout(DEADLINE, async {
        loop {
            match request().await {
                Ok(answer) => return answer,
                Err(code) => assert!(code.is_retriable(), "{code:?} ends the client's patience"),
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("no success in time")
}

#[tokio::test]
async fn groups_are_found_by_the_hash_of_their_name() {
    let coordinator = coordinator(&Arc::default());
    assert_eq!(coordinator.partition_for(""), Some(0));
    assert_eq!(coordinator.partition_for("g"), Some(103 % 4));
    // A string whose Java hash is i32::MIN, which has no absolute value.
    assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
    assert_eq!(coordinator.partition_for("polygenelubricants"), Some(0));
}

#[tokio::test]
async fn two_members_form_a_group_and_a_third_generation_follows_the_leave() {
    let coordinator = coordinator(&Arc::default());
    let first = coordinator.join(join_request(""), client(), 3).await.unwrap();
    let second = tokio::spawn({
        let coordinator = coordinator.clone();
        async move { coordinator.join(join_request(""), client(), 3).await.unwrap() }
    });
    let heartbeat = || HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: 1,
        member_id: first.member_id.clone(),
        ..HeartbeatRequest::default()
    };
    timeout(DEADLINE, async {
        while coordinator.heartbeat(heartbeat()).await != Err(ErrorCode::RebalanceInProgress) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let first = coordinator.join(join_request(&first.member_id), client(), 3).await.unwrap();
    let second = second.await.unwrap();
    assert_eq!((first.generation_id, second.generation_id), (2, 2));

    let follower = coordinator.sync(sync_request(&second.member_id, 2, &[]));
    let leader = sync_request(&first.member_id, 2, &[(&first.member_id, b"1"), (&second.member_id, b"2")]);
    let (follower, leader) =
        timeout(DEADLINE, async { tokio::join!(follower, coordinator.sync(leader)) }).await.unwrap();
    assert_eq!((leader.unwrap().assignment, follower.unwrap().assignment), ("1".into(), "2".into()));
    let groups = coordinator.list().await.unwrap();
    assert_eq!((groups.len(), groups[0].state), (1, "Stable"));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_for_the_next_coordinator() {
    let log: Arc<MemoryLog> = Arc::default();
    let before = coordinator(&log);
    for number in 0..20 {
        before.commit_offsets(commit(&format!("group-{number}"), number)).await.unwrap();
    }
    drop(before);
    let after = coordinator(&log);
    after.start();
    for number in 0..20 {
        assert_eq!(committed(&after, &format!("group-{number}")).await, Ok(Some(number)));
    }
    assert_eq!(after.list().await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_commit_that_cannot_be_written_is_refused_and_forgotten() {
    let log: Arc<MemoryLog> = Arc::default();
    let coordinator = coordinator(&log);
    coordinator.commit_offsets(commit("g", 1)).await.unwrap();
    log.appends_fail.store(true, Ordering::SeqCst);
    let code = coordinator.commit_offsets(commit("g", 2)).await.unwrap_err();
    assert_eq!(code, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(retried(|| committed(&coordinator, "g")).await, Some(1), "memory does not run ahead of the log");
    log.appends_fail.store(false, Ordering::SeqCst);
    retried(|| coordinator.commit_offsets(commit("g", 3))).await;
    assert_eq!(committed(&coordinator, "g").await, Ok(Some(3)));
}

#[tokio::test]
async fn a_join_that_is_parked_when_a_write_fails_is_sent_away() {
    let log: Arc<MemoryLog> = Arc::default();
    let coordinator = coordinator(&log);
    let first = coordinator.join(join_request(""), client(), 3).await.unwrap();
    let parked = tokio::spawn({
        let coordinator = coordinator.clone();
        async move { coordinator.join(join_request(""), client(), 3).await }
    });
    let described = || async {
        let group = coordinator.describe_classic("g".to_owned()).await?.unwrap();
        if group.members.len() == 2 { Ok(()) } else { Err(ErrorCode::RequestTimedOut) }
    };
    retried(described).await;
    log.appends_fail.store(true, Ordering::SeqCst);
    let leave = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![milena_protocol::messages::leave_group_request::Member {
            member_id: first.member_id,
            ..Default::default()
        }],
        ..LeaveGroupRequest::default()
    };
    coordinator.leave(leave).await.unwrap();
    let joined = timeout(DEADLINE, parked).await.unwrap().unwrap().unwrap();
    let sync = sync_request(&joined.member_id, joined.generation_id, &[]);
    assert_eq!(coordinator.sync(sync).await.unwrap_err(), ErrorCode::CoordinatorNotAvailable);
    let heartbeat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..HeartbeatRequest::default()
    };
    let answer = retried(|| async {
        match coordinator.heartbeat(heartbeat.clone()).await {
            Err(ErrorCode::UnknownMemberId) => Ok(()),
            other => other,
        }
    });
    answer.await;
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_is_tried_again_until_it_can() {
    let log: Arc<MemoryLog> = Arc::default();
    log.loads_fail.store(true, Ordering::SeqCst);
    let coordinator = coordinator(&log);
    assert_eq!(coordinator.commit_offsets(commit("g", 1)).await, Err(ErrorCode::CoordinatorLoadInProgress));
    log.loads_fail.store(false, Ordering::SeqCst);
    retried(|| coordinator.commit_offsets(commit("g", 2))).await;
    assert_eq!(committed(&coordinator, "g").await, Ok(Some(2)));
}

#[tokio::test]
async fn a_change_that_does_not_fit_the_log_is_undone() {
    let log: Arc<MemoryLog> = Arc::default();
    let coordinator = coordinator(&log);
    coordinator.commit_offsets(commit("g", 1)).await.unwrap();
    let mut large = commit("g", 2);
    large.offsets = (0..5_000)
        .map(|partition| PartitionCommit { topic: "t".to_owned(), partition, ..PartitionCommit::default() })
        .collect();
    assert_eq!(coordinator.commit_offsets(large).await, Err(ErrorCode::UnknownServerError));
    let mut endless = join_request("");
    endless.group_id = "g".repeat(40_000);
    let joined = coordinator.join(endless.clone(), client(), 3).await.unwrap();
    let sync = SyncGroupRequest { group_id: endless.group_id, ..sync_request(&joined.member_id, 1, &[]) };
    assert_eq!(coordinator.sync(sync).await.unwrap_err(), ErrorCode::UnknownServerError);
    assert_eq!(retried(|| committed(&coordinator, "g")).await, Some(1));
}

#[tokio::test]
async fn many_commits_at_once_all_arrive() {
    let log: Arc<MemoryLog> = Arc::default();
    let coordinator = coordinator(&log);
    let commits: Vec<_> = (0..500)
        .map(|number| {
            let coordinator = coordinator.clone();
            tokio::spawn(async move { coordinator.commit_offsets(commit(&format!("group-{number}"), number)).await })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    let coordinator = self::coordinator(&log);
    for number in 0..500 {
        assert_eq!(committed(&coordinator, &format!("group-{number}")).await, Ok(Some(number)));
    }
    coordinator.topics_deleted(&[("t".to_owned(), Uuid::default())]).await;
    assert_eq!(committed(&coordinator, "group-7").await, Ok(None));
}

#[tokio::test]
async fn transactions_of_several_producers_are_kept_apart_and_survive_a_restart() {
    let log: Arc<MemoryLog> = Arc::default();
    let coordinator = coordinator(&log);
    let partition = coordinator.partition_for("g").unwrap();
    let producer = |producer_id| TransactionalProducer { producer_id, producer_epoch: 1 };
    log.producer_epoch.store(1, Ordering::SeqCst);
    coordinator.commit_transactional_offsets(commit("g", 5), producer(1), held_open()).await.unwrap();
    let zombie = TransactionalProducer { producer_epoch: 0, ..producer(2) };
    let refused = coordinator.commit_transactional_offsets(commit("g", 6), zombie, held_open()).await;
    assert_eq!(refused, Err(ErrorCode::InvalidProducerEpoch));
    coordinator.commit_transactional_offsets(commit("g", 7), producer(2), held_open()).await.unwrap();
    assert_eq!(committed(&coordinator, "g").await, Ok(None));

    log.records.lock().entry(partition).or_default().push(Logged::Marker(1, true));
    coordinator.complete_transaction(partition, 1, true).await;
    assert_eq!(committed(&coordinator, "g").await, Ok(Some(5)));
    log.records.lock().entry(partition).or_default().push(Logged::Marker(2, true));
    let restarted = self::coordinator(&log);
    restarted.complete_transaction(partition, 2, true).await;
    assert_eq!(committed(&restarted, "g").await, Ok(Some(7)));
}

#[tokio::test]
async fn offsets_whose_transaction_has_ended_meanwhile_are_not_written() {
    let log: Arc<MemoryLog> = Arc::default();
    let coordinator = coordinator(&log);
    let producer = TransactionalProducer { producer_id: 1, producer_epoch: 0 };
    let ended = Box::new(|_: &mut dyn FnMut()| Err::<(), _>(ErrorCode::TransactionAbortable));
    let refused = coordinator.commit_transactional_offsets(commit("g", 5), producer, ended).await;
    assert_eq!(refused, Err(ErrorCode::TransactionAbortable));
    assert!(log.records.lock().values().all(Vec::is_empty), "nothing is left pending in the log");
    let fetched = coordinator.commit_transactional_offsets(commit("g", 6), producer, held_open()).await;
    assert_eq!(fetched, Ok(vec![ErrorCode::None]), "the shard goes on");
}
