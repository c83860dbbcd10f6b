//! Which clients a subscription to client metrics is meant for (KIP-714): `match`, a list of `selector=expression`.

use regex::Regex;

/// What a client is told apart by, in the spelling of the `match` configuration.
pub const SELECTORS: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The parsed `match` configuration. A client is meant when every expression matches the whole of its value.
#[derive(Debug, Clone, Default)]
pub struct ClientMatch {
    expressions: Vec<(&'static str, Regex)>,
}

impl ClientMatch {
    /// Reads the configuration.
    ///
    /// # Errors
    /// The pattern that is wrong, in Kafka's words.
    pub fn parse(text: &str) -> Result<ClientMatch, String> {
        let mut expressions = Vec::new();
        for pattern in crate::config_def::split_list(text) {
            let illegal = || format!("Illegal client matching pattern: {pattern}");
            let (selector, expression) = pattern.split_once('=').ok_or_else(illegal)?;
            if expression.contains('=') {
                return Err(illegal());
            }
            let selector = SELECTORS.iter().find(|known| **known == selector.trim()).ok_or_else(illegal)?;
            let regex = Regex::new(&format!("^(?:{})$", expression.trim())).map_err(|_| illegal())?;
            expressions.push((*selector, regex));
        }
        Ok(ClientMatch { expressions })
    }

    /// Whether a client is meant; `value_of` gives its value of a selector, or `None` when it has none.
    pub fn matches(&self, value_of: impl Fn(&str) -> Option<String>) -> bool {
        self.expressions
            .iter()
            .all(|(selector, expression)| value_of(selector).is_some_and(|value| expression.is_match(&value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_meant_when_every_expression_matches_the_whole_value() {
        let pattern = ClientMatch::parse("client_id=app-.*, client_software_name=librdkafka").expect("a pattern");
        let client = |id: &str, software: &str| {
            let (id, software) = (id.to_owned(), software.to_owned());
            pattern.matches(move |selector| match selector {
                "client_id" => Some(id.clone()),
                "client_software_name" => Some(software.clone()),
                _ => None,
            })
        };
        assert!(client("app-1", "librdkafka"));
        assert!(!client("an-app-1", "librdkafka"));
        assert!(!client("app-1", "librdkafka2"));
        assert!(ClientMatch::parse("").expect("empty").matches(|_| None));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["client_id", "shoe_size=4", "client_id=(", "client_id=a=b"] {
            assert_eq!(ClientMatch::parse(bad).err(), Some(format!("Illegal client matching pattern: {bad}")));
        }
    }
}
