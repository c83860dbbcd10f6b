//! SCRAM credentials as they are kept: what a server needs to verify a password, but not the password (RFC 5802, KIP-554).

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};

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

impl ScramCredential {
    /// What is kept of a password that a client has salted already (PBKDF2 with `salt` and `iterations`).
    pub fn of_salted_password(
        mechanism: ScramMechanism,
        salt: Vec<u8>,
        salted_password: &[u8],
        iterations: i32,
    ) -> ScramCredential {
        let (algorithm, hash) = match mechanism {
            ScramMechanism::Sha256 => (hmac::HMAC_SHA256, &digest::SHA256),
            ScramMechanism::Sha512 => (hmac::HMAC_SHA512, &digest::SHA512),
        };
        let key = hmac::Key::new(algorithm, salted_password);
        let client_key = hmac::sign(&key, b"Client Key");
        ScramCredential {
            salt,
            stored_key: digest::digest(hash, client_key.as_ref()).as_ref().to_vec(),
            server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
            iterations,
        }
    }

    /// What is kept of a password. Takes as long as `iterations` says.
    pub fn of_password(mechanism: ScramMechanism, salt: Vec<u8>, password: &str, iterations: i32) -> ScramCredential {
        let salted = ScramCredential::salted_password(mechanism, &salt, password, iterations);
        ScramCredential::of_salted_password(mechanism, salt, &salted, iterations)
    }

    /// PBKDF2 of a password; fewer than 1 iterations count as 1.
    pub fn salted_password(mechanism: ScramMechanism, salt: &[u8], password: &str, iterations: i32) -> Vec<u8> {
        let (algorithm, length) = match mechanism {
            ScramMechanism::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
            ScramMechanism::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        };
        let rounds = u32::try_from(iterations).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
        salted
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677: user `user` with password `pencil`.
    #[test]
    fn keys_follow_from_the_password_as_in_rfc_7677() {
        use base64::Engine as _;
        let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        let salt = decode("W22ZaJ0SNY7soEsUEjb6gQ==");
        let credential = ScramCredential::of_password(ScramMechanism::Sha256, salt, "pencil", 4096);
        assert_eq!(credential.server_key, decode("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="));
        assert_eq!(credential.stored_key, decode("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="));
        let other = ScramCredential::of_password(ScramMechanism::Sha512, vec![1], "pencil", 4096);
        assert_eq!((other.stored_key.len(), other.server_key.len()), (64, 64));
    }
}
