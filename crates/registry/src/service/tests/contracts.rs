//! Metadata, rules, GUIDs, associations.

use serde_json::json;

use super::*;
use crate::service::Scope;
use crate::service::associations::{AssociationFilter, AssociationRequest, Whose};

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

#[tokio::test]
async fn associations_link_resources_to_subjects() {
    let service = service();
    let associate = |id: &str, entry: serde_json::Value| -> AssociationRequest {
        let body =
            json!({"resourceName": "orders", "resourceNamespace": "lkc1", "resourceId": id, "associations": [entry]});
        serde_json::from_value(body).unwrap()
    };
    let strong = json!({"subject": "o", "associationType": "value", "lifecycle": "STRONG", "schema": {"schema": INT}});
    service.associate(".", associate("t1", strong.clone()), true, false).await.unwrap();
    service.associate(".", associate("t1", strong.clone()), true, false).await.unwrap();
    assert_eq!(code(service.associate(".", associate("t2", strong), true, false).await), 40906);
    let other = json!({"subject": "p", "associationType": "value"});
    assert_eq!(code(service.associate(".", associate("t1", other.clone()), true, false).await), 40904);
    let filter = AssociationFilter::default();
    let of = |whose: Whose| service.associations(&whose, &filter, ALL).len();
    assert_eq!(of(Whose::Subject(subject("o"))), 1);
    service.associate(".", associate("t1", other), false, false).await.unwrap();
    assert_eq!((of(Whose::Subject(subject("o"))), of(Whose::ResourceId("t1".to_owned()))), (0, 1));
    assert_eq!(of(Whose::Resource("lkc1".to_owned(), "orders".to_owned())), 1);
    service.dissociate("t1", &filter, false, false).await.unwrap();
    assert_eq!(code(service.dissociate("t1", &filter, false, false).await), 40410);
}
