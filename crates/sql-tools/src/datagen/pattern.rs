//! Random texts that match a regular expression.
//!
//! Known are characters, classes (`[a-z_]`, `\d`, `\w`, `.`), groups with alternatives, and the repetitions `?`, `*`,
//! `+`, `{n}`, `{n,m}`; the open ones repeat at most [`OPEN_REPETITIONS`] times.

use std::iter::Peekable;
use std::str::Chars;

use rand::Rng;

/// How often `*` and `+` repeat at most.
const OPEN_REPETITIONS: usize = 8;
/// How often anything repeats at most.
const REPETITIONS_MAX: usize = 1000;
/// Groups nested deeper are refused.
const DEPTH_MAX: usize = 32;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// One of these characters.
    Class(Vec<(char, char)>),
    /// One after the other.
    Sequence(Vec<Pattern>),
    /// One of several.
    Either(Vec<Pattern>),
    /// The same again and again, between these numbers of times.
    Repeat(Box<Pattern>, usize, usize),
}

impl Pattern {
    /// Reads a regular expression; `None` for what is not known.
    pub fn parse(text: &str) -> Option<Pattern> {
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = text.strip_suffix('$').filter(|rest| !rest.ends_with('\\')).unwrap_or(text);
        let mut reader = Reader { chars: text.chars().peekable() };
        let pattern = reader.alternatives(0)?;
        reader.chars.next().is_none().then_some(pattern)
    }

    /// A text that matches.
    pub fn sample(&self, random: &mut impl Rng) -> String {
        let mut text = String::new();
        self.write(random, &mut text);
        text
    }

    fn write(&self, random: &mut impl Rng, text: &mut String) {
        match self {
            Pattern::Class(ranges) => {
                let size = |(first, last): &(char, char)| u32::from(*last) - u32::from(*first) + 1;
                let mut index = random.random_range(0..ranges.iter().map(size).sum());
                for range in ranges {
                    if index < size(range) {
                        text.extend(char::from_u32(u32::from(range.0) + index));
                        return;
                    }
                    index -= size(range);
                }
            }
            Pattern::Sequence(parts) => parts.iter().for_each(|part| part.write(random, text)),
            Pattern::Either(parts) => parts[random.random_range(0..parts.len())].write(random, text),
            Pattern::Repeat(part, least, most) => {
                for _ in 0..random.random_range(*least..=*most) {
                    part.write(random, text);
                }
            }
        }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn alternatives(&mut self, depth: usize) -> Option<Pattern> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut parts = vec![self.sequence(depth)?];
        while self.chars.next_if_eq(&'|').is_some() {
            parts.push(self.sequence(depth)?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Pattern::Either(parts) })
    }

    fn sequence(&mut self, depth: usize) -> Option<Pattern> {
        let mut parts = Vec::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, '|' | ')')) {
            let part = match c {
                '(' => {
                    let inner = self.alternatives(depth + 1)?;
                    self.chars.next_if_eq(&')')?;
                    inner
                }
                '[' => self.class()?,
                '\\' => Pattern::Class(escaped(self.chars.next()?)),
                '.' => Pattern::Class(vec![(' ', '~')]),
                '*' | '+' | '?' | '{' | '}' => return None,
                c => Pattern::Class(vec![(c, c)]),
            };
            parts.push(self.repeated(part)?);
        }
        Some(Pattern::Sequence(parts))
    }

    fn class(&mut self) -> Option<Pattern> {
        let mut ranges = Vec::new();
        if self.chars.peek() == Some(&'^') {
            return None;
        }
        loop {
            match self.chars.next()? {
                ']' => break,
                '\\' => ranges.extend(escaped(self.chars.next()?)),
                first => {
                    let mut ahead = self.chars.clone();
                    let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|last| last != ']');
                    let last = if is_range { self.chars.nth(1)? } else { first };
                    if last < first {
                        return None;
                    }
                    ranges.push((first, last));
                }
            }
        }
        (!ranges.is_empty()).then_some(Pattern::Class(ranges))
    }

    fn repeated(&mut self, part: Pattern) -> Option<Pattern> {
        let (least, most) = match self.chars.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, OPEN_REPETITIONS),
            Some('+') => (1, OPEN_REPETITIONS),
            Some('{') => {
                self.chars.next();
                let mut text = String::new();
                while let Some(c) = self.chars.next_if(|c| *c != '}') {
                    text.push(c);
                }
                let (least, most) = text.split_once(',').unwrap_or((&text, &text));
                let least: usize = least.trim().parse().ok()?;
                let most = if most.trim().is_empty() {
                    least.saturating_add(OPEN_REPETITIONS)
                } else {
                    most.trim().parse().ok()?
                };
                (least, most)
            }
            _ => return Some(part),
        };
        self.chars.next()?;
        (least <= most && most <= REPETITIONS_MAX).then(|| Pattern::Repeat(Box::new(part), least, most))
    }
}

fn escaped(c: char) -> Vec<(char, char)> {
    match c {
        'd' => vec![('0', '9')],
        'w' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
        's' => vec![(' ', ' ')],
        c => vec![(c, c)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match_their_expression() {
        let mut random = rand::rng();
        for text in ["User_[1-9]", "Page_[1-9][0-9]?", "(a|bc){2,3}x*", r"\d{3}-\w+\.[a-z_-]", "^[A-Z]{2}$", ""] {
            let pattern = Pattern::parse(text).unwrap();
            let expression = regex::Regex::new(&format!("^(?:{})$", text.trim_matches(['^', '$']))).unwrap();
            for _ in 0..50 {
                let sample = pattern.sample(&mut random);
                assert!(expression.is_match(&sample), "{text}: {sample}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_told() {
        for text in
            ["[^a]", "(a", "a)", "[z-a]", "*", "a{2", "a{3,2}", "a{18446744073709551615,}", "[]", &"(".repeat(1000)]
        {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
