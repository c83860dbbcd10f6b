//! `sasl.jaas.config`: one login module with its options, as Java writes them.
//!
//! `org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="secret";`

use std::collections::BTreeMap;

use super::Secret;
use crate::error::{Error, Result};

/// A login module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoginModule {
    /// Its class.
    pub class: String,
    /// Its options.
    pub options: BTreeMap<String, Secret>,
}

impl LoginModule {
    /// Reads the value of `sasl.jaas.config`.
    ///
    /// # Errors
    /// [`Error::Config`] saying which part is malformed, without repeating it: it may hold a password.
    pub fn parse(text: &str) -> Result<LoginModule> {
        let mut words = tokens(text)?.into_iter();
        let Some(Token::Word(class)) = words.next() else {
            return Err(malformed("Login module not specified in JAAS config"));
        };
        match words.next() {
            Some(Token::Word(flag))
                if ["required", "requisite", "sufficient", "optional"]
                    .contains(&flag.to_ascii_lowercase().as_str()) => {}
            Some(_) => return Err(malformed("Invalid login module control flag in JAAS config")),
            None => return Err(malformed("Login module control flag not specified in JAAS config")),
        }
        let mut options = BTreeMap::new();
        loop {
            match words.next() {
                Some(Token::Sign(';')) => break,
                Some(Token::Word(key)) => match (words.next(), words.next()) {
                    (Some(Token::Sign('=')), Some(Token::Word(value))) => {
                        options.insert(key, Secret::new(value));
                    }
                    _ => return Err(malformed("Value not specified for an option in JAAS config")),
                },
                _ => return Err(malformed("JAAS config entry not terminated by semi-colon")),
            }
        }
        if words.next().is_some() {
            return Err(malformed("JAAS config property must contain exactly one login module"));
        }
        Ok(LoginModule { class, options })
    }

    /// An option's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(Secret::reveal)
    }
}

fn malformed(message: &str) -> Error {
    Error::Config(message.to_owned())
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            blank if blank.is_whitespace() => {}
            '=' | ';' => tokens.push(Token::Sign(character)),
            '"' | '\'' => tokens.push(Token::Word(quoted(&mut characters, character)?)),
            first => {
                let mut word = String::from(first);
                while let Some(next) =
                    characters.next_if(|next| !next.is_whitespace() && !matches!(next, '=' | ';' | '"'))
                {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Result<String> {
    let mut word = String::new();
    loop {
        match characters.next() {
            None => return Err(malformed("A quotation in JAAS config has no end")),
            Some(end) if end == quote => return Ok(word),
            Some('\\') => match characters.next() {
                Some('n') => word.push('\n'),
                Some('t') => word.push('\t'),
                Some(other) => word.push(other),
                None => return Err(malformed("A quotation in JAAS config has no end")),
            },
            Some(other) => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_be_quoted_escaped_and_on_several_lines() {
        let module = LoginModule::parse(
            "org.apache.kafka.common.security.plain.PlainLoginModule required\n  username=alice\n password=\"a\\\"b; c=\\\\\" ;",
        )
        .unwrap();
        assert!(module.class.ends_with("PlainLoginModule"));
        assert_eq!((module.get("username"), module.get("password")), (Some("alice"), Some("a\"b; c=\\")));
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        for text in [
            "",
            "Module",
            "Module needed;",
            "Module required password=\"hunter2\"",
            "Module required password=;",
            "Module required password=\"hunter2",
            "Module required a=b; Other required;",
        ] {
            let message = LoginModule::parse(text).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
