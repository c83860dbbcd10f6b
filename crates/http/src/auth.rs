//! HTTP Basic authentication with the users of a property file, as Jetty's `PropertyFileLoginModule` reads it:
//! `name: password,role,role`. A password may be `MD5:` with the hash in hexadecimal, or `OBF:`.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use milena_stdx::Properties;

/// Who may use a server.
pub struct BasicAuth {
    realm: String,
    users: HashMap<String, User>,
    /// `authentication.roles`; `*` is any role.
    roles: Vec<String>,
    /// `authentication.skip.paths`
    skipped: Vec<String>,
}

struct User {
    password: Password,
    roles: Vec<String>,
}

enum Password {
    Plain(String),
    Md5(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// May go on.
    Allowed,
    /// Not known: 401.
    Unknown,
    /// Known, without a role that counts: 403.
    Forbidden,
}

/// Why users cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The file.
    #[error("users: {0}")]
    File(#[from] milena_stdx::PropertiesError),
    /// A password that nobody could give.
    #[error("users: the password of {0} is hashed in a way that is not known; there are plain, MD5: and OBF:")]
    UnknownHash(String),
}

impl BasicAuth {
    /// Reads the users of `file`.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub fn load(file: &Path, realm: &str, roles: Vec<String>, skipped: Vec<String>) -> Result<BasicAuth, AuthError> {
        let mut users = HashMap::new();
        for (name, entry) in Properties::load(file)?.iter() {
            let mut parts = entry.split(',').map(str::trim);
            let password = Password::parse(parts.next().unwrap_or_default());
            let password = password.ok_or_else(|| AuthError::UnknownHash(name.to_owned()))?;
            users.insert(name.to_owned(), User { password, roles: parts.map(str::to_owned).collect() });
        }
        Ok(BasicAuth { realm: realm.to_owned(), users, roles, skipped })
    }

    /// The challenge of a 401.
    pub fn challenge(&self) -> String {
        format!("basic realm=\"{}\"", self.realm.replace('"', ""))
    }

    /// Whether the request may go on.
    pub fn judge(&self, path: &str, headers: &HeaderMap) -> Verdict {
        if self.skipped.iter().any(|skipped| path == skipped || path.starts_with(&format!("{skipped}/"))) {
            return Verdict::Allowed;
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credentials);
        let Some((name, password)) = given else { return Verdict::Unknown };
        match self.users.get(&name) {
            Some(user) if user.password.is(&password) => {
                let counts = |role: &String| role == "*" || role == "**" || user.roles.contains(role);
                if self.roles.is_empty() || self.roles.iter().any(counts) {
                    Verdict::Allowed
                } else {
                    Verdict::Forbidden
                }
            }
            _ => Verdict::Unknown,
        }
    }
}

fn credentials(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.trim().split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(encoded.trim()).ok())??;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

impl Password {
    fn parse(text: &str) -> Option<Password> {
        match text.split_once(':') {
            Some(("MD5", hash)) => Some(Password::Md5(hash.to_ascii_lowercase())),
            Some(("OBF", hidden)) => deobfuscate(hidden).map(Password::Plain),
            Some(("CRYPT" | "ADJUSTED" | "BCRYPT", _)) => None,
            _ => Some(Password::Plain(text.to_owned())),
        }
    }

    fn is(&self, given: &str) -> bool {
        match self {
            Password::Plain(password) => same(password.as_bytes(), given.as_bytes()),
            Password::Md5(hash) => {
                let digest: [u8; 16] = Md5::digest(given.as_bytes()).into();
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                same(hash.as_bytes(), hex.as_bytes())
            }
        }
    }
}

/// Compares in a time that does not tell where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// Jetty's obfuscation: groups of four digits to the base 36, each for a byte and its mirror image.
fn deobfuscate(hidden: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(hidden.len() / 4);
    let mut rest = hidden;
    while !rest.is_empty() {
        if let Some(escaped) = rest.strip_prefix('U') {
            let group = u32::from_str_radix(escaped.get(..4)?, 36).ok()?;
            bytes.push(u8::try_from(group >> 8).ok()?);
            rest = escaped.get(4..)?;
            continue;
        }
        let group = u32::from_str_radix(rest.get(..4)?, 36).ok()?;
        let (first, second) = (group / 256, group % 256);
        bytes.push(u8::try_from((first + second).checked_sub(254)? / 2).ok()?);
        rest = rest.get(4..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &str, password: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", BASE64.encode(format!("{name}:{password}")));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        headers
    }

    fn auth(roles: &[&str]) -> BasicAuth {
        let file = tempfile::NamedTempFile::new().unwrap();
        let users = "ada: secret,admin,developer\nbob: MD5:5ebe2294ecd0e0f08eab7690d2a6ee69,viewer\neve: OBF:1igd1idv1ijn,viewer\n";
        std::fs::write(file.path(), users).unwrap();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        BasicAuth::load(file.path(), "Registry", roles, vec!["/open".to_owned()]).unwrap()
    }

    #[test]
    fn users_are_known_by_their_password_and_judged_by_their_roles() {
        let auth = auth(&["admin"]);
        assert_eq!(auth.judge("/subjects", &headers("ada", "secret")), Verdict::Allowed);
        assert_eq!(auth.judge("/subjects", &headers("ada", "wrong")), Verdict::Unknown);
        assert_eq!(auth.judge("/subjects", &headers("bob", "secret")), Verdict::Forbidden);
        assert_eq!(auth.judge("/subjects", &headers("mallory", "secret")), Verdict::Unknown);
        assert_eq!(auth.judge("/subjects", &HeaderMap::new()), Verdict::Unknown);
        assert_eq!(auth.judge("/open/x", &HeaderMap::new()), Verdict::Allowed);
        assert_eq!(auth.challenge(), "basic realm=\"Registry\"");
    }

    #[test]
    fn a_star_admits_every_role() {
        assert_eq!(auth(&["*"]).judge("/", &headers("bob", "secret")), Verdict::Allowed);
    }

    #[test]
    fn hashes_that_nobody_can_check_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "ada: CRYPT:adpexzg3FUZAk,admin\n").unwrap();
        assert!(BasicAuth::load(file.path(), "r", Vec::new(), Vec::new()).is_err());
    }
}
