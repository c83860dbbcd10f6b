//! The REST API.
//!
//! ```text
//!   Port ──► BasicAuth ──► Cors ──► route ──► connectors | plugins | loggers | root ──► Herder
//! ```
//!
//! Paths are split before they are decoded, so that `%2F` inside a name does not split it.

mod answer;
mod body;
mod connectors;
mod forward;
mod loggers;
mod plugins;
mod root;
mod route;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use milena_http::{Cors, Port, Query, Verdict};
use milena_stdx::ShutdownToken;
use tokio::sync::watch;

use crate::config::worker::WorkerConfig;
use crate::herder::{Herder, HerderError};

use answer::Answer;
use route::Route;

/// How long a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(90);
/// How long a request waits for a group that is being rebalanced before it is answered with 409.
const REBALANCE_PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const REBALANCE_LOOK: Duration = Duration::from_millis(50);

/// Which part of the API a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// Everything.
    All,
    /// Everything but `/admin`.
    WithoutAdmin,
    /// `/admin` alone.
    AdminOnly,
}

/// The API; serves any number of ports.
pub struct Api {
    config: Arc<WorkerConfig>,
    /// `None` until the worker has read its topics.
    herder: watch::Receiver<Option<Arc<Herder>>>,
}

/// A request on its way.
pub(crate) struct Call {
    method: Method,
    head: Parts,
    query: Query,
    body: axum::body::Bytes,
    herder: Arc<Herder>,
    /// The URL that the client has used, without a path.
    base: String,
}

/// The port that a request came through.
#[derive(Clone)]
struct Entrance {
    api: Arc<Api>,
    served: Served,
    secure: bool,
}

impl Api {
    /// The API of a worker that is still starting.
    pub fn new(config: Arc<WorkerConfig>, herder: watch::Receiver<Option<Arc<Herder>>>) -> Api {
        Api { config, herder }
    }

    /// Answers on `port` until `shutdown`.
    pub async fn serve(self: Arc<Api>, port: Port, served: Served, shutdown: ShutdownToken) {
        let entrance = Entrance { api: self, served, secure: port.is_secure() };
        let routes = Router::new().fallback(answer).with_state(entrance);
        let serving = axum::serve(port.accepting(), routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "Connect's port has failed");
        }
    }

    async fn respond(&self, request: Request<Body>, served: Served, secure: bool) -> Response<Body> {
        let (head, body) = request.into_parts();
        let rest = &self.config.rest;
        let is_preflight = Cors::is_preflight(&head.method, &head.headers);
        let asked = head.headers.clone();
        let mut response = if is_preflight && rest.cors.is_on() {
            Answer::empty(200).into_response()
        } else {
            self.authenticated(head, body, served, secure).await
        };
        rest.cors.allow(&asked, is_preflight, response.headers_mut());
        for (name, value) in &rest.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    async fn authenticated(&self, head: Parts, body: Body, served: Served, secure: bool) -> Response<Body> {
        let Some(segments) = route::segments(head.uri.path()) else { return not_found() };
        let route = Route::find(&segments);
        let is_admin = segments.first().is_some_and(|first| first == "admin");
        let is_served = match served {
            Served::All => true,
            Served::WithoutAdmin => !is_admin,
            Served::AdminOnly => is_admin,
        };
        let Some(route) = route.filter(|_| is_served) else { return not_found() };
        if !route.is_internal(&head.method)
            && let Some(auth) = &self.config.rest.auth
            && auth.judge(head.uri.path(), &head.headers) != Verdict::Allowed
        {
            let mut response = Answer::error(401, 401, "User cannot access the resource.").into_response();
            if let Ok(challenge) = HeaderValue::from_str(&auth.challenge()) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            return response;
        }
        if let Some(response) = refused_method(&head.method, &route) {
            return response;
        }
        self.perform(route, head, body, secure).await
    }

    async fn perform(&self, route: Route, head: Parts, body: Body, secure: bool) -> Response<Body> {
        let body = match milena_http::read(body, self.config.rest.request_bytes_max).await {
            Ok(body) => body,
            Err(milena_http::BodyError::TooLarge) => {
                return Answer::error(413, 413, "the body of the request is too large").into_response();
            }
            Err(error) => return Answer::error(400, 400, &error.to_string()).into_response(),
        };
        if let Some(response) = refused_media(&head, &route, body.is_empty()) {
            return response;
        }
        if route == Route::Health {
            let herder = self.herder.borrow().clone();
            return root::health(herder.as_ref()).await.into_response();
        }
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let base = format!("{}://{host}", if secure { "https" } else { "http" });
        let mut herder = self.herder.clone();
        let work = async {
            let herder = herder.wait_for(Option::is_some).await.ok().and_then(|herder| herder.clone());
            let herder = herder.ok_or_else(|| HerderError::Unavailable("Worker is shutting down".to_owned()))?;
            let query = Query::parse(head.uri.query().unwrap_or_default());
            let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
            let call = Call { method, head, query, body, herder, base };
            let patience = tokio::time::Instant::now() + REBALANCE_PATIENCE;
            loop {
                match route.perform(&call).await {
                    Err(HerderError::Elsewhere(None) | HerderError::Rebalancing)
                        if tokio::time::Instant::now() < patience =>
                    {
                        tokio::time::sleep(REBALANCE_LOOK).await;
                    }
                    Err(HerderError::Elsewhere(url)) => return forward::forward(&call, url.as_deref()).await,
                    answered => return answered,
                }
            }
        };
        let answered = tokio::time::timeout(REQUEST_MAX, work).await;
        let answered = answered.unwrap_or_else(|_| Err(HerderError::Failed("Request timed out".to_owned())));
        answered.unwrap_or_else(|error| Answer::of_error(&error)).into_response()
    }
}

async fn answer(State(entrance): State<Entrance>, request: Request<Body>) -> Response<Body> {
    entrance.api.respond(request, entrance.served, entrance.secure).await
}

fn not_found() -> Response<Body> {
    Answer::error(404, 404, "HTTP 404 Not Found").into_response()
}

/// The answer to a method that the path does not have, and to OPTIONS.
fn refused_method(method: &Method, route: &Route) -> Option<Response<Body>> {
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    let methods = route.methods();
    if methods.contains(&wanted.as_str()) {
        return None;
    }
    let mut allowed: Vec<&str> = methods.to_vec();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allowed = allowed.join(", ");
    let mut response = if *method == Method::OPTIONS {
        let mut response = Response::new(Body::from(allowed.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    } else {
        Answer::error(405, 405, "HTTP 405 Method Not Allowed").into_response()
    };
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    Some(response)
}

/// The answer to a body that says it is no JSON, and to a client that takes none.
fn refused_media(head: &Parts, route: &Route, no_body: bool) -> Option<Response<Body>> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let kind = |media: &str| media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let says_other = text(header::CONTENT_TYPE).is_some_and(|media| kind(media) != "application/json");
    if !no_body && says_other {
        return Some(Answer::error(415, 415, "HTTP 415 Unsupported Media Type").into_response());
    }
    let takes = |range: &str| matches!(kind(range).as_str(), "" | "*/*" | "application/*" | "application/json");
    let accepted = text(header::ACCEPT).is_none_or(|ranges| ranges.split(',').any(takes));
    let refused = !accepted && *route != Route::Metrics;
    refused.then(|| Answer::error(406, 406, "HTTP 406 Not Acceptable").into_response())
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
