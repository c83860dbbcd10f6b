//! Groups and committed offsets over the wire: every version of every group API, and restarts.

mod support;

use bytes::Bytes;
use milena_protocol::Uuid;
use milena_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest, DeleteGroupsRequest,
    DeleteTopicsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    SyncGroupRequest, create_partitions_request, join_group_request, leave_group_request, offset_commit_request,
    offset_delete_request, offset_fetch_request, sync_group_request,
};
use support::{PATIENCE, RawClient, TestBroker};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER_ID: i16 = 25;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;
const UNKNOWN_TOPIC_ID: i16 = 100;
const INVALID_REGULAR_EXPRESSION: i16 = 128;

/// A broker that has `__consumer_offsets`, and a connection to it.
async fn broker() -> (TestBroker, RawClient) {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    find_coordinator(&mut client).await;
    (broker, client)
}

/// As every client begins; the first time, it creates the offsets topic.
async fn find_coordinator(client: &mut RawClient) {
    let request = FindCoordinatorRequest { coordinator_keys: vec!["any".to_owned()], ..Default::default() };
    tokio::time::timeout(PATIENCE, async {
        while client.send(4, &request).await.coordinators[0].error_code != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a coordinator");
}

fn join(group_id: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group_id.to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![join_group_request::Protocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"),
        }],
        ..Default::default()
    }
}

/// A member in a stable group of its own: its id. The generation is 1.
async fn stable_member(client: &mut RawClient, group_id: &str, version: i16) -> String {
    let mut joined = client.send(version, &join(group_id, "")).await;
    if joined.error_code == MEMBER_ID_REQUIRED {
        assert!(version >= 4);
        joined = client.send(version, &join(group_id, &joined.member_id)).await;
    }
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.members.len(), 1);
    let sync = SyncGroupRequest {
        group_id: group_id.to_owned(),
        generation_id: 1,
        member_id: joined.member_id.clone(),
        assignments: vec![sync_group_request::Assignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"mine"),
        }],
        ..Default::default()
    };
    let synced = client.send(version.min(5), &sync).await;
    assert_eq!((synced.error_code, synced.assignment), (0, Bytes::from_static(b"mine")));
    joined.member_id
}

fn commit(group_id: &str, topic: &str, topic_id: Uuid, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group_id.to_owned(),
        topics: vec![offset_commit_request::Topic {
            name: topic.to_owned(),
            topic_id,
            partitions: vec![offset_commit_request::Partition {
                partition_index: 0,
                committed_offset: offset,
                committed_leader_epoch: 0,
                committed_metadata: Some("note".to_owned()),
                ..Default::default()
            }],
        }],
        ..Default::default()
    }
}

/// Error and offset of partition 0, fetched in any version.
async fn fetch_offset(client: &mut RawClient, version: i16, group_id: &str, topic: &str, topic_id: Uuid) -> (i16, i64) {
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        request.group_id = group_id.to_owned();
        request.topics = Some(vec![offset_fetch_request::Topic { name: topic.to_owned(), partition_indexes: vec![0] }]);
        let response = client.send(version, &request).await;
        if response.error_code != 0 {
            return (response.error_code, -1);
        }
        let partition = &response.topics[0].partitions[0];
        return (partition.error_code, partition.committed_offset);
    }
    let topic = offset_fetch_request::GroupTopic { name: topic.to_owned(), topic_id, partition_indexes: vec![0] };
    request.groups = vec![offset_fetch_request::Group {
        group_id: group_id.to_owned(),
        topics: Some(vec![topic]),
        ..Default::default()
    }];
    let response = client.send(version, &request).await;
    assert_eq!(response.groups[0].error_code, 0);
    let partition = &response.groups[0].topics[0].partitions[0];
    (partition.error_code, partition.committed_offset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classic_member_lives_through_every_version_of_its_apis() {
    let (_broker, mut client) = broker().await;
    for version in 0..=9 {
        let group_id = format!("group-{version}");
        let member_id = stable_member(&mut client, &group_id, version).await;
        let heartbeat = HeartbeatRequest {
            group_id: group_id.clone(),
            generation_id: 1,
            member_id: member_id.clone(),
            ..Default::default()
        };
        assert_eq!(client.send(version.min(4), &heartbeat).await.error_code, 0);
        let wrong = HeartbeatRequest { generation_id: 9, ..heartbeat };
        assert_eq!(client.send(version.min(4), &wrong).await.error_code, ILLEGAL_GENERATION);

        let mut leave = LeaveGroupRequest { group_id, ..Default::default() };
        if version < 3 {
            leave.member_id = member_id;
            assert_eq!(client.send(version, &leave).await.error_code, 0);
            assert_eq!(client.send(version, &leave).await.error_code, UNKNOWN_MEMBER_ID);
        } else {
            leave.members = vec![leave_group_request::Member { member_id, ..Default::default() }];
            let left = client.send(version.min(5), &leave).await;
            assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
            let again = client.send(version.min(5), &leave).await;
            assert_eq!((again.error_code, again.members[0].error_code), (0, UNKNOWN_MEMBER_ID));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_committed_and_fetched_in_every_version() {
    let (broker, mut client) = broker().await;
    let topic_id = broker.create_topic("orders", 1).await;
    for version in 0..=10 {
        let group_id = format!("group-{version}");
        assert_eq!(fetch_offset(&mut client, version, &group_id, "orders", topic_id).await, (0, -1));
        let mut request = commit(&group_id, "orders", topic_id, 40 + i64::from(version));
        request.topics.push(offset_commit_request::Topic {
            name: "missing".to_owned(),
            topic_id: Uuid([9; 16]),
            ..request.topics[0].clone()
        });
        let response = client.send(version, &request).await;
        let codes: Vec<i16> = response.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
        assert_eq!(codes, [0, if version < 10 { UNKNOWN_TOPIC_OR_PARTITION } else { UNKNOWN_TOPIC_ID }]);
        let fetched = fetch_offset(&mut client, version, &group_id, "orders", topic_id).await;
        assert_eq!(fetched, (0, 40 + i64::from(version)), "version {version}");
    }
    let unknown = fetch_offset(&mut client, 10, "group-10", "", Uuid([9; 16])).await;
    assert_eq!(unknown, (UNKNOWN_TOPIC_ID, -1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_offsets_of_many_groups_are_fetched_at_once() {
    let (broker, mut client) = broker().await;
    let topic_id = broker.create_topic("orders", 1).await;
    for (group_id, offset) in [("a", 1), ("b", 2)] {
        client.send(8, &commit(group_id, "orders", topic_id, offset)).await;
    }
    let group = |group_id: &str| offset_fetch_request::Group { group_id: group_id.to_owned(), ..Default::default() };
    let groups = ["a", "b", "none"].map(|id| offset_fetch_request::Group { topics: None, ..group(id) });
    let request = OffsetFetchRequest { groups: groups.to_vec(), ..Default::default() };
    let response = client.send(9, &request).await;
    let offsets: Vec<Option<i64>> = response
        .groups
        .iter()
        .map(|group| group.topics.first().map(|topic| topic.partitions[0].committed_offset))
        .collect();
    assert_eq!(offsets, [Some(1), Some(2), None]);
    let by_id = client.send(10, &request).await;
    assert_eq!(by_id.groups[0].topics[0].topic_id, topic_id);
    let single = OffsetFetchRequest { group_id: "a".to_owned(), topics: None, ..Default::default() };
    assert_eq!(client.send(7, &single).await.topics[0].partitions[0].metadata.as_deref(), Some("note"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_offsets_survive_a_restart() {
    let (mut broker, mut client) = broker().await;
    let topic_id = broker.create_topic("orders", 1).await;
    let member_id = stable_member(&mut client, "g", 5).await;
    let mut request = commit("g", "orders", topic_id, 7);
    request.member_id.clone_from(&member_id);
    request.generation_id_or_member_epoch = 1;
    assert_eq!(client.send(8, &request).await.topics[0].partitions[0].error_code, 0);
    broker.restart().await;

    let mut client = broker.connect().await;
    assert_eq!(fetch_offset(&mut client, 8, "g", "orders", topic_id).await, (0, 7));
    let heartbeat = HeartbeatRequest { group_id: "g".to_owned(), generation_id: 1, member_id, ..Default::default() };
    assert_eq!(client.send(4, &heartbeat).await.error_code, 0, "the member does not notice");
    let described = describe(&mut client, 5, "g").await;
    assert_eq!(described.group_state, "Stable");
    assert_eq!(described.members[0].member_assignment, Bytes::from_static(b"mine"));
}

async fn describe(
    client: &mut RawClient,
    version: i16,
    group_id: &str,
) -> milena_protocol::messages::describe_groups_response::Group {
    let request = DescribeGroupsRequest { groups: vec![group_id.to_owned()], include_authorized_operations: true };
    client.send(version, &request).await.groups.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_listed_described_and_deleted_in_every_version() {
    let (_broker, mut client) = broker().await;
    let member_id = stable_member(&mut client, "g", 5).await;
    for version in 0..=6 {
        let group = describe(&mut client, version, "g").await;
        assert_eq!(
            (group.error_code, group.group_state.as_str(), group.protocol_data.as_str()),
            (0, "Stable", "range")
        );
        assert_eq!(group.members[0].member_id, member_id);
        assert_eq!(
            (group.members[0].client_id.as_str(), group.members[0].client_host.as_str()),
            ("test", "/127.0.0.1")
        );
        let unknown = describe(&mut client, version, "none").await;
        assert_eq!(unknown.error_code, if version < 6 { 0 } else { GROUP_ID_NOT_FOUND });
        assert_eq!(unknown.group_state, "Dead");
    }
    for version in 0..=5 {
        let listed = client.send(version, &ListGroupsRequest::default()).await.groups;
        assert_eq!((listed.len(), listed[0].group_id.as_str(), listed[0].protocol_type.as_str()), (1, "g", "consumer"));
        assert_eq!(listed[0].group_state, if version >= 4 { "Stable" } else { "" });
        assert_eq!(listed[0].group_type, if version >= 5 { "classic" } else { "" });
    }
    let filtered = |state: &str, group_type: &str| ListGroupsRequest {
        states_filter: vec![state.to_owned()],
        types_filter: vec![group_type.to_owned()],
    };
    assert_eq!(client.send(5, &filtered("stable", "Classic")).await.groups.len(), 1);
    assert_eq!(client.send(5, &filtered("Empty", "classic")).await.groups.len(), 0);
    assert_eq!(client.send(5, &filtered("Stable", "consumer")).await.groups.len(), 0);

    let delete = DeleteGroupsRequest { groups_names: vec!["g".to_owned(), "none".to_owned()] };
    for version in 0..=3 {
        let codes: Vec<i16> = client.send(version, &delete).await.results.iter().map(|r| r.error_code).collect();
        assert_eq!(codes, [NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND]);
    }
    let leave = LeaveGroupRequest { group_id: "g".to_owned(), member_id, ..Default::default() };
    assert_eq!(client.send(1, &leave).await.error_code, 0);
    assert_eq!(client.send(2, &delete).await.results[0].error_code, 0);
    assert!(client.send(5, &ListGroupsRequest::default()).await.groups.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_deleted_by_request_and_with_their_topic() {
    let (broker, mut client) = broker().await;
    let orders = broker.create_topic("orders", 1).await;
    let refunds = broker.create_topic("refunds", 1).await;
    client.send(8, &commit("g", "orders", orders, 1)).await;
    client.send(8, &commit("g", "refunds", refunds, 2)).await;
    let partition = |index| offset_delete_request::Partition { partition_index: index };
    let request = OffsetDeleteRequest {
        group_id: "g".to_owned(),
        topics: vec![offset_delete_request::Topic {
            name: "orders".to_owned(),
            partitions: vec![partition(0), partition(5)],
        }],
    };
    let response = client.send(0, &request).await;
    let codes: Vec<i16> = response.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!((response.error_code, codes), (0, vec![0, UNKNOWN_TOPIC_OR_PARTITION]));
    assert_eq!(fetch_offset(&mut client, 7, "g", "orders", orders).await.1, -1);
    assert_eq!(fetch_offset(&mut client, 7, "g", "refunds", refunds).await.1, 2);

    let delete =
        DeleteTopicsRequest { topic_names: vec!["refunds".to_owned()], timeout_ms: 5_000, ..Default::default() };
    assert_eq!(client.send(5, &delete).await.responses[0].error_code, 0);
    tokio::time::timeout(PATIENCE, async {
        while fetch_offset(&mut client, 7, "g", "refunds", refunds).await.1 != -1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the offsets go with their topic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_join_does_not_hold_up_other_connections() {
    let broker = TestBroker::start_with(&[("group.initial.rebalance.delay.ms", "600000")]).await;
    let mut parked = broker.connect().await;
    find_coordinator(&mut parked).await;
    parked.send_only(3, &join("g", "")).await;
    let mut other = broker.connect().await;
    tokio::time::timeout(PATIENCE, async {
        while describe(&mut other, 5, "g").await.group_state != "PreparingRebalance" {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the join is parked");
    let described = describe(&mut other, 5, "g").await;
    assert_eq!(described.members.len(), 1);
}

fn consumer_heartbeat(member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "modern".to_owned(),
        member_id: "member-1".to_owned(),
        member_epoch,
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["orders".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_group_assigns_new_partitions_and_survives_a_restart() {
    let (mut broker, mut client) = broker().await;
    let topic_id = broker.create_topic("orders", 2).await;
    let joined = client.send(1, &consumer_heartbeat(0)).await;
    assert_eq!((joined.error_code, joined.member_epoch), (0, 1), "{:?}", joined.error_message);
    let assigned = &joined.assignment.expect("an assignment").topic_partitions[0];
    assert_eq!((assigned.topic_id, assigned.partitions.as_slice()), (topic_id, [0, 1].as_slice()));

    let grow = create_partitions_request::Topic { name: "orders".to_owned(), count: 3, ..Default::default() };
    let grow = CreatePartitionsRequest { topics: vec![grow], timeout_ms: 5_000, ..Default::default() };
    assert_eq!(client.send(3, &grow).await.results[0].error_code, 0);
    let mut epoch = 1;
    tokio::time::timeout(PATIENCE, async {
        loop {
            let quiet = ConsumerGroupHeartbeatRequest {
                rebalance_timeout_ms: -1,
                subscribed_topic_names: None,
                topic_partitions: None,
                ..consumer_heartbeat(epoch)
            };
            let response = client.send(1, &quiet).await;
            assert_eq!(response.error_code, 0);
            epoch = response.member_epoch;
            if let Some(assignment) = response.assignment {
                assert_eq!(assignment.topic_partitions[0].partitions, [0, 1, 2]);
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the new partition");

    let mut request = commit("modern", "orders", topic_id, 5);
    request.member_id = "member-1".to_owned();
    request.generation_id_or_member_epoch = epoch;
    assert_eq!(client.send(10, &request).await.topics[0].partitions[0].error_code, 0);
    broker.restart().await;
    let mut client = broker.connect().await;
    assert_eq!(fetch_offset(&mut client, 10, "modern", "orders", topic_id).await, (0, 5));
    for version in 0..=1 {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec!["modern".to_owned(), "none".to_owned()],
            include_authorized_operations: true,
        };
        let groups = client.send(version, &request).await.groups;
        assert_eq!((groups[0].group_state.as_str(), groups[0].assignor_name.as_str()), ("Stable", "uniform"));
        assert_eq!(groups[0].members[0].assignment.topic_partitions[0].topic_name, "orders");
        assert_eq!(groups[0].members[0].member_epoch, epoch);
        assert_eq!(groups[1].error_code, GROUP_ID_NOT_FOUND);
        assert_eq!(groups[1].error_message.as_deref(), Some("Group none not found."));
    }
    assert_eq!(describe(&mut client, 6, "modern").await.error_code, GROUP_ID_NOT_FOUND);
    let listed = client.send(5, &ListGroupsRequest::default()).await.groups;
    assert_eq!((listed[0].group_type.as_str(), listed[0].group_state.as_str()), ("consumer", "Stable"));
    assert_eq!(client.send(1, &consumer_heartbeat(-1)).await.member_epoch, -1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_heartbeat_says_what_is_wrong_with_it() {
    let (_broker, mut client) = broker().await;
    let request =
        ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("(".to_owned()), ..consumer_heartbeat(0) };
    let response = client.send(1, &request).await;
    assert_eq!(response.error_code, INVALID_REGULAR_EXPRESSION);
    assert!(response.error_message.expect("a message").contains("is not a valid regular expression"));
    let generated =
        client.send(0, &ConsumerGroupHeartbeatRequest { member_id: String::new(), ..consumer_heartbeat(0) }).await;
    assert_eq!(generated.error_code, 0);
    assert!(!generated.member_id.expect("a member id").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_do_not_make_the_start_slow() {
    const PARTITIONS: i32 = 500;
    const COMMITS: i64 = 300;
    let mut broker = TestBroker::start_with(&[("milena.acks.all.fsync", "false")]).await;
    let topic_id = broker.create_topic("orders", PARTITIONS).await;
    let mut client = broker.connect().await;
    find_coordinator(&mut client).await;
    for offset in 0..COMMITS {
        let mut request = commit("busy", "orders", topic_id, offset);
        let partition = request.topics[0].partitions[0].clone();
        let each = |partition_index| offset_commit_request::Partition { partition_index, ..partition.clone() };
        request.topics[0].partitions = (0..PARTITIONS).map(each).collect();
        let response = client.send(9, &request).await;
        assert!(response.topics[0].partitions.iter().all(|partition| partition.error_code == 0));
    }
    let began = std::time::Instant::now();
    broker.restart().await;
    let mut client = broker.connect().await;
    find_coordinator(&mut client).await;
    let read = loop {
        let (code, offset) = fetch_offset(&mut client, 7, "busy", "orders", topic_id).await;
        if code == 0 && offset >= 0 {
            break offset;
        }
        assert!(began.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    };
    assert_eq!(read, COMMITS - 1);
    // 150,000 of them; the build is not optimized. A million take a second or two of an optimized one.
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
}
