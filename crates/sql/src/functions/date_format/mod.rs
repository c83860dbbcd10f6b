//! Patterns of dates and times: the letters of Java's `DateTimeFormatter`, with quoted text and `[optional]` parts.

mod fields;
mod format;
mod lenient;
mod parse;
mod pattern;
mod resolve;
mod zone;

pub use fields::Fields;
pub use lenient::parse_date;
pub use pattern::Pattern;
pub use resolve::ParsedFields;
pub use zone::offset_at;

use super::cache::{Cache, cached};
use crate::expression::EvalError;
use crate::value::Value;

/// Runs `body` with the pattern that `text` spells.
pub(super) fn with_pattern(
    text: &str,
    body: impl FnOnce(&Pattern) -> Result<Value, EvalError>,
) -> Result<Value, EvalError> {
    thread_local! {
        static CACHE: Cache<Pattern> = Cache::default();
    }
    let pattern = cached(&CACHE, text, Pattern::new)?;
    body(&pattern)
}

/// The milliseconds since 1970 of a text in a pattern; `zone` counts where the text names none.
pub fn parse_timestamp(text: &str, pattern: &str, zone: &str) -> Result<i64, EvalError> {
    let value = with_pattern(pattern, |pattern| Ok(Value::Bigint(pattern.parse(text)?.timestamp_ms(zone)?)))?;
    Ok(value.as_i64().unwrap_or_default())
}

#[cfg(test)]
mod tests;
