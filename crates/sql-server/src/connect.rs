//! The Connect workers of connector statements, over their REST API (`ksql.connect.url`).

use milena_http::percent_encode;
use milena_http::rest_client::RestClient;
use serde_json::{Map, Value, json};
use tokio_rustls::TlsConnector;

use crate::error::{Failure, Result};

/// What is asked of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Its configuration and its type.
    Connector,
    /// The states of it and of its tasks.
    Status,
    /// The topics that it has used.
    Topics,
}

/// Workers of one group: any of them answers.
pub struct ConnectWorkers {
    urls: Vec<String>,
    /// `name:password`
    user: Option<String>,
    /// What is believed of workers that speak HTTPS.
    tls: Option<TlsConnector>,
}

impl ConnectWorkers {
    /// Workers at `urls`; `user` is `name:password`. Those of `https://` are believed as `tls` says.
    pub fn new(urls: Vec<String>, user: Option<String>, tls: Option<TlsConnector>) -> ConnectWorkers {
        ConnectWorkers { urls, user, tls }
    }

    /// Calls the first worker that can be reached. `doing` begins the words of a failure.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>, doing: &str) -> Result<Value> {
        let mut reason = "ksql.connect.url is not set".to_owned();
        for url in &self.urls {
            let client = match RestClient::new(url, self.user.as_deref()) {
                Ok(client) => client,
                Err(error) => {
                    reason = error.to_string();
                    continue;
                }
            };
            match client.with_tls(self.tls.clone()).call(method, path, body).await {
                Ok(answered) if answered.status < 300 => return Ok(answered.body),
                Ok(answered) => {
                    let words = answered.body["message"].as_str().unwrap_or("no message");
                    return Err(Failure::new(i32::from(answered.status) * 100, format!("{doing}: {words}")));
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(Failure::new(Failure::SERVER, format!("{doing}: no Connect worker can be reached: {reason}")))
    }

    /// Makes a connector; what Connect says of it.
    ///
    /// # Errors
    /// What Connect refuses, with its status: 409 for a name that is taken.
    pub async fn create(&self, name: &str, config: &Map<String, Value>) -> Result<Value> {
        let body = json!({ "name": name, "config": config });
        self.call("POST", "/connectors", Some(&body), "Failed to create connector").await
    }

    /// What is wrong with a configuration of connectors of this class, as `name - reasons`.
    ///
    /// # Errors
    /// What Connect refuses, with its status: 404 for a class that is not there.
    pub async fn mistakes(&self, class: &str, config: &Map<String, Value>) -> Result<Vec<String>> {
        let path = format!("/connector-plugins/{}/config/validate", percent_encode(class));
        let body = Value::Object(config.clone());
        let answer = self.call("PUT", &path, Some(&body), "Validation error").await?;
        let of_value = |info: &Value| {
            let value = &info["value"];
            let errors: Vec<&str> =
                value["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            (!errors.is_empty())
                .then(|| format!("{} - {}", value["name"].as_str().unwrap_or_default(), errors.join(". ")))
        };
        Ok(answer["configs"].as_array().into_iter().flatten().filter_map(of_value).collect())
    }

    /// Deletes a connector.
    ///
    /// # Errors
    /// What Connect refuses, with its status: 404 for one that is not there.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let path = format!("/connectors/{}", percent_encode(name));
        self.call("DELETE", &path, None, "Failed to drop connector").await.map(|_| ())
    }

    /// The names of all connectors.
    ///
    /// # Errors
    /// What Connect refuses.
    pub async fn names(&self) -> Result<Vec<String>> {
        let names = self.call("GET", "/connectors", None, "Failed to list connectors").await?;
        let names = names.as_array().into_iter().flatten();
        Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The connector, its state, or its topics.
    ///
    /// # Errors
    /// What Connect refuses, with its status.
    pub async fn about(&self, name: &str, what: About) -> Result<Value> {
        let (path, doing) = match what {
            About::Connector => ("", "Failed to describe connector"),
            About::Status => ("/status", "Failed to query connector status"),
            About::Topics => ("/topics", "Could not list related topics due to error"),
        };
        self.call("GET", &format!("/connectors/{}{path}", percent_encode(name)), None, doing).await
    }

    /// The kinds of connectors that there are.
    ///
    /// # Errors
    /// What Connect refuses.
    pub async fn plugins(&self) -> Result<Value> {
        self.call("GET", "/connector-plugins", None, "Failed to list connector plugins").await
    }
}
