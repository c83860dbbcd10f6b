//! The client's side of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677).

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Secret;
use crate::error::{Error, Result};

/// Fewer rounds than this are refused, as Kafka's own client does.
const ITERATIONS_MIN: u32 = 4096;
/// Random bytes in the client's nonce.
const NONCE_BYTES: usize = 24;
/// No channel binding, no other identity.
const GS2_HEADER: &str = "n,,";

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScramHash {
    Sha256,
    Sha512,
}

/// Who to be.
#[derive(Debug, Clone)]
pub(crate) struct ScramLogin {
    pub hash: ScramHash,
    pub username: String,
    pub password: Secret,
    /// The user is a delegation token's id, the password its HMAC (KIP-48).
    pub is_token: bool,
}

/// One exchange.
pub(crate) struct ScramExchange {
    login: ScramLogin,
    nonce: String,
    state: State,
}

enum State {
    First,
    Challenged,
    /// What the server must prove that it knows.
    Proven(Vec<u8>),
    Done,
}

impl ScramExchange {
    pub fn new(login: ScramLogin) -> Result<ScramExchange> {
        let mut bytes = [0; NONCE_BYTES];
        rand::fill(&mut bytes).map_err(|_| refused("no randomness"))?;
        Ok(ScramExchange { login, nonce: BASE64.encode(bytes), state: State::First })
    }

    /// The answer to the server's `token` (empty at first); `None` when the exchange is over.
    pub fn step(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>> {
        let message = std::str::from_utf8(token).map_err(|_| refused("a message is not text"))?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::First => {
                self.state = State::Challenged;
                Ok(Some(format!("{GS2_HEADER}{}", self.first_bare()).into_bytes()))
            }
            State::Challenged => {
                let (answer, server_signature) = self.prove(message)?;
                self.state = State::Proven(server_signature);
                Ok(Some(answer.into_bytes()))
            }
            State::Proven(expected) => {
                let signature = message.split(',').find_map(|part| part.strip_prefix("v="));
                let signature = signature.and_then(|text| BASE64.decode(text).ok());
                if signature.as_ref() != Some(&expected) {
                    return Err(refused("Invalid server signature in server final message"));
                }
                Ok(None)
            }
            State::Done => Ok(None),
        }
    }

    fn first_bare(&self) -> String {
        let name = self.login.username.replace('=', "=3D").replace(',', "=2C");
        let extension = if self.login.is_token { ",tokenauth=true" } else { "" };
        format!("n={name},r={}{extension}", self.nonce)
    }

    fn prove(&self, server_first: &str) -> Result<(String, Vec<u8>)> {
        let attribute = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = attribute("r=").filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len());
        let nonce = nonce.ok_or_else(|| refused("Invalid server nonce in server first message"))?;
        let salt = attribute("s=").and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.ok_or_else(|| refused("Invalid salt in server first message"))?;
        let iterations = attribute("i=").and_then(|count| count.parse().ok()).unwrap_or(0);
        let rounds = NonZeroU32::new(iterations).filter(|rounds| rounds.get() >= ITERATIONS_MIN);
        let rounds = rounds.ok_or_else(|| {
            refused(&format!("Requested iterations {iterations} is less than the minimum {ITERATIONS_MIN}"))
        })?;

        let hash = self.login.hash;
        let salted = hash.salted(self.login.password.reveal(), &salt, rounds);
        let client_key = hash.sign(&salted, b"Client Key");
        let stored_key = hash.digest(&client_key);
        let without_proof = format!("c={},r={nonce}", BASE64.encode(GS2_HEADER));
        let signed = format!("{},{server_first},{without_proof}", self.first_bare());
        let signature = hash.sign(&stored_key, signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        let server_key = hash.sign(&salted, b"Server Key");
        let answer = format!("{without_proof},p={}", BASE64.encode(proof));
        Ok((answer, hash.sign(&server_key, signed.as_bytes())))
    }
}

impl ScramHash {
    fn salted(self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            ScramHash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            ScramHash::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        };
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
        salted
    }

    fn sign(self, key: &[u8], bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            ScramHash::Sha256 => hmac::HMAC_SHA256,
            ScramHash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), bytes).as_ref().to_vec()
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            ScramHash::Sha256 => &digest::SHA256,
            ScramHash::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

fn refused(what: &str) -> Error {
    Error::Authentication { tls: false, message: format!("SASL/SCRAM: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn exchange(password: &str) -> ScramExchange {
        let login = ScramLogin {
            hash: ScramHash::Sha256,
            username: "user".to_owned(),
            password: Secret::new(password),
            is_token: false,
        };
        ScramExchange { login, nonce: "rOprNGfwEbeRWgbNEkqO".to_owned(), state: State::First }
    }

    #[test]
    fn the_exchange_of_rfc_7677_is_reproduced() {
        let mut exchange = exchange("pencil");
        assert_eq!(exchange.step(b"").unwrap().unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let answer = exchange.step(SERVER_FIRST.as_bytes()).unwrap().unwrap();
        assert!(answer.ends_with(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert!(exchange.step(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap().is_none());
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        let mut exchange = exchange("pencil");
        exchange.step(b"").unwrap();
        exchange.step(SERVER_FIRST.as_bytes()).unwrap();
        assert!(exchange.step(b"v=AAAA").is_err());
    }

    #[test]
    fn weak_or_foreign_challenges_are_refused() {
        for challenge in [
            "",
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            &SERVER_FIRST.replace("4096", "10"),
            "r=rOprNGfwEbeRWgbNEkqO,s=AA==,i=4096",
        ] {
            let mut exchange = exchange("pencil");
            exchange.step(b"").unwrap();
            assert!(exchange.step(challenge.as_bytes()).is_err(), "{challenge}");
        }
    }
}
