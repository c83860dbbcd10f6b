//! How a line becomes a record: `headers<TAB>key<TAB>value`, of which headers and key are optional.

use bytes::Bytes;
use milena_protocol::record::Header;

use crate::failure::Failure;

/// The properties of the line reader.
#[derive(Debug, Clone)]
pub struct LineReader {
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
}

/// A parsed line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// `None` when keys are not parsed or the key is the null marker.
    pub key: Option<&'a [u8]>,
    /// `None` when the value is the null marker.
    pub value: Option<&'a [u8]>,
    /// In the order of the line.
    pub headers: Vec<Header>,
}

impl Default for LineReader {
    fn default() -> Self {
        LineReader {
            parse_key: false,
            key_separator: "\t".to_owned(),
            parse_headers: false,
            headers_delimiter: "\t".to_owned(),
            headers_separator: ",".to_owned(),
            headers_key_separator: ":".to_owned(),
            ignore_error: false,
            null_marker: None,
        }
    }
}

impl LineReader {
    /// Sets one property; unknown ones are ignored, as other readers may know them.
    ///
    /// # Errors
    /// An empty separator.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        let yes = || value.trim().eq_ignore_ascii_case("true");
        match key {
            "parse.key" => self.parse_key = yes(),
            "key.separator" => self.key_separator = value.to_owned(),
            "parse.headers" => self.parse_headers = yes(),
            "headers.delimiter" => self.headers_delimiter = value.to_owned(),
            "headers.separator" => self.headers_separator = value.to_owned(),
            "headers.key.separator" => self.headers_key_separator = value.to_owned(),
            "ignore.error" => self.ignore_error = yes(),
            "null.marker" => self.null_marker = Some(value.to_owned()),
            _ => return Ok(()),
        }
        if value.is_empty() && key.contains("separator") {
            return Err(kafka_exception(format!("{key} must not be empty")));
        }
        Ok(())
    }

    /// Whether lines have a key.
    pub fn has_key(&self) -> bool {
        self.parse_key
    }

    /// Splits line number `number` (from 1).
    ///
    /// # Errors
    /// A separator that is missing, unless `ignore.error`.
    pub fn parse<'a>(&self, line: &'a [u8], number: usize) -> Result<Line<'a>, Failure> {
        let mut rest = line;
        let mut headers = Vec::new();
        if self.parse_headers
            && let Some(text) = self.cut(&mut rest, &self.headers_delimiter, "headers delimiter", line, number)?
            && !self.is_null(text)
        {
            headers = self.headers(text, number)?;
        }
        let key = if self.parse_key {
            self.cut(&mut rest, &self.key_separator, "key separator", line, number)?
        } else {
            None
        };
        let not_null = |bytes: &&[u8]| !self.is_null(bytes);
        Ok(Line { key: key.filter(not_null), value: Some(rest).filter(not_null), headers })
    }

    /// Cuts `rest` at the first `separator`; `None` when it is missing and errors are ignored.
    fn cut<'a>(
        &self,
        rest: &mut &'a [u8],
        separator: &str,
        what: &str,
        line: &[u8],
        number: usize,
    ) -> Result<Option<&'a [u8]>, Failure> {
        match find(rest, separator.as_bytes()) {
            Some(at) => {
                let head = &rest[..at];
                *rest = &rest[at + separator.len()..];
                Ok(Some(head))
            }
            None if self.ignore_error => Ok(None),
            None => {
                let line = String::from_utf8_lossy(line);
                Err(kafka_exception(format!("No {what} found on line number {number}: '{line}'")))
            }
        }
    }

    fn headers(&self, text: &[u8], number: usize) -> Result<Vec<Header>, Failure> {
        let mut headers = Vec::new();
        let mut rest = Some(text);
        while let Some(pairs) = rest {
            let end = find(pairs, self.headers_separator.as_bytes());
            let pair = &pairs[..end.unwrap_or(pairs.len())];
            rest = end.map(|end| &pairs[end + self.headers_separator.len()..]);
            headers.push(self.header(pair, number)?);
        }
        Ok(headers)
    }

    fn header(&self, pair: &[u8], number: usize) -> Result<Header, Failure> {
        let at = find(pair, self.headers_key_separator.as_bytes());
        if at.is_none() && !self.ignore_error {
            let pair = String::from_utf8_lossy(pair);
            return Err(kafka_exception(format!(
                "No header key separator found in pair '{pair}' on line number {number}"
            )));
        }
        let key = &pair[..at.unwrap_or(pair.len())];
        if self.is_null(key) {
            let marker = self.null_marker.as_deref().unwrap_or("");
            return Err(kafka_exception(format!(
                "Header keys should not be equal to the null marker '{marker}' as they can't be null"
            )));
        }
        let value = at.map(|at| &pair[at + self.headers_key_separator.len()..]).filter(|value| !self.is_null(value));
        Ok(Header { key: Bytes::copy_from_slice(key), value: value.map(Bytes::copy_from_slice) })
    }

    fn is_null(&self, bytes: &[u8]) -> bool {
        self.null_marker.as_ref().is_some_and(|marker| marker.as_bytes() == bytes)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn kafka_exception(message: String) -> Failure {
    Failure::Exception { class: "org.apache.kafka.common.KafkaException", message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> LineReader {
        let mut reader = LineReader::default();
        for (key, value) in properties {
            reader.set(key, value).unwrap();
        }
        reader
    }

    fn header(key: &str, value: Option<&str>) -> Header {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Header { key: bytes(key), value: value.map(bytes) }
    }

    #[test]
    fn a_plain_line_is_the_value() {
        let line = reader(&[]).parse(b"a\tb", 1).unwrap();
        assert_eq!(line, Line { key: None, value: Some(b"a\tb"), headers: vec![] });
    }

    #[test]
    fn headers_and_key_come_before_the_value() {
        let reader = reader(&[("parse.key", "true"), ("parse.headers", "true")]);
        let line = reader.parse(b"h1:v1,h2:v2\tk1\thello\tworld", 1).unwrap();
        assert_eq!((line.key, line.value), (Some(&b"k1"[..]), Some(&b"hello\tworld"[..])));
        assert_eq!(line.headers, [header("h1", Some("v1")), header("h2", Some("v2"))]);
    }

    #[test]
    fn separators_can_be_chosen() {
        let reader = reader(&[("parse.key", "true"), ("key.separator", "=>")]);
        let line = reader.parse("schl\u{fc}ssel=>wert".as_bytes(), 1).unwrap();
        assert_eq!((line.key, line.value), (Some("schl\u{fc}ssel".as_bytes()), Some(&b"wert"[..])));
    }

    #[test]
    fn a_missing_separator_is_an_error_with_the_line_unless_ignored() {
        let mut keyed = reader(&[("parse.key", "true")]);
        let failure = keyed.parse(b"no key", 7).unwrap_err();
        assert_eq!(
            failure.to_exception(),
            "org.apache.kafka.common.KafkaException: No key separator found on line number 7: 'no key'"
        );
        keyed.set("ignore.error", "true").unwrap();
        assert_eq!(keyed.parse(b"no key", 7).unwrap(), Line { key: None, value: Some(b"no key"), headers: vec![] });
        let failure = reader(&[("parse.headers", "true")]).parse(b"h1\tv", 2).unwrap_err();
        assert_eq!(failure.message(), "No header key separator found in pair 'h1' on line number 2");
    }

    #[test]
    fn the_null_marker_makes_nulls() {
        let reader = reader(&[("parse.key", "true"), ("parse.headers", "true"), ("null.marker", "NULL")]);
        assert_eq!(reader.parse(b"NULL\tNULL\tNULL", 1).unwrap(), Line { key: None, value: None, headers: vec![] });
        assert_eq!(reader.parse(b"h:NULL\tk\tv", 1).unwrap().headers, [header("h", None)]);
        assert!(reader.parse(b"NULL:x\tk\tv", 1).is_err());
    }
}
