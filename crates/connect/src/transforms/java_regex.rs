//! Regular expressions and replacements as `java.util.regex` has them: look-around and back references included.

use fancy_regex::Regex;

use crate::data::DataError;

/// A regular expression that is applied to whole texts.
pub(crate) struct JavaRegex {
    whole: Regex,
    part: Regex,
}

/// What stands for a match: `$1`, `${name}`, text with `\` before what is not meant so.
pub(crate) struct Replacement(Vec<Part>);

enum Part {
    Text(String),
    Group(usize),
    Named(String),
}

impl JavaRegex {
    /// # Errors
    /// What is no regular expression.
    pub(crate) fn new(pattern: &str) -> Result<JavaRegex, DataError> {
        let compile =
            |pattern: &str| Regex::new(pattern).map_err(|error| DataError::new(format!("Invalid regex: {error}")));
        Ok(JavaRegex { whole: compile(&format!("^(?:{pattern})\\z"))?, part: compile(pattern)? })
    }

    /// Whether the whole text is of the pattern; an expression that takes too long is not.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text).unwrap_or(false)
    }

    /// The replacement as Java reads it for this expression.
    ///
    /// # Errors
    /// A group that the expression does not have.
    pub(crate) fn replacement(&self, text: &str) -> Result<Replacement, DataError> {
        let groups = self.part.captures_len().saturating_sub(1);
        let mut parts = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' => {
                    let next = rest.next().ok_or_else(|| DataError::new("character to be escaped is missing"))?;
                    push(&mut parts, next);
                }
                '$' if rest.next_if_eq(&'{').is_some() => {
                    let name: String = std::iter::from_fn(|| rest.next_if(|next| *next != '}')).collect();
                    if rest.next().is_none() {
                        return Err(DataError::new("named capturing group is missing trailing '}'"));
                    }
                    if !self.part.capture_names().flatten().any(|known| known == name) {
                        return Err(DataError::new(format!("No group with name {{{name}}}")));
                    }
                    parts.push(Part::Named(name));
                }
                '$' => {
                    let digit = rest.next().and_then(|next| next.to_digit(10));
                    let mut group = digit.ok_or_else(|| DataError::new("Illegal group reference"))? as usize;
                    if group > groups {
                        return Err(DataError::new(format!("No group {group}")));
                    }
                    // More digits belong to the number as long as there is such a group.
                    while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
                        let longer = group * 10 + digit as usize;
                        if longer > groups {
                            break;
                        }
                        group = longer;
                        rest.next();
                    }
                    parts.push(Part::Group(group));
                }
                character => push(&mut parts, character),
            }
        }
        Ok(Replacement(parts))
    }

    /// The text with its first match replaced.
    pub(crate) fn replace_first(&self, text: &str, replacement: &Replacement) -> String {
        let Ok(Some(captures)) = self.part.captures(text) else { return text.to_owned() };
        let Some(found) = captures.get(0) else { return text.to_owned() };
        let mut replaced = text[..found.start()].to_owned();
        for part in &replacement.0 {
            match part {
                Part::Text(text) => replaced.push_str(text),
                Part::Group(group) => replaced.push_str(captures.get(*group).map_or("", |group| group.as_str())),
                Part::Named(name) => replaced.push_str(captures.name(name).map_or("", |group| group.as_str())),
            }
        }
        replaced.push_str(&text[found.end()..]);
        replaced
    }
}

fn push(parts: &mut Vec<Part>, character: char) {
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push(character),
        _ => parts.push(Part::Text(character.to_string())),
    }
}
