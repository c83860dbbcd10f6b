//! TLS on the client's side: whom to believe, and which certificate to show.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::VerifierBuilderError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsConnector;

use super::SecuritySettings;
use super::server_verifier::ServerVerifier;
use super::store::{self, KeyMaterial};
use crate::error::{Error, Result};

/// What every encrypted connection uses.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub fn prepare(settings: &SecuritySettings) -> Result<Tls> {
        let provider = Arc::new(provider(settings)?);
        let verifier = verifier(settings, Arc::clone(&provider))?;
        let versions = versions(settings)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| invalid("ssl.enabled.protocols", error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match key_material(settings)? {
            Some(material) => builder
                .with_client_auth_cert(material.chain, material.key)
                .map_err(|error| invalid("ssl.keystore", error))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Tls(Arc::new(config)))
    }

    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

/// Whom to believe, as `ssl.truststore.*` and `ssl.endpoint.identification.algorithm` say.
fn verifier(settings: &SecuritySettings, provider: Arc<CryptoProvider>) -> Result<ServerVerifier> {
    let (trusted, from) = trusted_certificates(settings)?;
    // An empty value switches the check off; a missing one leaves it on.
    let checks_name =
        settings.secret("ssl.endpoint.identification.algorithm").is_none_or(|value| !value.reveal().trim().is_empty());
    ServerVerifier::new(trusted, checks_name, provider).map_err(|error| match error {
        VerifierBuilderError::NoRootAnchors => {
            Error::Config(format!("{from}: there is no certificate that can be trusted"))
        }
        error => invalid(from, error),
    })
}

/// The cryptography, with the cipher suites of `ssl.cipher.suites` if there are any. Java calls those of TLS 1.3 without the version.
pub(super) fn provider(settings: &SecuritySettings) -> Result<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let Some(wanted) = settings.get("ssl.cipher.suites") else { return Ok(provider) };
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
    provider.cipher_suites.retain(|suite| {
        let name = suite.suite().as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1);
        wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(&name))
    });
    if provider.cipher_suites.is_empty() {
        return Err(Error::Config(format!("ssl.cipher.suites: none of {} is available", wanted.join(", "))));
    }
    Ok(provider)
}

pub(super) fn versions(settings: &SecuritySettings) -> Result<Vec<&'static rustls::SupportedProtocolVersion>> {
    let names = settings.get("ssl.enabled.protocols").unwrap_or("TLSv1.2,TLSv1.3");
    let known = |name: &str| match name.trim() {
        "TLSv1.3" => Some(&TLS13),
        "TLSv1.2" => Some(&TLS12),
        _ => None,
    };
    let versions: Vec<_> = names.split(',').filter_map(known).collect();
    if versions.is_empty() {
        return Err(Error::Config("ssl.enabled.protocols: there are TLSv1.2 and TLSv1.3".to_owned()));
    }
    Ok(versions)
}

/// The certificates to trust and where they came from; those of the system when no trust store is set.
pub(super) fn trusted_certificates(
    settings: &SecuritySettings,
) -> Result<(Vec<CertificateDer<'static>>, &'static str)> {
    const TEXT: &str = "ssl.truststore.certificates";
    const LOCATION: &str = "ssl.truststore.location";
    if let Some(text) = settings.get(TEXT) {
        let certificates = store::certificates_from_pem(text).map_err(|error| invalid(TEXT, error))?;
        return Ok((certificates, TEXT));
    }
    let Some(path) = settings.get(LOCATION) else {
        return Ok((rustls_native_certs::load_native_certs().certs, "the certificates of the system"));
    };
    let certificates = store::load_certificates(
        Path::new(path),
        settings.get("ssl.truststore.type"),
        settings.secret("ssl.truststore.password"),
    );
    Ok((certificates.map_err(|error| invalid(LOCATION, error))?, LOCATION))
}

/// The certificate to show, if one is set.
pub(super) fn key_material(settings: &SecuritySettings) -> Result<Option<KeyMaterial>> {
    let key_password = settings.secret("ssl.key.password");
    if let Some(chain) = settings.get("ssl.keystore.certificate.chain") {
        let Some(key) = settings.get("ssl.keystore.key") else {
            return Err(Error::Config("ssl.keystore.certificate.chain needs ssl.keystore.key".to_owned()));
        };
        let material = store::key_from_pem(&format!("{chain}\n{key}"), key_password);
        return material.map(Some).map_err(|error| invalid("ssl.keystore.certificate.chain", error));
    }
    let Some(path) = settings.get("ssl.keystore.location") else { return Ok(None) };
    let material = store::load_key(
        Path::new(path),
        settings.get("ssl.keystore.type"),
        settings.secret("ssl.keystore.password"),
        key_password,
    );
    material.map(Some).map_err(|error| invalid("ssl.keystore.location", error))
}

pub(super) fn invalid(key: &str, error: impl std::fmt::Display) -> Error {
    Error::Config(format!("{key}: {error}"))
}
