//! Bodies of v2: members that are known, of the right type, and there.
//!
//! What is not JSON, or JSON of another type, is 400; a member that is missing, unknown or out of bounds is 422.

use std::borrow::Cow;

use milena_client::TopicPartition;

use crate::error::{RestError, Result};
use crate::formats::raw::RawJson;

/// The members of one object that are not yet taken.
pub struct Members<'a> {
    left: Vec<(Cow<'a, str>, RawJson<'a>)>,
    /// Where the object is in the body, with a dot at the end; empty for the body itself.
    place: String,
}

/// The body.
///
/// # Errors
/// 400 for what is not JSON, [`RestError::NullInput`] for nothing and `null`.
pub fn parse(bytes: &[u8]) -> Result<RawJson<'_>> {
    optional(bytes)?.ok_or(RestError::NullInput)
}

/// A body that may be missing.
///
/// # Errors
/// 400 for what is not JSON.
pub fn optional(bytes: &[u8]) -> Result<Option<RawJson<'_>>> {
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let raw = RawJson::parse(bytes).map_err(|error| RestError::bad_request(format!("Malformed JSON: {error}")))?;
    Ok(Some(raw).filter(|raw| !raw.is_null()))
}

impl<'a> Members<'a> {
    /// The members of `raw`, which is at `place` in the body.
    ///
    /// # Errors
    /// 400 when it is no object.
    pub fn of(raw: RawJson<'a>, place: &str) -> Result<Members<'a>> {
        let Some(left) = raw.members() else {
            let what = if place.is_empty() { "The body of the request" } else { place };
            return Err(RestError::bad_request(format!("{what} must be an object, not {}", raw.kind())));
        };
        let place = if place.is_empty() { String::new() } else { format!("{place}.") };
        Ok(Members { left, place })
    }

    /// Takes a member, `null` too. A repeated one replaces the earlier.
    pub fn take(&mut self, name: &str) -> Option<RawJson<'a>> {
        let mut found = None;
        self.left.retain(|(known, value)| {
            let is_it = known == name;
            if is_it {
                found = Some(*value);
            }
            !is_it
        });
        found
    }

    /// Takes a member that is not `null`.
    pub fn given(&mut self, name: &str) -> Option<RawJson<'a>> {
        self.take(name).filter(|value| !value.is_null())
    }

    /// Takes a string.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.given(name).map(|raw| self.text_of(name, raw)).transpose()
    }

    /// Takes a string that must be there.
    ///
    /// # Errors
    /// 422 without it, 400 for anything else.
    pub fn needed_text(&mut self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// Takes an integer, which may be written as a string.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        self.given(name).map(|raw| self.integer_of(name, raw)).transpose()
    }

    /// Takes an integer that must be there and not negative.
    ///
    /// # Errors
    /// 422 without it or below 0, 400 for anything else.
    pub fn needed_count(&mut self, name: &str) -> Result<i64> {
        let number = self.integer(name)?.ok_or_else(|| self.missing(name))?;
        match number {
            0.. => Ok(number),
            _ => Err(RestError::Validation(format!("{}{name} must be greater than or equal to 0", self.place))),
        }
    }

    /// Takes an array with the place of each element.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn array(&mut self, name: &str) -> Result<Option<Vec<(String, RawJson<'a>)>>> {
        let Some(raw) = self.given(name) else { return Ok(None) };
        let place = format!("{}{name}", self.place);
        let elements = raw
            .elements()
            .ok_or_else(|| RestError::bad_request(format!("{place} must be an array, not {}", raw.kind())))?;
        Ok(Some(elements.into_iter().enumerate().map(|(at, raw)| (format!("{place}[{at}]"), raw)).collect()))
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// 422 with the first member that is not known.
    pub fn finish(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(RestError::Validation(format!("Unrecognized field: {}{name}", self.place))),
        }
    }

    /// A member that must be there is not.
    pub fn missing(&self, name: &str) -> RestError {
        RestError::Validation(format!("{}{name} may not be null", self.place))
    }

    fn text_of(&self, name: &str, raw: RawJson<'_>) -> Result<String> {
        raw.string().map(Cow::into_owned).ok_or_else(|| self.mistyped(name, "a string", raw))
    }

    fn integer_of(&self, name: &str, raw: RawJson<'_>) -> Result<i64> {
        let text = raw.string().unwrap_or(Cow::Borrowed(raw.text()));
        text.trim().parse().map_err(|_| self.mistyped(name, "an integer", raw))
    }

    fn mistyped(&self, name: &str, expected: &str, raw: RawJson<'_>) -> RestError {
        let found = if raw.text().len() <= 40 { raw.text() } else { raw.kind() };
        RestError::bad_request(format!("{}{name} must be {expected}, not {found}", self.place))
    }
}

/// Takes `topic` and `partition`.
///
/// # Errors
/// 422 without them, 400 for other types.
pub fn topic_partition(members: &mut Members<'_>) -> Result<TopicPartition> {
    let topic = members.needed_text("topic")?;
    let partition = members.needed_count("partition")?;
    let partition = i32::try_from(partition)
        .map_err(|_| RestError::Validation(format!("partition {partition} is beyond the largest there can be")))?;
    Ok(TopicPartition::new(topic, partition))
}

/// `{"partitions": [{"topic", "partition"}]}`.
///
/// # Errors
/// As [`topic_partition`].
pub fn partitions(bytes: &[u8]) -> Result<Vec<TopicPartition>> {
    let mut members = Members::of(parse(bytes)?, "")?;
    let listed = members.array("partitions")?.ok_or_else(|| members.missing("partitions"))?;
    members.finish()?;
    listed
        .into_iter()
        .map(|(place, raw)| {
            let mut members = Members::of(raw, &place)?;
            let tp = topic_partition(&mut members)?;
            members.finish()?;
            Ok(tp)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Result<Vec<TopicPartition>, (u16, String)> {
        partitions(text.as_bytes()).map_err(|error| (error.status(), error.to_string()))
    }

    #[test]
    fn partitions_are_read_with_numbers_as_text_too() {
        let text = r#"{"partitions":[{"topic":"a","partition":0},{"partition":"12","topic":"b"}]}"#;
        assert_eq!(codes(text), Ok(vec![TopicPartition::new("a", 0), TopicPartition::new("b", 12)]));
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_with_its_place() {
        let table = [
            ("", 422, "Null input provided. Data is required."),
            (" null ", 422, "Null input provided. Data is required."),
            ("[]", 400, "The body of the request must be an object, not an array"),
            ("{}", 422, "partitions may not be null"),
            (r#"{"partitions":{}}"#, 400, "partitions must be an array, not an object"),
            (r#"{"partitions":[5]}"#, 400, "partitions[0] must be an object, not a number"),
            (r#"{"partitions":[{"topic":"a"}]}"#, 422, "partitions[0].partition may not be null"),
            (r#"{"partitions":[{"topic":5,"partition":0}]}"#, 400, "partitions[0].topic must be a string, not 5"),
            (
                r#"{"partitions":[{"topic":"a","partition":1.5}]}"#,
                400,
                "partitions[0].partition must be an integer, not 1.5",
            ),
            (
                r#"{"partitions":[{"topic":"a","partition":-1}]}"#,
                422,
                "partitions[0].partition must be greater than or equal to 0",
            ),
            (r#"{"partitions":[],"more":1}"#, 422, "Unrecognized field: more"),
        ];
        for (text, status, message) in table {
            assert_eq!(codes(text), Err((status, message.to_owned())), "{text}");
        }
        assert_eq!(codes("{").unwrap_err().0, 400);
    }
}
