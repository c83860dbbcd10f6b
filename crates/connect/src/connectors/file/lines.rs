//! Lines of a stream of bytes, each with the position behind its end.
//!
//! A line ends with `\n`, `\r\n` or `\r`. A `\r` at the end of what is known is no end yet: the `\n` may follow. What has
//! no end yet is held back.

use memchr::memchr2;

/// Bytes of a line at most; a longer one is cut here, so that a file without line ends does not fill the memory.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// See the module's words.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Bytes at the front that were taken already.
    taken: usize,
    /// Bytes from `taken` on in which there is no line end.
    searched: usize,
    /// Position of the first byte that was not taken.
    position: u64,
}

impl Lines {
    /// Lines from `position` of a stream on.
    pub fn starting_at(position: u64) -> Lines {
        Lines { position, ..Lines::default() }
    }

    /// Position behind the last line that was taken.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that are held back because their line has no end yet.
    pub fn held_back(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Lets `fill` write up to `capacity` bytes behind what is there; it says how many it wrote.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill<E>(&mut self, capacity: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        let length = self.buffer.len();
        self.buffer.resize(length + capacity, 0);
        let filled = fill(&mut self.buffer[length..]);
        self.buffer.truncate(length + *filled.as_ref().unwrap_or(&0));
        filled
    }

    /// The next line without its end, and the position behind that.
    pub fn next_line(&mut self) -> Option<(&[u8], u64)> {
        let rest = &self.buffer[self.taken..];
        let (length, end) = match memchr2(b'\n', b'\r', &rest[self.searched..]) {
            Some(at) => {
                let at = self.searched + at;
                match (rest[at], rest.get(at + 1)) {
                    (b'\n', _) => (at, 1),
                    (_, Some(b'\n')) => (at, 2),
                    (_, Some(_)) => (at, 1),
                    (_, None) => {
                        self.searched = at;
                        return None;
                    }
                }
            }
            None if rest.len() >= LINE_BYTES_MAX => (LINE_BYTES_MAX, 0),
            None => {
                self.searched = rest.len();
                return None;
            }
        };
        let start = self.taken;
        self.taken += length + end;
        self.searched = 0;
        self.position += (length + end) as u64;
        Some((&self.buffer[start..start + length], self.position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(lines: &mut Lines, bytes: &[u8]) {
        let filled = lines.fill(bytes.len(), |space| {
            space.copy_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        });
        assert_eq!(filled, Ok(bytes.len()));
    }

    fn all(lines: &mut Lines) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        while let Some((line, position)) = lines.next_line() {
            all.push((String::from_utf8(line.to_vec()).unwrap(), position));
        }
        all
    }

    #[test]
    fn all_three_line_ends_count_and_positions_are_bytes() {
        let mut lines = Lines::starting_at(100);
        push(&mut lines, "añb\nc\r\n\rd\n\n".as_bytes());
        let expected = [("añb", 105), ("c", 108), ("", 109), ("d", 111), ("", 112)];
        assert_eq!(all(&mut lines), expected.map(|(line, at)| (line.to_owned(), at)));
        assert_eq!((lines.position(), lines.held_back()), (112, 0));
    }

    #[test]
    fn a_line_without_an_end_and_a_return_at_the_end_are_held_back() {
        let mut lines = Lines::default();
        push(&mut lines, b"half");
        assert!(all(&mut lines).is_empty());
        push(&mut lines, b" a line\r");
        assert!(all(&mut lines).is_empty());
        assert_eq!((lines.position(), lines.held_back()), (0, 12));
        push(&mut lines, b"\nnext\r");
        assert_eq!(all(&mut lines), [("half a line".to_owned(), 13)]);
        push(&mut lines, b"x");
        assert_eq!(all(&mut lines), [("next".to_owned(), 18)]);
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_lines() {
        let text = "one\r\ntwo\rthree\n\r\n\rfour\n".as_bytes();
        let mut whole = Lines::default();
        push(&mut whole, text);
        let expected = all(&mut whole);
        for at in 0..text.len() {
            let mut cut = Lines::default();
            push(&mut cut, &text[..at]);
            let mut lines = all(&mut cut);
            push(&mut cut, &text[at..]);
            lines.extend(all(&mut cut));
            assert_eq!(lines, expected, "cut at {at}");
        }
    }
}
