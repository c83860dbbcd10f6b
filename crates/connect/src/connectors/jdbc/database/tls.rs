//! Encrypted connections to databases.

use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use milena_client::security::ServerVerifier;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use super::DatabaseError;

/// How much is asked of the server, in the words of PostgreSQL's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption when the server can, without looking at its certificate.
    Prefer,
    /// Encryption, without looking at the certificate.
    Require,
    /// A certificate of an authority that is trusted.
    VerifyCa,
    /// And the name of the host is in it.
    VerifyFull,
}

/// What a connection needs to be encrypted.
#[derive(Debug, Clone)]
pub(super) struct TlsSettings {
    pub mode: TlsMode,
    /// PEM file of authorities (or of the server's own certificate); `None`: those of the system.
    pub root: Option<String>,
    /// PEM file of the certificate to show.
    pub certificate: Option<String>,
    /// PEM file of its key.
    pub key: Option<String>,
}

impl TlsSettings {
    /// The configuration of a client.
    pub fn client_config(&self) -> Result<ClientConfig, DatabaseError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = verifier(self, Arc::clone(&provider))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                builder.with_client_auth_cert(chain, private_key(key)?).map_err(unusable)
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Unusable(format!("TLS: {error}"))
}

fn unreadable(path: &str, error: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Unusable(format!("{path} cannot be used: {error}"))
}

/// Certificates of a file, PEM or DER.
fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, DatabaseError> {
    let bytes = fs::read(Path::new(path)).map_err(|error| unreadable(path, error))?;
    if !bytes.starts_with(b"-----") && std::str::from_utf8(&bytes).is_err() {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unreadable(path, "there is no certificate in it")),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// The key of a file, PEM or (as pgjdbc has it) PKCS#8 in DER.
fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, DatabaseError> {
    let bytes = fs::read(Path::new(path)).map_err(|error| unreadable(path, error))?;
    if bytes.starts_with(b"-----") || std::str::from_utf8(&bytes).is_ok() {
        return PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| unreadable(path, error));
    }
    PrivateKeyDer::try_from(bytes).map_err(|error| unreadable(path, error))
}

/// Checks as much as the mode asks for.
fn verifier(settings: &TlsSettings, provider: Arc<CryptoProvider>) -> Result<ServerVerifier, DatabaseError> {
    if settings.mode < TlsMode::VerifyCa {
        return Ok(ServerVerifier::of_nobody(provider));
    }
    let trusted = match &settings.root {
        Some(path) => certificates(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    ServerVerifier::new(trusted, settings.mode == TlsMode::VerifyFull, provider).map_err(unusable)
}

/// What tokio-postgres encrypts with.
#[derive(Clone)]
pub(super) struct PostgresTls(pub Arc<ClientConfig>);

impl<S> MakeTlsConnect<S> for PostgresTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = PostgresTlsStream<S>;
    type TlsConnect = PostgresTlsConnect;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<PostgresTlsConnect, Self::Error> {
        let name = ServerName::try_from(domain.to_owned())?;
        Ok(PostgresTlsConnect { connector: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

/// A connection that is about to be encrypted.
pub(super) struct PostgresTlsConnect {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S> TlsConnect<S> for PostgresTlsConnect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = PostgresTlsStream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<PostgresTlsStream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { Ok(PostgresTlsStream(self.connector.connect(self.name, stream).await?)) })
    }
}

/// An encrypted connection.
pub(super) struct PostgresTlsStream<S>(tokio_rustls::client::TlsStream<S>);

/// SCRAM without a bound channel: the binding is over the certificate's hash, which nothing else here needs.
impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for PostgresTlsStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for PostgresTlsStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PostgresTlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
