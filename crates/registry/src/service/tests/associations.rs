//! Links between topics and subjects.

use serde_json::{Value, json};

use super::*;
use crate::service::associations::{AssociationFilter, AssociationQuestion, AssociationRequest, Whose};

fn of(id: &str, entries: Value) -> AssociationRequest {
    let body =
        json!({"resourceName": "orders", "resourceNamespace": "lkc1", "resourceId": id, "associations": entries});
    serde_json::from_value(body).unwrap()
}

async fn create(service: &Service, id: &str, entry: Value) -> Result<Value, Error> {
    let answer = service.associate(".", of(id, json!([entry])), true, false).await?;
    Ok(serde_json::to_value(answer).unwrap())
}

async fn change(service: &Service, id: &str, entry: Value) -> Result<Value, Error> {
    let answer = service.associate(".", of(id, json!([entry])), false, false).await?;
    Ok(serde_json::to_value(answer).unwrap())
}

fn count(service: &Service, whose: Whose) -> usize {
    service.associations(&whose, &AssociationFilter::default(), ALL).len()
}

fn strong(name: &str) -> Value {
    json!({"subject": name, "associationType": "value", "lifecycle": "STRONG", "schema": {"schema": INT}})
}

#[tokio::test]
async fn associations_link_resources_to_subjects() {
    let service = service();
    let answer = create(&service, "t1", strong("o")).await.unwrap();
    let info = &answer["associations"][0];
    assert_eq!(
        (&info["subject"], &info["lifecycle"], &info["schema"]["version"]),
        (&json!("o"), &json!("STRONG"), &json!(1))
    );
    create(&service, "t1", strong("o")).await.unwrap();
    register(&service, "p", INT).await.unwrap();
    let other = json!({"subject": "p", "associationType": "value"});
    assert_eq!(code(create(&service, "t1", other.clone()).await), 40903);
    assert_eq!(count(&service, Whose::Subject(subject("o"))), 1);
    let changed = change(&service, "t1", other).await.unwrap();
    assert_eq!(changed["associations"][0]["lifecycle"], json!("STRONG"), "what is not named stays");
    assert_eq!(count(&service, Whose::Subject(subject("o"))), 0);
    for (namespace, found) in [("lkc1", 1), ("-", 1), ("other", 0)] {
        assert_eq!(count(&service, Whose::Resource(namespace.to_owned(), "orders".to_owned())), found);
    }
    service.dissociate("t1", &AssociationFilter::default(), false, false).await.unwrap();
    let gone = service.dissociate("t1", &AssociationFilter::default(), false, false).await.unwrap_err();
    assert_eq!((gone.code(), gone.to_string().as_str()), (40410, "Association for 't1' not found."));
}

#[tokio::test]
async fn a_strong_association_has_its_subject_for_itself() {
    let service = service();
    create(&service, "t1", strong("o")).await.unwrap();
    let weak = |name: &str| json!({"subject": name, "lifecycle": "WEAK", "schema": {"schema": INT}});
    assert_eq!(code(create(&service, "t2", weak("o")).await), 40905);
    create(&service, "t2", weak("w")).await.unwrap();
    create(&service, "t3", weak("w")).await.unwrap();
    assert_eq!(code(create(&service, "t4", strong("w")).await), 40904);
    service.dissociate("t1", &AssociationFilter::default(), true, false).await.unwrap();
    assert_eq!(code(service.versions(&subject("o"), crate::storage::Which::Undeleted, false, ALL)), 40401);
}

#[tokio::test]
async fn what_an_association_needs() {
    let service = service();
    assert_eq!(code(create(&service, "t", json!({"subject": "none"})).await), 40907);
    for wrong in
        [json!({"associationType": "header"}), json!({"lifecycle": "LONG"}), json!({"frozen": true, "subject": "x"})]
    {
        assert_eq!(code(create(&service, "t", wrong.clone()).await), 42212, "{wrong}");
    }
    assert_eq!(code(create(&service, "", json!({})).await), 42212);
    let nothing = of("t", json!([]));
    assert_eq!(code(service.associate(".", nothing, true, false).await), 42212);
    // By default the subject is the topic's in the context of its cluster.
    let frozen = json!({"frozen": true, "lifecycle": "STRONG", "schema": {"schema": INT}});
    let answer = create(&service, "t", frozen).await.unwrap();
    assert_eq!(answer["associations"][0]["subject"], json!(":.lkc1:orders-value"));
    assert_eq!(code(change(&service, "t", json!({"lifecycle": "WEAK"})).await), 40908);
    assert_eq!(code(service.dissociate("t", &AssociationFilter::default(), false, false).await), 40908);
    let mixed = json!([{"associationType": "key", "frozen": true}, {"frozen": false}]);
    assert_eq!(code(service.associate(".", of("u", mixed), true, false).await), 42212);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let service = service();
    let answer = service.associate(".", of("", json!([strong("o")])), true, true).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap()["associations"][0]["subject"], json!("o"));
    assert_eq!(count(&service, Whose::Subject(subject("o"))), 0);
    assert!(service.log().store().latest(&subject("o")).is_none());
}

#[tokio::test]
async fn batches_change_and_ask() {
    let service = service();
    let entry = |operation: &str, kind: &str| json!({"opType": operation, "associationType": kind, "subject": kind, "schema": {"schema": INT}});
    let both = of("t", json!([entry("CREATE", "key"), entry("UPSERT", "value")]));
    service.mutate_associations(".", both, false).await.unwrap();
    assert_eq!(count(&service, Whose::ResourceId("t".to_owned())), 2);
    let gone = of("t", json!([{"opType": "DELETE", "associationType": "key"}]));
    service.mutate_associations(".", gone, false).await.unwrap();
    let question = |body: Value| serde_json::from_value::<AssociationQuestion>(body).unwrap();
    let by_id = service.associations_of(&question(json!({"resourceId": "t"})), true).unwrap();
    let by_id = serde_json::to_value(by_id).unwrap();
    assert_eq!(by_id["resourceName"], json!("orders"));
    assert_eq!(by_id["associations"].as_array().unwrap().len(), 1);
    assert_eq!(by_id["associations"][0]["schema"]["schema"], json!(INT));
    let by_name = json!({"resourceName": "orders", "resourceNamespace": "-", "associationTypes": ["key"]});
    let by_name = serde_json::to_value(service.associations_of(&question(by_name), false).unwrap()).unwrap();
    assert_eq!(by_name, json!({"resourceName": "orders", "resourceNamespace": "-", "resourceType": "topic"}));
    assert_eq!(code(service.associations_of(&question(json!({})), false)), 42212);
}
