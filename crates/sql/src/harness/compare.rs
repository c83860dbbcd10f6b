//! Where a record differs from what a test case expects.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use crate::formats::json_text::Json;

/// How close numbers must be.
#[derive(Debug, Clone, Copy)]
pub struct Exactness {
    /// Numbers must have the same scale.
    pub scale: bool,
    /// Numbers with a fraction come from binary doubles and may differ by a millionth.
    pub doubles: bool,
}

/// What differs, with its place; `None` when nothing does.
pub fn difference(expected: &Json<'_>, actual: &Json<'_>, exactness: Exactness) -> Option<String> {
    at("$", expected, actual, exactness)
}

fn at(path: &str, expected: &Json<'_>, actual: &Json<'_>, exactness: Exactness) -> Option<String> {
    let differs = || Some(format!("{path}: expected {}, got {}", expected.text(), actual.text()));
    match (expected, actual) {
        (Json::Null, Json::Null) => None,
        (Json::Bool(one), Json::Bool(other)) if one == other => None,
        (Json::String(one), Json::String(other)) if one == other => None,
        (Json::Number(one), Json::Number(other)) if numbers(one, other, exactness) => None,
        // Delimited records are text, whatever stands in the file.
        (Json::Number(one), Json::String(other)) if one == other => None,
        // Decimals may be expected as text.
        (Json::String(one), Json::Number(other)) if numbers(one, other, exactness) => None,
        (Json::Array(one), Json::Array(other)) => {
            if one.len() != other.len() {
                return differs();
            }
            let pairs = one.iter().zip(other).enumerate();
            pairs.into_iter().find_map(|(index, (one, other))| at(&format!("{path}[{index}]"), one, other, exactness))
        }
        (Json::Object(one), Json::Object(other)) => {
            if one.len() != other.len() {
                return differs();
            }
            one.iter().find_map(|(name, value)| {
                let found = other.iter().find(|(member, _)| member == name);
                let upper = name.to_uppercase();
                let found = found.or_else(|| other.iter().find(|(member, _)| *member == upper));
                match found {
                    Some((_, actual)) => at(&format!("{path}.{name}"), value, actual, exactness),
                    // What is not there is null.
                    None if value.is_null() => None,
                    None => differs(),
                }
            })
        }
        _ => differs(),
    }
}

fn numbers(expected: &str, actual: &str, exactness: Exactness) -> bool {
    if expected == actual {
        return true;
    }
    let double = |text: &str| text.parse::<f64>().ok();
    if actual.contains('E') && double(expected) == double(actual) {
        // Only doubles are written with an exponent; several texts may mean the same one.
        return true;
    }
    let parse = |text: &str| BigDecimal::from_str(text).ok();
    let (Some(one), Some(other)) = (parse(expected), parse(actual)) else { return false };
    let is_whole = |text: &str| !text.contains(['.', 'e', 'E']);
    if is_whole(actual) {
        // A whole number is compared with what is left of the expected one without its fraction.
        return one.with_scale(0) == other;
    }
    if exactness.doubles {
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        return (number(expected) - number(actual)).abs() <= 1e-6_f64.max(number(expected).abs() * 1e-12)
            || one == other;
    }
    let spelled_plainly = !expected.contains(['e', 'E']) && !actual.contains(['e', 'E']);
    one == other
        && (!exactness.scale || !spelled_plainly || one.fractional_digit_count() == other.fractional_digit_count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(expected: &str, actual: &str) -> bool {
        let exactness = Exactness { scale: true, doubles: false };
        difference(&Json::read(expected).unwrap(), &Json::read(actual).unwrap(), exactness).is_some()
    }

    #[test]
    fn decimals_differ_by_their_scale_and_objects_by_their_members() {
        assert!(!differs("1.0", "1.0"));
        assert!(differs("1.0", "1.00"));
        assert!(!differs("1.0", "1"));
        assert!(differs("{\"a\":1}", "{\"A\":1,\"B\":2}"));
        assert!(!differs("{\"a\":[1,null]}", "{\"A\":[1,null]}"));
        assert!(differs("[1]", "[1,2]"));
        assert!(differs("null", "0"));
    }
}
