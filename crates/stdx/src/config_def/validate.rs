//! Checking one value against its row. The reasons are worded as Kafka words them.

use super::{ConfigDef, ConfigType, Validator};

/// A value that its key does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value {value} for configuration {name}: {reason}")]
pub struct InvalidValue {
    /// The key.
    pub name: String,
    /// The value that was given.
    pub value: String,
    /// What would have been right.
    pub reason: String,
}

impl ConfigDef {
    /// Checks type and bounds of `value`.
    ///
    /// # Errors
    /// [`InvalidValue`] with Kafka's wording; the value of a secret is not repeated.
    pub fn validate(&self, value: &str) -> Result<(), InvalidValue> {
        self.check_type(value.trim()).and_then(|()| self.check_bounds(value.trim())).map_err(|reason| InvalidValue {
            name: self.name.to_owned(),
            value: if self.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() },
            reason,
        })
    }

    fn check_type(&self, value: &str) -> Result<(), String> {
        let fits = match self.kind {
            ConfigType::Boolean => {
                return match parse_bool(value) {
                    Some(_) => Ok(()),
                    None => Err("Expected value to be either true or false".to_owned()),
                };
            }
            ConfigType::Int => value.parse::<i32>().is_ok(),
            ConfigType::Short => value.parse::<i16>().is_ok(),
            ConfigType::Long => value.parse::<i64>().is_ok(),
            ConfigType::Double => value.parse::<f64>().is_ok(),
            ConfigType::String | ConfigType::List | ConfigType::Class | ConfigType::Password => true,
        };
        if fits { Ok(()) } else { Err(format!("Not a number of type {}", self.kind.name())) }
    }

    fn check_bounds(&self, value: &str) -> Result<(), String> {
        match self.validator {
            Validator::Any => Ok(()),
            Validator::AtLeast(minimum) => in_range(value, minimum, i64::MAX),
            Validator::Between(minimum, maximum) => in_range(value, minimum, maximum),
            Validator::BetweenDouble(minimum, maximum) => in_range_double(value, minimum, maximum),
            Validator::LevelOrDefault(minimum, maximum) => match value.parse::<i64>() {
                Ok(-1) => Ok(()),
                Ok(level) if (minimum..=maximum).contains(&level) => Ok(()),
                _ => Err(format!("Value must be between {minimum} and {maximum} or equal to -1")),
            },
            Validator::OneOf(allowed) => one_of(allowed, allowed.contains(&value)),
            Validator::OneOfIgnoringCase(allowed) => {
                let known = allowed.iter().any(|candidate| candidate.eq_ignore_ascii_case(value));
                if known { Ok(()) } else { Err(format!("String must be one of (case insensitive): {}", join(allowed))) }
            }
            Validator::ListOf(allowed) => one_of(allowed, split_list(value).all(|element| allowed.contains(&element))),
            Validator::NonEmptyList => distinct_and_not_empty(value),
        }
    }
}

fn in_range(value: &str, minimum: i64, maximum: i64) -> Result<(), String> {
    match value.parse::<i64>() {
        Ok(number) if number < minimum => Err(format!("Value must be at least {minimum}")),
        Ok(number) if number > maximum => Err(format!("Value must be no more than {maximum}")),
        _ => Ok(()),
    }
}

fn in_range_double(value: &str, minimum: f64, maximum: f64) -> Result<(), String> {
    match value.parse::<f64>() {
        Ok(number) if number < minimum => Err(format!("Value must be at least {minimum}")),
        Ok(number) if number > maximum => Err(format!("Value must be no more than {maximum}")),
        Ok(number) if number.is_nan() => Err("Value must be a number".to_owned()),
        _ => Ok(()),
    }
}

fn one_of(allowed: &[&str], holds: bool) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("String must be one of: {}", join(allowed))) }
}

fn distinct_and_not_empty(value: &str) -> Result<(), String> {
    let elements: Vec<&str> = split_list(value).collect();
    if elements.is_empty() {
        return Err("Value must not be empty".to_owned());
    }
    let repeated = elements.iter().enumerate().find(|(index, element)| elements[..*index].contains(element));
    match repeated {
        Some((_, element)) => Err(format!("Value must not contain {element} twice")),
        None => Ok(()),
    }
}

fn join(allowed: &[&str]) -> String {
    allowed.join(", ")
}

/// `true` and `false` in upper or lower case.
pub fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The elements of a comma-separated list, without white space around them; empty ones are left out.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}
