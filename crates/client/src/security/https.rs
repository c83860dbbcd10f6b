//! TLS for HTTP services of this platform, under the same property names as for Kafka's own connections.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::SecuritySettings;
use super::tls::{Tls, invalid, key_material, provider, trusted_certificates, versions};
use crate::error::{Error, Result};

/// What servers speak, by the names of ALPN, the best first.
const HTTP_VERSIONS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Whether clients must show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for one.
    None,
    /// They may show one.
    Requested,
    /// They must show one.
    Required,
}

/// What answers TLS connections with the key store of `settings`.
///
/// # Errors
/// [`Error::Config`] without a key store, and for stores that cannot be used.
pub fn acceptor(settings: &SecuritySettings, clients: ClientCertificates) -> Result<TlsAcceptor> {
    let provider = Arc::new(provider(settings)?);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(settings)?)
        .map_err(|error| invalid("ssl.enabled.protocols", error))?;
    let builder = match clients {
        ClientCertificates::None => builder.with_no_client_auth(),
        wanted => {
            let (trusted, from) = trusted_certificates(settings)?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(trusted);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier =
                if wanted == ClientCertificates::Requested { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| invalid(from, error))?)
        }
    };
    let material =
        key_material(settings)?.ok_or_else(|| Error::Config("https needs ssl.keystore.location".to_owned()))?;
    let mut config =
        builder.with_single_cert(material.chain, material.key).map_err(|error| invalid("ssl.keystore", error))?;
    config.alpn_protocols = HTTP_VERSIONS.map(|name| name.to_vec()).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What opens TLS connections to services that the trust store of `settings` vouches for.
///
/// # Errors
/// [`Error::Config`] for stores that cannot be used.
pub fn connector(settings: &SecuritySettings) -> Result<TlsConnector> {
    Ok(Tls::prepare(settings)?.connector())
}
