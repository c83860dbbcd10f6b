//! Java's habits where they show in the output: dates, numbers, regular expressions, the order of a HashMap.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::Regex;

use crate::failure::Failure;

/// Now, as Kafka's log lines begin: `2026-11-21 02:53:11,427`.
pub fn log_timestamp() -> String {
    let now = Timestamp::now().to_zoned(TimeZone::system());
    format!("{},{:03}", now.strftime("%Y-%m-%d %H:%M:%S"), now.millisecond())
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A Java regular expression that must match the whole text.
///
/// # Errors
/// A pattern that does not compile.
pub fn full_match(pattern: &str) -> Result<Regex, Failure> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| Failure::Exception {
        class: "java.lang.RuntimeException",
        message: format!("{pattern} is an invalid regex: {error}"),
    })
}

/// Topic patterns of Kafka's tools: commas mean "or", quotes and blanks around the pattern do not count.
///
/// # Errors
/// A pattern that does not compile.
pub fn topic_pattern(pattern: &str) -> Result<Regex, Failure> {
    let cleaned: String = pattern.trim().replace(',', "|").chars().filter(|c| !c.is_whitespace()).collect();
    full_match(cleaned.trim_matches(|c| c == '"' || c == '\''))
}

/// Iterates `names` in the order in which a `java.util.HashMap` filled with them does: indexes into `names`.
///
/// Kafka's tools print some configs in that order.
pub fn hash_map_order(names: &[&str]) -> Vec<usize> {
    let mut capacity = 16_usize;
    while names.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|index| {
        let hash = milena_stdx::java_string_hash(names[*index]) as u32;
        (hash ^ (hash >> 16)) as usize & (capacity - 1)
    });
    order
}

/// A double as `Double.toString` writes the magnitudes that quotas have.
pub fn double(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e7 {
        return format!("{value:.1}");
    }
    if value.abs() >= 1e7 {
        let text = format!("{value:E}");
        let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let mantissa = if mantissa.contains('.') { mantissa.to_owned() } else { format!("{mantissa}.0") };
        return format!("{mantissa}E{exponent}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_and_commas_separate_them() {
        let pattern = topic_pattern("orders, test.*").unwrap();
        for (name, expected) in [("orders", true), ("orders2", false), ("test-1", true), ("my-test", false)] {
            assert_eq!(pattern.is_match(name), expected, "{name}");
        }
        assert!(topic_pattern("(").is_err());
    }

    #[test]
    fn doubles_look_like_javas() {
        assert_eq!(double(1024.0), "1024.0");
        assert_eq!(double(0.5), "0.5");
        assert_eq!(double(1.048576e7), "1.048576E7");
        assert_eq!(double(1e8), "1.0E8");
    }
}
