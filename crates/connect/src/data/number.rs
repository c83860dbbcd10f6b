//! Numbers in the spelling of Java and in the bytes of logical types.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};

use super::logical::SCALE;
use super::{DataError, Schema};

pub use milena_schema::document::double_text;

/// Powers of ten beyond this are not written out: a few characters of text must not become gigabytes.
const EXPONENT_MAX: i64 = 10_000;

/// A float as Java's `Float.toString` prints it.
pub fn float_text(float: f32) -> String {
    let magnitude = float.abs();
    if !float.is_finite() || float == 0.0 {
        return double_text(f64::from(float));
    }
    if (1e-3..1e7).contains(&magnitude) {
        return format!("{float:?}");
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

/// A decimal as Java's `BigDecimal.toString` prints it: `1.50`, `1E+3`, `1.2E-10`.
pub fn decimal_text(decimal: &BigDecimal) -> String {
    let (unscaled, scale) = decimal.as_bigint_and_exponent();
    let text = unscaled.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let adjusted = (length - 1).saturating_sub(scale);
    if scale == 0 {
        return text;
    }
    if scale > 0 && adjusted >= -6 {
        return match usize::try_from(length - scale) {
            Ok(whole) if whole > 0 => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
            _ => format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(scale - length).unwrap_or_default())),
        };
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted:+}")
}

/// The decimal that a text spells, as Java's `BigDecimal` reads it; `None` when it is no number or one of more digits
/// than anyone means.
pub fn parse_decimal(text: &str) -> Option<BigDecimal> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    if exponent.strip_prefix(['+', '-']).unwrap_or(exponent).is_empty() {
        return None;
    }
    let exponent: i64 = exponent.parse().ok().filter(|exponent: &i64| exponent.abs() <= EXPONENT_MAX)?;
    let unscaled: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let unscaled = if text.starts_with('-') { -unscaled } else { unscaled };
    Some(BigDecimal::new(unscaled, i64::try_from(fraction.len()).ok()? - exponent))
}

/// Digits after the point that a schema of the logical Decimal asks for.
///
/// # Errors
/// A schema without a scale, or with one that is no number.
pub fn decimal_scale(schema: &Schema) -> Result<i32, DataError> {
    let scale = schema
        .parameters
        .get(SCALE)
        .ok_or_else(|| DataError::new("Invalid Decimal schema: scale parameter not found."))?;
    scale.parse().map_err(|_| DataError::new("Invalid scale parameter found in Decimal schema: "))
}

/// The unscaled value of a decimal as bytes, big-endian two's complement.
///
/// # Errors
/// A decimal of another scale than the schema's.
pub fn decimal_to_bytes(schema: &Schema, decimal: &BigDecimal) -> Result<Vec<u8>, DataError> {
    let expected = i64::from(decimal_scale(schema)?);
    let (unscaled, scale) = decimal.as_bigint_and_exponent();
    if scale != expected {
        return Err(DataError::new(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale {expected}, value has \
             scale {scale}."
        )));
    }
    Ok(unscaled.to_signed_bytes_be())
}

/// The decimal of these bytes.
///
/// # Errors
/// A schema without a scale.
pub fn decimal_from_bytes(schema: &Schema, bytes: &[u8]) -> Result<BigDecimal, DataError> {
    Ok(BigDecimal::new(BigInt::from_signed_bytes_be(bytes), decimal_scale(schema)?.into()))
}

/// The lowest 64 bits of a decimal's whole part, as Java's `longValue` gives them.
pub fn decimal_to_long(decimal: &BigDecimal) -> i64 {
    let (unscaled, scale) = decimal.as_bigint_and_exponent();
    // 2^64 divides 10^64, and no number of so many digits has a whole part when it is shifted further right.
    if scale <= -64 {
        return 0;
    }
    let whole = match u32::try_from(scale) {
        Ok(scale) if u64::from(scale) > unscaled.bits() => BigInt::ZERO,
        Ok(scale) => unscaled / BigInt::from(10).pow(scale),
        Err(_) => unscaled * BigInt::from(10).pow(u32::try_from(-scale).unwrap_or_default()),
    };
    whole.to_i64().unwrap_or_else(|| {
        let bytes = whole.to_signed_bytes_be();
        let low = bytes.len().saturating_sub(8);
        bytes[low..].iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_as_java_does() {
        let table = [
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e7, "1.0E7"),
            (1.25e-10, "1.25E-10"),
            (f32::MAX, "3.4028235E38"),
            (0.0, "0.0"),
        ];
        for (float, text) in table {
            assert_eq!(float_text(float), text);
        }
        assert_eq!(float_text(f32::NAN), "NaN");
        assert_eq!(float_text(f32::NEG_INFINITY), "-Infinity");
    }

    #[test]
    fn decimals_are_spelled_as_java_does() {
        for (text, spelled) in [
            ("1.50", "1.50"),
            ("-0.001", "-0.001"),
            ("0", "0"),
            ("0.00", "0.00"),
            ("1e3", "1E+3"),
            ("12e3", "1.2E+4"),
            ("0.0000001", "1E-7"),
            ("0.000001", "0.000001"),
            ("-1.23e-10", "-1.23E-10"),
            ("+5.", "5"),
            (".5", "0.5"),
        ] {
            assert_eq!(decimal_text(&parse_decimal(text).unwrap()), spelled, "{text}");
        }
        for text in ["", "-", ".", "1_0", "0x1", "1e", "1e+", "--1", "1.2.3", " 1", "1e999999999"] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_of_decimals_come_back() {
        let schema = super::super::logical::decimal(2);
        let decimal = parse_decimal("-1234.56").unwrap();
        let bytes = decimal_to_bytes(&schema, &decimal).unwrap();
        assert_eq!(bytes, [0xFE, 0x1D, 0xC0]);
        assert_eq!(decimal_text(&decimal_from_bytes(&schema, &bytes).unwrap()), "-1234.56");
        assert_eq!(
            decimal_to_bytes(&schema, &parse_decimal("1.5").unwrap()).unwrap_err().0,
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value has scale 1."
        );
    }

    #[test]
    fn long_values_are_the_lowest_bits() {
        let long = |text| decimal_to_long(&parse_decimal(text).unwrap());
        assert_eq!(long("12.99"), 12);
        assert_eq!(long("-12.99"), -12);
        assert_eq!(long("18446744073709551617"), 1);
        assert_eq!(long("1e70"), 0);
        assert_eq!(long("1e-9000"), 0);
        assert_eq!(long("5e2"), 500);
    }
}
