//! What counts as JSON, and the words for what does not.

use super::*;

#[test]
fn numbers_keep_their_spelling_and_members_their_order() {
    let text = r#" {"b": 1.50, "a": [true, null, "x\u00e9\n\ud83d\ude00"]} "#;
    let json = Json::read(text).unwrap();
    assert_eq!(json.text(), "{\"b\":1.50,\"a\":[true,null,\"xé\\n😀\"]}");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "1 2",
        "\"a",
        "-",
        "nul",
        "\"\\u12\"",
        "01",
        "1.",
        "-.5",
        "1e",
        "\"a\nb\"",
        "\"\\t\n\"",
    ] {
        assert!(Json::read(text).is_err(), "{text}");
    }
    assert!(Json::read(&"[".repeat(10_000)).is_err());
    assert_eq!(Json::read("[1 2]").unwrap_err().position, 3);
}

#[test]
fn messages_are_those_that_people_know() {
    for (text, message) in [
        (
            "{\"a\": x1}",
            "Unrecognized token 'x1': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        ),
        ("{\"a\": 1 \"b\"}", "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries"),
        ("{a: 1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name"),
        ("[1.x]", "Unexpected character ('x' (code 120)) in numeric value: Decimal point not followed by a digit"),
        ("[01]", "Invalid numeric value: Leading zeroes not allowed"),
    ] {
        assert_eq!(Json::read(text).unwrap_err().message, message, "{text}");
    }
}

#[test]
fn what_is_skipped_must_be_as_right_as_what_is_read() {
    let texts = [
        "{}",
        "[]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "[1,]",
        "[1,2",
        "{\"a\":[{},[]]}",
        "\"a\\x\"",
        "[nul]",
        " [ 1 , \"\u{1}\" ] ",
        "{,}",
        "{\"a\":{\"b\":-}}",
        "1.5e",
        "[\"no end]",
        "{\"a\":true \"b\":1}",
        "[1}",
        "{\"a\":1]",
    ];
    for text in texts.into_iter().map(str::to_owned).chain([199, 200, 201].map(|n| "[".repeat(n) + &"]".repeat(n))) {
        let mut reader = Reader::new(&text);
        let skipped = reader.skip().is_ok() && reader.at_end();
        assert_eq!(skipped, Json::read(&text).is_ok(), "{text}");
    }
}

#[test]
fn strings_are_cut_at_what_needs_an_escape_wherever_it_stands() {
    for special in ['"', '\\', '\n', '\u{1f}', '\0'] {
        for before in 0..20 {
            let text = format!("{}{special}\u{e9}\u{7f}!", "x".repeat(before));
            assert_eq!(plain_length(text.as_bytes()), before);
            let mut written = String::new();
            write_string(&text, &mut written);
            assert_eq!(Json::read(&written).unwrap().as_str(), Some(text.as_str()));
        }
    }
    let plain = "\u{e9}\u{80}\u{10ffff} !#[]^~\u{7f}";
    assert_eq!(plain_length(plain.as_bytes()), plain.len());
}

#[test]
fn comments_are_skipped_where_they_are_allowed() {
    assert_eq!(Json::read_commented("/* a */ [1, // b\n 2]").unwrap().text(), "[1,2]");
    assert!(Json::read("/* a */ 1").is_err());
}

#[test]
fn numbers_are_not_endless_and_messages_neither() {
    let number = |digits: usize| format!("[-{}.5E+1]", "1".repeat(digits - 2));
    assert!(Json::read(&number(1000)).is_ok());
    assert_eq!(
        Json::read(&number(1001)).unwrap_err().message,
        "Number value length (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNumberLength()`)"
    );
    let message = |length: usize| Json::read(&"\u{e9}".repeat(length)).unwrap_err().message;
    assert!(message(256).starts_with(&format!("Unrecognized token '{}': ", "\u{e9}".repeat(256))));
    assert!(message(100_000).starts_with(&format!("Unrecognized token '{}...': ", "\u{e9}".repeat(256))));
}
