//! TLS on the client's side: whom to believe, and which certificate to show.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::SecuritySettings;
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
        let verifier = Verifier::prepare(settings, &provider)?;
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

/// Checks the chain as WebPKI does, the name unless told not to, and takes a server's certificate that is itself
/// in the trust store: self-signed ones are common there.
#[derive(Debug)]
struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
    check_name: bool,
}

impl Verifier {
    fn prepare(settings: &SecuritySettings, provider: &Arc<CryptoProvider>) -> Result<Verifier> {
        let (trusted, from) = trusted_certificates(settings)?;
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(trusted.iter().cloned());
        if taken == 0 {
            return Err(Error::Config(format!("{from}: there is no certificate that can be trusted")));
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| invalid(from, error))?;
        // An empty value switches the check off; a missing one leaves it on.
        let check_name = settings
            .secret("ssl.endpoint.identification.algorithm")
            .is_none_or(|value| !value.reveal().trim().is_empty());
        Ok(Verifier { chain, trusted, check_name })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if self.trusted.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) {
            if self.check_name {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: everything else is in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
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
