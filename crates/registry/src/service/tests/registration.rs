//! Ids, versions, references and compatibility of new schemas.

use serde_json::json;

use super::*;

const RECORD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const WITH_DEFAULT: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}"#;
const WITHOUT_DEFAULT: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"c","type":"int"}]}"#;

#[tokio::test]
async fn ids_belong_to_schemas_and_versions_to_subjects() {
    let service = service();
    assert_eq!(registered(&service, "a", STRING).await, (1, 1));
    assert_eq!(registered(&service, "a", STRING).await, (1, 1));
    assert_eq!(registered(&service, "b", r#"{"type": "string"}"#).await, (1, 1));
    assert_eq!(registered(&service, "b2", INT).await, (2, 1));
    assert_eq!(registered(&service, ":.ctx:a", INT).await, (1, 1));
    assert_eq!(service.contexts("", ALL), [".", ".ctx"]);
}

#[tokio::test]
async fn a_field_without_default_is_refused_and_named() {
    let service = service();
    register(&service, "s", RECORD).await.unwrap();
    assert_eq!(registered(&service, "s", WITH_DEFAULT).await, (2, 2));
    let refused = register(&service, "s", WITHOUT_DEFAULT).await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), (40901, 409));
    let text = refused.to_string();
    assert!(text.contains("READER_FIELD_MISSING_DEFAULT_VALUE") && text.contains("additionalInfo:'c'"), "{text}");
    assert!(text.contains("{oldSchemaVersion: 2}") && text.contains("compatibility: 'BACKWARD'"), "{text}");
    let forced = RegisterOptions { force: true, ..RegisterOptions::default() };
    assert_eq!(service.register(&subject("s"), request(WITHOUT_DEFAULT), forced).await.unwrap().version, Some(3));
}

#[tokio::test]
async fn transitive_levels_look_at_all_versions() {
    let service = service();
    set_level(&service, "s", "NONE").await;
    register(&service, "s", INT).await.unwrap();
    register(&service, "s", STRING).await.unwrap();
    set_level(&service, "s", "BACKWARD").await;
    let bytes = request(r#""bytes""#);
    assert!(service.compatibility_with_all(&subject("s"), &bytes, false, false).unwrap().is_compatible);
    set_level(&service, "s", "BACKWARD_TRANSITIVE").await;
    let verbose = service.compatibility_with_all(&subject("s"), &bytes, false, true).unwrap();
    assert!(!verbose.is_compatible);
    assert!(verbose.messages.unwrap().contains(&"{oldSchemaVersion: 1}".to_owned()));
    let one = |version| service.compatibility_with(&subject("s"), VersionSpec::Number(version), &bytes, false, false);
    assert!(one(2).unwrap().is_compatible);
    assert!(!one(1).unwrap().is_compatible);
    assert_eq!(code(one(9)), 40402);
    let unknown = service.compatibility_with(&subject("other"), LATEST, &bytes, false, true).unwrap();
    assert_eq!((unknown.is_compatible, unknown.messages), (true, Some(Vec::new())));
}

#[tokio::test]
async fn what_is_no_schema_is_refused_with_the_reason() {
    let service = service();
    assert_eq!(code(register(&service, "s", r#"{"type":"#).await), 42201);
    assert_eq!(code(register(&service, "s", "").await), 42201);
    let unknown_type = request_json(json!({"schema": "x", "schemaType": "XML"}));
    assert_eq!(code(service.register(&subject("s"), unknown_type, RegisterOptions::default()).await), 42201);
    for name in ["", "a\nb", "__GLOBAL", ":.ctx:"] {
        assert_eq!(code(register(&service, name, INT).await), 42208, "{name:?}");
    }
    let bad = request("{");
    assert_eq!(code(service.compatibility_with(&subject("s"), LATEST, &bad, false, false)), 42201);
    let verbose = service.compatibility_with(&subject("s"), LATEST, &bad, false, true).unwrap();
    assert!(!verbose.is_compatible && verbose.messages.unwrap().len() == 1);
}

#[tokio::test]
async fn references_are_resolved_counted_and_protected() {
    let service = service();
    register(&service, "inner", r#"{"type":"record","name":"Inner","fields":[]}"#).await.unwrap();
    let outer = |version: i32| {
        request_json(json!({
            "schema": r#"{"type":"record","name":"Outer","fields":[{"name":"i","type":"Inner"}]}"#,
            "references": [{"name": "Inner", "subject": "inner", "version": version}],
        }))
    };
    let options = RegisterOptions::default();
    let latest = service.register(&subject("outer"), outer(-1), options).await.unwrap();
    assert_eq!(latest.content.references[0].version, 1);
    assert_eq!(service.register(&subject("outer"), outer(1), options).await.unwrap().version, latest.version);
    assert_eq!(code(service.register(&subject("outer"), outer(7), options).await), 42201);
    let by = service.referenced_by(&subject("inner"), LATEST, crate::storage::Which::Undeleted, ALL).unwrap();
    assert_eq!(by, [latest.id.unwrap()]);
    assert_eq!(code(service.delete_version(&subject("inner"), LATEST, false).await), 42206);
    assert_eq!(code(service.delete_subject(&subject("inner"), false).await), 42206);
    service.delete_subject(&subject("outer"), false).await.unwrap();
    service.delete_subject(&subject("inner"), false).await.unwrap();
    assert_eq!(code(service.delete_subject(&subject("inner"), true).await), 42206);
}

#[tokio::test]
async fn an_explicit_version_must_be_the_next_one() {
    let service = service();
    let with_version = |schema: &str, version: i32| SchemaRequest { version: Some(version), ..request(schema) };
    let options = RegisterOptions::default();
    assert_eq!(code(service.register(&subject("s"), with_version(INT, 2), options).await), 42201);
    assert_eq!(service.register(&subject("s"), with_version(INT, 1), options).await.unwrap().version, Some(1));
    assert_eq!(service.register(&subject("s"), with_version(INT, 1), options).await.unwrap().version, Some(1));
}

#[tokio::test]
async fn look_up_finds_what_is_registered() {
    let service = service();
    register(&service, "s", INT).await.unwrap();
    let found = look_up(&service, "s", &request(r#"{"type":"int"}"#)).unwrap();
    assert_eq!((found.version, found.id, found.subject.as_deref()), (Some(1), Some(1), Some("s")));
    assert_eq!(code(look_up(&service, "s", &request(STRING))), 40403);
    assert_eq!(code(look_up(&service, "t", &request(STRING))), 40401);
    assert_eq!(code(look_up(&service, "s", &request("{"))), 42201);
}

#[tokio::test]
async fn what_was_accepted_once_is_found_again_however_strict_the_registry_became() {
    let service = service();
    configure(&service, &scope("s"), json!({"validateNewSchemas": false})).await.unwrap();
    let sloppy = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#;
    assert_eq!(registered(&service, "s", sloppy).await, (1, 1));
    configure(&service, &scope("s"), json!({"validateNewSchemas": true})).await.unwrap();
    assert_eq!(look_up(&service, "s", &request(sloppy)).unwrap().version, Some(1));
    assert_eq!(registered(&service, "s", sloppy).await, (1, 1));
    assert_eq!(code(register(&service, "t", sloppy).await), 42201);
}

#[tokio::test]
async fn a_missing_reference_is_an_error_also_where_the_parser_s_words_would_be_an_answer() {
    let service = service();
    let referring = request_json(json!({
        "schema": r#"{"type":"record","name":"Outer","fields":[{"name":"i","type":"Inner"}]}"#,
        "references": [{"name": "Inner", "subject": "gone", "version": 1}],
    }));
    for verbose in [false, true] {
        assert_eq!(code(service.compatibility_with(&subject("s"), LATEST, &referring, false, verbose)), 42201);
    }
}

#[tokio::test]
async fn concurrent_registrations_leave_no_gap() {
    let service = std::sync::Arc::new(service());
    set_level(&service, "s", "NONE").await;
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let service = service.clone();
            tokio::spawn(async move {
                let name = number % 10;
                registered(&service, "s", &format!(r#"{{"type":"fixed","name":"F{name}","size":1}}"#)).await
            })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for task in tasks {
        seen.insert(task.await.unwrap());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (1..=10).map(|number| (number, number)).collect::<Vec<_>>());
}
