//! JSON text in pieces: members and elements as slices of the body, without building values.
//!
//! Records of the format `json` go to Kafka as they were written, numbers with their spelling, and the others become
//! values one at a time. The text is checked once, as a whole; cutting it up afterwards trusts that.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;

/// One JSON value: valid text without blanks around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawJson<'a>(&'a str);

impl<'a> RawJson<'a> {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// What is wrong with the text, with line and column.
    pub fn parse(bytes: &'a [u8]) -> Result<RawJson<'a>, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
        Ok(RawJson(text.trim_matches(is_blank)))
    }

    /// `bytes` that [`RawJson::parse`] has found good before; null when they are not even text.
    pub fn parsed_before(bytes: &'a [u8]) -> RawJson<'a> {
        RawJson(std::str::from_utf8(bytes).map_or("null", |text| text.trim_matches(is_blank)))
    }

    /// The text.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// What it is, for messages.
    pub fn kind(self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// The text that a string means; `None` for anything else.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            return serde_json::from_str(self.0).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(inner))
    }

    /// The elements of an array; `None` for anything else.
    pub fn elements(self) -> Option<Vec<RawJson<'a>>> {
        let mut pieces = Pieces::of(self.0, b'[')?;
        let mut elements = Vec::new();
        while let Some(element) = pieces.next_value() {
            elements.push(element);
        }
        Some(elements)
    }

    /// The members of an object in the order of the text; `None` for anything else.
    pub fn members(self) -> Option<Vec<(Cow<'a, str>, RawJson<'a>)>> {
        let mut pieces = Pieces::of(self.0, b'{')?;
        let mut members = Vec::new();
        while let Some(name) = pieces.next_value() {
            let value = pieces.next_value()?;
            members.push((name.string().unwrap_or(Cow::Borrowed(name.0)), value));
        }
        Some(members)
    }

    /// As a value.
    ///
    /// # Errors
    /// Nesting beyond 128, numbers and characters that there are not.
    pub fn value(self) -> Result<Value, String> {
        serde_json::from_str(self.0).map_err(|error| error.to_string())
    }

    /// The text without blanks.
    pub fn compact(self) -> Vec<u8> {
        let bytes = self.0.as_bytes();
        let mut output = Vec::with_capacity(bytes.len());
        let mut position = 0;
        while let Some(byte) = bytes.get(position) {
            match byte {
                b'"' => {
                    let end = end_of_string(bytes, position);
                    output.extend_from_slice(&bytes[position..end]);
                    position = end;
                }
                b' ' | b'\n' | b'\r' | b'\t' => position += 1,
                other => {
                    output.push(*other);
                    position += 1;
                }
            }
        }
        output
    }
}

/// A walk over the values inside one pair of brackets.
struct Pieces<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str, bracket: u8) -> Option<Pieces<'a>> {
        (text.as_bytes().first() == Some(&bracket)).then_some(Pieces { text, position: 1 })
    }

    fn next_value(&mut self) -> Option<RawJson<'a>> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') = bytes.get(self.position) {
            self.position += 1;
        }
        if let None | Some(b']' | b'}') = bytes.get(self.position) {
            return None;
        }
        let start = self.position;
        self.position = end_of_value(bytes, start);
        self.text.get(start..self.position).map(RawJson)
    }
}

/// Where the value that begins at `start` ends.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut position = start;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                position = end_of_string(bytes, position);
                if depth == 0 {
                    return position;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return position,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return position + 1;
                }
            }
            b',' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return position,
            _ => {}
        }
        position += 1;
    }
    position
}

/// The position after the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut position = start + 1;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => return position + 1,
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
    bytes.len()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\r' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn members_and_elements_are_slices_of_the_text() {
        let members =
            raw(" {\"a\" : [1 , {\"x\":\"]},\\\"\"} ,null],\"b\\u0041\": \"c\\n\" ,\"n\":1.50}\n").members().unwrap();
        let texts: Vec<(&str, &str)> = members.iter().map(|(name, value)| (&**name, value.text())).collect();
        assert_eq!(texts, [("a", "[1 , {\"x\":\"]},\\\"\"} ,null]"), ("bA", "\"c\\n\""), ("n", "1.50")]);
        let elements: Vec<&str> = members[0].1.elements().unwrap().into_iter().map(RawJson::text).collect();
        assert_eq!(elements, ["1", "{\"x\":\"]},\\\"\"}", "null"]);
        assert_eq!(members[1].1.string().unwrap(), "c\n");
        assert_eq!(raw("[]").elements(), Some(Vec::new()));
        assert_eq!(raw("{ }").members(), Some(Vec::new()));
        assert_eq!((raw("5").elements(), raw("[]").members(), raw("true").string()), (None, None, None));
    }

    #[test]
    fn compact_text_keeps_spelling_and_strings() {
        let text = "{ \"a b\" : [ 1.50 , 1e5 ,\t12345678901234567890123 ], \"s\": \" \\\" x \" }\n";
        assert_eq!(raw(text).compact(), br#"{"a b":[1.50,1e5,12345678901234567890123],"s":" \" x "}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for bad in ["", "{", "[1,]", "{\"a\":}", "nul", "1 2", "\"a", "{'a':1}", "\u{feff}1"] {
            assert!(RawJson::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(RawJson::parse(b"\"\xff\"").is_err());
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(raw(&deep).value().is_err());
        assert_eq!(raw(&deep).compact().len(), deep.len());
    }
}
