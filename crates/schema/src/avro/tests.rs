//! What the recorded tables (`tests/golden`) do not show: places in messages, normal form, references, tags, limits,
//! and records on their way to bytes and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::TaggedEntity;
use crate::document;

fn avro(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], &ParseOptions::NEW).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refusal(text: &str) -> String {
    AvroSchema::parse(text, &[], &ParseOptions::NEW).unwrap_err().to_string()
}

#[test]
fn messages_name_the_place() {
    let table = [
        ("{\"type\":\n  \"record\",}", "expected the name of a member, found '}' at line 2 column 12"),
        (r#"{"type":"record","name":"R","fields":[{"name":"f"}]}"#, r#"No field type: {"name":"f"} (at /fields/0)"#),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"f","type":["null","Nope"]}]}"#,
            r#"Undefined schema: "Nope" is not a defined name (at /fields/1/type/1)"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int","default":"x"}]}"#,
            r#"Invalid default for field f: "x" not a int (at /fields/0/default)"#,
        ),
        (
            r#"{"type":"array","items":{"type":"enum","name":"E","symbols":["1"]}}"#,
            "Illegal initial character: 1 (symbol 0) (at /items)",
        ),
        (r#"{"type":"record","name":"bad-name","fields":[]}"#, "Illegal character in: bad-name (at /name)"),
        ("\"nope\"", "Undefined schema: \"nope\" is not a defined name (at /)"),
        ("  ", "Empty schema"),
    ];
    for (text, message) in table {
        assert_eq!(refusal(text), message);
    }
}

#[test]
fn stored_schemas_may_have_defaults_that_new_ones_may_not() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int","default":"x"}]}"#;
    assert!(AvroSchema::parse(text, &[], &ParseOptions::NEW).is_err());
    assert_eq!(AvroSchema::parse(text, &[], &ParseOptions::STORED).unwrap().canonical(), text);
}

#[test]
fn nesting_beyond_the_limit_is_refused_and_below_it_fits_the_stack() {
    let nested = |depth: usize| format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth));
    assert_eq!(
        AvroSchema::parse(&nested(10_000), &[], &ParseOptions::NEW).unwrap_err(),
        SchemaError::TooDeep { limit: document::DEPTH_MAX }
    );
    // A thread of the size that servers give theirs.
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let deepest = avro(&nested(document::DEPTH_MAX));
        assert!(deepest.incompatibilities(&deepest, CompatibilityPolicy::Strict).is_empty());
        assert_eq!(deepest.normalized(), deepest.canonical());
        let mut text = "\"int\"".to_owned();
        for depth in 0..document::DEPTH_MAX / 4 {
            text = format!(r#"{{"type":"record","name":"R{depth}","fields":[{{"name":"f","type":["null",{text}]}}]}}"#);
        }
        let records = avro(&text);
        assert!(records.incompatibilities(&records, CompatibilityPolicy::Strict).is_empty());
        assert!(records.tags().is_empty());
        let mut value = json!({"int": 1});
        for depth in 0..document::DEPTH_MAX / 4 {
            let label = format!("R{}", depth);
            value = json!({ "f": value });
            if depth + 1 < document::DEPTH_MAX / 4 {
                value = Value::Object([(label, value)].into_iter().collect());
            }
        }
        let bytes = records.encode(&value).unwrap();
        assert_eq!(records.decode(&bytes).unwrap(), value);
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn records_recursive_over_cycles_of_different_length_are_compared_within_limits() {
    let cycle = |length: usize| {
        let mut text =
            format!(r#"{{"type":"record","name":"n{}.R","fields":[{{"name":"f","type":"n0.R"}}]}}"#, length - 1);
        for index in (0..length - 1).rev() {
            text = format!(r#"{{"type":"record","name":"n{index}.R","fields":[{{"name":"f","type":{text}}}]}}"#);
        }
        avro(&text)
    };
    let (reader, writer) = (cycle(101), cycle(103));
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let findings = reader.incompatibilities(&writer, CompatibilityPolicy::Strict);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].error_type, "TOO_COMPLEX");
        let (reader, writer) = (cycle(10), cycle(11));
        assert!(reader.incompatibilities(&writer, CompatibilityPolicy::Strict).is_empty());
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn work_that_multiplies_is_bounded() {
    // Each record holds the one before it twice: two to the power of sixty defaults, and as many findings.
    let chain = |leaf: &str| {
        let mut text = format!(
            r#"{{"type":"record","name":"R0","fields":[{{"name":"v","type":"{leaf}","default":{}}}]}}"#,
            if leaf == "int" { "0" } else { "\"\"" }
        );
        for index in 1..=60 {
            text = format!(
                r#"{{"type":"record","name":"R{index}","fields":[{{"name":"a","type":{text},"default":{{}}}},{{"name":"b","type":"R{}","default":{{}}}}]}}"#,
                index - 1
            );
        }
        text
    };
    assert!(refusal(&chain("int")).starts_with("Invalid default for field a"), "too much to look at");
    let stored = |leaf| AvroSchema::parse(&chain(leaf), &[], &ParseOptions::STORED).unwrap();
    let (reader, writer) = (stored("int"), stored("string"));
    let findings = reader.incompatibilities(&writer, CompatibilityPolicy::Strict);
    assert!(!findings.is_empty() && findings.len() <= 1001, "{}", findings.len());
    let endless = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}},{"name":"b","type":"R","default":{}}]}"#;
    assert!(refusal(endless).starts_with("Invalid default"));
    let normal = AvroSchema::parse(endless, &[], &ParseOptions::STORED).unwrap().normalized();
    assert_eq!(normal, endless);
}

#[test]
fn the_normal_form_drops_defaults_that_a_unions_first_branch_does_not_know() {
    // What Java Avro 1.12.1 hands out as default, or does not.
    let array = r#"{"type":"array","items":"int"}"#;
    for (branches, default, kept) in [
        (r#"["null","string"]"#, "null", true),
        (r#"["null","string"]"#, "\"x\"", false),
        (r#"["string","null"]"#, "\"x\"", true),
        (r#"["string","null"]"#, "null", true),
        (r#"["null","int"]"#, "5", false),
        (r#"["int","null"]"#, "5", true),
        (r#"["int","long"]"#, "5000000000", true),
        (r#"["long","double"]"#, "1.5", false),
        (r#"["double","null"]"#, "5", true),
        (r#"["null","boolean"]"#, "true", true),
        (r#"["bytes","string"]"#, "\"x\"", true),
        (&format!(r#"["null",{array}]"#), "[]", true),
        (r#"["null",{"type":"map","values":"int"}]"#, "{}", true),
        ("\"string\"", "\"x\"", true),
    ] {
        let text = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{branches},"default":{default}}}]}}"#
        );
        let schema = avro(&text);
        assert!(schema.canonical().contains("\"default\":"));
        assert_eq!(schema.normalized().contains("\"default\":"), kept, "{text}");
    }
}

#[test]
fn the_normal_form_orders_what_may_be_ordered() {
    let one = avro(
        r#"{"type":"record","name":"a.R","doc":"","z":{"y":1,"x":2},"b":1,"aliases":["Z","b.A"],"fields":[
            {"name":"d","type":{"type":"bytes","scale":2,"precision":4,"a":0,"logicalType":"decimal"},"q":1,"p":2,"doc":""},
            {"name":"n","type":"double","default":1,"aliases":["y","x"]},
            {"name":"m","type":{"type":"map","values":"int"},"default":{"b":1,"a":2}},
            {"name":"u","type":{"type":"int","logicalType":"unknown","a":1}}]}"#,
    );
    let two = avro(
        r#"{"namespace":"a","aliases":["b.A","a.Z"],"b":1,"z":{"x":2,"y":1},"type":"record","name":"R","fields":[
            {"name":"d","doc":"","type":{"logicalType":"decimal","precision":4,"scale":2,"a":0,"type":"bytes"},"p":2,"q":1},
            {"name":"n","type":"double","default":1.0,"aliases":["x","y"]},
            {"name":"m","type":{"type":"map","values":"int"},"default":{"a":2,"b":1}},
            {"name":"u","type":{"type":"int","a":1,"logicalType":"unknown"}}]}"#,
    );
    assert_ne!(one.canonical(), two.canonical());
    assert_eq!(one.normalized(), two.normalized());
    assert_eq!(
        one.normalized(),
        concat!(
            r#"{"type":"record","name":"R","namespace":"a","fields":["#,
            r#"{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2,"a":0},"doc":"","p":2,"q":1},"#,
            r#"{"name":"n","type":"double","default":1.0,"aliases":["x","y"]},"#,
            r#"{"name":"m","type":{"type":"map","values":"int"},"default":{"a":2,"b":1}},"#,
            r#"{"name":"u","type":{"type":"int","a":1,"logicalType":"unknown"}}],"b":1,"z":{"x":2,"y":1},"aliases":["Z","b.A"]}"#
        )
    );
}

#[test]
fn references_stay_names_and_are_inlined_when_asked() {
    let reference = ResolvedReference {
        name: "shop.Customer".to_owned(),
        schema: r#"{"type":"record","name":"Customer","namespace":"shop","fields":[{"name":"id","type":"long"}]}"#
            .to_owned(),
        direct: true,
    };
    let text = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"by","type":"Customer"}]}"#;
    let order = AvroSchema::parse(text, std::slice::from_ref(&reference), &ParseOptions::NEW).unwrap();
    assert_eq!(order.canonical(), text);
    let resolved = order.formatted("RESOLVED", &[]).unwrap();
    assert!(resolved.contains(r#""type":{"type":"record","name":"Customer","fields":"#), "{resolved}");
    assert_eq!(order.formatted("serialized", &[]), None);
    assert!(AvroSchema::parse(text, &[], &ParseOptions::NEW).is_err());
    let broken = ResolvedReference { schema: "{".to_owned(), ..reference };
    let error = AvroSchema::parse(text, &[broken], &ParseOptions::NEW).unwrap_err().to_string();
    assert!(error.starts_with("reference 'shop.Customer' is invalid: "), "{error}");
}

#[test]
fn inline_tags_are_found_added_and_removed() {
    let schema = avro(
        r#"{"type":"record","name":"R","namespace":"n","confluent:tags":["A"],"fields":[
            {"name":"s","type":"string","confluent:tags":["PII","PII"]},
            {"name":"i","type":["null",{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]}]}]}"#,
    );
    let tag = |path: &str, entity_type: &str, tags: &[&str]| SchemaTag {
        entity: TaggedEntity { path: path.to_owned(), entity_type: entity_type.to_owned() },
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    assert_eq!(schema.tags(), [tag("n.R", "SR_RECORD", &["A"]), tag("n.R.s", "SR_FIELD", &["PII"])]);
    let edit = TagEdit {
        add: &[tag("n.I.x", "SR_FIELD", &["NEW"]), tag("n.R.s", "SR_FIELD", &["PII", "B"])],
        remove: &[tag("n.R", "SR_RECORD", &["A", "C"])],
    };
    let edited = avro(&schema.with_tags(&edit).unwrap());
    assert_eq!(edited.tags(), [tag("n.R.s", "SR_FIELD", &["PII", "B"]), tag("n.I.x", "SR_FIELD", &["NEW"])]);
    let missing = TagEdit { add: &[tag("n.R.nope", "SR_FIELD", &["A"])], remove: &[] };
    assert!(schema.with_tags(&missing).unwrap_err().to_string().contains("'n.R.nope'"));
}

/// A schema with everything in it.
const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},
    {"name":"n","type":"int"},
    {"name":"paid","type":"boolean"},
    {"name":"f","type":"float"},
    {"name":"d","type":"double"},
    {"name":"by","type":"bytes"},
    {"name":"s","type":"string"},
    {"name":"fx","type":{"type":"fixed","name":"Two","size":2}},
    {"name":"e","type":{"type":"enum","name":"State","symbols":["NEW","DONE"]}},
    {"name":"a","type":{"type":"array","items":"int"}},
    {"name":"m","type":{"type":"map","values":"string"}},
    {"name":"u","type":["null","string","Two",{"type":"array","items":"long"}]},
    {"name":"next","type":["null","Order"]}]}"#;

fn order(u: &Value, next: &Value) -> Value {
    json!({"id": -1, "n": 64, "paid": true, "f": 1.5, "d": 0.1, "by": "\u{0}\u{ff}", "s": "zażółć", "fx": "ab", "e": "DONE",
        "a": [1, -1], "m": {"k": "v"}, "u": u, "next": next})
}

#[test]
fn a_record_has_these_bytes() {
    let schema = avro(ORDER);
    let value = order(&json!({"shop.Two": "xy"}), &Value::Null);
    let bytes = schema.encode(&value).unwrap();
    let expected = [
        &[0x01, 0x80, 0x01, 0x01][..],
        &1.5_f32.to_le_bytes(),
        &0.1_f64.to_le_bytes(),
        &[0x04, 0x00, 0xff, 0x14],
        "zażółć".as_bytes(),
        b"ab",
        &[0x02, 0x04, 0x02, 0x01, 0x00, 0x02, 0x02, b'k', 0x02, b'v', 0x00, 0x04, b'x', b'y', 0x00],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(schema.decode(&bytes).unwrap(), value);
}

#[test]
fn branches_of_unions_are_named() {
    let schema = avro(ORDER);
    for u in [Value::Null, json!({"string": "x"}), json!({"array": [1, 2]}), json!({"shop.Two": "ab"})] {
        let inner = order(&Value::Null, &Value::Null);
        let value = order(&u, &json!({ "shop.Order": inner }));
        assert_eq!(schema.decode(&schema.encode(&value).unwrap()).unwrap(), value);
    }
}

#[test]
fn branches_need_no_name_where_only_one_fits() {
    let schema = avro(
        r#"{"type":"record","name":"R","fields":[
            {"name":"a","type":["null","string"]},
            {"name":"b","type":["null","int",{"type":"array","items":["null","boolean","double"]}]},
            {"name":"c","type":["null",{"type":"map","values":"int"}]}]}"#,
    );
    let tagged = json!({"a": {"string": "x"}, "b": {"array": [null, {"boolean": true}, {"double": 1.5}]}, "c": {"map": {"string": 5}}});
    let bare = json!({"a": "x", "b": [null, true, 1.5], "c": {"string": 5}});
    let bytes = schema.encode(&tagged).unwrap();
    assert_eq!(schema.encode_untagged(&bare).unwrap(), bytes);
    assert_eq!(schema.encode_untagged(&tagged).unwrap(), bytes);
    assert!(schema.encode(&bare).is_err());
    let refusal = |value| schema.encode_untagged(&value).unwrap_err().to_string();
    let value = |a: Value| json!({"a": a, "b": null, "c": null});
    assert_eq!(refusal(value(json!(5))), "expected string, found 5 at /a");
    assert_eq!(refusal(json!({"a": null, "b": "x", "c": null})), "the value is none of null, int, array at /b");
    let ambiguous = avro(r#"["null","int","long"]"#).encode_untagged(&json!(5)).unwrap_err().to_string();
    assert_eq!(ambiguous, "the value could be any of int, long: name the branch, as {\"branch\": value}");
}

#[test]
fn work_on_unions_without_names_is_bounded() {
    let fields = r#"[{"name":"next","type":["null","A","B"]}]"#;
    let schema = avro(&format!(
        r#"{{"type":"record","name":"A","fields":[{{"name":"next","type":["null","A",{{"type":"record","name":"B","fields":{fields}}}]}}]}}"#
    ));
    let mut value = json!("neither");
    for _ in 0..100 {
        value = json!({"next": value});
    }
    let refusal = schema.encode_untagged(&value).unwrap_err().to_string();
    assert!(refusal.contains("the value is none of") || refusal.contains("too many possible branches"), "{refusal}");
}

#[test]
fn values_that_do_not_fit_are_refused_with_their_place() {
    let schema = avro(ORDER);
    let refused = |member: &str, wrong: Value| {
        let mut value = order(&Value::Null, &Value::Null);
        value[member] = wrong;
        schema.encode(&value).unwrap_err().to_string()
    };
    assert_eq!(refused("n", json!(1_i64 << 40)), "expected int, found 1099511627776 at /n");
    assert_eq!(refused("a", json!([1, "x"])), "expected int, found a string at /a/1");
    assert_eq!(refused("e", json!("GONE")), "unknown symbol \"GONE\" at /e");
    assert_eq!(refused("fx", json!("abc")), "expected 2 bytes, found 3 at /fx");
    assert_eq!(refused("by", json!("\u{100}")), "bytes are written as characters up to \\u00ff at /by");
    assert_eq!(
        refused("u", json!("plain")),
        "expected null or an object with one member of null, string, shop.Two, array at /u"
    );
    assert_eq!(
        refused("u", json!({"int": 1})),
        "unknown union branch int, expected one of null, string, shop.Two, array at /u"
    );
    assert_eq!(schema.encode(&json!({"id": 1})).unwrap_err().to_string(), "expected field name not found: n");
}

#[test]
fn a_schema_of_bytes_alone_is_written_raw() {
    let schema = avro("\"bytes\"");
    assert_eq!(schema.encode(&json!("a\u{ff}")).unwrap(), [b'a', 0xff]);
    assert_eq!(schema.decode(&[b'a', 0xff]).unwrap(), json!("a\u{ff}"));
}

#[test]
fn numbers_that_json_cannot_spell_are_text() {
    let schema = avro(r#"{"type":"array","items":"float"}"#);
    let value = json!([1.5, "NaN", "Infinity", "-Infinity"]);
    let bytes = schema.encode(&value).unwrap();
    assert_eq!(schema.decode(&bytes).unwrap(), value);
}

#[test]
fn blocks_with_sizes_are_read() {
    let schema = avro(r#"{"type":"array","items":"int"}"#);
    assert_eq!(schema.decode(&[0x03, 0x04, 0x02, 0x04, 0x02, 0x06, 0x00]).unwrap(), json!([1, 2, 3]));
}

#[test]
fn hostile_bytes_end_in_an_error_without_memory_or_stack() {
    let varint = |number: i64| {
        let mut bytes = Vec::new();
        crate::wire::write_varint(number, &mut bytes);
        bytes
    };
    let nulls = avro(r#"{"type":"array","items":"null"}"#);
    assert!(nulls.decode(&varint(i64::MAX)).is_err());
    assert!(nulls.decode(&varint(i64::MIN)).is_err());
    let strings = avro(r#"{"type":"array","items":"string"}"#);
    assert!(strings.decode(&[varint(i64::MAX), varint(i64::MAX)].concat()).is_err());
    assert!(avro("\"string\"").decode(&varint(-5)).is_err());
    assert!(avro("\"string\"").decode(&[4, 0xff, 0xff]).is_err());
    assert!(avro("\"int\"").decode(&varint(1 << 40)).is_err());
    assert!(avro("\"long\"").decode(&[0xff; 11]).is_err());
    assert!(avro("\"boolean\"").decode(&[2]).is_err());
    assert!(avro("\"int\"").decode(&[0, 0]).unwrap_err().to_string().contains("left over"));
    let list = avro(r#"{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]}"#);
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        assert!(list.decode(&[2; 1_000_000]).unwrap_err().to_string().contains("nested"));
    });
    thread.unwrap().join().unwrap();
    // A record whose only field is itself takes no bytes at all.
    let endless = avro(r#"{"type":"record","name":"E","fields":[{"name":"e","type":"E"}]}"#);
    assert!(endless.decode(&[]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let schema = avro(ORDER);
        if let Ok(value) = schema.decode(&bytes) {
            prop_assert_eq!(schema.decode(&schema.encode(&value).unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn records_come_back(
        id: i64, n: i32, paid: bool, f: f32, d: f64, by in prop::collection::vec(any::<u8>(), 0..20), s: String,
        a in prop::collection::vec(any::<i32>(), 0..5), m in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5),
        longs in prop::collection::vec(any::<i64>(), 0..5), depth in 0..10_usize,
    ) {
        let schema = avro(ORDER);
        let by: String = by.into_iter().map(char::from).collect();
        let f = f64::from(f);
        let mut value = Value::Null;
        for _ in 0..=depth {
            let next = if value.is_null() { Value::Null } else { json!({ "shop.Order": value }) };
            value = json!({"id": id, "n": n, "paid": paid, "f": f, "d": d, "by": by, "s": s, "fx": "ab", "e": "NEW", "a": a,
                "m": m, "u": {"array": longs}, "next": next});
        }
        prop_assert_eq!(schema.decode(&schema.encode(&value).unwrap()).unwrap(), value);
    }
}
