//! ACLs, credentials, quotas, tokens, features and subscriptions to client metrics: rules, and that a restart keeps them.

use super::*;
use crate::acl::{AclBinding, AclFilter, AclOperation, AclPermission, PatternType, ResourceType};
use crate::client_quota::QuotaEntity;
use crate::delegation_token::DelegationToken;
use crate::scram::{ScramCredential, ScramMechanism};

fn binding(name: &str) -> AclBinding {
    AclBinding {
        resource_type: ResourceType::Topic,
        pattern_type: PatternType::Prefixed,
        resource_name: name.to_owned(),
        principal: "User:\"a\\b\"".to_owned(),
        host: "*".to_owned(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    }
}

fn credential(iterations: i32) -> ScramCredential {
    ScramCredential { salt: vec![1, 2], stored_key: vec![3], server_key: vec![0xff], iterations }
}

fn scram(user: &str, credential: Option<ScramCredential>) -> ScramAlteration {
    ScramAlteration { user: user.to_owned(), mechanism: ScramMechanism::Sha256, credential }
}

fn entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
    let parts = parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned)));
    QuotaEntity::from_parts(parts).expect("a valid entity")
}

fn quota(entity: QuotaEntity, key: &str, value: Option<f64>) -> QuotaAlteration {
    QuotaAlteration { entity, ops: vec![(key.to_owned(), value)] }
}

fn feature(name: &str, level: i16, direction: FeatureDirection) -> FeatureUpdate {
    FeatureUpdate { name: name.to_owned(), level, direction }
}

#[test]
fn acls_survive_a_restart_until_a_filter_deletes_them() {
    let fixture = Fixture::new();
    let created = fixture.controller.create_acls_now(vec![binding("a/b"), binding("a/b"), binding("c")]);
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    let fixture = fixture.reopened();
    assert_eq!(fixture.controller.image().acls.iter().cloned().collect::<Vec<_>>(), [binding("a/b"), binding("c")]);
    let filter = AclFilter { resource_name: Some("a/b".to_owned()), ..AclFilter::any() };
    let deleted = fixture.controller.delete_acls_now(&[filter.clone(), filter]);
    let deleted: Vec<_> = deleted.into_iter().map(|bindings| bindings.expect("deleted")).collect();
    assert_eq!(deleted, [vec![binding("a/b")], Vec::new()]);
    assert_eq!(fixture.reopened().controller.image().acls.len(), 1);
}

#[test]
fn acls_without_a_name_or_a_principal_are_refused_and_the_others_stay() {
    let fixture = Fixture::new();
    let cluster = AclBinding { resource_type: ResourceType::Cluster, ..binding("mine") };
    let nobody = AclBinding { principal: "alice".to_owned(), ..binding("t") };
    let answers = fixture.controller.create_acls_now(vec![binding(""), cluster, nobody, binding("t")]);
    let codes: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.error_code())).collect();
    let invalid = Err(ErrorCode::InvalidRequest);
    assert_eq!(codes, [invalid, invalid, invalid, Ok(())]);
    assert_eq!(fixture.controller.image().acls.len(), 1);
}

#[test]
fn scram_credentials_survive_a_restart_and_a_user_is_changed_once_at_a_time() {
    let fixture = Fixture::new();
    let answers = fixture.controller.alter_user_scram_credentials_now(vec![
        scram("a/lice", Some(credential(4096))),
        scram("bob", Some(credential(4095))),
        scram("eve", Some(credential(4096))),
        ScramAlteration { mechanism: ScramMechanism::Sha512, ..scram("eve", Some(credential(5000))) },
        scram("carol", None),
        scram("dave", Some(credential(16_385))),
        scram("", Some(credential(4096))),
    ]);
    let codes: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.error_code())).collect();
    let bad = Err(ErrorCode::UnacceptableCredential);
    let twice = Err(ErrorCode::DuplicateResource);
    assert_eq!(codes, [Ok(()), bad, twice, twice, Err(ErrorCode::ResourceNotFound), bad, bad]);
    let fixture = fixture.reopened();
    let image = fixture.controller.image();
    assert_eq!(image.scram.iter().len(), 1);
    assert_eq!(image.scram.get("a/lice", ScramMechanism::Sha256), Some(&credential(4096)));
    let answers = fixture.controller.alter_user_scram_credentials_now(vec![scram("a/lice", None)]);
    assert!(answers[0].is_ok());
    assert_eq!(fixture.reopened().controller.image().scram.iter().len(), 0);
}

#[test]
fn quotas_survive_a_restart_and_vanish_with_their_last_key() {
    let fixture = Fixture::new();
    let alice = entity(&[("user", Some("alice")), ("client-id", None)]);
    let alter = |fixture: &Fixture, alteration, validate_only| {
        fixture.controller.alter_client_quotas_now(vec![alteration], validate_only).remove(0)
    };
    alter(&fixture, quota(alice.clone(), "producer_byte_rate", Some(1024.0)), true).expect("valid");
    assert!(fixture.controller.image().client_quotas.is_empty(), "only validated");
    alter(&fixture, quota(alice.clone(), "producer_byte_rate", Some(1024.0)), false).expect("set");
    alter(&fixture, quota(alice.clone(), "request_percentage", Some(12.5)), false).expect("set");
    let fixture = fixture.reopened();
    let quotas = fixture.controller.image().client_quotas.clone();
    let values: Vec<_> = quotas[&alice].iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(values, [("producer_byte_rate", 1024.0), ("request_percentage", 12.5)]);
    for key in ["producer_byte_rate", "request_percentage"] {
        alter(&fixture, quota(alice.clone(), key, None), false).expect("taken away");
    }
    assert!(fixture.reopened().controller.image().client_quotas.is_empty());
}

#[test]
fn quotas_that_cannot_be_are_refused() {
    let fixture = Fixture::new();
    let user = || entity(&[("user", Some("alice"))]);
    let ip = || entity(&[("ip", Some("127.0.0.1"))]);
    let mixed = || entity(&[("ip", None), ("user", None)]);
    for (entity, key, value, message) in [
        (user(), "connection_creation_rate", 1.0, "Invalid configuration key connection_creation_rate"),
        (user(), "producer_byte_rate", 0.0, "Quota producer_byte_rate must be greater than 0"),
        (user(), "producer_byte_rate", 1.5, "producer_byte_rate cannot be a fractional value."),
        (ip(), "producer_byte_rate", 1.0, "Invalid configuration key producer_byte_rate"),
        (ip(), "connection_creation_rate", 3e9, "Proposed value for connection_creation_rate is too large for an INT."),
    ] {
        let answer = fixture.controller.alter_client_quotas_now(vec![quota(entity, key, Some(value))], false).remove(0);
        assert_eq!(refused(answer), says(ErrorCode::InvalidRequest, message));
    }
    let answer = fixture.controller.alter_client_quotas_now(vec![quota(mixed(), "x", None)], false).remove(0);
    assert_eq!(refused(answer).0, ErrorCode::InvalidRequest);
    assert!(QuotaEntity::from_parts([]).is_err());
    assert!(QuotaEntity::from_parts([("group".to_owned(), None)]).is_err());
}

#[tokio::test]
async fn a_token_is_renewed_no_further_than_its_latest_time_and_survives_a_restart() {
    let fixture = Fixture::new();
    let token = DelegationToken {
        id: "id".to_owned(),
        owner: "User:alice".to_owned(),
        requester: "User:admin".to_owned(),
        renewers: vec!["User:bob".to_owned()],
        issue_timestamp_ms: 1,
        max_timestamp_ms: 1000,
        expiry_timestamp_ms: 10,
    };
    fixture.controller.create_delegation_token(token.clone()).await.expect("created");
    assert!(fixture.controller.create_delegation_token(token.clone()).await.is_err(), "an id is there once");
    assert_eq!(fixture.controller.renew_delegation_token("id".to_owned(), 5000).await.expect("renewed"), 1000);
    let missing = fixture.controller.renew_delegation_token("other".to_owned(), 5000).await;
    assert_eq!(refused(missing).0, ErrorCode::DelegationTokenNotFound);
    let fixture = fixture.reopened();
    let renewed = DelegationToken { expiry_timestamp_ms: 1000, ..token };
    assert_eq!(fixture.controller.image().delegation_tokens["id"], renewed);
    assert!(renewed.may_be_renewed_by("User:bob") && !renewed.may_be_renewed_by("User:eve"));
    fixture.controller.remove_delegation_tokens(vec!["id".to_owned(), "other".to_owned()]).await.expect("removed");
    assert!(fixture.reopened().controller.image().delegation_tokens.is_empty());
}

#[test]
fn features_change_together_and_a_chosen_level_survives_a_restart() {
    let fixture = Fixture::new();
    assert_eq!(fixture.controller.image().feature_level("group.version"), 1);
    let update = |fixture: &Fixture, updates: &[FeatureUpdate]| fixture.controller.update_features_now(updates, false);
    let answers = update(
        &fixture,
        &[
            feature("group.version", 0, FeatureDirection::SafeDowngrade),
            feature("no.such.version", 1, FeatureDirection::Upgrade),
        ],
    );
    assert!(answers[0].is_ok() && answers[1].is_err());
    assert_eq!(fixture.controller.image().feature_level("group.version"), 1, "all or none");
    assert!(update(&fixture, &[feature("group.version", 0, FeatureDirection::Upgrade)])[0].is_err(), "not upwards");
    assert!(update(&fixture, &[feature("group.version", 0, FeatureDirection::SafeDowngrade)])[0].is_ok());
    let fixture = fixture.reopened();
    let image = fixture.controller.image();
    assert_eq!(image.feature_level("group.version"), 0);
    assert!(!image.finalized_features().contains_key("group.version"));
}

#[test]
fn a_subscription_to_client_metrics_is_checked_and_survives_a_restart() {
    let fixture = Fixture::new();
    let named = || ConfigResource::ClientMetrics("basic".to_owned());
    let refusal = |key: &str, value: &str| refused(fixture.alter(named(), &[(key, ConfigOpKind::Set, Some(value))]));
    assert_eq!(refusal("color", "1").0, ErrorCode::InvalidRequest);
    assert_eq!(refusal("interval.ms", "99").0, ErrorCode::InvalidRequest);
    assert_eq!(refusal("interval.ms", "soon").0, ErrorCode::InvalidConfig);
    assert_eq!(refusal("match", "client_id=(").1, "Illegal client matching pattern: client_id=(");
    fixture.alter(named(), &[("metrics", ConfigOpKind::Set, Some("org.apache.kafka."))]).expect("set");
    let fixture = fixture.reopened();
    assert_eq!(fixture.controller.image().client_metrics_configs["basic"]["metrics"], "org.apache.kafka.");
    fixture.alter(named(), &[("metrics", ConfigOpKind::Delete, None)]).expect("deleted");
    assert!(fixture.reopened().controller.image().client_metrics_configs.is_empty());
}
