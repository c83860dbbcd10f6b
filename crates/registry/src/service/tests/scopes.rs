//! Configuration, modes, aliases and contexts.

use serde_json::json;

use super::*;
use crate::settings_of_scope::{CompatibilityLevel, Mode};
use crate::storage::Which;
use crate::subject::SubjectPrefix;

#[tokio::test]
async fn configuration_is_inherited_from_the_context() {
    let service = service();
    let level = |name: &str| service.config(&scope(name), true).unwrap().compatibility_level;
    assert_eq!(level("s"), Some(CompatibilityLevel::Backward));
    configure(&service, &Scope::GLOBAL, json!({"compatibility": "FULL", "normalize": true})).await.unwrap();
    // What is set globally is the default context's.
    assert_eq!((level("s"), level(":.ctx:s")), (Some(CompatibilityLevel::Full), Some(CompatibilityLevel::Backward)));
    configure(&service, &scope(":.ctx:"), json!({"compatibility": "none"})).await.unwrap();
    configure(&service, &scope(":.__GLOBAL:"), json!({"compatibility": "FORWARD", "validateFields": true}))
        .await
        .unwrap();
    assert_eq!((level("s"), level(":.ctx:s")), (Some(CompatibilityLevel::Full), Some(CompatibilityLevel::None)));
    assert_eq!(level(":.other:s"), Some(CompatibilityLevel::Forward));
    for name in ["s", ":.ctx:s", ":.ctx:", ":.__GLOBAL:"] {
        assert_eq!(service.config(&scope(name), true).unwrap().validate_fields, Some(true), "{name}");
    }
    assert_eq!(service.config(&scope(":.ctx:s"), true).unwrap().normalize, None);
    assert_eq!(code(service.config(&scope("s"), false)), 40408);
    for wrong in [json!({"compatibility": "sideways"}), json!({"compatibility": ""}), json!({"compatibility": 7})] {
        assert_eq!(code(configure(&service, &scope("s"), wrong).await), 42203);
    }
    assert_eq!(code(configure(&service, &scope("s"), json!({"compatibilityPolicy": "GENTLE"})).await), 42203);
    assert_eq!(code(configure(&service, &scope("s"), json!({"normalize": 7})).await), 400);
    assert_eq!(code(service.delete_config(&scope("s")).await), 40401);
    let old = service.delete_config(&Scope::GLOBAL).await.unwrap();
    assert_eq!(old.compatibility_level, Some(CompatibilityLevel::Full));
    assert_eq!(level("s"), Some(CompatibilityLevel::Forward));
}

#[tokio::test]
async fn an_alias_leads_to_another_subject_but_is_configured_itself() {
    let service = service();
    register(&service, "real", INT).await.unwrap();
    configure(&service, &scope("nick"), json!({"alias": "real"})).await.unwrap();
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
    for (name, own) in [("s", true), (":.ctx:", true), (":.ctx:s", true), (":.ctx:s", false)] {
        assert_eq!(service.mode(&scope(name), own).unwrap(), Mode::ReadonlyOverride, "{name}");
    }
    for only_global in [Mode::ReadonlyOverride, Mode::Forward] {
        for name in ["s", ":.ctx:", ":.ctx:s"] {
            assert_eq!(code(service.set_mode(&scope(name), Some(only_global), false).await), 42204, "{name}");
        }
    }
    service.delete_mode(&Scope::GLOBAL, false).await.unwrap();
    assert_eq!(registered(&service, "s", INT).await, (1, 1));
    service.set_mode(&scope(":.__GLOBAL:"), Some(Mode::ReadonlyOverride), false).await.unwrap();
    assert_eq!(code(register(&service, ":.ctx:t", INT).await), 42205);
}

#[tokio::test]
async fn a_mode_holds_for_its_context_and_not_for_others() {
    let service = service();
    service.set_mode(&Scope::GLOBAL, Some(Mode::Readonly), false).await.unwrap();
    assert_eq!(code(register(&service, "s", INT).await), 42205);
    assert_eq!(registered(&service, ":.ctx:s", INT).await, (1, 1));
    service.set_mode(&scope(":.ctx:"), Some(Mode::Readonly), false).await.unwrap();
    assert_eq!(code(register(&service, ":.ctx:t", INT).await), 42205);
    service.set_mode(&scope(":.ctx:t"), Some(Mode::Readwrite), false).await.unwrap();
    assert_eq!(registered(&service, ":.ctx:t", STRING).await, (2, 1));
    assert_eq!(service.delete_mode(&scope(":.ctx:"), true).await.unwrap(), Mode::Readonly);
    assert_eq!(code(service.mode(&scope(":.ctx:t"), false)), 40409);
}

#[tokio::test]
async fn import_forgets_what_was_soft_deleted_unless_it_is_referenced() {
    let service = service();
    register(&service, "inner", r#"{"type":"record","name":"Inner","fields":[]}"#).await.unwrap();
    let outer = request_json(json!({
        "schema": r#"{"type":"record","name":"Outer","fields":[{"name":"i","type":"Inner"}]}"#,
        "references": [{"name": "Inner", "subject": "inner", "version": 1}],
    }));
    service.register(&subject("outer"), outer, RegisterOptions::default()).await.unwrap();
    assert_eq!(code(service.set_mode(&scope("inner"), Some(Mode::Import), false).await), 42205);
    service.delete_subject(&subject("outer"), false).await.unwrap();
    service.delete_subject(&subject("inner"), false).await.unwrap();
    service.set_mode(&scope("outer"), Some(Mode::Import), false).await.unwrap();
    assert_eq!(code(service.versions(&subject("outer"), Which::WithDeleted, false, ALL)), 40401);
    service.set_mode(&scope("inner"), Some(Mode::Import), false).await.unwrap();
    assert_eq!(code(service.versions(&subject("inner"), Which::WithDeleted, false, ALL)), 40401);
    let imported = SchemaRequest { id: Some(5), version: Some(4), ..request(INT) };
    service.register(&subject("inner"), imported, RegisterOptions::default()).await.unwrap();
    // IMPORT over IMPORT changes nothing that is there.
    service.set_mode(&scope("inner"), Some(Mode::Import), false).await.unwrap();
    assert_eq!(service.versions(&subject("inner"), Which::Undeleted, false, ALL).unwrap(), [4]);
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
