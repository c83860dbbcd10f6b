//! `milena connector`: what a Connect worker does, from the command line.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use milena_connect::client::{RestClient, percent_encode};
use milena_connect::standalone::ConnectorFile;
use serde_json::{Value, json};

use crate::cli::{ConnectorArguments, ConnectorVerb};
use crate::standalone;

/// Asks, and prints what comes back.
pub fn run(arguments: &ConnectorArguments) -> ExitCode {
    let done = standalone::runtime().and_then(|runtime| runtime.block_on(perform(arguments)));
    standalone::exit_code(&done)
}

async fn perform(arguments: &ConnectorArguments) -> anyhow::Result<()> {
    let worker = Worker { client: RestClient::new(&arguments.url, arguments.user.as_deref())? };
    match &arguments.verb {
        ConnectorVerb::List => worker.list().await,
        ConnectorVerb::Create { file } => {
            let connector = ConnectorFile::load(file)?;
            let config: serde_json::Map<String, Value> =
                connector.config.into_iter().map(|(key, value)| (key, json!(value))).collect();
            let body = json!({ "name": connector.name, "config": config });
            worker.call("POST", "/connectors", Some(&body)).await?;
            println!("created connector {}", connector.name);
            Ok(())
        }
        ConnectorVerb::Status { name } => worker.status(name).await,
        ConnectorVerb::Config { name } => {
            let config = worker.call("GET", &format!("{}/config", path(name)), None).await?;
            println!("{}", serde_json::to_string_pretty(&config)?);
            Ok(())
        }
        ConnectorVerb::Pause { name } => worker.tell("PUT", name, "/pause", "paused").await,
        ConnectorVerb::Resume { name } => worker.tell("PUT", name, "/resume", "resumed").await,
        ConnectorVerb::Stop { name } => worker.tell("PUT", name, "/stop", "stopped").await,
        ConnectorVerb::Restart { name, only_failed } => {
            let rest = format!("/restart?includeTasks=true&onlyFailed={only_failed}");
            worker.tell("POST", name, &rest, "restarted").await
        }
        ConnectorVerb::Delete { name } => worker.tell("DELETE", name, "", "deleted").await,
        ConnectorVerb::Logs { name } => worker.logs(name).await,
        ConnectorVerb::Plugins => {
            let plugins = worker.call("GET", "/connector-plugins", None).await?;
            for plugin in plugins.as_array().into_iter().flatten() {
                println!("{:<8} {} {}", text(plugin, "type"), text(plugin, "class"), text(plugin, "version"));
            }
            Ok(())
        }
    }
}

struct Worker {
    client: RestClient,
}

impl Worker {
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answered = self.client.call(method, path, body).await.context("the worker does not answer")?;
        if answered.status >= 400 {
            let told = answered.body.get("message").and_then(Value::as_str).unwrap_or("no reason is given");
            bail!("{} ({})", told, answered.status);
        }
        Ok(answered.body)
    }

    async fn tell(&self, method: &str, name: &str, rest: &str, done: &str) -> anyhow::Result<()> {
        self.call(method, &format!("{}{rest}", path(name)), None).await?;
        println!("{done} connector {name}");
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<()> {
        let all = self.call("GET", "/connectors?expand=info&expand=status", None).await?;
        println!("{:<40} {:<8} {:<12} TASKS", "NAME", "TYPE", "STATE");
        for (name, row) in all.as_object().into_iter().flatten() {
            let status = row.get("status").unwrap_or(&Value::Null);
            let state = status.get("connector").map_or("", |connector| text(connector, "state"));
            let tasks: Vec<&str> = states_of_tasks(status).collect();
            println!("{name:<40} {:<8} {state:<12} {}", text(status, "type"), tasks.join(","));
        }
        Ok(())
    }

    async fn status(&self, name: &str) -> anyhow::Result<()> {
        let status = self.call("GET", &format!("{}/status", path(name)), None).await?;
        let connector = status.get("connector").unwrap_or(&Value::Null);
        println!("connector {name}: {} on {}", text(connector, "state"), text(connector, "worker_id"));
        print_trace(connector);
        for task in status.get("tasks").and_then(Value::as_array).into_iter().flatten() {
            let number = task.get("id").and_then(Value::as_u64).unwrap_or_default();
            println!("task {number}: {} on {}", text(task, "state"), text(task, "worker_id"));
            print_trace(task);
        }
        Ok(())
    }

    async fn logs(&self, name: &str) -> anyhow::Result<()> {
        let lines = self.call("GET", &format!("{}/logs", path(name)), None).await?;
        for line in lines.as_array().into_iter().flatten() {
            let at = line.get("timestamp").and_then(Value::as_i64).unwrap_or_default();
            println!("{at} {}", text(line, "message"));
        }
        Ok(())
    }
}

fn path(name: &str) -> String {
    format!("/connectors/{}", percent_encode(name))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn states_of_tasks(status: &Value) -> impl Iterator<Item = &str> {
    status.get("tasks").and_then(Value::as_array).into_iter().flatten().map(|task| text(task, "state"))
}

fn print_trace(of: &Value) {
    for line in text(of, "trace").lines() {
        println!("    {line}");
    }
}
