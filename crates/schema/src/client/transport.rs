//! Requests to a registry over HTTP: several addresses, retries, credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use super::config::Authorization;
use super::token_issuer::TokenCache;
use super::{ClientConfig, ClientError};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Larger answers are refused.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// The verbs a registry knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug)]
pub(super) struct Transport {
    agent: ureq::Agent,
    config: ClientConfig,
    tokens: TokenCache,
    /// The address that answered last.
    current: AtomicUsize,
}

impl Transport {
    pub(super) fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let roots = match &config.authorities {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| {
                    ClientError::Unreachable(format!("certificate authorities {}: {error}", path.display()))
                })?;
                RootCerts::Specific(Arc::new(certificates(&pem)))
            }
        };
        // Chosen here, not globally: the choice belongs to the program.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .tls_config(tls)
            .build()
            .new_agent();
        Ok(Transport { agent, config, tokens: TokenCache::default(), current: AtomicUsize::new(0) })
    }

    /// Which address answered last.
    #[cfg(test)]
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Sends a request and reads the answer. `path` begins with a slash.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let body = body.map(Value::to_string);
        let mut wait = self.config.retry_wait;
        let mut attempt = 0;
        loop {
            match self.authorized(method, path, body.as_deref()) {
                Err(error) if attempt < self.config.retries_max && error.is_retriable() => {
                    attempt += 1;
                    pause(wait);
                    wait = wait.saturating_mul(2).min(self.config.retry_wait_max);
                }
                Err(error) => return Err(error),
                Ok(text) => {
                    return serde_json::from_str(&text)
                        .map_err(|error| ClientError::Answer(format!("{path}: {error}")));
                }
            }
        }
    }

    /// With the credentials of the configuration. A token that is refused may have been revoked: another one is tried once.
    fn authorized(&self, method: Method, path: &str, body: Option<&str>) -> Result<String, ClientError> {
        let Some(issuer) = &self.config.token_issuer else {
            return self.any_address(method, path, body, self.config.authorization.as_ref());
        };
        let token = self.tokens.token(issuer, &self.agent)?;
        match self.any_address(method, path, body, Some(&token)) {
            Err(ClientError::Refused { status: 401, .. }) => {
                self.tokens.forget(&token);
                let token = self.tokens.token(issuer, &self.agent)?;
                self.any_address(method, path, body, Some(&token))
            }
            result => result,
        }
    }

    /// Tries each address once, beginning with the one that answered last.
    fn any_address(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        authorization: Option<&Authorization>,
    ) -> Result<String, ClientError> {
        let urls = &self.config.urls;
        let first = self.current.load(Ordering::Relaxed);
        let mut result = Err(ClientError::Unreachable("no address".to_owned()));
        for index in 0..urls.len() {
            let current = (first + index) % urls.len();
            result = self.once(method, &format!("{}{path}", urls[current]), body, authorization);
            if !matches!(result, Err(ClientError::Unreachable(_))) {
                self.current.store(current, Ordering::Relaxed);
                return result;
            }
        }
        result
    }

    fn once(
        &self,
        method: Method,
        url: &str,
        body: Option<&str>,
        authorization: Option<&Authorization>,
    ) -> Result<String, ClientError> {
        let unreachable = |error: ureq::Error| ClientError::Unreachable(format!("{url}: {error}"));
        let mut answer = match method {
            Method::Get => self.headed(self.agent.get(url), authorization).call(),
            Method::Delete => self.headed(self.agent.delete(url), authorization).call(),
            Method::Post | Method::Put => {
                let request = if method == Method::Post { self.agent.post(url) } else { self.agent.put(url) };
                self.headed(request, authorization).content_type(CONTENT_TYPE).send(body.unwrap_or("{}"))
            }
        }
        .map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(unreachable)?;
        if (200..300).contains(&status) { Ok(text) } else { Err(refusal(status, &text)) }
    }

    fn headed<B>(
        &self,
        request: ureq::RequestBuilder<B>,
        authorization: Option<&Authorization>,
    ) -> ureq::RequestBuilder<B> {
        let accepted = format!("{CONTENT_TYPE}, application/json;q=0.5");
        let request = self
            .config
            .headers
            .iter()
            .fold(request.header("Accept", accepted), |request, (name, value)| request.header(*name, value));
        match authorization {
            Some(authorization) => request.header("Authorization", authorization.value()),
            None => request,
        }
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    ureq::tls::parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// The error a registry describes in its answer, or else the plain status.
fn refusal(status: u16, text: &str) -> ClientError {
    let body: Option<Value> = serde_json::from_str(text).ok();
    let code = body.as_ref().and_then(|body| body["error_code"].as_i64());
    let message = body.as_ref().and_then(|body| body["message"].as_str());
    ClientError::Refused {
        status,
        code: code.and_then(|code| i32::try_from(code).ok()).unwrap_or(i32::from(status)),
        message: message.map_or_else(|| format!("HTTP {status}"), str::to_owned),
    }
}

/// The caller's thread waits: the client is blocking by contract.
fn pause(wait: Duration) {
    std::thread::sleep(wait);
}
