//! What of a table's state a pull query has to look at. Of what is found, rows are tested with the whole condition; so more
//! may be looked at than is wanted, but not less.

use crate::ast::ComparisonOperator;
use crate::catalog::WindowInfo;
use crate::state::codec::{text_key, text_of_key, time_bytes};
use crate::state::prefix_end;
use crate::value::Value;

/// Which entries of a table a query has to look at.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Those with these keys, all columns of each.
    Keys(Vec<Vec<Value>>),
    /// Those whose key, a text, is in a range.
    Range(TextRange),
    /// All.
    Scan,
}

/// Which windows of a key a query has to look at, by their starts: from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowStarts {
    first: i64,
    last: i64,
}

impl WindowStarts {
    /// All windows.
    pub const ALL: WindowStarts = WindowStarts { first: i64::MIN, last: i64::MAX };

    /// Those of which the start compares with `value` like this.
    pub(super) fn start(self, operator: ComparisonOperator, value: i64) -> WindowStarts {
        let WindowStarts { first, last } = self;
        match operator {
            ComparisonOperator::Equal => WindowStarts { first: first.max(value), last: last.min(value) },
            ComparisonOperator::GreaterThan => WindowStarts { first: first.max(value.saturating_add(1)), last },
            ComparisonOperator::GreaterThanOrEqual => WindowStarts { first: first.max(value), last },
            ComparisonOperator::LessThan => WindowStarts { first, last: last.min(value.saturating_sub(1)) },
            ComparisonOperator::LessThanOrEqual => WindowStarts { first, last: last.min(value) },
            _ => self,
        }
    }

    /// Those of which the end compares with `value` like this.
    pub(super) fn end(self, operator: ComparisonOperator, value: i64, window: WindowInfo) -> WindowStarts {
        match (window.size_ms, operator) {
            (Some(size), _) => self.start(operator, value.saturating_sub(size)),
            // Sessions do not end before they start.
            (None, ComparisonOperator::Equal) => self.start(ComparisonOperator::LessThanOrEqual, value),
            (None, ComparisonOperator::LessThan | ComparisonOperator::LessThanOrEqual) => self.start(operator, value),
            (None, _) => self,
        }
    }

    /// These and those, and what is between them.
    pub(super) fn or(self, other: WindowStarts) -> WindowStarts {
        WindowStarts { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// The keys of the entries of the windows of a key, which begin with `prefix`: the first, and one after the last.
    pub fn keys(self, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let at = |time: i64| [prefix, &time_bytes(time)].concat();
        (at(self.first), prefix_end(&at(self.last)))
    }
}

/// A range of texts, with both bounds; without one it is open.
///
/// Keys lie in the order of the lengths of their texts, then of the texts: of each length a range is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextRange {
    lower: Option<String>,
    upper: Option<String>,
}

/// Where a key is in relation to a range.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// In it.
    Inside,
    /// Outside; what is inside begins at this key or after it.
    Before(Vec<u8>),
}

impl TextRange {
    /// Those of which the text compares with `value` like this. Bounds count whose order is that of their bytes: texts
    /// compare by UTF-16, in which characters of the second half come before some of the first.
    pub(super) fn compared(&mut self, operator: ComparisonOperator, value: &str) {
        if value.chars().any(|character| character >= '\u{E000}') {
            return;
        }
        match operator {
            ComparisonOperator::Equal => {
                self.compared(ComparisonOperator::GreaterThanOrEqual, value);
                self.compared(ComparisonOperator::LessThanOrEqual, value);
            }
            ComparisonOperator::GreaterThan | ComparisonOperator::GreaterThanOrEqual
                if self.lower.as_deref().is_none_or(|lower| lower < value) =>
            {
                self.lower = Some(value.to_owned());
            }
            ComparisonOperator::LessThan | ComparisonOperator::LessThanOrEqual
                if self.upper.as_deref().is_none_or(|upper| value < upper) =>
            {
                self.upper = Some(value.to_owned());
            }
            _ => {}
        }
    }

    /// These and those, and what is between them.
    pub(super) fn or(self, other: TextRange) -> TextRange {
        let both = |one: Option<String>, other: Option<String>| Some((one?, other?));
        TextRange {
            lower: both(self.lower, other.lower).map(|(one, other)| one.min(other)),
            upper: both(self.upper, other.upper).map(|(one, other)| one.max(other)),
        }
    }

    /// Where a key of the state is.
    pub fn place(&self, key: &[u8]) -> Place {
        let Some(text) = text_of_key(key) else { return Place::Inside };
        let cut = |bound: &'_ Option<String>| {
            bound.as_ref().map(|bound| bound.as_bytes()[..bound.len().min(text.len())].to_vec())
        };
        if let Some(lower) = cut(&self.lower).filter(|lower| text < &lower[..]) {
            return Place::Before(text_key(text.len(), &lower));
        }
        match cut(&self.upper) {
            Some(upper) if text[..upper.len()] > upper[..] => Place::Before(text_key(text.len() + 1, &[])),
            _ => Place::Inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::WindowShape;
    use crate::state::codec::write_values;

    fn key(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_values(&[Value::from(text)], &mut bytes);
        bytes
    }

    /// The texts that are seen of these, going through them in the order of keys as readers do.
    fn seen(range: &TextRange, texts: &[&str]) -> (Vec<String>, usize) {
        let mut keys: Vec<(Vec<u8>, &str)> = texts.iter().map(|text| (key(text), *text)).collect();
        keys.sort();
        let (mut from, mut looked, mut inside) = (Vec::new(), 0, Vec::new());
        for (key, text) in keys {
            if key < from {
                continue;
            }
            looked += 1;
            match range.place(&key) {
                Place::Inside => inside.push(text.to_owned()),
                Place::Before(next) => {
                    assert!(next > key);
                    // The key itself is outside; readers seek what comes next.
                    from = next;
                }
            }
        }
        (inside, looked)
    }

    #[test]
    fn ranges_pass_by_what_is_outside() {
        let mut range = TextRange::default();
        range.compared(ComparisonOperator::GreaterThan, "b2");
        range.compared(ComparisonOperator::GreaterThan, "a");
        range.compared(ComparisonOperator::LessThanOrEqual, "d");
        let texts = ["a", "b", "c", "d", "e", "aa", "b1", "b2", "b3", "dd", "ee", "b20", "c00", "z00", "z01", "z02"];
        let (inside, looked) = seen(&range, &texts);
        for text in texts.iter().filter(|text| **text > "b2" && **text <= "d") {
            assert!(inside.iter().any(|found| found == text), "{text}");
        }
        for outside in ["a", "e", "aa", "b1", "ee", "z00", "z02"] {
            assert!(!inside.iter().any(|found| found == outside), "{outside}");
        }
        assert!(looked < texts.len());
        assert_eq!(seen(&TextRange::default(), &texts).0.len(), texts.len());
    }

    #[test]
    fn alternatives_are_one_range() {
        let range = |operator, text: &str| {
            let mut range = TextRange::default();
            range.compared(operator, text);
            range
        };
        let one = range(ComparisonOperator::Equal, "m").or(range(ComparisonOperator::Equal, "f"));
        assert_eq!(one, TextRange { lower: Some("f".into()), upper: Some("m".into()) });
        assert_eq!(one.or(range(ComparisonOperator::LessThan, "a")).lower, None);
        assert_eq!(range(ComparisonOperator::LessThan, "\u{1F600}"), TextRange::default());
    }

    #[test]
    fn windows_are_found_by_their_bounds() {
        let hour = WindowInfo { shape: WindowShape::Tumbling, size_ms: Some(3_600_000) };
        let session = WindowInfo { shape: WindowShape::Session, size_ms: None };
        let all = WindowStarts::ALL;
        let wanted = all.start(ComparisonOperator::GreaterThan, 9).end(ComparisonOperator::LessThan, 3_600_100, hour);
        assert_eq!(wanted, WindowStarts { first: 10, last: 99 });
        assert_eq!(all.end(ComparisonOperator::Equal, 50, session), WindowStarts { first: i64::MIN, last: 50 });
        assert_eq!(all.end(ComparisonOperator::GreaterThan, 50, session), all);
        let (from, to) = wanted.keys(b"k");
        let at = |time: i64| [&b"k"[..], &time_bytes(time)].concat();
        assert!(at(9) < from && from <= at(10) && at(99) < to && to <= at(100));
        let (from, to) = all.keys(b"k");
        assert!(from <= at(i64::MIN) && at(i64::MAX) < to);
    }
}
