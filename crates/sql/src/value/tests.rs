//! Tests of values: equality, order and text.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use super::*;
use crate::types::{DecimalType, SqlType};

fn decimal(text: &str) -> BigDecimal {
    BigDecimal::from_str(text).unwrap()
}

#[test]
fn keys_are_equal_as_java_objects_are() {
    assert_eq!(Value::Double(f64::NAN), Value::Double(-f64::NAN));
    assert_ne!(Value::Double(0.0), Value::Double(-0.0));
    assert_ne!(Value::Int(1), Value::Bigint(1));
    assert_eq!(Value::decimal(decimal("1.0")), Value::decimal(decimal("1.00")));
}

#[test]
fn doubles_have_a_total_order() {
    use std::cmp::Ordering::{Greater, Less};
    assert_eq!(compare_doubles(-0.0, 0.0), Less);
    assert_eq!(compare_doubles(f64::NAN, f64::INFINITY), Greater);
    assert_eq!(compare_doubles(-2.0, -1.0), Less);
}

#[test]
fn nested_values_print_as_casts_show_them() {
    let numbers = Value::array(vec![Value::Int(1), Value::Null]);
    assert_eq!(numbers.text(&SqlType::array(SqlType::Integer)), "[1, null]");
    let map: MapValue = [(Value::from("a"), Value::Double(1.0))].into_iter().collect();
    assert_eq!(Value::map(map).text(&SqlType::map(SqlType::String, SqlType::Double)), "{a=1.0}");
    let structure = SqlType::structure([("A", SqlType::Integer), ("N", SqlType::Date), ("B", SqlType::String)]);
    let value = Value::structure(vec![Value::Int(1), Value::Null, Value::from("x")]);
    assert_eq!(value.text(&structure), "Struct{A=1,B=x}");
}

#[test]
fn dates_and_times_print_in_utc() {
    assert_eq!(timestamp_text(0), "1970-01-01T00:00:00.000");
    assert_eq!(timestamp_text(-1), "1969-12-31T23:59:59.999");
    assert_eq!(date_text(18_321), "2020-02-29");
    assert_eq!(time_text(3_600_000), "01:00");
    assert_eq!(time_text(3_601_005), "01:00:01");
    for days in [-800_000, -1, 0, 59, 60, 11_016, 18_321, 900_000] {
        let (year, month, day) = text::civil(days);
        assert_eq!(text::days_of_civil(year, month, day), days);
    }
}

#[test]
fn decimals_round_half_up_and_refuse_what_does_not_fit() {
    let target = DecimalType { precision: 3, scale: 1 };
    assert_eq!(decimal_text(&fit_decimal(&decimal("1.25"), target).unwrap()), "1.3");
    assert_eq!(decimal_text(&fit_decimal(&decimal("-1.25"), target).unwrap()), "-1.3");
    assert!(fit_decimal(&decimal("123.4"), target).is_none());
    assert_eq!(decimal_text(&decimal("1E+3")), "1000");
    assert_eq!(Value::Double(1.1).as_decimal().unwrap(), decimal("1.1"));
}

#[test]
fn small_maps_show_their_entries_in_the_order_of_a_hash_map() {
    let map: MapValue = ["foo", "bar", "baz"].into_iter().map(|key| (Value::from(key), Value::Null)).collect();
    let keys: Vec<_> = map.in_hash_order().into_iter().filter_map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["bar", "baz", "foo"]);
}
