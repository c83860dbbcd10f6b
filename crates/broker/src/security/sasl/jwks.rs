//! The public keys of an identity provider: from a file or a URL, kept, and fetched again when they are old or lack the
//! key that a token names.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::jwk::JwkSet;
use parking_lot::Mutex;

/// How long the identity provider may take.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// Bytes of a set of keys.
const RESPONSE_BYTES_MAX: u64 = 1024 * 1024;

/// A set of keys that is kept up to date.
pub(super) struct Jwks {
    url: String,
    kept: Mutex<Option<Kept>>,
    /// One fetch at a time; connections wait for each other's.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    keys: Arc<JwkSet>,
    fetched: Instant,
    changed: Option<SystemTime>,
}

impl Jwks {
    pub(super) fn new(url: &str) -> Jwks {
        Jwks { url: url.to_owned(), kept: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The keys, with `key_id` among them if that is possible. They are fetched after `refresh_ms`, and at once for a key
    /// that is not there, though not within `backoff_ms` of the last time.
    pub(super) async fn keys(
        self: &Arc<Self>,
        key_id: Option<&str>,
        refresh_ms: u64,
        backoff_ms: u64,
    ) -> Result<Arc<JwkSet>, String> {
        if let Some(keys) = self.usable(key_id, refresh_ms, backoff_ms) {
            return Ok(keys);
        }
        let _one = self.fetching.lock().await;
        if let Some(keys) = self.usable(key_id, refresh_ms, backoff_ms) {
            return Ok(keys);
        }
        let url = self.url.clone();
        let fetched = tokio::task::spawn_blocking(move || fetch(&url)).await.map_err(|error| error.to_string())?;
        match fetched {
            Ok(keys) => {
                let kept = Kept { keys: keys.clone(), fetched: Instant::now(), changed: self.changed() };
                *self.kept.lock() = Some(kept);
                Ok(keys)
            }
            Err(error) => {
                tracing::warn!(url = %self.url, %error, "the keys of the identity provider cannot be fetched");
                // Old keys are better than none.
                let mut kept = self.kept.lock();
                match kept.as_mut() {
                    Some(kept) => {
                        kept.fetched = Instant::now();
                        Ok(kept.keys.clone())
                    }
                    None => Err(error),
                }
            }
        }
    }

    fn usable(&self, key_id: Option<&str>, refresh_ms: u64, backoff_ms: u64) -> Option<Arc<JwkSet>> {
        let kept = self.kept.lock().clone()?;
        let age = kept.fetched.elapsed();
        let has_key = key_id.is_none_or(|id| kept.keys.find(id).is_some());
        let fresh = match self.file() {
            Some(_) => kept.changed == self.changed(),
            None => age < Duration::from_millis(refresh_ms) && (has_key || age < Duration::from_millis(backoff_ms)),
        };
        fresh.then_some(kept.keys)
    }

    fn file(&self) -> Option<&Path> {
        file_of(&self.url)
    }

    fn changed(&self) -> Option<SystemTime> {
        self.file().and_then(|path| std::fs::metadata(path).ok()?.modified().ok())
    }
}

fn file_of(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("file:")?;
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

fn fetch(url: &str) -> Result<Arc<JwkSet>, String> {
    let text = match file_of(url) {
        Some(path) => std::fs::read_to_string(path).map_err(|error| error.to_string())?,
        None => get(url).map_err(|error| error.to_string())?,
    };
    serde_json::from_str(&text).map(Arc::new).map_err(|error| format!("not a JSON web key set: {error}"))
}

fn get(url: &str) -> Result<String, ureq::Error> {
    use ureq::tls::{RootCerts, TlsConfig};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let agent = ureq::Agent::config_builder().timeout_global(Some(FETCH_MAX)).tls_config(tls).build().new_agent();
    agent.get(url).call()?.body_mut().with_config().limit(RESPONSE_BYTES_MAX).read_to_string()
}
