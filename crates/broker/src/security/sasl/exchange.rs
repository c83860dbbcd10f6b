//! One exchange of tokens: the client speaks first, every token is answered, until one side is satisfied.

use std::sync::Arc;

use super::oauth_bearer::OAuthBearerExchange;
use super::plain;
use super::scram::ScramExchange;
use super::{AuthenticationFailed, Mechanism, SaslListener};
use crate::security::Principal;

/// What a token of the client leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Another token is expected.
    Continue(Vec<u8>),
    /// The client is who it says.
    Done(Authenticated),
}

/// The result of an exchange.
#[derive(Debug)]
pub(crate) struct Authenticated {
    /// The last token of the server.
    pub(crate) token: Vec<u8>,
    /// Who the client is.
    pub(crate) principal: Principal,
    /// When what it has shown loses its validity, in milliseconds since 1970.
    pub(crate) expires_at_ms: Option<i64>,
}

/// An exchange that is under way.
pub(crate) enum Exchange {
    Plain,
    Scram(Box<ScramExchange>),
    OAuthBearer(OAuthBearerExchange),
}

impl Exchange {
    pub(crate) fn new(mechanism: Mechanism) -> Exchange {
        match mechanism {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::Scram(mechanism) => Exchange::Scram(Box::new(ScramExchange::new(mechanism))),
            Mechanism::OAuthBearer => Exchange::OAuthBearer(OAuthBearerExchange::default()),
        }
    }

    /// Takes the client's next token.
    pub(crate) async fn step(
        &mut self,
        listener: &Arc<SaslListener>,
        token: &[u8],
    ) -> Result<Step, AuthenticationFailed> {
        match self {
            Exchange::Plain => plain::authenticate(&listener.settings(), token)
                .map(|principal| Step::Done(Authenticated { token: Vec::new(), principal, expires_at_ms: None })),
            Exchange::Scram(exchange) => exchange.step(listener, token),
            Exchange::OAuthBearer(exchange) => exchange.step(listener, token).await,
        }
    }
}
