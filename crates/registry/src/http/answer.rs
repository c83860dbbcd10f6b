//! Answers: media types of the registry, error bodies.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use milena_http::media::{self, content_type};
use serde::Serialize;
use serde_json::json;

use crate::service::Error;

/// What answers are written as, best first, with the quality that the server gives them.
const PRODUCED: [(&str, f32); 3] = [
    ("application/vnd.schemaregistry.v1+json", 1.0),
    ("application/vnd.schemaregistry+json", 0.9),
    ("application/json", 0.5),
];
/// What bodies of requests may be, besides those.
const BINARY: &str = "application/octet-stream";

/// An answer before headers that depend on the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON; empty for none.
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 with `value` as JSON.
    ///
    /// # Errors
    /// 500 when it cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Answer, Error> {
        let body = serde_json::to_vec(value).map_err(|error| Error::Plain(500, error.to_string()))?;
        Ok(Answer { status: 200, body })
    }

    /// 200 with a text that is JSON already.
    pub fn text(text: &str) -> Answer {
        Answer { status: 200, body: text.as_bytes().to_vec() }
    }

    /// 204.
    pub fn nothing() -> Answer {
        Answer { status: 204, body: Vec::new() }
    }

    /// The usual body of an error; `incompatible` is the code for schemas that do not fit.
    pub fn error(error: &Error, incompatible: i32) -> Answer {
        let code = match error {
            Error::Incompatible { .. } => incompatible,
            other => other.code(),
        };
        let body = json!({"error_code": code, "message": error.to_string()}).to_string().into_bytes();
        Answer { status: error.status(), body }
    }

    /// As an HTTP response of type `media_type`, compressed when the client likes that.
    pub fn into_response(self, media_type: &'static str, accepts_gzip: bool) -> Response<Body> {
        let compressed = if accepts_gzip { milena_http::compress(&self.body) } else { None };
        let gzip = compressed.is_some();
        let body = compressed.unwrap_or(self.body);
        let has_body = self.status != 204;
        let mut response = Response::new(if has_body { Body::from(body) } else { Body::empty() });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, User-Agent"));
        response
    }
}

/// The media type for the answer; `None` when the client takes none of them.
pub fn negotiate(headers: &HeaderMap) -> Option<&'static str> {
    media::negotiate(headers, &PRODUCED)
}

/// Whether a body of this type is read.
pub fn is_readable(headers: &HeaderMap) -> bool {
    let Some(name) = content_type(headers) else { return false };
    name.is_empty() || name == BINARY || PRODUCED.iter().any(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_media_type_follows_the_quality_of_both_sides() {
        let cases = [
            ("*/*", Some(PRODUCED[0].0)),
            ("application/json", Some("application/json")),
            ("application/vnd.schemaregistry+json, application/json;q=0.2", Some(PRODUCED[1].0)),
            ("application/vnd.schemaregistry.v1+json; q=0.9, application/json; q=0.5", Some(PRODUCED[0].0)),
            ("text/html, application/*;q=0.1", Some(PRODUCED[0].0)),
            ("application/vnd.schemaregistry.v1+json;q=0, */*", Some(PRODUCED[1].0)),
            ("text/plain", None),
            ("application/json;q=0", None),
        ];
        for (accept, expected) in cases {
            assert_eq!(negotiate(&accepting(accept)), expected, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new()), Some(PRODUCED[0].0));
    }

    #[test]
    fn bodies_are_json_whatever_it_is_called() {
        let readable = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            is_readable(&headers)
        };
        assert!(readable("application/json; charset=utf-8") && readable("Application/Vnd.SchemaRegistry.v1+JSON"));
        assert!(readable("application/octet-stream") && is_readable(&HeaderMap::new()));
        assert!(!readable("text/plain") && !readable("application/x-www-form-urlencoded"));
    }
}
