//! Values and keys as bytes of a state store.
//!
//! Every value starts with a tag and ends where its tag says, so that a list of values is a prefix of no other list of
//! the same length: times may follow a key and sort within it.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use num_bigint::BigInt;

use crate::value::{MapValue, Value};

/// Tag of texts.
const STRING: u8 = 6;

/// Appends `value`.
pub fn write_value(value: &Value, output: &mut Vec<u8>) {
    match value {
        Value::Null => output.push(0),
        Value::Boolean(truth) => output.extend([1, u8::from(*truth)]),
        Value::Int(number) => tagged(2, &number.to_be_bytes(), output),
        Value::Bigint(number) => tagged(3, &number.to_be_bytes(), output),
        Value::Double(number) => tagged(4, &number.to_be_bytes(), output),
        Value::Decimal(number) => {
            let (digits, scale) = number.as_bigint_and_exponent();
            tagged(5, &scale.to_be_bytes(), output);
            sized(&digits.to_signed_bytes_be(), output);
        }
        Value::String(text) => {
            output.push(STRING);
            sized(text.as_bytes(), output);
        }
        Value::Bytes(bytes) => {
            output.push(7);
            sized(bytes, output);
        }
        Value::Date(days) => tagged(8, &days.to_be_bytes(), output),
        Value::Time(ms) => tagged(9, &ms.to_be_bytes(), output),
        Value::Timestamp(ms) => tagged(10, &ms.to_be_bytes(), output),
        Value::Array(elements) => {
            output.push(11);
            write_values(elements, output);
        }
        Value::Map(entries) => {
            output.push(12);
            output.extend(length(entries.len()));
            for (key, value) in entries.iter() {
                write_value(key, output);
                write_value(value, output);
            }
        }
        Value::Struct(fields) => {
            output.push(13);
            write_values(fields, output);
        }
    }
}

/// Appends a list of values with its length.
pub fn write_values(values: &[Value], output: &mut Vec<u8>) {
    output.extend(length(values.len()));
    for value in values {
        write_value(value, output);
    }
}

/// What keys of one text of `length` bytes begin with whose text begins with `start`.
pub fn text_key(length: usize, start: &[u8]) -> Vec<u8> {
    let mut key = self::length(1).to_vec();
    key.push(STRING);
    key.extend(self::length(length));
    key.extend_from_slice(start);
    key
}

/// The text of a key of one text.
pub fn text_of_key(mut key: &[u8]) -> Option<&[u8]> {
    let is_text = take(&mut key).map(u32::from_be_bytes)? == 1 && take(&mut key)? == [STRING];
    if is_text { take_sized(&mut key) } else { None }
}

/// Takes a value off the front; `None` when the bytes are not what [`write_value`] writes.
pub fn read_value(bytes: &mut &[u8]) -> Option<Value> {
    let [tag] = take(bytes)?;
    Some(match tag {
        0 => Value::Null,
        1 => Value::Boolean(take::<1>(bytes)? == [1]),
        2 => Value::Int(i32::from_be_bytes(take(bytes)?)),
        3 => Value::Bigint(i64::from_be_bytes(take(bytes)?)),
        4 => Value::Double(f64::from_be_bytes(take(bytes)?)),
        5 => {
            let scale = i64::from_be_bytes(take(bytes)?);
            Value::decimal(BigDecimal::new(BigInt::from_signed_bytes_be(take_sized(bytes)?), scale))
        }
        STRING => Value::String(Arc::from(std::str::from_utf8(take_sized(bytes)?).ok()?)),
        7 => Value::bytes(take_sized(bytes)?),
        8 => Value::Date(i32::from_be_bytes(take(bytes)?)),
        9 => Value::Time(i32::from_be_bytes(take(bytes)?)),
        10 => Value::Timestamp(i64::from_be_bytes(take(bytes)?)),
        11 => Value::array(read_values(bytes)?),
        12 => {
            let count = u32::from_be_bytes(take(bytes)?);
            let mut entries = MapValue::new();
            for _ in 0..count {
                let key = read_value(bytes)?;
                entries.insert(key, read_value(bytes)?);
            }
            Value::map(entries)
        }
        13 => Value::structure(read_values(bytes)?),
        _ => return None,
    })
}

/// Takes a list of values off the front.
pub fn read_values(bytes: &mut &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    append_values(bytes, None, &mut values).then_some(values)
}

/// Takes a list of values off the front and appends it to `values`: of texts only those `wanted`, null for the others.
/// False when the bytes are not what [`write_values`] writes.
pub fn append_values(bytes: &mut &[u8], wanted: Option<&[bool]>, values: &mut Vec<Value>) -> bool {
    let Some(count) = take(bytes).map(u32::from_be_bytes) else { return false };
    // Every value takes a byte.
    values.reserve((count as usize).min(bytes.len()));
    for position in 0..count as usize {
        let passed = wanted.is_some_and(|wanted| !wanted.get(position).copied().unwrap_or(true));
        let value = match (passed, bytes.first()) {
            (true, Some(&STRING)) => {
                *bytes = &bytes[1..];
                take_sized(bytes).map(|_| Value::Null)
            }
            _ => read_value(bytes),
        };
        let Some(value) = value else { return false };
        values.push(value);
    }
    true
}

/// A time such that bytes sort as times do.
pub fn time_bytes(ms: i64) -> [u8; 8] {
    (ms.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The reverse of [`time_bytes`], off the front.
pub fn read_time(bytes: &mut &[u8]) -> Option<i64> {
    Some((u64::from_be_bytes(take(bytes)?) ^ (1 << 63)).cast_signed())
}

fn tagged(tag: u8, bytes: &[u8], output: &mut Vec<u8>) {
    output.push(tag);
    output.extend_from_slice(bytes);
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn sized(bytes: &[u8], output: &mut Vec<u8>) {
    output.extend(length(bytes.len()));
    output.extend_from_slice(bytes);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(bytes)?) as usize;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_comes_back() {
        let mut map = MapValue::new();
        map.insert(Value::from("k"), Value::Null);
        let values = vec![
            Value::Null,
            Value::Boolean(true),
            Value::Int(-5),
            Value::Bigint(i64::MIN),
            Value::Double(-0.5),
            Value::decimal("-12.340".parse().unwrap()),
            Value::from("é"),
            Value::bytes([0, 255]),
            Value::Date(-1),
            Value::Time(5),
            Value::Timestamp(7),
            Value::array(vec![Value::Int(1), Value::Null]),
            Value::map(map),
            Value::structure(vec![Value::from("a")]),
        ];
        let mut bytes = Vec::new();
        write_values(&values, &mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(read_values(&mut rest), Some(values));
        assert!(rest.is_empty());
        for cut in 0..bytes.len() {
            assert_eq!(read_values(&mut &bytes[..cut]), None);
        }
    }

    #[test]
    fn times_sort_as_their_bytes() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(times.windows(2).all(|pair| time_bytes(pair[0]) < time_bytes(pair[1])));
        assert!(times.iter().all(|time| read_time(&mut &time_bytes(*time)[..]) == Some(*time)));
    }
}
