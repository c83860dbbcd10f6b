//! Settings of the client, by the names that Confluent's clients use.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::token_issuer::TokenIssuer;

/// How a registry is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// Base addresses, without trailing slash; the next one is tried when one does not answer.
    pub urls: Vec<String>,
    /// The value of the `Authorization` header.
    pub authorization: Option<Authorization>,
    /// Where bearer tokens come from, instead of `authorization` (`bearer.auth.credentials.source=OAUTHBEARER`).
    pub token_issuer: Option<TokenIssuer>,
    /// Headers that go with every request (`bearer.auth.logical.cluster`, `bearer.auth.identity.pool.id`).
    pub headers: Vec<(&'static str, String)>,
    /// How often a request is tried again after 408, 429, 5xx or no answer (`max.retries`).
    pub retries_max: u32,
    /// Pause before the first retry (`retries.wait.ms`); it doubles each time.
    pub retry_wait: Duration,
    /// Longest pause (`retries.max.wait.ms`).
    pub retry_wait_max: Duration,
    /// Longest time for one request (`http.read.timeout.ms`).
    pub timeout: Duration,
    /// Most schemas that are kept by id, and as many by text (`schema.cache.capacity` of librdkafka's clients).
    pub cache_capacity: usize,
    /// PEM file of the authorities that may sign the registry's certificate, instead of the system's
    /// (`schema.registry.ssl.truststore.location`, `ssl.ca.location`).
    pub authorities: Option<PathBuf>,
}

/// The value of an `Authorization` header. Its `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(String);

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No address at all.
    #[error("Missing schema registry url!")]
    NoUrl,
    /// An address without `http://` or `https://`.
    #[error("schema.registry.url: {0} is not an http or https address")]
    InvalidUrl(String),
    /// A setting that another one needs.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that is not of its type or not known.
    #[error("{key}: invalid value {value}")]
    InvalidValue {
        /// The name of the setting.
        key: String,
        /// Its value.
        value: String,
    },
}

impl Authorization {
    /// HTTP basic authentication.
    pub fn basic(user: &str, password: &str) -> Self {
        Authorization(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// A bearer token.
    pub fn bearer(token: &str) -> Self {
        Authorization(format!("Bearer {token}"))
    }

    pub(super) fn value(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization(..)")
    }
}

impl ClientConfig {
    /// Defaults for one or several addresses, separated by commas. `user:password@` in an address is taken as basic
    /// authentication.
    ///
    /// # Errors
    /// No address, or one that is neither http nor https.
    pub fn new(urls: &str) -> Result<Self, ConfigError> {
        let mut authorization = None;
        let urls: Result<Vec<String>, ConfigError> = urls
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(|url| {
                let (url, user_info) = split_user_info(url)?;
                authorization = authorization.take().or(user_info);
                Ok(url)
            })
            .collect();
        let urls = urls?;
        if urls.is_empty() {
            return Err(ConfigError::NoUrl);
        }
        Ok(ClientConfig {
            urls,
            authorization,
            token_issuer: None,
            headers: Vec::new(),
            retries_max: 3,
            retry_wait: Duration::from_millis(1000),
            retry_wait_max: Duration::from_millis(20_000),
            timeout: Duration::from_secs(60),
            cache_capacity: 1000,
            authorities: None,
        })
    }

    /// From properties, which `get` looks up; each also under the prefix `schema.registry.`.
    ///
    /// # Errors
    /// No `schema.registry.url`, or a value that makes no sense.
    pub fn from_properties<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ConfigError> {
        let mut config = ClientConfig::new(get("schema.registry.url").unwrap_or_default())?;
        let get = |key: &str| get(key).or_else(|| get(&format!("schema.registry.{key}")));
        match bearer(&get)? {
            Some(Bearer::Token(token)) => config.authorization = Some(token),
            Some(Bearer::Issuer(issuer)) => config.token_issuer = Some(issuer),
            None => config.authorization = basic(&get)?.or(config.authorization),
        }
        if config.token_issuer.is_some() {
            let header = |(key, name)| Some((name, get(key)?.to_owned()));
            config.headers = BEARER_HEADERS.into_iter().filter_map(header).collect();
        }
        if let Some(retries) = number(&get, "max.retries")? {
            config.retries_max = u32::try_from(retries).unwrap_or(u32::MAX);
        }
        if let Some(ms) = number(&get, "retries.wait.ms")? {
            config.retry_wait = Duration::from_millis(ms);
        }
        if let Some(ms) = number(&get, "retries.max.wait.ms")? {
            config.retry_wait_max = Duration::from_millis(ms);
        }
        if let Some(ms) = number(&get, "http.read.timeout.ms")? {
            config.timeout = Duration::from_millis(ms.max(1));
        }
        if let Some(capacity) = number(&get, "max.schemas.per.subject")? {
            config.cache_capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        }
        config.authorities = get("ssl.ca.location").or_else(|| get("ssl.truststore.location")).map(PathBuf::from);
        Ok(config)
    }
}

/// What managed registries want to know beside a token of a provider: property and header.
const BEARER_HEADERS: [(&str, &str); 2] = [
    ("bearer.auth.logical.cluster", "target-sr-cluster"),
    ("bearer.auth.identity.pool.id", "Confluent-Identity-Pool-Id"),
];

enum Bearer {
    Token(Authorization),
    Issuer(TokenIssuer),
}

/// `bearer.auth.*`
fn bearer<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<Bearer>, ConfigError> {
    const SOURCE: &str = "bearer.auth.credentials.source";
    let token = get("bearer.auth.token");
    let source = match (get(SOURCE), token) {
        (Some(source), _) => source,
        (None, Some(_)) => "STATIC_TOKEN",
        (None, None) => return Ok(None),
    };
    let names = match source.to_ascii_uppercase().as_str() {
        "STATIC_TOKEN" => {
            let token = token.ok_or(ConfigError::Missing("bearer.auth.token"))?;
            return Ok(Some(Bearer::Token(Authorization::bearer(token))));
        }
        "OAUTHBEARER" => [
            "bearer.auth.issuer.endpoint.url",
            "bearer.auth.client.id",
            "bearer.auth.client.secret",
            "bearer.auth.scope",
        ],
        "SASL_OAUTHBEARER_INHERIT" => [
            "sasl.oauthbearer.token.endpoint.url",
            "sasl.oauthbearer.client.credentials.client.id",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.scope",
        ],
        _ => return Err(ConfigError::InvalidValue { key: SOURCE.to_owned(), value: source.to_owned() }),
    };
    let mut issuer = TokenIssuer::from_properties(get, names)?;
    if let Some(seconds) = number(get, "bearer.auth.cache.expiry.buffer.seconds")? {
        issuer.expiry_buffer = Duration::from_secs(seconds);
    }
    Ok(Some(Bearer::Issuer(issuer)))
}

/// `basic.auth.*`
fn basic<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<Authorization>, ConfigError> {
    let invalid = |key: &str, value: &str| ConfigError::InvalidValue { key: key.to_owned(), value: value.to_owned() };
    let source = get("basic.auth.credentials.source").unwrap_or("URL");
    match source.to_ascii_uppercase().as_str() {
        "URL" => {}
        "USER_INFO" | "STATIC" | "SASL_INHERIT" => {}
        _ => return Err(invalid("basic.auth.credentials.source", source)),
    }
    if source.eq_ignore_ascii_case("SASL_INHERIT") {
        let user_and_password = (get("sasl.username"), get("sasl.password"));
        return Ok(match user_and_password {
            (Some(user), Some(password)) => Some(Authorization::basic(user, password)),
            _ => None,
        });
    }
    match get("basic.auth.user.info") {
        None => Ok(None),
        Some(info) => match info.split_once(':') {
            Some((user, password)) => Ok(Some(Authorization::basic(user, password))),
            // Not shown: what there is of it may be the password.
            None => Err(invalid("basic.auth.user.info", "(expected user:password)")),
        },
    }
}

fn number<'a>(get: &impl Fn(&str) -> Option<&'a str>, key: &str) -> Result<Option<u64>, ConfigError> {
    let Some(value) = get(key) else { return Ok(None) };
    match value.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(ConfigError::InvalidValue { key: key.to_owned(), value: value.to_owned() }),
    }
}

/// Takes `user:password@` out of an address.
fn split_user_info(url: &str) -> Result<(String, Option<Authorization>), ConfigError> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| ConfigError::InvalidUrl(url.to_owned()))?;
    if !matches!(scheme, "http" | "https") || rest.is_empty() {
        return Err(ConfigError::InvalidUrl(url.to_owned()));
    }
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let (user_info, host) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    let authorization = user_info.map(|info| {
        let (user, password) = info.split_once(':').unwrap_or((info, ""));
        Authorization::basic(&percent_decoded(user), &percent_decoded(password))
    });
    Ok((format!("{scheme}://{host}{}", path.trim_end_matches('/')), authorization))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn config(properties: &[(&'static str, &'static str)]) -> Result<ClientConfig, ConfigError> {
        let properties: HashMap<&str, &str> = properties.iter().copied().collect();
        ClientConfig::from_properties(|key| properties.get(key).copied())
    }

    #[test]
    fn addresses_are_a_list_and_may_hold_the_credentials() {
        let config = config(&[("schema.registry.url", "http://a:8081/, https://u:p%40ss@b/contexts/.c/")]).unwrap();
        assert_eq!(config.urls, ["http://a:8081", "https://b/contexts/.c"]);
        assert_eq!(config.authorization, Some(Authorization::basic("u", "p@ss")));
    }

    #[test]
    fn credentials_come_from_properties_with_or_without_prefix() {
        let url = ("schema.registry.url", "http://a");
        let basic = Some(Authorization::basic("u", "p:q"));
        let plain = config(&[url, ("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "u:p:q")]);
        assert_eq!(plain.unwrap().authorization, basic);
        assert_eq!(config(&[url, ("schema.registry.basic.auth.user.info", "u:p:q")]).unwrap().authorization, basic);
        let bearer = config(&[url, ("bearer.auth.token", "t")]).unwrap().authorization;
        assert_eq!(bearer, Some(Authorization::bearer("t")));
        assert!(!format!("{bearer:?}").contains('t') || format!("{bearer:?}") == "Some(Authorization(..))");
    }

    #[test]
    fn tokens_come_from_a_provider_with_everything_it_needs() {
        let url = ("schema.registry.url", "http://a");
        let source = ("bearer.auth.credentials.source", "OAUTHBEARER");
        let issuer = ("bearer.auth.issuer.endpoint.url", "https://idp/token");
        let (id, secret) = (("bearer.auth.client.id", "me"), ("bearer.auth.client.secret", "hidden"));
        let pool = ("bearer.auth.identity.pool.id", "pool-1");
        let config_of = |more: &[(&'static str, &'static str)]| config(&[&[url, source], more].concat());
        assert_eq!(config_of(&[issuer, id]), Err(ConfigError::Missing("bearer.auth.client.secret")));
        assert_eq!(config_of(&[id, secret]), Err(ConfigError::Missing("bearer.auth.issuer.endpoint.url")));
        let complete = config_of(&[issuer, id, secret, ("bearer.auth.scope", "schemas"), pool]).unwrap();
        assert!(!format!("{complete:?}").contains("hidden"));
        assert_eq!(complete.headers, [("Confluent-Identity-Pool-Id", "pool-1".to_owned())]);
        let found = complete.token_issuer.unwrap();
        assert_eq!((found.url.as_str(), found.scope.as_deref()), ("https://idp/token", Some("schemas")));
        assert_eq!(found.client, Authorization::basic("me", "hidden"));
        let of = |source| config(&[url, ("bearer.auth.credentials.source", source)]);
        assert_eq!(of("STATIC_TOKEN"), Err(ConfigError::Missing("bearer.auth.token")));
        assert!(matches!(of("CUSTOM"), Err(ConfigError::InvalidValue { .. })));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert_eq!(config(&[]), Err(ConfigError::NoUrl));
        assert!(matches!(config(&[("schema.registry.url", "a:8081")]), Err(ConfigError::InvalidUrl(_))));
        let url = ("schema.registry.url", "http://a");
        assert!(config(&[url, ("max.retries", "many")]).is_err());
        assert!(config(&[url, ("basic.auth.user.info", "secret")]).is_err());
        assert!(!config(&[url, ("basic.auth.user.info", "secret")]).unwrap_err().to_string().contains("secret"));
    }
}
