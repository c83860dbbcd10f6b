//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677): the server learns that the client knows the password, and proves
//! that it knows the credential, without the password going over the wire.
//!
//! - channel binding is not offered: only `n` and `y` headers are taken
//! - an unknown user gets a salt of its own that never changes, so that users cannot be told from strangers
//! - `tokenauth=true`: the user is a delegation token's id and the password its HMAC (KIP-48)

use std::sync::{Arc, LazyLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use milena_metadata::scram::{ScramCredential, ScramMechanism};

use super::exchange::{Authenticated, Step};
use super::{AuthenticationFailed, Mechanism, SaslListener};
use crate::security::Principal;
use crate::security::settings::Secret;

/// Random bytes of the server in a nonce.
const NONCE_BYTES: usize = 24;
/// What the salts of unknown users are made of; another one every start is no harm.
static DECOY_KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    // Without randomness the salts could be guessed, which only tells that a user is unknown.
    let _ = rand::fill(&mut key);
    key
});

/// One SCRAM exchange.
pub(crate) struct ScramExchange {
    mechanism: ScramMechanism,
    state: State,
}

enum State {
    First,
    Final(Box<Challenge>),
    Over,
}

/// What the client's last message is checked against.
struct Challenge {
    credential: ScramCredential,
    /// Whom the credential belongs to; `None` when there is no such user.
    identity: Option<Identity>,
    gs2_header: String,
    /// The server's part of the nonce, which no other exchange has.
    server_nonce: String,
    /// The client's first message without its header, a comma, the server's first message, and a comma.
    messages: String,
}

struct Identity {
    principal: Principal,
    expires_at_ms: Option<i64>,
}

impl ScramExchange {
    pub(crate) fn new(mechanism: ScramMechanism) -> ScramExchange {
        ScramExchange { mechanism, state: State::First }
    }

    pub(super) fn step(&mut self, listener: &Arc<SaslListener>, token: &[u8]) -> Result<Step, AuthenticationFailed> {
        let message = std::str::from_utf8(token).map_err(|_| malformed("it is not UTF-8"))?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => {
                let first = ClientFirst::parse(message)?;
                let (credential, identity) = self.credential_of(listener, &first);
                let (challenge, answer) = challenge(&first, credential, identity, &server_nonce()?);
                self.state = State::Final(Box::new(challenge));
                Ok(Step::Continue(answer.into_bytes()))
            }
            State::Final(challenge) => {
                let (identity, answer) = finish(self.mechanism, *challenge, message)?;
                Ok(Step::Done(Authenticated {
                    token: answer.into_bytes(),
                    principal: identity.principal,
                    expires_at_ms: identity.expires_at_ms,
                }))
            }
            State::Over => Err(malformed("the exchange is over")),
        }
    }

    fn credential_of(&self, listener: &SaslListener, first: &ClientFirst<'_>) -> (ScramCredential, Option<Identity>) {
        let found = if first.token_authentication {
            self.of_token(listener, &first.user)
        } else {
            let image = listener.controller.image();
            image.scram.get(&first.user, self.mechanism).map(|credential| {
                (credential.clone(), Identity { principal: Principal::user(first.user.as_str()), expires_at_ms: None })
            })
        };
        match found {
            Some((credential, identity)) => (credential, Some(identity)),
            None => (self.decoy(&first.user), None),
        }
    }

    fn of_token(&self, listener: &SaslListener, id: &str) -> Option<(ScramCredential, Identity)> {
        let image = listener.controller.image();
        let settings = listener.settings();
        let token = image.delegation_tokens.get(id).filter(|token| !token.is_expired(listener.clock.now_ms()))?;
        let key = settings.secret("delegation.token.secret.key")?;
        let password = hmac_of_token(&key, id);
        let salt = hash(self.mechanism, id.as_bytes());
        let owner = Principal::parse(&token.owner)?;
        let identity = Identity {
            principal: Principal { token_authenticated: true, ..owner },
            expires_at_ms: Some(token.expiry_timestamp_ms),
        };
        let credential = credential_for(self.mechanism, &password, salt, ScramMechanism::ITERATIONS_MIN);
        Some((credential, identity))
    }

    /// A credential that no password fits.
    fn decoy(&self, user: &str) -> ScramCredential {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*DECOY_KEY);
        let salt = hmac::sign(&key, user.as_bytes()).as_ref().to_vec();
        let unknown = hash(self.mechanism, &salt);
        ScramCredential {
            salt,
            stored_key: unknown.clone(),
            server_key: unknown,
            iterations: ScramMechanism::ITERATIONS_MIN,
        }
    }
}

/// The secret of a delegation token, as text (KIP-48).
fn hmac_of_token(secret_key: &Secret, id: &str) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA512, secret_key.reveal().as_bytes());
    Secret::new(BASE64.encode(hmac::sign(&key, id.as_bytes())))
}

/// `n,a=authzid,n=user,r=nonce,extensions`
struct ClientFirst<'a> {
    gs2_header: &'a str,
    bare: &'a str,
    user: String,
    nonce: &'a str,
    token_authentication: bool,
}

impl ClientFirst<'_> {
    fn parse(message: &str) -> Result<ClientFirst<'_>, AuthenticationFailed> {
        let (binding, rest) = message.split_once(',').ok_or_else(|| malformed("the header is missing"))?;
        if !matches!(binding, "n" | "y") {
            return Err(malformed("channel binding is not offered"));
        }
        let (authorization_id, bare) = rest.split_once(',').ok_or_else(|| malformed("the header is missing"))?;
        let gs2_header = &message[..message.len() - bare.len()];
        let mut attributes = bare.split(',');
        let user =
            attributes.next().and_then(|part| part.strip_prefix("n=")).ok_or_else(|| malformed("n= is missing"))?;
        let user = sasl_name(user).ok_or_else(|| malformed("the user name is not encoded well"))?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).filter(|nonce| !nonce.is_empty());
        let nonce = nonce.ok_or_else(|| malformed("r= is missing"))?;
        if !authorization_id.is_empty() {
            let wanted = authorization_id.strip_prefix("a=").and_then(sasl_name);
            if wanted.as_ref() != Some(&user) {
                let message =
                    "Authentication failed: Client requested an authorization id that is different from username";
                return Err(AuthenticationFailed(message.to_owned()));
            }
        }
        let token_authentication = attributes.any(|part| part.eq_ignore_ascii_case("tokenauth=true"));
        Ok(ClientFirst { gs2_header, bare, user, nonce, token_authentication })
    }
}

/// Undoes `=2C` and `=3D`.
fn sasl_name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (decoded, rest) = match part.get(..2)? {
            "2C" => (',', &part[2..]),
            "3D" => ('=', &part[2..]),
            _ => return None,
        };
        name.push(decoded);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

fn challenge(
    first: &ClientFirst<'_>,
    credential: ScramCredential,
    identity: Option<Identity>,
    server_nonce: &str,
) -> (Challenge, String) {
    let answer =
        format!("r={}{server_nonce},s={},i={}", first.nonce, BASE64.encode(&credential.salt), credential.iterations);
    let messages = format!("{},{answer},", first.bare);
    (
        Challenge {
            credential,
            identity,
            gs2_header: first.gs2_header.to_owned(),
            server_nonce: server_nonce.to_owned(),
            messages,
        },
        answer,
    )
}

fn finish(
    mechanism: ScramMechanism,
    challenge: Challenge,
    message: &str,
) -> Result<(Identity, String), AuthenticationFailed> {
    let refused = || AuthenticationFailed::invalid_credentials(Mechanism::Scram(mechanism));
    let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(|| malformed("p= is missing"))?;
    let mut attributes = without_proof.split(',');
    let binding =
        attributes.next().and_then(|part| part.strip_prefix("c=")).ok_or_else(|| malformed("c= is missing"))?;
    let nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).ok_or_else(|| malformed("r= is missing"))?;
    if BASE64.decode(binding).ok().as_deref() != Some(challenge.gs2_header.as_bytes()) {
        return Err(malformed("the channel binding is another than at first"));
    }
    // A replayed message carries the nonce of the exchange that it was made for. Only the server's part is compared, as in
    // Kafka: librdkafka before 2.6.1 repeats its own part.
    if !nonce.ends_with(&challenge.server_nonce) {
        return Err(malformed("the nonce is not that of this exchange"));
    }
    let proof = BASE64.decode(proof).map_err(|_| malformed("the proof is not base64"))?;
    let signed = format!("{}{without_proof}", challenge.messages);
    let credential = &challenge.credential;
    let signature = sign(mechanism, &credential.stored_key, signed.as_bytes());
    if proof.len() != signature.len() {
        return Err(refused());
    }
    let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, signature)| proof ^ signature).collect();
    let genuine = verify_slices_are_equal(&hash(mechanism, &client_key), &credential.stored_key).is_ok();
    match challenge.identity {
        Some(identity) if genuine => {
            let server_signature = sign(mechanism, &credential.server_key, signed.as_bytes());
            Ok((identity, format!("v={}", BASE64.encode(server_signature))))
        }
        _ => Err(refused()),
    }
}

fn server_nonce() -> Result<String, AuthenticationFailed> {
    let mut bytes = [0; NONCE_BYTES];
    rand::fill(&mut bytes).map_err(|_| AuthenticationFailed("Authentication failed: no randomness".to_owned()))?;
    Ok(BASE64.encode(bytes))
}

/// What is kept of a password.
fn credential_for(mechanism: ScramMechanism, password: &Secret, salt: Vec<u8>, iterations: i32) -> ScramCredential {
    let rounds =
        u32::try_from(iterations).ok().and_then(std::num::NonZeroU32::new).unwrap_or(std::num::NonZeroU32::MIN);
    let algorithm = match mechanism {
        ScramMechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        ScramMechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let mut salted = vec![0; hash_algorithm(mechanism).output_len()];
    pbkdf2::derive(algorithm, rounds, &salt, password.reveal().as_bytes(), &mut salted);
    ScramCredential {
        stored_key: hash(mechanism, &sign(mechanism, &salted, b"Client Key")),
        server_key: sign(mechanism, &salted, b"Server Key"),
        salt,
        iterations,
    }
}

fn hash_algorithm(mechanism: ScramMechanism) -> &'static digest::Algorithm {
    match mechanism {
        ScramMechanism::Sha256 => &digest::SHA256,
        ScramMechanism::Sha512 => &digest::SHA512,
    }
}

fn hash(mechanism: ScramMechanism, bytes: &[u8]) -> Vec<u8> {
    digest::digest(hash_algorithm(mechanism), bytes).as_ref().to_vec()
}

fn sign(mechanism: ScramMechanism, key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let algorithm = match mechanism {
        ScramMechanism::Sha256 => hmac::HMAC_SHA256,
        ScramMechanism::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), bytes).as_ref().to_vec()
}

fn malformed(what: &str) -> AuthenticationFailed {
    AuthenticationFailed(format!("Authentication failed: Invalid SASL/SCRAM message: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    fn credential(mechanism: ScramMechanism) -> ScramCredential {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        credential_for(mechanism, &Secret::new("pencil"), salt, 4096)
    }

    fn start(first: &str) -> (Challenge, String) {
        let first = ClientFirst::parse(first).expect("a well-formed message");
        let identity = Identity { principal: Principal::user(first.user.as_str()), expires_at_ms: None };
        challenge(&first, credential(ScramMechanism::Sha256), Some(identity), SERVER_NONCE)
    }

    #[test]
    fn the_exchange_of_rfc_7677_is_reproduced() {
        let (challenge, answer) = start(FIRST);
        assert_eq!(answer, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let (identity, answer) = finish(ScramMechanism::Sha256, challenge, last).expect("the right password");
        assert_eq!(identity.principal, Principal::user("user"));
        assert_eq!(answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_proof_for_another_nonce_is_refused() {
        let (mut challenge, _) = start(FIRST);
        challenge.server_nonce = "another".to_owned();
        let replayed = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert!(finish(ScramMechanism::Sha256, challenge, replayed).is_err());
    }

    #[test]
    fn a_stranger_with_the_right_proof_stays_a_stranger() {
        let (mut challenge, _) = start(FIRST);
        challenge.identity = None;
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let refusal = finish(ScramMechanism::Sha256, challenge, last).err().expect("a refusal");
        assert!(refusal.0.contains("invalid credentials with SASL mechanism SCRAM-SHA-256"), "{refusal}");
    }

    #[test]
    fn names_are_decoded_and_bad_messages_refused() {
        assert_eq!(sasl_name("a=2Cb=3Dc").as_deref(), Some("a,b=c"));
        assert_eq!(sasl_name("a=2"), None);
        assert_eq!(sasl_name("a=zz"), None);
        for message in
            ["", "n", "n,", "n,,", "n,,n=u", "n,,r=x,n=u", "p=tls-unique,,n=u,r=x", "n,a=other,n=u,r=x", "n,,n=u,r="]
        {
            assert!(ClientFirst::parse(message).is_err(), "{message}");
        }
        let first = ClientFirst::parse("n,a=u,n=u,r=x,tokenauth=true").expect("well-formed");
        assert!(first.token_authentication && first.gs2_header == "n,a=u,");
    }
}
