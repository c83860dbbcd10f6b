//! TLS on the broker's side: which certificate a listener shows, whom it trusts, and what a client's name becomes.
//!
//! ```text
//! listener.name.x.ssl.* , ssl.* ──► TlsSettings::load ──► TlsContext ──► every new connection
//!            ▲                          │ on a change of configuration, and when a file changes
//!            └──────────────────────────┘   (a context that cannot be loaded leaves the old one in force)
//! ```
//!
//! Deliberately absent: sockets; see `net/tls.rs`.

mod client_certificates;
mod distinguished_name;
mod principal_mapping;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use milena_metadata::Controller;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion};

use self::client_certificates::TrustedClients;
pub(crate) use self::principal_mapping::PrincipalMapping;
use self::store::{KeyMaterial, StoreError, StoreKind};
use super::principal::Principal;
use super::settings::ListenerSettings;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nothing says which certificate to show.
    #[error("no certificate: set ssl.keystore.location, or ssl.keystore.certificate.chain and ssl.keystore.key")]
    NoKeyStore,
    /// Clients shall show certificates, but nobody is trusted.
    #[error("ssl.client.auth={0} needs ssl.truststore.location or ssl.truststore.certificates")]
    NoTrustStore(String),
    /// A store cannot be read.
    #[error("{key}: {source}")]
    Store {
        /// The setting that names it.
        key: &'static str,
        /// What is wrong with it.
        source: StoreErrorKind,
    },
    /// A setting has a value that cannot be used.
    #[error("{key}: {message}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Key and certificate do not fit, or TLS refuses them for another reason.
    #[error("key store: {0}")]
    Refused(#[from] rustls::Error),
}

/// What is wrong with a key or trust store; its text never holds secrets.
pub type StoreErrorKind = Box<dyn std::error::Error + Send + Sync>;

/// TLS of one listener.
pub(crate) struct TlsListener {
    name: String,
    controller: Arc<Controller>,
    context: ArcSwap<TlsContext>,
}

/// What new connections use until the next reload.
pub(crate) struct TlsContext {
    server: Arc<ServerConfig>,
    mapping: PrincipalMapping,
    /// The files it was made from, with the time of their last change.
    files: Vec<(PathBuf, Option<SystemTime>)>,
    /// Everything the configuration says about it, to tell whether it has changed.
    fingerprint: Vec<Option<String>>,
}

impl TlsListener {
    pub(crate) fn open(controller: Arc<Controller>, listener: &str) -> Result<TlsListener, TlsError> {
        let context = TlsContext::load(&ListenerSettings::new(controller.image(), listener))?;
        Ok(TlsListener { name: listener.to_owned(), controller, context: ArcSwap::from_pointee(context) })
    }

    /// The server's side of a new connection.
    pub(crate) fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        let mut connection = ServerConnection::new(self.context.load().server.clone())?;
        // Whoever writes limits itself, and a limit inside would only cut records short.
        connection.set_buffer_limit(None);
        Ok(connection)
    }

    /// What the certificate that the client has shown makes it; `None` when no mapping rule fits.
    pub(crate) fn principal(&self, certificates: Option<&[CertificateDer<'static>]>) -> Option<Principal> {
        let Some(certificate) = certificates.and_then(<[_]>::first) else { return Some(Principal::anonymous()) };
        let name = distinguished_name::of_certificate(certificate)?;
        self.context.load().mapping.apply(&name).map(Principal::user)
    }

    /// Loads the context again when a file or a setting is another; connections that exist stay as they are.
    pub(crate) fn reload_if_changed(&self) {
        let settings = ListenerSettings::new(self.controller.image(), &self.name);
        let current = self.context.load();
        if current.fingerprint == fingerprint(&settings)
            && current.files.iter().all(|(path, time)| changed(path) == *time)
        {
            return;
        }
        match TlsContext::load(&settings) {
            Ok(context) => {
                self.context.store(Arc::new(context));
                tracing::info!(listener = %self.name, "TLS certificates and settings were loaded again");
            }
            Err(error) => {
                tracing::error!(listener = %self.name, %error, "TLS settings cannot be loaded, the old ones stay in force");
                // The next attempt is made when something changes once more.
                let mut kept = TlsContext {
                    server: current.server.clone(),
                    mapping: current.mapping.clone(),
                    files: Vec::new(),
                    fingerprint: fingerprint(&settings),
                };
                kept.files = current.files.iter().map(|(path, _)| (path.clone(), changed(path))).collect();
                self.context.store(Arc::new(kept));
            }
        }
    }
}

impl TlsContext {
    pub(crate) fn load(settings: &ListenerSettings) -> Result<TlsContext, TlsError> {
        let provider = Arc::new(provider(settings)?);
        let versions = versions(settings)?;
        let verifier = client_verifier(settings, &provider)?;
        let material = key_material(settings)?;
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions)?;
        let server = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let server = server.with_single_cert(material.chain, material.key)?;
        let mapping = PrincipalMapping::parse(settings.get("ssl.principal.mapping.rules").unwrap_or("DEFAULT"));
        let mapping = mapping.map_err(|message| TlsError::Setting { key: "ssl.principal.mapping.rules", message })?;
        let files =
            ["ssl.keystore.location", "ssl.truststore.location"].into_iter().filter_map(|key| settings.get(key));
        let files = files.map(|path| (PathBuf::from(path), changed(path.as_ref()))).collect();
        Ok(TlsContext { server: Arc::new(server), mapping, files, fingerprint: fingerprint(settings) })
    }
}

/// The settings that a context is made of.
const KEYS: &[&str] = &[
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.keystore.key",
    "ssl.keystore.certificate.chain",
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.certificates",
    "ssl.client.auth",
    "ssl.enabled.protocols",
    "ssl.cipher.suites",
    "ssl.principal.mapping.rules",
];

fn fingerprint(settings: &ListenerSettings) -> Vec<Option<String>> {
    KEYS.iter().map(|key| settings.get(key).map(str::to_owned)).collect()
}

fn changed(path: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The cryptography, with the cipher suites of `ssl.cipher.suites` if there are any.
fn provider(settings: &ListenerSettings) -> Result<CryptoProvider, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    let wanted = settings.list("ssl.cipher.suites");
    if wanted.is_empty() {
        return Ok(provider);
    }
    let found: Vec<SupportedCipherSuite> = wanted
        .iter()
        .filter_map(|name| provider.cipher_suites.iter().copied().find(|suite| is_called(*suite, name)))
        .collect();
    if found.is_empty() {
        let names: Vec<String> = provider.cipher_suites.iter().map(|suite| name_of(*suite)).collect();
        let message = format!("none of these is available: {}; there are {}", wanted.join(","), names.join(","));
        return Err(TlsError::Setting { key: "ssl.cipher.suites", message });
    }
    provider.cipher_suites = found;
    Ok(provider)
}

/// Java calls the suites of TLS 1.3 without the version.
fn name_of(suite: SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

fn is_called(suite: SupportedCipherSuite, name: &str) -> bool {
    name_of(suite).eq_ignore_ascii_case(name)
}

fn versions(settings: &ListenerSettings) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let mut versions = Vec::new();
    for name in settings.list("ssl.enabled.protocols") {
        match name {
            "TLSv1.3" => versions.push(&TLS13),
            "TLSv1.2" => versions.push(&TLS12),
            "TLSv1" | "TLSv1.1" | "SSLv3" | "SSLv2Hello" => {
                tracing::warn!(protocol = name, "ssl.enabled.protocols: this version is broken and not spoken");
            }
            other => {
                let message = format!("unknown protocol {other}; there are TLSv1.2 and TLSv1.3");
                return Err(TlsError::Setting { key: "ssl.enabled.protocols", message });
            }
        }
    }
    if versions.is_empty() {
        let message = "TLSv1.2, TLSv1.3 or both are needed".to_owned();
        return Err(TlsError::Setting { key: "ssl.enabled.protocols", message });
    }
    Ok(versions)
}

fn key_material(settings: &ListenerSettings) -> Result<KeyMaterial, TlsError> {
    let failed = |key| move |source: StoreError| TlsError::Store { key, source: source.into() };
    let key_password = settings.secret("ssl.key.password");
    if let Some(chain) = settings.get("ssl.keystore.certificate.chain") {
        let Some(key) = settings.get("ssl.keystore.key") else { return Err(TlsError::NoKeyStore) };
        let text = format!("{chain}\n{key}");
        return store::key_from_pem(&text, key_password.as_ref()).map_err(failed("ssl.keystore.certificate.chain"));
    }
    let path = settings.get("ssl.keystore.location").ok_or(TlsError::NoKeyStore)?;
    let kind = StoreKind::from_name(settings.get("ssl.keystore.type").unwrap_or(""));
    let password = settings.secret("ssl.keystore.password");
    store::load_key(path.as_ref(), kind, password.as_ref(), key_password.as_ref())
        .map_err(failed("ssl.keystore.location"))
}

/// Who decides about the certificates of clients; `None` when they are not asked for one.
fn client_verifier(
    settings: &ListenerSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>, TlsError> {
    // Where SASL says who a client is, certificates are asked for only if the listener itself wants them (KIP-684).
    let key = "ssl.client.auth";
    let mode = if settings.uses_sasl() { settings.own(key) } else { settings.get(key) };
    let mode = mode.unwrap_or("none").to_lowercase();
    if mode == "none" {
        return Ok(None);
    }
    let trusted = trusted_certificates(settings)?.ok_or_else(|| TlsError::NoTrustStore(mode.clone()))?;
    let mut roots = RootCertStore::empty();
    for certificate in &trusted {
        let added = roots.add(certificate.clone());
        added.map_err(|error| TlsError::Store { key: "ssl.truststore.location", source: error.into() })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if mode == "required" { builder } else { builder.allow_unauthenticated() };
    let verifier =
        builder.build().map_err(|error| TlsError::Store { key: "ssl.truststore.location", source: error.into() })?;
    Ok(Some(Arc::new(TrustedClients::new(verifier, trusted))))
}

fn trusted_certificates(settings: &ListenerSettings) -> Result<Option<Vec<CertificateDer<'static>>>, TlsError> {
    if let Some(text) = settings.get("ssl.truststore.certificates") {
        let certificates = store::certificates_from_pem(text);
        let failed = |source: StoreError| TlsError::Store { key: "ssl.truststore.certificates", source: source.into() };
        return certificates.map(Some).map_err(failed);
    }
    let Some(path) = settings.get("ssl.truststore.location") else { return Ok(None) };
    let kind = StoreKind::from_name(settings.get("ssl.truststore.type").unwrap_or(""));
    let password = settings.secret("ssl.truststore.password");
    let loaded = store::load_certificates(path.as_ref(), kind, password.as_ref());
    loaded.map(Some).map_err(|source| TlsError::Store { key: "ssl.truststore.location", source: source.into() })
}
