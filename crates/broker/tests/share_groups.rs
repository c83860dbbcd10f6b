//! Share groups over the wire: who gets which record, what sessions refuse, and what a restart keeps.

mod support;

use std::time::Duration;

use milena_protocol::Uuid;
use milena_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest, DeleteTopicsRequest,
    DescribeShareGroupOffsetsRequest, FindCoordinatorRequest, ListGroupsRequest, ReadShareGroupStateRequest,
    ReadShareGroupStateSummaryRequest, ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupDescribeRequest,
    ShareGroupHeartbeatRequest, WriteShareGroupStateRequest, alter_share_group_offsets_request,
    delete_share_group_offsets_request, delete_topics_request, describe_share_group_offsets_request,
    read_share_group_state_request, read_share_group_state_summary_request, share_acknowledge_request,
    share_fetch_request, share_fetch_response, write_share_group_state_request,
};
use support::{PATIENCE, RawClient, TestBroker, batch};

const INVALID_REQUEST: i16 = 42;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const INVALID_RECORD_STATE: i16 = 121;
const SHARE_SESSION_NOT_FOUND: i16 = 122;
const INVALID_SHARE_SESSION_EPOCH: i16 = 123;
const FENCED_STATE_EPOCH: i16 = 124;

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;

/// A broker with a topic of five records in one batch, which group `g` reads from its beginning.
async fn five_records() -> (TestBroker, RawClient, Uuid) {
    let broker = TestBroker::start_with(&[
        ("offsets.topic.num.partitions", "2"),
        ("share.coordinator.state.topic.num.partitions", "2"),
    ])
    .await;
    let topic = broker.create_topic("t", 1).await;
    let mut client = broker.connect().await;
    client.produce("t", batch(&["0", "1", "2", "3", "4"])).await;
    alter(&mut client, 0).await;
    assert_eq!(heartbeat(&mut client, "m", 0).await, (0, vec![0]));
    (broker, client, topic)
}

async fn alter(client: &mut RawClient, start_offset: i64) -> i16 {
    let partition = alter_share_group_offsets_request::Partition { partition_index: 0, start_offset };
    let topic = alter_share_group_offsets_request::Topic { topic_name: "t".to_owned(), partitions: vec![partition] };
    let request = AlterShareGroupOffsetsRequest { group_id: "g".to_owned(), topics: vec![topic] };
    let response = client.send(0, &request).await;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    response.error_code.max(partitions.map(|partition| partition.error_code).max().unwrap_or(0))
}

/// The error and the assigned partitions.
async fn heartbeat(client: &mut RawClient, member: &str, epoch: i32) -> (i16, Vec<i32>) {
    let request = ShareGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        subscribed_topic_names: (epoch == 0).then(|| vec!["t".to_owned()]),
        ..Default::default()
    };
    let response = client.send(1, &request).await;
    let assigned = response.assignment.map(|assignment| assignment.topic_partitions).unwrap_or_default();
    (response.error_code, assigned.into_iter().flat_map(|topic| topic.partitions).collect())
}

fn fetch(topic: Uuid, member: &str, epoch: i32, max_records: i32) -> ShareFetchRequest {
    let partition = share_fetch_request::Partition::default();
    ShareFetchRequest {
        group_id: Some("g".to_owned()),
        member_id: Some(member.to_owned()),
        share_session_epoch: epoch,
        max_wait_ms: 200,
        min_bytes: 1,
        max_bytes: 1 << 20,
        max_records,
        batch_size: max_records,
        share_acquire_mode: 1,
        topics: vec![share_fetch_request::Topic { topic_id: topic, partitions: vec![partition] }],
        ..Default::default()
    }
}

/// What was acquired: first offset, last offset, delivery count.
async fn acquire(client: &mut RawClient, request: &ShareFetchRequest) -> Vec<(i64, i64, i16)> {
    let response = client.send(2, request).await;
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    let partitions: Vec<share_fetch_response::Partition> =
        response.responses.into_iter().flat_map(|topic| topic.partitions).collect();
    assert!(partitions.iter().all(|partition| partition.error_code == 0), "{partitions:?}");
    let acquired = partitions.iter().flat_map(|partition| &partition.acquired_records);
    acquired.map(|range| (range.first_offset, range.last_offset, range.delivery_count)).collect()
}

/// The code of the request, or else that of the partition.
async fn acknowledge(client: &mut RawClient, topic: Uuid, member: &str, epoch: i32, acks: &[(i64, i64, i8)]) -> i16 {
    let acknowledgement_batches = acks
        .iter()
        .map(|(first_offset, last_offset, ack)| share_acknowledge_request::AcknowledgementBatch {
            first_offset: *first_offset,
            last_offset: *last_offset,
            acknowledge_types: vec![*ack],
        })
        .collect();
    let partition = share_acknowledge_request::Partition { partition_index: 0, acknowledgement_batches };
    let request = ShareAcknowledgeRequest {
        group_id: Some("g".to_owned()),
        member_id: Some(member.to_owned()),
        share_session_epoch: epoch,
        topics: vec![share_acknowledge_request::Topic { topic_id: topic, partitions: vec![partition] }],
        ..Default::default()
    };
    let response = client.send(2, &request).await;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    response.error_code.max(partitions.map(|partition| partition.error_code).max().unwrap_or(0))
}

/// Start offset and lag.
async fn position(client: &mut RawClient) -> (i64, i64) {
    let group = describe_share_group_offsets_request::Group { group_id: "g".to_owned(), topics: None };
    let response = client.send(1, &DescribeShareGroupOffsetsRequest { groups: vec![group] }).await;
    let partition = &response.groups[0].topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    (partition.start_offset, partition.lag)
}

#[tokio::test]
async fn members_share_a_partition_and_restarts_keep_what_was_acknowledged() {
    let (mut broker, mut client, topic) = five_records().await;
    let mut other = broker.connect().await;
    assert_eq!(acquire(&mut client, &fetch(topic, "m", 0, 3)).await, [(0, 2, 1)]);
    assert_eq!(acquire(&mut other, &fetch(topic, "n", 0, 3)).await, [(3, 4, 1)]);
    assert_eq!(acknowledge(&mut client, topic, "m", 1, &[(3, 3, ACCEPT)]).await, INVALID_RECORD_STATE);
    assert_eq!(acknowledge(&mut client, topic, "m", 2, &[(0, 0, ACCEPT), (1, 1, RELEASE)]).await, 0);
    assert_eq!(acknowledge(&mut other, topic, "n", 1, &[(4, 4, ACCEPT)]).await, 0);
    assert_eq!(position(&mut client).await, (1, 3));

    broker.restart().await;
    let mut client = broker.connect().await;
    assert_eq!(position(&mut client).await, (1, 3));
    let acquired = acquire(&mut client, &fetch(topic, "m", 0, 10)).await;
    assert_eq!(acquired[0].0, 1);
    let count: i64 = acquired.iter().map(|(first_offset, last_offset, _)| last_offset - first_offset + 1).sum();
    assert_eq!((count, acquired.last().map(|range| range.1)), (3, Some(3)), "4 was accepted, 1 to 3 were not");
    assert_eq!(acknowledge(&mut client, topic, "m", 1, &[(1, 3, ACCEPT)]).await, 0);
    assert_eq!(position(&mut client).await, (5, 0));
}

#[tokio::test]
async fn a_member_that_is_gone_gives_back_what_it_had() {
    let (broker, mut client, topic) = five_records().await;
    assert_eq!(acquire(&mut client, &fetch(topic, "m", 0, 10)).await, [(0, 4, 1)]);
    let mut other = broker.connect().await;
    let waiting = ShareFetchRequest { max_wait_ms: 20_000, ..fetch(topic, "n", 0, 10) };
    other.send_only(2, &waiting).await;
    drop(client);
    let (_, response) = other.receive::<ShareFetchRequest>(2).await;
    let acquired = &response.responses[0].partitions[0].acquired_records;
    assert_eq!((acquired[0].first_offset, acquired[0].last_offset, acquired[0].delivery_count), (0, 4, 2));
}

#[tokio::test]
async fn a_waiting_fetch_is_answered_by_the_next_record() {
    let (broker, mut client, topic) = five_records().await;
    acquire(&mut client, &fetch(topic, "m", 0, 10)).await;
    let waiting = ShareFetchRequest { max_wait_ms: 20_000, ..fetch(topic, "m", 1, 10) };
    client.send_only(2, &waiting).await;
    let mut producer = broker.connect().await;
    producer.produce("t", batch(&["5"])).await;
    let (_, response) = client.receive::<ShareFetchRequest>(2).await;
    let acquired = &response.responses[0].partitions[0].acquired_records;
    assert_eq!((acquired[0].first_offset, acquired[0].last_offset), (5, 5));
}

#[tokio::test]
async fn sessions_refuse_what_does_not_belong_to_them() {
    let (_broker, mut client, topic) = five_records().await;
    let code = |response: milena_protocol::messages::ShareFetchResponse| response.error_code;
    assert_eq!(code(client.send(2, &fetch(topic, "m", 1, 1)).await), SHARE_SESSION_NOT_FOUND);
    assert_eq!(acknowledge(&mut client, topic, "m", -1, &[]).await, SHARE_SESSION_NOT_FOUND);
    acquire(&mut client, &fetch(topic, "m", 0, 1)).await;
    assert_eq!(code(client.send(2, &fetch(topic, "m", 5, 1)).await), INVALID_SHARE_SESSION_EPOCH);
    assert_eq!(acknowledge(&mut client, topic, "m", 0, &[(0, 0, ACCEPT)]).await, INVALID_SHARE_SESSION_EPOCH);
    assert_eq!(acknowledge(&mut client, topic, "m", 1, &[(0, 0, 9)]).await, INVALID_REQUEST);
    assert_eq!(acknowledge(&mut client, topic, "m", -1, &[(0, 0, ACCEPT)]).await, 0);
    let nobody = ShareFetchRequest { member_id: None, ..fetch(topic, "m", 0, 1) };
    assert_eq!(code(client.send(2, &nobody).await), INVALID_REQUEST);
}

#[tokio::test]
async fn administrators_see_and_change_share_groups() {
    let (_broker, mut client, _topic) = five_records().await;
    assert_eq!(alter(&mut client, 2).await, NON_EMPTY_GROUP);
    let describe =
        ShareGroupDescribeRequest { group_ids: vec!["g".to_owned(), "none".to_owned()], ..Default::default() };
    let described = client.send(1, &describe).await.groups;
    assert_eq!((described[0].group_state.as_str(), described[0].members.len()), ("Stable", 1));
    assert_eq!(described[1].error_code, GROUP_ID_NOT_FOUND);
    let listed = client
        .send(5, &ListGroupsRequest { types_filter: vec!["Share".to_owned()], ..Default::default() })
        .await
        .groups;
    assert_eq!((listed[0].group_id.as_str(), listed[0].group_type.as_str()), ("g", "share"));
    let delete = DeleteGroupsRequest { groups_names: vec!["g".to_owned()] };
    assert_eq!(client.send(2, &delete).await.results[0].error_code, NON_EMPTY_GROUP);

    assert_eq!(heartbeat(&mut client, "m", -1).await.0, 0);
    assert_eq!(alter(&mut client, 2).await, 0);
    assert_eq!(position(&mut client).await, (2, 3));
    let topic = delete_share_group_offsets_request::Topic { topic_name: "t".to_owned() };
    let forget = DeleteShareGroupOffsetsRequest { group_id: "g".to_owned(), topics: vec![topic] };
    assert_eq!(client.send(0, &forget).await.responses[0].error_code, 0);
    assert_eq!(client.send(2, &delete).await.results[0].error_code, 0);
    assert_eq!(client.send(2, &delete).await.results[0].error_code, GROUP_ID_NOT_FOUND);
}

#[tokio::test]
async fn the_share_coordinator_is_found_and_fences_old_state() {
    let (_broker, mut client, topic) = five_records().await;
    let find = |key: String| FindCoordinatorRequest { key_type: 2, coordinator_keys: vec![key], ..Default::default() };
    let found = client.send(6, &find(format!("g:{topic}:0"))).await.coordinators;
    assert_eq!((found[0].error_code, found[0].node_id >= 0), (0, true));
    assert_eq!(client.send(6, &find("g".to_owned())).await.coordinators[0].error_code, INVALID_REQUEST);

    let read = |group: &str| {
        let partition = read_share_group_state_request::Partition { partition: 0, leader_epoch: 0 };
        let topic = read_share_group_state_request::Topic { topic_id: topic, partitions: vec![partition] };
        ReadShareGroupStateRequest { group_id: group.to_owned(), topics: vec![topic] }
    };
    let state = client.send(0, &read("g")).await.results[0].partitions[0].clone();
    assert_eq!((state.error_code, state.start_offset), (0, 0));
    assert_eq!(client.send(0, &read("other")).await.results[0].partitions[0].error_code, INVALID_REQUEST);
    let partition = write_share_group_state_request::Partition {
        state_epoch: state.state_epoch - 1,
        start_offset: 3,
        ..Default::default()
    };
    let outdated = write_share_group_state_request::Topic { topic_id: topic, partitions: vec![partition] };
    let write = WriteShareGroupStateRequest { group_id: "g".to_owned(), topics: vec![outdated] };
    assert_eq!(client.send(1, &write).await.results[0].partitions[0].error_code, FENCED_STATE_EPOCH);

    let partition = read_share_group_state_summary_request::Partition { partition: 0, leader_epoch: 0 };
    let asked = read_share_group_state_summary_request::Topic { topic_id: topic, partitions: vec![partition] };
    let request = ReadShareGroupStateSummaryRequest { group_id: "g".to_owned(), topics: vec![asked] };
    let summary = client.send(1, &request).await.results[0].partitions[0].clone();
    assert_eq!((summary.error_code, summary.start_offset, summary.state_epoch), (0, 0, state.state_epoch));
}

#[tokio::test]
async fn share_state_goes_with_its_topic() {
    let (broker, mut client, topic) = five_records().await;
    acquire(&mut client, &fetch(topic, "m", 0, 2)).await;
    let doomed = delete_topics_request::Topic { name: Some("t".to_owned()), ..Default::default() };
    let delete = DeleteTopicsRequest { topics: vec![doomed], timeout_ms: 5_000, ..Default::default() };
    assert_eq!(client.send(6, &delete).await.responses[0].error_code, 0);
    let response = client.send(2, &fetch(topic, "m", 1, 2)).await;
    assert_ne!(response.responses[0].partitions[0].error_code, 0);

    let again = broker.create_topic("t", 1).await;
    client.produce("t", batch(&["new"])).await;
    // Assignments of one group are at least a second apart.
    tokio::time::timeout(PATIENCE, async {
        while heartbeat(&mut client, "k", 0).await.1.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("an assignment");
    let acquired = acquire(&mut client, &fetch(again, "k", 0, 2)).await;
    assert_eq!(acquired, [], "the group begins at the end of the new topic");
}
