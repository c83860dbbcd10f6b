//! `ssl.principal.mapping.rules`: from the name in a certificate to the name of a user (KIP-371).
//!
//! Rules are tried in order; the first whose pattern matches the whole name decides. `DEFAULT` takes the name as it is.

use regex::Regex;

/// The rules of one listener.
#[derive(Debug, Clone)]
pub(crate) struct PrincipalMapping {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    Default,
    Replace { pattern: Regex, replacement: String, case: Case },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl PrincipalMapping {
    /// Reads `RULE:pattern/replacement/[LU]` and `DEFAULT`, separated by commas.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn parse(text: &str) -> Result<PrincipalMapping, String> {
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (rule, after) = parse_rule(rest)?;
            rules.push(rule);
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(format!("a comma is missing before {after:?}")),
            };
        }
        if rules.is_empty() {
            rules.push(Rule::Default);
        }
        Ok(PrincipalMapping { rules })
    }

    /// The user's name; `None` when no rule fits.
    pub(crate) fn apply(&self, distinguished_name: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| rule.apply(distinguished_name))
    }
}

impl Rule {
    fn apply(&self, name: &str) -> Option<String> {
        match self {
            Rule::Default => Some(name.to_owned()),
            Rule::Replace { pattern, replacement, case } => {
                let captures = pattern.captures(name)?;
                let mut mapped = String::new();
                captures.expand(replacement, &mut mapped);
                Some(match case {
                    Case::Kept => mapped,
                    Case::Lower => mapped.to_lowercase(),
                    Case::Upper => mapped.to_uppercase(),
                })
            }
        }
    }
}

fn parse_rule(text: &str) -> Result<(Rule, &str), String> {
    if let Some(rest) = text.strip_prefix("DEFAULT") {
        return Ok((Rule::Default, rest));
    }
    let malformed = || format!("expected RULE:pattern/replacement/ with L or U behind it, or DEFAULT, found {text:?}");
    let rest = text.strip_prefix("RULE:").ok_or_else(malformed)?;
    let (pattern, rest) = up_to_slash(rest).ok_or_else(malformed)?;
    let (replacement, rest) = up_to_slash(rest).ok_or_else(malformed)?;
    let (case, rest) = match rest.chars().next() {
        Some('L') => (Case::Lower, &rest[1..]),
        Some('U') => (Case::Upper, &rest[1..]),
        _ => (Case::Kept, rest),
    };
    let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?;
    let replacement = with_braced_groups(replacement, pattern.captures_len());
    Ok((Rule::Replace { pattern, replacement, case }, rest))
}

/// Splits at the first slash that no backslash stands before.
fn up_to_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match character {
            '/' if !escaped => return Some((&text[..index], &text[index + 1..])),
            _ => escaped = character == '\\' && !escaped,
        }
    }
    None
}

/// Java's `$1x` is group 1 and an x; a regex here would look for a group called `1x`.
fn with_braced_groups(replacement: &str, groups: usize) -> String {
    let mut out = String::with_capacity(replacement.len() + 4);
    let mut characters = replacement.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            '$' if characters.peek().is_some_and(char::is_ascii_digit) => {
                let mut group = 0;
                let mut digits = 0;
                while let Some(digit) = characters.peek().and_then(|next| next.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    // As in Java, a further digit belongs to the group only if there is such a group.
                    if digits > 0 && longer >= groups {
                        break;
                    }
                    group = longer;
                    digits += 1;
                    characters.next();
                }
                out.push_str(&format!("${{{group}}}"));
            }
            '$' => out.push_str("$$"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(rules: &str, name: &str) -> Option<String> {
        PrincipalMapping::parse(rules).expect("readable rules").apply(name)
    }

    #[test]
    fn the_default_takes_the_name_as_it_is() {
        assert_eq!(mapped("DEFAULT", "CN=a,OU=b").as_deref(), Some("CN=a,OU=b"));
        assert_eq!(mapped("", "CN=a").as_deref(), Some("CN=a"));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT";
        assert_eq!(mapped(rules, "CN=kafka-1,OU=ServiceUsers,O=X").as_deref(), Some("kafka-1"));
        assert_eq!(mapped(rules, "CN=Admin,OU=IT,O=X,L=Y,ST=Z,C=DE").as_deref(), Some("admin@it"));
        assert_eq!(mapped(rules, "OU=X,cn=Some.One,O=Y").as_deref(), Some("some.one"));
        assert_eq!(mapped(rules, "UID=7").as_deref(), Some("UID=7"));
    }

    #[test]
    fn letters_behind_a_group_are_letters() {
        assert_eq!(mapped("RULE:^CN=(.*)$/$1x/U", "CN=ab").as_deref(), Some("ABX"));
        assert_eq!(mapped("RULE:^CN=(.*)$/$12/", "CN=ab").as_deref(), Some("ab2"));
    }

    #[test]
    fn a_pattern_must_match_the_whole_name() {
        assert_eq!(mapped("RULE:CN=a/x/", "CN=a,OU=b"), None);
    }

    #[test]
    fn malformed_rules_are_refused() {
        for rules in ["RULE:a/b", "RULE:(/x/", "NAME", "DEFAULT DEFAULT"] {
            assert!(PrincipalMapping::parse(rules).is_err(), "{rules}");
        }
    }
}
