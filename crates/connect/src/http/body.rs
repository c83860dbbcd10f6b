//! Bodies of requests.
//!
//! A body that is not of the form that a call wants is answered with 500, as by the original, where reading it is what has failed;
//! what could be read and cannot be done is answered with 400.

use serde_json::{Map, Value};

use crate::herder::{GivenSettings, HerderError};
use crate::plugin::Settings;
use crate::record::SourceMap;
use crate::worker::{OffsetEntry, TargetState};

/// `POST /connectors`
#[derive(Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its name, without blanks around it.
    pub name: String,
    /// Its settings.
    pub config: GivenSettings,
    /// What it begins with.
    pub target: Option<TargetState>,
}

fn refuse(message: impl Into<String>) -> HerderError {
    HerderError::Unreadable(message.into())
}

/// # Errors
/// 500: a field that the request does not have.
fn refuse_others(map: &Map<String, Value>, known: &str) -> Result<(), HerderError> {
    map.keys().next().map_or(Ok(()), |field| Err(refuse(format!("Unrecognized field \"{field}\": there are {known}"))))
}

/// # Errors
/// 500: no JSON.
pub fn json(body: &[u8]) -> Result<Value, HerderError> {
    serde_json::from_slice(body).map_err(|error| refuse(format!("the body of the request is not JSON: {error}")))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, HerderError> {
    match json(body)? {
        Value::Object(map) => Ok(map),
        _ => Err(refuse("the body of the request is not a JSON object")),
    }
}

/// A map of settings. Numbers and booleans count as their texts.
///
/// # Errors
/// 500: no JSON object, or a value that is an object or a list.
pub fn settings(body: &[u8]) -> Result<GivenSettings, HerderError> {
    of_map(object(body)?)
}

fn of_map(map: Map<String, Value>) -> Result<GivenSettings, HerderError> {
    let text = |(key, value): (String, Value)| match value {
        Value::Null => Ok((key, None)),
        Value::String(text) => Ok((key, Some(text))),
        Value::Bool(_) | Value::Number(_) => {
            let text = value.to_string();
            Ok((key, Some(text)))
        }
        Value::Array(_) | Value::Object(_) => {
            Err(refuse(format!("Invalid value for configuration {key}: a text is expected, not a list or an object")))
        }
    };
    map.into_iter().map(text).collect()
}

/// # Errors
/// 500: no such request.
pub fn create(body: &[u8]) -> Result<CreateRequest, HerderError> {
    let mut map = object(body)?;
    let name = match map.remove("name") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(name)) => name.trim().to_owned(),
        Some(_) => return Err(refuse("name is not a text")),
    };
    let config = match map.remove("config") {
        Some(Value::Object(config)) => of_map(config)?,
        None | Some(Value::Null) => return Err(refuse("the request has no config")),
        Some(_) => return Err(refuse("config is not a JSON object")),
    };
    let target = match map.remove("initial_state") {
        None | Some(Value::Null) => None,
        Some(Value::String(state)) => Some(match state.to_ascii_uppercase().as_str() {
            "RUNNING" => TargetState::Started,
            "PAUSED" => TargetState::Paused,
            "STOPPED" => TargetState::Stopped,
            _ => return Err(refuse(format!("initial_state {state} is not one of RUNNING, PAUSED, STOPPED"))),
        }),
        Some(_) => return Err(refuse("initial_state is not a text")),
    };
    refuse_others(&map, "name, config and initial_state")?;
    Ok(CreateRequest { name, config, target })
}

/// The settings of tasks that another worker sends.
///
/// # Errors
/// 500: no such list.
pub fn tasks(body: &[u8]) -> Result<Vec<Settings>, HerderError> {
    serde_json::from_slice(body).map_err(|error| refuse(format!("a list of settings is expected: {error}")))
}

/// `{"offsets":[{"partition":{},"offset":{}}]}`
///
/// # Errors
/// 500: no such request; 400: one without rows.
pub fn offsets(body: &[u8]) -> Result<Vec<OffsetEntry>, HerderError> {
    let mut map = object(body)?;
    let entries = match map.remove("offsets") {
        Some(Value::Array(entries)) => entries,
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err(refuse("offsets is not a list")),
    };
    refuse_others(&map, "offsets")?;
    if entries.is_empty() {
        let message = "Partitions / offsets need to be provided for an alter offsets request";
        return Err(HerderError::BadRequest(message.to_owned()));
    }
    entries.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Result<OffsetEntry, HerderError> {
    let Value::Object(mut entry) = value else {
        return Err(refuse("an entry of offsets is not a JSON object"));
    };
    let partition = match entry.remove("partition") {
        Some(Value::Object(partition)) => partition.into_iter().collect::<SourceMap>(),
        None | Some(Value::Null) => {
            let message = "The partition for a connector offset cannot be null or missing";
            return Err(HerderError::BadRequest(message.to_owned()));
        }
        Some(_) => return Err(refuse("partition is not a JSON object")),
    };
    let offset = match entry.remove("offset") {
        None | Some(Value::Null) => None,
        Some(Value::Object(offset)) => Some(offset.into_iter().collect::<SourceMap>()),
        Some(_) => return Err(refuse("offset is not a JSON object or null")),
    };
    refuse_others(&entry, "partition and offset")?;
    Ok(OffsetEntry { partition, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_request_is_read_and_everything_else_refused() {
        let body = br#"{"name":" a ","config":{"x":1,"y":true,"z":null,"w":"t"},"initial_state":"paused"}"#;
        let request = create(body).unwrap();
        assert_eq!((request.name.as_str(), request.target), ("a", Some(TargetState::Paused)));
        let value = |key: &str| request.config[key].as_deref();
        assert_eq!((value("x"), value("y"), value("z"), value("w")), (Some("1"), Some("true"), None, Some("t")));
        for wrong in [
            "",
            "garbage",
            "[]",
            "null",
            "5",
            r#"{"name":"a"}"#,
            r#"{"name":5,"config":{}}"#,
            r#"{"name":"a","config":[]}"#,
            r#"{"name":"a","config":{"x":{}}}"#,
            r#"{"name":"a","config":{},"initial_state":"FOO"}"#,
            r#"{"name":"a","config":{},"foo":1}"#,
            "\u{0}",
            r#"{"name":"a","config":{"x":"\ud800"}}"#,
        ] {
            assert_eq!(create(wrong.as_bytes()).unwrap_err().status(), 500, "{wrong}");
        }
    }

    #[test]
    fn offsets_need_partitions() {
        let read = offsets(br#"{"offsets":[{"partition":{"f":"x"},"offset":null},{"partition":{},"offset":{"p":1}}]}"#);
        let read = read.unwrap();
        assert!(read[0].offset.is_none() && read[1].offset.is_some());
        let status = |wrong: &str| offsets(wrong.as_bytes()).unwrap_err().status();
        for empty in ["{}", r#"{"offsets":[]}"#, r#"{"offsets":null}"#, r#"{"offsets":[{}]}"#] {
            assert_eq!(status(empty), 400, "{empty}");
        }
        let other_row = r#"{"offsets":[{"partition":{},"offset":{},"x":1}]}"#;
        for wrong in
            [r#"{"offsets":[5]}"#, r#"{"offsets":{}}"#, r#"{"x":1}"#, r#"{"offsets":[{"partition":5}]}"#, other_row]
        {
            assert_eq!(status(wrong), 500, "{wrong}");
        }
    }
}
