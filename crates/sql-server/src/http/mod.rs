//! The API over HTTP.
//!
//! ```text
//!   port ──► other origins ──► users ──► route ──► the endpoint
//! ```

mod cluster;
mod info;
mod inserts;
mod json_rows;
mod print;
mod protobuf;
mod query;
mod statement;
mod status;
mod stream;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use milena_http::{BasicAuth, BodyError, Cors, Port, Verdict};
use milena_stdx::ShutdownToken;
use serde_json::{Map, Value};

use crate::error::{Failure, Result};
use crate::metrics::SqlMetrics;
use crate::queries::forwarding::{Forwarded, INTERNAL};
use crate::session::Session;
use crate::state::Server;

/// The type of results of queries, unless the client asks for another one.
pub(crate) const KSQL_JSON: &str = "application/vnd.ksql.v1+json";
/// The type of all other answers.
pub(crate) const JSON: &str = "application/json";
/// Lines of JSON with rows as Protobuf messages.
pub(crate) const PROTOBUF: &str = "application/vnd.ksql.v1+protobuf";
/// One JSON text a line.
pub(crate) const DELIMITED: &str = "application/vnd.ksqlapi.delimited.v1";

/// The type of the page of metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The API of a server.
#[derive(Clone)]
pub struct Api {
    server: Arc<Server>,
}

impl Api {
    /// Over `server`.
    pub fn new(server: Arc<Server>) -> Api {
        Api { server }
    }

    /// Answers on `port` until `shutdown`.
    pub async fn serve(self, port: Port, shutdown: ShutdownToken) {
        let routes = Router::new().fallback(answer).with_state(self);
        let serving = axum::serve(port.accepting(), routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the SQL server's port has failed");
        }
    }

    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let cors = &self.server.config.cors;
        let is_preflight = Cors::is_preflight(&head.method, &head.headers);
        let asked = head.headers.clone();
        let mut response = if is_preflight && cors.is_on() {
            Response::new(Body::empty())
        } else {
            self.authenticated(head, body).await
        };
        cors.allow(&asked, is_preflight, response.headers_mut());
        response
    }

    async fn authenticated(&self, head: Parts, body: Body) -> Response<Body> {
        let auth = self.server.config.auth.as_ref();
        match auth.map_or(Verdict::Allowed, |auth| auth.judge(head.uri.path(), &head.headers)) {
            Verdict::Allowed => {}
            Verdict::Forbidden => {
                let failure = Failure::new(Failure::FORBIDDEN, "You are forbidden from using this cluster.");
                return refusal(&failure);
            }
            Verdict::Unknown => {
                let failure = Failure::new(Failure::UNAUTHORIZED, "You are not authorized to use this cluster.");
                let mut response = refusal(&failure);
                let challenge = auth.map(BasicAuth::challenge).unwrap_or_default();
                if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                return response;
            }
        }
        self.route(head, body).await.unwrap_or_else(|failure| {
            if failure.status() >= 500 {
                tracing::warn!(code = failure.code, "{failure}");
            }
            refusal(&failure)
        })
    }

    async fn route(&self, head: Parts, body: Body) -> Result<Response<Body>> {
        let server = &self.server;
        let path = head.uri.path().trim_end_matches('/');
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        match (is_read, path) {
            (true, "") => Ok(info::redirect()),
            (true, "/info") => Ok(json(&info::info(server))),
            (true, "/metrics") => Ok(with_type(Body::from(SqlMetrics::new(server.clone()).page()), OPEN_METRICS)),
            (true, "/healthcheck") => info::health(server).await,
            (true, "/chc/live" | "/chc/ready") => info::live(server, path == "/chc/ready").await,
            (true, "/clustermetadata") => Ok(json(&info::cluster_metadata(server))),
            (true, "/v1/metadata") => Ok(json(&info::metadata(server))),
            (true, "/v1/metadata/id") => Ok(json(&info::metadata_id(server))),
            (true, "/clusterStatus") => Ok(json(&cluster::status(server).await?)),
            (false, "/heartbeat") if head.method == Method::POST => {
                Ok(json(&cluster::heartbeat(server, &self.object(body).await?)?))
            }
            (false, "/lag") if head.method == Method::POST => {
                Ok(json(&cluster::lag(server, &self.object(body).await?)?))
            }
            (false, "/ksql/terminate") if head.method == Method::POST => {
                let request = self.object(body).await?;
                let answer = crate::terminate::terminate(server, &request).await?;
                Ok(json(&Value::Array(vec![answer])))
            }
            (true, "/ws/query") => websocket::query(server, head),
            (true, "/status") => Ok(json(&status::all(server))),
            (true, other) if other.starts_with("/status/") => {
                Ok(json(&status::one(server, &other["/status/".len()..])?))
            }
            (true, other) if other.starts_with("/is_valid_property/") => {
                info::is_valid_property(server, &other["/is_valid_property/".len()..])?;
                Ok(json(&Value::Bool(true)))
            }
            (false, "/ksql") if head.method == Method::POST => {
                let answers = statement::execute(server, &self.object(body).await?, &head.headers).await?;
                Ok(json(&Value::Array(answers)))
            }
            (false, "/query") if head.method == Method::POST => {
                query::query(server, &self.object(body).await?, &head.headers).await
            }
            (false, "/query-stream") if head.method == Method::POST => {
                stream::query_stream(server, &self.object(body).await?, &head.headers).await
            }
            (false, "/close-query") if head.method == Method::POST => stream::close(server, &self.object(body).await?),
            (false, "/inserts-stream") if head.method == Method::POST => {
                inserts::inserts_stream(server, body, &head.headers).await
            }
            _ => Err(Failure::new(Failure::NOT_FOUND, format!("Could not find resource {} {path}", head.method))),
        }
    }

    /// The body as a JSON object.
    async fn object(&self, body: Body) -> Result<Map<String, Value>> {
        let bytes = milena_http::read(body, self.server.config.request_bytes_max).await.map_err(|error| {
            let code = if error == BodyError::TooLarge { Failure::TOO_LARGE } else { Failure::BAD_REQUEST };
            Failure::new(code, error.to_string())
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(Failure::BAD_REQUEST, format!("Invalid JSON in request: {error}")))
    }
}

async fn answer(State(api): State<Api>, request: Request<Body>) -> Response<Body> {
    api.respond(request).await
}

/// The text of a request, under one of these names.
pub(crate) fn text_of<'a>(request: &'a Map<String, Value>, names: &[&str]) -> Result<&'a str> {
    let text = names.iter().find_map(|name| request.get(*name)).and_then(Value::as_str);
    text.ok_or_else(|| Failure::new(Failure::BAD_REQUEST, format!("Missing field \"{}\" in request", names[0])))
}

/// The session of a request; a property that nobody knows is refused with the code `unknown`.
pub(crate) fn session_of(server: &Server, request: &Map<String, Value>, unknown: i32) -> Result<Session> {
    let properties = ["streamsProperties", "properties", "configOverrides"];
    let properties = properties.iter().find_map(|name| request.get(*name)).and_then(Value::as_object);
    let variables = request.get("sessionVariables").and_then(Value::as_object);
    Session::new(properties, variables, &server.config.denied_overrides, unknown)
}

/// The session of a request, with whose it is and what another server says of it.
pub(crate) fn session_with(
    server: &Server,
    request: &Map<String, Value>,
    headers: &HeaderMap,
    unknown: i32,
) -> Result<Session> {
    let mut session = session_of(server, request, unknown)?;
    session.authorization = headers.get(header::AUTHORIZATION).cloned();
    if let Some(own) = request.get("requestProperties").and_then(Value::as_object) {
        session.forwarded = Forwarded::of(own);
        session.is_internal = own.contains_key(INTERNAL);
    }
    Ok(session)
}

/// The first of `offered` that the client accepts; the first one for clients that do not say.
pub(crate) fn wanted<'a>(headers: &HeaderMap, offered: &[&'a str]) -> &'a str {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<&str> = accepted
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .collect();
    accepted.iter().find_map(|range| offered.iter().find(|one| *one == range)).copied().unwrap_or(offered[0])
}

/// A JSON answer.
pub(crate) fn json(body: &Value) -> Response<Body> {
    with_type(Body::from(body.to_string()), JSON)
}

/// An answer of a type.
pub(crate) fn with_type(body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn refusal(failure: &Failure) -> Response<Body> {
    let mut response = json(&failure.json());
    *response.status_mut() = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_choose_among_the_types_that_are_offered() {
        let choice = |accept: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept))));
            wanted(&headers, &[KSQL_JSON, JSON])
        };
        assert_eq!(choice(None), KSQL_JSON);
        assert_eq!(choice(Some("*/*")), KSQL_JSON);
        assert_eq!(choice(Some("text/plain, application/json;q=0.5")), JSON);
    }

    #[test]
    fn requests_need_their_text() {
        let request = serde_json::json!({ "sql": "SELECT", "ksql": 3 });
        let request = request.as_object().unwrap();
        assert_eq!(text_of(request, &["sql"]).unwrap(), "SELECT");
        assert_eq!(text_of(request, &["ksql"]).unwrap_err().code, 40000);
    }
}
