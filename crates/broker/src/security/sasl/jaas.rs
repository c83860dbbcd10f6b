//! JAAS entries, as far as brokers use them: `LoginModule required key="value" ... ;`.
//!
//! They come from `listener.name.<listener>.<mechanism>.sasl.jaas.config`, or from the section `<listener>.KafkaServer` or
//! `KafkaServer` of the file that `-Djava.security.auth.login.config` in `KAFKA_OPTS` names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::security::settings::ListenerSettings;

/// The options of one login module.
pub(super) type Options = BTreeMap<String, String>;

/// The options of the module for `mechanism` on the listener; `module` is the end of the class name.
///
/// # Errors
/// Why there are none, in words that hold no secret.
pub(super) fn options(
    settings: &ListenerSettings,
    listener: &str,
    mechanism: &str,
    module: &str,
) -> Result<Options, String> {
    if let Some(text) = settings.only_for_mechanism(mechanism, "sasl.jaas.config") {
        let entries = Tokens::new(text).entries().map_err(str::to_owned)?;
        return match <[Entry; 1]>::try_from(entries) {
            Ok([entry]) if entry.class.ends_with(module) => Ok(entry.options),
            Ok([entry]) => Err(format!("sasl.jaas.config names {}, expected {module}", entry.class)),
            Err(_) => Err("sasl.jaas.config must have exactly one login module".to_owned()),
        };
    }
    let missing = || {
        format!(
            "no JAAS configuration; set listener.name.{}.{}.sasl.jaas.config",
            listener.to_lowercase(),
            mechanism.to_lowercase()
        )
    };
    let Some(path) = file_of_java() else { return Err(missing()) };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let sections = Tokens::new(&text).sections().map_err(|error| format!("{}: {error}", path.display()))?;
    let own = format!("{}.KafkaServer", listener.to_lowercase());
    let found = [own.as_str(), "KafkaServer"].into_iter().find_map(|name| {
        let (_, entries) = sections.iter().find(|(section, _)| section == name)?;
        entries.iter().find(|entry| entry.class.ends_with(module))
    });
    found.map(|entry| entry.options.clone()).ok_or_else(missing)
}

fn file_of_java() -> Option<PathBuf> {
    let options = std::env::var("KAFKA_OPTS").ok()?;
    let file =
        options.split_whitespace().find_map(|option| option.strip_prefix("-Djava.security.auth.login.config="))?;
    Some(PathBuf::from(file.trim_start_matches("file:")))
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    class: String,
    options: Options,
}

/// Cuts a text into words, quoted strings and the signs `= ; { }`.
struct Tokens<'a> {
    rest: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(char),
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Tokens<'a> {
        Tokens { rest: text }
    }

    fn entries(mut self) -> Result<Vec<Entry>, &'static str> {
        let mut entries = Vec::new();
        while let Some(token) = self.next()? {
            entries.push(self.entry(token)?);
        }
        Ok(entries)
    }

    fn sections(mut self) -> Result<Vec<(String, Vec<Entry>)>, &'static str> {
        let mut sections = Vec::new();
        while let Some(token) = self.next()? {
            let (Token::Word(name), Some(Token::Sign('{'))) = (token, self.next()?) else {
                return Err("expected a section like KafkaServer { ... };");
            };
            let mut entries = Vec::new();
            loop {
                match self.next()? {
                    Some(Token::Sign('}')) => break,
                    Some(token) => entries.push(self.entry(token)?),
                    None => return Err("a section has no end"),
                }
            }
            if self.next()? != Some(Token::Sign(';')) {
                return Err("a semicolon is missing behind a section");
            }
            sections.push((name, entries));
        }
        Ok(sections)
    }

    fn entry(&mut self, first: Token) -> Result<Entry, &'static str> {
        let Token::Word(class) = first else { return Err("expected the class of a login module") };
        let Some(Token::Word(flag)) = self.next()? else { return Err("expected required behind the login module") };
        if !["required", "requisite", "sufficient", "optional"].iter().any(|known| flag.eq_ignore_ascii_case(known)) {
            return Err("expected required behind the login module");
        }
        let mut options = Options::new();
        loop {
            match self.next()? {
                Some(Token::Sign(';')) => return Ok(Entry { class, options }),
                Some(Token::Word(key)) => {
                    let (Some(Token::Sign('=')), Some(Token::Word(value))) = (self.next()?, self.next()?) else {
                        return Err("expected key=\"value\"");
                    };
                    options.insert(key, value);
                }
                _ => return Err("a login module must end with a semicolon"),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Token>, &'static str> {
        self.skip_blanks();
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        if matches!(first, '=' | ';' | '{' | '}') {
            self.rest = &self.rest[1..];
            return Ok(Some(Token::Sign(first)));
        }
        if first == '"' || first == '\'' {
            return self.quoted(first).map(Some);
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || matches!(c, '=' | ';' | '{' | '}' | '"'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(Token::Word(word.to_owned())))
    }

    fn quoted(&mut self, quote: char) -> Result<Token, &'static str> {
        let mut text = String::new();
        let mut characters = self.rest[1..].char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => text.extend(characters.next().map(|(_, escaped)| match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                })),
                end if end == quote => {
                    self.rest = &self.rest[index + 2..];
                    return Ok(Token::Word(text));
                }
                other => text.push(other),
            }
        }
        Err("a quoted value has no end")
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_with_quotes_and_without() {
        let text = r#"org.apache.kafka.common.security.plain.PlainLoginModule required
            user_alice="al;ice\"s" user_bob=secret;"#;
        let entries = Tokens::new(text).entries().expect("readable");
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].options["user_alice"], "al;ice\"s");
        assert_eq!(entries[0].options["user_bob"], "secret");
    }

    #[test]
    fn a_file_has_sections_and_comments() {
        let text = "// broker\nKafkaServer { /* both */ a.PlainLoginModule required user_a=\"1\"; b.ScramLoginModule required; };\nClient { c.X optional; };";
        let sections = Tokens::new(text).sections().expect("readable");
        let names: Vec<_> = sections.iter().map(|(name, entries)| (name.as_str(), entries.len())).collect();
        assert_eq!(names, [("KafkaServer", 2), ("Client", 1)]);
    }

    #[test]
    fn broken_entries_are_refused() {
        for text in ["x required a=b", "x required a;", "x \"", "x maybe;", "= ;"] {
            assert!(Tokens::new(text).entries().is_err(), "{text}");
        }
    }
}
