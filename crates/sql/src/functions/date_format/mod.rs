//! Patterns of dates and times: the letters of Java's `DateTimeFormatter`, with quoted text and `[optional]` parts.

mod fields;
mod format;
mod lenient;
mod parse;
mod pattern;
mod resolve;
mod zone;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::thread::LocalKey;

pub use fields::Fields;
pub use lenient::parse_date;
pub use pattern::Pattern;
pub use resolve::ParsedFields;
pub use zone::offset_at;

use crate::expression::EvalError;
use crate::value::Value;

/// Most patterns kept per thread; almost every query has its patterns as literals.
const CACHED_PATTERNS: usize = 64;

/// Runs `body` with the pattern that `text` spells.
pub(super) fn with_pattern(
    text: &str,
    body: impl FnOnce(&Pattern) -> Result<Value, EvalError>,
) -> Result<Value, EvalError> {
    thread_local! {
        static CACHE: PatternCache<Pattern> = PatternCache::default();
    }
    let pattern = cached(&CACHE, text, Pattern::new)?;
    body(&pattern)
}

/// What a thread has read of patterns.
type PatternCache<P> = RefCell<HashMap<String, Rc<P>>>;

/// The pattern that `text` spells, read once for each thread.
fn cached<P, E>(
    cache: &'static LocalKey<PatternCache<P>>,
    text: &str,
    read: impl FnOnce(&str) -> Result<P, E>,
) -> Result<Rc<P>, E> {
    cache.with_borrow_mut(|cache| {
        if let Some(pattern) = cache.get(text) {
            return Ok(pattern.clone());
        }
        let pattern = Rc::new(read(text)?);
        if cache.len() >= CACHED_PATTERNS {
            cache.clear();
        }
        cache.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    })
}

/// The milliseconds since 1970 of a text in a pattern; `zone` counts where the text names none.
pub fn parse_timestamp(text: &str, pattern: &str, zone: &str) -> Result<i64, EvalError> {
    let value = with_pattern(pattern, |pattern| Ok(Value::Bigint(pattern.parse(text)?.timestamp_ms(zone)?)))?;
    Ok(value.as_i64().unwrap_or_default())
}

#[cfg(test)]
mod tests;
