//! `/connector-plugins`

use serde_json::{Value, json};

use super::answer::Answer;
use super::{Call, body};
use crate::herder::HerderError;

const SUFFIX: &str = "Connector";

pub fn list(call: &Call) -> Answer {
    let connectors_only = !call.query.get("connectorsOnly").is_some_and(|only| only.eq_ignore_ascii_case("false"));
    let shown = call.herder.plugins.list().into_iter();
    let shown = shown.filter(|plugin| !connectors_only || matches!(plugin.kind, "sink" | "source"));
    let rows: Vec<Value> =
        shown.map(|plugin| json!({ "class": plugin.class, "type": plugin.kind, "version": plugin.version })).collect();
    Answer::json(200, &rows)
}

pub async fn validate(call: &Call, plugin: &str) -> Result<Answer, HerderError> {
    let mut given = body::settings(&call.body)?;
    match given.get("connector.class").cloned().flatten() {
        Some(class) if !normalized(&class).ends_with(normalized(plugin)) => {
            return Err(HerderError::BadRequest(format!(
                "Included connector type {class} does not match request type {plugin}"
            )));
        }
        Some(_) => {}
        None => {
            given.insert("connector.class".to_owned(), Some(plugin.to_owned()));
        }
    }
    match call.herder.validate(&given).await {
        Ok(infos) => Ok(Answer::json(200, &infos)),
        // An unknown class: 400 when a connector is made, 500 here, as the original has it.
        Err(HerderError::BadRequest(message)) => Err(HerderError::Unreadable(message)),
        Err(error) => Err(error),
    }
}

fn normalized(class: &str) -> &str {
    class.strip_suffix(SUFFIX).filter(|short| !short.is_empty()).unwrap_or(class)
}
