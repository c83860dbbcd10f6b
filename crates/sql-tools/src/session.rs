//! What the shell remembers between statements and sends with each: properties and variables.

use std::collections::{BTreeMap, HashMap};

use milena_sql::ast::Statement;
use milena_sql::parser::{parse_one, substitute_variables};
use serde_json::{Value, json};

/// What properties of Kafka's clients and of Streams may be prefixed with.
const STREAMS_PREFIX: &str = "ksql.streams.";

/// A session.
#[derive(Debug, Default)]
pub struct Session {
    /// `SET` and the file of settings.
    pub properties: BTreeMap<String, String>,
    /// `DEFINE` and the command line.
    pub variables: HashMap<String, String>,
    /// The last command that this session has written: what follows shall see it.
    sequence_number: Option<i64>,
    /// Whether statements do not wait for those before them to be executed everywhere.
    pub pipelining: bool,
}

impl Session {
    /// The body of a request with `statement`.
    pub fn request(&self, statement: &str) -> Value {
        let mut body = json!({
            "ksql": statement,
            "streamsProperties": self.properties,
            "sessionVariables": self.variables,
        });
        if let Some(number) = self.sequence_number.filter(|_| !self.pipelining) {
            body["commandSequenceNumber"] = number.into();
        }
        body
    }

    /// The body of a request with a statement of the session itself, for the server to look at.
    pub fn question(&self, statement: &str) -> Value {
        json!({ "ksql": statement, "streamsProperties": {}, "sessionVariables": self.variables })
    }

    /// Notes which command an answer tells of.
    pub fn note(&mut self, answer: &Value) {
        if let Some(number) = answer["commandSequenceNumber"].as_i64().filter(|number| *number >= 0) {
            self.sequence_number = Some(number);
        }
    }

    /// The commands of another server are counted differently.
    pub fn forget_commands(&mut self) {
        self.sequence_number = None;
    }

    /// Where new queries begin, if the session says.
    pub fn offset_reset(&self) -> Option<&str> {
        let name = "auto.offset.reset";
        self.properties
            .get(name)
            .or_else(|| self.properties.get(&format!("{STREAMS_PREFIX}{name}")))
            .map(String::as_str)
    }

    /// Executes `SET`, `UNSET`, `DEFINE` or `UNDEFINE`; what to tell the user.
    ///
    /// # Errors
    /// Words about what is wrong with the statement.
    pub fn execute(&mut self, statement: &str) -> Result<Option<String>, String> {
        let statement = substitute_variables(statement, &self.variables).map_err(|error| error.to_string())?;
        match parse_one(&statement, &|_| None).map_err(|error| error.to_string())? {
            Statement::Set { name, value } => {
                let before = self.properties.insert(name.clone(), value.clone());
                let (from, hint) = match before {
                    Some(before) => (format!(" from '{before}'"), ""),
                    None => (String::new(), " Use the UNSET command to revert your change."),
                };
                Ok(Some(format!("Successfully changed local property '{name}'{from} to '{value}'.{hint}")))
            }
            Statement::Unset { name } => match self.properties.remove(&name) {
                Some(before) => Ok(Some(format!("Successfully unset local property '{name}' (value was '{before}')."))),
                None => Err(format!("Cannot unset local property '{name}' which was never set in the first place")),
            },
            Statement::Define { name, value } => {
                self.variables.insert(name.to_string(), value);
                Ok(None)
            }
            Statement::Undefine { name } => match self.variables.remove(&*name) {
                Some(_) => Ok(None),
                None => Ok(Some(format!("Cannot undefine variable '{name}' which was never defined."))),
            },
            _ => Err("The shell does not execute this statement.".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_go_with_each_request_until_they_are_unset() {
        let mut session = Session::default();
        let told = session.execute("SET 'auto.offset.reset' = 'earliest';").unwrap().unwrap();
        assert!(told.contains("'auto.offset.reset' to 'earliest'"), "{told}");
        assert_eq!(session.offset_reset(), Some("earliest"));
        assert_eq!(session.request("SHOW STREAMS;")["streamsProperties"], json!({ "auto.offset.reset": "earliest" }));
        session.execute("UNSET 'auto.offset.reset';").unwrap();
        assert_eq!(session.request("SHOW STREAMS;")["streamsProperties"], json!({}));
        assert!(session.execute("UNSET 'auto.offset.reset';").is_err());
    }

    #[test]
    fn variables_are_known_to_statements_of_the_shell() {
        let mut session = Session::default();
        session.execute("DEFINE where_from = 'earliest';").unwrap();
        session.execute("SET 'auto.offset.reset' = '${where_from}';").unwrap();
        assert_eq!(session.offset_reset(), Some("earliest"));
        session.execute("SET 'a' = '${nothing}';").unwrap();
        assert_eq!(session.properties["a"], "${nothing}");
        assert!(session.execute("DEFINE a = ${nothing};").is_err());
        assert_eq!(session.execute("UNDEFINE where_from;"), Ok(None));
        let told = session.execute("UNDEFINE where_from;").unwrap().unwrap();
        assert!(told.ends_with("which was never defined."), "{told}");
    }

    #[test]
    fn statements_wait_for_the_commands_of_the_session() {
        let mut session = Session::default();
        session.note(&json!({ "commandSequenceNumber": -1 }));
        assert_eq!(session.request("X;").get("commandSequenceNumber"), None);
        session.note(&json!({ "commandSequenceNumber": 7 }));
        assert_eq!(session.request("X;")["commandSequenceNumber"], 7);
        session.pipelining = true;
        assert_eq!(session.request("X;").get("commandSequenceNumber"), None);
    }
}
