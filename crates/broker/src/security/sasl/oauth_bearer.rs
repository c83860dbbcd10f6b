//! OAUTHBEARER (RFC 7628): a token of an identity provider says who the client is.
//!
//! A refused token is answered with a JSON object, on which the client sends one byte 0x01, and only then the exchange
//! fails; that is how the mechanism wants it.

use std::sync::Arc;

use super::exchange::{Authenticated, Step};
use super::jwt::{self, Claims};
use super::{AuthenticationFailed, SaslListener, jaas};
use crate::security::Principal;
use crate::security::settings::ListenerSettings;

/// What separates the parts of a message.
const SEPARATOR: char = '\x01';
/// Ends of the class names of Kafka's callback handlers.
const VALIDATOR: &str = "OAuthBearerValidatorCallbackHandler";
const UNSECURED_VALIDATOR: &str = "OAuthBearerUnsecuredValidatorCallbackHandler";
/// The JAAS options that ask for unsecured tokens.
const UNSECURED_OPTIONS: &str = "unsecuredValidator";
const MECHANISM: &str = "oauthbearer";
/// What a client whose token is refused is told.
const INVALID_TOKEN: &str = r#"{"status":"invalid_token"}"#;

/// One OAUTHBEARER exchange.
#[derive(Default)]
pub(crate) struct OAuthBearerExchange {
    /// Why the token was refused, when the client has been told so.
    refusal: Option<AuthenticationFailed>,
}

impl OAuthBearerExchange {
    pub(super) async fn step(
        &mut self,
        listener: &Arc<SaslListener>,
        message: &[u8],
    ) -> Result<Step, AuthenticationFailed> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let first = ClientFirst::parse(message)?;
        match validate(listener, first.token).await {
            Ok(claims) => {
                if first.authorization_id.is_some_and(|id| id != claims.subject) {
                    let message = "Authentication failed: Client requested an authorization id that is different from \
                                   the token's principal name";
                    return Err(AuthenticationFailed(message.to_owned()));
                }
                Ok(Step::Done(Authenticated {
                    token: Vec::new(),
                    principal: Principal::user(claims.subject.as_str()),
                    expires_at_ms: Some(claims.expires_at_ms),
                }))
            }
            Err(reason) => {
                tracing::debug!(listener = %listener.name, %reason, "a token was refused");
                self.refusal = Some(AuthenticationFailed(INVALID_TOKEN.to_owned()));
                Ok(Step::Continue(INVALID_TOKEN.as_bytes().to_vec()))
            }
        }
    }
}

/// How tokens are checked on a listener.
enum Validation {
    /// Signed tokens, with the keys at this URL.
    Signed { jwks_url: String },
    /// Tokens without a signature, for development.
    Unsecured(jaas::Options),
}

impl Validation {
    fn of(settings: &ListenerSettings) -> Result<Validation, String> {
        let class = settings.of_mechanism(MECHANISM, "sasl.server.callback.handler.class").unwrap_or("");
        let options =
            jaas::options(settings, settings.listener(), MECHANISM, "OAuthBearerLoginModule").unwrap_or_default();
        let asks_for_unsecured = options.keys().any(|key| key.starts_with(UNSECURED_OPTIONS));
        if class.ends_with(UNSECURED_VALIDATOR) || (class.is_empty() && asks_for_unsecured) {
            return Ok(Validation::Unsecured(options));
        }
        if !class.is_empty() && !class.ends_with(VALIDATOR) {
            return Err(format!("sasl.server.callback.handler.class={class} is not available; use {VALIDATOR}"));
        }
        let url = settings.of_mechanism(MECHANISM, "sasl.oauthbearer.jwks.endpoint.url").ok_or(
            "sasl.oauthbearer.jwks.endpoint.url is not set; tokens without a signature are taken only with \
             sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.internals.unsecured.\
             OAuthBearerUnsecuredValidatorCallbackHandler",
        )?;
        Ok(Validation::Signed { jwks_url: url.to_owned() })
    }
}

/// Whether the listener's settings suffice.
pub(super) fn check(settings: &ListenerSettings) -> Result<(), String> {
    let Validation::Signed { jwks_url } = Validation::of(settings)? else { return Ok(()) };
    if !["file:", "https://", "http://"].iter().any(|scheme| jwks_url.starts_with(scheme)) {
        return Err(format!("sasl.oauthbearer.jwks.endpoint.url={jwks_url}: expected file:, https:// or http://"));
    }
    jwt::Expectations::of(settings, MECHANISM).map(|_| ())
}

async fn validate(listener: &Arc<SaslListener>, token: &str) -> Result<Claims, String> {
    let settings = listener.settings();
    let now_ms = listener.clock.now_ms();
    match Validation::of(&settings)? {
        Validation::Unsecured(options) => jwt::unsecured(token, &options, now_ms),
        Validation::Signed { jwks_url } => {
            let expectations = jwt::Expectations::of(&settings, MECHANISM)?;
            let refresh_ms = settings.number("sasl.oauthbearer.jwks.endpoint.refresh.ms", 3_600_000);
            let backoff_ms = settings.number("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", 10_000);
            drop(settings);
            let key_id = jwt::key_id(token)?;
            let keys = listener.jwks(&jwks_url).keys(key_id.as_deref(), refresh_ms, backoff_ms).await?;
            jwt::signed(token, &keys, &expectations, now_ms)
        }
    }
}

/// `n,a=authzid,\x01auth=Bearer token\x01key=value\x01\x01`
struct ClientFirst<'a> {
    authorization_id: Option<&'a str>,
    token: &'a str,
}

impl ClientFirst<'_> {
    fn parse(message: &[u8]) -> Result<ClientFirst<'_>, AuthenticationFailed> {
        let malformed =
            || AuthenticationFailed("Authentication failed: Invalid OAUTHBEARER client first message".to_owned());
        let text = std::str::from_utf8(message).map_err(|_| malformed())?;
        let (header, rest) = text.split_once(SEPARATOR).ok_or_else(malformed)?;
        let authorization_id = match header.split(',').collect::<Vec<_>>()[..] {
            ["n" | "y", "", ""] => None,
            ["n" | "y", id, ""] => Some(id.strip_prefix("a=").ok_or_else(malformed)?),
            _ => return Err(malformed()),
        };
        let pairs = rest.strip_suffix("\x01\x01").ok_or_else(malformed)?.split(SEPARATOR);
        let values: Vec<&str> = pairs.filter_map(|pair| pair.strip_prefix("auth=")).collect();
        let [value] = values[..] else { return Err(malformed()) };
        let (scheme, token) = value.split_once(' ').ok_or_else(malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(malformed());
        }
        Ok(ClientFirst { authorization_id, token: token.trim() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_message_holds_a_token_and_perhaps_a_name() {
        let first = ClientFirst::parse(b"n,,\x01auth=Bearer abc\x01\x01").expect("well-formed");
        assert_eq!((first.authorization_id, first.token), (None, "abc"));
        let first = ClientFirst::parse(b"n,a=me,\x01k=v\x01auth=bearer abc\x01\x01").expect("well-formed");
        assert_eq!((first.authorization_id, first.token), (Some("me"), "abc"));
        for message in [
            &b""[..],
            b"n,,",
            b"n,,\x01\x01",
            b"n,,\x01auth=Basic abc\x01\x01",
            b"p,,\x01auth=Bearer a\x01\x01",
            b"n,,\x01auth=Bearer a\x01",
        ] {
            assert!(ClientFirst::parse(message).is_err(), "{message:?}");
        }
    }
}
