//! Each rule of evolution with a change that passes and one that does not.

use super::*;

/// The findings of `new` reading what `old` wrote, as `TYPE path`.
fn findings(old: &str, new: &str) -> Vec<String> {
    let parse = |text: &str| stored(&format!("syntax = \"proto3\";\n{text}"));
    listed(&parse(old), &parse(new))
}

fn listed(old: &ProtobufSchema, new: &ProtobufSchema) -> Vec<String> {
    let found = new.incompatibilities(old, CompatibilityPolicy::Strict);
    for finding in &found {
        assert!(finding.description.contains(&finding.location), "{finding}");
    }
    found.iter().map(|finding| format!("{} {}", finding.error_type, finding.location)).collect()
}

#[test]
fn messages_and_enums() {
    for (old, new, expected) in [
        ("message A {}", "message A {} message B {}", None),
        ("message A {} message B {}", "message B {} message A {}", None),
        ("message A {} message B {}", "message A {}", Some("MESSAGE_REMOVED #/B")),
        ("message A { message B {} }", "message A {}", Some("MESSAGE_REMOVED #/A/B")),
        ("package a; message A {}", "package b; message A {}", Some("PACKAGE_CHANGED #/")),
        ("enum E { X = 0; }", "message A {}", None),
        ("enum E { X = 0; Y = 1; }", "enum E { Z = 0; }", None),
    ] {
        assert_eq!(findings(old, new).first().map(String::as_str), expected, "{old} -> {new}");
    }
}

#[test]
fn fields() {
    for (old, new, expected) in [
        ("", "int32 a = 1;", None),
        ("int32 a = 1;", "", None),
        ("int32 a = 1;", "int32 b = 1;", None),
        ("int32 a = 1;", "bool a = 1;", None),
        ("int64 a = 1;", "E a = 1;", None),
        ("sint32 a = 1;", "sint64 a = 1;", None),
        ("string a = 1;", "bytes a = 1;", None),
        ("fixed32 a = 1;", "sfixed32 a = 1;", None),
        ("fixed64 a = 1;", "sfixed64 a = 1;", None),
        ("int32 a = 1;", "sint32 a = 1;", Some("FIELD_SCALAR_KIND_CHANGED #/M/1")),
        ("int32 a = 1;", "string a = 1;", Some("FIELD_SCALAR_KIND_CHANGED #/M/1")),
        ("fixed32 a = 1;", "fixed64 a = 1;", Some("FIELD_SCALAR_KIND_CHANGED #/M/1")),
        ("float a = 1;", "double a = 1;", Some("FIELD_SCALAR_KIND_CHANGED #/M/1")),
        ("int32 a = 1;", "O a = 1;", Some("FIELD_KIND_CHANGED #/M/1")),
        ("O a = 1;", "map<string, O> a = 1;", Some("FIELD_KIND_CHANGED #/M/1")),
        ("O a = 1;", "P a = 1;", Some("FIELD_NAMED_TYPE_CHANGED #/M/1")),
        ("O a = 1;", "repeated O a = 1;", None),
        ("repeated string a = 1;", "optional string a = 1;", None),
        ("repeated int32 a = 1;", "optional int32 a = 1;", Some("FIELD_NUMERIC_LABEL_CHANGED #/M/1")),
        ("repeated E a = 1;", "optional E a = 1;", Some("FIELD_NUMERIC_LABEL_CHANGED #/M/1")),
        ("map<string, int32> a = 1;", "map<string, int64> a = 1;", None),
        ("map<string, int32> a = 1;", "map<string, string> a = 1;", Some("FIELD_SCALAR_KIND_CHANGED #/M/1")),
        ("map<string, int32> a = 1;", "map<int32, int32> a = 1;", Some("FIELD_SCALAR_KIND_CHANGED #/M/1")),
        ("map<string, O> a = 1;", "map<string, P> a = 1;", Some("FIELD_NAMED_TYPE_CHANGED #/M/1")),
        ("map<string, O> a = 1;", "map<string, int32> a = 1;", Some("FIELD_KIND_CHANGED #/M/1")),
    ] {
        let file = |body: &str| format!("message M {{ {body} }} message O {{}} message P {{}} enum E {{ X = 0; }}");
        assert_eq!(findings(&file(old), &file(new)).first().map(String::as_str), expected, "{old} -> {new}");
    }
}

#[test]
fn required_fields_of_proto2() {
    for (old, new, expected) in [
        ("optional int32 a = 1;", "optional int32 a = 1; required int32 b = 2;", Some("REQUIRED_FIELD_ADDED #/M/2")),
        ("optional int32 a = 1; required int32 b = 2;", "optional int32 a = 1;", Some("REQUIRED_FIELD_REMOVED #/M/2")),
        ("required string a = 1;", "optional string a = 1;", None),
        ("required int32 a = 1;", "optional int32 a = 1;", Some("FIELD_NUMERIC_LABEL_CHANGED #/M/1")),
    ] {
        let parse = |body: &str| stored(&format!("message M {{ {body} }}"));
        assert_eq!(listed(&parse(old), &parse(new)).first().map(String::as_str), expected, "{old} -> {new}");
    }
}

#[test]
fn oneofs() {
    for (old, new, expected) in [
        ("", "oneof o { int32 a = 1; }", None),
        ("oneof o { int32 a = 1; int32 b = 2; }", "", None),
        ("oneof o { int32 a = 1; }", "oneof p { int32 a = 1; }", None),
        ("oneof o { int32 a = 1; }", "oneof o { int32 a = 1; int32 b = 2; }", None),
        ("oneof o { int32 a = 1; int32 b = 2; }", "oneof o { int32 a = 1; }", Some("ONEOF_FIELD_REMOVED #/M/o/2")),
        ("oneof o { int32 a = 1; int32 b = 2; }", "int32 a = 1;", Some("ONEOF_FIELD_REMOVED #/M/o/2")),
        ("oneof o { int32 a = 1; }", "int32 a = 1;", None),
        ("int32 a = 1;", "oneof o { int32 a = 1; }", None),
        ("int32 a = 1;", "oneof o { int32 a = 1; int32 b = 2; }", None),
        (
            "int32 a = 1; int32 b = 2;",
            "oneof o { int32 a = 1; int32 b = 2; }",
            Some("MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o"),
        ),
        (
            "int32 a = 1; oneof o { int32 b = 2; }",
            "oneof o { int32 a = 1; int32 b = 2; }",
            Some("FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"),
        ),
        (
            "oneof o { int32 a = 1; } oneof p { int32 b = 2; }",
            "oneof o { int32 a = 1; int32 b = 2; }",
            Some("FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"),
        ),
        ("oneof o { int32 a = 1; }", "oneof o { string a = 1; }", Some("FIELD_SCALAR_KIND_CHANGED #/M/o/1")),
    ] {
        let file = |body: &str| format!("message M {{ {body} }}");
        assert_eq!(findings(&file(old), &file(new)).first().map(String::as_str), expected, "{old} -> {new}");
    }
}

#[test]
fn a_message_that_became_incompatible_taints_its_users() {
    let old = "message A { B b = 1; } message B { C c = 1; } message C { int32 x = 1; A back = 2; } message D {}";
    let new = "message A { B b = 1; } message B { C c = 1; } message C { string x = 1; A back = 2; } message D {}";
    let found = findings(old, new);
    assert_eq!(found[0], "FIELD_SCALAR_KIND_CHANGED #/C/1");
    for user in ["#/B/1", "#/A/1", "#/C/2"] {
        assert!(found.contains(&format!("FIELD_NAMED_TYPE_CHANGED {user}")), "{user} in {found:?}");
    }
    assert_eq!(found.len(), 4);
    assert_eq!(findings(old, old), Vec::<String>::new());
}

#[test]
fn imported_messages_are_compared_too() {
    let text = "syntax = \"proto3\"; import \"o.proto\"; message M { p.O o = 1; }";
    let with = |imported: &str| {
        let references = [reference("o.proto", &format!("syntax = \"proto3\"; package p; {imported}"))];
        ProtobufSchema::parse(text, &references, &ParseOptions::NEW).expect("valid")
    };
    let old = with("message O { int32 a = 1; }");
    assert_eq!(listed(&old, &with("message O { int64 b = 1; string c = 2; }")), Vec::<String>::new());
    let found = listed(&old, &with("message O { string a = 1; }"));
    assert_eq!(found, ["FIELD_SCALAR_KIND_CHANGED #/O/1", "FIELD_NAMED_TYPE_CHANGED #/M/1"]);
}

#[test]
fn a_map_spelled_as_a_message_matches_a_map() {
    let entry =
        "message M { repeated FEntry f = 1; message FEntry { option map_entry = true; string key = 1; M value = 2; } }";
    let map = "message M { map<string, M> f = 1; }";
    assert_eq!(findings(entry, map), Vec::<String>::new());
    assert_eq!(findings(map, entry), Vec::<String>::new());
    let endless = "message M { repeated E f = 1; message E { option map_entry = true; string key = 1; E value = 2; } }";
    assert_eq!(findings(endless, endless), Vec::<String>::new());
}

#[test]
fn long_chains_and_wide_graphs_of_messages_are_compared_without_stack_or_delay() {
    let chain: String = (0..10_000).map(|n| format!("message M{n} {{ M{} n = 1; }}", n + 1)).collect();
    let chain_with = |last: &str| format!("{chain} message M10000 {{ {last} a = 1; }}");
    let found = findings(&chain_with("int32"), &chain_with("string"));
    assert_eq!(found.len(), 10_001);
    let wide: String =
        (0..60).map(|n| format!("message M{n} {{ M{0} a = 1; M{0} b = 2; M{0} c = 3; }}", n + 1)).collect();
    assert_eq!(
        findings(&format!("{wide} message M60 {{}}"), &format!("{wide} message M60 {{}}")),
        Vec::<String>::new()
    );
}
