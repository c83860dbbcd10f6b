//! Each rule of evolution with changes that pass and changes that do not.

use super::*;

fn findings(old: &str, update: &str, policy: CompatibilityPolicy) -> Vec<String> {
    let found = new(update).incompatibilities(&new(old), policy);
    found.iter().map(|finding| format!("{} {}", finding.error_type, finding.location)).collect()
}

/// Rows of an old schema, a new one, and the first finding of the strict policy, empty when there is none.
fn check(rows: &[(&str, &str, &str)]) {
    for (old, update, expected) in rows {
        let found = findings(old, update, CompatibilityPolicy::Strict);
        assert_eq!(found.first().map_or("", String::as_str), *expected, "{old} -> {update}\n{found:?}");
        assert_eq!(found.is_empty(), expected.is_empty());
    }
}

#[test]
fn kinds() {
    check(&[
        ("{}", "{}", ""),
        (r#"{"type":"string"}"#, "{}", ""),
        (r#"{"type":"string"}"#, "true", ""),
        ("{}", r#"{"type":"string"}"#, "TYPE_CHANGED #/"),
        ("false", r#"{"type":"string"}"#, ""),
        (r#"{"type":"string"}"#, "false", "TYPE_CHANGED #/"),
        (r#"{"type":"string"}"#, r#"{"type":"number"}"#, "TYPE_CHANGED #/"),
        (r#"{"type":"integer"}"#, r#"{"type":"number"}"#, ""),
        (r#"{"type":"number"}"#, r#"{"type":"integer"}"#, "TYPE_NARROWED #/"),
        (r#"{"type":"null"}"#, r#"{"type":"boolean"}"#, "TYPE_CHANGED #/"),
        (r#"{"type":"string","connect.type":"bytes"}"#, r#"{"type":"number","connect.type":"bytes"}"#, ""),
        (r#"{"title":"a","description":"b","default":1}"#, r#"{"title":"c","$id":"http://x/y"}"#, ""),
    ]);
}

#[test]
fn strings() {
    check(&[
        (r#"{"type":"string","maxLength":3}"#, r#"{"type":"string","maxLength":4}"#, ""),
        (r#"{"type":"string","maxLength":3}"#, r#"{"type":"string"}"#, ""),
        (
            r#"{"type":"string","maxLength":3}"#,
            r#"{"type":"string","maxLength":2}"#,
            "MAX_LENGTH_DECREASED #/maxLength",
        ),
        (r#"{"type":"string"}"#, r#"{"type":"string","maxLength":2}"#, "MAX_LENGTH_ADDED #/maxLength"),
        (r#"{"type":"string","minLength":3}"#, r#"{"type":"string","minLength":2}"#, ""),
        (r#"{"type":"string","minLength":3}"#, r#"{"type":"string"}"#, ""),
        (
            r#"{"type":"string","minLength":3}"#,
            r#"{"type":"string","minLength":4}"#,
            "MIN_LENGTH_INCREASED #/minLength",
        ),
        (r#"{"type":"string"}"#, r#"{"type":"string","minLength":2}"#, "MIN_LENGTH_ADDED #/minLength"),
        (r#"{"type":"string","pattern":"a"}"#, r#"{"type":"string"}"#, ""),
        (r#"{"type":"string"}"#, r#"{"type":"string","pattern":"a"}"#, "PATTERN_ADDED #/pattern"),
        (r#"{"type":"string","pattern":"b"}"#, r#"{"type":"string","pattern":"a"}"#, "PATTERN_CHANGED #/pattern"),
        (r#"{"type":"string"}"#, r#"{"type":"string","format":"date"}"#, ""),
    ]);
}

#[test]
fn numbers() {
    check(&[
        (r#"{"type":"number","maximum":3}"#, r#"{"type":"number","maximum":4}"#, ""),
        (r#"{"type":"number","maximum":3}"#, r#"{"type":"number"}"#, ""),
        (r#"{"type":"number","maximum":3}"#, r#"{"type":"number","maximum":3.0}"#, ""),
        (r#"{"type":"number","maximum":3}"#, r#"{"type":"number","maximum":2}"#, "MAXIMUM_DECREASED #/maximum"),
        (r#"{"type":"number"}"#, r#"{"type":"number","maximum":2}"#, "MAXIMUM_ADDED #/maximum"),
        (r#"{"type":"number","minimum":3}"#, r#"{"type":"number","minimum":2}"#, ""),
        (r#"{"type":"number","minimum":3}"#, r#"{"type":"number","minimum":4}"#, "MINIMUM_INCREASED #/minimum"),
        (r#"{"type":"number"}"#, r#"{"type":"number","minimum":4}"#, "MINIMUM_ADDED #/minimum"),
        (
            r#"{"type":"number","exclusiveMaximum":3}"#,
            r#"{"type":"number","exclusiveMaximum":2}"#,
            "EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum",
        ),
        (r#"{"type":"number","exclusiveMaximum":3}"#, r#"{"type":"number","exclusiveMaximum":4}"#, ""),
        (
            r#"{"type":"number","exclusiveMinimum":3}"#,
            r#"{"type":"number","exclusiveMinimum":4}"#,
            "EXCLUSIVE_MINIMUM_INCREASED #/exclusiveMinimum",
        ),
        (r#"{"type":"number","exclusiveMinimum":3}"#, r#"{"type":"number"}"#, ""),
        (r#"{"type":"number","multipleOf":0.3}"#, r#"{"type":"number","multipleOf":0.1}"#, ""),
        (r#"{"type":"number","multipleOf":0.5}"#, r#"{"type":"number","multipleOf":0.50}"#, ""),
        (r#"{"type":"number","multipleOf":2}"#, r#"{"type":"number"}"#, ""),
        (
            r#"{"type":"number","multipleOf":2}"#,
            r#"{"type":"number","multipleOf":4}"#,
            "MULTIPLE_OF_EXPANDED #/multipleOf",
        ),
        (
            r#"{"type":"number","multipleOf":2}"#,
            r#"{"type":"number","multipleOf":3}"#,
            "MULTIPLE_OF_CHANGED #/multipleOf",
        ),
        (r#"{"type":"number"}"#, r#"{"type":"number","multipleOf":3}"#, "MULTIPLE_OF_ADDED #/multipleOf"),
    ]);
}

#[test]
fn enums_constants_and_opposites() {
    check(&[
        (r#"{"enum":["a"]}"#, r#"{"enum":["b","a"]}"#, ""),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["b","a"]}"#, ""),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["a"]}"#, "ENUM_ARRAY_NARROWED #/enum"),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["a","c"]}"#, "ENUM_ARRAY_CHANGED #/enum"),
        (r#"{"type":"string","enum":["a"]}"#, r#"{"type":"string","enum":["a","b"]}"#, ""),
        (r#"{"type":"string","enum":["a"]}"#, r#"{"type":"string"}"#, ""),
        (r#"{"const":1}"#, r#"{"const":1}"#, ""),
        (r#"{"const":1}"#, r#"{"const":2}"#, "ENUM_ARRAY_CHANGED #/const"),
        (r#"{"not":{"type":"number"}}"#, r#"{"not":{"type":"integer"}}"#, ""),
        (r#"{"not":{"type":"integer"}}"#, r#"{"not":{"type":"number"}}"#, "NOT_TYPE_EXTENDED #/not"),
    ]);
}

/// Object schemas: `p` is an optional property, and the content model is open or closed.
fn object(body: &str) -> String {
    format!(r#"{{"type":"object",{body}}}"#)
}

#[test]
fn properties_under_each_content_model() {
    let closed = r#""additionalProperties":false"#;
    let covered = r#""additionalProperties":{"type":"string"}"#;
    let a = r#""a":{"type":"string"}"#;
    let strict_and_lenient = |old: &str, update: &str, strict: &str, lenient: &str| {
        let (old, update) = (object(old), object(update));
        for (policy, expected) in [(CompatibilityPolicy::Strict, strict), (CompatibilityPolicy::Lenient, lenient)] {
            let found = findings(&old, &update, policy);
            assert_eq!(found.first().map_or("", String::as_str), expected, "{policy:?} {old} -> {update}\n{found:?}");
        }
    };
    let with = |properties: &str, rest: &str| format!(r#""properties":{{{properties}}},{rest}"#);
    let open = r#""title":"t""#;
    // Removed.
    strict_and_lenient(&with(a, open), &with("", open), "", "");
    strict_and_lenient(&with(a, covered), &with("", covered), "", "");
    let number = r#""a":{"type":"number"}"#;
    strict_and_lenient(
        &with(number, covered),
        &with("", covered),
        "TYPE_CHANGED #/properties/a",
        "TYPE_CHANGED #/properties/a",
    );
    strict_and_lenient(
        &with(a, closed),
        &with("", closed),
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/a",
        "",
    );
    strict_and_lenient(&with(r#""a":false"#, closed), &with("", closed), "", "");
    // Added.
    strict_and_lenient(
        &with("", open),
        &with(a, open),
        "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a",
        "",
    );
    strict_and_lenient(&with("", open), &with(r#""a":{}"#, open), "", "");
    let required = r#""required":["a"]"#;
    let added = "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a";
    strict_and_lenient(&with("", open), &with(a, required), added, added);
    let default = r#""a":{"type":"string","default":"x"}"#;
    let added = "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a";
    strict_and_lenient(&with("", open), &with(default, required), added, "");
    strict_and_lenient(&with("", closed), &with(a, closed), "", "");
    let required_closed = &format!("{required},{closed}");
    let added = "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a";
    strict_and_lenient(&with("", closed), &with(a, required_closed), added, added);
    strict_and_lenient(&with("", closed), &with(default, required_closed), "", "");
    strict_and_lenient(&with("", covered), &with(a, covered), "", "");
    strict_and_lenient(
        &with("", covered),
        &with(number, covered),
        "TYPE_CHANGED #/properties/a",
        "TYPE_CHANGED #/properties/a",
    );
    let pattern = r#""patternProperties":{"^a":{"type":"string"}},"additionalProperties":false"#;
    strict_and_lenient(&with("", pattern), &with(a, pattern), "", "");
    let b = r#""b":{"type":"string"}"#;
    strict_and_lenient(
        &with(b, pattern),
        &with("", pattern),
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b",
        "",
    );
    // The content model itself.
    strict_and_lenient(&with(a, closed), &with(a, open), "", "");
    strict_and_lenient(&with(a, open), &with(a, closed), "ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties", "");
    strict_and_lenient(&with(a, open), &with(a, covered), "ADDITIONAL_PROPERTIES_NARROWED #/additionalProperties", "");
    strict_and_lenient(&with(a, covered), &with(a, open), "", "");
}

#[test]
fn objects() {
    check(&[
        (
            r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#,
            r#"{"type":"object","properties":{"a":{}}}"#,
            "",
        ),
        (
            r#"{"type":"object","properties":{"a":{}}}"#,
            r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#,
            "REQUIRED_ATTRIBUTE_ADDED #/required/a",
        ),
        (
            r#"{"type":"object","properties":{"a":{}}}"#,
            r#"{"type":"object","properties":{"a":{"default":1}},"required":["a"]}"#,
            "",
        ),
        (
            r#"{"properties":{"a":{"type":"string"}}}"#,
            r#"{"properties":{"a":{"type":"null"}}}"#,
            "TYPE_CHANGED #/properties/a",
        ),
        (r#"{"maxProperties":3}"#, r#"{"maxProperties":4}"#, ""),
        (r#"{"maxProperties":3}"#, r#"{"maxProperties":2}"#, "MAX_PROPERTIES_DECREASED #/maxProperties"),
        (r#"{"minProperties":3}"#, r#"{"minProperties":4}"#, "MIN_PROPERTIES_INCREASED #/minProperties"),
        (r#"{"minProperties":3}"#, r#"{"type":"object"}"#, ""),
        (r#"{"dependencies":{"a":["b","c"]}}"#, r#"{"dependencies":{"a":["b"]}}"#, ""),
        (r#"{"dependencies":{"a":["b"]}}"#, r#"{"type":"object"}"#, ""),
        (
            r#"{"dependencies":{"a":["b"]}}"#,
            r#"{"dependencies":{"a":["c","b"]}}"#,
            "DEPENDENCY_ARRAY_EXTENDED #/dependencies/a",
        ),
        (
            r#"{"dependencies":{"a":["b"]}}"#,
            r#"{"dependencies":{"a":["c"]}}"#,
            "DEPENDENCY_ARRAY_CHANGED #/dependencies/a",
        ),
        (r#"{"type":"object"}"#, r#"{"dependencies":{"a":["c"]}}"#, "DEPENDENCY_ARRAY_ADDED #/dependencies/a"),
        (r#"{"type":"object"}"#, r#"{"dependencies":{"a":{}}}"#, "DEPENDENCY_SCHEMA_ADDED #/dependencies/a"),
        (r#"{"dependencies":{"a":{}}}"#, r#"{"type":"object"}"#, ""),
    ]);
}

#[test]
fn unevaluated_members_of_2019_and_later() {
    let schema = |body: &str| format!(r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema",{body}}}"#);
    for (old, update, expected) in [
        (r#""type":"object","unevaluatedProperties":false"#, r#""type":"object""#, ""),
        (
            r#""type":"object""#,
            r#""type":"object","unevaluatedProperties":false"#,
            "UNEVALUATED_PROPERTIES_REMOVED #/unevaluatedProperties",
        ),
        (
            r#""type":"object","unevaluatedProperties":false"#,
            r#""type":"object","unevaluatedProperties":false,"properties":{"a":{"type":"string"}}"#,
            "",
        ),
        (r#""type":"array","unevaluatedItems":{"type":"number"}"#, r#""type":"array""#, ""),
        (
            r#""type":"array""#,
            r#""type":"array","unevaluatedItems":{"type":"number"}"#,
            "UNEVALUATED_ITEMS_NARROWED #/unevaluatedItems",
        ),
        (
            r#""type":"array","prefixItems":[{"type":"string"}],"items":false"#,
            r#""type":"array","prefixItems":[{"type":"string"},{"type":"number"}],"items":false"#,
            "",
        ),
        (
            r#""type":"array","prefixItems":[{"type":"string"}]"#,
            r#""type":"array","prefixItems":[{"type":"string"},{"type":"number"}]"#,
            "ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1",
        ),
        (r#""dependentRequired":{"a":["b"]}"#, r#""type":"object""#, ""),
        (r#""type":"object""#, r#""dependentSchemas":{"a":{}}"#, "DEPENDENCY_SCHEMA_ADDED #/dependencies/a"),
        (
            r#""contains":{},"maxContains":3"#,
            r#""contains":{},"maxContains":2"#,
            "MAX_CONTAINS_DECREASED #/maxContains",
        ),
        (r##""$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}"##, r#""type":"string""#, ""),
        (
            r##""$ref":"#/$defs/a","maxLength":3,"$defs":{"a":{"type":"string"}}"##,
            r##""$ref":"#/$defs/a","maxLength":2,"$defs":{"a":{"type":"string"}}"##,
            "COMBINED_TYPE_SUBSCHEMAS_CHANGED #/",
        ),
    ] {
        let found = findings(&schema(old), &schema(update), CompatibilityPolicy::Strict);
        assert_eq!(found.first().map_or("", String::as_str), expected, "{old} -> {update}\n{found:?}");
    }
}

#[test]
fn arrays() {
    check(&[
        (r#"{"items":{"type":"integer"}}"#, r#"{"items":{"type":"number"}}"#, ""),
        (r#"{"items":{"type":"number"}}"#, r#"{"items":{"type":"integer"}}"#, "TYPE_NARROWED #/items"),
        (r#"{"type":"array"}"#, r#"{"items":{"type":"integer"}}"#, "SCHEMA_ADDED #/items"),
        (r#"{"items":{"type":"integer"}}"#, r#"{"type":"array"}"#, ""),
        (r#"{"items":[{}],"additionalItems":false}"#, r#"{"items":[{},{"type":"null"}],"additionalItems":false}"#, ""),
        (r#"{"items":[{}]}"#, r#"{"items":[{},{"type":"null"}]}"#, "ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1"),
        (r#"{"items":[{}]}"#, r#"{"items":[{},{}]}"#, ""),
        (r#"{"items":[{},{"type":"null"}]}"#, r#"{"items":[{}]}"#, ""),
        (
            r#"{"items":[{},{"type":"null"}],"additionalItems":false}"#,
            r#"{"items":[{}],"additionalItems":false}"#,
            "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1",
        ),
        (
            r#"{"items":[{}],"additionalItems":{"type":"null"}}"#,
            r#"{"items":[{},{"type":"null"}],"additionalItems":{"type":"null"}}"#,
            "",
        ),
        (
            r#"{"items":[{}]}"#,
            r#"{"items":[{}],"additionalItems":false}"#,
            "ADDITIONAL_ITEMS_REMOVED #/additionalItems",
        ),
        (r#"{"items":[{}],"additionalItems":false}"#, r#"{"items":[{}]}"#, ""),
        (r#"{"maxItems":3}"#, r#"{"maxItems":2}"#, "MAX_ITEMS_DECREASED #/maxItems"),
        (r#"{"minItems":3}"#, r#"{"minItems":2}"#, ""),
        (r#"{"uniqueItems":true}"#, r#"{"type":"array"}"#, ""),
        (r#"{"type":"array"}"#, r#"{"uniqueItems":true}"#, "UNIQUE_ITEMS_ADDED #/uniqueItems"),
    ]);
}

#[test]
fn combinations() {
    check(&[
        (r#"{"type":"string"}"#, r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#, ""),
        (r#"{"type":"string"}"#, r#"{"type":["string","null"]}"#, ""),
        (r#"{"type":["string","null"]}"#, r#"{"type":"string"}"#, "TYPE_CHANGED #/"),
        (r#"{"type":["null","string"]}"#, r#"{"type":["string","null"]}"#, ""),
        (r#"{"type":["string","null"],"maxLength":3}"#, r#"{"type":["string","null"],"maxLength":4}"#, ""),
        (r#"{"type":"string"}"#, r#"{"allOf":[{"type":"string"}]}"#, ""),
        (r#"{"type":"string"}"#, r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#, "TYPE_CHANGED #/"),
        (r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#, r#"{"type":"string"}"#, ""),
        (r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#, r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, ""),
        (
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#,
            "COMBINED_TYPE_CHANGED #/",
        ),
        (
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"oneOf":[{"type":"null"},{"type":"boolean"},{"type":"string"}]}"#,
            "",
        ),
        (
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"oneOf":[{"type":"string"}]}"#,
            "SUM_TYPE_NARROWED #/",
        ),
        (
            r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#,
            r#"{"allOf":[{"type":"string"},{"maxLength":3},{"pattern":"a"}]}"#,
            "PRODUCT_TYPE_EXTENDED #/",
        ),
        (
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"oneOf":[{"type":"string"},{"type":"boolean"}]}"#,
            "COMBINED_TYPE_SUBSCHEMAS_CHANGED #/",
        ),
        (
            r#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#,
            r#"{"oneOf":[{"type":"number"},{"type":"integer"}]}"#,
            "",
        ),
    ]);
}

#[test]
fn recursive_schemas_are_compared_to_the_end() {
    let tree = |value: &str| {
        format!(
            r##"{{"$ref":"#/definitions/t","definitions":{{"t":{{"type":"object","properties":{{
            "l":{{"$ref":"#/definitions/t"}},"r":{{"oneOf":[{{"type":"null"}},{{"$ref":"#/definitions/t"}}]}},"v":{value}}},
            "additionalProperties":false}}}}}}"##
        )
    };
    let integer = tree(r#"{"type":"integer"}"#);
    assert_eq!(findings(&integer, &tree(r#"{"type":"number"}"#), CompatibilityPolicy::Strict), Vec::<String>::new());
    let found = findings(&integer, &tree(r#"{"type":"string"}"#), CompatibilityPolicy::Strict);
    assert!(found.contains(&"TYPE_CHANGED #/properties/v".to_owned()), "{found:?}");
    assert!(found.contains(&"COMBINED_TYPE_SUBSCHEMAS_CHANGED #/properties/r".to_owned()), "{found:?}");
}

#[test]
fn references_are_compared_by_what_they_name() {
    let text = r#"{"properties":{"a":{"$ref":"other.json"}}}"#;
    let with =
        |other: &str| JsonSchema::parse(text, &[reference("other.json", other)], &ParseOptions::NEW).expect("valid");
    let old = with(r#"{"type":"integer"}"#);
    assert_eq!(with(r#"{"type":"number"}"#).incompatibilities(&old, CompatibilityPolicy::Strict), []);
    let found = with(r#"{"type":"string"}"#).incompatibilities(&old, CompatibilityPolicy::Strict);
    assert_eq!(found[0].to_string().split(',').next(), Some(r#"{errorType:"TYPE_CHANGED""#));
    assert_eq!(found[0].location, "#/properties/a");
}

#[test]
fn comparisons_that_would_not_end_are_given_up() {
    let definitions = |last: &str| {
        let chain: String =
            (0..10_000).map(|n| format!(r##""d{n}":{{"items":{{"$ref":"#/definitions/d{}"}}}},"##, n + 1)).collect();
        format!(r##"{{"$ref":"#/definitions/d0","definitions":{{{chain}"d10000":{last}}}}}"##)
    };
    let long = definitions(r#"{"type":"string"}"#);
    let found = findings(&long, &definitions(r#"{"type":"null"}"#), CompatibilityPolicy::Strict);
    assert_eq!(found, ["COMPARISON_LIMIT_EXCEEDED #/"]);
    assert_eq!(findings(&long, &long, CompatibilityPolicy::Strict), Vec::<String>::new());

    // Every level has two branches that lead to the same next level.
    let wide = |last: &str| {
        let level = |n: usize| {
            let next = format!(r##"{{"$ref":"#/definitions/d{}"}}"##, n + 1);
            format!(r##""d{n}":{{"oneOf":[{{"items":{next}}},{{"type":"object","additionalProperties":{next}}}]}},"##)
        };
        let levels: String = (0..60).map(level).collect();
        format!(r##"{{"$ref":"#/definitions/d0","definitions":{{{levels}"d60":{last}}}}}"##)
    };
    let found = findings(&wide(r#"{"type":"integer"}"#), &wide(r#"{"type":"number"}"#), CompatibilityPolicy::Strict);
    assert_eq!(found, Vec::<String>::new());
    assert!(
        !findings(&wide(r#"{"type":"number"}"#), &wide(r#"{"type":"integer"}"#), CompatibilityPolicy::Strict)
            .is_empty()
    );
}

#[test]
fn each_draft_has_its_keywords() {
    let draft_4 = "http://json-schema.org/draft-04/schema#";
    let draft_6 = "http://json-schema.org/draft-06/schema#";
    let draft_7 = "https://json-schema.org/draft-07/schema";
    let of_2019 = "https://json-schema.org/draft/2019-09/schema";
    let of_2020 = "https://json-schema.org/draft/2020-12/schema";
    let all = [draft_4, draft_6, draft_7, of_2019, of_2020];
    let schema = |draft: &str, body: &str| format!(r#"{{"$schema":"{draft}",{body}}}"#);
    let check = |drafts: &[&str], old: &str, update: &str, expected: &str| {
        for draft in drafts {
            let found = findings(&schema(draft, old), &schema(draft, update), CompatibilityPolicy::Strict);
            assert_eq!(found.first().map_or("", String::as_str), expected, "{draft}: {old} -> {update}");
        }
    };
    let changed = "TYPE_CHANGED #/properties/a";
    check(&all, r#""properties":{"a":{"type":"string"}}"#, r#""properties":{"a":{"type":"null"}}"#, changed);
    check(&all, r#""type":"integer""#, r#""type":"number""#, "");
    // `const`, `if`, `contains` came one by one; where they are not known they say nothing.
    let exclusive = (r#""type":"number","exclusiveMaximum":3"#, r#""type":"number","exclusiveMaximum":2"#);
    check(&all[1..], exclusive.0, exclusive.1, "EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum");
    check(
        &[draft_4],
        r#""type":"number","maximum":3,"exclusiveMaximum":true"#,
        r#""type":"number","maximum":2,"exclusiveMaximum":true"#,
        "MAXIMUM_DECREASED #/maximum",
    );
    check(&[draft_4], r#""const":1"#, r#""const":2"#, "");
    check(&all[1..], r#""const":1"#, r#""const":2"#, "ENUM_ARRAY_CHANGED #/const");
    let condition = r#""type":"string","if":{"minLength":3},"then":{"pattern":"a"}"#;
    check(&[draft_4, draft_6], r#""type":"string""#, condition, "");
    check(&[draft_7, of_2019, of_2020], r#""type":"string""#, condition, "TYPE_CHANGED #/");
    // Beside a `$ref` nothing counted until 2019-09.
    let beside = |length: u8| {
        format!(
            r##""definitions":{{"d":{{"type":"string"}}}},"properties":{{"a":{{"$ref":"#/definitions/d","maxLength":{length}}}}}"##
        )
    };
    check(&all[..3], &beside(3), &beside(2), "");
    check(&all[3..], &beside(3), &beside(2), "COMBINED_TYPE_SUBSCHEMAS_CHANGED #/properties/a");
    // Tuples are spelled otherwise since 2020-12.
    let (tuple, longer) = (r#""items":[{"type":"string"}]"#, r#""items":[{"type":"string"},{"type":"null"}]"#);
    check(&all[..4], tuple, longer, "ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1");
    let (tuple, longer) = (tuple.replace("items", "prefixItems"), longer.replace("items", "prefixItems"));
    check(&[of_2020], &tuple, &longer, "ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1");
    check(
        &all[3..],
        r#""contains":{},"minContains":2"#,
        r#""contains":{},"minContains":3"#,
        "MIN_CONTAINS_INCREASED #/minContains",
    );
    check(&all[..3], r#""contains":{},"minContains":2"#, r#""contains":{},"minContains":3"#, "");
}
