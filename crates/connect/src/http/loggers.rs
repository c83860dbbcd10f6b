//! `/admin/loggers`

use std::collections::BTreeMap;

use milena_stdx::loggers::{self, LogLevel, ROOT};
use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::answer::Answer;
use super::{Call, body};
use crate::herder::HerderError;

/// When loggers got their levels over the API, in milliseconds since 1970. Levels are those of the process, so this is too.
static MODIFIED: Mutex<BTreeMap<String, i64>> = Mutex::new(BTreeMap::new());

pub fn list() -> Answer {
    let levels = loggers::levels();
    let shown: BTreeMap<&String, Value> = levels.iter().map(|(logger, level)| (logger, row(logger, *level))).collect();
    Answer::json(200, &shown)
}

pub fn get(logger: &str) -> Result<Answer, HerderError> {
    match loggers::levels().get(logger) {
        Some(level) => Ok(Answer::json(200, &row(logger, *level))),
        None => Err(HerderError::NotFound(format!("Logger {logger} not found."))),
    }
}

pub async fn set(call: &Call, namespace: &str) -> Result<Answer, HerderError> {
    let given = body::settings(&call.body)?;
    let level =
        given.get("level").cloned().flatten().ok_or_else(|| {
            HerderError::BadRequest("Desired 'level' parameter was not specified in request.".to_owned())
        })?;
    let parsed =
        LogLevel::from_name(&level).ok_or_else(|| HerderError::NotFound(format!("invalid log level '{level}'.")))?;
    if call.query.get("scope").is_some_and(|scope| scope.eq_ignore_ascii_case("cluster")) {
        call.herder.set_cluster_log_level(namespace, &level.to_ascii_uppercase()).await?;
        return Ok(Answer::empty(204));
    }
    Ok(Answer::json(200, &apply(namespace, parsed)?))
}

/// Gives a namespace and everything under it a level; which loggers that were.
///
/// # Errors
/// When levels cannot be changed.
pub fn apply(namespace: &str, level: LogLevel) -> Result<Vec<String>, HerderError> {
    let is_root = namespace.eq_ignore_ascii_case(ROOT);
    let is_under = |logger: &str| is_root || logger == namespace || logger.starts_with(&format!("{namespace}::"));
    let mut affected: Vec<String> = loggers::levels().into_keys().filter(|logger| is_under(logger)).collect();
    if !is_root && !affected.iter().any(|logger| logger == namespace) {
        affected.push(namespace.to_owned());
    }
    affected.sort();
    let now = SystemClock.now_ms();
    for logger in &affected {
        let before = loggers::levels().get(logger).copied();
        loggers::set(logger, Some(level)).map_err(|error| HerderError::Failed(error.0))?;
        if before != Some(level) {
            MODIFIED.lock().insert(logger.clone(), now);
        }
    }
    Ok(affected)
}

fn row(logger: &str, level: LogLevel) -> Value {
    json!({ "level": level.name(), "last_modified": MODIFIED.lock().get(logger) })
}
