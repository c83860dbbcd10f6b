//! `/connectors`

use std::collections::BTreeMap;

use axum::http::Method;
use milena_http::percent_encode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::route::Part;
use super::{Call, body};
use crate::herder::{GivenSettings, HerderError, RestartRequest};
use crate::record::SourceMap;
use crate::worker::{TargetState, TaskId};

type Result = std::result::Result<Answer, HerderError>;

pub fn list(call: &Call) -> Result {
    let herder = &call.herder;
    let expansions = call.query.all("expand");
    if expansions.is_empty() {
        return Ok(Answer::json(200, &herder.connectors()));
    }
    let wants = |word: &str| expansions.iter().any(|expansion| expansion == word);
    let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for name in herder.connectors() {
        let mut row = Map::new();
        if wants("info") {
            let Ok(info) = herder.info(&name) else { continue };
            row.insert("info".to_owned(), to_value(&info)?);
        }
        if wants("status") {
            // A connector that nobody has started yet has no state and is left out, as in the original.
            let Ok(status) = herder.status(&name) else { continue };
            row.insert("status".to_owned(), to_value(&status)?);
        }
        all.insert(name, row);
    }
    Ok(Answer::json(200, &all))
}

fn to_value(value: &impl serde::Serialize) -> std::result::Result<Value, HerderError> {
    serde_json::to_value(value).map_err(|error| HerderError::Failed(error.to_string()))
}

pub async fn create(call: &Call) -> Result {
    let request = body::create(&call.body)?;
    let config = with_name(&request.name, request.config)?;
    let written = call.herder.put_connector(&request.name, config, request.target, false).await?;
    Ok(Answer::json(201, &written.info).at(location(call, &request.name)))
}

pub async fn delete(call: &Call, name: &str) -> Result {
    call.herder.delete_connector(name).await?;
    Ok(Answer::empty(204))
}

pub async fn part(call: &Call, name: &str, part: Part) -> Result {
    let herder = &call.herder;
    match part {
        Part::Config => config(call, name).await,
        Part::Status => Ok(Answer::json(200, &herder.status(name)?)),
        Part::Restart => restart(call, name).await,
        Part::Pause => {
            herder.set_target(name, TargetState::Paused).await?;
            Ok(Answer::empty(202))
        }
        Part::Resume => {
            herder.set_target(name, TargetState::Started).await?;
            Ok(Answer::empty(202))
        }
        Part::Stop => {
            herder.stop_connector(name).await?;
            Ok(Answer::empty(204))
        }
        Part::Tasks if call.method == Method::POST => {
            herder.verify(&call.head.headers, &call.body)?;
            herder.put_tasks(name, body::tasks(&call.body)?).await?;
            Ok(Answer::empty(204))
        }
        Part::Fence => {
            herder.verify(&call.head.headers, &call.body)?;
            herder.fence(name).await?;
            Ok(Answer::empty(204))
        }
        Part::Tasks => Ok(Answer::json(200, &herder.tasks(name)?)),
        Part::TasksConfig => {
            let tasks = herder.tasks(name)?;
            let all: Map<String, Value> =
                tasks.into_iter().map(|task| (format!("{name}-{}", task.id.task), json!(task.config))).collect();
            Ok(Answer::json(200, &all))
        }
        Part::Topics => topics(call, name),
        Part::TopicsReset => reset_topics(call, name),
        Part::Offsets => offsets(call, name).await,
        Part::Logs => {
            let lines = herder.recent_lines(name)?.into_iter();
            let lines = lines.map(|line| json!({ "timestamp": line.timestamp, "message": line.text }));
            Ok(Answer::json(200, &lines.collect::<Vec<_>>()))
        }
    }
}

async fn config(call: &Call, name: &str) -> Result {
    if call.method == Method::GET {
        return Ok(Answer::json(200, &call.herder.info(name)?.config));
    }
    let given = body::settings(&call.body)?;
    if call.method == Method::PATCH {
        return Ok(Answer::json(200, &call.herder.patch_connector(name, given).await?.info));
    }
    let written = call.herder.put_connector(name, with_name(name, given)?, None, true).await?;
    Ok(if written.created {
        Answer::json(201, &written.info).at(location(call, name))
    } else {
        Answer::json(200, &written.info)
    })
}

async fn restart(call: &Call, name: &str) -> Result {
    let request = RestartRequest {
        connector: name.to_owned(),
        include_tasks: call.query.flag("includeTasks"),
        only_failed: call.query.flag("onlyFailed"),
    };
    if !request.include_tasks && !request.only_failed {
        call.herder.restart_connector(name).await?;
        return Ok(Answer::empty(204));
    }
    Ok(Answer::json(202, &call.herder.restart(&request).await?))
}

pub fn task_status(call: &Call, name: &str, task: u32) -> Result {
    Ok(Answer::json(200, &call.herder.task_status(&TaskId::new(name, task))?))
}

pub async fn restart_task(call: &Call, name: &str, task: u32) -> Result {
    call.herder.restart_task(&TaskId::new(name, task)).await?;
    Ok(Answer::empty(204))
}

fn topics(call: &Call, name: &str) -> Result {
    if !call.herder.config.topic_tracking {
        return Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned()));
    }
    Ok(Answer::json(200, &json!({ name: { "topics": call.herder.topics(name) } })))
}

fn reset_topics(call: &Call, name: &str) -> Result {
    let config = &call.herder.config;
    if !config.topic_tracking {
        return Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned()));
    }
    if !config.topic_tracking_reset {
        return Err(HerderError::Forbidden("Topic tracking reset is disabled.".to_owned()));
    }
    call.herder.reset_topics(name);
    Ok(Answer::empty(202))
}

async fn offsets(call: &Call, name: &str) -> Result {
    let herder = &call.herder;
    let message = match call.method {
        Method::PATCH => herder.alter_offsets(name, &body::offsets(&call.body)?).await?,
        Method::DELETE => herder.reset_offsets(name).await?,
        _ => {
            let rows = herder.offsets(name).await?.into_iter();
            let rows = rows.map(|entry| json!({ "partition": map(entry.partition), "offset": entry.offset.map(map) }));
            return Ok(Answer::json(200, &json!({ "offsets": rows.collect::<Vec<_>>() })));
        }
    };
    Ok(Answer::json(200, &json!({ "message": message })))
}

fn map(map: SourceMap) -> Map<String, Value> {
    map.into_iter().collect()
}

/// The settings with the connector's name, which they may have already.
fn with_name(name: &str, mut config: GivenSettings) -> std::result::Result<GivenSettings, HerderError> {
    match config.get("name").cloned().flatten() {
        Some(included) if included != name => Err(HerderError::BadRequest(format!(
            "Connector name configuration ({included}) doesn't match connector name in the URL ({name})"
        ))),
        _ => {
            config.insert("name".to_owned(), Some(name.to_owned()));
            Ok(config)
        }
    }
}

fn location(call: &Call, name: &str) -> String {
    format!("{}/connectors/{}", call.base, percent_encode(name))
}
