//! Key and trust stores: PEM, as text or in a file, and PKCS#12.
//!
//! What a file holds is told by its first bytes: Java reads PKCS#12 under the type JKS too, and so do we. A real JKS file
//! is refused with the command that converts it.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use crate::security::settings::Secret;

/// The first bytes of Java's own format, and of its relative JCEKS.
const JKS_MAGICS: [[u8; 4]; 2] = [[0xFE, 0xED, 0xFE, 0xED], [0xCE, 0xCE, 0xCE, 0xCE]];
/// The first byte of every DER structure that PKCS#12 can be.
const DER_SEQUENCE: u8 = 0x30;

/// Why a store cannot be used. Holds no secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{0} is in Java's own format JKS, which nothing else reads; convert it with: keytool -importkeystore \
         -srckeystore {0} -destkeystore {0}.p12 -deststoretype PKCS12, then set the location to the new file and the type \
         to PKCS12"
    )]
    Jks(String),
    #[error("{} is neither PEM nor PKCS#12", .0.display())]
    UnknownFormat(PathBuf),
    #[error("the type is {configured}, but {} is {found}", path.display())]
    OtherFormat { path: PathBuf, configured: &'static str, found: &'static str },
    #[error("{}: cannot be read as PKCS#12: wrong password or damaged ({source})", path.display())]
    Pkcs12 { path: PathBuf, source: p12_keystore::error::Error },
    #[error("the part {0} of the PEM text is not base64")]
    PemBody(String),
    #[error("a private key is missing")]
    NoKey,
    #[error("a certificate is missing")]
    NoCertificate,
    #[error("the private key is encrypted; set ssl.key.password")]
    NoKeyPassword,
    #[error("the private key cannot be decrypted with ssl.key.password ({0})")]
    KeyPassword(String),
}

/// A private key with the certificates that go with it, the server's own first.
pub(super) struct KeyMaterial {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// What `ssl.keystore.type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreKind {
    Pem,
    /// PKCS12, and JKS under which Java reads PKCS#12 too.
    Java,
}

impl StoreKind {
    pub(super) fn from_name(name: &str) -> StoreKind {
        if name.eq_ignore_ascii_case("PEM") { StoreKind::Pem } else { StoreKind::Java }
    }
}

/// Reads a private key and its chain from a file.
pub(super) fn load_key(
    path: &Path,
    kind: StoreKind,
    password: Option<&Secret>,
    key_password: Option<&Secret>,
) -> Result<KeyMaterial, StoreError> {
    match read(path, kind)? {
        // In a PEM file the one password is that of the key.
        Content::Pem(text) => key_from_pem(&text, key_password.or(password)),
        Content::Pkcs12(bytes) => {
            let store = open_pkcs12(path, &bytes, password)?;
            let (_, chain) = store.private_key_chain().ok_or(StoreError::NoKey)?;
            let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
            let chain: Vec<_> =
                chain.certs().iter().map(|certificate| CertificateDer::from(certificate.as_der().to_vec())).collect();
            if chain.is_empty() {
                return Err(StoreError::NoCertificate);
            }
            Ok(KeyMaterial { chain, key: key.into() })
        }
    }
}

/// Reads the trusted certificates from a file.
pub(super) fn load_certificates(
    path: &Path,
    kind: StoreKind,
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let bytes = match read(path, kind)? {
        Content::Pem(text) => return certificates_from_pem(&text),
        Content::Pkcs12(bytes) => bytes,
    };
    let store = open_pkcs12(path, &bytes, password)?;
    let mut certificates = Vec::new();
    for (_, entry) in store.entries() {
        let found = match entry {
            KeyStoreEntry::Certificate(certificate) => std::slice::from_ref(certificate),
            KeyStoreEntry::PrivateKeyChain(chain) => chain.certs(),
            KeyStoreEntry::Secret(_) => &[],
        };
        certificates.extend(found.iter().map(|certificate| CertificateDer::from(certificate.as_der().to_vec())));
    }
    if certificates.is_empty() { Err(StoreError::NoCertificate) } else { Ok(certificates) }
}

/// The certificates of a PEM text.
pub(super) fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let certificates: Result<Vec<_>, _> =
        sections(text).filter(|section| section.label == "CERTIFICATE").map(|section| section.decode()).collect();
    let certificates: Vec<_> = certificates?.into_iter().map(CertificateDer::from).collect();
    if certificates.is_empty() { Err(StoreError::NoCertificate) } else { Ok(certificates) }
}

/// The private key of a PEM text with its certificates.
pub(super) fn key_from_pem(text: &str, password: Option<&Secret>) -> Result<KeyMaterial, StoreError> {
    let chain = certificates_from_pem(text)?;
    for section in sections(text) {
        let key: PrivateKeyDer<'static> = match section.label {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(section.decode()?).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(section.decode()?).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(section.decode()?).into(),
            "ENCRYPTED PRIVATE KEY" => decrypt(&section.decode()?, password)?,
            _ => continue,
        };
        return Ok(KeyMaterial { chain, key });
    }
    Err(StoreError::NoKey)
}

fn decrypt(encrypted: &[u8], password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, StoreError> {
    let password = password.ok_or(StoreError::NoKeyPassword)?;
    let failed = |error: String| StoreError::KeyPassword(error);
    let info = pkcs8::EncryptedPrivateKeyInfoRef::try_from(encrypted).map_err(|error| failed(error.to_string()))?;
    let plain = info.decrypt(password.reveal()).map_err(|error| failed(error.to_string()))?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

enum Content {
    Pem(String),
    Pkcs12(Vec<u8>),
}

fn read(path: &Path, kind: StoreKind) -> Result<Content, StoreError> {
    let bytes = std::fs::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    if JKS_MAGICS.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(StoreError::Jks(path.display().to_string()));
    }
    let other = |configured, found| StoreError::OtherFormat { path: path.to_owned(), configured, found };
    if bytes.first() == Some(&DER_SEQUENCE) {
        return if kind == StoreKind::Java {
            Ok(Content::Pkcs12(bytes))
        } else {
            Err(other("PEM", "binary (PKCS12?)"))
        };
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN ") => {
            if kind == StoreKind::Pem {
                Ok(Content::Pem(text))
            } else {
                Err(other("JKS or PKCS12", "PEM; set the type to PEM"))
            }
        }
        _ => Err(StoreError::UnknownFormat(path.to_owned())),
    }
}

fn open_pkcs12(path: &Path, bytes: &[u8], password: Option<&Secret>) -> Result<KeyStore, StoreError> {
    let password = password.map_or("", Secret::reveal);
    // Trust stores of openssl lack the attribute by which Java marks trusted certificates.
    KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Relaxed)
        .map_err(|source| StoreError::Pkcs12 { path: path.to_owned(), source })
}

/// One `-----BEGIN label-----` with what follows up to its end.
struct Section<'a> {
    label: &'a str,
    body: &'a str,
}

impl Section<'_> {
    fn decode(&self) -> Result<Vec<u8>, StoreError> {
        // Values of properties files often come on one line, with spaces for line ends.
        let base64: String = self.body.chars().filter(|character| !character.is_whitespace()).collect();
        BASE64.decode(base64).map_err(|_| StoreError::PemBody(self.label.to_owned()))
    }
}

fn sections(text: &str) -> impl Iterator<Item = Section<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once("-----BEGIN ")?;
        let (label, after) = after.split_once("-----")?;
        let (body, after) = after.split_once("-----END ")?;
        rest = after;
        Some(Section { label, body })
    })
}
