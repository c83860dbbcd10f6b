//! Tests of expressions: types, messages and values.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use super::*;
use crate::parser::parse_expression;

fn scope() -> Scope {
    Scope::of([
        ("I", SqlType::Integer),
        ("L", SqlType::Bigint),
        ("D", SqlType::Double),
        ("M", SqlType::decimal(4, 2).unwrap()),
        ("S", SqlType::String),
        ("B", SqlType::Boolean),
        ("A", SqlType::array(SqlType::Integer)),
        ("P", SqlType::map(SqlType::String, SqlType::Bigint)),
        ("ST", SqlType::structure([("X", SqlType::Integer), ("Y", SqlType::String)])),
        ("DT", SqlType::Date),
        ("N", SqlType::Integer),
        ("NB", SqlType::Boolean),
        ("ROWTIME", SqlType::Bigint),
    ])
}

fn row() -> Vec<Value> {
    vec![
        Value::Int(7),
        Value::Bigint(9_000_000_000),
        Value::Double(2.5),
        Value::decimal(BigDecimal::from_str("10.01").unwrap()),
        Value::from("text"),
        Value::Boolean(true),
        Value::array(vec![Value::Int(1), Value::Int(2), Value::Null]),
        Value::map([(Value::from("k"), Value::Bigint(5))].into_iter().collect()),
        Value::structure(vec![Value::Int(3), Value::from("y")]),
        Value::Date(10),
        Value::Null,
        Value::Null,
        Value::Bigint(1000),
    ]
}

fn compile(text: &str) -> Result<TypedExpression, ExpressionError> {
    scope().compile(&parse_expression(text, &|_| None).unwrap())
}

/// The text of the value and of the type.
fn evaluate(text: &str) -> (String, String) {
    let compiled = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let value = compiled.evaluate(&row(), &mut EvalContext::new());
    let sql_type = compiled.sql_type.clone().unwrap_or(SqlType::String);
    (value.text(&sql_type), type_text(compiled.sql_type.as_ref()))
}

fn value(text: &str) -> String {
    evaluate(text).0
}

fn error(text: &str) -> String {
    compile(text).expect_err(text).0
}

#[test]
fn numbers_compute_in_the_wider_type() {
    assert_eq!(evaluate("I + 1"), ("8".into(), "INTEGER".into()));
    assert_eq!(evaluate("2147483647 + 1"), ("-2147483648".into(), "INTEGER".into()));
    assert_eq!(evaluate("I / 2"), ("3".into(), "INTEGER".into()));
    assert_eq!(evaluate("I * L"), ("63000000000".into(), "BIGINT".into()));
    assert_eq!(evaluate("I / D"), ("2.8".into(), "DOUBLE".into()));
    assert_eq!(evaluate("M + 1"), ("11.01".into(), "DECIMAL(13, 2)".into()));
    assert_eq!(evaluate("M * M"), ("100.2001".into(), "DECIMAL(9, 4)".into()));
    assert_eq!(evaluate("M / CAST(4 AS DECIMAL(4, 2))"), ("2.5025000".into(), "DECIMAL(11, 7)".into()));
    assert_eq!(evaluate("M / CAST(3 AS DECIMAL(4, 2))"), ("null".into(), "DECIMAL(11, 7)".into()));
    assert_eq!(evaluate("-M % 3.0"), ("-1.01".into(), "DECIMAL(3, 2)".into()));
    assert_eq!(value("S || '!' + 'x'"), "text!x");
}

#[test]
fn failures_are_null_and_told() {
    let mut context = EvalContext::new();
    assert!(compile("I / 0").unwrap().evaluate(&row(), &mut context).is_null());
    let told = |context: &mut EvalContext| {
        let parts = context.take_errors();
        parts.into_iter().map(|failed| (failed.part.to_string(), failed.error)).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut context), [(String::new(), EvalError::new("/ by zero"))]);
    compile("CAST('x' || S AS INT)").unwrap().evaluate(&row(), &mut context);
    compile("ARRAY[I / (I - 7)]").unwrap().evaluate(&row(), &mut context);
    let names: Vec<String> = told(&mut context).into_iter().map(|(part, _)| part).collect();
    assert_eq!(names, ["INTEGER", "array item"]);
    assert_eq!(value("ARRAY[I / (I - 7), 1]"), "[null, 1]");
    assert_eq!(value("N + 1"), "null");
}

#[test]
fn exponents_without_measure_are_refused() {
    for text in ["I IN ('1e2000000000')", "I IN ('1e-4294967295')", "M IN ('1e900000000')"] {
        let error = compile(text).map(drop).unwrap_err().0;
        assert!(error.contains("invalid input syntax for type "), "{text}: {error}");
    }
    assert_eq!(value("CAST('1e900000000' AS DECIMAL(1000000000, 0))"), "null");
}

#[test]
fn comparisons_with_null_are_false() {
    assert_eq!(value("N = 1"), "false");
    assert_eq!(value("NOT (N = 1)"), "true");
    assert_eq!(value("N IS DISTINCT FROM 1"), "true");
    assert_eq!(value("N IS NOT DISTINCT FROM N"), "true");
    assert_eq!(value("NB AND false"), "null");
    assert_eq!(value("false AND NB"), "false");
    assert_eq!(value("true OR NB"), "true");
}

#[test]
fn numbers_compare_by_worth_and_texts_become_times() {
    for condition in [
        "I = 7.00",
        "L > I",
        "M < 10.02",
        "D = 2.5",
        "DT = '1970-01-11'",
        "DT < CAST('1970-01-12' AS TIMESTAMP)",
        "A = ARRAY[1, 2, NULL]",
        "ST <> STRUCT(X := 4, Y := 'y')",
        "I BETWEEN 7 AND 8",
        "S LIKE 't_x%'",
        "I IN (1, '7')",
        "S IN (1, 'text')",
        "L IN (9000000000.0)",
        "B",
    ] {
        assert_eq!(value(condition), "true", "{condition}");
    }
    assert_eq!(value("I NOT IN (7)"), "false");
}

#[test]
fn what_cannot_be_compared_is_told() {
    assert_eq!(error("I >= 'x'"), "Cannot compare I (INTEGER) to 'x' (STRING) with GREATER_THAN_OR_EQUAL.");
    assert_eq!(error("B > true"), "Cannot compare B (BOOLEAN) to true (BOOLEAN) with GREATER_THAN.");
    assert_eq!(
        error("NULL <> NULL"),
        "Comparison with NULL not supported: NULL <> NULL\nUse 'IS NULL' or 'IS NOT NULL' instead."
    );
    assert_eq!(
        error("TRUE + 1.5"),
        "Error processing expression: (true + 1.5). Unsupported arithmetic types. BOOLEAN DECIMAL"
    );
    assert_eq!(
        error("5.0 / NULL"),
        "Error processing expression: (5.0 / null). Arithmetic on types DECIMAL(2, 1) and null are not supported."
    );
    assert_eq!(error("B IN (true, 'maybe')"), "Invalid Select: invalid input syntax for type BOOLEAN: \"maybe\".");
    assert!(error("P IN (MAP('1' := 'x'))").starts_with("Invalid Select: invalid input syntax for type BIGINT: \"x\""));
    let condition = parse_expression("B IN ('maybe')", &|_| None).unwrap();
    let condition = scope().compile_condition("WHERE", &condition).unwrap_err().0;
    assert_eq!(condition, "Invalid Predicate: invalid input syntax for type BOOLEAN: \"maybe\".");
    assert!(error("I LIKE 'x'").contains("must be VARCHAR. The column type is INTEGER"));
    assert!(error("UNKNOWN").contains("Column 'UNKNOWN' cannot be resolved."));
    assert!(error("MAP()").starts_with("Map constructor cannot be empty."));
    assert!(error("ST->Z").contains("Could not find field 'Z' in 'ST'."));
    assert!(error("CASE WHEN B THEN 1 ELSE 'x' END").contains("default clause should be the same"));
}

#[test]
fn containers_are_built_and_opened() {
    assert_eq!(value("A[1]"), "1");
    assert_eq!(value("A[-2]"), "2");
    assert_eq!(value("A[9]"), "null");
    assert_eq!(value("P['k']"), "5");
    assert_eq!(value("ST->Y"), "y");
    assert_eq!(evaluate("ARRAY[I, '3', 2.5]"), ("[7.0, 3.0, 2.5]".into(), "ARRAY<DECIMAL(11, 1)>".into()));
    assert_eq!(evaluate("ARRAY[NULL, STRUCT(A := 1), STRUCT(B := L)]").1, "ARRAY<STRUCT<`B` BIGINT, `A` INTEGER>>");
    assert_eq!(evaluate("MAP('a' := I, 'b' := NULL)").1, "MAP<STRING, INTEGER>");
    assert_eq!(value("CASE I WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END"), "seven");
}

#[test]
fn casts_go_as_java_does() {
    assert_eq!(value("CAST(L AS INT)"), (9_000_000_000_i64 as i32).to_string());
    assert_eq!(value("CAST(-2.9E0 AS BIGINT)"), "-2");
    assert_eq!(value("CAST('tr' AS BOOLEAN)"), "true");
    assert_eq!(value("CAST(I AS DECIMAL(1, 1))"), "null");
    assert_eq!(value("CAST(D AS DECIMAL(1, 0))"), "3");
    assert_eq!(value("CAST(DT AS TIMESTAMP)"), "1970-01-11T00:00:00.000");
    assert_eq!(value("CAST(A AS ARRAY<STRING>)"), "[1, 2, null]");
    assert_eq!(value("CAST(ST AS STRUCT<Y STRING, Q INT>)"), "Struct{Y=y}");
    assert_eq!(value("CAST(' YES ' AS BOOLEAN)"), "true");
    assert_eq!(value("CAST('NaN' AS DOUBLE)"), "null");
    assert_eq!(value("CAST(CAST('10:00:01.5' AS TIME) AS STRING)"), "10:00:01");
    assert_eq!(value("CAST(2.675E0 AS DECIMAL(4, 2))"), "2.68");
    assert_eq!(value("CAST(2.675E0 AS DECIMAL(20, 2))"), "2.67");
    assert_eq!(value("CAST(9.99 AS DECIMAL(1, 0))"), "10");
    assert_eq!(error("CAST(I AS BOOLEAN)"), "Invalid Select: Cast of INTEGER to BOOLEAN is not supported");
    assert_eq!(
        error("CAST(A AS ARRAY<BOOLEAN>)"),
        "Invalid Select: Cast of ARRAY<INTEGER> to ARRAY<BOOLEAN> is not supported"
    );
}

#[test]
fn parts_that_fail_are_null_alone_and_nulls_fail_the_whole() {
    assert_eq!(value("COALESCE(CAST('x' AS INT), 5)"), "5");
    assert_eq!(value("CAST('x' AS INT) IS NULL"), "true");
    assert_eq!(value("COALESCE(CAST(N + 1 AS BIGINT), L)"), "9000000000");
    assert_eq!(value("COALESCE(SUBSTRING(REGEXP_EXTRACT('(', S), 1), 'none')"), "none");
    for whole in ["COALESCE(N + 1, 5)", "(N + 1) IS NULL", "(-N) IS NULL", "(NOT NB) IS NULL", "(NB OR true) IS NULL"] {
        assert_eq!(value(whole), "null", "{whole}");
    }
    assert_eq!(value("CASE WHEN N + 1 > 0 THEN 'more' ELSE 'less' END"), "null");
    assert_eq!(value("S + CAST(NULL AS STRING)"), "textnull");
    let holds = |text: &str| {
        let condition = scope().compile_condition("WHERE", &parse_expression(text, &|_| None).unwrap()).unwrap();
        condition.holds(&row(), &mut EvalContext::new())
    };
    assert!(holds("N IS NULL") && !holds("CAST('x' AS INT) IS NULL"));
    assert!(!holds("CAST(NULL AS STRING) LIKE 'a%'") && !holds("NOT (CAST(N AS STRING) LIKE 'a%')"));
}

#[test]
fn the_first_of_a_list_decides_on_its_type() {
    assert_eq!(evaluate("ARRAY[S, 5]"), ("[text, 5]".into(), "ARRAY<STRING>".into()));
    assert_eq!(
        error("ARRAY[5, S]"),
        "operator does not exist: INTEGER = STRING (S)\nHint: You might need to add explicit type casts."
    );
    assert_eq!(evaluate("ARRAY[I, '2147483647']").1, "ARRAY<BIGINT>");
    assert_eq!(evaluate("ARRAY[I, '1e2']"), ("[7, 100]".into(), "ARRAY<DECIMAL(10, 0)>".into()));
    assert_eq!(evaluate("ARRAY[0.5]").1, "ARRAY<DECIMAL(2, 1)>");
    assert_eq!(evaluate("ARRAY[DT, '1970-01-02']"), ("[1970-01-11, 1970-01-02]".into(), "ARRAY<DATE>".into()));
    assert!(error("ARRAY[A, ARRAY['x', B]]").starts_with("operator does not exist"));
    assert_eq!(
        error("I IN (1, A)"),
        "Invalid Select: operator does not exist: INTEGER = ARRAY<INTEGER> (A)\nHint: You might need to add explicit \
         type casts."
    );
    assert_eq!(error("CASE WHEN B THEN NULL END"), "Invalid Case expression. All case branches have NULL type");
    assert_eq!(
        error("ST['X']"),
        "Subscript expression (ST['X']) do not apply to STRUCT<`X` INTEGER, `Y` STRING>. Use the dereference operator for \
         STRUCTS: ST->'X'"
    );
}

#[test]
fn nothing_equals_nan_and_bytes_have_a_sign() {
    for condition in ["D / 0 * 0 = D / 0 * 0", "D / 0 * 0 <> 1.0E0", "D / 0 * 0 > 1"] {
        assert_eq!(value(condition), "false", "{condition}");
    }
    assert_eq!(value("CAST('gA==' AS BYTES) < CAST('fw==' AS BYTES)"), "true");
}

#[test]
fn functions_take_lambdas_that_see_the_row() {
    assert_eq!(value("TRANSFORM(ARRAY[1, 2], x => x * I)"), "[7, 14]");
    assert_eq!(value("REDUCE(ARRAY[1, 2], 1, (s, x) => s + x)"), "4");
    assert_eq!(value("FILTER(P, (k, v) => v > 5)"), "{}");
    assert_eq!(value("TRANSFORM(ARRAY[ARRAY[1], ARRAY[2, 3]], a => REDUCE(a, I, (s, x) => s + x))"), "[8, 12]");
    assert_eq!(evaluate("TRANSFORM(A, x => CAST(x AS STRING))").1, "ARRAY<STRING>");
}

#[test]
fn times_as_text_become_milliseconds_beside_rowtime() {
    let condition = parse_expression("ROWTIME = '1970-01-01T00:00:01' AND I = 7", &|_| None).unwrap();
    let rewritten = rewrite_time_comparisons(&condition).unwrap();
    let compiled = scope().compile_condition("WHERE", &rewritten).unwrap();
    assert!(compiled.holds(&row(), &mut EvalContext::new()));
    let wrong = parse_expression("ROWTIME > 'soon'", &|_| None).unwrap();
    assert!(rewrite_time_comparisons(&wrong).is_err());
}

#[test]
fn conditions_must_be_boolean() {
    let number = parse_expression("I + 1", &|_| None).unwrap();
    assert_eq!(
        scope().compile_condition("WHERE", &number).unwrap_err().0,
        "Type error in WHERE expression: Should evaluate to boolean but is (I + 1) (INTEGER) instead."
    );
}

#[test]
fn long_chains_and_deep_nests_end_well() {
    let chain = format!("0{}", " + 1".repeat(450));
    assert_eq!(value(&chain), "450");
    let deep = format!("{}1{}", "ARRAY[".repeat(60), "]".repeat(60));
    assert_eq!(error(&deep), "The expression is too complex");
    assert_eq!(value("ARRAY[ARRAY[ARRAY[ARRAY[1, NULL]]]]"), "[[[[1, null]]]]");
    let nested = format!("{}1{}", "ABS(".repeat(100), ")".repeat(100));
    assert_eq!(value(&nested), "1");
}
