//! What is not a schema, and what would break a careless reader.

use super::*;

fn error(text: &str, options: &ParseOptions) -> String {
    match ProtobufSchema::parse(text, &[], options) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn syntax_errors_name_line_and_column() {
    for (text, expected) in [
        ("message M {\n", "line 2, column 1: unexpected end of file"),
        ("foo bar;", "line 1, column 1: unexpected label: foo"),
        ("/* x", "line 1, column 1: unterminated comment"),
        ("syntax = \"proto4\";", "line 1, column 10: unexpected syntax: proto4"),
        ("edition = \"2023\";", "line 1, column 1: edition is not currently supported"),
        ("syntax = \"proto3\"; syntax = \"proto3\";", "line 1, column 20: too many syntax definitions"),
        ("message M {} syntax = \"proto3\";", "'syntax' must be the first declaration"),
        ("message M { int32 a = 1; }", "line 1, column 13: unexpected label: int32"),
        ("syntax = \"proto3\";\nmessage M { required int32 a = 1; }", "line 2, column 13: 'required' label forbidden"),
        ("message M { optional int32 a = 99999999999; }", "expected an integer but was 99999999999"),
        ("message M { repeated map<string, string> a = 1; }", "'map' type cannot have label"),
        ("message M { map<string, map<string, string>> a = 1; }", "a map cannot hold maps"),
        ("message M { optional int32 a = 1 [x 5]; }", "expected '=' in option"),
        ("message M { optional int32 a = 1 }", "expected ';' but was '}'"),
        ("message M { reserved bar; }", "expected an integer but was bar"),
        ("option x = \"abc", "unterminated string"),
        ("message é {}", "line 1, column 9: expected a word"),
        ("import \"missing.proto\";", "No dependency found for import \"missing.proto\""),
        ("message M { optional Other o = 1; }", "Could not resolve type: Other (field M.o)"),
        ("message M { map<double, string> o = 1; }", "M.o: double cannot be the key type of a map"),
        ("service S { rpc R (A) returns (A); }", "Could not resolve type: A (rpc R)"),
        ("extend Gone { optional int32 a = 1; }", "Could not resolve type: Gone (extend)"),
        ("AAAA", "line 1, column 1: unexpected label: AAAA"),
    ] {
        let found = error(text, &ParseOptions::STORED);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn a_new_schema_is_held_to_a_compilers_rules_and_a_stored_one_is_not() {
    for (text, expected) in [
        ("message M { optional int32 a = 1; optional int32 a = 2; }", "\"a\" is already defined in \"M\""),
        ("message M { optional int32 a = 1; optional int32 b = 1; }", "field number 1 has already been used"),
        ("message M { optional int32 a = 0; }", "must be between 1 and 536870911, not 0"),
        ("message M { optional int32 a = 536870912; }", "must be between 1 and 536870911"),
        ("message M { optional int32 a = 19500; }", "19000 to 19999 are reserved"),
        ("message M { reserved 4 to 6; optional int32 a = 5; }", "M.a = 5 is reserved"),
        ("message M { reserved \"a\"; optional int32 a = 5; }", "M.a = 5 is reserved"),
        ("message M { optional int32 a-b = 5; }", "\"a-b\" is not a valid identifier"),
        ("message M {} enum M { A = 0; }", "M is already defined"),
        ("enum E {}", "must contain at least one value"),
        ("syntax = \"proto3\"; enum E { A = 1; }", "the first value must be zero in proto3"),
        ("enum E { A = 0; B = 0; }", "\"B\" uses the same enum value as \"A\""),
        ("enum E { A = 0; A = 1; }", "\"A\" is already defined"),
        ("enum E { A = 0; reserved 0; }", "E.A = 0 is reserved"),
    ] {
        let found = error(text, &ParseOptions::NEW);
        assert!(found.contains(expected), "{text}\n{found}");
        stored(text);
    }
}

#[test]
fn what_compilers_accept_is_accepted_strictly() {
    for text in [
        "enum E { option allow_alias = true; A = 0; B = 0; }",
        "syntax = \"proto3\"; message M { optional M m = 1; map<int32, M> n = 2; oneof o { string a = 3; } }",
        "message M { optional group G = 1 { optional M m = 1; } extensions 5 to max; }",
        "import \"google/type/money.proto\"; message M { optional google.type.Money m = 1; }",
        "import \"confluent/type/decimal.proto\"; message M { optional confluent.type.Decimal m = 1; }",
        "package a.b.c; message M { message M { optional M m = 1; optional .a.b.c.M o = 2; optional b.c.M p = 3; } }",
        "message M { optional int32 a = 1 [default = -0x10]; optional bytes b = 2 [default = \"\\001x\"]; }",
        "syntax = \"proto3\"; service S { rpc A (stream M) returns (stream M) { option idempotency_level = IDEMPOTENT; } } message M {}",
    ] {
        ProtobufSchema::parse(text, &[], &ParseOptions::NEW).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn deep_nesting_is_refused() {
    let messages = |depth| format!("{}{}", "message M {".repeat(depth), "}".repeat(depth));
    let values = |depth| format!("option x = {}{};", "{a:[".repeat(depth), "]}".repeat(depth));
    stored(&messages(DEPTH_MAX));
    for text in [messages(DEPTH_MAX + 1), messages(10_000), values(10_000), "[".repeat(10_000), "{".repeat(10_000)] {
        let result = ProtobufSchema::parse(&text, &[], &ParseOptions::NEW);
        assert!(result.is_err());
    }
    let result = ProtobufSchema::parse(&messages(10_000), &[], &ParseOptions::NEW);
    assert_eq!(result.err(), Some(SchemaError::TooDeep { limit: DEPTH_MAX }));
}

#[test]
fn imports_in_a_circle_end() {
    let a = "syntax = \"proto3\"; import \"b.proto\"; message A { B b = 1; }";
    let b = "syntax = \"proto3\"; import \"a.proto\"; message B { A a = 1; }";
    let references = [reference("b.proto", b), reference("a.proto", a)];
    let options = ParseOptions::STORED;
    let text = "syntax = \"proto3\"; import \"a.proto\"; message C { A a = 1; }";
    let schema = ProtobufSchema::parse(text, &references, &options).expect("every name resolves");
    // Whether or not messages can be made of it, it is answered.
    let _ = schema.descriptor();
    assert_eq!(schema.incompatibilities(&schema, CompatibilityPolicy::Strict), []);
}

#[test]
fn a_long_text_is_read_in_good_time() {
    let fields: String = (1..15_000).map(|number| format!("  M f{number} = {number};\n")).collect();
    let text = format!("syntax = \"proto3\";\nmessage M {{\n{fields}}}\n");
    let schema = stored(&text);
    assert_eq!(schema.canonical().len(), text.len() + 1);
    assert_eq!(schema.incompatibilities(&schema, CompatibilityPolicy::Strict), []);
}

#[test]
fn many_of_everything_takes_no_more_than_its_length() {
    let reserved: String = (1..50_000).map(|number| format!("reserved {};\n", number * 2)).collect();
    let fields: String = (0..9_000).map(|number| format!("int32 f{number} = {};\n", number * 2 + 1)).collect();
    let text = format!("syntax = \"proto3\"; message M {{ {reserved} {fields} }}");
    assert!(ProtobufSchema::parse(&text, &[], &ParseOptions::NEW).is_ok());

    let import = "import \"confluent/meta.proto\";";
    let tags: String = (0..20_000).map(|n| format!("option (confluent.message_meta).tags = \"t{n}\";\n")).collect();
    let schema = stored(&format!("{import} message M {{ {tags} }}"));
    assert_eq!(schema.normalized().matches("\"t").count(), 20_000);

    let members: String = (1..18_000).map(|number| format!("int32 f{number} = {number};\n")).collect();
    let with = |body: &str| stored(&format!("syntax = \"proto3\"; message M {{ {body} }}"));
    let (old, new) = (with(&format!("oneof o {{ {members} }}")), with(""));
    assert_eq!(new.incompatibilities(&old, CompatibilityPolicy::Strict), []);
}
