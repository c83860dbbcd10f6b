//! Fetches that wait: woken by data, by their deadline, by nothing else; and sessions.

mod support;

use std::time::{Duration, Instant};

use milena_protocol::messages::{FetchRequest, FetchResponse, fetch_request};
use support::{RawClient, TestBroker, batch, fetch_outcome, fetch_request};

const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_wakes_a_parked_fetch() {
    let broker = TestBroker::start().await;
    broker.create_topic("woken", 1).await;
    let (mut consumer, mut producer) = (broker.connect().await, broker.connect().await);
    for round in 0..20 {
        let started = Instant::now();
        consumer.send_only(12, &fetch_request("woken", 0, round, 30_000)).await;
        producer.produce("woken", batch(&["news"])).await;
        let (_, response) = consumer.receive::<FetchRequest>(12).await;
        assert_eq!(fetch_outcome::of(&response).values, ["news"]);
        assert!(started.elapsed() < Duration::from_secs(10), "woken by the append, not by the deadline");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_waits_for_min_bytes_or_its_deadline() {
    let broker = TestBroker::start().await;
    broker.create_topic("patient", 1).await;
    let (mut consumer, mut producer) = (broker.connect().await, broker.connect().await);
    let mut request = fetch_request("patient", 0, 0, 400);
    request.min_bytes = 100_000;
    let started = Instant::now();
    consumer.send_only(12, &request).await;
    producer.produce("patient", batch(&["too little"])).await;
    let (_, response) = consumer.receive::<FetchRequest>(12).await;
    assert!(started.elapsed() >= Duration::from_millis(400));
    assert_eq!(fetch_outcome::of(&response).values, ["too little"]);

    request.max_wait_ms = 30_000;
    request.min_bytes = 1000;
    consumer.send_only(12, &request).await;
    let large = "x".repeat(400);
    for _ in 0..3 {
        producer.produce("patient", batch(&[&large])).await;
    }
    let (_, response) = consumer.receive::<FetchRequest>(12).await;
    assert!(fetch_outcome::of(&response).values.len() >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_fetch_delays_only_its_own_connection() {
    let broker = TestBroker::start().await;
    broker.create_topic("parked", 1).await;
    let mut parked = broker.connect().await;
    parked.send_only(12, &fetch_request("parked", 0, 0, 2_000)).await;
    parked.send_only(12, &fetch_request("parked", 0, 0, 0)).await;
    let mut other = broker.connect().await;
    let started = Instant::now();
    assert!(other.fetch("parked", 0, 0).await.values.is_empty());
    assert!(started.elapsed() < Duration::from_secs(1));
    other.produce("parked", batch(&["x"])).await;
    for _ in 0..2 {
        let (_, response) = parked.receive::<FetchRequest>(12).await;
        assert_eq!(fetch_outcome::of(&response).values, ["x"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_topic_wakes_its_fetches() {
    let broker = TestBroker::start().await;
    broker.create_topic("doomed", 1).await;
    let mut consumer = broker.connect().await;
    consumer.send_only(12, &fetch_request("doomed", 0, 0, 30_000)).await;
    let request = milena_protocol::messages::DeleteTopicsRequest {
        topic_names: vec!["doomed".to_owned()],
        timeout_ms: 1000,
        ..Default::default()
    };
    let deleted = broker.connect().await.send(4, &request).await;
    assert_eq!(deleted.responses[0].error_code, 0);
    let started = Instant::now();
    let (_, response) = consumer.receive::<FetchRequest>(12).await;
    assert_eq!(fetch_outcome::of(&response).error_code, 3);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_partition_with_data_returns_a_batch_however_small_the_limits() {
    let broker = TestBroker::start().await;
    broker.create_topic("limits", 3).await;
    let mut client = broker.connect().await;
    let large = "x".repeat(10_000);
    for partition in 1..3 {
        client.produce_to("limits", partition, batch(&[&large])).await;
    }
    let mut request = fetch_request("limits", 0, 0, 0);
    let template = request.topics[0].partitions[0].clone();
    request.max_bytes = 100;
    request.topics[0].partitions = (0..3)
        .map(|partition| fetch_request::Partition { partition, partition_max_bytes: 10, ..template.clone() })
        .collect();
    let response = client.send(12, &request).await;
    let sizes: Vec<usize> = response.responses[0]
        .partitions
        .iter()
        .map(|partition| partition.records.as_ref().map_or(0, |records| records.len()))
        .collect();
    assert_eq!(sizes[0], 0);
    assert!(sizes[1] > 10_000);
    assert_eq!(sizes[2], 0);
}

fn session_request(session_id: i32, session_epoch: i32, topics: Vec<fetch_request::Topic>) -> FetchRequest {
    FetchRequest { session_id, session_epoch, topics, min_bytes: 0, ..Default::default() }
}

async fn fetch_session(client: &mut RawClient, request: &FetchRequest) -> (FetchResponse, Vec<i32>) {
    let response = client.send(12, request).await;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let partitions = partitions.map(|partition| partition.partition_index).collect();
    (response, partitions)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_fetch_answers_only_what_changed() {
    let broker = TestBroker::start().await;
    broker.create_topic("session", 3).await;
    let mut client = broker.connect().await;
    let mut topics = fetch_request("session", 0, 0, 0).topics;
    let template = topics[0].partitions[0].clone();
    topics[0].partitions = (0..3).map(|partition| fetch_request::Partition { partition, ..template.clone() }).collect();

    let (response, partitions) = fetch_session(&mut client, &session_request(0, 0, topics)).await;
    let id = response.session_id;
    assert!(id > 0);
    assert_eq!(partitions, [0, 1, 2], "a full fetch answers everything");

    let (response, partitions) = fetch_session(&mut client, &session_request(id, 1, vec![])).await;
    assert_eq!((response.session_id, partitions), (id, vec![]), "nothing is new");

    client.produce_to("session", 1, batch(&["x"])).await;
    let (_, partitions) = fetch_session(&mut client, &session_request(id, 2, vec![])).await;
    assert_eq!(partitions, [1]);

    client.produce_to("session", 0, batch(&["y"])).await;
    let (_, partitions) = fetch_session(&mut client, &session_request(id, 3, vec![])).await;
    assert_eq!(partitions, [0, 1], "the partition that had data has moved to the end");

    let mut request = session_request(id, 4, vec![]);
    request.forgotten_topics_data = vec![fetch_request::ForgottenTopicsData {
        topic: "session".to_owned(),
        partitions: vec![0],
        ..Default::default()
    }];
    let (_, partitions) = fetch_session(&mut client, &request).await;
    assert_eq!(partitions, [1], "what was forgotten is not answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_checked_and_closed() {
    let broker = TestBroker::start().await;
    broker.create_topic("session", 1).await;
    let mut client = broker.connect().await;
    let topics = fetch_request("session", 0, 0, 0).topics;
    let (response, _) = fetch_session(&mut client, &session_request(0, 0, topics.clone())).await;
    let id = response.session_id;

    let (response, partitions) = fetch_session(&mut client, &session_request(id, 5, vec![])).await;
    assert_eq!((response.error_code, partitions.len()), (INVALID_FETCH_SESSION_EPOCH, 0));
    let (response, _) = fetch_session(&mut client, &session_request(id ^ 1, 1, vec![])).await;
    assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND);

    let (response, partitions) = fetch_session(&mut client, &session_request(id, -1, topics)).await;
    assert_eq!((response.error_code, response.session_id, partitions.len()), (0, 0, 1));
    let (response, _) = fetch_session(&mut client, &session_request(id, 1, vec![])).await;
    assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND, "epoch -1 has closed the session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_broker_ends_no_data_only_sessions() {
    let mut broker = TestBroker::start().await;
    broker.create_topic("session", 1).await;
    let mut client = broker.connect().await;
    let topics = fetch_request("session", 0, 0, 0).topics;
    let (response, _) = fetch_session(&mut client, &session_request(0, 0, topics)).await;
    broker.restart().await;
    let mut client = broker.connect().await;
    let (again, _) = fetch_session(&mut client, &session_request(response.session_id, 1, vec![])).await;
    assert_eq!(again.error_code, FETCH_SESSION_ID_NOT_FOUND);
}
