//! From a path to what it names.

use axum::http::Method;
use milena_http::percent_decode;

use super::answer::Answer;
use super::{Call, connectors, loggers, plugins, root};
use crate::herder::HerderError;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Root,
    /// `/health`
    Health,
    /// `/metrics`
    Metrics,
    /// `/connectors`
    Connectors,
    /// `/connectors/{name}`
    Connector(String),
    /// `/connectors/{name}/...`
    Part(String, Part),
    /// `/connectors/{name}/tasks/{task}/status`
    TaskStatus(String, u32),
    /// `/connectors/{name}/tasks/{task}/restart`
    TaskRestart(String, u32),
    /// `/connector-plugins`
    Plugins,
    /// `/connector-plugins/{plugin}/config`
    PluginConfig(String),
    /// `/connector-plugins/{plugin}/config/validate`
    PluginValidate(String),
    /// `/admin/loggers`
    Loggers,
    /// `/admin/loggers/{logger}`
    Logger(String),
}

/// A part of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Config,
    Status,
    Restart,
    Pause,
    Resume,
    Stop,
    Tasks,
    TasksConfig,
    Topics,
    TopicsReset,
    Offsets,
    Fence,
    /// Our own: the last lines of its log.
    Logs,
}

/// The decoded parts of a path; `None` when an encoding is broken.
pub fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments = path.trim_start_matches('/').split('/').map(percent_decode).collect::<Option<Vec<String>>>()?;
    while segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    Some(segments)
}

impl Route {
    /// What the path names, if anything.
    pub fn find(segments: &[String]) -> Option<Route> {
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match words.as_slice() {
            [] => Route::Root,
            ["health"] => Route::Health,
            ["metrics"] => Route::Metrics,
            ["connectors"] => Route::Connectors,
            ["connectors", name] => Route::Connector((*name).to_owned()),
            ["connectors", name, "topics", "reset"] => Route::Part((*name).to_owned(), Part::TopicsReset),
            ["connectors", name, part] => Route::Part((*name).to_owned(), Part::find(part)?),
            ["connectors", name, "tasks", task, "status"] => Route::TaskStatus((*name).to_owned(), task.parse().ok()?),
            ["connectors", name, "tasks", task, "restart"] => {
                Route::TaskRestart((*name).to_owned(), task.parse().ok()?)
            }
            ["connector-plugins"] => Route::Plugins,
            ["connector-plugins", plugin, "config"] => Route::PluginConfig((*plugin).to_owned()),
            ["connector-plugins", plugin, "config", "validate"] => Route::PluginValidate((*plugin).to_owned()),
            ["admin", "loggers"] => Route::Loggers,
            ["admin", "loggers", logger] => Route::Logger((*logger).to_owned()),
            _ => return None,
        })
    }

    /// The methods that it has, in the order in which they are told.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::Root | Route::Health | Route::Metrics | Route::Plugins | Route::PluginConfig(_) | Route::Loggers => {
                &["GET"]
            }
            Route::TaskStatus(..) => &["GET"],
            Route::Connectors => &["POST", "GET"],
            Route::Connector(_) => &["GET", "DELETE"],
            Route::Part(_, part) => part.methods(),
            Route::TaskRestart(..) => &["POST"],
            Route::PluginValidate(_) => &["PUT"],
            Route::Logger(_) => &["GET", "PUT"],
        }
    }

    /// Whether only workers call it, which sign instead of giving a password.
    pub fn is_internal(&self, method: &Method) -> bool {
        match self {
            Route::Part(_, Part::Fence) => true,
            Route::Part(_, Part::Tasks) => *method == Method::POST,
            _ => false,
        }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Those of the herder.
    pub async fn perform(&self, call: &Call) -> Result<Answer, HerderError> {
        match self {
            Route::Root => Ok(root::info(call)),
            // Answered before there is a herder.
            Route::Health => Ok(root::health(Some(&call.herder)).await),
            Route::Metrics => Ok(root::metrics(call)),
            Route::Connectors if call.method == Method::POST => connectors::create(call).await,
            Route::Connectors => connectors::list(call),
            Route::Connector(name) if call.method == Method::DELETE => connectors::delete(call, name).await,
            Route::Connector(name) => Ok(Answer::json(200, &call.herder.info(name)?)),
            Route::Part(name, part) => connectors::part(call, name, *part).await,
            Route::TaskStatus(name, task) => connectors::task_status(call, name, *task),
            Route::TaskRestart(name, task) => connectors::restart_task(call, name, *task).await,
            Route::Plugins => Ok(plugins::list(call)),
            Route::PluginConfig(plugin) => Ok(Answer::json(200, &call.herder.plugin_config(plugin)?)),
            Route::PluginValidate(plugin) => plugins::validate(call, plugin).await,
            Route::Loggers => Ok(loggers::list()),
            Route::Logger(logger) if call.method == Method::PUT => loggers::set(call, logger).await,
            Route::Logger(logger) => loggers::get(logger),
        }
    }
}

impl Part {
    fn find(word: &str) -> Option<Part> {
        Some(match word {
            "config" => Part::Config,
            "status" => Part::Status,
            "restart" => Part::Restart,
            "pause" => Part::Pause,
            "resume" => Part::Resume,
            "stop" => Part::Stop,
            "tasks" => Part::Tasks,
            "tasks-config" => Part::TasksConfig,
            "topics" => Part::Topics,
            "offsets" => Part::Offsets,
            "fence" => Part::Fence,
            "logs" => Part::Logs,
            _ => return None,
        })
    }

    fn methods(self) -> &'static [&'static str] {
        match self {
            Part::Config => &["GET", "PUT", "PATCH"],
            Part::Restart => &["POST"],
            Part::Pause | Part::Resume | Part::Stop | Part::TopicsReset | Part::Fence => &["PUT"],
            Part::Tasks => &["GET", "POST"],
            Part::Status | Part::TasksConfig | Part::Topics | Part::Logs => &["GET"],
            Part::Offsets => &["GET", "PATCH", "DELETE"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str) -> Option<Route> {
        Route::find(&segments(path)?)
    }

    #[test]
    fn names_are_decoded_after_the_path_was_split() {
        assert_eq!(find("/"), Some(Route::Root));
        assert_eq!(find("/connectors/a%2Fb%20c/"), Some(Route::Connector("a/b c".to_owned())));
        assert_eq!(find("/connectors/x/tasks/3/status"), Some(Route::TaskStatus("x".to_owned(), 3)));
        assert_eq!(find("/connectors/x/topics/reset"), Some(Route::Part("x".to_owned(), Part::TopicsReset)));
        for wrong in ["/nope", "/connectors/x/nope", "/connectors/x/tasks/y/status", "/connectors/%ff"] {
            assert_eq!(find(wrong), None, "{wrong}");
        }
    }
}
