//! Statements about connectors, done by the Connect workers of `ksql.connect.url`.

use milena_sql::ast::{ConnectorDirection, CreateConnector, Literal};
use serde_json::{Map, Value, json};

use super::Call;
use crate::entities::entity;
use crate::entities::source::described;
use crate::error::Result;

/// `CREATE SOURCE|SINK CONNECTOR`.
pub async fn create(call: &Call<'_>, create: &CreateConnector) -> Result<Value> {
    let workers = &call.server.connect;
    let config: Map<String, Value> =
        create.config.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    match workers.create(&create.name, &config).await {
        Ok(info) => Ok(entity("connector_info", call.text, json!({ "info": info }))),
        Err(failure) if failure.status() == 409 && create.if_not_exists => {
            Ok(warning(call, format!("Connector {} already exists", create.name)))
        }
        Err(failure) => Err(failure),
    }
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
    let info = workers.about(name, "").await?;
    let status = workers.about(name, "/status").await?;
    // A worker may not count topics.
    let topics = workers.about(name, "/topics").await.unwrap_or(Value::Null);
    let topics: Vec<&str> = topics[name]["topics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let sources: Vec<Value> = call
        .catalog
        .sources()
        .filter(|source| topics.contains(&source.topic.as_str()))
        .map(|source| described(source, &call.catalog, &call.server.query_states, None, false))
        .collect();
    let members = json!({
        "connectorClass": info["config"]["connector.class"],
        "status": status,
        "sources": sources,
        "topics": topics,
    });
    Ok(entity("connector_description", call.text, members))
}

/// `SHOW [SOURCE|SINK] CONNECTORS`.
pub async fn list(call: &Call<'_>, direction: Option<ConnectorDirection>) -> Result<Value> {
    let workers = &call.server.connect;
    let wanted = direction.map(|direction| match direction {
        ConnectorDirection::Source => "source",
        ConnectorDirection::Sink => "sink",
    });
    let mut connectors = Vec::new();
    for name in workers.names().await? {
        // One that was deleted since then is none.
        let (info, status) = (workers.about(&name, "").await, workers.about(&name, "/status").await);
        let Ok(info) = info else { continue };
        if wanted.is_some_and(|wanted| info["type"] != wanted) {
            continue;
        }
        connectors.push(json!({
            "name": name,
            "type": info["type"],
            "className": info["config"]["connector.class"],
            "state": state(&status.unwrap_or(Value::Null)),
        }));
    }
    Ok(entity("connector_list", call.text, json!({ "connectors": connectors })))
}

/// `SHOW CONNECTOR PLUGINS`.
pub async fn plugins(call: &Call<'_>) -> Result<Value> {
    let found = call.server.connect.plugins().await?;
    let plugin =
        |plugin: &Value| json!({ "className": plugin["class"], "type": plugin["type"], "version": plugin["version"] });
    let plugins: Vec<Value> = found.as_array().into_iter().flatten().map(plugin).collect();
    Ok(entity("connector_plugins_list", call.text, json!({ "connectorsPlugins": plugins })))
}

/// `RUNNING (2/2 tasks RUNNING)`: a connector some of whose tasks do not run is a warning, one without any is failed.
fn state(status: &Value) -> String {
    const RUNNING: &str = "RUNNING";
    let own = status["connector"]["state"].as_str().unwrap_or("UNKNOWN");
    if own != RUNNING {
        return own.to_owned();
    }
    let tasks: Vec<&Value> = status["tasks"].as_array().into_iter().flatten().collect();
    let running = tasks.iter().filter(|task| task["state"] == RUNNING).count();
    let summary = match running {
        all if all == tasks.len() => RUNNING,
        0 => "FAILED",
        _ => "WARNING",
    };
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
        assert_eq!(state(&status(&["RUNNING", "FAILED"])), "WARNING (1/2 tasks RUNNING)");
        assert_eq!(state(&status(&["FAILED"])), "FAILED (0/1 tasks RUNNING)");
        assert_eq!(state(&json!({ "connector": { "state": "PAUSED" } })), "PAUSED");
    }
}
