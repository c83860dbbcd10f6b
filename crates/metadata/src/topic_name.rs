//! Which names a topic may have.

/// Most characters of a name: a directory `<topic>-<partition>` must fit a file name.
pub const MAX_LENGTH: usize = 249;

/// Topics that the platform keeps for itself; clients see them flagged as internal.
pub const INTERNAL_TOPICS: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// A name that no topic may have. The text is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// No character at all.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// `.` or `..`, which mean something else to a file system.
    #[error("Topic name is invalid: '.' or '..' is not allowed")]
    Dots,
    /// More than [`MAX_LENGTH`] characters.
    #[error("Topic name is invalid: the length of '{0}' is longer than the max allowed length {MAX_LENGTH}")]
    TooLong(String),
    /// Something else than ASCII letters, digits, `.`, `_` and `-`.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters(String),
}

/// Checks a name.
///
/// # Errors
/// [`InvalidTopicName`] says which rule it breaks.
pub fn validate(name: &str) -> Result<(), InvalidTopicName> {
    if name.is_empty() {
        return Err(InvalidTopicName::Empty);
    }
    if matches!(name, "." | "..") {
        return Err(InvalidTopicName::Dots);
    }
    if name.len() > MAX_LENGTH {
        return Err(InvalidTopicName::TooLong(name.to_owned()));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return Err(InvalidTopicName::Characters(name.to_owned()));
    }
    Ok(())
}

/// Whether `name` is one of [`INTERNAL_TOPICS`].
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// The name as metrics spell it: two topics of one form collide.
pub fn collision_form(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_kafka() {
        for name in ["a", "quickstart-events", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "ä", "a/b", "a:b", &"x".repeat(250)] {
            assert!(validate(name).is_err(), "{name}");
        }
        assert_eq!(
            validate("a*").map_err(|error| error.to_string()),
            Err("Topic name is invalid: 'a*' contains one or more characters other than ASCII alphanumerics, '.', '_' and \
                 '-'"
            .to_owned())
        );
    }
}
