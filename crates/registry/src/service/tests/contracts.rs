//! Metadata, rules, GUIDs.

use serde_json::json;

use super::*;

async fn put(service: &Service, name: &str, body: serde_json::Value) -> Result<SchemaAnswer, Error> {
    service.register(&subject(name), request_json(body), RegisterOptions::default()).await
}

#[tokio::test]
async fn metadata_and_rules_are_part_of_a_schema_and_carried_over() {
    let service = service();
    register(&service, "s", INT).await.unwrap();
    let owned = put(&service, "s", json!({"schema": INT, "metadata": {"properties": {"owner": "a"}}})).await.unwrap();
    assert_eq!((owned.id, owned.version), (Some(2), Some(2)));
    // Without metadata in the request that of the latest version is taken.
    let long = register(&service, "s", r#""long""#).await.unwrap();
    assert_eq!(long.content.metadata.as_ref().unwrap().property("owner"), Some("a"));
    // Without a text that of the latest version is taken.
    let rules =
        json!({"domainRules": [{"name": "r", "kind": "CONDITION", "type": "CEL", "mode": "WRITE", "expr": "true"}]});
    let ruled = put(&service, "s", json!({"ruleSet": rules})).await.unwrap();
    assert_eq!((&*ruled.content.schema, ruled.version), (r#""long""#, Some(4)));
    assert_eq!(
        code(put(&service, "s", json!({"ruleSet": {"domainRules": [{"name": "1", "type": "CEL"}]}})).await),
        42210
    );
    let newest_of_a = service
        .schema_with_metadata(&subject("s"), &[("owner".to_owned(), "a".to_owned())], false, &Default::default())
        .unwrap();
    assert_eq!(newest_of_a.version, Some(4));
    let nobody = [("owner".to_owned(), "b".to_owned())];
    assert_eq!(code(service.schema_with_metadata(&subject("s"), &nobody, false, &Default::default())), 40402);
}

#[tokio::test]
async fn defaults_and_overrides_surround_the_request() {
    let service = service();
    let config = json!({
        "defaultMetadata": {"properties": {"team": "x", "owner": "default"}},
        "overrideMetadata": {"properties": {"checked": "yes"}},
    });
    service.set_config(&Scope::GLOBAL, config.as_object().unwrap()).await.unwrap();
    let answer =
        put(&service, "s", json!({"schema": INT, "metadata": {"properties": {"owner": "a", "checked": "no"}}}))
            .await
            .unwrap();
    let metadata = answer.content.metadata.as_ref().unwrap();
    let values = ["team", "owner", "checked"].map(|name| metadata.property(name));
    assert_eq!(values, [Some("x"), Some("a"), Some("yes")]);
}

#[tokio::test]
async fn only_versions_of_the_same_group_are_compared() {
    let service = service();
    let grouped = json!({"compatibilityGroup": "major"});
    service.set_config(&Scope::of(subject("s")).unwrap(), grouped.as_object().unwrap()).await.unwrap();
    let version = |schema: &str, major: &str| json!({"schema": schema, "metadata": {"properties": {"major": major}}});
    put(&service, "s", version(INT, "1")).await.unwrap();
    assert_eq!(code(put(&service, "s", version(STRING, "1")).await), 40901);
    put(&service, "s", version(STRING, "2")).await.unwrap();
    put(&service, "s", version(r#""long""#, "1")).await.unwrap();
    // A version of another group is no obstacle, whoever names it; without metadata that of the latest version counts.
    let check = |body: serde_json::Value, number| {
        let version = VersionSpec::Number(number);
        service.compatibility_with(&subject("s"), version, &request_json(body), false, false).unwrap().is_compatible
    };
    assert!(check(version(STRING, "2"), 1));
    assert!(!check(version(STRING, "1"), 1));
    assert!(!check(json!({"schema": STRING}), 1));
    assert!(check(json!({"schema": STRING}), 2), "the latest version is of group 1");
}

#[tokio::test]
async fn reserved_names_may_neither_be_used_nor_be_given_up() {
    let service = service();
    let texts = [
        ("AVRO", r#"{"type":"record","name":"R","fields":[{"name":"FIELD","type":"int"}]}"#),
        ("JSON", r#"{"type":"object","properties":{"FIELD":{}}}"#),
        ("PROTOBUF", r#"syntax = "proto3"; message M { int32 FIELD = 1; }"#),
    ];
    configure(&service, &Scope::GLOBAL, json!({"compatibility": "NONE"})).await.unwrap();
    for (schema_type, text) in texts {
        let body = |field: &str, reserved: &str| {
            let properties = json!({"confluent:reserved": reserved});
            json!({"schema": text.replace("FIELD", field), "schemaType": schema_type, "metadata": {"properties": properties}})
        };
        put(&service, schema_type, body("a", "a, b")).await.unwrap();
        configure(&service, &scope(schema_type), json!({"validateFields": true})).await.unwrap();
        let used = put(&service, schema_type, body("b", "a, b")).await.unwrap_err();
        assert_eq!(used.code(), 40901);
        let told = used.to_string();
        assert!(told.contains("RESERVED_PROPERTY_CONFLICTS_WITH_PROPERTY") && told.contains("'b'"), "{told}");
        assert!(told.contains("{validateFields: 'true', compatibility: 'NONE'}"), "{told}");
        let given_up = put(&service, schema_type, body("c", "a")).await.unwrap_err().to_string();
        assert!(given_up.contains("RESERVED_PROPERTY_REMOVED") && given_up.contains("'b'"), "{given_up}");
        put(&service, schema_type, body("c", "b,a,d")).await.unwrap();
    }
}

#[tokio::test]
async fn the_version_in_the_metadata_follows_the_version() {
    let service = service();
    let with_version = |schema: &str| json!({"schema": schema, "metadata": {"properties": {"confluent:version": "9"}}});
    let stored = |answer: &SchemaAnswer| {
        answer.content.metadata.as_ref().and_then(|metadata| metadata.property("confluent:version")).map(str::to_owned)
    };
    let first = put(&service, "s", with_version(INT)).await.unwrap();
    assert_eq!((first.version, stored(&first).as_deref()), (Some(1), Some("1")));
    assert_eq!(put(&service, "s", with_version(INT)).await.unwrap().version, Some(1));
    let second = put(&service, "s", with_version(r#""long""#)).await.unwrap();
    assert_eq!((second.version, stored(&second).as_deref()), (Some(2), Some("2")));
}

#[tokio::test]
async fn rules_of_the_configuration_surround_those_of_the_schema_and_are_checked() {
    let service = service();
    let rule = |name: &str, expr: &str| json!({"name": name, "type": "CEL", "expr": expr});
    let rules = |rules: serde_json::Value| json!({"domainRules": rules});
    let config = json!({
        "defaultRuleSet": rules(json!([rule("a", "default"), rule("b", "default")])),
        "overrideRuleSet": rules(json!([rule("c", "override")])),
    });
    configure(&service, &scope("s"), config).await.unwrap();
    let own = rules(json!([rule("b", "own"), rule("c", "own")]));
    let answer = put(&service, "s", json!({"schema": INT, "ruleSet": own})).await.unwrap();
    let merged = answer.content.rule_set.as_ref().unwrap();
    let told: Vec<_> =
        merged.rules().map(|rule| (rule.name.as_deref().unwrap(), rule.expr.as_deref().unwrap())).collect();
    assert_eq!(told, [("a", "default"), ("b", "own"), ("c", "override")]);
    let bad = json!({"defaultRuleSet": rules(json!([rule("1", "x")]))});
    assert_eq!(code(configure(&service, &scope("s"), bad).await), 42210);
    configure(&service, &scope("t"), json!({"validateRules": false})).await.unwrap();
    put(&service, "t", json!({"schema": INT, "ruleSet": rules(json!([rule("1", "x")]))})).await.unwrap();
}

#[tokio::test]
async fn a_guid_is_the_same_in_every_context() {
    let service = service();
    let first = register(&service, "s", STRING).await.unwrap();
    register(&service, ":.ctx:s", INT).await.unwrap();
    register(&service, ":.ctx:t", STRING).await.unwrap();
    let guid = first.content.guid().to_string();
    assert_eq!(service.ids_of_guid(&guid).unwrap(), json!([{"context": ".", "id": 1}, {"context": ".ctx", "id": 2}]));
    assert_eq!(&*service.schema_by_guid(&guid, &Default::default()).unwrap().content.schema, STRING);
    assert_eq!(code(service.schema_by_guid("x", &Default::default())), 40403);
}
