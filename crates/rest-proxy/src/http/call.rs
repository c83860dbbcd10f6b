//! One request with everything that an endpoint needs of it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::http::request::Parts;
use milena_http::{BodyError, Query};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::error::{RestError, Result};
use crate::formats::Format;
use crate::state::Proxy;

/// See the module's words.
pub struct Call {
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// Method, URI and headers.
    pub head: Parts,
    /// The `{...}` of the path, decoded, in their order.
    pub parameters: Vec<String>,
    /// The query.
    pub query: Query,
    /// The embedded format that Content-Type names, where the endpoint reads embedded records; binary without one.
    pub content: Format,
    /// The embedded format that Accept names, where the endpoint answers with them; `None`: any.
    pub accept: Option<Format>,
    /// Whether it came over TLS.
    pub is_secure: bool,
    /// The body until it is read. In a lock only so that a call can be lent to several threads; nobody waits for it.
    pub body: Mutex<Body>,
}

impl Call {
    /// The parameter at `at`.
    pub fn parameter(&self, at: usize) -> &str {
        self.parameters.get(at).map_or("", String::as_str)
    }

    /// The body as it comes.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(self.body.get_mut())
    }

    /// The whole body.
    ///
    /// # Errors
    /// 413 beyond the limit of the configuration, 400 when the connection breaks.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        milena_http::read(self.take_body(), self.proxy.config.request_bytes_max).await.map_err(|error| match error {
            BodyError::TooLarge => RestError::Http(413),
            BodyError::Broken(reason) => {
                RestError::bad_request(format!("the body of the request cannot be read: {reason}"))
            }
        })
    }

    /// The body as JSON. Nothing and `null` are [`RestError::NullInput`].
    ///
    /// # Errors
    /// 400 for what is not JSON or not of that form.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.bytes().await?;
        let text = bytes.trim_ascii();
        if text.is_empty() || text == b"null" {
            return Err(RestError::NullInput);
        }
        serde_json::from_slice(text).map_err(|error| RestError::bad_request(format!("Malformed JSON: {error}")))
    }

    /// What URLs in answers begin with: `advertised.listeners`, else the address that the client has used. No slash at the end.
    pub fn base_url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        let advertised = &self.proxy.config.advertised_listeners;
        let fitting = advertised.iter().find(|url| url.starts_with(&format!("{scheme}://"))).or(advertised.first());
        if let Some(url) = fitting {
            return url.clone();
        }
        let host = self.head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(self.head.uri.authority().map(|authority| authority.as_str()));
        format!("{scheme}://{}", host.unwrap_or("localhost"))
    }

    /// What `base_uri` of a consumer instance begins with: as [`Call::base_url`], but `host.name` comes before the request.
    pub fn instance_url(&self) -> String {
        let config = &self.proxy.config;
        match &config.host_name {
            Some(host) if config.advertised_listeners.is_empty() => {
                let scheme = if self.is_secure { "https" } else { "http" };
                format!("{scheme}://{host}:{}", self.proxy.port(self.is_secure))
            }
            _ => self.base_url(),
        }
    }
}
