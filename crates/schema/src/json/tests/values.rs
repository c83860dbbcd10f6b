//! Values are validated by draft, through references, and in bounded time.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

#[test]
fn values_are_held_to_the_schema_of_each_draft() {
    for schema in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = new(&format!(
            r#"{{"$schema":"{schema}","type":"object","properties":{{"a":{{"type":"string","pattern":"^x+$"}}}},"required":["a"]}}"#
        ));
        assert_eq!(schema.validate(&json!({"a": "xx"})), Ok(()));
        let error = schema.validate(&json!({"a": "y"})).expect_err("does not match");
        assert!(error.ends_with("at #/a"), "{error}");
        assert!(schema.validate(&json!({})).is_err());
        assert!(schema.validate(&json!([])).is_err());
    }
}

#[test]
fn references_are_followed_when_values_are_checked() {
    let text = r#"{"properties":{"a":{"$ref":"other.json#/definitions/s"}}}"#;
    let references = [reference("other.json", r#"{"definitions":{"s":{"type":"string"}}}"#)];
    let schema = JsonSchema::parse(text, &references, &ParseOptions::NEW).expect("valid");
    assert_eq!(schema.validate(&json!({"a": "s"})), Ok(()));
    assert!(schema.validate(&json!({"a": 1})).is_err());
}

#[test]
fn an_expression_that_explodes_ends_soon() {
    let started = Instant::now();
    for regex in ["^(a+)+$", "^(a|aa)+$", "^(?=(a+)+b)(a+)+$", r"^(a*)*\\1b$"] {
        let schema = JsonSchema::parse(&format!(r#"{{"pattern":"{regex}"}}"#), &[], &ParseOptions::STORED);
        let schema = schema.expect("an object");
        let _ = schema.validate(&json!("a".repeat(5_000) + "!"));
    }
    let huge = JsonSchema::parse(r#"{"pattern":"((a{1000}){1000}){1000}"}"#, &[], &ParseOptions::NEW);
    assert!(huge.is_err());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn deep_and_circular_schemas_neither_hang_nor_crash() {
    let deep = |levels| format!("{}{}{}", r#"{"properties":{"a":"#.repeat(levels), "{}", "}}".repeat(levels));
    let limit = document::DEPTH_MAX / 2 - 1;
    let schema = new(&deep(limit));
    assert_eq!(schema.validate(&json!({"a": {"a": 1}})), Ok(()));
    let changed = new(&deep(limit).replace("{}", r#"{"type":"string"}"#));
    assert_eq!(changed.incompatibilities(&schema, CompatibilityPolicy::Strict).len(), 1);
    assert_eq!(schema.tags(), []);
    let too_deep = JsonSchema::parse(&deep(10_000), &[], &ParseOptions::NEW);
    assert_eq!(too_deep.err(), Some(SchemaError::TooDeep { limit: document::DEPTH_MAX }));

    let items =
        format!("{}{{}}{}", r#"{"items":"#.repeat(document::DEPTH_MAX - 2), "}".repeat(document::DEPTH_MAX - 2));
    assert!(new(&items).validate(&json!([[[]]])).is_ok());

    for circular in [
        r##"{"$ref":"#"}"##,
        r##"{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}"##,
        r##"{"allOf":[{"$ref":"#"}]}"##,
        r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##,
    ] {
        let schema = new(circular);
        let _ = schema.validate(&json!({"next": {"next": {}}}));
        let other = new(&circular.replacen('{', r#"{"title":"t","#, 1));
        assert_eq!(other.incompatibilities(&schema, CompatibilityPolicy::Strict), [], "{circular}");
    }
    // Contradicts itself: whatever the answer, there is one.
    let schema = new(r##"{"not":{"$ref":"#"}}"##);
    let _ = new(r##"{"not":{"$ref":"#"},"title":"t"}"##).incompatibilities(&schema, CompatibilityPolicy::Strict);
}
