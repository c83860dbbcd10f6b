//! Bearer tokens from an identity provider: OAuth 2.0, client credentials (RFC 6749 section 4.4).
//!
//! A token is fetched with the first request that needs one, used until shortly before it expires, and thrown away when
//! the registry does not take it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ClientError;
use super::config::{Authorization, ConfigError};

/// How much of an answer of the provider is read.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// Lifetime of a token whose answer names none.
const LIFETIME_UNKNOWN: Duration = Duration::from_secs(60);

/// Where tokens come from. Its `Debug` does not tell the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer {
    /// The token endpoint (`bearer.auth.issuer.endpoint.url`).
    pub url: String,
    /// The client's id and secret (`bearer.auth.client.id`, `bearer.auth.client.secret`).
    pub client: Authorization,
    /// What is asked for (`bearer.auth.scope`).
    pub scope: Option<String>,
    /// How long before its end a token is replaced (`bearer.auth.cache.expiry.buffer.seconds`).
    pub expiry_buffer: Duration,
}

impl TokenIssuer {
    /// From properties; `names` are those of URL, id, secret and scope.
    ///
    /// # Errors
    /// One of the first three is missing, or the URL is none.
    pub(super) fn from_properties<'a>(
        get: &impl Fn(&str) -> Option<&'a str>,
        names: [&'static str; 4],
    ) -> Result<TokenIssuer, ConfigError> {
        let [url_name, id_name, secret_name, scope_name] = names;
        let needed = |name: &'static str| get(name).ok_or(ConfigError::Missing(name));
        let url = needed(url_name)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(ConfigError::InvalidValue { key: url_name.to_owned(), value: url.to_owned() });
        }
        Ok(TokenIssuer {
            url: url.to_owned(),
            client: Authorization::basic(needed(id_name)?, needed(secret_name)?),
            scope: get(scope_name).map(str::to_owned),
            expiry_buffer: Duration::from_secs(300),
        })
    }

    /// Asks for a token; how long it lives comes with it.
    fn fetch(&self, agent: &ureq::Agent) -> Result<(Authorization, Duration), ClientError> {
        let unreachable = |error: ureq::Error| ClientError::Unreachable(format!("{}: {error}", self.url));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let request = agent.post(&self.url).header("Authorization", self.client.value());
        let mut answer = request.header("Accept", "application/json").send_form(form).map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(unreachable)?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if !(200..300).contains(&status) {
            let told = json["error_description"].as_str().or(json["error"].as_str()).unwrap_or("no token");
            let message = format!("{}: HTTP {status}: {told}", self.url);
            return Err(ClientError::Refused { status, code: i32::from(status), message });
        }
        let token = json["access_token"].as_str().filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| ClientError::Answer(format!("{}: there is no access_token", self.url)))?;
        let lifetime = json["expires_in"].as_u64().map_or(LIFETIME_UNKNOWN, Duration::from_secs);
        Ok((Authorization::bearer(token), lifetime))
    }
}

/// The token that is in use.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<Option<(Authorization, Instant)>>);

impl TokenCache {
    /// The token, fetched when there is none or it is about to expire. Whoever comes meanwhile waits for the same one.
    pub(super) fn token(&self, issuer: &TokenIssuer, agent: &ureq::Agent) -> Result<Authorization, ClientError> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, until)) = cached.as_ref()
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let asked = Instant::now();
        let (token, lifetime) = issuer.fetch(agent)?;
        // Tokens that live shorter than the buffer are used for half their life, or each would be used once.
        let used = lifetime.saturating_sub(issuer.expiry_buffer).max(lifetime / 2);
        *cached = asked.checked_add(used).map(|until| (token.clone(), until));
        Ok(token)
    }

    /// Forgets `token`, which was refused; another that came meanwhile stays.
    pub(super) fn forget(&self, token: &Authorization) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.as_ref().is_some_and(|(held, _)| held == token) {
            *cached = None;
        }
    }
}
