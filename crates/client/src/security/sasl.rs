//! SASL mechanisms: who to be, and what to say to the broker's questions.

use super::jaas::LoginModule;
use super::oauth_bearer::{OAuthExchange, TokenSource};
use super::scram::{ScramExchange, ScramHash, ScramLogin};
use super::{Secret, SecuritySettings};
use crate::error::{Error, Result};

/// A mechanism with its credentials.
#[derive(Debug)]
pub(crate) enum Mechanism {
    /// User and password as they are (RFC 4616).
    Plain { username: String, password: Secret },
    /// A challenge about the password.
    Scram(ScramLogin),
    /// A token (RFC 7628).
    OAuthBearer(TokenSource),
}

/// One authentication under way.
pub(crate) enum Exchange {
    /// The only message, until it was sent.
    Plain(Option<Vec<u8>>),
    Scram(Box<ScramExchange>),
    OAuthBearer(OAuthExchange),
}

impl Mechanism {
    pub fn prepare(settings: &SecuritySettings) -> Result<Mechanism> {
        let name = settings.get("sasl.mechanism").unwrap_or("GSSAPI");
        let known = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
        if !known.contains(&name) {
            return Err(Error::Config(format!(
                "sasl.mechanism={name} is not available; there are {}",
                known.join(", ")
            )));
        }
        let jaas = settings.secret("sasl.jaas.config").ok_or_else(|| {
            Error::Config(
                "Could not find a 'KafkaClient' entry in the JAAS configuration: set sasl.jaas.config".to_owned(),
            )
        })?;
        let module = LoginModule::parse(jaas.reveal())?;
        let login = || -> Result<(String, Secret)> {
            match (module.get("username"), module.get("password")) {
                (Some(username), Some(password)) => Ok((username.to_owned(), Secret::new(password))),
                _ => Err(Error::Config(format!("sasl.jaas.config of {name} needs username and password"))),
            }
        };
        let scram = |hash| -> Result<Mechanism> {
            let (username, password) = login()?;
            let is_token = module.get("tokenauth").is_some_and(|value| value.eq_ignore_ascii_case("true"));
            Ok(Mechanism::Scram(ScramLogin { hash, username, password, is_token }))
        };
        match name {
            "PLAIN" => login().map(|(username, password)| Mechanism::Plain { username, password }),
            "SCRAM-SHA-256" => scram(ScramHash::Sha256),
            "SCRAM-SHA-512" => scram(ScramHash::Sha512),
            _ => Ok(Mechanism::OAuthBearer(TokenSource::prepare(settings, &module)?)),
        }
    }

    /// The name that SaslHandshake carries.
    pub fn name(&self) -> &'static str {
        match self {
            Mechanism::Plain { .. } => "PLAIN",
            Mechanism::Scram(ScramLogin { hash: ScramHash::Sha256, .. }) => "SCRAM-SHA-256",
            Mechanism::Scram(ScramLogin { hash: ScramHash::Sha512, .. }) => "SCRAM-SHA-512",
            Mechanism::OAuthBearer(_) => "OAUTHBEARER",
        }
    }

    /// Begins an authentication; a token is fetched when there is none that lasts.
    ///
    /// # Errors
    /// [`Error::Authentication`] when there is no token.
    pub async fn begin(&self) -> Result<Exchange> {
        Ok(match self {
            Mechanism::Plain { username, password } => {
                Exchange::Plain(Some(format!("\0{username}\0{}", password.reveal()).into_bytes()))
            }
            Mechanism::Scram(login) => Exchange::Scram(Box::new(ScramExchange::new(login.clone())?)),
            Mechanism::OAuthBearer(source) => Exchange::OAuthBearer(source.exchange().await?),
        })
    }
}

impl Exchange {
    /// The answer to the broker's `token` (empty at first); `None` when there is nothing left to say.
    ///
    /// # Errors
    /// [`Error::Authentication`] when the broker cannot be believed.
    pub fn step(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            Exchange::Plain(message) => Ok(message.take()),
            Exchange::Scram(exchange) => exchange.step(token),
            Exchange::OAuthBearer(exchange) => Ok(exchange.step(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mechanism(properties: &[(&str, &str)]) -> Result<Mechanism> {
        let mut settings = SecuritySettings::default();
        for (key, value) in properties {
            settings.set(key, value).unwrap();
        }
        Mechanism::prepare(&settings)
    }

    #[tokio::test]
    async fn plain_says_user_and_password_once() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"a\" password=\"b c\";";
        let mechanism = mechanism(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", jaas)]).unwrap();
        let mut exchange = mechanism.begin().await.unwrap();
        assert_eq!(exchange.step(b"").unwrap().unwrap(), b"\0a\0b c");
        assert!(exchange.step(b"").unwrap().is_none());
        assert!(!format!("{mechanism:?}").contains("b c"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |properties: &[(&str, &str)]| mechanism(properties).unwrap_err().to_string();
        assert!(message(&[]).contains("GSSAPI is not available"));
        assert!(message(&[("sasl.mechanism", "PLAIN")]).contains("sasl.jaas.config"));
        let empty = "x.ScramLoginModule required;";
        assert!(message(&[("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", empty)]).contains("username"));
    }
}
