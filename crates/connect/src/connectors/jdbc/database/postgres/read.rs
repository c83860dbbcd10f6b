//! Values of rows, from PostgreSQL's binary format.

use std::error::Error;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;
use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Span};
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::connectors::jdbc::database::{Column, DatabaseError, Row, SqlValue};

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;
/// PostgreSQL counts from here.
const EPOCH: DateTime = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);

/// The bytes of a value as they came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The values of a row.
pub(super) fn row(row: &tokio_postgres::Row, columns: &Arc<[Column]>) -> Result<Row, DatabaseError> {
    let mut values = Vec::with_capacity(columns.len());
    for (index, (column, described)) in row.columns().iter().zip(columns.iter()).enumerate() {
        let raw: Option<Raw<'_>> =
            row.try_get(index).map_err(|error| DatabaseError::Unusable(format!("{}: {error}", described.name)))?;
        values.push(match raw {
            None => SqlValue::Null,
            Some(Raw(raw)) => value(column.type_(), raw).ok_or_else(|| {
                DatabaseError::Unusable(format!(
                    "A value of column {} ({}) cannot be read",
                    described.name, described.type_name
                ))
            })?,
        });
    }
    Ok(values)
}

/// One value; `None` when the bytes are not those of the type. Types that nobody reads come as bytes.
fn value(kind: &Type, raw: &[u8]) -> Option<SqlValue> {
    Some(match *kind {
        Type::BOOL => SqlValue::Bool(raw.first() == Some(&1)),
        Type::INT2 => SqlValue::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => SqlValue::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => SqlValue::Int(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => SqlValue::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::FLOAT4 => SqlValue::Float(f32::from_be_bytes(raw.try_into().ok()?)),
        Type::FLOAT8 => SqlValue::Double(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::NUMERIC => numeric(raw)?,
        Type::BYTEA => SqlValue::Bytes(Bytes::copy_from_slice(raw)),
        Type::UUID => SqlValue::Text(uuid::Uuid::from_slice(raw).ok()?.to_string()),
        // A version goes before the text.
        Type::JSONB => SqlValue::Text(text(raw.get(1..)?)?),
        Type::BIT => bits(raw)?,
        Type::DATE => date(i32::from_be_bytes(raw.try_into().ok()?))?,
        Type::TIME => SqlValue::Time(time(i64::from_be_bytes(raw.try_into().ok()?))?),
        Type::TIMETZ => SqlValue::Time(time_with_zone(raw)?),
        Type::TIMESTAMP => timestamp(raw, SqlValue::DateTime)?,
        Type::TIMESTAMPTZ => timestamp(raw, |clock| SqlValue::Moment { clock, ahead: 0 })?,
        Type::CHAR
        | Type::BPCHAR
        | Type::VARCHAR
        | Type::TEXT
        | Type::NAME
        | Type::JSON
        | Type::XML
        | Type::UNKNOWN => SqlValue::Text(text(raw)?),
        _ => match kind.kind() {
            Kind::Enum(_) => SqlValue::Text(text(raw)?),
            Kind::Domain(base) => return value(base, raw),
            Kind::Array(element) => array(element, raw)?,
            _ if super::is_text_extension(kind.name()) => SqlValue::Text(text(raw)?),
            _ => SqlValue::Bytes(Bytes::copy_from_slice(raw)),
        },
    })
}

fn text(raw: &[u8]) -> Option<String> {
    std::str::from_utf8(raw).ok().map(str::to_owned)
}

/// Takes bytes from the front.
fn take<const N: usize>(raw: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = raw.split_first_chunk::<N>()?;
    *raw = rest;
    Some(*head)
}

/// Groups of four decimal digits, the weight of the first one, sign and digits after the point.
fn numeric(mut raw: &[u8]) -> Option<SqlValue> {
    let count = u16::from_be_bytes(take(&mut raw)?);
    let weight = i16::from_be_bytes(take(&mut raw)?);
    let sign = u16::from_be_bytes(take(&mut raw)?);
    let scale = u16::from_be_bytes(take(&mut raw)?);
    match sign {
        0xc000 => return Some(SqlValue::Double(f64::NAN)),
        0xd000 => return Some(SqlValue::Double(f64::INFINITY)),
        0xf000 => return Some(SqlValue::Double(f64::NEG_INFINITY)),
        _ => {}
    }
    let mut groups = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        groups.push(u16::from_be_bytes(take(&mut raw)?));
    }
    // Digits after the point that the groups stand for; the number has `scale` of them.
    let after_point = (i64::from(count) - 1 - i64::from(weight)) * 4;
    let scale = i64::from(scale);
    let shift = scale - after_point;
    let unscaled = if count <= 7 && (0..=9).contains(&shift.abs()) {
        let number = groups.iter().fold(0_i128, |number, group| number * 10_000 + i128::from(*group));
        let power = 10_i128.pow(u32::try_from(shift.abs()).ok()?);
        BigInt::from(if shift >= 0 { number * power } else { number / power })
    } else {
        let number = groups.iter().fold(BigInt::from(0), |number, group| number * 10_000 + *group);
        let power = BigInt::from(10).pow(u32::try_from(shift.abs()).ok()?);
        if shift >= 0 { number * power } else { number / power }
    };
    let unscaled = if sign == 0x4000 { -unscaled } else { unscaled };
    Some(SqlValue::Decimal(BigDecimal::new(unscaled, scale)))
}

fn bits(mut raw: &[u8]) -> Option<SqlValue> {
    let length = u32::from_be_bytes(take(&mut raw)?);
    Some(match length {
        0 => SqlValue::Int(0),
        1 => SqlValue::Bool(raw.first()? & 0x80 != 0),
        // They fill the byte from the left.
        2..=8 => SqlValue::Int(i64::from(raw.first()? >> (8 - length))),
        _ => SqlValue::Bytes(Bytes::copy_from_slice(raw)),
    })
}

fn date(days: i32) -> Option<SqlValue> {
    Some(match days {
        i32::MAX => SqlValue::Infinity(true),
        i32::MIN => SqlValue::Infinity(false),
        days => SqlValue::Date(EPOCH.date().checked_add(Span::new().try_days(days).ok()?).ok()?),
    })
}

fn time(micros: i64) -> Option<Time> {
    // PostgreSQL knows 24:00:00, the end of a day.
    let micros = micros.min(DAY_MICROS - 1);
    Time::midnight().checked_add(SignedDuration::from_micros(micros)).ok()
}

/// A time and the seconds that its zone is west of Greenwich; the time of the day in UTC.
fn time_with_zone(mut raw: &[u8]) -> Option<Time> {
    let micros = i64::from_be_bytes(take(&mut raw)?);
    let west = i32::from_be_bytes(take(&mut raw)?);
    time((micros + i64::from(west) * 1_000_000).rem_euclid(DAY_MICROS))
}

fn timestamp(raw: &[u8], make: impl Fn(DateTime) -> SqlValue) -> Option<SqlValue> {
    Some(match i64::from_be_bytes(raw.try_into().ok()?) {
        i64::MAX => SqlValue::Infinity(true),
        i64::MIN => SqlValue::Infinity(false),
        micros => {
            let date = match date(i32::try_from(micros.div_euclid(DAY_MICROS)).ok()?)? {
                SqlValue::Date(date) => date,
                _ => return None,
            };
            make(DateTime::from_parts(date, time(micros.rem_euclid(DAY_MICROS))?))
        }
    })
}

/// Arrays of one dimension; of more the values come one after the other in arrays of arrays.
fn array(element: &Type, mut raw: &[u8]) -> Option<SqlValue> {
    let dimensions = u32::from_be_bytes(take(&mut raw)?);
    let _has_nulls: [u8; 4] = take(&mut raw)?;
    let _element: [u8; 4] = take(&mut raw)?;
    let mut lengths = Vec::new();
    for _ in 0..dimensions.min(8) {
        lengths.push(u32::from_be_bytes(take(&mut raw)?));
        let _lower_bound: [u8; 4] = take(&mut raw)?;
    }
    if lengths.is_empty() {
        return Some(SqlValue::Array(Vec::new()));
    }
    elements(element, &lengths, &mut raw)
}

fn elements(element: &Type, lengths: &[u32], raw: &mut &[u8]) -> Option<SqlValue> {
    let (length, inner) = lengths.split_first()?;
    let mut values = Vec::new();
    for _ in 0..*length {
        if !inner.is_empty() {
            values.push(elements(element, inner, raw)?);
            continue;
        }
        let size = i32::from_be_bytes(take(raw)?);
        values.push(match usize::try_from(size) {
            Err(_) => SqlValue::Null,
            Ok(size) => {
                let (bytes, rest) = raw.split_at_checked(size)?;
                *raw = rest;
                value(element, bytes)?
            }
        });
    }
    Some(SqlValue::Array(values))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;

    use super::*;

    fn numeric_bytes(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u16::try_from(groups.len()).expect("few").to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        bytes
    }

    #[test]
    fn numbers_have_the_scale_of_their_column() {
        let cases: [(&[u16], i16, u16, u16, &str); 6] = [
            (&[1, 2345, 6000], 1, 0, 1, "12345.6"),
            (&[12, 3400], 0, 0x4000, 2, "-12.34"),
            (&[], 0, 0, 2, "0.00"),
            (&[1], 2, 0, 0, "100000000"),
            (&[1], -3, 0, 12, "0.000000000001"),
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9], 8, 0, 0, "100020003000400050006000700080009"),
        ];
        for (groups, weight, sign, scale, expected) in cases {
            let Some(SqlValue::Decimal(number)) = numeric(&numeric_bytes(weight, sign, scale, groups)) else {
                panic!("{expected} is no decimal");
            };
            assert_eq!(number.to_plain_string(), expected);
            assert_eq!(number.as_bigint_and_exponent().1, i64::from(scale));
        }
    }

    #[test]
    fn moments_count_from_the_year_2000() {
        let micros: i64 = -946_684_800_000_000 + 1_627_815_857_123_456;
        let expected = "2021-08-01T11:04:17.123456".parse().expect("a date");
        assert_eq!(value(&Type::TIMESTAMP, &micros.to_be_bytes()), Some(SqlValue::DateTime(expected)));
        assert_eq!(value(&Type::TIMESTAMP, &i64::MAX.to_be_bytes()), Some(SqlValue::Infinity(true)));
        assert_eq!(value(&Type::DATE, &(-1_i32).to_be_bytes()), Some(SqlValue::Date(Date::constant(1999, 12, 31))));
    }

    #[test]
    fn bytes_that_are_cut_short_are_no_value() {
        for length in 0..8 {
            assert_eq!(value(&Type::INT8, &[0; 8][..length]), None);
            assert_eq!(value(&Type::NUMERIC, &[0; 8][..length]), None);
        }
        assert_eq!(array(&Type::INT4, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0]), None);
    }
}
