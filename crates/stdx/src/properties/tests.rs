//! What a `.properties` file means.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Vec<(String, String)> {
    let properties = Properties::parse(text).expect("valid properties");
    properties.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn check(text: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    assert_eq!(parsed(text), expected, "{text:?}");
}

#[test]
fn separators_are_equals_colon_and_white_space() {
    check(
        "a=1\nb:2\nc 3\nd = 4\ne : 5\nf\t6\ng",
        &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6"), ("g", "")],
    );
    check("listeners=PLAINTEXT://:9092", &[("listeners", "PLAINTEXT://:9092")]);
    check("a==b", &[("a", "=b")]);
}

#[test]
fn comments_and_blank_lines_are_skipped() {
    check("# one\n  ! two\n\n  \t\na=1 # part of the value\n", &[("a", "1 # part of the value")]);
}

#[test]
fn a_backslash_continues_the_line() {
    check("list=a,\\\n    b,\\\r\n  c\nnext=1", &[("list", "a,b,c"), ("next", "1")]);
    check("path=c:\\\\\nnext=1", &[("path", "c:\\"), ("next", "1")]);
    check("# comment \\\na=1", &[("a", "1")]);
}

#[test]
fn escapes_are_resolved_in_keys_and_values() {
    check(r"a\=b\:c\ d=x\ty\n\u00e4\z", &[("a=b:c d", "x\ty\näz")]);
    check("smile=\\ud83d\\ude00", &[("smile", "\u{1f600}")]);
}

#[test]
fn a_bad_unicode_escape_names_its_line() {
    let error = Properties::parse("a=1\n\nb=\\u12").expect_err("bad escape");
    assert_eq!(error.to_string(), "line 3: \\u must be followed by four hexadecimal digits");
}

#[test]
fn the_last_entry_of_a_key_wins_and_lines_are_known() {
    let properties = Properties::parse("a=1\n#\na=2").expect("valid");
    assert_eq!(properties.get("a"), Some("2"));
    assert_eq!(properties.entries()[1].line, 3);
    assert_eq!(properties.get("b"), None);
}

#[test]
fn a_missing_file_is_named() {
    let error = Properties::load("/nonexistent/server.properties").expect_err("missing");
    assert!(error.to_string().starts_with("cannot read /nonexistent/server.properties: "), "{error}");
}

proptest! {
    #[test]
    fn what_is_displayed_parses_to_the_same(entries in prop::collection::vec(("\\PC{1,12}", "\\PC{0,12}"), 0..8)) {
        let mut properties = Properties::new();
        for (key, value) in &entries {
            properties.set(key.clone(), value.clone());
        }
        let reread = Properties::parse(&properties.to_string()).expect("own output");
        prop_assert_eq!(reread.iter().collect::<Vec<_>>(), properties.iter().collect::<Vec<_>>());
    }

    #[test]
    fn any_text_is_parsed_without_panic(text in "(?s).{0,200}") {
        let _ = Properties::parse(&text);
    }
}
