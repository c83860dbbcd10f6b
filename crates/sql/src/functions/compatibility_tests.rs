//! Tests of answers and refusals that users of the language rely on.

use super::*;
use crate::expression::Scope;
use crate::parser::parse_expression;

fn compile(text: &str) -> Result<crate::expression::TypedExpression, String> {
    Scope::default().compile(&parse_expression(text, &|_| None).unwrap()).map_err(|error| error.0)
}

fn evaluated(text: &str) -> Value {
    compile(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&[], &mut EvalContext::new())
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let compiled = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = compiled.evaluate(&[], &mut EvalContext::new());
        assert_eq!(value.text(&compiled.sql_type.clone().unwrap_or(SqlType::String)), *expected, "{text}");
    }
}

fn check_null(cases: &[&str]) {
    for text in cases {
        assert!(evaluated(text).is_null(), "{text}");
    }
}

#[test]
fn dates_are_read_leniently() {
    check(&[
        ("PARSE_DATE('2021-2-3', 'yyyy-MM-dd')", "2021-02-03"),
        ("PARSE_DATE('999999999-01-01', 'yyyy-MM-dd')", "null"),
        ("PARSE_DATE('2021-02', 'yyyy-MM')", "2021-02-01"),
        ("PARSE_DATE('2021-13-01', 'yyyy-MM-dd')", "2022-01-01"),
        ("PARSE_DATE('20210203', 'yyyyMMdd')", "2021-02-03"),
        ("PARSE_DATE('3 february 21, at noon', 'd MMM yy')", "2021-02-03"),
        ("PARSE_DATE('Feb 03, 2021', 'MMM dd, yyyy')", "2021-02-03"),
        ("PARSE_DATE('2021-02-03T00:00', 'yyyy-MM-dd''T''HH:mm')", "2021-02-03"),
        ("PARSE_DATE('2021 034', 'yyyy D')", "2021-02-03"),
    ]);
    check_null(&["PARSE_DATE('x', 'yyyy')", "PARSE_DATE('2021/02', 'yyyy-MM')", "PARSE_DATE('2021', 'bbbb')"]);
}

#[test]
fn overloads_are_found_first_without_and_then_with_conversions() {
    check(&[
        ("ROUND(5)", "5"),
        ("DATEADD(DAYS, 1, '2020-01-01')", "2020-01-02"),
        ("ABS(CAST(-1 AS BIGINT))", "1"),
        ("GEO_DISTANCE(0, 0, 0, 0)", "0.0"),
    ]);
    for ambiguous in
        ["GREATEST(1, CAST(2 AS BIGINT))", "LOG(2, CAST(8 AS BIGINT))", "ROUND(5, 1)", "ABS(NULL)", "CHR(NULL)"]
    {
        assert!(compile(ambiguous).unwrap_err().contains("ambiguous method parameters"), "{ambiguous}");
    }
    for refused in ["COALESCE(1, CAST(2 AS BIGINT))", "IFNULL('a', 1)", "ARRAY_CONTAINS(ARRAY[1], 'a')", "LCASE(1)"] {
        assert!(compile(refused).unwrap_err().contains("does not accept parameters"), "{refused}");
    }
}

#[test]
fn calls_within_calls_fail_alone() {
    check(&[
        ("COALESCE(REGEXP_EXTRACT('(', 'a'), 'b')", "b"),
        ("IFNULL(CAST('x' AS INT), 7)", "7"),
        ("CONCAT('a', URL_EXTRACT_HOST('%'))", "a"),
    ]);
}

#[test]
fn lambdas_keep_the_type_of_their_state() {
    let message = compile("REDUCE(ARRAY[CAST(1 AS BIGINT)], 0, (s, x) => s + x)").unwrap_err();
    let expected = "Found invalid instance of generic schema when mapping LAMBDA (S, T) => S to LAMBDA (INTEGER, BIGINT) \
                    => BIGINT. Cannot map S to both INTEGER and BIGINT";
    assert_eq!(message, expected);
    let message = compile("FILTER(ARRAY[1], x => x + 1)").unwrap_err();
    assert!(message.starts_with("Cannot infer generics for LAMBDA (T) => BOOLEAN from LAMBDA (INTEGER) => INTEGER"));
    check_null(&["TRANSFORM(MAP('a' := 1), (k, v) => k, (k, v) => CAST(NULL AS INT))"]);
}

#[test]
fn codes_of_bytes_are_strict_or_forgiving() {
    check(&[
        ("FROM_BYTES(TO_BYTES('YWI', 'base64'), 'ascii')", "ab"),
        ("ENCODE('0x4162', 'hex', 'ascii')", "Ab"),
        ("ENCODE('X''4162''', 'HEX', 'utf8')", "Ab"),
        ("ENCODE('Y W-J_!', 'base64', 'hex')", "616f89"),
        ("ENCODE('\u{1F600}', 'ascii', 'utf8')", "?"),
        ("INT_FROM_BYTES(TO_BYTES('02000000', 'hex'), 'little_endian')", "2"),
    ]);
    check_null(&[
        "TO_BYTES('0x41', 'hex')",
        "TO_BYTES('416', 'hex')",
        "ENCODE('a', 'utf8', 'utf8')",
        "ENCODE('416', 'hex', 'ascii')",
    ]);
}

#[test]
fn arguments_that_mean_nothing_give_null() {
    check_null(&[
        "MASK('ab', 'XX', 'x', 'n', '-')",
        "CONCAT_WS('a')",
        "ARRAY_JOIN(ARRAY[ARRAY[1]])",
        "JSON_ARRAY_CONTAINS(CAST(NULL AS STRING), 1)",
        "ROUND(LN(-1), 2)",
        "URL_EXTRACT_HOST('http://a/%zz')",
        "CONVERT_TZ(FROM_UNIXTIME(0), 'PST', 'UTC')",
        "EXTRACTJSONFIELD('{\"a-b\": 1}', '$.a-b')",
    ]);
}

#[test]
fn what_is_not_there_has_its_own_answers() {
    check(&[
        ("INSTR(CAST(NULL AS STRING), 'a')", "0"),
        ("INSTR('abc', '')", "1"),
        ("INSTR('abcab', 'ab', -2)", "1"),
        ("INITCAP('  the end')", "The End"),
        ("AS_MAP(ARRAY['a', 'b'], ARRAY[1])['b']", "null"),
        ("EXTRACTJSONFIELD('{\"a\": null}', '$.a')", "null"),
        ("LEN(EXTRACTJSONFIELD('{\"a\": null}', '$.a'))", "4"),
        ("FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'z VV')", "GMT GMT"),
        ("MASK('ÄäⅣ٣½')", "Xx-n-"),
    ]);
}

#[test]
fn json_is_made_in_the_order_that_users_know() {
    check(&[
        ("TO_JSON_STRING(STRUCT(b := 1, a := MAP('y' := 1, 'x' := 2)))", "{\"A\":{\"x\":2,\"y\":1},\"B\":1}"),
        ("EXTRACTJSONFIELD('{\"a b\": 1}', '$[\"a b\"]')", "1"),
        ("JSON_CONCAT('{\"a\":1}', '{\"b\":2}', '[3]')", "[{\"a\":1},{\"b\":2},3]"),
        ("URL_EXTRACT_PARAMETER('http://a/?x=1%262&y=3', 'x')", "1"),
    ]);
}

#[test]
fn regular_expressions_are_those_of_java() {
    check(&[
        (r"REGEXP_EXTRACT('\p{Alnum}+', '-ab1ä')", "ab1"),
        (r"REGEXP_EXTRACT('\w+', 'naïve')", "na"),
        (r"REGEXP_REPLACE('a-b_c!', '[\p{Punct}&&[^_]]', '')", "ab_c"),
        (r"REGEXP_EXTRACT('(a|b)\1', 'abba')", "bb"),
        (r"REGEXP_EXTRACT('(?<=\$)\d+(?=\.)', 'it is $42.50')", "42"),
        (r"REGEXP_EXTRACT('\Qa.b\E', 'aab a.b')", "a.b"),
        (r"REGEXP_EXTRACT('a++b', 'aab')", "aab"),
        (r"REGEXP_EXTRACT('\u00e9\x41\t?', 'éA')", "éA"),
        (r"REGEXP_EXTRACT('\<b\>', '<b>')", "<b>"),
        ("REGEXP_EXTRACT('b$', 'ab\n')", "b"),
        ("REGEXP_EXTRACT('.+', 'ab\r\n')", "ab"),
        ("REGEXP_REPLACE('baaac', 'a*', 'X')", "XbXXcX"),
        ("REGEXP_REPLACE('abc', '(?<n>b)', '<${n}$1>')", "a<bb>c"),
        ("REGEXP_SPLIT_TO_ARRAY('aXbX', '(?=X)')", "[a, Xb, X]"),
        ("REGEXP_SPLIT_TO_ARRAY('aXbX', 'X')", "[a, b, ]"),
        (r"REGEXP_EXTRACT_ALL('[[:alpha:]]', 'cab:')", "[a, :]"),
    ]);
    check_null(&[
        "REGEXP_EXTRACT('a{', 'a{')",
        r"REGEXP_EXTRACT('\y', 'y')",
        "REGEXP_EXTRACT('a{,3}', 'aa')",
        "REGEXP_REPLACE('abc', 'b', '$')",
        r"REGEXP_EXTRACT('a*+a', 'aa')",
    ]);
}

#[test]
fn json_is_read_up_to_its_end_and_numbers_are_spelled_as_java_does() {
    check(&[
        ("IS_JSON_STRING('{} and more')", "true"),
        ("IS_JSON_STRING(' ')", "false"),
        ("EXTRACTJSONFIELD('{\"a\": 1e5}', '$.a')", "1E+5"),
        ("JSON_ITEMS('[1e5, -0, 1.50]')", "[1E+5, 0, 1.50]"),
        ("JSON_CONCAT('1e2', '[-0, 0.00000001]')", "[100,0,0.00000001]"),
    ]);
    check_null(&["JSON_ARRAY_LENGTH('')", "EXTRACTJSONFIELD('', '$.a')", "JSON_CONCAT('{}', '')"]);
}

#[test]
fn urls_that_are_none_are_refused() {
    check(&[
        ("URL_EXTRACT_PATH('http:///p')", "/p"),
        ("URL_EXTRACT_PATH('/a:b')", "/a:b"),
        ("URL_EXTRACT_QUERY('http://h/?[x]')", "[x]"),
    ]);
    check_null(&[
        "URL_EXTRACT_PROTOCOL('http:')",
        "URL_EXTRACT_PROTOCOL('http://')",
        "URL_EXTRACT_PATH('1http://a/b')",
        "URL_EXTRACT_PATH('http://a/[b]')",
        "URL_EXTRACT_HOST('http://h:999999999999/')",
        "URL_EXTRACT_FRAGMENT('http://a#b#c')",
    ]);
}

#[test]
fn values_of_several_parts_have_no_order() {
    check(&[
        ("ARRAY_SORT(ARRAY[ARRAY[1], CAST(NULL AS ARRAY<INT>)])", "[[1], null]"),
        ("ARRAY_SORT(ARRAY[2, NULL, 1], 'desc')", "[2, 1, null]"),
        ("ARRAY_MAX(ARRAY[CAST(NULL AS ARRAY<INT>)])", "null"),
    ]);
    check_null(&["ARRAY_SORT(ARRAY[ARRAY[2], ARRAY[1]])", "ARRAY_MIN(ARRAY[STRUCT(a := 1)])"]);
}

#[test]
fn remainders_of_quotients_with_many_digits_are_none() {
    check(&[("10.0 % 0.3", "0.1"), ("100.00 % 0.01", "0.00")]);
    check_null(&["123.45 % 0.02"]);
}

#[test]
fn alternatives_are_told_in_the_order_that_users_know() {
    let message = compile("SUBSTRING(1, 2)").unwrap_err();
    let alternatives: Vec<_> = message.lines().skip(2).take(4).collect();
    assert_eq!(
        alternatives,
        [
            "SUBSTRING(VARCHAR str, INT pos, INT length)",
            "SUBSTRING(BYTES bytes, INT pos, INT length)",
            "SUBSTRING(BYTES bytes, INT pos)",
            "SUBSTRING(VARCHAR str, INT pos)",
        ]
    );
}

#[test]
fn maps_come_in_the_order_of_their_buckets() {
    check(&[
        ("MAP_KEYS(MAP_UNION(MAP('éa' := 1, 'c' := 1), MAP('id' := 2)))", "[éa, c, id]"),
        (
            "MAP_KEYS(SPLIT_TO_MAP('1=1/Zeta=1/long text=1/null=1/éa=1/y22=1', '/', '='))",
            "[1, Zeta, null, y22, éa, long text]",
        ),
        ("MAP_UNION(MAP('a' := 1), MAP('a' := 2))", "{a=2}"),
        ("MAP_KEYS(MAP_UNION(CAST(NULL AS MAP<STRING, INT>), MAP('a' := 2)))", "[a]"),
    ]);
}

#[test]
fn structs_of_other_fields_differ() {
    check(&[
        ("STRUCT(a := 1) = STRUCT(a := 1)", "true"),
        ("STRUCT(a := 1) = STRUCT(b := 1)", "false"),
        ("STRUCT(a := 1) IS DISTINCT FROM STRUCT(b := 1)", "true"),
        ("STRUCT(a := 1) <> STRUCT(a := CAST(1 AS BIGINT))", "true"),
    ]);
}

#[test]
fn units_of_time_have_a_fixed_length() {
    check(&[("TIMEADD(HOURS, 25, TIME '10:00:00')", "11:00"), ("TIMEADD(DAYS, 200000, TIME '00:00:00')", "23:47:16")]);
    assert!(compile("DATEADD(MONTHS, 1, DATE '2020-01-01')").unwrap_err().contains("cannot be resolved"));
    assert!(compile("COALESCE(NULL, NULL)").unwrap_err().contains("Could not find mapping for generic type: T"));
}
