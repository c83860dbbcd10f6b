//! Transactions over raw frames: which version hears which code, and what each version may leave out.

mod support;

use std::time::Duration;

use bytes::Bytes;
use milena_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use milena_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, InitProducerIdRequest,
    InitProducerIdResponse,
};
use milena_protocol::record::{BatchBuilder, BatchOptions};
use support::{RawClient, TestBroker, produce_outcome, produce_request};

const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
const CONCURRENT_TRANSACTIONS: i16 = 51;
const PRODUCER_FENCED: i16 = 90;
const TRANSACTION_ABORTABLE: i16 = 120;
/// Versions of EndTxn before and with transactions v2.
const V1: i16 = 4;
const V2: i16 = 5;

async fn initialize(client: &mut RawClient, version: i16) -> InitProducerIdResponse {
    let request = InitProducerIdRequest {
        transactional_id: Some("mine".to_owned()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let response = client.send(version, &request).await;
    assert_eq!(response.error_code, 0);
    response
}

async fn end(client: &mut RawClient, version: i16, producer: &InitProducerIdResponse, epoch: i16) -> EndTxnResponse {
    let request = EndTxnRequest {
        transactional_id: "mine".to_owned(),
        producer_id: producer.producer_id,
        producer_epoch: epoch,
        committed: true,
    };
    loop {
        // While the markers of a decision are being written, clients are told to ask again.
        let answer: EndTxnResponse = client.send(version, &request).await;
        if answer.error_code != CONCURRENT_TRANSACTIONS {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn add(client: &mut RawClient, version: i16, producer: &InitProducerIdResponse) -> i16 {
    let topic = AddPartitionsToTxnTopic { name: "txn".to_owned(), partitions: vec![0] };
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "mine".to_owned(),
        v3_and_below_producer_id: producer.producer_id,
        v3_and_below_producer_epoch: producer.producer_epoch,
        v3_and_below_topics: vec![topic],
        ..Default::default()
    };
    let response = client.send(version, &request).await;
    response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

fn transactional_batch(producer: &InitProducerIdResponse, epoch: i16, base_sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: producer.producer_id,
        producer_epoch: epoch,
        base_sequence,
        transactional: true,
        ..BatchOptions::default()
    });
    builder.append(1_600_000_000_000, None, Some(b"value"), &[]);
    builder.build().expect("a batch")
}

async fn produce(client: &mut RawClient, version: i16, batch: Bytes) -> i16 {
    let mut request = produce_request("txn", 0, -1, batch);
    request.transactional_id = Some("mine".to_owned());
    produce_outcome::of(&client.send(version, &request).await).error_code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_versions_must_announce_their_partitions_and_new_ones_need_not() {
    let broker = TestBroker::start().await;
    broker.create_topic("txn", 1).await;
    let mut client = broker.connect().await;
    let producer = initialize(&mut client, 4).await;
    let batch = || transactional_batch(&producer, 0, 0);
    assert_eq!(produce(&mut client, 9, batch()).await, INVALID_TXN_STATE);
    assert_eq!(produce(&mut client, 11, batch()).await, TRANSACTION_ABORTABLE);
    assert_eq!(add(&mut client, 3, &producer).await, 0);
    assert_eq!(produce(&mut client, 9, batch()).await, 0);
    assert_eq!(end(&mut client, V1, &producer, 0).await.error_code, 0);
    assert_eq!(end(&mut client, V1, &producer, 0).await.error_code, 0, "the answer was lost");
    let late = transactional_batch(&producer, 0, 1);
    assert_eq!(produce(&mut client, 9, late).await, INVALID_TXN_STATE, "it comes after the end");
    let next = initialize(&mut client, 4).await;
    let batch = transactional_batch(&next, next.producer_epoch, 0);
    assert_eq!(produce(&mut client, 12, batch).await, 0, "transactions v2 add the partition themselves");
    let ended = end(&mut client, V2, &next, next.producer_epoch).await;
    assert_eq!((ended.error_code, ended.producer_epoch), (0, next.producer_epoch + 1));
    let again = end(&mut client, V2, &next, next.producer_epoch).await;
    assert_eq!((again.error_code, again.producer_epoch), (0, next.producer_epoch + 1));
    let late = transactional_batch(&next, next.producer_epoch, 1);
    assert_eq!(produce(&mut client, 12, late).await, INVALID_PRODUCER_EPOCH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_producer_hears_the_code_of_its_version() {
    let broker = TestBroker::start().await;
    broker.create_topic("txn", 1).await;
    let mut client = broker.connect().await;
    let old = initialize(&mut client, 4).await;
    initialize(&mut client, 4).await;
    assert_eq!(add(&mut client, 1, &old).await, INVALID_PRODUCER_EPOCH);
    assert_eq!(add(&mut client, 2, &old).await, PRODUCER_FENCED);
    assert_eq!(end(&mut client, 1, &old, 0).await.error_code, INVALID_PRODUCER_EPOCH);
    assert_eq!(end(&mut client, 2, &old, 0).await.error_code, PRODUCER_FENCED);
    assert_eq!(produce(&mut client, 12, transactional_batch(&old, 0, 0)).await, INVALID_PRODUCER_EPOCH);
    let mut resume = InitProducerIdRequest {
        transactional_id: Some("mine".to_owned()),
        transaction_timeout_ms: 60_000,
        producer_id: old.producer_id,
        producer_epoch: 7,
        ..Default::default()
    };
    assert_eq!(client.send(3, &resume).await.error_code, INVALID_PRODUCER_EPOCH);
    assert_eq!(client.send(4, &resume).await.error_code, PRODUCER_FENCED);
    resume.producer_epoch = 1;
    assert_eq!(client.send(4, &resume).await.producer_epoch, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transactional_batch_needs_the_transactional_id() {
    let broker = TestBroker::start().await;
    broker.create_topic("txn", 1).await;
    let mut client = broker.connect().await;
    let producer = initialize(&mut client, 4).await;
    let request = produce_request("txn", 0, -1, transactional_batch(&producer, 0, 0));
    let code = produce_outcome::of(&client.send(9, &request).await).error_code;
    assert_eq!(code, 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_survives_a_restart() {
    let mut broker = TestBroker::start().await;
    broker.create_topic("txn", 1).await;
    let mut client = broker.connect().await;
    let producer = initialize(&mut client, 4).await;
    assert_eq!(produce(&mut client, 12, transactional_batch(&producer, 0, 0)).await, 0);
    broker.restart().await;
    let mut client = broker.connect().await;
    let request =
        FindCoordinatorRequest { key_type: 1, coordinator_keys: vec!["mine".to_owned()], ..Default::default() };
    assert_eq!(client.send(4, &request).await.coordinators[0].error_code, 0);
    let ended = loop {
        let ended = end(&mut client, V2, &producer, 0).await;
        if ended.error_code != 14 {
            break ended;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((ended.error_code, ended.producer_epoch), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_whose_epochs_are_used_up_goes_on_with_a_new_id() {
    let broker = TestBroker::start_with(&[("milena.acks.all.fsync", "false")]).await;
    broker.create_topic("txn", 1).await;
    let mut client = broker.connect().await;
    let first = initialize(&mut client, 4).await;
    let request = InitProducerIdRequest {
        transactional_id: Some("mine".to_owned()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let mut last = first.clone();
    // Every incarnation takes an epoch; many are asked for at a time.
    for _ in 0..64 {
        for _ in 0..512 {
            client.send_only(4, &request).await;
        }
        for _ in 0..512 {
            let (_, next) = client.receive::<InitProducerIdRequest>(4).await;
            assert_eq!(next.error_code, 0);
            if next.producer_id == last.producer_id {
                assert_eq!(next.producer_epoch, last.producer_epoch + 1);
            } else {
                assert_eq!((last.producer_epoch, next.producer_epoch), (i16::MAX - 1, 0));
            }
            last = next;
        }
    }
    assert_ne!(last.producer_id, first.producer_id);
    assert_eq!(last.producer_epoch, 1);
    assert_eq!(end(&mut client, V2, &first, 0).await.error_code, INVALID_PRODUCER_ID_MAPPING);
    let batch = transactional_batch(&last, last.producer_epoch, 0);
    assert_eq!(produce(&mut client, 12, batch).await, 0);
    assert_eq!(end(&mut client, V2, &last, last.producer_epoch).await.error_code, 0);
}
