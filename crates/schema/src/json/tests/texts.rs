//! Canonical text, normal form, inline tags, and what is not a schema.

use super::*;
use crate::TaggedEntity;

#[test]
fn the_canonical_text_is_compact_and_keeps_order_and_digits() {
    for (text, canonical) in [
        ("{ \"b\" : [ 1 , { } ] ,\n \"a\" : null }", r#"{"b":[1,{}],"a":null}"#),
        (r#"{"maximum":123456789012345678901234567890}"#, r#"{"maximum":123456789012345678901234567890}"#),
        (r#"{"maximum":1.50}"#, r#"{"maximum":1.50}"#),
        (r#"{"maximum":1e2}"#, r#"{"maximum":1E+2}"#),
        (r#"{"maximum":1.5E-3}"#, r#"{"maximum":0.0015}"#),
        (r#"{"maximum":0.00000010}"#, r#"{"maximum":1.0E-7}"#),
        (r#"{"maximum":-0.5}"#, r#"{"maximum":-0.5}"#),
        (r#"{"maximum":-0}"#, r#"{"maximum":0}"#),
        (r#"{"maximum":12.5e1}"#, r#"{"maximum":125}"#),
        (r#"{"title":"\u00e9\u0001\/"}"#, "{\"title\":\"é\\u0001/\"}"),
        (" true ", "true"),
    ] {
        let schema = JsonSchema::parse(text, &[], &ParseOptions::STORED).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(schema.canonical(), canonical);
        let again = JsonSchema::parse(canonical, &[], &ParseOptions::STORED).expect("canonical texts parse");
        assert_eq!(again.canonical(), canonical, "a canonical text is its own canonical text");
    }
}

#[test]
fn the_normal_form_sorts_members_at_every_level() {
    let schema =
        new(r#"{"type":"object","properties":{"b":{"type":"string","maxLength":3},"a":{"enum":[{"z":1,"y":2}]}}}"#);
    let normal = r#"{"properties":{"a":{"enum":[{"y":2,"z":1}]},"b":{"maxLength":3,"type":"string"}},"type":"object"}"#;
    assert_eq!(schema.normalized(), normal);
    assert_eq!(new(normal).normalized(), normal);
}

#[test]
fn what_is_not_a_schema_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "line 1"),
        ("{", "line 1"),
        ("1", "expected an object or a boolean, found: number"),
        ("[]", "expected an object or a boolean, found: array"),
        (r#"{"type":"foo"}"#, "at #/type"),
        (r#"{"properties":[]}"#, "at #/properties"),
        (r#"{"properties":{"a":{"minLength":"x"}}}"#, "at #/properties/a/minLength"),
        (r#"{"properties":{"a":{"required":"x"}}}"#, "at #/properties/a/required"),
        (r##"{"$ref":"#/definitions/gone"}"##, "$ref '#/definitions/gone' cannot be resolved"),
        (r#"{"$ref":"http://example.com/other.json"}"#, "nothing is fetched from the network"),
        (r#"{"pattern":"["}"#, "'[' is not a regular expression"),
        (r#"{"patternProperties":{"(":{}}}"#, "'(' is not a regular expression"),
    ] {
        let error = JsonSchema::parse(text, &[], &ParseOptions::NEW).map(|_| ()).expect_err(text);
        assert!(error.to_string().contains(expected), "{text}\n{error}");
    }
}

#[test]
fn what_other_registries_accept_is_accepted() {
    for text in [
        r#"{"type":"object","properties":{"a":{"type":"string","required":true}}}"#,
        r#"{"type":"string","minLength":-1}"#,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","required":[],"enum":[]}"#,
        r#"{"items":{"type":"string","items":1}}"#,
        r#"{"type":"object","unknown":{"type":5}}"#,
        r#"{"patternProperties":{"^\\p{Alpha}":{}}}"#,
    ] {
        new(text);
    }
}

#[test]
fn a_stored_schema_is_read_even_where_it_breaks_rules() {
    for text in [r#"{"type":"foo"}"#, r##"{"$ref":"#/definitions/gone"}"##, r#"{"pattern":"["}"#] {
        assert!(JsonSchema::parse(text, &[], &ParseOptions::STORED).is_ok(), "{text}");
    }
}

#[test]
fn reserved_property_names_are_refused_on_demand() {
    let text = r#"{"properties":{"$$a":{}}}"#;
    let checked = ParseOptions { strict: true, validate_fields: true };
    assert!(JsonSchema::parse(text, &[], &checked).is_err());
    assert!(JsonSchema::parse(text, &[], &ParseOptions::NEW).is_ok());
}

#[test]
fn references_are_found_by_name_identifier_pointer_and_anchor() {
    let other = r##"{"$id":"http://x.org/s/other.json","definitions":{"a b":{"type":"string"},"at":{"$id":"#spot","type":"null"}}}"##;
    for (text, name) in [
        (r#"{"$ref":"other.json"}"#, "other.json"),
        (r#"{"$ref":"./other.json"}"#, "other.json"),
        (r#"{"$ref":"other.json"}"#, "./other.json"),
        (r#"{"$ref":"other.json#/definitions/a%20b"}"#, "other.json"),
        (r#"{"$ref":"other.json#/$defs/a%20b"}"#, "other.json"),
        (r#"{"$ref":"other.json#spot"}"#, "other.json"),
        (r#"{"$id":"http://x.org/s/main.json","properties":{"p":{"$ref":"other.json"}}}"#, "http://x.org/s/other.json"),
        (r#"{"$id":"http://x.org/t/main.json","properties":{"p":{"$ref":"../s/other.json"}}}"#, "anything"),
        (r#"{"$ref":"http://x.org/s/other.json"}"#, "http://x.org/s/other.json"),
    ] {
        let result = JsonSchema::parse(text, &[reference(name, other)], &ParseOptions::NEW);
        assert!(result.is_ok(), "{text} with {name}: {:?}", result.err());
    }
    for text in [
        r##"{"$ref":"#/$defs/a","definitions":{"a":{}}}"##,
        r##"{"$ref":"#/definitions/a","$defs":{"a":{}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#here","$defs":{"a":{"$anchor":"here"}}}"##,
        r##"{"$schema":"http://json-schema.org/draft-04/schema#","id":"http://a/b","$ref":"c","definitions":{"a":{"id":"c"}}}"##,
        r##"{"$ref":"#"}"##,
        r#"{"$ref":"http://json-schema.org/draft-07/schema#"}"#,
    ] {
        new(text);
    }
}

fn tag(path: &str, entity_type: &str, tags: &[&str]) -> SchemaTag {
    SchemaTag {
        entity: TaggedEntity { path: path.to_owned(), entity_type: entity_type.to_owned() },
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    }
}

#[test]
fn inline_tags_are_found_added_and_removed() {
    let schema =
        new(r#"{"type":"object","confluent:tags":["REC"],"properties":{"a":{"type":"string","confluent:tags":["PII"]},
        "b":{"type":"array","items":{"type":"object","properties":{"c.d":{"confluent:tags":["X","Y"]}}}},
        "e":{"oneOf":[{"type":"null"},{"type":"object","properties":{"f":{}}}]}}}"#);
    let found = [
        tag("object", "SR_RECORD", &["REC"]),
        tag("object.a", "SR_FIELD", &["PII"]),
        tag("object.b.array.object.c.d", "SR_FIELD", &["X", "Y"]),
    ];
    assert_eq!(schema.tags(), found);
    let add = [tag("object.e.oneof.1.object.f", "SR_FIELD", &["NEW"]), tag("object.a", "SR_FIELD", &["PII", "TWO"])];
    let remove = [tag("object", "SR_RECORD", &["REC"]), tag("object.b.array.object.c.d", "SR_FIELD", &["X"])];
    let edited = new(&schema.with_tags(&TagEdit { add: &add, remove: &remove }).expect("all of them exist"));
    let expected = [
        tag("object.a", "SR_FIELD", &["PII", "TWO"]),
        tag("object.b.array.object.c.d", "SR_FIELD", &["Y"]),
        tag("object.e.oneof.1.object.f", "SR_FIELD", &["NEW"]),
    ];
    assert_eq!(edited.tags(), expected);
    let missing = [tag("object.nothing", "SR_FIELD", &["T"])];
    assert!(schema.with_tags(&TagEdit { add: &missing, remove: &[] }).is_err());
}

#[test]
fn the_record_name_is_the_title() {
    assert_eq!(new(r#"{"title":"T"}"#).record_name().as_deref(), Some("T"));
    assert_eq!(new("{}").record_name(), None);
}
