//! SASL: how a client proves who it is, one exchange of tokens a connection, and again before the session ends (KIP-368).
//!
//! ```text
//! SaslHandshake {mechanism} ──► SaslAuthenticate {token} ... ──► Authenticated ──► every other API
//!        ▲      (v0: raw tokens without a header)                    │
//!        └──────────────── re-authentication, same principal ────────┘
//! ```
//!
//! - [`SaslListener`] knows which mechanisms a listener offers and where their credentials are
//! - [`SaslSession`] is the state of one connection; anything out of order ends it
//!
//! Deliberately absent: GSSAPI (Kerberos).

mod exchange;
mod jaas;
mod jwks;
mod jwt;
mod oauth_bearer;
mod plain;
mod scram;
mod session;

use std::sync::Arc;
use std::time::Duration;

use milena_metadata::Controller;
use milena_metadata::scram::ScramMechanism;
use milena_stdx::Clock;
use parking_lot::Mutex;

use jwks::Jwks;
pub(crate) use session::{SaslSession, TokenAnswer, Verdict};

use super::settings::ListenerSettings;

/// Why a listener cannot offer SASL.
#[derive(Debug, thiserror::Error)]
pub enum SaslSetupError {
    /// Kerberos.
    #[error(
        "sasl.enabled.mechanisms: GSSAPI (Kerberos) is not available; set it to any of PLAIN, SCRAM-SHA-256, \
         SCRAM-SHA-512 and OAUTHBEARER (GSSAPI is the default when nothing is set)"
    )]
    Kerberos,
    /// Nothing that is known.
    #[error("sasl.enabled.mechanisms: unknown mechanism {0}")]
    UnknownMechanism(String),
    /// A mechanism lacks something.
    #[error("{mechanism}: {message}")]
    Mechanism {
        /// The mechanism.
        mechanism: &'static str,
        /// What is missing or wrong.
        message: String,
    },
}

/// A refusal that the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AuthenticationFailed(pub(crate) String);

impl AuthenticationFailed {
    pub(crate) fn invalid_credentials(mechanism: Mechanism) -> AuthenticationFailed {
        let name = mechanism.name();
        AuthenticationFailed(format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism {name}"
        ))
    }
}

/// A mechanism that is implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    Scram(ScramMechanism),
    OAuthBearer,
}

impl Mechanism {
    pub(crate) fn from_name(name: &str) -> Option<Mechanism> {
        match name {
            "PLAIN" => Some(Mechanism::Plain),
            "OAUTHBEARER" => Some(Mechanism::OAuthBearer),
            other => ScramMechanism::from_name(other).map(Mechanism::Scram),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(mechanism) => mechanism.name(),
            Mechanism::OAuthBearer => "OAUTHBEARER",
        }
    }
}

/// SASL on one listener.
pub(crate) struct SaslListener {
    pub(crate) name: String,
    pub(crate) controller: Arc<Controller>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The keys of the identity provider, fetched on first use and kept.
    jwks: Mutex<Option<Arc<Jwks>>>,
}

impl SaslListener {
    /// Checks that everything the listener offers can be offered.
    pub(crate) fn open(
        controller: Arc<Controller>,
        clock: Arc<dyn Clock>,
        listener: &str,
    ) -> Result<SaslListener, SaslSetupError> {
        let opened = SaslListener { name: listener.to_owned(), controller, clock, jwks: Mutex::default() };
        let settings = opened.settings();
        let names = settings.list("sasl.enabled.mechanisms");
        if names.is_empty() || names.contains(&"GSSAPI") {
            return Err(SaslSetupError::Kerberos);
        }
        for name in names {
            let mechanism =
                Mechanism::from_name(name).ok_or_else(|| SaslSetupError::UnknownMechanism(name.to_owned()))?;
            let checked = match mechanism {
                Mechanism::Plain => plain::users(&settings).map(|_| ()),
                Mechanism::Scram(_) => Ok(()),
                Mechanism::OAuthBearer => oauth_bearer::check(&settings),
            };
            checked.map_err(|message| SaslSetupError::Mechanism { mechanism: mechanism.name(), message })?;
        }
        Ok(opened)
    }

    pub(crate) fn settings(&self) -> ListenerSettings {
        ListenerSettings::new(self.controller.image(), &self.name)
    }

    /// The mechanisms that clients may use now.
    pub(crate) fn enabled(&self) -> Vec<Mechanism> {
        let settings = self.settings();
        settings.list("sasl.enabled.mechanisms").into_iter().filter_map(Mechanism::from_name).collect()
    }

    /// Frames of clients that are not authenticated may have this many bytes.
    pub(crate) fn max_receive_bytes(&self) -> usize {
        self.settings().number("sasl.server.max.receive.size", 512 * 1024)
    }

    /// How long a failure is kept from the client, so that guessing takes time.
    pub(crate) fn failure_delay(&self) -> Duration {
        Duration::from_millis(self.settings().number("connection.failed.authentication.delay.ms", 100))
    }

    /// `connections.max.reauth.ms` for a mechanism; `None` for never.
    pub(crate) fn max_reauth_ms(&self, mechanism: Mechanism) -> Option<i64> {
        let settings = self.settings();
        let text = settings.of_mechanism(mechanism.name(), "connections.max.reauth.ms")?;
        text.parse().ok().filter(|ms| *ms > 0)
    }

    /// The keys of the identity provider at `url`, shared by all connections.
    fn jwks(&self, url: &str) -> Arc<Jwks> {
        let mut kept = self.jwks.lock();
        match &*kept {
            Some(jwks) if jwks.url() == url => jwks.clone(),
            _ => kept.insert(Arc::new(Jwks::new(url))).clone(),
        }
    }
}
