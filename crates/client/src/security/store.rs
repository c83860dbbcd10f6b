//! Key and trust stores: PEM as text or in a file, and PKCS#12, under the type JKS too as Java reads it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::Secret;

/// How Java's own format begins.
const JKS_MAGIC: [u8; 4] = [0xFE, 0xED, 0xFE, 0xED];
/// How PKCS#12 begins.
const DER_SEQUENCE: u8 = 0x30;

/// Why a store cannot be used. Holds no secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0} is in Java's own format JKS; convert it with keytool -importkeystore -deststoretype PKCS12")]
    Jks(String),
    #[error("{0} is not of the type {1}")]
    OtherFormat(String, &'static str),
    #[error("{}: wrong password or damaged ({source})", path.display())]
    Pkcs12 { path: PathBuf, source: p12_keystore::error::Error },
    #[error("a part of the PEM text is not base64")]
    PemBody,
    #[error("there is no private key")]
    NoKey,
    #[error("there is no certificate")]
    NoCertificate,
    #[error("the private key is encrypted: set ssl.key.password")]
    NoKeyPassword,
    #[error("the private key cannot be decrypted with ssl.key.password ({0})")]
    KeyPassword(String),
}

/// A private key with its certificates, its own first.
pub(super) struct KeyMaterial {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Reads a private key and its chain from a file of type `kind`, JKS by default.
pub(super) fn load_key(
    path: &Path,
    kind: Option<&str>,
    password: Option<&Secret>,
    key_password: Option<&Secret>,
) -> Result<KeyMaterial, StoreError> {
    match read(path, kind)? {
        Content::Pem(text) => key_from_pem(&text, key_password.or(password)),
        Content::Pkcs12(bytes) => {
            let store = open(path, &bytes, password)?;
            let (_, entry) = store.private_key_chain().ok_or(StoreError::NoKey)?;
            let certificate =
                |certificate: &p12_keystore::Certificate| CertificateDer::from(certificate.as_der().to_vec());
            let chain: Vec<_> = entry.certs().iter().map(certificate).collect();
            let key = PrivatePkcs8KeyDer::from(entry.key().as_der().to_vec()).into();
            if chain.is_empty() { Err(StoreError::NoCertificate) } else { Ok(KeyMaterial { chain, key }) }
        }
    }
}

/// Reads trusted certificates from a file of type `kind`, JKS by default.
pub(super) fn load_certificates(
    path: &Path,
    kind: Option<&str>,
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let bytes = match read(path, kind)? {
        Content::Pem(text) => return certificates_from_pem(&text),
        Content::Pkcs12(bytes) => bytes,
    };
    let store = open(path, &bytes, password)?;
    let mut certificates = Vec::new();
    for (_, entry) in store.entries() {
        let found = match entry {
            KeyStoreEntry::Certificate(certificate) => std::slice::from_ref(certificate),
            KeyStoreEntry::PrivateKeyChain(chain) => chain.certs(),
            KeyStoreEntry::Secret(_) => &[],
        };
        certificates.extend(found.iter().map(|found| CertificateDer::from(found.as_der().to_vec())));
    }
    if certificates.is_empty() { Err(StoreError::NoCertificate) } else { Ok(certificates) }
}

/// The certificates of a PEM text.
pub(super) fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let mut certificates = Vec::new();
    for (label, body) in sections(text) {
        if label == "CERTIFICATE" {
            certificates.push(CertificateDer::from(decode(body)?));
        }
    }
    if certificates.is_empty() { Err(StoreError::NoCertificate) } else { Ok(certificates) }
}

/// The private key of a PEM text with its certificates.
pub(super) fn key_from_pem(text: &str, password: Option<&Secret>) -> Result<KeyMaterial, StoreError> {
    let chain = certificates_from_pem(text)?;
    for (label, body) in sections(text) {
        let key: PrivateKeyDer<'static> = match label {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(decode(body)?).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(decode(body)?).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(decode(body)?).into(),
            "ENCRYPTED PRIVATE KEY" => decrypt(&decode(body)?, password)?,
            _ => continue,
        };
        return Ok(KeyMaterial { chain, key });
    }
    Err(StoreError::NoKey)
}

fn decrypt(encrypted: &[u8], password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, StoreError> {
    let password = password.ok_or(StoreError::NoKeyPassword)?;
    let info = pkcs8::EncryptedPrivateKeyInfoRef::try_from(encrypted);
    let info = info.map_err(|error| StoreError::KeyPassword(error.to_string()))?;
    let plain = info.decrypt(password.reveal()).map_err(|error| StoreError::KeyPassword(error.to_string()))?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

enum Content {
    Pem(String),
    Pkcs12(Vec<u8>),
}

fn read(path: &Path, kind: Option<&str>) -> Result<Content, StoreError> {
    let bytes = std::fs::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let wants_pem = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("PEM"));
    if bytes.starts_with(&JKS_MAGIC) {
        return Err(StoreError::Jks(name));
    }
    match (wants_pem, bytes.first() == Some(&DER_SEQUENCE)) {
        (false, true) => Ok(Content::Pkcs12(bytes)),
        (true, false) => String::from_utf8(bytes).map(Content::Pem).map_err(|_| StoreError::OtherFormat(name, "PEM")),
        (true, true) => Err(StoreError::OtherFormat(name, "PEM")),
        (false, false) => Err(StoreError::OtherFormat(name, "PKCS12")),
    }
}

fn open(path: &Path, bytes: &[u8], password: Option<&Secret>) -> Result<KeyStore, StoreError> {
    // Trust stores of openssl lack the attribute by which Java marks trusted certificates.
    KeyStore::from_pkcs12(bytes, password.map_or("", Secret::reveal), Pkcs12ImportPolicy::Relaxed)
        .map_err(|source| StoreError::Pkcs12 { path: path.to_owned(), source })
}

fn decode(body: &str) -> Result<Vec<u8>, StoreError> {
    // Values of properties files often come on one line, with blanks for line ends.
    let base64: String = body.chars().filter(|character| !character.is_whitespace()).collect();
    BASE64.decode(base64).map_err(|_| StoreError::PemBody)
}

/// Label and body of each part of a PEM text.
fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (label, after) = rest.split_once("-----BEGIN ")?.1.split_once("-----")?;
        let (body, after) = after.split_once("-----END ")?;
        rest = after;
        Some((label, body))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_on_one_line_is_read_too() {
        let text = "-----BEGIN CERTIFICATE----- AQID BA== -----END CERTIFICATE-----";
        assert_eq!(certificates_from_pem(text).unwrap(), [CertificateDer::from(vec![1, 2, 3, 4])]);
        assert!(matches!(certificates_from_pem("nothing"), Err(StoreError::NoCertificate)));
        assert!(matches!(key_from_pem(text, None), Err(StoreError::NoKey)));
    }

    #[test]
    fn a_file_of_another_type_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----").unwrap();
        assert!(matches!(load_certificates(file.path(), None, None), Err(StoreError::OtherFormat(_, "PKCS12"))));
        std::fs::write(file.path(), JKS_MAGIC).unwrap();
        assert!(matches!(load_certificates(file.path(), None, None), Err(StoreError::Jks(_))));
    }
}
