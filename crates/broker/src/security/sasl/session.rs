//! What SASL knows about one connection, and what the connection may do next.

use std::sync::Arc;

use milena_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::exchange::{Authenticated, Exchange, Step};
use super::{AuthenticationFailed, Mechanism, SaslListener};
use crate::security::Principal;

/// What is to be done with a request on a listener with SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it.
    Serve,
    /// The frame is a token without a header (SaslHandshake v0).
    RawToken,
    /// It comes out of order: end the connection.
    OutOfOrder,
    /// The session has ended without re-authentication: end the connection.
    Expired,
}

/// The SASL state of one connection.
pub(crate) struct SaslSession {
    listener: Arc<SaslListener>,
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    /// Nothing has been agreed upon.
    #[default]
    Unauthenticated,
    /// A mechanism has been agreed upon; tokens follow. `before` is the session that is being renewed.
    Exchanging {
        mechanism: Mechanism,
        raw: bool,
        exchange: Exchange,
        before: Option<Session>,
    },
    Authenticated(Session),
    /// The connection is to be closed when what it was answered has left.
    Failed,
}

/// An authenticated session.
#[derive(Debug, Clone)]
struct Session {
    principal: Arc<Principal>,
    mechanism: Mechanism,
    /// When the connection is closed unless it is authenticated again, in milliseconds since 1970.
    expires_at_ms: Option<i64>,
}

/// The answer to a token.
#[derive(Debug)]
pub(crate) struct TokenAnswer {
    pub(crate) token: Vec<u8>,
    /// Milliseconds after which the client has to authenticate again; 0 for never.
    pub(crate) session_lifetime_ms: i64,
}

impl SaslSession {
    pub(crate) fn new(listener: Arc<SaslListener>) -> SaslSession {
        SaslSession { listener, state: Mutex::default() }
    }

    /// Who the client is, once it has said so convincingly.
    pub(crate) fn principal(&self) -> Option<Arc<Principal>> {
        match &*self.state.lock() {
            State::Authenticated(session) => Some(session.principal.clone()),
            State::Exchanging { before, .. } => before.as_ref().map(|session| session.principal.clone()),
            State::Unauthenticated | State::Failed => None,
        }
    }

    /// Whether requests of any kind are served.
    pub(crate) fn is_authenticated(&self) -> bool {
        matches!(&*self.state.lock(), State::Authenticated(_))
    }

    /// Whether the connection has to end after what it is being answered.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(&*self.state.lock(), State::Failed)
    }

    /// The most bytes a frame may have now; `None` for the listener's usual limit.
    pub(crate) fn max_frame_bytes(&self) -> Option<usize> {
        (!self.is_authenticated()).then(|| self.listener.max_receive_bytes())
    }

    /// What to do with a frame whose header says `key`.
    pub(crate) fn verdict(&self, key: Option<ApiKey>) -> Verdict {
        let early = matches!(key, Some(ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate));
        match &*self.state.lock() {
            State::Exchanging { raw: true, .. } => Verdict::RawToken,
            State::Authenticated(session) => {
                let now = self.listener.clock.now_ms();
                let expired = session.expires_at_ms.is_some_and(|at| at <= now);
                if expired && key != Some(ApiKey::SaslHandshake) { Verdict::Expired } else { Verdict::Serve }
            }
            State::Unauthenticated | State::Exchanging { .. } if early => Verdict::Serve,
            State::Unauthenticated | State::Exchanging { .. } | State::Failed => Verdict::OutOfOrder,
        }
    }

    /// Agrees upon a mechanism. The second part lists what the listener offers.
    pub(crate) fn handshake(&self, name: &str, version: i16) -> (ErrorCode, Vec<String>) {
        let offered = self.listener.enabled();
        let names = offered.iter().map(|mechanism| mechanism.name().to_owned()).collect();
        let mut state = self.state.lock();
        let before = match std::mem::replace(&mut *state, State::Failed) {
            State::Unauthenticated => None,
            State::Authenticated(session) => Some(session),
            State::Exchanging { .. } | State::Failed => return (ErrorCode::IllegalSaslState, names),
        };
        let mechanism = Mechanism::from_name(name).filter(|mechanism| offered.contains(mechanism));
        let changed = before.as_ref().is_some_and(|session| Some(session.mechanism) != mechanism);
        match mechanism {
            Some(mechanism) if !changed => {
                let exchange = Exchange::new(mechanism);
                *state = State::Exchanging { mechanism, raw: version == 0, exchange, before };
                (ErrorCode::None, names)
            }
            _ => (ErrorCode::UnsupportedSaslMechanism, names),
        }
    }

    /// Takes a token of the client.
    ///
    /// # Errors
    /// The code and message of the refusal; unless the client was authenticated before, the connection has to end.
    pub(crate) async fn token(&self, token: &[u8]) -> Result<TokenAnswer, (ErrorCode, String)> {
        // Taken out, because an exchange may wait for the keys of an identity provider.
        let taken = std::mem::replace(&mut *self.state.lock(), State::Failed);
        let (mechanism, raw, mut exchange, before) = match taken {
            State::Exchanging { mechanism, raw, exchange, before } => (mechanism, raw, exchange, before),
            State::Authenticated(session) => {
                *self.state.lock() = State::Authenticated(session);
                let message = "SaslAuthenticate request received after successful authentication";
                return Err((ErrorCode::IllegalSaslState, message.to_owned()));
            }
            State::Unauthenticated | State::Failed => {
                let message = "SaslAuthenticate request received before SaslHandshake";
                return Err((ErrorCode::IllegalSaslState, message.to_owned()));
            }
        };
        let failed = |failure: AuthenticationFailed| (ErrorCode::SaslAuthenticationFailed, failure.0);
        match exchange.step(&self.listener, token).await.map_err(failed)? {
            Step::Continue(token) => {
                *self.state.lock() = State::Exchanging { mechanism, raw, exchange, before };
                Ok(TokenAnswer { token, session_lifetime_ms: 0 })
            }
            Step::Done(authenticated) => {
                let token = authenticated.token.clone();
                let session_lifetime_ms = self.complete(mechanism, authenticated, before).map_err(failed)?;
                Ok(TokenAnswer { token, session_lifetime_ms })
            }
        }
    }

    fn complete(
        &self,
        mechanism: Mechanism,
        authenticated: Authenticated,
        before: Option<Session>,
    ) -> Result<i64, AuthenticationFailed> {
        if let Some(before) = before
            && !before.principal.is_same(&authenticated.principal)
        {
            return Err(AuthenticationFailed(format!(
                "Cannot change principals during re-authentication from {} to {}",
                before.principal, authenticated.principal
            )));
        }
        let now = self.listener.clock.now_ms();
        let of_credential = authenticated.expires_at_ms.map(|at| at - now);
        let of_listener = self.listener.max_reauth_ms(mechanism);
        let lifetime = [of_credential, of_listener].into_iter().flatten().min().map(|lifetime| lifetime.max(0));
        let session = Session {
            principal: Arc::new(authenticated.principal),
            mechanism,
            expires_at_ms: lifetime.map(|lifetime| now.saturating_add(lifetime)),
        };
        *self.state.lock() = State::Authenticated(session);
        Ok(lifetime.unwrap_or(0))
    }

    pub(crate) fn listener(&self) -> &Arc<SaslListener> {
        &self.listener
    }
}
