//! Statements about connectors, done by the Connect workers of `ksql.connect.url`.

use milena_sql::ast::{ConnectorDirection, CreateConnector, Literal};
use serde_json::{Map, Value, json};

use super::Call;
use crate::connect::About;
use crate::entities::source::described;
use crate::entities::{entity, with_warnings};
use crate::error::{Failure, Result};

/// `CREATE SOURCE|SINK CONNECTOR`. What Connect would refuse is refused before.
pub async fn create(call: &Call<'_>, create: &CreateConnector) -> Result<Value> {
    let workers = &call.server.connect;
    let mut config: Map<String, Value> =
        create.config.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    config.insert("name".to_owned(), create.name.to_string().into());
    if workers.names().await?.iter().any(|name| name.eq_ignore_ascii_case(&create.name)) {
        let message = format!("Connector {} already exists", create.name);
        return match create.if_not_exists {
            true => Ok(warning(call, message)),
            false => Err(Failure::new(Failure::CONFLICT, message)),
        };
    }
    let mistakes = mistakes(call, &config).await?;
    if !mistakes.is_empty() {
        return Err(Failure::request(format!("Validation error: {}", mistakes.join("\n"))));
    }
    let info = workers.create(&create.name, &config).await?;
    Ok(entity("connector_info", call.text, json!({ "info": info })))
}

async fn mistakes(call: &Call<'_>, config: &Map<String, Value>) -> Result<Vec<String>> {
    let Some(class) = config.get("connector.class").and_then(Value::as_str) else {
        let shown: Vec<_> =
            config.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
        return Ok(vec![format!("Connector config {{{}}} contains no connector type", shown.join(", "))]);
    };
    if class.trim().is_empty() {
        return Ok(vec!["Connector type cannot be empty".to_owned()]);
    }
    let found = call.server.connect.mistakes(class, config).await;
    found.map_err(|failure| if failure.status() < 500 { Failure::request(failure.message) } else { failure })
}

/// `DROP CONNECTOR`.
pub async fn drop(call: &Call<'_>, name: &str, if_exists: bool) -> Result<Value> {
    match call.server.connect.delete(name).await {
        Ok(()) => Ok(entity("drop_connector", call.text, json!({ "connectorName": name }))),
        Err(failure) if failure.status() == 404 && if_exists => {
            Ok(warning(call, format!("Connector '{name}' does not exist.")))
        }
        Err(failure) => Err(failure),
    }
}

/// `DESCRIBE CONNECTOR`.
pub async fn describe(call: &Call<'_>, name: &str) -> Result<Value> {
    let workers = &call.server.connect;
    let status = workers.about(name, About::Status).await?;
    let info = workers.about(name, About::Connector).await?;
    let mut warnings = Vec::new();
    let topics = workers.about(name, About::Topics).await.unwrap_or_else(|failure| {
        // A worker may not count topics.
        warnings.extend((failure.status() != 404).then_some(failure.message));
        Value::Null
    });
    let topics: Vec<&str> = topics[name]["topics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let sources: Vec<Value> = call
        .catalog
        .sources()
        .filter(|source| topics.contains(&source.topic.as_str()))
        .map(|source| {
            let mut description = described(source, &call.catalog, &call.server.query_states, None, false);
            description["readQueries"] = json!([]);
            description["writeQueries"] = json!([]);
            description
        })
        .collect();
    let members = json!({
        "connectorClass": info["config"]["connector.class"],
        "status": status,
        "sources": sources,
        "topics": topics,
    });
    Ok(with_warnings("connector_description", call.text, members, &warnings))
}

/// `SHOW [SOURCE|SINK] CONNECTORS`.
pub async fn list(call: &Call<'_>, direction: Option<ConnectorDirection>) -> Result<Value> {
    let workers = &call.server.connect;
    let wanted = direction.map(|direction| match direction {
        ConnectorDirection::Source => "source",
        ConnectorDirection::Sink => "sink",
    });
    let (mut connectors, mut warnings) = (Vec::new(), Vec::new());
    for name in workers.names().await? {
        let info = match workers.about(&name, About::Connector).await {
            Ok(info) => info,
            Err(failure) => {
                if wanted.is_none() {
                    connectors.push(json!({ "name": name, "type": "unknown" }));
                }
                warnings.push(format!("Could not describe connector {name}: {failure}"));
                continue;
            }
        };
        if wanted.is_some_and(|wanted| info["type"] != wanted) {
            continue;
        }
        // One that was deleted since then has none.
        let status = workers.about(&name, About::Status).await.unwrap_or(Value::Null);
        connectors.push(json!({
            "name": name,
            "type": info["type"],
            "className": info["config"]["connector.class"],
            "state": state(&status),
        }));
    }
    Ok(with_warnings("connector_list", call.text, json!({ "connectors": connectors }), &warnings))
}

/// `SHOW CONNECTOR PLUGINS`.
pub async fn plugins(call: &Call<'_>) -> Result<Value> {
    let found = call.server.connect.plugins().await?;
    let plugin =
        |plugin: &Value| json!({ "className": plugin["class"], "type": plugin["type"], "version": plugin["version"] });
    let plugins: Vec<Value> = found.as_array().into_iter().flatten().map(plugin).collect();
    Ok(entity("connector_plugins_list", call.text, json!({ "connectorsPlugins": plugins })))
}

/// `RUNNING (2/2 tasks RUNNING)`: a connector none of whose tasks runs is a warning.
fn state(status: &Value) -> String {
    const RUNNING: &str = "RUNNING";
    let own = status["connector"]["state"].as_str().unwrap_or("UNKNOWN");
    if own != RUNNING {
        return own.to_owned();
    }
    let tasks: Vec<&Value> = status["tasks"].as_array().into_iter().flatten().collect();
    let running = tasks.iter().filter(|task| task["state"] == RUNNING).count();
    let summary = if running == 0 && !tasks.is_empty() { "WARNING" } else { RUNNING };
    format!("{summary} ({running}/{} tasks RUNNING)", tasks.len())
}

fn warning(call: &Call<'_>, message: String) -> Value {
    entity("warning_entity", call.text, json!({ "message": message }))
}

/// A value of `WITH` as Connect takes it.
fn text(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_tells_how_many_tasks_run() {
        let status = |tasks: &[&str]| {
            let tasks: Vec<Value> = tasks.iter().map(|state| json!({ "state": state })).collect();
            json!({ "connector": { "state": "RUNNING" }, "tasks": tasks })
        };
        assert_eq!(state(&status(&["RUNNING", "RUNNING"])), "RUNNING (2/2 tasks RUNNING)");
        assert_eq!(state(&status(&["RUNNING", "FAILED"])), "RUNNING (1/2 tasks RUNNING)");
        assert_eq!(state(&status(&["FAILED"])), "WARNING (0/1 tasks RUNNING)");
        assert_eq!(state(&json!({ "connector": { "state": "PAUSED" } })), "PAUSED");
    }
}
