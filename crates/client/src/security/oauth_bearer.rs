//! OAUTHBEARER (RFC 7628): a token, and where it comes from.
//!
//! - an unsecured token of claims in `sasl.jaas.config` (`unsecuredLoginStringClaim_sub="alice"`), for tests
//! - `sasl.oauthbearer.token.endpoint.url`: a `file:` that holds a token, or an HTTP endpoint that gives one for the
//!   client's id and secret (OAuth 2.0, client credentials)

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL};
use serde_json::{Map, Value};

use super::jaas::LoginModule;
use super::{Secret, SecuritySettings};
use crate::error::{Error, Result};

/// Lifetime of unsecured tokens unless `unsecuredLoginLifetimeSeconds` says otherwise.
const UNSECURED_LIFETIME_S: u64 = 3600;
/// How much of an answer of the endpoint is read.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// A token is used for this part of its lifetime, then another one is fetched.
const LIFETIME_USED: f64 = 0.8;
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where tokens come from.
#[derive(Debug)]
pub(crate) struct TokenSource {
    kind: Kind,
    /// `extension_<name>` options, sent beside the token (KIP-342).
    extensions: BTreeMap<String, String>,
    /// The last token of the endpoint and until when it is used.
    last: Mutex<Option<(Secret, Instant)>>,
}

#[derive(Debug, Clone)]
enum Kind {
    Unsecured { claims: Map<String, Value>, lifetime_s: u64 },
    File(String),
    Endpoint { url: String, client_id: String, client_secret: Secret, scope: Option<String> },
}

/// One authentication with a token.
pub(crate) struct OAuthExchange {
    first: Option<Vec<u8>>,
}

impl OAuthExchange {
    pub fn step(&mut self, token: &[u8]) -> Option<Vec<u8>> {
        match self.first.take() {
            Some(message) => Some(message),
            None if token.is_empty() => None,
            // The broker said why it refuses; it wants to hear this before it ends the exchange.
            None => Some(vec![1]),
        }
    }
}

impl TokenSource {
    pub(super) fn prepare(settings: &SecuritySettings, module: &LoginModule) -> Result<TokenSource> {
        let kind = match settings.get("sasl.oauthbearer.token.endpoint.url") {
            Some(url) if url.starts_with("file:") => Kind::File(url.trim_start_matches("file:").replacen("//", "", 1)),
            Some(url) => endpoint(url, settings, module)?,
            None => unsecured(module)?,
        };
        let extensions = module
            .options
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("extension_")?.to_owned(), value.reveal().to_owned())));
        Ok(TokenSource { kind, extensions: extensions.collect(), last: Mutex::default() })
    }

    pub async fn exchange(&self) -> Result<OAuthExchange> {
        let token = self.token().await?;
        let mut message = format!("n,,\x01auth=Bearer {}", token.reveal());
        for (name, value) in &self.extensions {
            message.push_str(&format!("\x01{name}={value}"));
        }
        message.push_str("\x01\x01");
        Ok(OAuthExchange { first: Some(message.into_bytes()) })
    }

    async fn token(&self) -> Result<Secret> {
        match &self.kind {
            Kind::Unsecured { claims, lifetime_s } => Ok(unsecured_token(claims, *lifetime_s)),
            Kind::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Secret::new(text.trim())),
                Err(error) => Err(refused(format!("{path}: {error}"))),
            },
            Kind::Endpoint { url, client_id, client_secret, scope } => {
                let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((token, until)) = last
                    && Instant::now() < until
                {
                    return Ok(token);
                }
                let (url, scope) = (url.clone(), scope.clone());
                let basic = BASE64.encode(format!("{client_id}:{}", client_secret.reveal()));
                let fetched = tokio::task::spawn_blocking(move || fetch(&url, &basic, scope.as_deref())).await;
                let (token, lifetime) = fetched.map_err(|error| refused(error.to_string()))??;
                let until = Instant::now() + lifetime.mul_f64(LIFETIME_USED);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), until));
                Ok(token)
            }
        }
    }
}

fn endpoint(url: &str, settings: &SecuritySettings, module: &LoginModule) -> Result<Kind> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Error::Config(format!("sasl.oauthbearer.token.endpoint.url: {url} is neither file: nor http(s):")));
    }
    let either =
        |property: &str, option: &str| settings.get(property).or_else(|| module.get(option)).map(str::to_owned);
    let missing = |what: &str| Error::Config(format!("The OAuth configuration option {what} value must be non-null"));
    Ok(Kind::Endpoint {
        url: url.to_owned(),
        client_id: either("sasl.oauthbearer.client.credentials.client.id", "clientId")
            .ok_or_else(|| missing("clientId"))?,
        client_secret: either("sasl.oauthbearer.client.credentials.client.secret", "clientSecret")
            .map(Secret::new)
            .ok_or_else(|| missing("clientSecret"))?,
        scope: either("sasl.oauthbearer.scope", "scope"),
    })
}

fn unsecured(module: &LoginModule) -> Result<Kind> {
    let mut claims = Map::new();
    for (key, value) in &module.options {
        let value = value.reveal();
        if let Some(name) = key.strip_prefix("unsecuredLoginStringClaim_") {
            claims.insert(name.to_owned(), Value::from(value));
        } else if let Some(name) = key.strip_prefix("unsecuredLoginNumberClaim_") {
            let number: f64 =
                value.parse().map_err(|_| Error::Config(format!("Bad value for {key} in sasl.jaas.config")))?;
            claims.insert(name.to_owned(), Value::from(number));
        } else if let Some(name) = key.strip_prefix("unsecuredLoginListClaim_") {
            // The first character separates the rest.
            let mut characters = value.chars();
            let separator = characters.next().unwrap_or(',');
            let items: Vec<&str> = characters.as_str().split(separator).collect();
            claims.insert(name.to_owned(), Value::from(items));
        }
    }
    if claims.is_empty() {
        let message = "OAUTHBEARER needs sasl.oauthbearer.token.endpoint.url, or claims of an unsecured token in sasl.jaas.config";
        return Err(Error::Config(message.to_owned()));
    }
    let lifetime = module.get("unsecuredLoginLifetimeSeconds").and_then(|seconds| seconds.parse().ok());
    Ok(Kind::Unsecured { claims, lifetime_s: lifetime.unwrap_or(UNSECURED_LIFETIME_S) })
}

/// A token without a signature: anybody can make one, so brokers take it only when told to.
fn unsecured_token(claims: &Map<String, Value>, lifetime_s: u64) -> Secret {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut claims = claims.clone();
    claims.entry("iat").or_insert(Value::from(now));
    claims.entry("exp").or_insert(Value::from(now + lifetime_s));
    let encoded = |text: String| BASE64_URL.encode(text);
    Secret::new(format!("{}.{}.", encoded(r#"{"alg":"none"}"#.to_owned()), encoded(Value::Object(claims).to_string())))
}

fn fetch(url: &str, basic: &str, scope: Option<&str>) -> Result<(Secret, Duration)> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ENDPOINT_TIMEOUT))
        .tls_config(
            ureq::tls::TlsConfig::builder()
                .unversioned_rustls_crypto_provider(std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .build(),
        )
        .build()
        .new_agent();
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scope.map(|scope| ("scope", scope)));
    let answer = agent.post(url).header("Authorization", format!("Basic {basic}")).send_form(form);
    let mut answer = answer.map_err(|error| refused(format!("{url}: {error}")))?;
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = text.map_err(|error| refused(format!("{url}: {error}")))?;
    let json: Value = serde_json::from_str(&text).map_err(|_| refused(format!("{url}: the answer is not JSON")))?;
    let token = json["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| refused(format!("{url}: the answer has no access_token")))?;
    let lifetime = Duration::from_secs(json["expires_in"].as_u64().unwrap_or(0));
    Ok((Secret::new(token), lifetime))
}

fn refused(message: String) -> Error {
    Error::Authentication { tls: false, message: format!("OAUTHBEARER: no token: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(properties: &[(&str, &str)], jaas: &str) -> Result<TokenSource> {
        let mut settings = SecuritySettings::default();
        for (key, value) in properties {
            settings.set(key, value).unwrap();
        }
        TokenSource::prepare(&settings, &LoginModule::parse(jaas).unwrap())
    }

    #[tokio::test]
    async fn unsecured_tokens_carry_the_claims_of_the_options() {
        let jaas = "x.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\" unsecuredLoginListClaim_scope=\"|a|b\" extension_team=\"t1\";";
        let source = source(&[], jaas).unwrap();
        let first = String::from_utf8(source.exchange().await.unwrap().step(b"").unwrap()).unwrap();
        assert!(first.starts_with("n,,\x01auth=Bearer ey") && first.ends_with("\x01team=t1\x01\x01"), "{first:?}");
        let claims = first.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&BASE64_URL.decode(claims).unwrap()).unwrap();
        assert_eq!((claims["sub"].as_str(), &claims["scope"]), (Some("alice"), &serde_json::json!(["a", "b"])));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), UNSECURED_LIFETIME_S);
    }

    #[tokio::test]
    async fn a_file_may_hold_the_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc.def.ghi\n").unwrap();
        let url = format!("file://{}", file.path().display());
        let jaas = "x.OAuthBearerLoginModule required;";
        let source = source(&[("sasl.oauthbearer.token.endpoint.url", &url)], jaas).unwrap();
        let first = source.exchange().await.unwrap().step(b"").unwrap();
        assert_eq!(first, b"n,,\x01auth=Bearer abc.def.ghi\x01\x01");
    }

    #[test]
    fn an_endpoint_needs_id_and_secret() {
        let jaas = "x.OAuthBearerLoginModule required;";
        assert!(source(&[("sasl.oauthbearer.token.endpoint.url", "https://example.org/token")], jaas).is_err());
        assert!(source(&[], jaas).is_err());
    }
}
