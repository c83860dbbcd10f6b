//! Tests of aggregate functions: rows in, rows undone, sessions merged.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use super::*;
use crate::functions::registry;

fn aggregator(name: &str, arguments: &[AggregateArgument]) -> Box<dyn Aggregator> {
    registry().aggregator(name, arguments, &FunctionSettings::default()).unwrap()
}

/// The result after rows of one argument each; the constants follow in every row.
fn run(name: &str, sql_type: SqlType, constants: &[(SqlType, Value)], rows: &[Value]) -> Value {
    let mut arguments = vec![AggregateArgument::column(sql_type)];
    arguments.extend(constants.iter().map(|(t, v)| AggregateArgument::constant(t.clone(), v.clone())));
    let function = aggregator(name, &arguments);
    let mut state = function.initialize();
    for row in rows {
        let mut values = vec![row.clone()];
        values.extend(constants.iter().map(|(_, value)| value.clone()));
        state = function.accumulate(&values, state).unwrap();
    }
    function.result(&state)
}

fn ints(numbers: &[i32]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Int).collect()
}

#[test]
fn sums_counts_and_means_leave_nulls_out() {
    let rows = [Value::Int(1), Value::Null, Value::Int(4)];
    assert_eq!(run("SUM", SqlType::Integer, &[], &rows), Value::Int(5));
    assert_eq!(run("COUNT", SqlType::Integer, &[], &rows), Value::Bigint(2));
    assert_eq!(run("AVG", SqlType::Integer, &[], &rows), Value::Double(2.5));
    assert_eq!(run("MIN", SqlType::Integer, &[], &rows), Value::Int(1));
    assert_eq!(run("MAX", SqlType::Integer, &[], &[]), Value::Null);
    let all = aggregator("COUNT", &[]);
    assert_eq!(all.accumulate(&[], all.initialize()).unwrap(), Value::Bigint(1));
}

#[test]
fn a_sum_of_decimals_that_does_not_fit_is_an_error() {
    let function = aggregator("SUM", &[AggregateArgument::column(SqlType::decimal(3, 1).unwrap())]);
    let row = [Value::decimal(BigDecimal::from_str("60.5").unwrap())];
    let state = function.accumulate(&row, function.initialize()).unwrap();
    assert!(function.accumulate(&row, state).unwrap_err().0.starts_with("Numeric field overflow"));
}

#[test]
fn undone_rows_leave_no_trace() {
    let cases = [
        ("SUM", SqlType::Integer, ints(&[3, 4])),
        ("COUNT", SqlType::Integer, ints(&[3, 4])),
        ("AVG", SqlType::Double, vec![Value::Double(3.0), Value::Double(4.0)]),
        ("COLLECT_LIST", SqlType::Integer, ints(&[3, 4])),
        ("ATTR", SqlType::Integer, ints(&[3, 4])),
        ("HISTOGRAM", SqlType::String, vec![Value::from("a"), Value::from("b")]),
        ("STDDEV_SAMPLE", SqlType::Integer, ints(&[3, 4])),
    ];
    for (name, sql_type, rows) in cases {
        let function = aggregator(name, &[AggregateArgument::column(sql_type)]);
        assert!(function.supports_undo(), "{name}");
        let one = function.accumulate(&rows[..1], function.initialize()).unwrap();
        let two = function.accumulate(&rows[1..], one.clone()).unwrap();
        assert_eq!(function.undo(&rows[1..], &two).unwrap().unwrap(), one, "{name}");
    }
    assert!(!aggregator("COLLECT_SET", &[AggregateArgument::column(SqlType::Integer)]).supports_undo());
}

#[test]
fn deviation_and_correlation() {
    let rows = ints(&[0, 10, 7]);
    assert_eq!(run("STDDEV_SAMP", SqlType::Integer, &[], &rows), Value::Double(79.0 / 3.0));
    assert_eq!(run("STDDEV_SAMPLE", SqlType::Integer, &[], &rows[..1]), Value::Double(0.0));
    let function = aggregator("CORRELATION", &[SqlType::Integer, SqlType::Integer].map(AggregateArgument::column));
    let mut state = function.initialize();
    for (x, y) in [(1, 8), (-1, -2)] {
        state = function.accumulate(&[Value::Int(x), Value::Int(y)], state).unwrap();
    }
    assert_eq!(function.result(&state), Value::Double(1.0));
}

#[test]
fn collections_keep_order() {
    let rows = [Value::Int(2), Value::Null, Value::Int(2)];
    let list = Value::array(rows.to_vec());
    assert_eq!(run("COLLECT_LIST", SqlType::Integer, &[], &rows), list);
    assert_eq!(run("COLLECT_SET", SqlType::Integer, &[], &rows), Value::array(rows[..2].to_vec()));
    assert_eq!(run("ATTR", SqlType::Integer, &[], &ints(&[1, 1])), Value::Int(1));
    assert_eq!(run("ATTR", SqlType::Integer, &[], &ints(&[1, 2])), Value::Null);
    let limited = FunctionSettings { collect_list_limit: 1, ..FunctionSettings::default() };
    let function =
        registry().aggregator("COLLECT_LIST", &[AggregateArgument::column(SqlType::Integer)], &limited).unwrap();
    let state = function.accumulate(&ints(&[1]), function.initialize()).unwrap();
    assert_eq!(function.accumulate(&ints(&[2]), state.clone()).unwrap(), state);
}

#[test]
fn first_and_last_by_offset() {
    let rows = [Value::Int(12), Value::Null, Value::Int(13)];
    let keep = (SqlType::Boolean, Value::Boolean(false));
    let two = (SqlType::Integer, Value::Int(2));
    assert_eq!(run("EARLIEST_BY_OFFSET", SqlType::Integer, &[], &rows), Value::Int(12));
    assert_eq!(run("LATEST_BY_OFFSET", SqlType::Integer, &[], &rows[..2]), Value::Int(12));
    assert_eq!(run("LATEST_BY_OFFSET", SqlType::Integer, std::slice::from_ref(&keep), &rows[..2]), Value::Null);
    let both = [two, keep];
    assert_eq!(run("EARLIEST_BY_OFFSET", SqlType::Integer, &both, &rows), Value::array(rows[..2].to_vec()));
    assert_eq!(run("LATEST_BY_OFFSET", SqlType::Integer, &both, &rows), Value::array(rows[1..].to_vec()));
}

#[test]
fn merged_sessions_know_the_order_of_their_rows() {
    let function = aggregator("LATEST_BY_OFFSET", &[AggregateArgument::column(SqlType::Integer)]);
    let first = function.accumulate(&ints(&[1]), function.initialize()).unwrap();
    let second = function.accumulate(&ints(&[2]), function.initialize()).unwrap();
    let merged = function.merge(second, first).unwrap();
    assert_eq!(function.result(&merged), Value::Int(2));
}

#[test]
fn the_greatest_come_first() {
    let k = [(SqlType::Integer, Value::Int(2))];
    assert_eq!(run("TOPK", SqlType::Integer, &k, &ints(&[1, 5, 3, 5])), Value::array(ints(&[5, 5])));
    assert_eq!(run("TOPKDISTINCT", SqlType::Integer, &k, &ints(&[1, 5, 3, 5])), Value::array(ints(&[5, 3])));
    let arguments = [
        AggregateArgument::column(SqlType::Integer),
        AggregateArgument::column(SqlType::String),
        AggregateArgument::constant(SqlType::Integer, Value::Int(2)),
    ];
    let function = aggregator("TOPK", &arguments);
    assert_eq!(function.result_type().to_string(), "ARRAY<STRUCT<`sort_col` INTEGER, `col0` STRING>>");
    let row = [Value::Int(1), Value::from("a"), Value::Int(2)];
    let state = function.accumulate(&row, function.initialize()).unwrap();
    assert_eq!(state, Value::array(vec![Value::structure(row[..2].to_vec())]));
}

#[test]
fn distinct_values_are_counted_exactly_while_they_are_few_and_well_when_many() {
    let numbers = |count: i64| (0..count).flat_map(|n| [Value::Bigint(n), Value::Bigint(n)]).collect::<Vec<_>>();
    assert_eq!(run("COUNT_DISTINCT", SqlType::Bigint, &[], &numbers(200)), Value::Bigint(200));
    let many = run("COUNT_DISTINCT", SqlType::Bigint, &[], &numbers(20_000)).as_i64().unwrap();
    assert!((19_000..21_000).contains(&many), "{many}");
}

#[test]
fn nulls_of_histograms_are_known_to_be_there() {
    let values = [Value::Null, Value::from("a"), Value::Null, Value::from("null")];
    let counted = run("HISTOGRAM", SqlType::String, &[], &values);
    let expected = [("null", 2), ("a", 1)].map(|(text, count)| (Value::from(text), Value::Bigint(count)));
    assert_eq!(counted, Value::map(expected.into_iter().collect()));
}

#[test]
fn less_than_nothing_is_no_limit() {
    let k = [(SqlType::Integer, Value::Int(-1))];
    assert_eq!(run("TOPK", SqlType::Integer, &k, &ints(&[1, 5, 3])), Value::array(ints(&[5, 3, 1])));
}
