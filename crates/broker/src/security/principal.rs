//! What a connection has been authenticated as.

use std::fmt;
use std::sync::Arc;

/// The kind of principal that Kafka knows.
const USER: &str = "User";
const ANONYMOUS: &str = "ANONYMOUS";

/// Somebody that rules can be made for, written `User:alice`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The part before the colon, `User` unless something else made the principal.
    pub kind: Arc<str>,
    /// The part behind the colon.
    pub name: Arc<str>,
    /// Whether it was authenticated by a delegation token, which must not make further tokens (KIP-48).
    pub token_authenticated: bool,
}

impl Principal {
    /// The user `name`.
    pub fn user(name: impl Into<Arc<str>>) -> Principal {
        Principal { kind: Arc::from(USER), name: name.into(), token_authenticated: false }
    }

    /// Whoever has not been authenticated: `User:ANONYMOUS`.
    pub fn anonymous() -> Principal {
        Principal::user(ANONYMOUS)
    }

    /// Reads `kind:name`; the name may contain colons. `None` when one of them is missing.
    pub fn parse(text: &str) -> Option<Principal> {
        let (kind, name) = text.split_once(':').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())?;
        Some(Principal { kind: Arc::from(kind), name: Arc::from(name), token_authenticated: false })
    }

    /// Whether this is `User:ANONYMOUS`.
    pub fn is_anonymous(&self) -> bool {
        &*self.kind == USER && &*self.name == ANONYMOUS
    }

    /// Whether both are the same person, however each was authenticated.
    pub fn is_same(&self, other: &Principal) -> bool {
        self.kind == other.kind && self.name == other.name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}
