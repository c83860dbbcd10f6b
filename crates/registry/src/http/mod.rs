//! The API over HTTP.
//!
//! ```text
//!   port ──► authentication ──► route ──► media types ──► body ──► known already? ──► leader? ──► service
//!                                                                                        └──► forwarded
//! ```

mod actions;
mod answer;
mod call;
mod forward;
mod route;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use milena_http::{BasicAuth, BodyError, Cors, Port, Verdict};
use milena_stdx::ShutdownToken;
use tokio::sync::watch;

use self::answer::Answer;
use self::call::Call;
use self::forward::Forwarded;
use self::route::{NoRoute, Route};
use crate::election::{Election, Leadership};
use crate::service::{Error, Service};

pub use actions::{Deployment, Limits};
pub use call::PageLimits;
pub use forward::Forwarder;

/// Names a request across instances.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Marks a request that another instance has handed on.
const FORWARDED: HeaderName = HeaderName::from_static("x-forward");
/// Bodies beyond this are refused with 413.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How the API behaves.
pub struct HttpOptions {
    /// How long listings may be.
    pub limits: Limits,
    /// What `/v1/metadata/deployment` tells.
    pub deployment: Deployment,
    /// Who may use it; `None` is everybody.
    pub auth: Option<BasicAuth>,
    /// How other instances are reached.
    pub forwarder: Forwarder,
    /// Pages of other origins.
    pub cors: Cors,
    /// The code in bodies of 409 about schemas.
    pub incompatible_code: i32,
    /// How long a write waits until somebody leads.
    pub leader_timeout: Duration,
    /// How long a request waits until the registry has read its topic.
    pub ready_timeout: Duration,
}

/// What is there once the topic has been read.
pub struct Ready {
    /// The service.
    pub service: Arc<Service>,
    /// Who writes.
    pub election: Election,
}

/// `None` until the registry is ready or has failed; the text says why it has.
pub type Readiness = Option<Result<Arc<Ready>, String>>;

/// The API; serves any number of ports.
pub struct Api {
    options: HttpOptions,
    readiness: watch::Receiver<Readiness>,
}

impl Api {
    /// An API that answers as soon as `readiness` says so.
    pub fn new(options: HttpOptions, readiness: watch::Receiver<Readiness>) -> Arc<Api> {
        Arc::new(Api { options, readiness })
    }

    /// Answers on `port` until `shutdown`.
    pub async fn serve(self: Arc<Api>, port: Port, shutdown: ShutdownToken) {
        let routes = Router::new().fallback(answer).with_state(self);
        let serving = axum::serve(port.accepting(), routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the schema registry's port has failed");
        }
    }

    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let request_id = head.headers.get(REQUEST_ID).cloned().unwrap_or_else(new_request_id);
        let is_preflight = Cors::is_preflight(&head.method, &head.headers);
        let mut response = if is_preflight && self.options.cors.is_on() {
            Answer { status: 200, body: Vec::new() }.into_response("application/json", false)
        } else {
            self.authenticated(&head, body, &request_id).await
        };
        self.options.cors.allow(&head.headers, is_preflight, response.headers_mut());
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    async fn authenticated(&self, head: &Head, body: Body, request_id: &HeaderValue) -> Response<Body> {
        let verdict =
            self.options.auth.as_ref().map_or(Verdict::Allowed, |auth| auth.judge(head.uri.path(), &head.headers));
        let media_type = answer::negotiate(&head.headers);
        let refuse = |status| self.failure(&Error::Http(status)).into_response(media_type.unwrap_or(JSON), false);
        match verdict {
            Verdict::Allowed => {}
            Verdict::Forbidden => return refuse(403),
            Verdict::Unknown => {
                let mut response = refuse(401);
                let challenge = self.options.auth.as_ref().map(BasicAuth::challenge).unwrap_or_default();
                if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                return response;
            }
        }
        let route = match route::route(head.method.as_str(), head.uri.path()) {
            Ok(route) => route,
            Err(NoRoute::UnknownPath) => return refuse(404),
            Err(NoRoute::Method(allowed)) => return self.other_method(head, &allowed),
        };
        let Some(media_type) = media_type else { return refuse(406) };
        let answer = self.perform(head, body, route, request_id).await.unwrap_or_else(|error| self.failure(&error));
        answer.into_response(media_type, milena_http::accepts_gzip(&head.headers))
    }

    /// OPTIONS tells what is allowed, everything else is refused with it.
    fn other_method(&self, head: &Head, allowed: &[&str]) -> Response<Body> {
        let mut names: Vec<&str> = allowed.to_vec();
        if allowed.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        let mut response = if head.method == Method::OPTIONS {
            Answer { status: 200, body: Vec::new() }.into_response(JSON, false)
        } else {
            self.failure(&Error::Http(405)).into_response(JSON, false)
        };
        if let Ok(names) = HeaderValue::from_str(&names.join(",")) {
            response.headers_mut().insert(header::ALLOW, names);
        }
        response
    }

    async fn perform(&self, head: &Head, body: Body, route: Route, request_id: &HeaderValue) -> Result<Answer, Error> {
        let sends_body = matches!(head.method, Method::POST | Method::PUT);
        if sends_body && !answer::is_readable(&head.headers) {
            return Err(Error::Http(415));
        }
        let body = if sends_body { read(body).await? } else { Bytes::new() };
        let ready = self.ready().await?;
        let query = milena_http::Query::parse(head.uri.query().unwrap_or_default());
        let call = Call { service: &ready.service, route, query, body };
        if call.route.action.changes() {
            if let Some(known) = call.known_registration()? {
                return Ok(known);
            }
            if let Some(answer) = self.forwarded(head, &ready, &call, request_id).await? {
                return Ok(answer);
            }
        }
        call.perform(&self.options.limits, &self.options.deployment).await
    }

    /// The leader's answer; `None` when this instance leads.
    async fn forwarded(
        &self,
        head: &Head,
        ready: &Ready,
        call: &Call<'_>,
        request_id: &HeaderValue,
    ) -> Result<Option<Answer>, Error> {
        let unknown = |what: &str| Err(Error::UnknownLeader(what.to_owned()));
        let leader = match ready.election.leadership(self.options.leader_timeout).await {
            Leadership::Leader => return Ok(None),
            Leadership::Follower(Some(leader)) => leader,
            Leadership::Follower(None) => return unknown("no instance is eligible"),
            Leadership::Undecided => return unknown("the instances have not elected one yet"),
        };
        if head.headers.get(FORWARDED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
            return unknown("the request was forwarded to an instance that does not lead");
        }
        let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Forwarded {
            method: &head.method,
            path_and_query,
            headers: &head.headers,
            request_id,
            body: call.body.clone(),
        };
        let answer = self.options.forwarder.send(&leader, request).await?;
        // Whoever reads here next shall see what was written there.
        if answer.status < 300
            && let Err(error) = ready.service.log().read_to_end().await
        {
            tracing::debug!(%error, "reading what the leader wrote");
        }
        Ok(Some(answer))
    }

    async fn ready(&self) -> Result<Arc<Ready>, Error> {
        let mut readiness = self.readiness.clone();
        let known = readiness.wait_for(Option::is_some);
        match tokio::time::timeout(self.options.ready_timeout, known).await {
            Ok(Ok(readiness)) => match &*readiness {
                Some(Ok(ready)) => Ok(ready.clone()),
                Some(Err(reason)) => Err(Error::Store(reason.clone())),
                None => Err(Error::Http(500)),
            },
            Ok(Err(_)) => Err(Error::Store("the registry is stopping".to_owned())),
            Err(_) => Err(Error::TimedOut("the registry is still reading its topic".to_owned())),
        }
    }

    fn failure(&self, error: &Error) -> Answer {
        if error.status() >= 500 {
            tracing::warn!(code = error.code(), "{error}");
        }
        Answer::error(error, self.options.incompatible_code)
    }
}

type Head = axum::http::request::Parts;

/// For answers to clients that accept nothing else.
const JSON: &str = "application/json";

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Response<Body> {
    api.respond(request).await
}

async fn read(body: Body) -> Result<Bytes, Error> {
    milena_http::read(body, BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge => Error::Http(413),
        BodyError::Broken(reason) => Error::Plain(400, format!("the body of the request cannot be read: {reason}")),
    })
}

fn new_request_id() -> HeaderValue {
    let id = uuid::Uuid::new_v4().to_string();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("0"))
}
