//! Where a server listens, with which certificates, and for whom: `listeners`, `ssl.*`, `authentication.*`, `access.control.*`.

use std::net::IpAddr;
use std::path::PathBuf;

use milena_client::security::SecuritySettings;
use milena_client::security::https::{self, ClientCertificates};
use tokio_rustls::TlsAcceptor;

use super::{ConfigError, Sources, jaas_file};
use crate::auth::BasicAuth;
use crate::cors::Cors;

/// A place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Whether it speaks TLS.
    pub secure: bool,
    /// `host:port`.
    pub address: String,
}

impl Listener {
    /// `http://host:port`; without a host every interface is meant.
    ///
    /// # Errors
    /// Another scheme, or no port.
    pub fn parse(text: &str) -> Result<Listener, ConfigError> {
        let refuse = |reason: &str| ConfigError::Unusable {
            key: "listeners",
            value: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (scheme, address) =
            text.split_once("://").ok_or_else(|| refuse("a URL such as http://127.0.0.1:8081 is expected"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(refuse("listeners speak http or https")),
        };
        let address = address.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').ok_or_else(|| refuse("the port is missing"))?;
        if port.parse::<u16>().is_err() {
            return Err(refuse("the port is not a number from 0 to 65535"));
        }
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        Ok(Listener { secure, address: format!("{host}:{port}") })
    }
}

impl Sources {
    /// `listeners`
    ///
    /// # Errors
    /// One that cannot be read.
    pub fn listeners(&self) -> Result<Vec<Listener>, ConfigError> {
        self.list("listeners").iter().map(|listener| Listener::parse(listener)).collect()
    }

    /// `ssl.*`
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn security(&self) -> Result<SecuritySettings, ConfigError> {
        let mut settings = SecuritySettings::default();
        for (key, value) in self.set_keys().filter(|(key, _)| key.starts_with("ssl.")) {
            settings.set(key, value)?;
        }
        Ok(settings)
    }

    /// What `https://` listeners need; `None` when there are none.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub fn tls(&self, listeners: &[Listener], security: &SecuritySettings) -> Result<Option<TlsAcceptor>, ConfigError> {
        let is_secure = listeners.iter().any(|listener| listener.secure);
        Ok(is_secure.then(|| https::acceptor(security, self.client_certificates())).transpose()?)
    }

    fn client_certificates(&self) -> ClientCertificates {
        match self.text("ssl.client.authentication").to_ascii_uppercase().as_str() {
            "REQUIRED" => ClientCertificates::Required,
            "REQUESTED" => ClientCertificates::Requested,
            _ if self.flag("ssl.client.auth") => ClientCertificates::Required,
            _ => ClientCertificates::None,
        }
    }

    /// `access.control.allow.*`
    pub fn cors(&self) -> Cors {
        Cors {
            allow_origin: self.text("access.control.allow.origin"),
            allow_methods: self.text("access.control.allow.methods"),
            allow_headers: self.text("access.control.allow.headers"),
        }
    }

    /// `authentication.*`; `None`: everybody may use the server.
    ///
    /// # Errors
    /// Users that are nowhere or cannot be read.
    pub fn users(&self) -> Result<Option<BasicAuth>, ConfigError> {
        if !self.text("authentication.method").eq_ignore_ascii_case("BASIC") {
            return Ok(None);
        }
        self.users_of_realm(&self.text("authentication.realm")).map(Some)
    }

    /// The users of `milena.authentication.file`, or of the file that the section `realm` of the JAAS file names.
    ///
    /// # Errors
    /// Users that are nowhere or cannot be read.
    pub fn users_of_realm(&self, realm: &str) -> Result<BasicAuth, ConfigError> {
        const FILE: &str = "milena.authentication.file";
        let named = self.non_empty(FILE).map(PathBuf::from);
        let of_jaas = || self.jaas_file.as_deref().and_then(|file| jaas_file::users_file(file, realm));
        let file = named.or_else(of_jaas).ok_or(ConfigError::Missing(FILE))?;
        let roles = self.list("authentication.roles");
        Ok(BasicAuth::load(&file, realm, roles, self.list("authentication.skip.paths"))?)
    }
}

/// The host under which others reach a server that listens at `address`: that, or the name of the machine for every interface.
pub fn announced_host(address: Option<IpAddr>) -> String {
    match address {
        Some(ip) if !ip.is_unspecified() => ip.to_string(),
        _ => machine_name(),
    }
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
