//! Which certificates of clients are believed: those that a trusted authority signed, and, as in Java, a certificate that
//! is itself in the trust store.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// A verifier that also knows certificates by heart.
#[derive(Debug)]
pub(super) struct TrustedClients {
    authorities: Arc<dyn ClientCertVerifier>,
    known: Vec<CertificateDer<'static>>,
}

impl TrustedClients {
    pub(super) fn new(authorities: Arc<dyn ClientCertVerifier>, known: Vec<CertificateDer<'static>>) -> TrustedClients {
        TrustedClients { authorities, known }
    }

    fn is_valid_now(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        use x509_parser::prelude::{FromDer as _, X509Certificate};
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
        let validity = parsed.validity();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
    }
}

impl ClientCertVerifier for TrustedClients {
    fn offer_client_auth(&self) -> bool {
        self.authorities.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.authorities.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.known.iter().any(|known| known == end_entity) && TrustedClients::is_valid_now(end_entity, now) {
            return Ok(ClientCertVerified::assertion());
        }
        self.authorities.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
