//! Configuration, modes, aliases and contexts.

use serde_json::json;

use super::*;
use crate::service::Scope;
use crate::settings_of_scope::{CompatibilityLevel, Mode};
use crate::storage::Which;
use crate::subject::SubjectPrefix;

fn scope(name: &str) -> Scope {
    Scope::of(subject(name)).unwrap()
}

async fn set(service: &Service, scope: &Scope, members: serde_json::Value) -> Result<(), Error> {
    service.set_config(scope, members.as_object().unwrap()).await.map(|_| ())
}

#[tokio::test]
async fn configuration_is_inherited_from_context_and_globally() {
    let service = service();
    let level = |name: &str| service.config(&scope(name), true).unwrap().compatibility_level;
    assert_eq!(level("s"), Some(CompatibilityLevel::Backward));
    set(&service, &Scope::GLOBAL, json!({"compatibility": "FULL", "normalize": true})).await.unwrap();
    set(&service, &scope(":.ctx:"), json!({"compatibility": "none"})).await.unwrap();
    assert_eq!((level("s"), level(":.ctx:s")), (Some(CompatibilityLevel::Full), Some(CompatibilityLevel::None)));
    assert_eq!(service.config(&scope(":.ctx:s"), true).unwrap().normalize, Some(true));
    assert_eq!(code(service.config(&scope("s"), false)), 40408);
    assert_eq!(code(set(&service, &scope("s"), json!({"compatibility": "sideways"})).await), 42203);
    assert_eq!(code(service.delete_config(&scope("s")).await), 40401);
    let old = service.delete_config(&Scope::GLOBAL).await.unwrap();
    assert_eq!(old.compatibility_level, Some(CompatibilityLevel::Full));
    assert_eq!(level("s"), Some(CompatibilityLevel::Backward));
}

#[tokio::test]
async fn an_alias_leads_to_another_subject_but_is_configured_itself() {
    let service = service();
    register(&service, "real", INT).await.unwrap();
    set(&service, &scope("nick"), json!({"alias": "real"})).await.unwrap();
    assert_eq!(service.unaliased(subject("nick")), subject("real"));
    assert_eq!(service.unaliased(subject("real")), subject("real"));
    assert_eq!(service.config(&scope("nick"), false).unwrap().alias.as_deref(), Some("real"));
}

#[tokio::test]
async fn a_read_only_subject_still_answers_known_schemas() {
    let service = service();
    register(&service, "s", INT).await.unwrap();
    service.set_mode(&scope("s"), Some(Mode::Readonly), false).await.unwrap();
    assert_eq!(registered(&service, "s", INT).await, (1, 1));
    let refused = register(&service, "s", r#""long""#).await.unwrap_err();
    assert_eq!((refused.code(), refused.to_string().as_str()), (42205, "Subject s in context . is in read-only mode"));
    assert_eq!(code(service.delete_subject(&subject("s"), false).await), 42205);
    assert_eq!(service.delete_mode(&scope("s"), false).await.unwrap(), Mode::Readonly);
    assert_eq!(code(service.delete_mode(&scope("s"), false).await), 40401);
    assert_eq!(code(service.mode(&scope("s"), false)), 40409);
    assert_eq!(service.mode(&scope("s"), true).unwrap(), Mode::Readwrite);
    assert_eq!(registered(&service, "s", r#""long""#).await, (2, 2));
}

#[tokio::test]
async fn an_override_wins_over_what_subjects_say() {
    let service = service();
    service.set_mode(&scope("s"), Some(Mode::Readwrite), false).await.unwrap();
    service.set_mode(&Scope::GLOBAL, Some(Mode::ReadonlyOverride), false).await.unwrap();
    assert_eq!(code(register(&service, "s", INT).await), 42205);
    assert_eq!(code(service.set_mode(&scope("s"), Some(Mode::ReadonlyOverride), false).await), 42204);
}

#[tokio::test]
async fn in_import_mode_the_client_decides_about_ids_and_versions() {
    let service = service();
    let import =
        |schema: &str, id: i32, version: i32| SchemaRequest { id: Some(id), version: Some(version), ..request(schema) };
    let options = RegisterOptions::default();
    assert_eq!(code(service.register(&subject("s"), import(INT, 10, 3), options).await), 42205);
    service.set_mode(&scope("s"), Some(Mode::Import), false).await.unwrap();
    let answer = service.register(&subject("s"), import(INT, 10, 3), options).await.unwrap();
    assert_eq!((answer.id, answer.version), (Some(10), Some(3)));
    // Texts are taken as they are.
    service.register(&subject("s"), import("not a schema", 11, 9), options).await.unwrap();
    assert_eq!(code(service.register(&subject("s"), import(STRING, 10, 10), options).await), 42205);
    assert_eq!(code(register(&service, "s", INT).await), 42205);
    assert_eq!(registered(&service, "other", STRING).await, (12, 1));
    assert_eq!(code(service.set_mode(&scope("other"), Some(Mode::Import), false).await), 42205);
    service.set_mode(&scope("other"), Some(Mode::Import), true).await.unwrap();
}

#[tokio::test]
async fn modes_can_be_fixed() {
    let options = ServiceOptions { mode_mutability: false, ..ServiceOptions::default() };
    let service = Service::new(options, Log::in_memory());
    assert_eq!(code(service.set_mode(&Scope::GLOBAL, Some(Mode::Readonly), false).await), 42205);
}

#[tokio::test]
async fn contexts_separate_ids_and_go_when_they_are_empty() {
    let service = service();
    registered(&service, "s", INT).await;
    registered(&service, ":.ctx:t", STRING).await;
    let listed = |prefix: &str| service.subjects(&SubjectPrefix::parse(prefix), Which::Undeleted, ALL);
    assert_eq!(listed(":*:"), [":.ctx:t", "s"]);
    assert_eq!(listed(":.ctx:"), [":.ctx:t"]);
    let text = |subject: Option<&Subject>| {
        service.schema_by_id(1, subject, false, &Default::default()).unwrap().content.schema.to_string()
    };
    assert_eq!(text(None), INT);
    assert_eq!(text(Some(&subject(":.ctx:"))), STRING);
    // An unqualified subject is looked for in every context.
    assert_eq!(text(Some(&subject("t"))), STRING);
    assert_eq!(code(service.delete_context(".ctx").await), 42211);
    service.delete_subject(&subject(":.ctx:t"), false).await.unwrap();
    service.delete_subject(&subject(":.ctx:t"), true).await.unwrap();
    service.delete_context(".ctx").await.unwrap();
    assert_eq!(service.contexts("", ALL), ["."]);
}
