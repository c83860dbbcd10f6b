//! Every API of the dispatch table before a client without any right.
//!
//! Each API is asked with sample requests over a real connection. One that needs a right must answer with the error that
//! says so; the few that need none are named here, so that an API that is added later has to be thought about.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use milena_broker::api::API_VERSIONS;
use milena_protocol::inspect::{MessageType, Samples};
use milena_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, describe_configs_request, incremental_alter_configs_request,
};
use milena_protocol::{ApiKey, ErrorCode, Message, Reader, RequestHeader, ResponseHeader, Writer, catalog};
use serde_json::Value;
use support::{RawClient, TestBroker};

/// Requests of each API that are tried before it is said not to look at rights.
const ATTEMPTS: u64 = 60;
/// How long an answer is waited for; a sample may be one that parks, or that closes the connection.
const PATIENCE: Duration = Duration::from_millis(500);

/// What says that a right is missing.
const REFUSALS: [ErrorCode; 5] = [
    ErrorCode::TopicAuthorizationFailed,
    ErrorCode::GroupAuthorizationFailed,
    ErrorCode::ClusterAuthorizationFailed,
    ErrorCode::TransactionalIdAuthorizationFailed,
    ErrorCode::DelegationTokenAuthorizationFailed,
];

/// APIs that everybody may call; what they tell is filtered or no secret.
fn needs_no_right(key: ApiKey) -> bool {
    matches!(
        key,
        ApiKey::ApiVersions
            | ApiKey::SaslHandshake
            | ApiKey::SaslAuthenticate
            // Lists only what the client may describe.
            | ApiKey::ListGroups
            | ApiKey::ListTransactions
            | ApiKey::DescribeCluster
            // Tokens are for those who were authenticated; the owner may do everything with them.
            | ApiKey::CreateDelegationToken
            | ApiKey::RenewDelegationToken
            | ApiKey::ExpireDelegationToken
            | ApiKey::DescribeDelegationToken
            // Metrics that a client sends about itself.
            | ApiKey::GetTelemetrySubscriptions
            | ApiKey::PushTelemetry
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_api_that_needs_a_right_refuses_a_client_without_any() {
    let broker = TestBroker::start_with(&[
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:somebody-else"),
    ])
    .await;
    let mut unguarded = Vec::new();
    for range in API_VERSIONS.iter().filter(|range| !needs_no_right(range.key)) {
        if !is_refused(&broker, range.key, range.min, range.max).await {
            unguarded.push(range.key.name());
        }
    }
    assert!(unguarded.is_empty(), "no request of a client without rights was refused by: {unguarded:?}");
    let image = broker.broker().image();
    let created: Vec<_> = image.topics().map(|topic| topic.name.as_str()).collect();
    assert_eq!(created, Vec::<&str>::new(), "and nothing was created");
}

async fn is_refused(broker: &TestBroker, key: ApiKey, min: i16, max: i16) -> bool {
    for attempt in 0..ATTEMPTS {
        let version = max - (attempt as i16 % (max - min + 1));
        let Some(answer) = answer_to_sample(broker, key, version, attempt).await else { continue };
        let mut codes = BTreeSet::new();
        collect_codes(&answer, &mut codes);
        if REFUSALS.iter().any(|refusal| codes.contains(&i64::from(refusal.code()))) {
            return true;
        }
    }
    false
}

async fn answer_to_sample(broker: &TestBroker, key: ApiKey, version: i16, seed: u64) -> Option<Value> {
    let (request, response) = messages_of(key);
    let mut writer = Writer::with_capacity(256);
    let header = RequestHeader {
        api_key: key.code(),
        api_version: version,
        correlation_id: 1,
        client_id: Some("sample".to_owned()),
    };
    header.encode(&mut writer).ok()?;
    if !encode_by_hand(key, &mut writer, version) {
        match seed {
            0 => (request.encode_default)(&mut writer, version).ok()?,
            _ => drop((request.encode_sample)(&mut Samples::new(seed), &mut writer, version).ok()?),
        }
    }
    let message = writer.finish().to_bytes().expect("in memory");
    let length = i32::try_from(message.len()).expect("a small request");
    let frame = [&length.to_be_bytes()[..], &message].concat();
    let mut client = RawClient::connect(broker.address()).await;
    client.try_send_bytes(&frame).await.ok()?;
    let answer = tokio::time::timeout(PATIENCE, client.receive_frame()).await.ok()??;
    let mut reader = Reader::new(answer);
    ResponseHeader::decode(&mut reader, key, version).ok()?;
    (response.to_json)(&mut reader, version).ok()
}

/// Requests whose samples name resources of types that do not exist, which is found out before rights are asked for.
fn encode_by_hand(key: ApiKey, writer: &mut Writer, version: i16) -> bool {
    const BROKER: i8 = 4;
    let encoded = match key {
        ApiKey::DescribeConfigs => {
            let resource = describe_configs_request::Resource { resource_type: BROKER, ..Default::default() };
            DescribeConfigsRequest { resources: vec![resource], ..Default::default() }.encode(writer, version)
        }
        ApiKey::IncrementalAlterConfigs => {
            let resource = incremental_alter_configs_request::Resource { resource_type: BROKER, ..Default::default() };
            IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() }.encode(writer, version)
        }
        _ => return false,
    };
    encoded.is_ok()
}

fn messages_of(key: ApiKey) -> (&'static MessageType, &'static MessageType) {
    let of = |types: &'static [MessageType]| {
        types.iter().find(|message| message.key == Some(key)).expect("an API has both messages")
    };
    (of(catalog::REQUESTS), of(catalog::RESPONSES))
}

/// Every `errorCode` anywhere in a message.
fn collect_codes(value: &Value, codes: &mut BTreeSet<i64>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.ends_with("rrorCode") {
                    codes.extend(value.as_i64());
                }
                collect_codes(value, codes);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_codes(value, codes)),
        _ => {}
    }
}
