//! Decimals as `java.math.BigDecimal` treats them.

use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, Zero as _};

use crate::types::DecimalType;

/// The decimal in plain digits with its scale: `1.50`, never `1.5E2`.
pub fn decimal_text(decimal: &BigDecimal) -> String {
    if decimal.fractional_digit_count() < 0 {
        return decimal.with_scale(0).to_plain_string();
    }
    decimal.to_plain_string()
}

/// `decimal` with exactly `scale` digits behind the point, halves away from zero.
pub fn round_half_up(decimal: &BigDecimal, scale: u32) -> BigDecimal {
    decimal.with_scale_round(i64::from(scale), RoundingMode::HalfUp)
}

/// `decimal` as a value of `target`: rounded half up to its scale; `None` if it has too many digits before the point.
pub fn fit_decimal(decimal: &BigDecimal, target: DecimalType) -> Option<BigDecimal> {
    let before_point = digits_before_point(decimal);
    if before_point <= i64::from(target.precision) && is_endless(decimal, target.scale) {
        return None;
    }
    if decimal.is_zero() || before_point < -i64::from(target.scale) {
        return Some(BigDecimal::new(0.into(), i64::from(target.scale)));
    }
    if before_point > i64::from(target.precision) {
        return None;
    }
    let rounded = round_half_up(decimal, target.scale);
    (rounded.digits() <= u64::from(target.precision)).then_some(rounded)
}

/// That a number has more digits before the point than `target` takes.
pub fn overflow_text(decimal: &BigDecimal, target: DecimalType) -> String {
    format!(
        "Numeric field overflow: A field with precision {} and scale {} must round to an absolute value less than 10^{}. \
         Got {}",
        target.precision,
        target.scale,
        target.whole_digits(),
        brief_text(decimal)
    )
}

/// The decimal in a message: in plain digits, unless those would be endless.
pub fn brief_text(decimal: &BigDecimal) -> String {
    const PLAIN_MAX: u64 = 1000;
    if decimal.fractional_digit_count().unsigned_abs() > PLAIN_MAX {
        decimal.to_scientific_notation()
    } else {
        decimal_text(decimal)
    }
}

/// The double of a text as `Double.parseDouble` reads it: a `d` or `f` at its end says nothing more.
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.trim_start_matches(['+', '-']);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        let bare = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
        return bare.parse().ok();
    }
    matches!(digits, "NaN" | "Infinity").then(|| text.parse().ok()).flatten()
}

/// How many digits the whole part has; negative when zeros follow the point. Tells exponents without measure before their
/// digits are written out, which would take all memory.
pub fn digits_before_point(decimal: &BigDecimal) -> i64 {
    let digits = i64::try_from(decimal.digits()).unwrap_or(i64::MAX);
    if decimal.is_zero() { 0 } else { digits.saturating_sub(decimal.fractional_digit_count()) }
}

/// Whether `decimal` with `scale` digits behind the point is mostly zeros that nobody wrote, too many to write them out.
pub fn is_endless(decimal: &BigDecimal, scale: u32) -> bool {
    const ZEROS_MAX: i64 = 10_000;
    let written = i64::try_from(decimal.digits()).unwrap_or(i64::MAX);
    let wanted = digits_before_point(decimal).max(0).saturating_add(i64::from(scale));
    wanted.saturating_sub(written) > ZEROS_MAX
}

/// The double nearest to the decimal.
pub(super) fn to_double(decimal: &BigDecimal) -> f64 {
    decimal.to_plain_string().parse().unwrap_or(f64::NAN)
}

/// `BigDecimal.valueOf(double)`: the decimal of the shortest text of the double.
pub(super) fn from_double(double: f64) -> Option<BigDecimal> {
    if !double.is_finite() {
        return None;
    }
    BigDecimal::from_str(&milena_schema::document::double_text(double)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_without_measure_cost_nothing() {
        let decimal = |text: &str| BigDecimal::from_str(text).unwrap();
        let target = DecimalType { precision: 4, scale: 2 };
        assert_eq!(fit_decimal(&decimal("1E999999999"), target), None);
        assert_eq!(fit_decimal(&decimal("1E-999999999"), target), Some(decimal("0.00")));
        assert_eq!(fit_decimal(&decimal("0E999999999"), target), Some(decimal("0")));
        assert_eq!(fit_decimal(&decimal("-12.345"), target), Some(decimal("-12.35")));
        assert_eq!(fit_decimal(&decimal("123"), target), None);
        let wide = DecimalType { precision: 2_000_000_000, scale: 1_000_000_000 };
        assert_eq!(fit_decimal(&decimal("1E900000000"), wide), None);
        assert_eq!(fit_decimal(&decimal("0"), wide), None);
        let before = ["0.001", "0.1", "12.5", "1E3"].map(|text| digits_before_point(&decimal(text)));
        assert_eq!(before, [-2, 0, 2, 4]);
    }
}
