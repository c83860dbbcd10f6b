//! JSON objects one behind the other, out of bytes that come in pieces.

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;

/// Why there is no next object; nothing can be read behind it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Something else than an object.
    #[error("a record must be a JSON object")]
    NotAnObject,
    /// The body ended in the middle of an object.
    #[error("Unexpected end-of-input in the middle of a JSON object")]
    Unfinished,
    /// Longer than the limit.
    #[error("the record is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection, or the way the body is framed.
    #[error("the body of the request cannot be read: {0}")]
    Broken(String),
}

/// Finds where objects end. Knows as much of JSON as that takes: strings and braces.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    /// Bytes of the current object that were looked at.
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next object, if it is there as a whole.
    ///
    /// # Errors
    /// [`SplitError::NotAnObject`], [`SplitError::TooLarge`].
    pub fn next(&mut self, bytes_max: usize) -> Result<Option<Bytes>, SplitError> {
        if self.depth == 0 {
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.advance(blank);
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(SplitError::NotAnObject),
            }
        }
        while let Some(byte) = self.buffer.get(self.scanned) {
            self.scanned += 1;
            if self.escaped {
                self.escaped = false;
                continue;
            }
            match byte {
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' if !self.in_string => self.depth += 1,
                b'}' if !self.in_string => self.depth -= 1,
                _ => continue,
            }
            if self.depth == 0 {
                let end = std::mem::take(&mut self.scanned);
                return Ok(Some(self.buffer.split_to(end).freeze()));
            }
        }
        if self.buffer.len() > bytes_max { Err(SplitError::TooLarge(bytes_max)) } else { Ok(None) }
    }

    /// Whether nothing is left but white space.
    pub fn is_empty(&self) -> bool {
        self.buffer.iter().all(u8::is_ascii_whitespace)
    }
}

/// The objects of a body.
pub struct Source {
    body: Body,
    splitter: Splitter,
    bytes_max: usize,
}

impl Source {
    /// The objects of `body`, none of them longer than `bytes_max`.
    pub fn new(body: Body, bytes_max: usize) -> Source {
        Source { body, splitter: Splitter::default(), bytes_max }
    }

    /// The next object; `None` at the end.
    ///
    /// # Errors
    /// See [`SplitError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, SplitError> {
        loop {
            if let Some(object) = self.splitter.next(self.bytes_max)? {
                return Ok(Some(object));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.splitter.push(bytes);
                    }
                }
                Some(Err(error)) => return Err(SplitError::Broken(error.to_string())),
                None if self.splitter.is_empty() => return Ok(None),
                None => return Err(SplitError::Unfinished),
            }
        }
    }

    /// Whether it is known already that nothing follows.
    pub fn is_at_end(&self) -> bool {
        use axum::body::HttpBody as _;
        self.splitter.is_empty() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str], bytes_max: usize) -> Result<Vec<String>, SplitError> {
        let mut splitter = Splitter::default();
        let mut objects = Vec::new();
        for piece in pieces {
            splitter.push(piece.as_bytes());
            while let Some(object) = splitter.next(bytes_max)? {
                objects.push(String::from_utf8_lossy(&object).into_owned());
            }
        }
        Ok(objects)
    }

    #[test]
    fn objects_end_at_their_last_brace_however_they_come() {
        let text = " {\"a\":\"}\\\"{\"}{\"b\":{\"c\":[{}]}}\n\n{} ";
        let expected = ["{\"a\":\"}\\\"{\"}", "{\"b\":{\"c\":[{}]}}", "{}"];
        assert_eq!(split(&[text], 100).unwrap(), expected);
        let letters: Vec<String> = text.chars().map(|letter| letter.to_string()).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(split(&letters, 100).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_or_does_not_end_is_refused() {
        assert_eq!(split(&["{} 1"], 100), Err(SplitError::NotAnObject));
        assert_eq!(split(&["[{}]"], 100), Err(SplitError::NotAnObject));
        assert_eq!(split(&["{\"a\":\"", "xxxxxxxxxxx"], 10), Err(SplitError::TooLarge(10)));
        assert_eq!(split(&["{\"a\":"], 10), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_body_that_ends_within_an_object_is_told() {
        let mut source = Source::new(Body::from("{}\n"), 100);
        assert_eq!(source.next().await, Ok(Some(Bytes::from_static(b"{}"))));
        assert!(source.is_at_end());
        assert_eq!(source.next().await, Ok(None));
        assert_eq!(Source::new(Body::from("{\"a\""), 100).next().await, Err(SplitError::Unfinished));
    }
}
