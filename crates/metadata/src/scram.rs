//! SCRAM credentials as they are kept: what a server needs to verify a password, but not the password (RFC 5802, KIP-554).

use std::collections::BTreeMap;

/// A SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramMechanism {
    /// Fewest iterations that Kafka takes.
    pub const ITERATIONS_MIN: i32 = 4096;
    /// Most iterations that Kafka takes; more would let a client keep the server busy.
    pub const ITERATIONS_MAX: i32 = 16_384;
    /// Both mechanisms, in the order of the codes.
    pub const ALL: &'static [ScramMechanism] = &[ScramMechanism::Sha256, ScramMechanism::Sha512];

    /// The number on the wire.
    pub const fn code(self) -> i8 {
        match self {
            ScramMechanism::Sha256 => 1,
            ScramMechanism::Sha512 => 2,
        }
    }

    /// The mechanism with this number.
    pub const fn from_code(code: i8) -> Option<ScramMechanism> {
        match code {
            1 => Some(ScramMechanism::Sha256),
            2 => Some(ScramMechanism::Sha512),
            _ => None,
        }
    }

    /// The name in the SASL handshake.
    pub const fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism with this name.
    pub fn from_name(name: &str) -> Option<ScramMechanism> {
        ScramMechanism::ALL.iter().copied().find(|mechanism| mechanism.name() == name)
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Random bytes that went into the salted password.
    pub salt: Vec<u8>,
    /// `H(HMAC(SaltedPassword, "Client Key"))`
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`
    pub server_key: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: i32,
}

impl std::fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The keys let their holder pose as the server, so they stay out of logs.
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// The credentials of every user, by mechanism.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScramCredentials {
    users: BTreeMap<String, BTreeMap<ScramMechanism, ScramCredential>>,
}

impl ScramCredentials {
    /// The credential of `user` for `mechanism`.
    pub fn get(&self, user: &str, mechanism: ScramMechanism) -> Option<&ScramCredential> {
        self.users.get(user)?.get(&mechanism)
    }

    /// The credentials of `user`, by mechanism.
    pub fn of_user(&self, user: &str) -> Option<&BTreeMap<ScramMechanism, ScramCredential>> {
        self.users.get(user)
    }

    /// Every user with its credentials, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&String, &BTreeMap<ScramMechanism, ScramCredential>)> {
        self.users.iter()
    }

    pub(crate) fn insert(&mut self, user: String, mechanism: ScramMechanism, credential: ScramCredential) {
        self.users.entry(user).or_default().insert(mechanism, credential);
    }

    pub(crate) fn remove(&mut self, user: &str, mechanism: ScramMechanism) {
        if let Some(credentials) = self.users.get_mut(user) {
            credentials.remove(&mechanism);
            if credentials.is_empty() {
                self.users.remove(user);
            }
        }
    }
}
