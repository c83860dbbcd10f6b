//! Regular expressions as `java.util.regex` reads them, in the syntax of the crate that runs them.
//!
//! Classes such as `\w` and `\d` are ASCII, `.` stops at every end of a line, `$` also stands before the last one, letters
//! behind a backslash mean something or are refused.

use std::iter::Peekable;
use std::str::Chars;

/// What `.` does not match, and what `$` may stand before.
const LINE_ENDS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

/// How deep classes may nest: each level takes some of the stack, and patterns come from anybody.
const CLASS_DEPTH_MAX: usize = 100;

/// The pattern in the other syntax. `ends_line` says whether texts end with the end of a line, before which `$` stands.
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn translate(pattern: &str, ends_line: bool) -> Result<String, String> {
    let translator = Translator {
        rest: pattern.chars().peekable(),
        output: String::with_capacity(pattern.len() + 16),
        flags: Flags::default(),
        around: Vec::new(),
        ends_line,
    };
    translator.run()
}

/// Whether a text ends with the end of a line.
pub(super) fn ends_line(text: &str) -> bool {
    text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// The flags that change what single characters mean.
#[derive(Clone, Copy, Default)]
struct Flags {
    dot_all: bool,
    unix_lines: bool,
    multiline: bool,
    unicode: bool,
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    output: String,
    flags: Flags,
    /// The flags outside of each group that is open.
    around: Vec<Flags>,
    ends_line: bool,
}

impl Translator<'_> {
    fn run(mut self) -> Result<String, String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class(1)?,
                '(' => self.group(),
                ')' => {
                    self.output.push(')');
                    self.flags = self.around.pop().unwrap_or(self.flags);
                }
                '.' => self.dot(),
                '^' if self.flags.multiline => self.start_of_line(),
                '$' if self.flags.multiline => self.end_of_line(),
                '$' => self.end_of_text(),
                '{' => self.repetition()?,
                c => self.output.push(c),
            }
        }
        Ok(self.output)
    }

    fn dot(&mut self) {
        match self.flags {
            Flags { dot_all: true, .. } => self.output.push('.'),
            Flags { unix_lines: true, .. } => self.output.push_str(r"[^\n]"),
            _ => self.output.extend(["[^", LINE_ENDS, "]"]),
        }
    }

    /// A line starts behind the end of another, but not where the text ends, be it empty.
    fn start_of_line(&mut self) {
        self.output.push_str(match self.flags.unix_lines {
            true => r"(?:(?:\A|(?<=\n))(?!\z))",
            // Not between the two characters of one end.
            false => r"(?:(?:\A|(?<=[\n\x{85}\x{2028}\x{2029}])|(?<=\r)(?!\n))(?!\z))",
        });
    }

    fn end_of_line(&mut self) {
        self.output.push_str(match self.flags.unix_lines {
            true => r"(?:\z|(?=\n))",
            false => r"(?:\z|(?=[\r\x{85}\x{2028}\x{2029}])|(?<!\r)(?=\n))",
        });
    }

    fn end_of_text(&mut self) {
        match (self.ends_line, self.flags.unix_lines) {
            (false, _) => self.output.push_str(r"\z"),
            (true, true) => self.output.push_str(r"(?=\n?\z)"),
            // Not between the two characters of one end.
            (true, false) => {
                self.output.push_str(r"(?:\z|(?=(?:\r\n|[\r\x{85}\x{2028}\x{2029}])\z)|(?<!\r)(?=\n\z))");
            }
        }
    }

    /// What follows `(`: flags are read, everything else is as it is.
    fn group(&mut self) {
        self.around.push(self.flags);
        self.output.push('(');
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('?') || !ahead.peek().is_some_and(|c| c.is_ascii_alphabetic() || *c == '-') {
            return;
        }
        self.rest.next();
        let (mut on, mut kept) = (true, String::new());
        let mut closed = false;
        for flag in self.rest.by_ref() {
            match flag {
                '-' => on = false,
                's' => self.flags.dot_all = on,
                'd' => self.flags.unix_lines = on,
                'm' => self.flags.multiline = on,
                'U' => self.flags.unicode = on,
                ')' | ':' => {
                    closed = flag == ')';
                    break;
                }
                _ => {}
            }
            if !matches!(flag, 'd' | 'm' | 'u' | 'U') {
                kept.push(flag);
            }
        }
        let kept = kept.trim_end_matches('-');
        if !closed {
            self.output.extend(["?", kept, ":"]);
            return;
        }
        // Flags for what follows in the group around.
        self.around.pop();
        match kept {
            "" => self.output.push_str("?:)"),
            kept => self.output.extend(["?", kept, ")"]),
        }
    }

    /// A `{` counts; it never stands for itself.
    fn repetition(&mut self) -> Result<(), String> {
        let count: String = self.rest.clone().take_while(|c| *c != '}').collect();
        let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        let (min, max) = count.split_once(',').unwrap_or((&count, ""));
        if min.is_empty() || !digits(min) || !digits(max) || self.rest.clone().nth(count.len()) != Some('}') {
            return Err("Illegal repetition".to_owned());
        }
        self.output.push('{');
        Ok(())
    }

    /// What follows the `[` of so many that are open, up to its `]`.
    fn class(&mut self, depth: usize) -> Result<(), String> {
        if depth > CLASS_DEPTH_MAX {
            return Err("Character classes are nested too deeply".to_owned());
        }
        self.output.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.output.push('^');
        }
        let mut first = true;
        while let Some(c) = self.rest.next() {
            match c {
                ']' if !first => {
                    self.output.push(']');
                    return Ok(());
                }
                '[' => self.class(depth + 1)?,
                '\\' => self.escape(true)?,
                // What means nothing in a class, but would in the other syntax.
                ']' | '~' => self.literal(c),
                // `[:` would begin the name of a class in the other syntax.
                ':' if first && self.rest.peek() != Some(&'-') => self.output.push_str(":-:"),
                '-' if self.rest.peek() == Some(&'-') => self.literal(c),
                c => self.output.push(c),
            }
            first = false;
        }
        Err("Unclosed character class".to_owned())
    }

    /// What follows a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.rest.next().ok_or("Unexpected internal error: a backslash ends the pattern")?;
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => self.predefined(c),
            'h' => self.output.push_str(r"[\x20\t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"),
            'H' => self.output.push_str(r"[^\x20\t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"),
            'v' => self.output.extend(["[", LINE_ENDS, r"\x0B\f]"]),
            'V' => self.output.extend(["[^", LINE_ENDS, r"\x0B\f]"]),
            'p' | 'P' => self.property(c == 'P')?,
            'Q' => self.quotation(),
            't' | 'n' | 'r' | 'f' | 'a' => self.output.extend(['\\', c]),
            'e' => self.literal('\u{1B}'),
            'c' | '0' | 'x' | 'u' => {
                let literal = self.code_point(c).ok_or("Illegal escape of a character")?;
                self.literal(literal);
            }
            'b' | 'B' | 'A' | 'G' | 'z' | 'k' | '1'..='9' if !in_class => self.output.extend(['\\', c]),
            'Z' if !in_class => self.end_of_text(),
            'R' if !in_class => self.output.extend([r"(?:\r\n|[", LINE_ENDS, r"\x0B\f])"]),
            c if c.is_ascii_alphanumeric() => return Err("Illegal/unsupported escape sequence".to_owned()),
            c => self.literal(c),
        }
        Ok(())
    }

    /// The character itself, whatever it means elsewhere.
    fn literal(&mut self, c: char) {
        if c.is_alphanumeric() {
            self.output.push(c);
        } else {
            self.output.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
        }
    }

    fn predefined(&mut self, letter: char) {
        if self.flags.unicode {
            self.output.extend(['\\', letter]);
            return;
        }
        let members = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            'w' => "a-zA-Z0-9_",
            _ => r"\x20\t\n\x0B\f\r",
        };
        self.set(letter.is_ascii_uppercase(), members);
    }

    fn set(&mut self, negated: bool, members: &str) {
        self.output.extend(["[", if negated { "^" } else { "" }, members, "]"]);
    }

    /// `\p{Alpha}`, `\p{IsLatin}`, `\pL`.
    fn property(&mut self, negated: bool) -> Result<(), String> {
        let name: String = match self.rest.next() {
            Some('{') => {
                let name: String = self.rest.by_ref().take_while(|c| *c != '}').collect();
                name
            }
            Some(letter) => letter.to_string(),
            None => String::new(),
        };
        if name.is_empty() {
            return Err("Empty character family".to_owned());
        }
        if let Some(members) = ascii_class(&name) {
            self.set(negated, members);
            return Ok(());
        }
        let property = match name.as_str() {
            "javaLowerCase" => "Lowercase",
            "javaUpperCase" => "Uppercase",
            "javaAlphabetic" => "Alphabetic",
            "javaLetter" => "L",
            "javaDigit" => "Nd",
            "javaWhitespace" | "IsWhite_Space" | "IsWhiteSpace" => "White_Space",
            "L1" => r"\x{0}-\x{FF}",
            name => name.strip_prefix("Is").unwrap_or(name),
        };
        if property.starts_with('\\') {
            self.set(negated, property);
        } else {
            self.output.extend([if negated { r"\P{" } else { r"\p{" }, property, "}"]);
        }
        Ok(())
    }

    /// The text up to `\E`.
    fn quotation(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// The character of `\cA`, `\012`, `\x41`, `\x{1F600}`, `\u00e9`.
    fn code_point(&mut self, letter: char) -> Option<char> {
        match letter {
            'c' => char::from_u32(u32::from(self.rest.next()?) ^ 64),
            '0' => {
                let mut number = self.rest.next()?.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else { break };
                    if number * 8 + digit > 0o377 {
                        break;
                    }
                    number = number * 8 + digit;
                    self.rest.next();
                }
                char::from_u32(number)
            }
            'x' if self.rest.next_if_eq(&'{').is_some() => {
                let digits: String = self.rest.by_ref().take_while(|c| *c != '}').collect();
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
            }
            'x' => char::from_u32(self.digits(2)?),
            _ => {
                let unit = self.digits(4)?;
                if !(0xD800..0xDC00).contains(&unit) {
                    return char::from_u32(unit);
                }
                let low = (self.rest.next()? == '\\' && self.rest.next()? == 'u').then(|| self.digits(4))??;
                char::decode_utf16([unit as u16, low as u16]).next()?.ok()
            }
        }
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some(number * 16 + self.rest.next()?.to_digit(16)?))
    }
}

/// The members of the classes that have ASCII characters alone.
fn ascii_class(name: &str) -> Option<&'static str> {
    Some(match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => r"!-/:-@\[-`\{-\x7E",
        "Graph" => r"!-\x7E",
        "Print" => r"\x20-\x7E",
        "Blank" => r"\x20\t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => r"\x20\t\n\x0B\f\r",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pattern is found in a text.
    fn finds(pattern: &str, text: &str) -> bool {
        fancy_regex::Regex::new(&translate(pattern, ends_line(text)).unwrap()).unwrap().is_match(text).unwrap()
    }

    #[test]
    fn classes_nest_so_deep_and_no_deeper() {
        let nested = |depth: usize| translate(&("[".repeat(depth) + "a" + &"]".repeat(depth)), false);
        assert!(nested(CLASS_DEPTH_MAX).is_ok());
        assert!(nested(CLASS_DEPTH_MAX + 1).is_err());
        assert!(translate(&"[".repeat(100_000), false).is_err());
    }

    #[test]
    fn colons_in_classes_stand_for_themselves_and_end_ranges() {
        for (pattern, inside, outside) in [
            ("[!-/:-@]", "!/:;@", "09A"),
            ("[0-:]", "0:", "/;-"),
            ("[:a:]", ":a", "-b"),
            ("[:-@]", ":@", "9A-"),
            ("[^:a]", "b-", ":a"),
            ("[[:]a]", ":a", "["),
        ] {
            assert!(inside.chars().all(|c| finds(pattern, &c.to_string())), "{pattern}");
            assert!(!outside.chars().any(|c| finds(pattern, &c.to_string())), "{pattern}");
        }
    }

    /// Where a pattern is found in a text.
    fn places(pattern: &str, text: &str) -> Vec<usize> {
        let regex = fancy_regex::Regex::new(&translate(pattern, ends_line(text)).unwrap()).unwrap();
        regex.find_iter(text).map(|found| found.unwrap().start()).collect()
    }

    #[test]
    fn lines_start_and_end_at_every_end_of_a_line() {
        let text = "a\r\nb\rc\nd\u{2028}";
        assert_eq!(places("(?m)^", text), [0, 3, 5, 7]);
        assert_eq!(places("(?m)$", text), [1, 4, 6, 8, 11]);
        assert_eq!(places("(?md)^", text), [0, 3, 7]);
        assert_eq!(places("(?md)$", text), [2, 6, 11]);
        assert_eq!(places("^", text), [0]);
        assert_eq!(places("(?m:^b)|(?m:c$)|^d", text), [3, 5]);
        assert!(places("(?m)^", "").is_empty());
        assert_eq!(places("(?m)$", ""), [0]);
        assert_eq!(places("(?m)^[$^]", "$"), [0]);
    }
}
