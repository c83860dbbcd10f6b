//! Requests to a SQL server.
//!
//! The client blocks: what must stay interruptible runs it on a thread of its own (see `shell::waiting`).

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader, RequestBuilder};

use crate::elements::Elements;

/// The form of requests and answers.
const KSQL_JSON: &str = "application/vnd.ksql.v1+json";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers to statements beyond this size are refused.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody answers there.
    #[error("{url} does not answer: {reason}")]
    Unreachable { url: String, reason: String },
    /// The server refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The answer cannot be understood.
    #[error("{url} answers what no SQL server would: {reason}")]
    Answer { url: String, reason: String },
    /// The file with the certificates to trust cannot be used.
    #[error("{}: {reason}", path.display())]
    TrustStore { path: PathBuf, reason: String },
}

/// What a server says when it refuses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// As 40001; the HTTP status when the server gives none.
    pub code: i64,
    /// Why.
    pub message: String,
    /// Answers to the statements before the one that failed.
    pub entities: Vec<Value>,
}

impl Refusal {
    /// From the body of an answer.
    pub fn of(status: u16, body: &str) -> Refusal {
        let parsed: Value = serde_json::from_str(body).unwrap_or_default();
        Refusal::of_json(&parsed).unwrap_or_else(|| Refusal {
            code: i64::from(status),
            message: if body.trim().is_empty() { format!("HTTP status {status}") } else { body.trim().to_owned() },
            entities: Vec::new(),
        })
    }

    /// From an error as JSON; `None` when it is none.
    pub fn of_json(error: &Value) -> Option<Refusal> {
        Some(Refusal {
            code: error["error_code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str()?.to_owned(),
            entities: error["entities"].as_array().cloned().unwrap_or_default(),
        })
    }
}

/// How a server is reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// A token, if there is no name.
    pub token: Option<String>,
    /// A PEM file with the certificates to trust instead of the system's.
    pub trust_store: Option<PathBuf>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
}

/// A server. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct SqlClient {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    headers: Vec<(String, String)>,
}

/// Who answers at an address.
#[derive(Debug, Clone)]
pub(crate) struct ServerInfo {
    pub version: String,
    pub status: String,
    /// What its topics begin with.
    pub service_id: String,
}

impl SqlClient {
    /// For the server at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::TrustStore`].
    pub fn new(url: &str, access: &Access) -> Result<SqlClient, ClientError> {
        let roots = match &access.trust_store {
            None => RootCerts::PlatformVerifier,
            Some(path) => RootCerts::Specific(Arc::new(certificates(path)?)),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .tls_config(tls)
            .build()
            .new_agent();
        let authorization = access.credentials.as_ref();
        let authorization =
            authorization.map(|(name, password)| format!("Basic {}", BASE64.encode(format!("{name}:{password}"))));
        let authorization = authorization.or_else(|| Some(format!("Bearer {}", access.token.as_ref()?)));
        let url = url.trim_end_matches('/');
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Ok(SqlClient { agent, url, authorization, headers: access.headers.clone() })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who answers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn info(&self) -> Result<ServerInfo, ClientError> {
        let answer = self.headed(self.agent.get(format!("{}/info", self.url))).call();
        let info: Value = self.json(answer)?;
        let info = &info["KsqlServerInfo"];
        let text = |name: &str| info[name].as_str().map(str::to_owned);
        let version = text("version").ok_or_else(|| self.strange("/info names no version"))?;
        let status = text("serverStatus").unwrap_or_else(|| "<unknown>".to_owned());
        Ok(ServerInfo { version, status, service_id: text("ksqlServiceId").unwrap_or_default() })
    }

    /// `POST /ksql`: the answers to statements.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn statements(&self, request: &Value) -> Result<Vec<Value>, ClientError> {
        match self.json(self.post("/ksql", request))? {
            Value::Array(answers) => Ok(answers),
            _ => Err(self.strange("/ksql does not answer a list")),
        }
    }

    /// `POST /query` with a query: the elements of its result as they come.
    ///
    /// # Errors
    /// [`ClientError`]; failures on the way come from the elements.
    pub fn query(&self, request: &Value) -> Result<Elements<BodyReader<'static>>, ClientError> {
        Ok(Elements::new(self.accepted(self.post("/query", request))?.into_body().into_reader()))
    }

    /// `POST /query` with `PRINT`: lines as they come.
    ///
    /// # Errors
    /// As [`SqlClient::query`].
    pub fn print(&self, request: &Value) -> Result<Lines<BufReader<BodyReader<'static>>>, ClientError> {
        let answer = self.accepted(self.post("/query", request))?;
        Ok(BufReader::new(answer.into_body().into_reader()).lines())
    }

    /// `POST /close-query`. A query that has ended by itself is no error.
    pub fn close_query(&self, id: &str) {
        let _ = self.post("/close-query", &json!({ "queryId": id }));
    }

    fn post(&self, path: &str, body: &Value) -> Result<ureq::http::Response<Body>, ureq::Error> {
        let request = self.agent.post(format!("{}{path}", self.url));
        self.headed(request).content_type(KSQL_JSON).send(body.to_string())
    }

    fn headed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = request.header("Accept", KSQL_JSON);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    fn accepted(
        &self,
        answer: Result<ureq::http::Response<Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<Body>, ClientError> {
        let mut answer = answer.map_err(|error| self.unreachable(error.to_string()))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
        Err(ClientError::Refused(Refusal::of(status, &body)))
    }

    fn json(&self, answer: Result<ureq::http::Response<Body>, ureq::Error>) -> Result<Value, ClientError> {
        let mut answer = self.accepted(answer)?;
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.map_err(|error| self.unreachable(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| self.strange(&error.to_string()))
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { url: self.url.clone(), reason }
    }

    fn strange(&self, reason: &str) -> ClientError {
        ClientError::Answer { url: self.url.clone(), reason: reason.to_owned() }
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<Certificate<'static>>, ClientError> {
    let fail = |reason: String| ClientError::TrustStore { path: path.clone(), reason };
    let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    let found: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(fail("there is no certificate in PEM form".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_code_and_words_of_the_server() {
        let body = r#"{"@type":"statement_error","error_code":40001,"message":"no","statementText":"X;","entities":[{"a":1}]}"#;
        let refusal = Refusal::of(400, body);
        assert_eq!((refusal.code, refusal.message.as_str(), refusal.entities.len()), (40001, "no", 1));
        assert_eq!(Refusal::of(502, "bad gateway\n").message, "bad gateway");
        assert_eq!(Refusal::of(502, "").message, "HTTP status 502");
    }

    #[test]
    fn addresses_need_no_scheme_and_no_slash() {
        let url = |text: &str| SqlClient::new(text, &Access::default()).unwrap().url().to_owned();
        assert_eq!(url("localhost:8088"), "http://localhost:8088");
        assert_eq!(url("https://sql.example.org/"), "https://sql.example.org");
    }
}
