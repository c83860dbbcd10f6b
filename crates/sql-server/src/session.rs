//! What a request brings along: properties and variables of the session of a user.

use std::collections::{BTreeMap, HashMap};

use axum::http::HeaderValue;
use milena_sql::catalog::Settings;
use serde_json::{Map, Value};

use crate::command::record::property_text;
use crate::config::STREAMS_PREFIX;
use crate::config::overrides::Override;
use crate::error::{Failure, Result};
use crate::queries::forwarding::Forwarded;

/// What servers are told apart by: never another one for a session.
pub const SERVICE_ID: &str = "ksql.service.id";

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
    /// Of the members of a request. A property that nobody knows is refused with the code `unknown`.
    ///
    /// # Errors
    /// A property that requests may not set, a value that it does not take.
    pub fn new(
        properties: Option<&Map<String, Value>>,
        variables: Option<&Map<String, Value>>,
        denied: &[String],
        unknown: i32,
    ) -> Result<Session> {
        let mut session = Session::default();
        for (name, value) in properties.into_iter().flatten() {
            let text = given_text(value);
            let property = Override::find(name).ok_or_else(|| Failure::new(unknown, unrecognized(name)))?;
            property.check_requested(&text).map_err(|reason| {
                Failure::request(format!("Failed to coerce type of value '{text}' for key '{name}'")).caused_by(&reason)
            })?;
            session.properties.insert(name.clone(), text);
        }
        check_allowed(session.properties.keys().map(String::as_str), denied).map_err(Failure::request)?;
        for (name, value) in variables.into_iter().flatten() {
            session.variables.insert(name.clone(), property_text(value));
        }
        Ok(session)
    }

    /// `SET` of a client.
    ///
    /// # Errors
    /// A property that sessions may not set, a value that it does not take.
    pub fn set(&mut self, name: &str, value: &str, denied: &[String], text: &str) -> Result<()> {
        let refused = |message| Failure::statement(message, text);
        let property = property_of(name, text)?;
        check_allowed([name].into_iter(), denied).map_err(refused)?;
        property.check_requested(value).map_err(refused)?;
        self.properties.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// `SET` of the operator, who may set everything but what tells servers apart.
    ///
    /// # Errors
    /// As [`Session::set`].
    pub fn set_as_operator(&mut self, name: &str, value: &str, text: &str) -> Result<()> {
        let refused = |message| Failure::statement(message, text);
        let property = property_of(name, text)?;
        check_allowed([name].into_iter(), &[]).map_err(refused)?;
        property.check(value).map_err(refused)?;
        self.properties.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// `UNSET`.
    ///
    /// # Errors
    /// A property that there is not.
    pub fn unset(&mut self, name: &str, text: &str) -> Result<()> {
        property_of(name, text)?;
        self.properties.remove(name);
        Ok(())
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

/// Words about a property that nobody knows.
pub fn unrecognized(name: &str) -> String {
    format!("Not recognizable as ksql, streams, consumer, or producer property: '{name}'")
}

/// Whether sessions may set properties of these names.
///
/// # Errors
/// Words about those that they may not.
pub fn check_allowed<'a>(names: impl Iterator<Item = &'a str>, denied: &[String]) -> Result<(), String> {
    fn short(name: &str) -> &str {
        name.strip_prefix(STREAMS_PREFIX).unwrap_or(name)
    }
    let is_denied = |name: &&str| *name == SERVICE_ID || denied.iter().any(|one| short(one) == short(name));
    let prohibited: Vec<&str> = names.filter(is_denied).collect();
    if prohibited.is_empty() {
        return Ok(());
    }
    Err(format!(
        "One or more properties overrides set locally are prohibited by the KSQL server denylist (use UNSET to reset their \
         default value): [{}]",
        prohibited.join(", ")
    ))
}

fn property_of(name: &str, text: &str) -> Result<Override> {
    Override::find(name).ok_or_else(|| Failure::statement(format!("Unknown property: {name}"), text))
}

/// A value of a request as text; lists are separated by commas.
fn given_text(value: &Value) -> String {
    match value {
        Value::Array(elements) => elements.iter().map(property_text).collect::<Vec<_>>().join(","),
        other => property_text(other),
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
        let properties = json!({ "auto.offset.reset": "earliest", "ksql.query.pull.max.qps": 4 });
        let session = Session::new(properties.as_object(), None, &[], Failure::BAD_REQUEST).unwrap();
        assert_eq!(stream_property(&session.settings(&server), "auto.offset.reset"), Some("earliest"));
        assert_eq!(stream_property(&server, "auto.offset.reset"), Some("latest"));
        assert_eq!(session.settings(&server).integer("ksql.query.pull.max.qps"), Some(4));
    }

    #[test]
    fn requests_bring_what_is_known_and_fits() {
        let refused =
            |properties: Value| Session::new(properties.as_object(), None, &[], Failure::BAD_REQUEST).unwrap_err();
        assert_eq!(
            refused(json!({ "auto.ofset.reset": "earliest" })).message,
            "Not recognizable as ksql, streams, consumer, or producer property: 'auto.ofset.reset'"
        );
        assert_eq!(
            refused(json!({ "auto.offset.reset": "none" })).message,
            "Failed to coerce type of value 'none' for key 'auto.offset.reset'\nCaused by: 'none' is not valid for this \
             property within KSQL"
        );
        let denied = refused(json!({ "ksql.service.id": "other" }));
        assert_eq!(
            (
                denied.code,
                denied.message.ends_with("denylist (use UNSET to reset their default value): [ksql.service.id]")
            ),
            (40000, true)
        );
    }

    #[test]
    fn some_properties_are_the_operators_alone() {
        let denied = ["ksql.streams.num.stream.threads".to_owned()];
        let mut session = Session::default();
        let text = "SET 'x' = 'y';";
        assert!(session.set("num.stream.threads", "9", &denied, text).is_err());
        assert!(session.set("auto.offset.reset", "earliest", &denied, text).is_ok());
        for (name, value) in [
            ("auto.offset.reset", "first"),
            ("auto.offset.reset", "none"),
            ("ksql.hidden.topics", "a"),
            ("ksql.source.table.materialization.enabled", "false"),
        ] {
            assert!(session.set(name, value, &denied, text).is_err(), "{name}");
        }
        let mut of_operator = Session::default();
        assert!(of_operator.set_as_operator("ksql.source.table.materialization.enabled", "false", text).is_ok());
        assert!(of_operator.set_as_operator("ksql.service.id", "other", text).is_err());
        let unknown = session.set("auto.ofset.reset", "earliest", &denied, text).unwrap_err();
        assert_eq!((unknown.code, unknown.message.as_str()), (40001, "Unknown property: auto.ofset.reset"));
        assert!(session.unset("auto.offset.reset", text).is_ok() && session.unset("nothing", text).is_err());
        assert!(session.properties.is_empty());
        let denied = ["auto.offset.reset".to_owned()];
        assert!(session.set("ksql.streams.auto.offset.reset", "earliest", &denied, text).is_err());
    }
}
