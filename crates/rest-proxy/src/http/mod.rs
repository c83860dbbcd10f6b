//! The API over HTTP.
//!
//! ```text
//!   port ──► other origins ──► users ──► rate ──► route ──► media types ──► the endpoint's handler
//! ```

mod answer;
mod call;
mod endpoint;
mod media;
mod rate;
mod route;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use milena_http::{BasicAuth, Cors, Port, Query, Verdict};
use milena_stdx::ShutdownToken;
use parking_lot::Mutex;

use self::media::JSON;
use self::route::{NoRoute, Routes};
use crate::config::HttpOptions;
use crate::error::RestError;
use crate::state::Proxy;

pub use answer::Answer;
pub use call::Call;
pub use endpoint::{Answering, Endpoint, Media};
pub use milena_http::{ChunkSender, chunks};
pub use rate::RateLimit;

/// The API; serves any number of ports.
pub struct Api {
    proxy: Arc<Proxy>,
    routes: Routes,
    rate: Option<RateLimit>,
}

/// The endpoints that the configuration wants.
pub fn endpoints(options: &HttpOptions) -> impl Iterator<Item = &'static Endpoint> {
    let v2 = crate::v2::ENDPOINTS.iter().filter(|_| options.serves_v2);
    let v3 = crate::v3::ENDPOINTS.iter().filter(|_| options.serves_v3);
    v2.chain(v3).chain(crate::openapi::ENDPOINTS).filter(|endpoint| {
        (options.allowed.is_empty() || route::is_listed(&options.allowed, endpoint.name))
            && !route::is_listed(&options.blocked, endpoint.name)
    })
}

/// The port that a request came through.
#[derive(Clone)]
struct Entrance {
    api: Arc<Api>,
    is_secure: bool,
}

impl Api {
    /// The endpoints that the configuration wants.
    pub fn new(proxy: Arc<Proxy>) -> Api {
        let options = &proxy.config.http;
        let routes = Routes::new(endpoints(options));
        let rate = options.requests_per_second.map(|permits| RateLimit::new(u64::from(permits)));
        Api { proxy, routes, rate }
    }

    /// Answers on `port` until `shutdown`.
    pub async fn serve(self: Arc<Api>, port: Port, shutdown: ShutdownToken) {
        let entrance = Entrance { api: self, is_secure: port.is_secure() };
        let routes = Router::new().fallback(answer).with_state(entrance);
        let serving = axum::serve(port.accepting(), routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the REST proxy's port has failed");
        }
    }

    async fn respond(&self, request: Request<Body>, is_secure: bool) -> Response<Body> {
        let (head, body) = request.into_parts();
        let options = &self.proxy.config.http;
        let is_preflight = Cors::is_preflight(&head.method, &head.headers);
        let accepts_gzip = options.compress && milena_http::accepts_gzip(&head.headers);
        let asked = head.headers.clone();
        let mut response = if is_preflight && options.cors.is_on() {
            into_response(Answer::empty(200), JSON)
        } else {
            self.authenticated(head, body, is_secure).await
        };
        if accepts_gzip {
            response = compressed(response).await;
        }
        options.cors.allow(&asked, is_preflight, response.headers_mut());
        response
    }

    async fn authenticated(&self, head: Parts, body: Body, is_secure: bool) -> Response<Body> {
        let auth = self.proxy.config.http.auth.as_ref();
        match auth.map_or(Verdict::Allowed, |auth| auth.judge(head.uri.path(), &head.headers)) {
            Verdict::Allowed => {}
            Verdict::Forbidden => return refusal(&RestError::Http(403)),
            Verdict::Unknown => {
                let mut response = refusal(&RestError::Http(401));
                let challenge = auth.map(BasicAuth::challenge).unwrap_or_default();
                if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                return response;
            }
        }
        if self.rate.as_ref().is_some_and(|rate| !rate.admits(1)) {
            return refusal(&RestError::Http(429));
        }
        match self.routes.find(head.method.as_str(), head.uri.path()) {
            Ok((endpoint, parameters)) => self.perform(endpoint, parameters, head, body, is_secure).await,
            Err(NoRoute::UnknownPath) => refusal(&RestError::Http(404)),
            Err(NoRoute::Method(allowed)) => other_method(&head.method, allowed),
        }
    }

    async fn perform(
        &self,
        endpoint: &'static Endpoint,
        parameters: Vec<String>,
        head: Parts,
        body: Body,
        is_secure: bool,
    ) -> Response<Body> {
        let Some((media_type, accept)) = media::negotiate(endpoint.answers, &head.headers) else {
            return refusal(&RestError::Http(406));
        };
        let sends_body = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
        let content = match media::readable(endpoint.reads, &head.headers) {
            Some(content) => content,
            None if !sends_body => Default::default(),
            None => return into_response(Answer::error(&RestError::Http(415)), media_type),
        };
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let proxy = self.proxy.clone();
        let call = Call { proxy, head, parameters, query, content, accept, is_secure, body: Mutex::new(body) };
        let answer = (endpoint.handler)(call).await.unwrap_or_else(|error| {
            if error.status() >= 500 {
                tracing::warn!(endpoint = endpoint.name, code = error.code(), "{error}");
            }
            Answer::error(&error)
        });
        into_response(answer, media_type)
    }
}

async fn answer(State(entrance): State<Entrance>, request: Request<Body>) -> Response<Body> {
    entrance.api.respond(request, entrance.is_secure).await
}

/// OPTIONS tells what is allowed, everything else is refused with it.
fn other_method(method: &Method, mut allowed: Vec<&'static str>) -> Response<Body> {
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let mut response = if method == Method::OPTIONS {
        into_response(Answer::empty(200), JSON)
    } else {
        refusal(&RestError::Http(405))
    };
    if let Ok(names) = HeaderValue::from_str(&allowed.join(",")) {
        response.headers_mut().insert(header::ALLOW, names);
    }
    response
}

fn refusal(error: &RestError) -> Response<Body> {
    into_response(Answer::error(error), JSON)
}

fn into_response(answer: Answer, media_type: &'static str) -> Response<Body> {
    let has_body = answer.body.is_some();
    let mut response = Response::new(answer.body.unwrap_or_default());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    headers.extend(answer.headers.into_iter().map(|(name, value)| (Some(name), value)));
    response
}

/// Compresses what is there as a whole; streams go as they come.
async fn compressed(response: Response<Body>) -> Response<Body> {
    if response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await.map(|collected| collected.to_bytes()) else {
        return refusal(&RestError::Http(500));
    };
    let Some(small) = milena_http::compress(&body) else { return Response::from_parts(head, Body::from(body)) };
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, User-Agent"));
    Response::from_parts(head, Body::from(small))
}
