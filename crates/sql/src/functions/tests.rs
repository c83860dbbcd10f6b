//! Tests of scalar functions, called as queries call them.

use super::*;
use crate::expression::Scope;
use crate::parser::parse_expression;

fn compile(text: &str) -> Result<crate::expression::TypedExpression, String> {
    Scope::default().compile(&parse_expression(text, &|_| None).unwrap()).map_err(|error| error.0)
}

fn value(text: &str) -> String {
    let compiled = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let value = compiled.evaluate(&[], &mut EvalContext::new());
    value.text(&compiled.sql_type.clone().unwrap_or(SqlType::String))
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(value(text), *expected, "{text}");
    }
}

#[test]
fn every_function_is_documented_and_reads_its_signatures() {
    let mut count = 0;
    for function in registry().iter() {
        assert!(function.description.ends_with('.'), "{}", function.name);
        assert!(!function.signatures().is_empty(), "{}", function.name);
        for (parameters, _, _) in function.parameters() {
            for parameter in parameters {
                assert!(!parameter.name.is_empty(), "{}", function.name);
            }
        }
        count += 1;
    }
    assert!(count >= 145, "{count}");
}

#[test]
fn numbers() {
    check(&[
        ("ABS(-5)", "5"),
        ("ABS(-1.5)", "1.5"),
        ("CEIL(1.2)", "2.0"),
        ("FLOOR(-1.2e0)", "-2.0"),
        ("ROUND(-1.5e0)", "-1"),
        ("ROUND(2.5)", "3"),
        ("ROUND(1.2345, 2)", "1.2300"),
        ("ROUND(1234.5e0, -2)", "1200.0"),
        ("TRUNC(-1.7e0)", "-1"),
        ("TRUNC(1.29e0, 1)", "1.2"),
        ("SIGN(-3)", "-1"),
        ("SQRT(4)", "2.0"),
        ("LOG(2, 8)", "3.0"),
        ("LN(0)", "-Infinity"),
        ("GREATEST(1, NULL, 3)", "3"),
        ("LEAST('b', 'a')", "a"),
        ("GREATEST(1.5, 2.25)", "2.25"),
        ("DEGREES(PI())", "180.0"),
        ("DEGREES(0.43)", "24.6371851906254"),
        ("RADIANS(6)", "0.10471975511965978"),
    ]);
}

#[test]
fn texts() {
    check(&[
        ("UCASE('aä')", "AÄ"),
        ("INITCAP('the qUICK fox')", "The Quick Fox"),
        ("SUBSTRING('stream', 2)", "tream"),
        ("SUBSTRING('stream', -3, 2)", "ea"),
        ("SUBSTRING('stream', 0, 2)", "st"),
        ("SUBSTRING('stream', 9)", ""),
        ("LPAD('ab', 5, 'xy')", "xyxab"),
        ("RPAD('abc', 2, 'x')", "ab"),
        ("LPAD('abc', -1, 'x')", "null"),
        ("INSTR('corporate floor', 'or')", "2"),
        ("INSTR('corporate floor', 'or', 3)", "5"),
        ("INSTR('corporate floor', 'or', -3)", "5"),
        ("INSTR('corporate floor', 'or', 1, 3)", "14"),
        ("CONCAT('a', NULL, 'b')", "ab"),
        ("CONCAT_WS('-', 'a', NULL, 'b')", "a-b"),
        ("ELT(2, 'a', 'b')", "b"),
        ("FIELD('b', 'a', 'b')", "2"),
        ("SPLIT('a.b.', '.')", "[a, b, ]"),
        ("SPLIT_TO_MAP('a:1;b:2', ';', ':')", "{a=1, b=2}"),
        ("REPLACE('foobar', 'o', 'X')", "fXXbar"),
        ("MASK('Ab 1')", "Xx-n"),
        ("MASK('Ab 1', '*', NULL, '#', NULL)", "*b #"),
        ("MASK_KEEP_RIGHT('Ab12', 2)", "Xx12"),
        ("MASK_LEFT('Ab12', 1)", "Xb12"),
        ("CHR('\\u004b')", "K"),
        ("CHR(75)", "K"),
        ("CHR('bogus')", "null"),
        ("MD5('abc')", "900150983cd24fb0d6963f7d28e17f72"),
        ("ENCODE('Ab', 'utf8', 'hex')", "4162"),
        ("ENCODE('4162', 'hex', 'base64')", "QWI="),
        ("LEN('äb')", "2"),
        ("TRIM('  a ')", "a"),
        ("LEN(UUID())", "36"),
    ]);
}

#[test]
fn regular_expressions() {
    check(&[
        ("REGEXP_EXTRACT('(.*) (.*)', 'hello world', 2)", "world"),
        ("REGEXP_EXTRACT('x', 'hello')", "null"),
        ("REGEXP_EXTRACT_ALL('.r', 'stream read')", "[tr,  r]"),
        ("REGEXP_REPLACE('a-b', '(\\w)-(\\w)', '$2-$1')", "b-a"),
        ("REGEXP_SPLIT_TO_ARRAY('a1b22c', '[0-9]+')", "[a, b, c]"),
        ("REGEXP_SPLIT_TO_ARRAY('ab', '')", "[a, b]"),
    ]);
    let mut context = EvalContext::new();
    assert!(compile("REGEXP_EXTRACT('(', 'a')").unwrap().evaluate(&[], &mut context).is_null());
    assert_eq!(context.take_errors().len(), 1);
}

#[test]
fn bytes_and_numbers() {
    check(&[
        ("FROM_BYTES(TO_BYTES('hello', 'utf8'), 'hex')", "68656C6C6F"),
        ("INT_FROM_BYTES(TO_BYTES('00000102', 'hex'))", "258"),
        ("BIGINT_FROM_BYTES(TO_BYTES('0200000000000000', 'hex'), 'LITTLE_ENDIAN')", "2"),
        ("LEN(CONCAT(TO_BYTES('ab', 'ascii'), TO_BYTES('c', 'ascii')))", "3"),
        ("INT_FROM_BYTES(TO_BYTES('01', 'hex'))", "null"),
    ]);
}

#[test]
fn arrays_and_maps() {
    check(&[
        ("ARRAY_SORT(ARRAY[3, NULL, 1], 'DESC')", "[3, 1, null]"),
        ("ARRAY_MAX(ARRAY[3, NULL, 1])", "3"),
        ("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 3]"),
        ("ARRAY_EXCEPT(ARRAY[1, 1, 2], ARRAY[2])", "[1]"),
        ("ARRAY_REMOVE(ARRAY[1, NULL, 2], NULL)", "[1, 2]"),
        ("ARRAY_CONTAINS(ARRAY[1, 2], 2)", "true"),
        ("ARRAY_JOIN(ARRAY[1, NULL], '|')", "1|null"),
        ("SLICE(ARRAY[1, 2, 3], 2, 3)", "[2, 3]"),
        ("GENERATE_SERIES(3, 1)", "[3, 2, 1]"),
        ("GENERATE_SERIES(1, 7, 3)", "[1, 4, 7]"),
        ("AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])['b']", "2"),
        ("MAP_KEYS(MAP('foo' := 1, 'bar' := 2))", "[bar, foo]"),
        ("MAP_UNION(MAP('a' := 1), MAP('a' := 2))['a']", "2"),
        ("ENTRIES(MAP('b' := 1, 'a' := 2), true)", "[Struct{K=a,V=2}, Struct{K=b,V=1}]"),
        ("ARRAY_LENGTH(ARRAY_DISTINCT(ARRAY['a', 'a']))", "1"),
    ]);
}

#[test]
fn json_texts() {
    check(&[
        ("EXTRACTJSONFIELD('{\"a\": {\"b\": [1, \"x\"]}}', '$.a.b[1]')", "x"),
        ("EXTRACTJSONFIELD('{\"a\": {\"b\": [1, 2.50]}}', '$.a')", "{\"b\":[1,2.50]}"),
        ("EXTRACTJSONFIELD('no json', '$.a')", "null"),
        ("IS_JSON_STRING('[1]')", "true"),
        ("IS_JSON_STRING('')", "false"),
        ("IS_JSON_STRING('2020-01-01')", "false"),
        ("IS_JSON_STRING('12abc')", "false"),
        ("IS_JSON_STRING('nullable')", "false"),
        ("IS_JSON_STRING('truex')", "false"),
        ("JSON_CONCAT('[-0, 1E2]', '1.50')", "[0,100,1.50]"),
        ("JSON_ARRAY_LENGTH('[1, 2]')", "2"),
        ("JSON_ARRAY_CONTAINS('[1, \"a\"]', 'a')", "true"),
        ("JSON_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\":1,\"b\":2}"),
        ("JSON_CONCAT('[1]', '2')", "[1,2]"),
        ("JSON_KEYS('{\"a\": 1}')", "[a]"),
        ("JSON_RECORDS('{\"a\": {\"b\": 1}}')['a']", "{\"b\":1}"),
        ("JSON_ITEMS('[\"a\", {}]')", "[\"a\", {}]"),
        ("TO_JSON_STRING(STRUCT(A := ARRAY[1, NULL], `b` := 'x\"'))", "{\"A\":[1,null],\"b\":\"x\\\"\"}"),
        ("TO_JSON_STRING(CAST('2020-01-01' AS TIMESTAMP))", "\"2020-01-01T00:00:00.000\""),
        ("TO_JSON_STRING(NULL)", "null"),
    ]);
}

#[test]
fn urls() {
    check(&[
        ("URL_ENCODE_PARAM('?foo $bar')", "%3Ffoo+%24bar"),
        ("URL_DECODE_PARAM('%3Ffoo+%24bar')", "?foo $bar"),
        ("URL_EXTRACT_HOST('https://me@example.org:8080/a%20b?q=1&r#f')", "example.org"),
        ("URL_EXTRACT_PORT('https://me@example.org:8080/')", "8080"),
        ("URL_EXTRACT_PORT('https://example.org/')", "null"),
        ("URL_EXTRACT_HOST('http://my_host:80/')", "null"),
        ("URL_EXTRACT_PORT('http://my_host:80/')", "null"),
        ("URL_EXTRACT_HOST('http://10.0.0.1:80/')", "10.0.0.1"),
        ("URL_EXTRACT_HOST('http://[::1]:80/')", "[::1]"),
        ("URL_EXTRACT_HOST('http://[bad')", "null"),
        ("URL_EXTRACT_PATH('https://example.org/a%20b?q')", "/a b"),
        ("URL_EXTRACT_QUERY('https://example.org/?q=1&r#f')", "q=1&r"),
        ("URL_EXTRACT_PARAMETER('https://example.org/?q=a%20b&r', 'q')", "a b"),
        ("URL_EXTRACT_PARAMETER('https://example.org/?q=1&r', 'r')", ""),
        ("URL_EXTRACT_PROTOCOL('https://example.org')", "https"),
        ("URL_EXTRACT_FRAGMENT('https://example.org/#f')", "f"),
    ]);
}

#[test]
fn dates_and_times() {
    check(&[
        ("DATEADD(DAYS, 2, DATE '1999-12-31')", "2000-01-02"),
        ("DATESUB(HOURS, 36, DATE '2000-01-02')", "1999-12-31"),
        ("TIMEADD(HOURS, 2, TIME '23:00')", "01:00"),
        ("TIMESTAMPSUB(MINUTES, 1, TIMESTAMP '1970-01-01T00:01')", "1970-01-01T00:00:00.000"),
        (
            "CONVERT_TZ(TIMESTAMP '1970-01-01T00:00', 'America/Los_Angeles', 'America/New_York')",
            "1970-01-01T03:00:00.000",
        ),
        ("FORMAT_TIMESTAMP(TIMESTAMP '2020-02-29T10:11:12', 'dd.MM.yyyy HH:mm', '+01:00')", "29.02.2020 11:11"),
        ("FORMAT_DATE(DATE '2020-02-29', 'MMM d')", "Feb 29"),
        ("PARSE_DATE('29/02/2020', 'dd/MM/yyyy')", "2020-02-29"),
        ("PARSE_TIME('1011', 'HHmm')", "10:11"),
        ("STRINGTOTIMESTAMP('1970-01-01 00:00:01', 'yyyy-MM-dd HH:mm:ss')", "1000"),
        ("UNIX_DATE(DATE '1970-01-11')", "10"),
        ("FROM_DAYS(10)", "1970-01-11"),
        ("UNIX_TIMESTAMP(FROM_UNIXTIME(5))", "5"),
    ]);
}

#[test]
fn choices() {
    check(&[
        ("COALESCE(NULL, 2, 3)", "2"),
        ("IFNULL(CAST(NULL AS INT), 10)", "10"),
        ("NULLIF(1, 1)", "null"),
        ("GEO_DISTANCE(0, 0, 0, 180) > 20015", "true"),
        ("GEO_DISTANCE(91, 0, 0, 0)", "null"),
    ]);
}

#[test]
fn calls_that_fit_no_overload_are_explained() {
    let message = compile("dateadd(DATE '2020-01-01', 5, DATE '2020-01-01')").unwrap_err();
    assert!(message.starts_with("Function 'dateadd' does not accept parameters (DATE, INTEGER, DATE).\nValid alternatives are:\nDATEADD(INTERVAL UNIT unit, INT interval, DATE date)"), "{message}");
    let message = compile("GREATEST(NULL, NULL)").unwrap_err();
    assert!(
        message.starts_with("Function 'greatest' cannot be resolved due to ambiguous method parameters (null, null)."),
        "{message}"
    );
    let message = compile("GREATEST(1, CAST(1 AS DECIMAL(50, 30)))").unwrap_err();
    assert!(message.contains("ambiguous method parameters (INTEGER, DECIMAL(50, 30))."), "{message}");
    assert_eq!(compile("NO_SUCH(1)").unwrap_err(), "Can't find any functions with the name 'NO_SUCH'");
}

#[test]
fn table_functions_give_rows() {
    let array = Value::array(vec![Value::Int(1), Value::Null]);
    let types = [Some(SqlType::array(SqlType::Integer))];
    let explode = registry().table_function("EXPLODE", &types).unwrap();
    assert_eq!(explode.return_type, SqlType::Integer);
    assert_eq!(explode.call(std::slice::from_ref(&array)).unwrap(), [Value::Int(1), Value::Null]);
    assert!(explode.call(&[Value::Null]).unwrap().is_empty());
    let cube = registry().table_function("cube_explode", &types).unwrap();
    let rows = cube.call(&[Value::array(vec![Value::Int(1), Value::Int(2)])]).unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[1], Value::array(vec![Value::Null, Value::Int(2)]));
}

#[test]
fn texts_are_cut_as_java_cuts_them() {
    check(&[
        ("SPLIT('', '')", "[]"),
        ("ARRAY_LENGTH(SPLIT('', ''))", "1"),
        ("SPLIT('a-b', '')", "[a, -, b]"),
        ("REGEXP_SPLIT_TO_ARRAY('aXbxc', '[xX]')", "[a, b, c]"),
        ("REGEXP_SPLIT_TO_ARRAY('abc', '')", "[a, b, c]"),
        ("REGEXP_SPLIT_TO_ARRAY('a1b22', '[0-9]*')", "[a, , b]"),
        ("ARRAY_LENGTH(REGEXP_SPLIT_TO_ARRAY('', ''))", "1"),
        ("SPLIT_TO_MAP('a=b=c/d=e', '/', '=')['a']", "b"),
        ("CHR('\\u0041\\u0042c')", "ABc"),
        ("ROUND(0.49999999999999994e0)", "0"),
        ("ROUND(-0.5e0)", "0"),
    ]);
}

#[test]
fn replacements_name_groups_that_there_are() {
    check(&[
        ("REGEXP_REPLACE('ab', '(a)(b)', '$2$1')", "ba"),
        ("REGEXP_REPLACE('ab', '(a)', '$11')", "a1b"),
        ("REGEXP_REPLACE('ab', 'a', '\\$')", "$b"),
    ]);
    for wrong in
        ["REGEXP_REPLACE('ab', 'a', '$1')", "REGEXP_REPLACE('ab', 'a', '$')", "REGEXP_REPLACE('ab', 'a', 'x\\')"]
    {
        assert!(fails(wrong), "{wrong}");
    }
}

#[test]
fn numbers_of_characters_to_mask_are_not_negative() {
    assert!(fails("MASK_LEFT('abc', -1)"));
    assert!(fails("MASK_KEEP_RIGHT('abc', CAST(NULL AS INT))"));
    check(&[("MASK_LEFT('Abc', 2)", "Xxc"), ("MASK_KEEP_LEFT('A1-', 1)", "An-")]);
}

#[test]
fn parameters_of_urls_may_be_empty() {
    check(&[
        ("URL_EXTRACT_PARAMETER('http://a/?x&y=1', 'x')", ""),
        ("URL_EXTRACT_PARAMETER('http://a/?x&y=1', 'y')", "1"),
    ]);
    assert_eq!(evaluated("URL_EXTRACT_PARAMETER('http://a/?x&y=1', 'z')"), Value::Null);
}

#[test]
fn dates_and_times_are_read_whole_or_not_at_all() {
    check(&[
        ("PARSE_DATE('2021-02-03', 'yyyy-MM-dd')", "2021-02-03"),
        ("STRINGTODATE('1970-01-05 10', 'yyyy-MM-dd HH')", "4"),
        ("PARSE_TIME('10', 'HH')", "10:00"),
        ("DATEADD(HOURS, 30, PARSE_DATE('1970-01-05', 'yyyy-MM-dd'))", "1970-01-06"),
        ("DATESUB(HOURS, 1, PARSE_DATE('1970-01-05', 'yyyy-MM-dd'))", "1970-01-04"),
    ]);
    for wrong in [
        "PARSE_DATE('2021-02-03 10', 'yyyy-MM-dd HH')",
        "STRINGTODATE('2021', 'yyyy')",
        "PARSE_TIME('30', 'mm')",
        "PARSE_TIME('2021 10', 'yyyy HH')",
    ] {
        assert!(fails(wrong), "{wrong}");
    }
}

/// The value of an expression over no columns.
fn evaluated(text: &str) -> Value {
    compile(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&[], &mut EvalContext::new())
}

/// Whether an expression leaves an error behind, which makes it null.
fn fails(text: &str) -> bool {
    evaluated(text).is_null()
}
