//! Names of subjects: a context and a name, written `:.context:name`; without the prefix in the default context.

use std::fmt;

/// The context of names without a prefix.
pub const DEFAULT_CONTEXT: &str = ".";
/// Holds configuration and mode above those of the default context; no subjects.
pub const GLOBAL_CONTEXT: &str = ".__GLOBAL";
/// In prefixes of listings: every context.
pub const ALL_CONTEXTS: &str = ":*:";

/// Names that nobody may register.
const RESERVED: [&str; 2] = ["__GLOBAL", "__EMPTY"];

/// A subject with its context.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    context: String,
    name: String,
}

impl Subject {
    /// Reads a name as requests and records spell it. Every text is one; see [`Subject::is_valid`].
    pub fn parse(text: &str) -> Subject {
        Subject::parse_in(DEFAULT_CONTEXT, text)
    }

    /// As [`Subject::parse`]; a name without prefix belongs to `context`.
    pub fn parse_in(context: &str, text: &str) -> Subject {
        match text.strip_prefix(':').filter(|rest| rest.starts_with('.')) {
            Some(rest) => {
                let (context, name) = rest.split_once(':').unwrap_or((rest, ""));
                Subject { context: context.to_owned(), name: name.to_owned() }
            }
            None => Subject { context: context.to_owned(), name: text.to_owned() },
        }
    }

    /// The context, beginning with a dot.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The name without context; empty when the context itself is meant.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it stands for a whole context: the place of a context's configuration.
    pub fn is_context(&self) -> bool {
        self.name.is_empty()
    }

    /// The key under which the subject's context has its own configuration and mode; `None` is the default context,
    /// whose configuration is the global one.
    pub fn context_key(&self) -> Option<String> {
        (self.context != DEFAULT_CONTEXT).then(|| context_key(&self.context))
    }

    /// Whether schemas can be registered under it.
    pub fn is_valid(&self) -> bool {
        !self.name.is_empty()
            && !RESERVED.contains(&self.name.as_str())
            && !self.name.chars().any(char::is_control)
            && is_valid_context(&self.context)
            && self.context != GLOBAL_CONTEXT
    }

    /// Whether configuration and mode can be set on it: a subject or a context.
    pub fn is_valid_scope(&self) -> bool {
        self.is_valid() || (self.is_context() && is_valid_context(&self.context))
    }
}

impl fmt::Display for Subject {
    /// The qualified name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.context == DEFAULT_CONTEXT {
            f.write_str(&self.name)
        } else {
            write!(f, ":{}:{}", self.context, self.name)
        }
    }
}

/// `:.context:`.
pub fn context_key(context: &str) -> String {
    format!(":{context}:")
}

/// A context's name as paths spell it (`.ctx`, `ctx`, `:.ctx:`), with its dot in front.
pub fn context_of_path(segment: &str) -> String {
    let bare = segment.strip_prefix(':').unwrap_or(segment);
    let bare = bare.strip_suffix(':').unwrap_or(bare);
    if bare.starts_with('.') { bare.to_owned() } else { format!(".{bare}") }
}

fn is_valid_context(context: &str) -> bool {
    let bare = context.strip_prefix('.').unwrap_or(context);
    let reserved = RESERVED.contains(&bare) && context != GLOBAL_CONTEXT;
    context.starts_with('.') && !reserved && !context.chars().any(|c| c.is_control() || c == ':')
}

/// Which subjects a listing is about: a prefix as `subjectPrefix` spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectPrefix {
    /// `None`: every context.
    context: Option<String>,
    name: String,
}

impl SubjectPrefix {
    /// Reads the prefix; without a context it means the default one.
    pub fn parse(text: &str) -> SubjectPrefix {
        match text.strip_prefix(ALL_CONTEXTS) {
            Some(name) => SubjectPrefix { context: None, name: name.to_owned() },
            None => {
                let subject = Subject::parse(text);
                SubjectPrefix { context: Some(subject.context), name: subject.name }
            }
        }
    }

    /// Whether `subject` is meant.
    pub fn matches(&self, subject: &Subject) -> bool {
        self.context.as_ref().is_none_or(|context| *context == subject.context) && subject.name.starts_with(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_qualified_by_a_prefix() {
        let subject = Subject::parse(":.ctx:a:b");
        assert_eq!((subject.context(), subject.name()), (".ctx", "a:b"));
        assert_eq!(subject.to_string(), ":.ctx:a:b");
        assert_eq!(Subject::parse(":.:plain").to_string(), "plain");
        assert_eq!(Subject::parse_in(".ctx", "plain").to_string(), ":.ctx:plain");
        assert_eq!(Subject::parse_in(".ctx", ":.other:plain").context(), ".other");
        assert_eq!(Subject::parse(":odd").name(), ":odd");
        assert!(Subject::parse(":.ctx:").is_context() && Subject::parse(":.ctx").is_context());
        assert_eq!(Subject::parse(":.ctx:a").context_key().as_deref(), Some(":.ctx:"));
        assert_eq!(Subject::parse("a").context_key(), None);
    }

    #[test]
    fn reserved_and_unprintable_names_are_not_valid() {
        for valid in ["a", "a/b", "ä b", ":.ctx:a", ":odd", "__x"] {
            assert!(Subject::parse(valid).is_valid(), "{valid}");
        }
        for invalid in ["", "__GLOBAL", "__EMPTY", "a\nb", "\u{7f}", ":.ctx:", ":.__GLOBAL:a", ":.c\tx:a"] {
            assert!(!Subject::parse(invalid).is_valid(), "{invalid:?}");
        }
        assert!(Subject::parse(":.__GLOBAL:").is_valid_scope() && Subject::parse(":.ctx:").is_valid_scope());
        assert!(!Subject::parse("__GLOBAL").is_valid_scope());
    }

    #[test]
    fn prefixes_mean_one_context_or_all() {
        let (plain, other) = (Subject::parse("orders"), Subject::parse(":.ctx:orders"));
        let matches =
            |prefix: &str| (SubjectPrefix::parse(prefix).matches(&plain), SubjectPrefix::parse(prefix).matches(&other));
        assert_eq!(matches(":*:"), (true, true));
        assert_eq!(matches(":*:ord"), (true, true));
        assert_eq!(matches(""), (true, false));
        assert_eq!(matches("x"), (false, false));
        assert_eq!(matches(":.ctx:"), (false, true));
        assert_eq!(matches(":.ctx:or"), (false, true));
    }

    #[test]
    fn contexts_in_paths_have_several_spellings() {
        for spelling in [".ctx", "ctx", ":.ctx:"] {
            assert_eq!(context_of_path(spelling), ".ctx");
        }
        assert_eq!(context_of_path("."), ".");
    }
}
