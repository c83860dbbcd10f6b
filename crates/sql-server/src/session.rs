//! What a request brings along: properties and variables of the session of a user.

use std::collections::{BTreeMap, HashMap};

use axum::http::HeaderValue;
use milena_sql::catalog::Settings;
use serde_json::{Map, Value};

use crate::command::record::property_text;
use crate::config::STREAMS_PREFIX;
use crate::error::{Failure, Result};
use crate::queries::forwarding::Forwarded;

/// A session. Servers keep none: clients send theirs with every request.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Properties over those of the server.
    pub properties: BTreeMap<String, String>,
    /// Variables by name.
    pub variables: HashMap<String, String>,
    /// The credentials of the user, for other servers that have to be asked.
    pub authorization: Option<HeaderValue>,
    /// What is wanted, if another server of the service has sent the request.
    pub forwarded: Option<Forwarded>,
    /// Whether another server of the service asks what this one alone knows.
    pub is_internal: bool,
}

impl Session {
    /// Of the members of a request.
    ///
    /// # Errors
    /// A property that sessions may not set.
    pub fn new(
        properties: Option<&Map<String, Value>>,
        variables: Option<&Map<String, Value>>,
        denied: &[String],
    ) -> Result<Session> {
        let mut session = Session::default();
        for (name, value) in properties.into_iter().flatten() {
            session.set(name, property_text(value), denied)?;
        }
        for (name, value) in variables.into_iter().flatten() {
            session.variables.insert(name.clone(), property_text(value));
        }
        Ok(session)
    }

    /// `SET`. A null takes the property back.
    ///
    /// # Errors
    /// A property that sessions may not set.
    pub fn set(&mut self, name: &str, value: String, denied: &[String]) -> Result<()> {
        if denied.iter().any(|one| one == name || one.strip_prefix(STREAMS_PREFIX) == Some(name)) {
            return Err(Failure::new(
                Failure::BAD_REQUEST,
                format!("Cannot override property '{name}' because it is in the denylist"),
            ));
        }
        self.properties.insert(name.to_owned(), value);
        Ok(())
    }

    /// `UNSET`; whether it was set.
    pub fn unset(&mut self, name: &str) -> bool {
        self.properties.remove(name).is_some()
    }

    /// What statements of the session are executed with.
    pub fn settings(&self, server: &Settings) -> Settings {
        let mut settings = server.clone();
        for (name, value) in &self.properties {
            settings.set(name.clone(), value.clone());
        }
        settings
    }
}

/// A property that is known with and without [`STREAMS_PREFIX`]; what was set without wins, for sessions do so.
pub fn stream_property<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings.get(name).or_else(|| settings.get(&format!("{STREAMS_PREFIX}{name}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_of_the_session_stand_over_those_of_the_server() {
        let mut server = Settings::default();
        server.set("ksql.streams.auto.offset.reset", "latest");
        let properties = json!({ "auto.offset.reset": "earliest", "ksql.n": 4 });
        let session = Session::new(properties.as_object(), None, &[]).unwrap();
        assert_eq!(stream_property(&session.settings(&server), "auto.offset.reset"), Some("earliest"));
        assert_eq!(stream_property(&server, "auto.offset.reset"), Some("latest"));
        assert_eq!(session.settings(&server).integer("ksql.n"), Some(4));
    }

    #[test]
    fn some_properties_are_the_operators_alone() {
        let denied = ["ksql.streams.num.stream.threads".to_owned()];
        let mut session = Session::default();
        assert!(session.set("num.stream.threads", "9".to_owned(), &denied).is_err());
        assert!(session.set("auto.offset.reset", "earliest".to_owned(), &denied).is_ok());
        assert!(session.unset("auto.offset.reset") && !session.unset("auto.offset.reset"));
    }
}
