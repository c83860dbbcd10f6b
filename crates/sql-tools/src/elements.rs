//! The objects of a JSON array while it comes in.
//!
//! Where servers put commas and newlines between the elements differs, and a line may end only when the next one
//! begins; so each object is handed on as soon as its last brace is there.

use std::io::{self, Read};

/// Objects larger than this are taken for a mistake.
const OBJECT_BYTES_MAX: usize = 256 << 20;
const READ_BYTES: usize = 16 << 10;

/// The objects of an array, as text.
pub struct Elements<R> {
    source: R,
    pending: Vec<u8>,
    /// Bytes of `pending` that have been looked at.
    scanned: usize,
    /// Where the object begins that is being read.
    begin: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl<R: Read> Elements<R> {
    /// The objects that `source` has.
    pub fn new(source: R) -> Elements<R> {
        Elements { source, pending: Vec::new(), scanned: 0, begin: 0, depth: 0, in_text: false, escaped: false }
    }

    /// An object that is complete among the bytes that are there.
    fn complete(&mut self) -> Option<String> {
        while let Some(byte) = self.pending.get(self.scanned).copied() {
            self.scanned += 1;
            if self.in_text {
                self.in_text = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' => {
                    if self.depth == 0 {
                        self.begin = self.scanned - 1;
                    }
                    self.depth += 1;
                }
                b'}' if self.depth == 1 => {
                    self.depth = 0;
                    let object = String::from_utf8_lossy(&self.pending[self.begin..self.scanned]).into_owned();
                    self.pending.drain(..self.scanned);
                    self.scanned = 0;
                    return Some(object);
                }
                b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}

impl<R: Read> Iterator for Elements<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        loop {
            if let Some(object) = self.complete() {
                return Some(Ok(object));
            }
            if self.pending.len() > OBJECT_BYTES_MAX {
                return Some(Err(io::Error::other("a row is too large")));
            }
            let end = self.pending.len();
            self.pending.resize(end + READ_BYTES, 0);
            let read = self.source.read(&mut self.pending[end..]);
            self.pending.truncate(end + read.as_ref().copied().unwrap_or_default());
            match read {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands on one byte at a time, and fails where nothing may be read any more.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Err(io::Error::other("read too far")) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn objects_come_before_anything_behind_them_is_read() {
        let text = r#"[{"a":"}\"{","b":[{}]},
{"c":"ä\\"}"#;
        let mut elements = Elements::new(Slow(text.as_bytes()));
        assert_eq!(elements.next().unwrap().unwrap(), r#"{"a":"}\"{","b":[{}]}"#);
        assert_eq!(elements.next().unwrap().unwrap(), r#"{"c":"ä\\"}"#);
        assert!(elements.next().unwrap().is_err());
    }

    #[test]
    fn an_array_ends_with_its_bytes() {
        let elements: io::Result<Vec<String>> = Elements::new(&b"[{\"a\":1},\n{\"b\":2}]\n"[..]).collect();
        assert_eq!(elements.unwrap(), [r#"{"a":1}"#, r#"{"b":2}"#]);
    }
}
