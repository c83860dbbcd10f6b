//! Strings, numbers, enums and constants.

use std::collections::HashSet;

use super::super::change::*;
use super::super::model::{Kind, Number};
use super::Report;
use crate::document::{Node, Spelling};

/// The names of what may happen to a limit.
pub struct Limit {
    /// The keyword.
    pub keyword: &'static str,
    /// The new schema states it and the old one does not.
    pub added: Change,
    /// The old schema states it and the new one does not.
    pub removed: Change,
    /// It grew.
    pub increased: Change,
    /// It shrank.
    pub decreased: Change,
}

/// Reports what happened to a limit.
pub fn limits(limit: &Limit, original: Option<f64>, update: Option<f64>, report: &mut Report) {
    let change = match (original, update) {
        (None, Some(_)) => limit.added,
        (Some(_), None) => limit.removed,
        (Some(original), Some(update)) if original < update => limit.increased,
        (Some(original), Some(update)) if original > update => limit.decreased,
        _ => return,
    };
    report.add(change, limit.keyword);
}

macro_rules! limit {
    ($keyword:literal, $added:ident, $removed:ident, $increased:ident, $decreased:ident) => {
        &$crate::json::compare::scalar::Limit {
            keyword: $keyword,
            added: $added,
            removed: $removed,
            increased: $increased,
            decreased: $decreased,
        }
    };
}
pub(super) use limit;

/// Compares two strings.
pub fn strings(original: &Kind<'_>, update: &Kind<'_>, report: &mut Report) {
    let (
        Kind::String { max_length: old_max, min_length: old_min, pattern: old_pattern },
        Kind::String { max_length: new_max, min_length: new_min, pattern: new_pattern },
    ) = (original, update)
    else {
        return;
    };
    let max = limit!("maxLength", MAX_LENGTH_ADDED, MAX_LENGTH_REMOVED, MAX_LENGTH_INCREASED, MAX_LENGTH_DECREASED);
    limits(max, *old_max, *new_max, report);
    let min = limit!("minLength", MIN_LENGTH_ADDED, MIN_LENGTH_REMOVED, MIN_LENGTH_INCREASED, MIN_LENGTH_DECREASED);
    limits(min, *old_min, *new_min, report);
    match (old_pattern, new_pattern) {
        (None, Some(_)) => report.add(PATTERN_ADDED, "pattern"),
        (Some(_), None) => report.add(PATTERN_REMOVED, "pattern"),
        (old, new) if old != new => report.add(PATTERN_CHANGED, "pattern"),
        _ => {}
    }
}

/// Compares two numbers.
pub fn numbers(original: &Number<'_>, update: &Number<'_>, report: &mut Report) {
    for (limit, old, new) in [
        (
            limit!("maximum", MAXIMUM_ADDED, MAXIMUM_REMOVED, MAXIMUM_INCREASED, MAXIMUM_DECREASED),
            original.maximum,
            update.maximum,
        ),
        (
            limit!("minimum", MINIMUM_ADDED, MINIMUM_REMOVED, MINIMUM_INCREASED, MINIMUM_DECREASED),
            original.minimum,
            update.minimum,
        ),
        (
            limit!(
                "exclusiveMaximum",
                EXCLUSIVE_MAXIMUM_ADDED,
                EXCLUSIVE_MAXIMUM_REMOVED,
                EXCLUSIVE_MAXIMUM_INCREASED,
                EXCLUSIVE_MAXIMUM_DECREASED
            ),
            original.exclusive_maximum,
            update.exclusive_maximum,
        ),
        (
            limit!(
                "exclusiveMinimum",
                EXCLUSIVE_MINIMUM_ADDED,
                EXCLUSIVE_MINIMUM_REMOVED,
                EXCLUSIVE_MINIMUM_INCREASED,
                EXCLUSIVE_MINIMUM_DECREASED
            ),
            original.exclusive_minimum,
            update.exclusive_minimum,
        ),
    ] {
        limits(limit, old, new, report);
    }
    match (original.multiple_of, update.multiple_of) {
        (None, Some(_)) => report.add(MULTIPLE_OF_ADDED, "multipleOf"),
        (Some(_), None) => report.add(MULTIPLE_OF_REMOVED, "multipleOf"),
        (Some(old), Some(new)) => multiples(Decimal::of(old), Decimal::of(new), report),
        (None, None) => {}
    }
    match (original.integer, update.integer) {
        (true, false) => report.add(TYPE_EXTENDED, ""),
        (false, true) => report.add(TYPE_NARROWED, ""),
        _ => {}
    }
}

fn multiples(original: Decimal, update: Decimal, report: &mut Report) {
    if original.is_multiple_of(update) && update.is_multiple_of(original) {
        return;
    }
    let change = if update.is_multiple_of(original) {
        MULTIPLE_OF_EXPANDED
    } else if original.is_multiple_of(update) {
        MULTIPLE_OF_REDUCED
    } else {
        MULTIPLE_OF_CHANGED
    };
    report.add(change, "multipleOf");
}

/// A number as digits and the places behind the point, so that 0.3 is a multiple of 0.1.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: i32,
    nearest: f64,
}

impl Decimal {
    fn of(text: &str) -> Self {
        let nearest = text.parse().unwrap_or(f64::NAN);
        let lower = text.to_ascii_lowercase();
        let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or(0);
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let scale = places.saturating_sub(exponent.parse().unwrap_or(0));
        Decimal { digits, scale, nearest }
    }

    fn is_multiple_of(self, other: Self) -> bool {
        let scale = self.scale.max(other.scale);
        let scaled = |number: Self| {
            let places = u32::try_from(scale.checked_sub(number.scale)?).ok()?;
            number.digits.checked_mul(10_i128.checked_pow(places)?)
        };
        match (scaled(self), scaled(other)) {
            (Some(number), Some(other)) => other != 0 && number % other == 0,
            _ => self.nearest % other.nearest == 0.0,
        }
    }
}

/// Compares two enums: the new one must hold every value of the old one.
pub fn enums(original: &[Node], update: &[Node], report: &mut Report) {
    let texts = |values: &[Node]| values.iter().map(|value| value.text(Spelling::AsRead)).collect::<HashSet<_>>();
    let (old, new) = (texts(original), texts(update));
    if old == new {
        return;
    }
    let change = if old.is_subset(&new) {
        ENUM_ARRAY_EXTENDED
    } else if new.is_subset(&old) {
        ENUM_ARRAY_NARROWED
    } else {
        ENUM_ARRAY_CHANGED
    };
    report.add(change, "enum");
}

/// Compares two constants.
pub fn constants(original: &Node, update: &Node, report: &mut Report) {
    if original != update {
        report.add(ENUM_ARRAY_CHANGED, "const");
    }
}
