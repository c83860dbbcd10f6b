//! Soft and hard deletion, and what comes back after them.

use super::*;
use crate::storage::Which;

#[tokio::test]
async fn deletion_has_two_steps() {
    let service = service();
    let name = subject("s");
    assert_eq!(code(service.delete_subject(&name, false).await), 40401);
    set_level(&service, "s", "NONE").await;
    register(&service, "s", INT).await.unwrap();
    register(&service, "s", STRING).await.unwrap();
    assert_eq!(code(service.delete_subject(&name, true).await), 40405);
    assert_eq!(code(service.delete_version(&name, VersionSpec::Number(1), true).await), 40407);
    assert_eq!(service.delete_version(&name, VersionSpec::Number(1), false).await.unwrap(), 1);
    assert_eq!(code(service.delete_version(&name, VersionSpec::Number(1), false).await), 40406);
    assert_eq!(service.versions(&name, Which::Undeleted, false, ALL).unwrap(), [2]);
    assert_eq!(service.versions(&name, Which::Undeleted, true, ALL).unwrap(), [-1, 2]);
    assert_eq!(service.delete_subject(&name, false).await.unwrap(), [2]);
    assert_eq!(code(service.delete_subject(&name, false).await), 40404);
    assert_eq!(code(service.versions(&name, Which::Undeleted, false, ALL)), 40401);
    assert!(service.schema_by_id(1, None, false, &Default::default()).is_ok());
    assert_eq!(service.delete_subject(&name, true).await.unwrap(), [1, 2]);
    assert_eq!(code(service.schema_by_id(1, None, false, &Default::default())), 40403);
    assert_eq!(code(service.delete_subject(&name, true).await), 40401);
    // Its configuration is gone with it.
    assert_eq!(code(service.config(&super::super::Scope::of(name).unwrap(), false)), 40408);
}

#[tokio::test]
async fn after_a_soft_deletion_the_id_is_the_same_and_after_a_hard_one_another() {
    let service = service();
    let name = subject("s");
    assert_eq!(registered(&service, "s", INT).await, (1, 1));
    service.delete_subject(&name, false).await.unwrap();
    assert_eq!(registered(&service, "s", INT).await, (1, 2));
    // The deleted version was replaced.
    assert_eq!(service.versions(&name, Which::WithDeleted, false, ALL).unwrap(), [2]);
    service.delete_subject(&name, false).await.unwrap();
    service.delete_subject(&name, true).await.unwrap();
    assert_eq!(registered(&service, "s", INT).await, (2, 1));
}

#[tokio::test]
async fn unknown_versions_and_subjects_are_told_apart() {
    let service = service();
    register(&service, "s", INT).await.unwrap();
    assert_eq!(code(service.delete_version(&subject("t"), LATEST, false).await), 40401);
    assert_eq!(code(service.delete_version(&subject("s"), VersionSpec::Number(2), false).await), 40402);
    assert_eq!(service.delete_version(&subject("s"), LATEST, false).await.unwrap(), 1);
}

#[tokio::test]
async fn registrations_of_an_id_are_listed_without_deleted_ones() {
    let service = service();
    register(&service, "a", INT).await.unwrap();
    register(&service, "b", INT).await.unwrap();
    service.delete_subject(&subject("a"), false).await.unwrap();
    let of = |which| service.registrations(1, None, which).unwrap();
    assert_eq!(of(Which::Undeleted), [("b".to_owned(), 1)]);
    assert_eq!(of(Which::WithDeleted), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert_eq!(code(service.registrations(9, None, Which::Undeleted)), 40403);
}
