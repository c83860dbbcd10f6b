//! Connector files of standalone mode: JSON maps, create requests, or properties.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use milena_stdx::{Properties, PropertiesError};
use serde_json::{Map, Value};

use crate::herder::{GivenSettings, Herder, HerderError};
use crate::worker::TargetState;

/// Why the connector of a file was not started.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorFileError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is no properties file.
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    /// It names no connector.
    #[error("{}: no name is given", .path.display())]
    NoName {
        /// Which file.
        path: PathBuf,
    },
    /// The connector was refused.
    #[error("{}: {source}", .path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: HerderError,
    },
}

/// A connector as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorFile {
    /// Its name.
    pub name: String,
    /// Its settings, the name among them.
    pub config: GivenSettings,
    /// What it begins with.
    pub target: Option<TargetState>,
}

impl ConnectorFile {
    /// Reads a file: tried in this order as a JSON map of settings, as a create request, as properties.
    ///
    /// # Errors
    /// See [`ConnectorFileError`].
    pub fn load(path: &Path) -> Result<ConnectorFile, ConnectorFileError> {
        let unreadable = |source| ConnectorFileError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        if let Ok(Value::Object(map)) = serde_json::from_str(&text) {
            let read = of_map(&map).or_else(|| of_request(&map));
            return read.ok_or_else(|| ConnectorFileError::NoName { path: path.to_owned() });
        }
        let properties = Properties::load(path)?;
        let config: GivenSettings =
            properties.iter().map(|(key, value)| (key.to_owned(), Some(value.trim_end().to_owned()))).collect();
        let name = config.get("name").cloned().flatten().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| ConnectorFileError::NoName { path: path.to_owned() })?;
        Ok(ConnectorFile { name, config, target: None })
    }

    /// Starts the connector.
    ///
    /// # Errors
    /// See [`ConnectorFileError`].
    pub async fn start(self, path: &Path, herder: &Arc<Herder>) -> Result<(), ConnectorFileError> {
        let refused = |source| ConnectorFileError::Refused { path: path.to_owned(), source };
        herder.put_connector(&self.name, self.config, self.target, true).await.map_err(refused)?;
        Ok(())
    }
}

fn of_map(map: &Map<String, Value>) -> Option<ConnectorFile> {
    let config = texts(map)?;
    let name = config.get("name").cloned().flatten()?;
    Some(ConnectorFile { name, config, target: None })
}

fn of_request(map: &Map<String, Value>) -> Option<ConnectorFile> {
    let name = map.get("name")?.as_str()?.to_owned();
    let mut config = texts(map.get("config")?.as_object()?)?;
    match config.get("name").cloned().flatten() {
        Some(included) if included != name => return None,
        _ => config.insert("name".to_owned(), Some(name.clone())),
    };
    let target = match map.get("initial_state").and_then(Value::as_str).map(str::to_ascii_uppercase).as_deref() {
        Some("PAUSED") => Some(TargetState::Paused),
        Some("STOPPED") => Some(TargetState::Stopped),
        Some("RUNNING") => Some(TargetState::Started),
        _ => None,
    };
    Some(ConnectorFile { name, config, target })
}

fn texts(map: &Map<String, Value>) -> Option<GivenSettings> {
    let text = |(key, value): (&String, &Value)| match value {
        Value::Null => Some((key.clone(), None)),
        Value::String(text) => Some((key.clone(), Some(text.clone()))),
        Value::Bool(_) | Value::Number(_) => Some((key.clone(), Some(value.to_string()))),
        Value::Array(_) | Value::Object(_) => None,
    };
    map.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<ConnectorFile, ConnectorFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        ConnectorFile::load(file.path())
    }

    #[test]
    fn a_connector_is_described_in_three_ways() {
        let properties = load("name=a\nconnector.class = FileStreamSource\ntasks.max: 1 \n").unwrap();
        assert_eq!((properties.name.as_str(), properties.config["tasks.max"].as_deref()), ("a", Some("1")));
        assert_eq!(load(r#"{"name":"b","tasks.max":1}"#).unwrap().config["tasks.max"].as_deref(), Some("1"));
        let request = load(r#"{"name":"c","config":{"x":"y"},"initial_state":"STOPPED","more":[]}"#).unwrap();
        assert_eq!((request.name.as_str(), request.target), ("c", Some(TargetState::Stopped)));
        assert_eq!(request.config["name"].as_deref(), Some("c"));
        for wrong in ["connector.class=x", "{}", r#"{"name":"c","config":{"name":"d"}}"#] {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }
}
