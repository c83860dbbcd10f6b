//! Golden texts: canonical form, normal form, formats, inline tags.

use super::*;
use crate::TaggedEntity;

/// Every declaration there is, out of order and with comments.
const EVERYTHING: &str = r#"
// a comment
syntax = "proto2";
package a.b;
service S { option (so) = true; rpc Get (M) returns (stream .a.b.M) { option deprecated = true; }
  rpc Put (stream M) returns (M); }
import public "google/protobuf/empty.proto"; import "google/protobuf/any.proto";
option java_package = "x\ty";
option (my.opt).x.y = 0x1F;
enum Top { Z = 0x0; reserved 5 to max, "OLD"; option allow_alias = true; NEG = -1 [deprecated = true, (c) = 2]; }
extend M { optional int32 ext = 101 [(l) = [1]]; }
message M {
  enum E { FOO = 0; }
  message N { message Deep { optional Top t = 1; repeated bool b = 2; extensions 5; } }
  message Empty {}
  map < string , M.N > m = 6;
  oneof o { option (x) = 1; string t = 7; group G = 8 { optional int32 z = 1; } }
  oneof none {}
  required int32 a = 0x10 [default = 5, json_name = "A\"A", deprecated = true, (foo) = { a: 1 b { c: [1, "s"] } }];
  optional string s = 4 [default = "q'x\ny"];
  extensions 100 to 199, 500 to max [verification = UNVERIFIED];
  reserved 2, 20 to 21, "foo" , 'bar';
  optional group H = 9 { required int32 y = 1; }
  extend M { optional int32 inner = 102; }
  option (mo) = true;
}
"#;

const EVERYTHING_CANONICAL: &str = r#"syntax = "proto2";
package a.b;

import "google/protobuf/any.proto";
import public "google/protobuf/empty.proto";

option java_package = "x\ty";
option (my.opt).x.y = 0x1F;

message M {
  reserved 2, 20 to 21, "foo", "bar";

  option (mo) = true;

  map<string, M.N> m = 6;
  required int32 a = 16 [
    deprecated = true,
    (foo) = {
      a: 1,
      b: {
        c: [
          1,
          "s"
        ]
      }
    },
    default = 5,
    json_name = "A\"A"
  ];
  optional string s = 4 [default = "q\'x\ny"];

  oneof o {
    option (x) = 1;
__
    string t = 7;
__
    group G = 8 {
      optional int32 z = 1;
    }
  }

  optional group H = 9 {
    required int32 y = 1;
  }

  extensions 100 to 199, 500 to max [verification = UNVERIFIED];

  extend M {
    optional int32 inner = 102;
  }

  message N {
    message Deep {
      optional Top t = 1;
      repeated bool b = 2;
____
      extensions 5;
    }
  }
  message Empty {}
  enum E {
    FOO = 0;
  }
}
enum Top {
  reserved 5 to max, "OLD";
  option allow_alias = true;
  Z = 0;
  NEG = -1 [
    deprecated = true,
    (c) = 2
  ];
}

extend M {
  optional int32 ext = 101 [(l) = [1]];
}

service S {
  option (so) = true;

  rpc Get (M) returns (stream .a.b.M) {
    option deprecated = true;
  };
  rpc Put (stream M) returns (M);
}
"#;

/// Blank lines inside of nested blocks carry blanks, which the golden texts spell as `__`.
fn golden(text: &str) -> String {
    text.lines()
        .map(|line| if line.chars().all(|c| c == '_') { line.replace('_', " ") } else { line.to_owned() } + "\n")
        .collect()
}

#[test]
fn the_canonical_text_has_every_declaration_in_its_place() {
    let canonical = stored(EVERYTHING).canonical().to_owned();
    assert_eq!(canonical, golden(EVERYTHING_CANONICAL));
    assert_eq!(stored(&canonical).canonical(), canonical, "a canonical text is its own canonical text");
}

#[test]
fn strings_keep_their_escapes_and_join() {
    let text = r#"option s = "a\tb\x41\101\"'" "more" 'single"q' 'it''s';"#;
    assert_eq!(stored(text).canonical(), "\noption s = \"a\\tbAA\\\"\\'moresingle\\\"qits\";\n");
}

#[test]
fn a_name_given_twice_in_an_option_message_becomes_a_list() {
    let text = "option (l) = { a: 1 a: 2; a: FOO, b: {c: true} [x.y]: -1.5 };";
    let lines = ["a: [", "  1,", "  2,", "  FOO", "],", "b: {", "  c: true", "},", "[x.y]: -1.5"];
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    assert_eq!(stored(text).canonical(), format!("\noption (l) = {{\n{body}}};\n"));
}

#[test]
fn the_normal_form_resolves_and_sorts() {
    let text = r#"
syntax = "proto3";
package a;
import "google/protobuf/timestamp.proto";
import "confluent/meta.proto";
import "confluent/meta.proto";
message M {
  reserved 9, 7 to 7, "x", 3 to 4;
  map<string, N> n = 5;
  N m = 2 [(confluent.field_meta).tags = "B", (confluent.field_meta) = { doc: "d" tags: ["A"] }, deprecated = true];
  google.protobuf.Timestamp t = 1;
  oneof late { string z = 12; int32 y = 11; }
  oneof early { string a = 10; }
  message N { M up = 1; }
  enum E { option allow_alias = true; A = 0; C = 2; B = 1; B2 = 1; }
}
message First {}
service S { rpc Get (M) returns (M.N); }
"#;
    let expected = r#"syntax = "proto3";
package a;

import "confluent/meta.proto";
import "google/protobuf/timestamp.proto";

message M {
  reserved 3 to 4;
  reserved 7;
  reserved 9;
  reserved "x";

  .google.protobuf.Timestamp t = 1;
  .a.M.N m = 2 [
    (confluent.field_meta) = {
      doc: "d",
      tags: [
        "B",
        "A"
      ]
    },
    deprecated = true
  ];
  map<string, .a.M.N> n = 5;

  oneof early {
    string a = 10;
  }
  oneof late {
    int32 y = 11;
    string z = 12;
  }

  message N {
    .a.M up = 1;
  }
  enum E {
    option allow_alias = true;
    A = 0;
    B = 1;
    B2 = 1;
    C = 2;
  }
}
message First {}

service S {
  rpc Get (.a.M) returns (.a.M.N);
}
"#;
    let normal = stored(text).normalized();
    assert_eq!(normal, expected);
    assert_eq!(stored(&normal).normalized(), normal, "a normal form is its own normal form");
}

#[test]
fn the_normal_form_drops_the_line_that_says_proto2() {
    let with = stored("syntax = \"proto2\";\nmessage M { optional int32 a = 1 [default = 0x10]; }");
    let without = stored("message M { optional int32 a = 1 [default = 16]; }");
    assert_ne!(with.canonical(), without.canonical());
    assert_eq!(with.normalized(), without.normalized());
}

#[test]
fn numbers_in_options_are_spelled_alike_in_the_normal_form() {
    for (text, expected) in
        [("0x1F", "31"), ("017", "15"), ("1e3", "1000"), ("1.50", "1.5"), ("-0.1250", "-0.125"), ("-inf", "-inf")]
    {
        let schema = stored(&format!("option (x) = {text};"));
        assert_eq!(schema.normalized(), format!("\noption (x) = {expected};\n"), "{text}");
    }
}

#[test]
fn a_descriptor_in_base64_reads_like_the_text_it_describes() {
    let text = r#"syntax = "proto3";
package p;

import "google/protobuf/timestamp.proto";

option java_package = "j";

message M {
  reserved 20;
  reserved 22 to 23;
  reserved "gone";

  repeated .p.M.N n = 1;
  optional string s = 2 [deprecated = true];
  .google.protobuf.Timestamp t = 3;

  oneof o {
    int32 i = 4;
    bool b = 5;
  }

  message N {}
}
enum E {
  A = 0;
}
"#;
    let schema = stored(text);
    let serialized = schema.formatted("serialized", &[]).expect("a known format");
    assert_eq!(stored(&serialized).canonical(), text);
    assert_eq!(schema.formatted("unheard-of", &[]), None);
}

#[test]
fn a_map_in_a_descriptor_is_a_map_again_in_the_normal_form() {
    let schema = stored("syntax = \"proto3\"; message M { map<string, M> some_map = 1; }");
    let serialized = schema.formatted("serialized", &[]).expect("a known format");
    let described = stored(&serialized);
    assert!(described.canonical().contains("message SomeMapEntry {"), "{}", described.canonical());
    assert_eq!(described.normalized(), schema.normalized());
    assert_eq!(described.message_indexes("M"), Some(vec![0]));
}

#[test]
fn ignoring_extensions_keeps_only_the_options_of_the_language_and_the_registry() {
    let text = r#"
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional string x = 50000; }
message M { extensions 100; optional int32 a = 1 [(x) = "y", deprecated = true, (confluent.field_meta).tags = "T"];
  extend M { optional int32 e = 100; } }"#;
    let formatted = stored(text).formatted("ignore_extensions", &[]);
    let expected = "\nimport \"google/protobuf/descriptor.proto\";\n\nmessage M {\n  optional int32 a = 1 [\n    \
                    deprecated = true,\n    (confluent.field_meta).tags = \"T\"\n  ];\n}\n";
    assert_eq!(formatted.as_deref(), Some(expected));
}

fn tag(path: &str, entity_type: &str, tags: &[&str]) -> SchemaTag {
    SchemaTag {
        entity: TaggedEntity { path: path.to_owned(), entity_type: entity_type.to_owned() },
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    }
}

#[test]
fn inline_tags_are_found_added_and_removed() {
    let text = r#"syntax = "proto3"; package p; import "confluent/meta.proto";
message M { option (confluent.message_meta) = { tags: ["REC"] };
  string a = 1 [(confluent.field_meta) = { doc: "d", tags: ["PII", "X"] }];
  oneof o { int32 b = 2 [(confluent.field_meta).tags = "ONE"]; }
  message N { string c = 1; } }"#;
    let schema = stored(text);
    let found =
        [tag("M", "SR_RECORD", &["REC"]), tag("M.b", "SR_FIELD", &["ONE"]), tag("M.a", "SR_FIELD", &["PII", "X"])];
    assert_eq!(schema.tags(), found);
    let add = [tag(".M.N.c", "SR_FIELD", &["NEW"]), tag("M.o.b", "SR_FIELD", &["TWO"])];
    let remove = [tag("M.a", "SR_FIELD", &["PII"]), tag("M", "SR_RECORD", &["REC"])];
    let edited = schema.with_tags(&TagEdit { add: &add, remove: &remove }).expect("all of them exist");
    let expected =
        [tag("M.b", "SR_FIELD", &["ONE", "TWO"]), tag("M.a", "SR_FIELD", &["X"]), tag("M.N.c", "SR_FIELD", &["NEW"])];
    assert_eq!(stored(&edited).tags(), expected);
    assert!(edited.contains("doc: \"d\""), "{edited}");
    let missing = [tag("M.nothing", "SR_FIELD", &["T"])];
    assert!(schema.with_tags(&TagEdit { add: &missing, remove: &[] }).is_err());
}

#[test]
fn the_record_name_is_the_first_message_with_its_package() {
    assert_eq!(stored("package a.b; enum E { X = 0; } message M {}").record_name().as_deref(), Some("a.b.M"));
    assert_eq!(stored("enum E { X = 0; }").record_name().as_deref(), Some("E"));
    assert_eq!(stored("option x = 1;").record_name(), None);
}
